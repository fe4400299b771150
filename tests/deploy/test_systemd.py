"""deploy/systemd/tollgate.service: accepted by systemd, hardened by systemd's own rating, and valid for the program."""

import base64
import pathlib
import re
import shlex
import shutil

import pytest

import certificates
from program import BINARY, DEPLOY, checked, clean_environment, image, run, serve_settings

UNIT = DEPLOY / "systemd/tollgate.service"
# in tenths, as reported by `systemd-analyze security`; below 20 is rated OK
MOST_EXPOSED = 15


@pytest.fixture(scope="module")
def service():
    """The keys of [Service], each with its values in order."""
    section = UNIT.read_text().split("[Service]")[1].split("[Install]")[0]
    found = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", section, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path):
    """The unit with the path of the built program."""
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: install systemd"
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/usr/local/bin/tollgate", BINARY))
    return path


def test_systemd_accepts_the_unit(installed):
    ended = run("systemd-analyze", "verify", installed)
    assert (ended.returncode, ended.stderr) == (0, "")
    installed.write_text(installed.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps"))
    assert run("systemd-analyze", "verify", installed).stderr


def test_it_is_hardened(installed):
    checked("systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", installed)


def test_the_program_accepts_its_command_and_variables(service, tmp_path):
    (command,) = service["ExecStart"]
    path, verb, *arguments = shlex.split(command)
    assert path == image()["entrypoint"] and verb == "serve"
    shutil.copy(UNIT.with_name("tollgate.yaml"), tmp_path)
    settings = serve_settings(*arguments, cwd=tmp_path)
    assert settings["embedded.data"] == f"/var/lib/{service['StateDirectory'][0]}"
    assert pathlib.PurePath(settings["models"]).parent == pathlib.PurePath("/etc") / service["ConfigurationDirectory"][0]
    grace_s = int(re.fullmatch(r"(\d+)s", settings["shutdown_grace"]).group(1))
    assert int(service["TimeoutStopSec"][0]) > grace_s


def test_the_audit_log_of_the_example_is_in_the_folder_of_logs(service, tmp_path):
    text = UNIT.with_name("tollgate.yaml").read_text()
    (tmp_path / "tollgate.yaml").write_text(re.sub("^#(audit:|  file:|  chain:)", r"\1", text, flags=re.MULTILINE))
    key = base64.b64encode(bytes(32)).decode()
    settings = serve_settings(cwd=tmp_path, environment={"TOLLGATE_AUDIT__KEY": key})
    assert pathlib.PurePath(settings["audit.file"]).parent == pathlib.PurePath("/var/log") / service["LogsDirectory"][0]
    assert settings["audit.chain"] is True and service["LogsDirectoryMode"] == ["0700"]


def test_systemd_passes_the_certificate_and_its_key(service, tmp_path):
    """TLS is the default, and the service reads only copies of the files that root alone may read."""
    shutil.copy(UNIT.with_name("tollgate.yaml"), tmp_path)
    settings = serve_settings(cwd=tmp_path)
    credentials = dict(entry.split(":", 1) for entry in service["LoadCredential"])
    for path in ("tls.certificate", "tls.key"):
        folder, name = settings[path].rsplit("/", 1)
        assert folder == f"/run/credentials/{UNIT.name}" and name in credentials
    # the commands in the unit create what it loads
    words = re.search(r"deploy/certificates (\S+) \"([^\"]+)\" (\w+)", UNIT.read_text())
    folder, caller = words.group(1), words.group(3)
    certificates.make(tmp_path / "tls", "localhost", caller)
    for path in (*credentials.values(), settings["tls.client_ca"]):
        assert (tmp_path / "tls" / pathlib.PurePath(path).relative_to(folder)).is_file()
    assert not settings["insecure"] and settings["tls.client_certificates"] in (None, "require")
    assert settings["listen"].startswith("0.0.0.0:")


def test_settings_are_read_from_the_working_folder(service, tmp_path):
    assert service["WorkingDirectory"] == [f"/etc/{service['ConfigurationDirectory'][0]}"]
    (tmp_path / "tollgate.yaml").write_text("shutdown_grace: 7s\n")
    assert serve_settings(cwd=tmp_path)["shutdown_grace"] == "7s"


def test_nothing_in_the_unit_overrides_the_settings_file(service, tmp_path):
    set_by_unit = [entry for entry in service.get("Environment", []) if entry.startswith("TOLLGATE_")]
    arguments = shlex.split(service["ExecStart"][0])[2:]
    (tmp_path / "tollgate.yaml").write_text("models: /srv/models\nembedded: { data: /srv/data }\n")
    settings = serve_settings(*arguments, environment=dict(entry.split("=", 1) for entry in set_by_unit), cwd=tmp_path)
    assert (settings["models"], settings["embedded.data"]) == ("/srv/models", "/srv/data")


def test_invalid_settings_do_not_cause_restarts(service):
    assert service["RestartPreventExitStatus"] == ["2"] and service["Restart"] == ["on-failure"]
    assert run(BINARY, "serve", env=clean_environment(TOLLGATE_UNKNOWN="1")).returncode == 2
