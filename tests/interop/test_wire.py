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


def run(store, endpoints, folder):
    # the tests wait for the store most of the time
    command = [os.environ["WIRE_TESTS"], "--test-threads", "8"]
    for name in SLOW[store] if not os.environ.get("TOLLGATE_TEST_ALL") else []:
        command += ["--skip", name]
    environment = clean_environment(**CREDENTIALS, **endpoints, TOLLGATE_TEST_STORES=store, RUST_BACKTRACE="0")
    path = folder / "wire.log"
    with path.open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=HERE.parent, stdout=log, stderr=log)
        try:
            code = process.wait(timeout=TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            code = f"not ended after {TIME_LIMIT_S} s"
        finally:
            process.kill()
            process.wait()
    output = path.read_text(errors="replace")
    failures = re.findall(r"^test (.*) \.\.\. FAILED$", output, re.MULTILINE)
    assert code == 0, f"{code}: {failures}\n{output[-8000:]}"
    assert int(re.search(r"(\d+) passed", output).group(1)) > 150, output[-500:]


def test_on_moto(tmp_path):
    with moto_server() as moto:
        run("moto", {"AWS_ENDPOINT_URL": moto}, tmp_path)


@pytest.mark.skipif("DYNAMODB_LOCAL" not in os.environ, reason="needs the path of DynamoDB Local")
def test_on_dynamodb_local(tmp_path):
    with moto_server() as moto, dynamodb_local(tmp_path) as dynamodb:
        run("dynamodb-local", {"AWS_ENDPOINT_URL": moto, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb}, tmp_path)
