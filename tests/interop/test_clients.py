"""Common clients read the bill: grpcurl (Go), buf curl and grpcio."""

import base64
import json
import os
import re
import subprocess

import grpc
import pytest

from wire import Client

MIB = 1024 * 1024


def grpcurl(address, method, request, *arguments):
    """Runs `grpcurl -v` and returns its output and exit code."""
    command = [os.environ["GRPCURL"], "-plaintext", "-v", "-max-msg-sz", str(64 * MIB), *arguments]
    command += ["-d", "@", address, f"tollgate.v1.DataService/{method}"]
    run = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, timeout=120)
    return run.stdout + run.stderr, run.returncode


def trailers(output):
    """The trailers in the output of `grpcurl -v`."""
    tail = output.split("Response trailers received:")[-1]
    return dict(re.findall(r"^(\S+): (.*)$", tail, re.MULTILINE))


def text(value):
    return {"s": value}


def key(partition, sort="PROFILE"):
    return {"pk": text(partition), "sk": text(sort)}


def secure(partition, sort):
    address = {"m": {"fields": {"city": text("London"), "zip": text("N1")}}}
    return {**key(partition, sort), "ssn": text("123"), "phone": text("+44"), "address": address}


def document(partition, size):
    content = {"object": {"data": base64.b64encode(b"x" * size).decode(), "name": "report.pdf"}}
    return {**key(partition, "V1"), "name": text("report"), "content": content}


