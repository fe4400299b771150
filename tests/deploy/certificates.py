"""Certificates made with deploy/certificates, and a server that uses them."""

import contextlib

from program import DEPLOY, checked, gateway


def make(folder, names, *callers):
    """Runs the script; returns what it reports."""
    return checked("sh", DEPLOY / "certificates", folder, names, *callers)


def settings(folder):
    """The settings of TLS for these certificates."""
    files = {"certificate": "server/tls.crt", "key": "server/tls.key", "client_ca": "server/ca.crt"}
    return {"tls": {name: str(folder / path) for name, path in files.items()}}


def flags(folder, caller):
    """The flags of `tollgate call` for the certificate of a caller."""
    of = folder / caller
    return ["--ca", of / "ca.crt", "--cert", of / "tls.crt", "--key", of / "tls.key"]


@contextlib.contextmanager
def secure_gateway(folder, *arguments):
    """A server in memory that requires certificates; makes them for the caller `caller`."""
    make(folder, "localhost,127.0.0.1", "caller")
    environment = {f"TOLLGATE_TLS__{name.upper()}": path for name, path in settings(folder)["tls"].items()}
    with gateway("--memory", *arguments, environment=environment) as running:
        yield running
