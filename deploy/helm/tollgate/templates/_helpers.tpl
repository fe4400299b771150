{{/* Names, labels, the settings file, the pod, and checks that the schema cannot express. */}}

{{- define "tollgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough to append -headless and a number. */}}
{{- define "tollgate.fullname" -}}
{{- $name := include "tollgate.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tollgate.selector" -}}
app.kubernetes.io/name: {{ include "tollgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tollgate.labels" -}}
{{ include "tollgate.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tollgate.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tollgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tollgate.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}

{{- define "tollgate.tokenSecret" -}}
{{- default (printf "%s-token" (include "tollgate.fullname" .)) .Values.tokenKey.existingSecret -}}
{{- end -}}

{{- define "tollgate.modelsMap" -}}
{{- if .Values.existingModels -}}
{{- .Values.existingModels -}}
{{- else if .Values.models -}}
{{- printf "%s-models" (include "tollgate.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* HOST:PORT, with IPv6 hosts in brackets. Arguments: host and port. */}}
{{- define "tollgate.address" -}}
{{- $host := index . 0 -}}
{{- printf "%s:%d" (ternary (printf "[%s]" $host) $host (contains ":" $host)) (int (index . 1)) -}}
{{- end -}}

{{/* The value of a setting. Helm reads numbers as floats and would print a million as 1e+06. */}}
{{- define "tollgate.value" -}}
{{- if kindIs "float64" . -}}{{ int64 . }}{{- else -}}{{ toJson . }}{{- end -}}
{{- end -}}

{{/* tollgate.yaml */}}
{{- define "tollgate.settings" -}}
shutdown_grace: {{ int .Values.shutdownGraceSeconds }}s
{{- if .Values.prices }}
prices: /etc/tollgate/settings/prices.yaml
{{- end }}
{{- range $name, $value := .Values.config }}
{{- if kindIs "map" $value }}
{{ $name }}:
{{- range $inner, $leaf := $value }}
  {{ $inner }}: {{ include "tollgate.value" $leaf }}
{{- end }}
{{- else }}
{{ $name }}: {{ include "tollgate.value" $value }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Checks that values.schema.json cannot express. */}}
{{- define "tollgate.refuse" -}}
{{- if eq .Values.backend "embedded" -}}
{{- if ne (int .Values.replicaCount) 1 -}}
{{- fail "backend embedded: only one process at a time can use the data folder; set replicaCount to 1" -}}
{{- end -}}
{{- if .Values.autoscaling.enabled -}}
{{- fail "backend embedded: only one process at a time can use the data folder; set autoscaling.enabled to false" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.models .Values.existingModels -}}
{{- fail "models and existingModels: set only one of them" -}}
{{- end -}}
{{- if and .Values.tokenKey.value .Values.tokenKey.existingSecret -}}
{{- fail "tokenKey.value and tokenKey.existingSecret: set only one of them" -}}
{{- end -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail "autoscaling: minReplicas is greater than maxReplicas" -}}
{{- end -}}
{{- if not (or .cpuPercent .inFlightPercent) -}}
{{- fail "autoscaling: cpuPercent and inFlightPercent are both 0; set one of them" -}}
{{- end -}}
{{- if and .inFlightPercent (not $.Values.metrics.enabled) -}}
{{- fail "autoscaling.inFlightPercent needs metrics.enabled" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The environment of the container. */}}
{{- define "tollgate.env" -}}
- name: TOLLGATE_TOKEN_KEY
  valueFrom:
    secretKeyRef:
      name: {{ include "tollgate.tokenSecret" . }}
      key: {{ .Values.tokenKey.secretKey }}
{{- with .Values.telemetry }}
{{- if .endpoint }}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: OTEL_SERVICE_NAME
  value: {{ include "tollgate.name" $ }}
{{- $attributes := list "service.instance.id=$(POD_NAME)" "k8s.pod.name=$(POD_NAME)" "k8s.namespace.name=$(POD_NAMESPACE)" }}
{{- range $name, $value := .resourceAttributes }}
{{- $attributes = append $attributes (printf "%s=%s" $name $value) }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ join "," $attributes | quote }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .sampleRatio | toString | quote }}
{{- if .headersSecret.name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .headersSecret.name }}
      key: {{ .headersSecret.key }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The pod, of the Deployment and of the StatefulSet. */}}
{{- define "tollgate.pod" -}}
{{- $embedded := eq .Values.backend "embedded" -}}
metadata:
  labels:
    {{- include "tollgate.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # changed settings, models or keys need new pods, since they are read only at startup
    checksum/settings: {{ include (print $.Template.BasePath "/settings.yaml") . | sha256sum }}
    {{- if .Values.models }}
    checksum/models: {{ include (print $.Template.BasePath "/models.yaml") . | sha256sum }}
    {{- end }}
    {{- with .Values.tokenKey.value }}
    checksum/token-key: {{ sha256sum . }}
    {{- end }}
    {{- if and .Values.metrics.enabled .Values.metrics.podAnnotations }}
    prometheus.io/scrape: "true"
    prometheus.io/path: /metrics
    prometheus.io/port: {{ .Values.metrics.port | toString | quote }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tollgate.serviceAccount" . }}
  # tollgate never calls the Kubernetes API; the token for AWS is a separate one
  automountServiceAccountToken: false
  # a service called tollgate-x would set variables that look like settings
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add (int .Values.preStopSeconds) (int .Values.shutdownGraceSeconds) 5 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    {{- if $embedded }}
    # makes the root of the volume writable; the key files below it must keep mode 0600
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
    seccompProfile: { type: RuntimeDefault }
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  containers:
    - name: tollgate
      image: {{ include "tollgate.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        - --config
        - /etc/tollgate/settings/tollgate.yaml
        - --backend
        - {{ .Values.backend }}
        - --models
        - /etc/tollgate/models
        - --listen
        - {{ include "tollgate.address" (list .Values.listenHost 50051) | quote }}
        # there is no TLS or authentication: the network policy controls access
        - --insecure
        - --metrics-listen
        - {{ if .Values.metrics.enabled }}{{ include "tollgate.address" (list .Values.listenHost .Values.metrics.port) | quote }}{{ else }}"off"{{ end }}
        {{- if $embedded }}
        - --data
        - /var/lib/tollgate/data
        {{- end }}
      env:
        {{- include "tollgate.env" . | nindent 8 }}
      ports:
        - { name: grpc, containerPort: 50051 }
        {{- if .Values.metrics.enabled }}
        - { name: metrics, containerPort: {{ .Values.metrics.port }} }
        {{- end }}
      # gRPC health: SERVING once the backend is open, NOT_SERVING after SIGTERM
      startupProbe:
        grpc: { port: 50051 }
        periodSeconds: 2
        failureThreshold: 60
      readinessProbe:
        grpc: { port: 50051 }
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        grpc: { port: 50051 }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- if .Values.preStopSeconds }}
      lifecycle:
        preStop:
          sleep: { seconds: {{ .Values.preStopSeconds }} }
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - { name: settings, mountPath: /etc/tollgate/settings, readOnly: true }
        {{- if include "tollgate.modelsMap" . }}
        - { name: models, mountPath: /etc/tollgate/models, readOnly: true }
        {{- end }}
        {{- if $embedded }}
        - { name: data, mountPath: /var/lib/tollgate }
        - { name: scratch, mountPath: /tmp }
        {{- end }}
  volumes:
    - name: settings
      configMap: { name: {{ include "tollgate.fullname" . }}-settings }
    {{- with include "tollgate.modelsMap" . }}
    - name: models
      configMap: { name: {{ . }} }
    {{- end }}
    {{- if $embedded }}
    # for temporary files of SQLite
    - name: scratch
      emptyDir: {}
    {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and .Values.topologySpreadConstraints (not $embedded) }}
  topologySpreadConstraints:
    {{- range .Values.topologySpreadConstraints }}
    - {{- toYaml . | nindent 6 }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "tollgate.selector" $ | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end -}}
