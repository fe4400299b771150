"""deploy/helm: linted, rendered, validated against the Kubernetes schemas, and loaded by the program as in a pod."""

import base64
import copy
import json
import os
import pathlib
import re
import urllib.request

import jsonschema
import kubernetes_validate
import pytest
import yaml

import certificates
import queries
from program import (
    BINARY, DEPLOY, ROOT, checked, clean_environment, gateway, image, leaves, run, serve_settings, variable,
)  # fmt: skip

CHART = DEPLOY / "helm/tollgate"
CASES = ["default", *sorted(path.name.removesuffix("-values.yaml") for path in CHART.glob("ci/*-values.yaml"))]
KUBERNETES = ["1.30", "1.34"]
NONROOT = 65532
# settings that the chart sets through other values or leaves out
OWNED = {
    "listen", "insecure", "models", "backend", "embedded.data", "embedded.memory", "metrics.listen", "metrics.tls",
    "auth.certificates", "auth.certificate_callers", "auth.jwt", "auth.tokens", "auth.public", "policies",
    "audit.file", "audit.otlp", "audit.key", "audit.chain", "audit.on_failure",
    "tls.certificate", "tls.key", "tls.client_ca", "tls.client_certificates", "token_key", "prices", "shutdown_grace",
}  # fmt: skip


def values_of(case):
    return [] if case == "default" else ["--values", CHART / f"ci/{case}-values.yaml"]


def render(*arguments, version=KUBERNETES[-1]):
    ended = run(os.environ["HELM"], "template", "gate", CHART, "--kube-version", version, *arguments)
    assert ended.returncode == 0, ended.stderr
    return [document for document in yaml.safe_load_all(ended.stdout) if document]


def refused(*arguments):
    ended = run(os.environ["HELM"], "template", "gate", CHART, "--kube-version", KUBERNETES[-1], *arguments)
    assert ended.returncode != 0, arguments
    return ended.stderr


def one(documents, kind, name=""):
    found = [entry for entry in documents if entry["kind"] == kind and entry["metadata"]["name"].endswith(name)]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]


def workload(documents):
    return next(entry for entry in documents if entry["kind"] in ("Deployment", "StatefulSet"))


def pod_of(documents):
    return workload(documents)["spec"]["template"]["spec"]


def container_of(documents):
    return pod_of(documents)["containers"][0]


def flag_of(container, flag):
    return container["args"][container["args"].index(flag) + 1]


@pytest.fixture(params=CASES)
def rendered(request):
    return render(*values_of(request.param))


@pytest.mark.parametrize("case", CASES)
def test_lint(case):
    checked(os.environ["HELM"], "lint", "--strict", CHART, *values_of(case))


def custom_schemas():
    """The schemas of cert-manager's kinds."""
    found = {}
    for path in pathlib.Path(os.environ["CERT_MANAGER_CRDS"]).glob("cert-manager.io_*.yaml"):
        for definition in yaml.safe_load_all(path.read_text()):
            (version,) = (entry for entry in definition["spec"]["versions"] if entry["storage"])
            found[definition["spec"]["names"]["kind"]] = closed(version["schema"]["openAPIV3Schema"])
    return found


def closed(schema):
    """The schema, with unknown fields refused, as `kubectl apply` does."""
    schema = copy.deepcopy(schema)
    if "properties" in schema:
        schema["properties"] = {name: closed(inner) for name, inner in schema["properties"].items()}
        schema.setdefault("additionalProperties", False)
    if "items" in schema:
        schema["items"] = closed(schema["items"])
    return schema


def validate_custom(document):
    schema = custom_schemas()[document["kind"]]
    schema["properties"]["metadata"] = {}
    jsonschema.validate(document, schema)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_kubernetes_accepts_all_manifests(case, version):
    kinds = set()
    for document in render(*values_of(case), version=version):
        kinds.add(document["kind"])
        if document["apiVersion"].startswith("cert-manager.io/"):
            validate_custom(document)
        elif document["kind"] != "PodMonitor":
            kubernetes_validate.validate(document, version, strict=True)
    assert {"ConfigMap", "Service"} < kinds and kinds & {"Deployment", "StatefulSet"}


