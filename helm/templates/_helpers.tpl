{{- define "permafrost.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: the headless Service and the pods put more behind it. */}}
{{- define "permafrost.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "permafrost.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "permafrost.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "permafrost.selectorLabels" -}}
app.kubernetes.io/name: {{ include "permafrost.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: worker
{{- end -}}

{{- define "permafrost.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "permafrost.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "permafrost.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "permafrost.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The settings of all pods as the worker reads them; only the shard's number differs, and comes by environment. */}}
{{- define "permafrost.config" -}}
{{- $redis := dict "url" .Values.redis.url "username" .Values.redis.username -}}
{{- if .Values.redis.tlsCaSecret -}}
{{- $_ := set $redis "tlsCaFile" "/etc/permafrost-tls/ca.crt" -}}
{{- end -}}
{{- $own := dict
  "archive" .Values.archive
  "dataDir" "/data"
  "redis" $redis
  "http" (dict "host" "0.0.0.0" "port" .Values.http.port)
  "closeDeadlineMs" (mul .Values.shutdown.deadlineSeconds 1000)
-}}
{{- mustMergeOverwrite (deepCopy .Values.config) $own | mustToPrettyJson -}}
{{- end -}}
