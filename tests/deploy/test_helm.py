"""deploy/helm: linted, rendered, validated against the Kubernetes schemas, and loaded by the program as in a pod."""

import base64
import json
import os
import pathlib
import re

import kubernetes_validate
import pytest
import yaml

import queries
from program import BINARY, DEPLOY, ROOT, checked, clean_environment, image, leaves, run, serve_settings, variable

CHART = DEPLOY / "helm/tollgate"
CASES = ["default", *sorted(path.name.removesuffix("-values.yaml") for path in CHART.glob("ci/*-values.yaml"))]
KUBERNETES = ["1.30", "1.34"]
NONROOT = 65532
# settings that the chart sets through other values, and one that has a single value
OWNED = {
    "listen", "insecure", "models", "backend", "embedded.data", "embedded.memory", "metrics.listen", "token_key", "prices",
    "shutdown_grace", "kms.cache",
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


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_kubernetes_accepts_all_manifests(case, version):
    kinds = set()
    for document in render(*values_of(case), version=version):
        kinds.add(document["kind"])
        if document["kind"] != "PodMonitor":
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
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings["listen"].endswith(f":{ports['grpc']}")
    # `off` is a boolean in YAML
    side = settings["metrics.listen"]
    assert side.endswith(f":{ports['metrics']}") if "metrics" in ports else side in (False, "off")
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
    in_effect = serve_settings("--config", tmp_path / "tollgate.yaml")
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
    assert set(schema_settings()) | OWNED == set(serve_settings())
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


def test_probes_use_the_port_of_the_gateway(rendered):
    container = container_of(rendered)
    grpc = next(port["containerPort"] for port in container["ports"] if port["name"] == "grpc")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"]["port"] == grpc


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
    assert calls == {"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": "grpc"}]}
    assert scrapes["ports"] == [{"protocol": "TCP", "port": "metrics"}]
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


def test_the_command_of_the_test_pod_is_valid():
    words = one(render(), "Pod")["spec"]["containers"][0]["args"]
    assert run(BINARY, *words[:1], "--help").returncode == 0
    assert words[-1] in checked(BINARY, "call", "--help") and "--address" in checked(BINARY, "call", "--help")
