"""deploy/compose.yaml: loaded by Compose's own loader, with every name checked against the program and other files."""

import os
import re
import shlex
import socket
import subprocess
import sys

import pytest
import yaml

import certificates
from program import BINARY, DEPLOY, LOCAL_STORES, ROOT, checked, clean_environment, gateway, image, run, serve_settings

GATEWAYS = {"tollgate": "embedded", "tollgate-aws": "aws-local"}
ALWAYS = {"certificates", "policies", "collector", "jaeger", "prometheus", "grafana"}


@pytest.fixture(scope="module")
def compose():
    """The file as Docker Compose resolves it, with absolute paths."""
    resolved = yaml.safe_load(checked(os.environ["COMPOSE"], "compose.yaml", cwd=DEPLOY, env=clean_environment()))
    for service in resolved["services"].values():
        # deploy/pin adds digests
        service["image"] = service["image"].split("@")[0]
    return resolved


def mounts(service):
    return {volume["target"]: volume["source"] for volume in service.get("volumes", [])}


def test_tls_with_client_certificates_is_the_default(compose):
    services = compose["services"]
    made = services["certificates"]
    assert made["user"] == "65532:65532" if "user" in made else "USER 65532:65532" in made["build"]["dockerfile_inline"]
    assert made["network_mode"] == "none"
    script, folder, names, caller = made["command"][1:]
    assert mounts(made)[script] == str(DEPLOY / "certificates")
    volumes = {target.removeprefix(f"{folder}/"): source for target, source in mounts(made).items() if target != script}
    assert set(volumes) == {"authority", "server", caller}
    for name in GATEWAYS:
        service = services[name]
        assert service["depends_on"]["certificates"]["condition"] == "service_completed_successfully"
        assert "--insecure" not in service["command"] if service.get("command") else True
        assert {name, "localhost", *service["networks"]["default"]["aliases"]} < set(names.split(","))
        # only the service that issues certificates has the key of the authority
        assert volumes["authority"] not in mounts(service).values()
        server, callers = (next(at for at, source in mounts(service).items() if source == volumes[of]) for of in ("server", caller))
        environment = {path: service["environment"][f"TOLLGATE_TLS__{path}"] for path in ("CERTIFICATE", "KEY", "CLIENT_CA")}
        assert environment == {"CERTIFICATE": f"{server}/tls.crt", "KEY": f"{server}/tls.key", "CLIENT_CA": f"{server}/ca.crt"}
        words = service["healthcheck"]["test"]
        assert f"--key={callers}/tls.key" in words


@pytest.mark.parametrize(
    "right, wrong", [("read_only:", "readonly:"), ("command: [serve,", "command: {serve,"), ("*local-aws]", "*unheard]")]
)
def test_a_wrong_file_is_refused(tmp_path, right, wrong):
    text = (DEPLOY / "compose.yaml").read_text()
    assert right in text
    (tmp_path / "compose.yaml").write_text(text.replace(right, wrong))
    assert run(os.environ["COMPOSE"], "compose.yaml", cwd=tmp_path).returncode != 0


def test_profiles(compose):
    profiles = {name: set(service.get("profiles", [])) for name, service in compose["services"].items()}
    assert {name for name, of in profiles.items() if not of} == ALWAYS
    assert profiles["tollgate"] == {"embedded"}
    local = {name for name, of in profiles.items() if of == {"aws-local"}}
    assert local == {"tollgate-aws", "provision", "dynamodb", "minio", "kms"}


