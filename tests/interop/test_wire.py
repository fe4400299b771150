"""The black-box tests of `tests/tests/wire` on moto, and on DynamoDB Local with MinIO for objects and
moto for keys.

`tests/stores.md` lists what differs there, and why.
"""

import os
import re
import subprocess

import pytest

from conftest import CREDENTIALS, HERE, clean_environment, dynamodb_local, minio, moto_server

# moto is slow: these read or write thousands of items, or many megabytes
SLOW = {
    "moto": [
        "capacity::unfinished_messages",
        "exact::",
        "load::",
        "memory::",
        "page_limits::",
        "tamper::any_flipped_byte",
    ],
    "dynamodb-local": ["exact::", "load::", "memory::", "tamper::any_flipped_byte"],
}
TIME_LIMIT_S = 900


def execute(arguments, environment, log_path):
    """The exit code, or why there is none, and the output."""
    with log_path.open("wb") as log:
        command = [os.environ["WIRE_TESTS"], *arguments]
        process = subprocess.Popen(command, env=environment, cwd=HERE.parent, stdout=log, stderr=log)
        try:
            code = process.wait(timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            code = f"not ended after {TIME_LIMIT_S} s"
        finally:
            process.kill()
            process.wait()
    return code, log_path.read_text(errors="replace")


def run(store, endpoints, folder):
    # the tests wait for the store most of the time
    arguments = ["--test-threads", "8"]
    for name in SLOW[store] if not os.environ.get("TOLLGATE_TEST_ALL") else []:
        arguments += ["--skip", name]
    environment = {**CREDENTIALS, **endpoints, "TOLLGATE_TEST_STORES": store, "RUST_BACKTRACE": "0"}
    environment = clean_environment(**environment)
    code, output = execute(arguments, environment, folder / "wire.log")
    failures = re.findall(r"^test (.*) \.\.\. FAILED$", output, re.MULTILINE)
    passed = re.search(r"(\d+) passed", output)
    assert passed and int(passed.group(1)) > 250, f"{code}\n{output[-8000:]}"
    # deadlines pass on a slow store that serves eight tests: those that failed run again, one at a time
    if 0 < len(failures) <= 5:
        again = ["--test-threads", "1", "--exact", *failures]
        code, output = execute(again, environment, folder / "again.log")
    assert code == 0, f"{code}: {failures}\n{output[-8000:]}"


def test_on_moto(tmp_path):
    with moto_server() as moto:
        run("moto", {"AWS_ENDPOINT_URL": moto}, tmp_path)


@pytest.mark.skipif(
    not {"DYNAMODB_LOCAL", "MINIO"} <= os.environ.keys(), reason="needs the paths of DynamoDB Local and MinIO"
)
def test_on_dynamodb_local(tmp_path):
    with moto_server() as moto, dynamodb_local(tmp_path) as dynamodb, minio(tmp_path) as (s3, secrets):
        endpoints = {"AWS_ENDPOINT_URL": moto, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb, "AWS_ENDPOINT_URL_S3": s3}
        run("dynamodb-local", {**endpoints, **secrets}, tmp_path)