def test_rejects_an_old_kubernetes_version():
    ended = run(os.environ["HELM"], "template", "gate", CHART, "--kube-version", "1.29")
    assert ended.returncode != 0 and "kubeVersion" in ended.stderr


def test_versions_match_the_program():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'\[workspace\.package\]\nversion = "([^"]+)"', (ROOT / "Cargo.toml").read_text()).group(1)
    assert chart["appVersion"] == version
    assert container_of(render())["image"] == f"tollgate:{version}"


def write_map(folder, data):
    """A ConfigMap's files as the kubelet mounts them: links into a hidden folder that is replaced atomically."""
    hidden = folder / "..2026_01_01"
    hidden.mkdir(parents=True)
    (folder / "..data").symlink_to(hidden.name)
    for name, text in data.items():
        (hidden / name).write_text(text)
        (folder / name).symlink_to(f"..data/{name}")


def mounted(documents, folder):
    """Writes the pod's ConfigMaps to folders; returns the folder for each mount path of the container."""
    maps = {entry["metadata"]["name"]: entry["data"] for entry in documents if entry["kind"] == "ConfigMap"}
    volumes = {volume["name"]: volume for volume in pod_of(documents)["volumes"]}
    replaced = {}
    for mount in container_of(documents)["volumeMounts"]:
        named = volumes.get(mount["name"], {}).get("configMap", {}).get("name")
        if named in maps:
            write_map(folder / mount["name"], maps[named])
            replaced[mount["mountPath"]] = str(folder / mount["name"])
    return replaced


def test_the_program_accepts_the_arguments_settings_and_models_of_the_pod(rendered, tmp_path):
    container = container_of(rendered)
    replaced = mounted(rendered, tmp_path)
    settings_file = pathlib.Path(flag_of(container, "--config"))
    arguments = list(container["args"])
    arguments[arguments.index(str(settings_file))] = f"{replaced[str(settings_file.parent)]}/{settings_file.name}"
    secret = base64.b64encode(bytes(32)).decode()
    environment = {
        **image()["env"],
        **{entry["name"]: entry.get("value", secret) for entry in container["env"]},
    }
    assert arguments[0] == "serve"
    settings = serve_settings(*arguments[1:], environment=environment)
    # files that the pod mounts from Secrets
    mounts = [pathlib.PurePath(mount["mountPath"]) for mount in container["volumeMounts"]]
    for path in ("tls.certificate", "tls.key", "tls.client_ca"):
        assert settings[path] is None or pathlib.PurePath(settings[path]).parent in mounts
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings["listen"].endswith(f":{ports['grpc']}")
    assert settings["metrics.listen"].endswith(f":{ports['metrics']}")
    assert settings["models"] == "/etc/tollgate/models" == image()["models"]
    assert settings["token_key"] == "[redacted]"
    if "/etc/tollgate/models" in replaced:
        assert "no faults" in checked(BINARY, "check", replaced["/etc/tollgate/models"], env=clean_environment())
    if settings["prices"]:
        assert pathlib.Path(settings["prices"]).parent == settings_file.parent
        assert (pathlib.Path(replaced[str(settings_file.parent)]) / pathlib.Path(settings["prices"]).name).exists()


def test_every_value_of_config_takes_effect(tmp_path):
    given = yaml.safe_load((CHART / "ci/production-values.yaml").read_text())["config"]
    documents = render(*values_of("production"))
    written = one(documents, "ConfigMap", "-settings")["data"]["tollgate.yaml"]
    (tmp_path / "tollgate.yaml").write_text(written)
    # the chart takes the key from a Secret
    key = {"TOLLGATE_AUDIT__KEY": base64.b64encode(bytes(32)).decode()}
    in_effect = serve_settings("--config", tmp_path / "tollgate.yaml", environment=key)
    text = lambda value: str(value).replace("m", "") if str(value).endswith("m") else str(value)
    for path, value in leaves(given):
        assert text(in_effect[path]) == text(value), path
    assert in_effect["shutdown_grace"] == "1m"


