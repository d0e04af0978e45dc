{{- define "permafrost.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: Services, Jobs and pods put more behind it. */}}
{{- define "permafrost.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "permafrost.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "permafrost.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "permafrost.headlessName" -}}
{{ include "permafrost.fullname" . }}-headless
{{- end -}}

{{/* What finds pods. It never changes: the selector of a StatefulSet cannot. Give it a dict of `root` and `component`. */}}
{{- define "permafrost.selectorLabels" -}}
app.kubernetes.io/name: {{ include "permafrost.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object; a dict of `root` and `component`. */}}
{{- define "permafrost.labels" -}}
{{- with .root.Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{ include "permafrost.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: permafrost
{{- end -}}

{{/* Name, labels and annotations of an object; a dict of `root`, `component`, `name`, and if wanted `namespace`,
     `labels` and `annotations`. */}}
{{- define "permafrost.metadata" -}}
name: {{ .name }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- include "permafrost.labels" . | nindent 2 }}
  {{- with .extraLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "permafrost.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "permafrost.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* An image by digest or tag; a dict of `image` and `tag`, the tag to use when none is given. */}}
{{- define "permafrost.imageReference" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end -}}

{{- define "permafrost.image" -}}
{{ include "permafrost.imageReference" (dict "image" .Values.image "tag" .Chart.AppVersion) }}
{{- end -}}

{{- define "permafrost.redisName" -}}
{{ include "permafrost.fullname" . }}-redis
{{- end -}}

{{- define "permafrost.redisUrl" -}}
{{- .Values.redis.url | default (printf "redis://%s:6379" (include "permafrost.redisName" .)) -}}
{{- end -}}

{{/* The settings of all pods as the worker reads them; only the shard's number differs, and comes by environment. */}}
{{- define "permafrost.config" -}}
{{- $redis := dict "url" (include "permafrost.redisUrl" .) "username" .Values.redis.username -}}
{{- if .Values.redis.tls.caSecret -}}
{{- $_ := set $redis "tlsCaFile" "/etc/permafrost-redis-ca/ca.crt" -}}
{{- end -}}
{{- if .Values.redis.tls.certSecret -}}
{{- $_ := set $redis "tlsCertFile" "/etc/permafrost-redis-cert/tls.crt" -}}
{{- $_ := set $redis "tlsKeyFile" "/etc/permafrost-redis-cert/tls.key" -}}
{{- end -}}
{{- $own := dict
  "archive" .Values.archive
  "dataDir" "/data"
  "redis" $redis
  "http" (dict "host" "0.0.0.0" "port" (int .Values.http.port) "statusPage" .Values.http.statusPage)
  "closeDeadlineMs" (mul .Values.shutdown.deadlineSeconds 1000)
-}}
{{/* In a cluster Redis may come later than the worker: waiting for it is better than crashing in a loop. */}}
{{- $patient := dict "redis" (dict "startTimeoutMs" 300000) -}}
{{- mustMergeOverwrite $patient (deepCopy .Values.config) $own | mustToPrettyJson -}}
{{- end -}}

{{/* What every container of the image needs to know of archive and Redis. */}}
{{- define "permafrost.env" -}}
- name: PERMAFROST_CONFIG
  value: /etc/permafrost/config.json
{{- if .Values.redis.existingSecret }}
- name: PERMAFROST_REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.redis.existingSecret }}
      key: {{ .Values.redis.existingSecretPasswordKey }}
{{- end }}
{{- end -}}

{{- define "permafrost.volumeMounts" -}}
- name: config
  mountPath: /etc/permafrost
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if .Values.redis.tls.caSecret }}
- name: redis-ca
  mountPath: /etc/permafrost-redis-ca
  readOnly: true
{{- end }}
{{- if .Values.redis.tls.certSecret }}
- name: redis-cert
  mountPath: /etc/permafrost-redis-cert
  readOnly: true
{{- end }}
{{- end -}}

{{- define "permafrost.volumes" -}}
- name: config
  configMap:
    name: {{ .configName | default (include "permafrost.fullname" .root) }}
- name: tmp
  emptyDir: {}
{{- with .root.Values.redis.tls.caSecret }}
- name: redis-ca
  secret:
    secretName: {{ . }}
    items:
      - key: {{ $.root.Values.redis.tls.caSecretKey }}
        path: ca.crt
{{- end }}
{{- with .root.Values.redis.tls.certSecret }}
- name: redis-cert
  secret:
    secretName: {{ . }}
    items:
      - key: {{ $.root.Values.redis.tls.certSecretCertKey }}
        path: tls.crt
      - key: {{ $.root.Values.redis.tls.certSecretKeyKey }}
        path: tls.key
{{- end }}
{{- end -}}

{{/* What all pods of the worker's image have in common. */}}
{{- define "permafrost.podBase" -}}
serviceAccountName: {{ include "permafrost.serviceAccountName" . }}
# No pod of this chart talks to Kubernetes.
automountServiceAccountToken: false
# Their variables would be named like settings.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{/* The ports of Redis, as egress takes them: as said, else those of the nodes of its cluster, else that of the URL, else the
     usual one. */}}
{{- define "permafrost.redisPorts" -}}
{{- $inUrl := regexFind ":[0-9]+(/|$)" (.Values.redis.url | replace "://" "") | trimPrefix ":" | trimSuffix "/" | default "6379" -}}
{{- $nodes := (.Values.config.redis | default dict).clusterNodes | default "" -}}
{{- $ports := list $inUrl -}}
{{- if .Values.networkPolicy.redis.port -}}
{{- $ports = list (toString .Values.networkPolicy.redis.port) -}}
{{- else if $nodes -}}
{{- $ports = list -}}
{{- range splitList "," $nodes -}}
{{- $ports = append $ports (regexFind "[0-9]+$" .) -}}
{{- end -}}
{{- end -}}
{{- range uniq $ports }}
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end -}}

{{/* A container of the image that runs a command beside the workers; its `args` follow. */}}
{{- define "permafrost.toolContainer" -}}
image: {{ include "permafrost.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  {{- include "permafrost.env" . | nindent 2 }}
volumeMounts:
  {{- include "permafrost.volumeMounts" . | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}

{{- define "permafrost.topologyPodMetadata" -}}
labels:
  {{- include "permafrost.selectorLabels" (dict "root" . "component" "topology") | nindent 2 }}
  {{- with .Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
