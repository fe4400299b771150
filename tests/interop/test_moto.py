"""On moto: the bill equals the requests that a proxy in front of the store counted."""

import concurrent.futures
import subprocess

import boto3
import grpc

from conftest import BINARY, gateway, moto_server, over
from proxy import CountingProxy
from wire import Client

CALLERS = 16
ROUNDS = 6
SUMMED = ("dynamodb-calls", "kms-calls", "s3-calls", "s3-bytes-uploaded", "s3-bytes-downloaded", "retries")


def one_round(client, caller, number):
    """Makes saves, reads and deletes of every kind, including failures, and yields their bills."""
    partition = f"P#{caller}#{number}"
    item = client.item(pk=partition, sk="A", ssn="1", phone="2", address={"city": "London"})
    document = {**client.item(pk=partition, sk="V1", name="n"), "content": client.object(b"y" * 50_000, name="f")}
    key = client.item(pk=partition, sk="A")
    document_key = client.item(pk=partition, sk="V1")
    not_there = client.type("Expression")(text="attribute_not_exists(pk)")
    session = "moto"
    yield client.unary("Save", client.type("SaveRequest")(model="SecureUser", item=item), session)[1]
    yield client.unary("Get", client.type("GetRequest")(model="SecureUser", key=key), session)[1]
    yield client.failing("Save", client.type("SaveRequest")(model="SecureUser", item=item, condition=not_there), session)[1]
    yield client.unary("Save", client.type("SaveRequest")(model="Document", item=document), session)[1]
    yield client.failing("Save", client.type("SaveRequest")(model="Document", item=document, condition=not_there), session)[1]
    get = client.type("GetRequest")(model="Document", key=document_key, include_objects=["content"])
    yield client.unary("Get", get, session)[1]
    condition = client.type("Expression")(text="pk = :pk", values=client.item(**{":pk": partition}))
    query = client.type("QueryRequest")(model="SecureUser", key_condition=condition)
    yield client.stream("Query", query, session)[1]
    yield client.unary("Delete", client.type("DeleteRequest")(model="Document", key=document_key), session)[1]
    yield client.failing("Get", get, session)[1]


def test_the_bill_equals_the_count_of_the_proxy(store):
    proxy = CountingProxy(store)
    with gateway("--backend", "aws", environment=over(proxy.url)) as running:
        client = Client(running.address)
        proxy.counts.clear()
        with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
            rounds = [(caller, number) for caller in range(CALLERS) for number in range(ROUNDS)]
            bills = [bill for bills in pool.map(lambda at: list(one_round(client, *at)), rounds) for bill in bills]
        total = client.unary("GetTotalMetrics", client.type("GetTotalMetricsRequest")(session="moto"), service="MetricsService")[0].total
    sums = {name: sum(int(bill[f"tollgate-{name}"]) for bill in bills) for name in SUMMED}
    dynamodb = proxy.calls("PutItem", "GetItem", "Query", "DeleteItem")
    kms = proxy.calls("GenerateDataKey", "Decrypt")
    s3 = proxy.calls("S3.PUT", "S3.GET", "S3.DELETE", "S3.POST", "S3.HEAD")
    assert (sums["dynamodb-calls"], sums["kms-calls"], sums["s3-calls"]) == (dynamodb, kms, s3)
    assert (total.operation_count, total.kms_calls, total.s3_calls) == (dynamodb, kms, s3)
    assert total.call_count == len(bills)
    assert sum(proxy.counts.values()) == dynamodb + kms + s3, proxy.counts


def test_reads_bodies_that_are_cut_off_or_stall(store):
    proxy = CountingProxy(store)
    with gateway("--backend", "aws", environment=over(proxy.url)) as running:
        client = Client(running.address)
        document = {**client.item(pk="B", sk="V1"), "content": client.object(b"y" * 50_000, name="f")}
        client.unary("Save", client.type("SaveRequest")(model="Document", item=document))
        key = client.item(pk="B", sk="V1")
        get = client.type("GetRequest")(model="Document", key=key, include_objects=["content"])
        for faults, attempts in [(["cut"], 2), (["cut", "cut"], 3), ([8], 1)]:
            proxy.faults.extend(faults)
            response, bill = client.unary("Get", get)
            assert response.item["content"].object.data == b"y" * 50_000
            assert (int(bill["tollgate-s3-calls"]), int(bill["tollgate-retries"])) == (attempts, attempts - 1)
            # a body that is cut off is resumed where it broke
            assert int(bill["tollgate-s3-bytes-downloaded"]) == 50_000


def test_the_error_names_the_missing_table(moto, tmp_path):
    model = "name: Ghost\ntable: ghosts\npartition_key: pk\nattributes:\n  pk: { type: string }\n"
    (tmp_path / "ghost.yaml").write_text(model)
    with gateway("--backend", "aws", "--models", str(tmp_path), environment=over(moto)) as running:
        client = Client(running.address)
        get = client.type("GetRequest")(model="Ghost", key=client.item(pk="1"))
        try:
            client.unary("Get", get)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
            assert "ghosts" in error.details()
        else:
            raise AssertionError("Get of a missing table succeeded")


PROVISIONED = """
name: Order
table: orders
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  status: { type: string }
  total: { type: number }
  until: { type: ttl, hide_expired: true }
  pin: { type: string, encrypted: { key_id: alias/orders } }
  scan: { type: object, s3: { bucket: order-scans, prefix: scans/ } }
indexes:
  by_status: { partition_key: status, sort_key: total, projection: [pin] }
  by_total: { local: true, sort_key: total, projection: keys_only }
"""


def provision(url, folder, *arguments):
    command = [BINARY, "provision", str(folder), "--backend", "aws", "--keys", "--point-in-time-recovery", *arguments]
    return subprocess.run(command, env=over(url), capture_output=True, text=True)


def test_provision_creates_everything_once(tmp_path):
    (tmp_path / "order.yaml").write_text(PROVISIONED)
    with moto_server() as url:
        dry = provision(url, tmp_path, "--dry-run")
        assert (dry.returncode, dry.stdout.splitlines()[-1]) == (3, "7 to add"), dry
        created = provision(url, tmp_path)
        assert (created.returncode, created.stdout.splitlines()[-1]) == (0, "7 added"), created
        again = provision(url, tmp_path)
        assert (again.returncode, again.stdout) == (0, "nothing to do\n"), again
        dynamodb = boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")
        # a table that lost an index gets it back
        dynamodb.update_table(TableName="orders", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_status"}}])
        repaired = provision(url, tmp_path)
        assert (repaired.returncode, repaired.stdout.splitlines()[-1]) == (0, "1 added"), repaired
        (index,) = dynamodb.describe_table(TableName="orders")["Table"]["GlobalSecondaryIndexes"]
        assert sorted(index["Projection"]["NonKeyAttributes"]) == ["pin", "until"]
        with gateway("--backend", "aws", "--models", str(tmp_path), environment=over(url)) as running:
            client = Client(running.address)
            item = client.item(pk="O#1", sk="A", status="open", total=5, pin="1")
            client.unary("Save", client.type("SaveRequest")(model="Order", item=item))