def schema():
    return json.loads((CHART / "values.schema.json").read_text())


def schema_settings():
    """The settings in the schema by their paths."""
    definitions = schema()["definitions"]

    def walk(node, prefix):
        for name, inner in node["properties"].items():
            if "properties" in inner:
                yield from walk(inner, f"{prefix}{name}.")
            else:
                yield prefix + name, definitions[inner["$ref"].rsplit("/", 1)[1]] if "$ref" in inner else inner

    return dict(walk(definitions["settings"], ""))


def test_the_schema_has_every_setting_of_the_program():
    assert set(schema_settings()) == set(serve_settings()) - OWNED
    assert not set(schema_settings()) & OWNED


def accepts(path, value):
    environment = clean_environment(**{variable(path): str(value)})
    return run(BINARY, "serve", "--print-config", env=environment).returncode == 0


@pytest.mark.parametrize("path, of", schema_settings().items())
def test_bounds_and_choices_match_the_program(path, of):
    if of.get("type") == "integer":
        least, most = of["minimum"], of["maximum"]
        assert [accepts(path, value) for value in (least - 1, least, most, most + 1)] == [False, True, True, False]
    words = of.get("enum") or of.get("items", {}).get("enum", [])
    assert all(accepts(path, word) for word in words) and not (words and accepts(path, "other"))


def test_every_value_is_documented_and_typed():
    values, known = yaml.safe_load((CHART / "values.yaml").read_text()), schema()["properties"]
    assert set(values) | {"global"} == set(known)
    for name, value in values.items():
        if isinstance(value, dict) and "properties" in known[name]:
            assert set(value) <= set(known[name]["properties"]), name


@pytest.mark.parametrize(
    "wrong",
    [
        "backend=dynamodb",
        "replicaCount=-1",
        "replicaCount=two",
        "unheard=1",
        "config.unheard=1",
        "config.listen=0.0.0.0:1",
        "config.token_key=x",
        "config.limits.in_flight=0",
        "config.limits.deadline=soon",
        "config.log.level=loud",
        "config.trailers={bill}",
        "tokenKey.value=c2hvcnQ=",
        "metrics.port=50051",
        "image.digest=0.1.0",
        "tls.clientCertificates=perhaps",
        "tls.unheard=1",
        "tls.callers[0].name=Shop",
        "tls.callers[0].uri=spiffe://example.com/shop",
        "config.tls.key=x",
        "auth.unheard=1",
        "auth.jwt[0].issuer=x",
        "auth.public={metrics}",
        r"policies.user\.yaml=x",
        "config.insecure=true",
        "config.audit.otlp=true",
        "audit.onFailure=ignore",
        "audit.unheard=1",
        "service.port=70000",
        "telemetry.endpoint=collector:4317",
        "telemetry.protocol=http/json",
        "telemetry.sampleRatio=2",
        "serviceAccount.roleArn=tollgate",
        "podDisruptionBudget.maxUnavailable=some",
        r"models.user\.json=x",
    ],
)
def test_the_schema_rejects_invalid_values(wrong):
    assert "values don't meet the specifications of the schema" in refused("--set", wrong)