def test_what_a_service_needs_runs_with_it(compose):
    services = compose["services"]
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            needed = set(services[other].get("profiles", []))
            assert not needed or set(service.get("profiles", [])) <= needed, f"{name} needs {other}"
        named = {volume["source"] for volume in service.get("volumes", []) if volume["type"] == "volume"}
        assert named <= set(compose["volumes"]), name


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_program_accepts_its_arguments_and_variables(compose, name):
    service = compose["services"][name]
    environment = {**image()["env"], **{key: str(value) for key, value in service["environment"].items()}}
    command = service.get("command") or image()["command"]
    assert command[0] == "serve"
    settings = serve_settings(*command[1:], environment=environment, cwd=image()["settings"])
    assert settings["backend"] == {"embedded": "embedded", "aws-local": "aws"}[GATEWAYS[name]]
    assert settings["models"] in mounts(service)
    assert mounts(service)[settings["models"]] == str(ROOT / "models")
    published = {port["target"] for port in service["ports"]}
    assert published == {int(settings[path].rsplit(":", 1)[1]) for path in ("listen", "metrics.listen")}
    assert settings["listen"].startswith("0.0.0.0:") and settings["metrics.listen"].startswith("0.0.0.0:")
    grace_s = int(re.fullmatch(r"(\d+)s", settings["shutdown_grace"]).group(1))
    assert int(re.fullmatch(r"(\d+)s", service["stop_grace_period"]).group(1)) > grace_s
    assert service["healthcheck"]["test"][:2] == ["CMD", image()["entrypoint"]]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    if settings["backend"] == "embedded":
        assert settings["embedded.data"] == image()["volume"] and mounts(service)[image()["volume"]] == "data"


@pytest.mark.parametrize("name", GATEWAYS)
def test_calls_are_audited_over_otlp(compose, name):
    service = compose["services"][name]
    environment = {key: str(value) for key, value in service["environment"].items()}
    settings = serve_settings(environment=environment, cwd=image()["settings"])
    assert settings["audit.otlp"] is True and settings["audit.key"] == "[redacted]"
    assert settings["audit.on_failure"] == "refuse"
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"]


def from_here(words, folder):
    """The words of a command, with the caller's files from this folder."""
    return [word.replace("/etc/tollgate/caller", str(folder / "caller")) for word in words]


def address_of(running):
    return clean_environment(TOLLGATE_ADDRESS=running.address)


def test_the_healthcheck_is_a_command_of_the_program(compose, tmp_path):
    words = compose["services"]["tollgate"]["healthcheck"]["test"][2:]
    with certificates.secure_gateway(tmp_path) as running:
        assert "SERVING" in checked(BINARY, *from_here(words, tmp_path), env=address_of(running))


def test_the_call_in_the_readme_is_a_command_of_the_program(compose, tmp_path):
    text = (DEPLOY / "README.md").read_text().replace("\\\n", " ")
    words = re.search(r"compose\.yaml exec (.*)", text).group(1)
    service, program, *words = shlex.split(words)
    assert service in compose["services"] and program == image()["entrypoint"] and words[0] == "call"
    with certificates.secure_gateway(tmp_path) as running:
        ended = run(BINARY, *from_here(words, tmp_path), env=address_of(running))
        # the item is printed to stdout, the bill to stderr
        assert ended.returncode == 0 and "ssn" in ended.stdout and "KMS calls" in ended.stderr


def test_only_the_loopback_address_is_published(compose):
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published and all(port["host_ip"] == "127.0.0.1" for port in published)


def test_every_mounted_file_exists(compose):
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert os.path.exists(volume["source"]), volume["source"]