def test_lists_the_services(embedded):
    command = [os.environ["GRPCURL"], "-plaintext", embedded.address, "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"tollgate.v1.DataService", "tollgate.v1.MetricsService", "tollgate.v1.SchemaService"} <= set(listed)
    assert {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} <= set(listed)


def test_save_with_an_encrypted_attribute_costs_one_kms_call(embedded):
    request = {"model": "User", "item": {**key("USER#1"), "name": text("Ada"), "ssn": text("078-05-1120")}}
    output, code = grpcurl(embedded.address, "Save", request)
    assert code == 0, output
    bill = trailers(output)
    assert bill["tollgate-kms-calls"] == "1"
    assert bill["tollgate-dynamodb-calls"] == "1"
    assert bill["tollgate-wcu"] == "1"
    assert "endpoint-load-metrics-bin" in bill and "server-timing" in bill


def test_three_encrypted_fields_cost_one_kms_call_per_save_and_per_item_read(embedded):
    for number in range(10):
        request = {"model": "SecureUser", "item": secure("ORG#1", f"U#{number}")}
        output, code = grpcurl(embedded.address, "Save", request)
        assert code == 0, output
        assert trailers(output)["tollgate-kms-calls"] == "1"
    output, code = grpcurl(embedded.address, "Get", {"model": "SecureUser", "key": key("ORG#1", "U#3")})
    assert code == 0 and trailers(output)["tollgate-kms-calls"] == "1"
    condition = {"text": "pk = :pk", "values": {":pk": text("ORG#1")}}
    output, code = grpcurl(embedded.address, "Query", {"model": "SecureUser", "keyCondition": condition})
    assert code == 0 and trailers(output)["tollgate-kms-calls"] == "10"
    output, code = grpcurl(embedded.address, "Scan", {"model": "SecureUser"})
    assert code == 0 and trailers(output)["tollgate-kms-calls"] == "10"


@pytest.mark.parametrize(
    ("size", "calls"), [(1_000_000, "1"), (5 * MIB, "1"), (6 * MIB, "4"), (15_000_000, "5"), (15 * MIB, "5")]
)
def test_an_upload_is_billed_per_part(embedded, size, calls):
    partition = f"DOC#{size}"
    output, code = grpcurl(embedded.address, "Save", {"model": "Document", "item": document(partition, size)})
    assert code == 0, output[-2000:]
    bill = trailers(output)
    assert (bill["tollgate-s3-calls"], bill["tollgate-s3-bytes-uploaded"]) == (calls, str(size))
    request = {"model": "Document", "key": key(partition, "V1"), "includeObjects": ["content"]}
    output, code = grpcurl(embedded.address, "Get", request)
    assert code == 0 and trailers(output)["tollgate-s3-bytes-downloaded"] == str(size)
    output, code = grpcurl(embedded.address, "Delete", {"model": "Document", "key": key(partition, "V1")})
    assert code == 0 and trailers(output)["tollgate-s3-calls"] == "1"


def test_a_refused_save_is_billed_and_keeps_the_live_object(embedded):
    item = document("DOC#live", 1000)
    assert grpcurl(embedded.address, "Save", {"model": "Document", "item": item})[1] == 0
    refused = {"model": "Document", "item": document("DOC#live", 2000), "condition": {"text": "attribute_not_exists(pk)"}}
    output, code = grpcurl(embedded.address, "Save", refused)
    assert code != 0 and "FailedPrecondition" in output and "CONDITION_FAILED" in output, output
    bill = trailers(output)
    assert (bill["tollgate-s3-calls"], bill["tollgate-s3-bytes-uploaded"]) == ("2", "2000")
    request = {"model": "Document", "key": key("DOC#live", "V1"), "includeObjects": ["content"]}
    output, _ = grpcurl(embedded.address, "Get", request)
    assert trailers(output)["tollgate-s3-bytes-downloaded"] == "1000"


def test_errors_list_every_invalid_field(embedded):
    item = {"pk": text("A"), "age": {"n": "1e200"}, "email": {"n": "1"}}
    output, code = grpcurl(embedded.address, "Save", {"model": "User", "item": item})
    assert code != 0 and "InvalidArgument" in output
    for field in ("item.age", "item.email", "item.sk"):
        assert field in output


def test_buf_curl_reads_the_trailers(embedded):
    url = f"http://{embedded.address}/tollgate.v1.DataService/Save"
    request = {"model": "User", "item": {**key("USER#buf"), "ssn": text("1")}}
    command = [os.environ["BUF"], "curl", "--protocol", "grpc", "--http2-prior-knowledge", "-v", "-d", json.dumps(request), url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert re.search(r"(?i)tollgate-kms-calls: 1\b", run.stderr)


def test_grpcio_reads_the_trailers_of_successes_errors_and_streams(embedded):
    client = Client(embedded.address)
    save = client.type("SaveRequest")(model="User", item=client.item(pk="USER#py", sk="PROFILE", ssn="1"))
    _, bill = client.unary("Save", save, session="py")
    assert (bill["tollgate-kms-calls"], bill["tollgate-session-kms-calls"]) == ("1", "1")
    get = client.type("GetRequest")(model="User", key=client.item(pk="USER#none", sk="PROFILE"))
    code, bill = client.failing("Get", get, session="py")
    assert code == grpc.StatusCode.NOT_FOUND
    assert (bill["tollgate-dynamodb-calls"], bill["tollgate-session-calls"]) == ("1", "2")
    pages, bill = client.stream("Scan", client.type("ScanRequest")(model="User", page_size=1), session="py")
    assert sum(page.count for page in pages) >= 1
    assert int(bill["tollgate-dynamodb-calls"]) >= len(pages) - 1


def test_5000_calls_succeed_under_load(embedded):
    item = {**key("USER#load"), "name": text("Ada")}
    save = {"model": "User", "item": item}
    assert grpcurl(embedded.address, "Save", save)[1] == 0
    command = [os.environ["GHZ"], "--insecure", "--call", "tollgate.v1.DataService/Get", "-n", "5000", "-c", "64"]
    command += ["-d", json.dumps({"model": "User", "key": key("USER#load")}), "-O", "json", embedded.address]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    report = json.loads(run.stdout)
    assert report["statusCodeDistribution"] == {"OK": 5000}, run.stdout[:2000]