@pytest.mark.parametrize(
    "wrong, expected",
    [
        ("backend=embedded", "set replicaCount to 1"),
        ("backend=embedded,replicaCount=1,autoscaling.enabled=true", "autoscaling.enabled to false"),
        (r"models.a\.yaml=x,existingModels=y", "models and existingModels"),
        (f"tokenKey.existingSecret=x,tokenKey.value={base64.b64encode(bytes(32)).decode()}", "tokenKey.value and"),
        ("autoscaling.enabled=true,autoscaling.minReplicas=11", "minReplicas is greater"),
        ("tls.enabled=false", "set insecure to true"),
        ("tls.enabled=false,insecure=true", "auth.certificates needs"),
        ("tls.enabled=false,insecure=true,metrics.tls=true", "metrics.tls needs tls.enabled"),
        ("tls.clientCertificates=request,auth.certificates=false", "set auth, or insecure"),
        ("tls.clientCertificates=none,auth.certificates=false", "set auth, or insecure"),
        ("tls.clientCertificates=none", "auth.certificates needs"),
        (r"auth.certificates=false,policies.a\.cedar=x", "policies need auth"),
        (r"policies.a\.cedar=x,existingPolicies=y", "policies and existingPolicies"),
        ("audit.enabled=true", "audit.existingSecret: set"),
        ("audit.enabled=true,audit.existingSecret=x,audit.otlp=false", "neither exported nor in a file"),
        ("audit.enabled=true,audit.existingSecret=x", "audit.otlp needs telemetry.endpoint"),
        ("tls.existingSecret=x", "tls.clientCa.secret: set the authorities"),
        ("tls.issuer.name=x", "tls.clientCa.secret: set the authorities"),
        ("tls.issuer.name=x,tls.existingSecret=y,tls.clientCa.secret=z", "set only one of them"),
        ("tls.issuer.name=x,tls.clientCa.secret=z,tls.callers[0].name=shop", "tls.callers: the chart has no authority"),
        ("autoscaling.enabled=true,autoscaling.cpuPercent=0", "both 0"),
        ("autoscaling.enabled=true,autoscaling.inFlightPercent=70,metrics.enabled=false", "needs metrics.enabled"),
    ],
)
def test_the_templates_reject_inconsistent_values(wrong, expected):
    assert expected in refused("--set", wrong)


def test_pods_are_unprivileged(rendered):
    pod = pod_of(rendered)
    assert "nonroot" in image()["from"]
    context = pod["securityContext"]
    assert context["runAsNonRoot"] and context["runAsUser"] == context["runAsGroup"] == NONROOT
    container = container_of(rendered)["securityContext"]
    assert container["readOnlyRootFilesystem"] and not container["allowPrivilegeEscalation"]
    assert container["capabilities"] == {"drop": ["ALL"]}
    # otherwise the service of another release would set variables that are not settings
    assert pod["enableServiceLinks"] is False and pod["automountServiceAccountToken"] is False


def settings_of(documents):
    return yaml.safe_load(one(documents, "ConfigMap", "-settings")["data"]["tollgate.yaml"])


