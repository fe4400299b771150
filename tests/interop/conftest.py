"""Fixtures for real tollgate processes: embedded in memory, or on moto through a counting proxy."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import boto3
import pytest

HERE = pathlib.Path(__file__).parent
BINARY = os.environ["TOLLGATE_BIN"]
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
START_TIMEOUT_S = 60


def clean_environment(**extra):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TOLLGATE_", "OTEL_"))}
    return {**kept, **extra}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def listening(command, port, environment, folder):
    """Runs a server process with its files and its log in a folder, waits for its port, and yields its URL."""
    path = folder / f"{pathlib.Path(command[0]).name}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        wait_for(port, process, path)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def wait_for(port, process, log):
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError(f"{process.args[0]} is not listening (exit {process.poll()}): {log.read_text()[-2000:]}")


def wait_until(found, otherwise):
    """Waits until `found` returns a value, and returns it."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (value := found()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
    return value


class Gateway:
    """One `tollgate serve` on a free port."""

    def __init__(self, *arguments, environment=None, log=None):
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", *arguments]
        self.log = log or subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment or clean_environment()
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening (\S+)\n", line)
        assert match, f"no listening line, but {line!r} (exit {self.process.poll()})"
        self.address = match.group(1)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0


@contextlib.contextmanager
def gateway(*arguments, **options):
    running = Gateway(*arguments, **options)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def embedded():
    """A gateway with the example models, in memory."""
    with gateway("--memory") as running:
        yield running


def free_line(process, pattern, stream):
    """The first match of a pattern in the output of a process; the remaining output is read and discarded."""
    for line in stream:
        match = re.search(pattern, line)
        if match:
            threading.Thread(target=lambda: [None for _ in stream], daemon=True).start()
            return match
    raise AssertionError(f"{process.args[0]} ended with {process.wait()}")


@contextlib.contextmanager
def moto_server():
    """Runs a moto server for all three services and yields its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=clean_environment(PYTHONUNBUFFERED="1"),
    )
    try:
        yield free_line(process, r"Running on (http://127\.0\.0\.1:\d+)", process.stderr).group(1)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def dynamodb_local(folder):
    """Runs DynamoDB Local in memory and yields its URL."""
    jars, port = os.environ["DYNAMODB_LOCAL"], free_port()
    java = ["java", "-cp", f"{jars}/*", f"-Djava.library.path={jars}"]
    java += ["com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-port", str(port)]
    with listening(java, port, clean_environment(), folder) as url:
        yield url


@contextlib.contextmanager
def minio(folder):
    """Runs MinIO and yields its URL and its credentials, whose secret must be longer than those of the other stores."""
    secrets = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-testing"}
    port = free_port()
    command = [os.environ["MINIO"], "server", "--quiet", "--address", f"127.0.0.1:{port}", str(folder / "minio")]
    root = {"MINIO_ROOT_USER": "testing", "MINIO_ROOT_PASSWORD": "testing-testing"}
    with listening(command, port, clean_environment(**root), folder) as url:
        yield url, secrets


@pytest.fixture(scope="session")
def moto():
    """A moto server for the whole test run."""
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def store(moto):
    """The URL of a moto server with the tables, bucket and key of the example models and the pydynox models."""
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    kms = session.client("kms", endpoint_url=moto)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/my-app-key", TargetKeyId=key_id)
    session.client("s3", endpoint_url=moto).create_bucket(Bucket="my-bucket")
    dynamodb = session.client("dynamodb", endpoint_url=moto)
    for table in ("users", "secure_users", "documents"):
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
    return moto


def over(endpoint):
    """The environment of a gateway that uses the store at an endpoint."""
    return clean_environment(**CREDENTIALS, AWS_ENDPOINT_URL=endpoint)
