{{/* Labels of every object. Helm's managed-by label says Helm: gpuprov takes what says gpuprov for an award's. */}}
{{- define "gpuprov.labels" -}}
app.kubernetes.io/name: gpu-cluster
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: gpuprov
app.kubernetes.io/version: {{ .Chart.Version | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
A policy. Takes root, name, and spec: the text of its spec. The annotation tells gpuprov whether the spec is still what
was installed: the SHA-256 of it as compact JSON with sorted keys, without what the API server adds (gpuprov's
preflight/policies.py computes the same).
*/}}
{{- define "gpuprov.policy" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ .name }}
  labels:
    {{- include "gpuprov.labels" .root | nindent 4 }}
  annotations:
    gpuprov.dev/spec-sha256: {{ .spec | fromYaml | toRawJson | sha256sum | quote }}
spec:
  {{- .spec }}
{{- end }}

{{/* The binding of a policy, of the same name. Takes root, name, and optionally scope: "awards" and param: a name. */}}
{{- define "gpuprov.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "gpuprov.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: {{ .root.Values.admission.actions | toJson }}
  {{- with .param }}
  paramRef:
    name: {{ . }}
    parameterNotFoundAction: Deny
  {{- end }}
  {{- if eq (.scope | default "") "awards" }}
  matchResources:
    namespaceSelector:
      matchLabels:
        app.kubernetes.io/managed-by: gpuprov
  {{- end }}
{{- end }}

{{/* gpuprov's own identity, as subjects of a binding. */}}
{{- define "gpuprov.subjects" -}}
{{- range .Values.operator.subjects }}
- kind: {{ .kind }}
  name: {{ .name | quote }}
  {{- if eq .kind "ServiceAccount" }}
  namespace: {{ .namespace }}
  {{- else }}
  apiGroup: rbac.authorization.k8s.io
  {{- end }}
{{- end }}
{{- end }}

{{- define "gpuprov.termGuard.selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: term-guard
{{- end }}

{{- define "gpuprov.termGuard.subjects" -}}
- kind: ServiceAccount
  name: gpuprov-term-guard
  namespace: {{ .Release.Namespace }}
{{- end }}