def test_probes_use_the_side_port_which_needs_no_certificate(rendered):
    container = container_of(rendered)
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    metrics = settings_of(rendered)["metrics"]
    assert metrics["listen"].endswith(f":{named['metrics']}")
    paths = {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    for probe, path in paths.items():
        scheme = "HTTPS" if metrics["tls"] else "HTTP"
        assert container[probe]["httpGet"] == {"path": path, "port": "metrics", "scheme": scheme}


def test_the_paths_of_the_probes_are_served():
    with gateway("--memory") as running:
        for path in {container_of(render())[probe]["httpGet"]["path"] for probe in ("readinessProbe", "livenessProbe")}:
            with urllib.request.urlopen(f"http://{running.metrics}{path}", timeout=30) as response:
                assert response.status == 200


def test_tls_with_client_certificates_is_the_default():
    documents = render()
    assert "insecure" not in settings_of(documents) and "--insecure" not in container_of(documents)["args"]
    assert settings_of(documents)["tls"] == {
        "certificate": "/etc/tollgate/tls/tls.crt",
        "key": "/etc/tollgate/tls/tls.key",
        "client_ca": "/etc/tollgate/client-ca/ca.crt",
        "client_certificates": "require",
    }
    for service in (entry for entry in documents if entry["kind"] == "Service"):
        assert service["spec"]["ports"][0]["appProtocol"] == "https"
    bare = render(*values_of("bare"))
    assert settings_of(bare)["insecure"] is True and "tls" not in settings_of(bare)
    assert one(bare, "Service")["spec"]["ports"][0]["appProtocol"] == "kubernetes.io/h2c"
    assert not [entry for entry in bare if entry["apiVersion"].startswith("cert-manager.io/")]


def test_client_certificates_identify_callers_by_default():
    settings = settings_of(render())
    assert settings["auth"] == {"certificates": True, "certificate_callers": {}, "jwt": [], "public": ["health"]}
    assert "auth" not in settings_of(render(*values_of("bare"))) and "policies" not in settings_of(render(*values_of("bare")))


def test_groups_and_tenants_of_callers_are_settings():
    callers = settings_of(render(*values_of("embedded")))["auth"]["certificate_callers"]
    assert callers == {
        "spiffe://example.com/shop": {"groups": ["writers"], "tenant": "acme"},
        "reports": {"groups": ["readers"]},
    }


def test_every_setting_of_auth_is_passed_on():
    given = yaml.safe_load((CHART / "ci/production-values.yaml").read_text())["auth"]
    documents = render(*values_of("production"))
    assert settings_of(documents)["auth"] == {"certificates": True, **given}
    # the files that it names
    secret = next(volume["secret"] for volume in pod_of(documents)["volumes"] if volume["name"] == "auth")
    assert secret == {"secretName": "gateway-auth", "defaultMode": 0o440}
    mount = next(entry for entry in container_of(documents)["volumeMounts"] if entry["name"] == "auth")
    assert given["jwt"][0]["jwks_ca"].startswith(mount["mountPath"] + "/")
    assert given["tokens"]["file"].startswith(mount["mountPath"] + "/")


def test_every_setting_of_the_audit_log_is_passed_on():
    assert "audit" not in settings_of(render())
    assert "TOLLGATE_AUDIT__KEY" not in {entry["name"] for entry in container_of(render())["env"]}
    exported, written = render(*values_of("production")), render(*values_of("embedded"))
    assert settings_of(exported)["audit"] == {"otlp": True, "chain": True, "on_failure": "refuse"}
    assert settings_of(written)["audit"] == {
        "file": "/var/log/tollgate/audit.jsonl", "otlp": False, "chain": False, "on_failure": "continue"
    }  # fmt: skip
    paths = {path for path in serve_settings() if path.startswith("audit.")}
    passed_on = {f"audit.{name}" for documents in (exported, written) for name in settings_of(documents)["audit"]}
    assert paths == passed_on | {"audit.key"}
    for documents, key in ((exported, "key"), (written, "audit-key")):
        env = {entry["name"]: entry for entry in container_of(documents)["env"]}
        named = env["TOLLGATE_AUDIT__KEY"]["valueFrom"]["secretKeyRef"]
        assert named == {"name": "tollgate-audit", "key": key}


def test_the_audit_files_of_pods_are_in_folders_of_their_names():
    documents = render(*values_of("embedded"))
    volumes = {volume["name"]: volume for volume in pod_of(documents)["volumes"]}
    assert volumes["audit"]["emptyDir"] == {"sizeLimit": "1Gi"}
    (mount,) = (entry for entry in container_of(documents)["volumeMounts"] if entry["name"] == "audit")
    assert mount["subPathExpr"] == "$(POD_NAME)" and not mount.get("readOnly")
    file = pathlib.PurePath(settings_of(documents)["audit"]["file"])
    assert str(file.parent) == mount["mountPath"]
    assert "POD_NAME" in {entry["name"] for entry in container_of(documents)["env"]}
    assert "audit" not in {volume["name"] for volume in pod_of(render(*values_of("production")))["volumes"]}


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("bare", "tracing")])
def test_policies_pass_the_check_of_the_program(case, tmp_path):
    documents = render(*values_of(case))
    folders = mounted(documents, tmp_path)
    models = folders.get("/etc/tollgate/models", str(ROOT / "models"))
    policies = folders[settings_of(documents)["policies"]]
    checked(BINARY, "policy", "check", policies, "--models", models, env=clean_environment())
    (pathlib.Path(policies) / "wrong.cedar").write_text("permit (principal, action == Tollgate::Action::\"Gett\", resource);")
    assert run(BINARY, "policy", "check", policies, "--models", models, env=clean_environment()).returncode != 0


