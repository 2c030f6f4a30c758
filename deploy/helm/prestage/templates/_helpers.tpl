{{- define "prestage.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "prestage.labels" -}}
{{ include "prestage.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "prestage.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "prestage.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "prestage.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "prestage.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "prestage.coordinatorUrl" -}}
{{ include "prestage.scheme" . }}://{{ include "prestage.fullname" . }}-coordinator.{{ .Release.Namespace }}.svc:{{ .Values.coordinator.port }}
{{- end -}}

{{/* What the pods of coordinators and workers may do: nothing but run. */}}
{{- define "prestage.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "prestage.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The object store and telemetry, for both. */}}
{{- define "prestage.env" -}}
{{- range $name, $value := .Values.objects.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if .Values.objects.existingSecret }}
{{- range .Values.objects.secretKeys }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $.Values.objects.existingSecret }}
      key: {{ . }}
{{- end }}
{{- end }}
{{- if .Values.telemetry.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .Values.telemetry.otlpEndpoint | quote }}
{{- end }}
- name: PRESTAGE_LOG_JSON
  value: {{ .Values.telemetry.logJson | quote }}
{{- end -}}

{{- define "prestage.preStop" -}}
{{- if . }}
lifecycle:
  preStop:
    exec:
      command: [sleep, {{ . | quote }}]
{{- end }}
{{- end -}}

{{/* Mounts and volumes of distribution points: read only, whatever the volume would allow. */}}
{{- define "prestage.distributionPointMounts" -}}
{{- range . }}
- name: dp-{{ .name }}
  mountPath: {{ .mountPath }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "prestage.distributionPointVolumes" -}}
{{- range . }}
- name: dp-{{ .name }}
  {{- toYaml .volume | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Out quickly, in slowly and one at a time: who leaves drains first. */}}
{{- define "prestage.scaling" -}}
scaleUp:
  stabilizationWindowSeconds: 30
  policies:
    - type: Percent
      value: 100
      periodSeconds: 60
scaleDown:
  stabilizationWindowSeconds: {{ min 3600 .scaleInAfterSeconds }}
  policies:
    - type: Pods
      value: 1
      periodSeconds: 120
{{- end -}}

{{- define "prestage.scheme" -}}
{{ if .Values.trust.insecure }}http{{ else }}https{{ end }}
{{- end }}
