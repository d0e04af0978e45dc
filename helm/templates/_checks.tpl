{{/* What a schema cannot say. Each refusal names the value and what to do. */}}
{{- define "permafrost.checks" -}}
{{- $least := add .Values.shutdown.deadlineSeconds .Values.shutdown.preStopSeconds -}}
{{- if le (int .Values.shutdown.graceSeconds) (int $least) -}}
{{- fail (printf "shutdown.graceSeconds (%d) must be more than shutdown.preStopSeconds and shutdown.deadlineSeconds together (%d), or a worker is killed while it still commits" (int .Values.shutdown.graceSeconds) (int $least)) -}}
{{- end -}}
{{- if regexMatch "//[^@/]*:[^@/]+@" .Values.redis.url -}}
{{- fail "redis.url must not hold a password: it would be readable in a ConfigMap. Put it into a Secret and name that in redis.existingSecret" -}}
{{- end -}}
{{- $configured := .Values.config.redis | default dict -}}
{{- $tls := or .Values.redis.tls.caSecret .Values.redis.tls.certSecret $configured.tlsServerName -}}
{{- if and (not .Values.redis.url) (or .Values.redis.username $tls $configured.clusterNodes) -}}
{{- fail "redis.username, redis.tls and config.redis.clusterNodes are for an existing Redis: set redis.url, or leave them empty for the bundled one" -}}
{{- end -}}
{{- if and $tls (not (hasPrefix "rediss://" .Values.redis.url)) -}}
{{- fail "redis.tls and config.redis.tlsServerName are for TLS: redis.url must be rediss://, or no worker would start" -}}
{{- end -}}
{{- range $name := list (include "permafrost.fullname" .) (include "permafrost.name" .) -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "%s cannot be a part of names in Kubernetes: small letters, digits and hyphens, a letter first. Set fullnameOverride or nameOverride, or take another release name" $name) -}}
{{- end -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if regexMatch "^PERMAFROST_(CONFIG|ARCHIVE|SHARDS?|DATA_DIR|CLOSE_DEADLINE_MS|REDIS_[A-Z_]+|HTTP_HOST|HTTP_PORT|HTTP_STATUS_PAGE)$" .name -}}
{{- fail (printf "extraEnv must not hold %s, which the chart sets itself: all pods would have the same one, and the jobs another. See the values of the chart, and config" .name) -}}
{{- end -}}
{{- end -}}
{{- if gt (int .Values.topology.putShards) (int .Values.shards) -}}
{{- fail (printf "topology.putShards (%d) must not be more than shards (%d)" (int .Values.topology.putShards) (int .Values.shards)) -}}
{{- end -}}
{{- $found := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "permafrost.fullname" .) -}}
{{- if $found -}}
{{- if lt (int .Values.shards) (int $found.spec.replicas) -}}
{{- fail (printf "shards must not go from %d to %d: the records of the shards that are taken away could not be read any more. To put into fewer shards, keep shards at %d and set topology.putShards" (int $found.spec.replicas) (int .Values.shards) (int $found.spec.replicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