def test_policies_are_mounted_from_a_map():
    default = render()
    folder = settings_of(default)["policies"]
    mounts = {entry["name"]: entry["mountPath"] for entry in container_of(default)["volumeMounts"]}
    assert mounts["policies"] == folder
    data = one(default, "ConfigMap", "-policies")["data"]
    assert data["default.cedar"].strip() == (DEPLOY / "policies/default.cedar").read_text().strip()
    # policies of the values replace the default
    assert set(one(render(*values_of("embedded")), "ConfigMap", "-policies")["data"]) == {"callers.cedar"}
    existing = render(*values_of("tracing"))
    assert not [entry for entry in existing if entry["metadata"]["name"].endswith("-policies") and entry["kind"] == "ConfigMap"]
    volume = next(volume for volume in pod_of(existing)["volumes"] if volume["name"] == "policies")
    assert volume["configMap"] == {"name": "my-policies"}


def secret_volumes(documents):
    volumes = {volume["name"]: volume["secret"] for volume in pod_of(documents)["volumes"] if "secret" in volume}
    return {name: (volume["secretName"], volume.get("items")) for name, volume in volumes.items()}


@pytest.mark.parametrize(
    "case, server, callers, key",
    [
        ("default", "gate-tollgate-tls", "gate-tollgate-tls", "ca.crt"),
        ("embedded", "gate-tollgate-tls", "gate-tollgate-tls", "ca.crt"),
        ("production", "gate-tollgate-tls", "callers-ca", "bundle.pem"),
        ("tracing", "gateway-tls", "callers-ca", "ca.crt"),
    ],
)
def test_certificates_are_mounted_without_keys_of_authorities(case, server, callers, key):
    documents = render(*values_of(case))
    pair = [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}]
    volumes = secret_volumes(documents)
    assert volumes["tls"] == (server, pair)
    assert volumes["client-ca"] == (callers, [{"key": key, "path": "ca.crt"}])
    issued = [entry["spec"]["secretName"] for entry in documents if entry["kind"] == "Certificate"]
    assert (server in issued) == (case != "tracing")


def test_the_program_accepts_the_modes_of_mounted_keys(tmp_path):
    """The kubelet writes the files of a Secret as root, with the mode of the volume and the group of `fsGroup`."""
    documents = render()
    volumes = {volume["name"]: volume["secret"] for volume in pod_of(documents)["volumes"] if "secret" in volume}
    assert {volume["defaultMode"] for volume in volumes.values()} == {0o440}
    assert pod_of(documents)["securityContext"]["fsGroup"] == NONROOT
    certificates.make(tmp_path, "localhost")
    tls = {**settings_of(documents)["tls"], **certificates.settings(tmp_path)["tls"]}
    (tmp_path / "tollgate.yaml").write_text(yaml.safe_dump({"tls": tls}))
    os.chmod(tls["key"], 0o440)
    with gateway("--memory", "--config", tmp_path / "tollgate.yaml"):
        pass
    os.chmod(tls["key"], 0o444)
    command = [BINARY, "serve", "--memory", "--listen", "127.0.0.1:0", "--metrics-listen", "off"]
    ended = run(*command, "--config", tmp_path / "tollgate.yaml", env=clean_environment())
    assert ended.returncode == 2 and "tls.key" in ended.stderr


def issued(documents):
    return {entry["spec"]["secretName"]: entry["spec"] for entry in documents if entry["kind"] == "Certificate"}


def test_certificates_have_the_names_of_the_services():
    documents = render(*values_of("embedded"), "--namespace", "data")
    names = issued(documents)["gate-tollgate-tls"]["dnsNames"]
    for service in (entry["metadata"]["name"] for entry in documents if entry["kind"] == "Service"):
        assert {service, f"{service}.data", f"{service}.data.svc", f"{service}.data.svc.cluster.local"} < set(names)
    assert "tollgate.example.com" in names