def test_services_use_the_addresses_of_each_other(compose):
    services = compose["services"]
    collector = yaml.safe_load((DEPLOY / "collector/config.yaml").read_text())
    otlp_port = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].rsplit(":", 1)[1]
    for name in GATEWAYS:
        environment = services[name]["environment"]
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://collector:{otlp_port}"
        assert services[name]["networks"]["default"]["aliases"] == ["gateway"]
    assert collector["exporters"]["otlphttp/jaeger"]["endpoint"].split("/")[2].split(":")[0] in services
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped}
    assert targets["tollgate"] == ["gateway:9464"]
    reader = collector["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    assert targets["collector"] == [f"collector:{reader['port']}"]
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/tollgate.yaml").read_text())["datasources"]
    for source in sources:
        host, port = source["url"].removeprefix("http://").split(":")
        assert int(port) in {entry["target"] for entry in services[host]["ports"]}
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/tollgate.yaml").read_text())["providers"][0]
    dashboard = f"{provider['options']['path']}/tollgate.json"
    assert mounts(services["grafana"])[dashboard] == str(DEPLOY / "grafana/tollgate.json")
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard


def test_the_images_have_the_versions_that_the_tests_run(compose):
    services = compose["services"]
    requirements = (ROOT / "tests/interop/requirements.txt").read_text()
    moto = re.search(r"moto\[server\]==(\S+)", requirements).group(1)
    assert services["kms"]["image"] == services["provision"]["image"] == f"motoserver/moto:{moto}"
    pom = (ROOT / "tests/interop/dynamodb-local/pom.xml").read_text()
    version = re.search(r"DynamoDBLocal</artifactId>\s*<version>([^<]+)", pom).group(1)
    assert services["dynamodb"]["image"] == f"amazon/dynamodb-local:{version}"
    collector = re.search(r"version: (\S+)", (ROOT / "tests/deploy/otelcol.yaml").read_text()).group(1)
    assert services["collector"]["image"] == f"otel/opentelemetry-collector:{collector}"
    minio = re.search(r"github.com/minio/minio@\S+", (ROOT / "tests/interop/tool").read_text()).group(0)
    assert f"go install {minio}\n" in services["minio"]["build"]["dockerfile_inline"]
    jaeger = re.search(r"^jaeger\)\n +# release ([\d.]+),", (ROOT / "tests/interop/tool").read_text(), re.MULTILINE).group(1)
    assert services["jaeger"]["image"] == f"jaegertracing/jaeger:{jaeger}"


def test_the_pages_use_the_same_jaeger_image(compose):
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *DEPLOY.rglob("*.md")]
    named = [(page, image) for page in pages for image in re.findall(r"\S+/jaeger:\S+", page.read_text())]
    assert {ROOT / "README.md", ROOT / "docs/telemetry.md"} <= {page for page, _ in named}
    assert {image for _, image in named} == {compose["services"]["jaeger"]["image"]}, named


def test_the_endpoints_match_the_ports_of_the_local_stores(compose):
    services = compose["services"]
    environment, minio = services["tollgate-aws"]["environment"], services["minio"]["environment"]
    assert environment["AWS_ACCESS_KEY_ID"] == minio["MINIO_ROOT_USER"]
    assert environment["AWS_SECRET_ACCESS_KEY"] == minio["MINIO_ROOT_PASSWORD"]
    ports = {"amazon/dynamodb-local": "8000", "tollgate-minio": "9000", "motoserver/moto": "5000"}
    for service in ("DYNAMODB", "S3", "KMS"):
        host, port = environment[f"AWS_ENDPOINT_URL_{service}"].removeprefix("http://").split(":")
        assert "aws-local" in services[host]["profiles"]
        assert port == ports[services[host]["image"].split(":")[0]]
        assert services["provision"]["environment"][f"AWS_ENDPOINT_URL_{service}"] == environment[f"AWS_ENDPOINT_URL_{service}"]


@pytest.fixture(scope="module")
def moto():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_provision_creates_everything_that_the_models_need(compose, moto):
    endpoints = {name: moto for name in compose["services"]["provision"]["environment"] if name.startswith("AWS_ENDPOINT")}
    environment = {**LOCAL_STORES, **endpoints}
    command = [sys.executable, DEPLOY / "compose/provision.py", ROOT / "models"]
    # provision waits while the store is still starting
    made = checked(*command, env=clean_environment(**environment))
    for thing in ("table users", "table secure_users", "table documents", "bucket my-bucket", "key alias/my-app-key"):
        assert thing in made
    assert "nothing" in checked(*command, env=clean_environment(**environment))
    with gateway("--backend", "aws", "--models", ROOT / "models", environment=environment) as running:
        running.call("save", "User", "pk=u#1", "sk=p", "ssn=123-45-6789")
        assert "123-45-6789" in running.call("get", "User", "pk=u#1", "sk=p")
        running.call("save", "Document", "pk=d#1", "sk=1", f"content=@{ROOT / 'LICENSE'}")
