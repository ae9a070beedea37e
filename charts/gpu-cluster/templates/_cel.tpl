{{/*
Parts of CEL expressions that several policies use.

A list of text in JSON is the same list in CEL; the schema keeps names to characters that need no thought.
*/}}

{{/* True for the groups that break the glass: nothing here holds for them. */}}
{{- define "gpuprov.cel.exempt" -}}
request.userInfo.?groups.orValue([]).exists(group, group in {{ .Values.admission.exemptGroups | toJson }})
{{- end }}

{{/* True for gpuprov's own identity. */}}
{{- define "gpuprov.cel.operator" -}}
{{- $users := list -}}
{{- $groups := list -}}
{{- range .Values.operator.subjects -}}
{{- if eq .kind "Group" -}}
{{- $groups = append $groups .name -}}
{{- else if eq .kind "User" -}}
{{- $users = append $users .name -}}
{{- else -}}
{{- $users = append $users (printf "system:serviceaccount:%s:%s" .namespace .name) -}}
{{- end -}}
{{- end -}}
(request.userInfo.username in {{ $users | toJson }}
|| request.userInfo.?groups.orValue([]).exists(group, group in {{ $groups | toJson }}))
{{- end }}

{{/* True for the term guard. What it may do is in the policy gpuprov-operator. */}}
{{- define "gpuprov.cel.termGuard" -}}
request.userInfo.username == 'system:serviceaccount:{{ .Release.Namespace }}:gpuprov-term-guard'
{{- end }}

{{/* True for those who may write what makes an award: gpuprov, its term guard, and the controllers that must. */}}
{{- define "gpuprov.cel.trusted" -}}
(request.userInfo.username in {{ .Values.admission.exemptUsers | toJson }} || {{ include "gpuprov.cel.operator" . }}
{{- if .Values.termGuard.enabled }} || {{ include "gpuprov.cel.termGuard" . }}{{ end }})
{{- end }}

{{/* All containers of a pod, of any sort. */}}
{{- define "gpuprov.cel.containers" -}}
dyn(object.spec.containers)
+ dyn(object.spec.?initContainers.orValue([]))
+ dyn(object.spec.?ephemeralContainers.orValue([]))
{{- end }}

{{/* True where the resource `name` of `amounts` is asked for and is a device: its name has a domain. */}}
{{- define "gpuprov.cel.device" -}}
name.contains('/') && !(name in {{ .Values.admission.allowedResources | toJson }})
&& quantity(amounts[name]).isGreaterThan(quantity('0'))
{{- end }}

{{/* Variables by which a container or image tells NVIDIA's runtime what to hand out. */}}
{{- define "gpuprov.cel.env" -}}
['NVIDIA_VISIBLE_DEVICES', 'NVIDIA_DRIVER_CAPABILITIES', 'NVIDIA_MIG_CONFIG_DEVICES',
{{- print " " }}'NVIDIA_MIG_MONITOR_DEVICES', 'NVIDIA_IMEX_CHANNELS']
{{- end }}

{{/* The policy's condition that leaves out who breaks the glass. */}}
{{- define "gpuprov.matchConditions" -}}
- name: no-break-glass
  expression: >-
    !{{ include "gpuprov.cel.exempt" . }}
{{- end }}