def test_the_authority_of_the_release_issues_to_server_and_callers():
    documents = render(*values_of("embedded"))
    issuers = {entry["metadata"]["name"]: entry["spec"] for entry in documents if entry["kind"] == "Issuer"}
    assert issuers == {"gate-tollgate-self-signed": {"selfSigned": {}}, "gate-tollgate-ca": {"ca": {"secretName": "gate-tollgate-ca"}}}
    specs = issued(documents)
    authority = specs.pop("gate-tollgate-ca")
    assert authority["isCA"] and authority["issuerRef"]["name"] == "gate-tollgate-self-signed"
    # a renewed authority with another key would invalidate every certificate at once
    assert authority["privateKey"]["rotationPolicy"] == "Never"
    assert {spec["issuerRef"]["name"] for spec in specs.values()} == {"gate-tollgate-ca"}
    usage = {name: spec["usages"][-1] for name, spec in specs.items()}
    assert usage.pop("gate-tollgate-tls") == "server auth" and set(usage.values()) == {"client auth"}
    assert specs["gate-tollgate-caller-shop"]["uris"] == ["spiffe://example.com/shop"]
    assert specs["gate-tollgate-caller-reports"]["dnsNames"] == ["reports"]
    other = render(*values_of("production"))
    assert not [entry for entry in other if entry["kind"] == "Issuer"]
    assert issued(other)["gate-tollgate-tls"]["issuerRef"]["kind"] == "ClusterIssuer"


def test_metrics_over_tls_are_scraped_over_tls():
    endpoint = one(render(*values_of("production")), "PodMonitor")["spec"]["podMetricsEndpoints"][0]
    assert endpoint["scheme"] == "https" and endpoint["tlsConfig"]["serverName"] == "gate-tollgate"
    annotations = lambda *arguments: workload(render(*arguments))["spec"]["template"]["metadata"]["annotations"]
    assert annotations()["prometheus.io/scheme"] == "http"
    assert annotations("--set", "metrics.tls=true")["prometheus.io/scheme"] == "https"


def test_a_digest_selects_the_image():
    assert "tollgate@sha256:" in container_of(render(*values_of("production")))["image"]


@pytest.mark.parametrize("case, pause_s, grace_s", [("default", 5, 30), ("production", 15, 60), ("bare", 0, 0)])
def test_the_termination_grace_period_covers_pause_and_drain(case, pause_s, grace_s):
    documents = render(*values_of(case))
    assert pod_of(documents)["terminationGracePeriodSeconds"] == pause_s + grace_s + 5
    lifecycle = container_of(documents).get("lifecycle")
    assert lifecycle == ({"preStop": {"sleep": {"seconds": pause_s}}} if pause_s else None)
    settings = yaml.safe_load(one(documents, "ConfigMap", "-settings")["data"]["tollgate.yaml"])
    assert settings["shutdown_grace"] == f"{grace_s}s"


