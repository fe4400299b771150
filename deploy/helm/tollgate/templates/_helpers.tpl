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
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
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

{{/* Whether the chart creates the authority of this release: for the server's certificate, or for those of callers. */}}
{{- define "tollgate.hasAuthority" -}}
{{- with .Values.tls -}}
{{- if and .enabled (not .existingSecret) (not .issuer.name) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secrets of the server's certificate and of the authorities of client certificates. */}}
{{- define "tollgate.tlsSecret" -}}
{{- default (printf "%s-tls" (include "tollgate.fullname" .)) .Values.tls.existingSecret -}}
{{- end -}}

{{- define "tollgate.clientCaSecret" -}}
{{- default (include "tollgate.tlsSecret" .) .Values.tls.clientCa.secret -}}
{{- end -}}

{{- define "tollgate.asksForCertificates" -}}
{{- if and .Values.tls.enabled (ne .Values.tls.clientCertificates "none") -}}yes{{- end -}}
{{- end -}}

{{- define "tollgate.hasHeadless" -}}
{{- if or .Values.service.headless (eq .Values.backend "embedded") -}}yes{{- end -}}
{{- end -}}

{{/* Whether callers must have an identity. */}}
{{- define "tollgate.hasAuth" -}}
{{- with .Values.auth -}}
{{- if or .certificates .jwt .tokens.file -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tollgate.policiesMap" -}}
{{- default (printf "%s-policies" (include "tollgate.fullname" .)) .Values.existingPolicies -}}
{{- end -}}

{{- define "tollgate.hasAuditFile" -}}
{{- if and .Values.audit.enabled .Values.audit.volume -}}yes{{- end -}}
{{- end -}}

{{/* The settings auth.*, with the groups and tenants of tls.callers. */}}
{{- define "tollgate.auth" -}}
{{- $auth := deepCopy .Values.auth -}}
{{- range .Values.tls.callers -}}
{{- if or .groups .tenant -}}
{{- $_ := set $auth.certificate_callers (default .name .uri) (pick . "groups" "tenant") -}}
{{- end -}}
{{- end -}}
{{- if not $auth.tokens.file -}}
{{- $_ := unset $auth "tokens" -}}
{{- end -}}
{{- toYaml $auth -}}
{{- end -}}

{{/* The label of pods of the namespace that may call. */}}
{{- define "tollgate.clientLabel" -}}
{{ include "tollgate.fullname" . }}-client: "true"
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
{{- if .Values.insecure }}
insecure: true
{{- end }}
{{- if .Values.tls.enabled }}
tls:
  certificate: /etc/tollgate/tls/tls.crt
  key: /etc/tollgate/tls/tls.key
  {{- if include "tollgate.asksForCertificates" . }}
  client_ca: /etc/tollgate/client-ca/ca.crt
  client_certificates: {{ .Values.tls.clientCertificates }}
  {{- end }}
{{- end }}
{{- if include "tollgate.hasAuth" . }}
auth:
  {{- include "tollgate.auth" . | nindent 2 }}
policies: /etc/tollgate/policies
{{- end }}
{{- with .Values.audit }}
{{- if .enabled }}
audit:
  {{- if .volume }}
  file: /var/log/tollgate/audit.jsonl
  {{- end }}
  otlp: {{ .otlp }}
  chain: {{ .chain }}
  on_failure: {{ .onFailure }}
{{- end }}
{{- end }}
metrics:
  listen: {{ include "tollgate.address" (list .Values.listenHost .Values.metrics.port) | quote }}
  tls: {{ .Values.metrics.tls }}
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
{{- with .Values.tls -}}
{{- if not .enabled -}}
{{- if not $.Values.insecure -}}
{{- fail "tls.enabled is false: anyone who can reach the pods could read and write everything; set insecure to true if a mesh encrypts and authenticates" -}}
{{- end -}}
{{- if $.Values.metrics.tls -}}
{{- fail "metrics.tls needs tls.enabled" -}}
{{- end -}}
{{- else -}}
{{- if and (ne .clientCertificates "require") (not (include "tollgate.hasAuth" $)) (not $.Values.insecure) -}}
{{- fail (printf "tls.clientCertificates is %s, and auth names no source of identities: anyone would be served; set auth, or insecure to true if a mesh authenticates callers" .clientCertificates) -}}
{{- end -}}
{{- if and (ne .clientCertificates "none") (not .clientCa.secret) (not (include "tollgate.hasAuthority" $)) -}}
{{- fail "tls.clientCa.secret: set the authorities of client certificates, since the chart creates none with tls.existingSecret or tls.issuer" -}}
{{- end -}}
{{- if and .existingSecret .issuer.name -}}
{{- fail "tls.existingSecret and tls.issuer: set only one of them" -}}
{{- end -}}
{{- end -}}
{{- if and $.Values.auth.certificates (not (include "tollgate.asksForCertificates" $)) -}}
{{- fail "auth.certificates needs tls.enabled and tls.clientCertificates; set it to false if a mesh authenticates callers" -}}
{{- end -}}
{{- if and .callers (not (include "tollgate.hasAuthority" $)) -}}
{{- fail "tls.callers: the chart has no authority that could issue them; it needs tls.enabled without tls.existingSecret and tls.issuer" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.policies .Values.existingPolicies -}}
{{- fail "policies and existingPolicies: set only one of them" -}}
{{- end -}}
{{- if and (or .Values.policies .Values.existingPolicies) (not (include "tollgate.hasAuth" .)) -}}
{{- fail "policies need auth: without identities there is nobody to decide about" -}}
{{- end -}}
{{- with .Values.audit -}}
{{- if .enabled -}}
{{- if not .existingSecret -}}
{{- fail "audit.existingSecret: set the Secret with the key of the audit log: 32 bytes as base64" -}}
{{- end -}}
{{- if not (or .otlp .volume) -}}
{{- fail "audit: lines are neither exported nor in a file; set otlp to true, or volume" -}}
{{- end -}}
{{- if and .otlp (not $.Values.telemetry.endpoint) -}}
{{- fail "audit.otlp needs telemetry.endpoint; set audit.otlp to false, and audit.volume, to have files only" -}}
{{- end -}}
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
{{- if .Values.audit.enabled }}
- name: TOLLGATE_AUDIT__KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.audit.existingSecret }}
      key: {{ .Values.audit.secretKey }}
{{- end }}
{{- if or .Values.telemetry.endpoint (include "tollgate.hasAuditFile" .) }}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- end }}
{{- with .Values.telemetry }}
{{- if .endpoint }}
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
{{- $scheme := ternary "HTTPS" "HTTP" .Values.metrics.tls -}}
metadata:
  labels:
    {{- include "tollgate.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # changed settings, models or keys need new pods, since they are read only at startup; policies and certificates do not
    checksum/settings: {{ include (print $.Template.BasePath "/settings.yaml") . | sha256sum }}
    {{- if .Values.models }}
    checksum/models: {{ include (print $.Template.BasePath "/models.yaml") . | sha256sum }}
    {{- end }}
    {{- with .Values.tokenKey.value }}
    checksum/token-key: {{ sha256sum . }}
    {{- end }}
    {{- if and .Values.metrics.enabled .Values.metrics.podAnnotations }}
    prometheus.io/scrape: "true"
    prometheus.io/scheme: {{ lower $scheme }}
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
    # makes the key of the certificate readable (root:65532, 0440), and the root of the data volume writable, below which
    # the key files must keep mode 0600
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
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
        {{- if $embedded }}
        - --data
        - /var/lib/tollgate/data
        {{- end }}
      env:
        {{- include "tollgate.env" . | nindent 8 }}
      ports:
        - { name: grpc, containerPort: 50051 }
        - { name: metrics, containerPort: {{ .Values.metrics.port }} }
      # on the side port, since the kubelet has no client certificate: /readyz is 200 once the backend is open, 503 after
      # SIGTERM
      startupProbe:
        httpGet: { path: /readyz, port: metrics, scheme: {{ $scheme }} }
        periodSeconds: 2
        failureThreshold: 60
      readinessProbe:
        httpGet: { path: /readyz, port: metrics, scheme: {{ $scheme }} }
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet: { path: /healthz, port: metrics, scheme: {{ $scheme }} }
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
        {{- if .Values.tls.enabled }}
        - { name: tls, mountPath: /etc/tollgate/tls, readOnly: true }
        {{- end }}
        {{- if include "tollgate.asksForCertificates" . }}
        - { name: client-ca, mountPath: /etc/tollgate/client-ca, readOnly: true }
        {{- end }}
        {{- if include "tollgate.hasAuth" . }}
        - { name: policies, mountPath: /etc/tollgate/policies, readOnly: true }
        {{- end }}
        {{- if .Values.authSecret }}
        - { name: auth, mountPath: /etc/tollgate/auth, readOnly: true }
        {{- end }}
        {{- if include "tollgate.modelsMap" . }}
        - { name: models, mountPath: /etc/tollgate/models, readOnly: true }
        {{- end }}
        {{- if include "tollgate.hasAuditFile" . }}
        # a folder of each pod, since each process has a file
        - { name: audit, mountPath: /var/log/tollgate, subPathExpr: $(POD_NAME) }
        {{- end }}
        {{- if $embedded }}
        - { name: data, mountPath: /var/lib/tollgate }
        - { name: scratch, mountPath: /tmp }
        {{- end }}
  volumes:
    - name: settings
      configMap: { name: {{ include "tollgate.fullname" . }}-settings }
    {{- if .Values.tls.enabled }}
    - name: tls
      secret:
        secretName: {{ include "tollgate.tlsSecret" . }}
        # tollgate refuses a key that every user may read
        defaultMode: 0440
        items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }]
    {{- end }}
    {{- if include "tollgate.asksForCertificates" . }}
    - name: client-ca
      secret:
        secretName: {{ include "tollgate.clientCaSecret" . }}
        defaultMode: 0440
        # the certificates only: a Secret of an authority also has its key
        items: [{ key: {{ .Values.tls.clientCa.secretKey }}, path: ca.crt }]
    {{- end }}
    {{- if include "tollgate.hasAuth" . }}
    - name: policies
      configMap: { name: {{ include "tollgate.policiesMap" . }} }
    {{- end }}
    {{- with .Values.authSecret }}
    - name: auth
      secret: { secretName: {{ . }}, defaultMode: 0440 }
    {{- end }}
    {{- with include "tollgate.modelsMap" . }}
    - name: models
      configMap: { name: {{ . }} }
    {{- end }}
    {{- if include "tollgate.hasAuditFile" . }}
    - name: audit
      {{- toYaml .Values.audit.volume | nindent 6 }}
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
