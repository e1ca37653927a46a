{{- define "shop.image" -}}
{{ .repository }}{{ if .tag }}:{{ .tag }}{{ end }}{{ if .digest }}@{{ .digest }}{{ end }}
{{- end }}

{{- define "shop.labels" -}}
app.kubernetes.io/part-of: shop
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "shop.env" -}}
- { name: POSTGRES_HOST, value: {{ ternary "shop-postgres" .Values.postgres.host .Values.postgres.enabled | quote }} }
- { name: POSTGRES_DB, value: {{ .Values.postgres.database | quote }} }
- { name: POSTGRES_USER, value: {{ .Values.postgres.user | quote }} }
- name: POSTGRES_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ .Values.postgres.existingSecret | default "shop-postgres" }}, key: password } }
- { name: REDIS_HOST, value: {{ ternary "shop-redis" .Values.redis.host .Values.redis.enabled | quote }} }
- { name: REDIS_PORT, value: "6379" }
- { name: POSTGRES_PORT, value: "5432" }
{{- end }}

{{- define "shop.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
{{- end }}
