{{- define "watch.selector" -}}
app.kubernetes.io/name: watch
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "watch.labels" -}}
{{ include "watch.selector" . }}
app.kubernetes.io/part-of: gpuprov
app.kubernetes.io/version: {{ .Chart.Version | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "watch.image" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{/* What every container of ours may do: nothing but its work. */}}
{{- define "watch.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
