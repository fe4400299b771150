"""deploy/certificates: what it creates, when it renews, and that the server and callers accept it."""

import os
import stat

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

import certificates
from program import BINARY, DEPLOY, clean_environment, run


def loaded(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def alternative_names(path):
    extension = loaded(path).extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    # as RFC 5280 requires for an empty subject
    assert extension.critical
    return {str(name.value) for name in extension.value}


def usages(path):
    return list(loaded(path).extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_server_and_callers_accept_them(tmp_path):
    with certificates.secure_gateway(tmp_path) as running:
        address = f"https://{running.address}"
        call = [BINARY, "call", "--address", address]
        ended = run(*call, *certificates.flags(tmp_path, "caller"), "health", env=clean_environment())
        assert ended.returncode == 0 and "SERVING" in ended.stdout, ended.stderr
        # without a certificate, and with a server's
        assert run(*call, "--ca", tmp_path / "caller/ca.crt", "health", env=clean_environment()).returncode == 1
        assert run(*call, *certificates.flags(tmp_path, "server"), "health", env=clean_environment()).returncode == 1


def test_names_and_usages(tmp_path):
    certificates.make(tmp_path, "gateway.example.com,10.0.0.7,::1", "shop", "reports")
    assert alternative_names(tmp_path / "server/tls.crt") == {"gateway.example.com", "10.0.0.7", "::1"}
    assert usages(tmp_path / "server/tls.crt") == [ExtendedKeyUsageOID.SERVER_AUTH]
    for caller in ("shop", "reports"):
        assert alternative_names(tmp_path / caller / "tls.crt") == {caller}
        assert usages(tmp_path / caller / "tls.crt") == [ExtendedKeyUsageOID.CLIENT_AUTH]
        loaded(tmp_path / caller / "tls.crt").verify_directly_issued_by(loaded(tmp_path / "authority/ca.crt"))


def test_only_the_owner_reads_keys(tmp_path):
    certificates.make(tmp_path / "new", "localhost", "shop")
    modes = {path.relative_to(tmp_path / "new"): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    for path, mode in modes.items():
        wide = path.name in ("server", "shop") and 0o755 or path.suffix in (".crt", ".conf") and 0o644
        assert mode == (0o600 if path.suffix == ".key" else 0o700 if path.name == "authority" else wide) or path.parent.name == "authority", path
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o755


def test_a_second_run_changes_nothing_and_a_third_adds_what_is_new(tmp_path):
    certificates.make(tmp_path, "localhost", "shop")
    before = contents(tmp_path)
    assert certificates.make(tmp_path, "localhost", "shop") == ""
    assert contents(tmp_path) == before
    reported = certificates.make(tmp_path, "localhost,gateway", "shop", "reports")
    after = contents(tmp_path)
    changed = {path.parent.name for path in after if after[path] != before.get(path)}
    assert changed == {"server", "reports"} and reported.count("issued") == 2


def test_what_expires_soon_is_renewed(tmp_path):
    certificates.make(tmp_path, "localhost", "shop")
    script = tmp_path / "certificates"
    script.write_text((DEPLOY / "certificates").read_text().replace("days=365", "days=29"))
    short = tmp_path / "short"
    for _ in range(2):
        ended = run("sh", script, short, "localhost", "shop")
        assert ended.returncode == 0 and ended.stdout.count("issued") == 2, ended.stderr
    assert not list(short.rglob("*.new"))


@pytest.mark.parametrize("caller", ["server", "authority", "../shop", "Shop", "a b"])
def test_invalid_callers_are_refused(tmp_path, caller):
    ended = run("sh", DEPLOY / "certificates", tmp_path / "new", "localhost", caller)
    assert ended.returncode == 2 and "not a name for a caller" in ended.stderr
    assert not (tmp_path / "new").exists()