def test_the_embedded_backend_has_one_pod_with_a_volume():
    documents = render(*values_of("embedded"))
    found = one(documents, "StatefulSet")["spec"]
    assert found["replicas"] == 1
    claim = found["volumeClaimTemplates"][0]
    mount = {mount["name"]: mount["mountPath"] for mount in container_of(documents)["volumeMounts"]}
    data = flag_of(container_of(documents), "--data")
    # below the root of the volume, whose mode the kubelet changes; modes below it stay as they are
    assert data.startswith(mount[claim["metadata"]["name"]] + "/")
    assert pod_of(documents)["securityContext"]["fsGroup"] == NONROOT
    assert pod_of(documents)["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    one(documents, "Service", found["serviceName"].removeprefix("gate-tollgate"))
    assert not [entry for entry in documents if entry["kind"] in ("PodDisruptionBudget", "HorizontalPodAutoscaler")]


def test_the_token_key_is_generated_set_or_referenced():
    made = one(render(), "Secret")
    assert len(base64.b64decode(base64.b64decode(made["data"]["token-key"]))) == 32
    assert made["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    given = base64.b64encode(bytes(range(32))).decode()
    secret = one(render("--set", f"tokenKey.value={given}"), "Secret")
    assert base64.b64decode(secret["data"]["token-key"]).decode() == given
    documents = render(*values_of("production"))
    assert not [entry for entry in documents if entry["kind"] == "Secret"]
    source = next(entry for entry in container_of(documents)["env"] if entry["name"] == variable("token_key"))
    assert source["valueFrom"]["secretKeyRef"]["name"] == "tollgate-token-key"


def test_changed_settings_and_models_roll_the_pods():
    stamps = lambda *arguments: workload(render(*arguments))["spec"]["template"]["metadata"]["annotations"]
    base = stamps("--set-string", r"models.a\.yaml=x")
    other_model = stamps("--set-string", r"models.a\.yaml=y")
    other_setting = stamps("--set-string", r"models.a\.yaml=x", "--set", "config.finished_calls=5")
    changed = lambda other: {name for name in base if base[name] != other[name]}
    assert (changed(other_model), changed(other_setting)) == ({"checksum/models"}, {"checksum/settings"})


def test_scales_by_calls_in_flight_and_by_cpu():
    spec = one(render(*values_of("production")), "HorizontalPodAutoscaler")["spec"]
    by_calls, by_cpu = spec["metrics"]
    assert by_calls["pods"]["target"] == {"type": "AverageValue", "averageValue": "700m"}
    assert by_cpu["resource"]["target"]["averageUtilization"] == 80
    rule = yaml.safe_load((DEPLOY / "helm/prometheus-adapter.yaml").read_text())["rules"]["custom"][0]
    assert rule["name"]["as"] == by_calls["pods"]["metric"]["name"]
    known = set((DEPLOY / "metrics.txt").read_text().split())
    query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod").replace("<<.LabelMatchers>>", "")
    named = {name for text in (rule["seriesQuery"], query) for name, _ in queries.selected(text)}
    assert named == {"tollgate_calls_in_flight", "tollgate_calls_limit"} <= known
    assert "replicas" not in workload(render(*values_of("production")))["spec"]


def test_the_network_policy_allows_clients_scrapes_and_required_egress():
    default = one(render(), "NetworkPolicy")["spec"]
    calls, scrapes = default["ingress"]
    labelled = {"podSelector": {"matchLabels": {"gate-tollgate-client": "true"}}}
    assert calls == {"from": [labelled], "ports": [{"protocol": "TCP", "port": "grpc"}]}
    assert one(render(), "Pod")["metadata"]["labels"]["gate-tollgate-client"] == "true"
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert scrapes == {"from": [monitoring], "ports": [{"protocol": "TCP", "port": "metrics"}]}
    named = one(render(*values_of("production")), "NetworkPolicy")["spec"]["ingress"][0]["from"]
    assert len(named) == 2 and named[0] == labelled and named[1]["namespaceSelector"]
    # an empty list would allow everyone
    for rule in one(render("--set", "networkPolicy.scrapers=null"), "NetworkPolicy")["spec"]["ingress"]:
        assert rule["from"]
    out = lambda documents: {
        port["port"] for rule in one(documents, "NetworkPolicy")["spec"]["egress"] for port in rule["ports"]
    }
    assert out(render()) == {53, 443}
    assert out(render(*values_of("tracing"))) == {53, 443, 4317}
    assert out(render(*values_of("production"))) == {53, 443, 80}
    assert out(render("--set", "telemetry.endpoint=http://collector/otlp")) == {53, 443, 80}


def test_the_role_is_set_on_the_service_account():
    account = one(render(*values_of("production")), "ServiceAccount")
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].endswith(":role/tollgate")
    assert pod_of(render(*values_of("production")))["serviceAccountName"] == account["metadata"]["name"]


def test_the_command_of_the_test_pod_is_valid(tmp_path):
    pod = one(render(), "Pod")["spec"]
    words = pod["containers"][0]["args"]
    assert words[:2] == ["call", "--address"] and words[2] == "https://gate-tollgate:50051"
    mounted_at = pod["containers"][0]["volumeMounts"][0]["mountPath"]
    spec = issued(render())[pod["volumes"][0]["secret"]["secretName"]]
    assert "client auth" in spec["usages"]
    with certificates.secure_gateway(tmp_path) as running:
        words = [word.replace(mounted_at, str(tmp_path / "caller")) for word in words]
        words[2] = f"https://{running.address}"
        assert "SERVING" in checked(BINARY, *words, env=clean_environment())
    # with authorities of others the chart has no certificate to call with
    assert not [entry for entry in render(*values_of("production")) if entry["kind"] == "Pod"]
