"""The black-box tests of `tests/tests/wire` on moto, and on DynamoDB Local with moto for KMS and S3.

`tests/stores.md` lists what differs there, and why.
"""

import os
import re
import subprocess

import pytest

from conftest import CREDENTIALS, HERE, clean_environment, dynamodb_local, moto_server

# moto is slow: these read or write thousands of items, or many megabytes
SLOW = {
    "moto": ["exact::", "load::", "memory::", "page_limits::", "tamper::any_flipped_byte"],
    "dynamodb-local": ["exact::", "load::", "memory::", "tamper::any_flipped_byte"],
}
TIME_LIMIT_S = 900


def run(store, endpoints):
    command = [os.environ["WIRE_TESTS"]]
    for name in SLOW[store] if not os.environ.get("TOLLGATE_TEST_ALL") else []:
        command += ["--skip", name]
    environment = clean_environment(**CREDENTIALS, **endpoints, TOLLGATE_TEST_STORES=store, RUST_BACKTRACE="0")
    folder = HERE.parent
    result = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
    )
    failures = re.findall(r"^test (.*) \.\.\. FAILED$", result.stdout, re.MULTILINE)
    assert result.returncode == 0, f"{failures}\n{result.stdout[-8000:]}"
    passed = int(re.search(r"(\d+) passed", result.stdout).group(1))
    assert passed > 150, result.stdout[-500:]


def test_on_moto():
    with moto_server() as moto:
        run("moto", {"AWS_ENDPOINT_URL": moto})


@pytest.mark.skipif("DYNAMODB_LOCAL" not in os.environ, reason="needs the path of DynamoDB Local")
def test_on_dynamodb_local(tmp_path):
    with moto_server() as moto, dynamodb_local(tmp_path) as dynamodb:
        run("dynamodb-local", {"AWS_ENDPOINT_URL": moto, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb})
