"""Local stores: DynamoDB Local for items, MinIO for objects, moto for keys."""

import contextlib
import os

import boto3
import grpc
import pytest

from conftest import CREDENTIALS, clean_environment, dynamodb_local, gateway, minio
from wire import Client

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def client(moto, tmp_path_factory):
    """A client of a gateway that uses all three."""
    folder = tmp_path_factory.mktemp("stores")
    with dynamodb_local(folder) as dynamodb, minio(folder) as (s3, secrets):
        provision(dynamodb, s3, moto)
        endpoints = {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb, "AWS_ENDPOINT_URL_S3": s3, "AWS_ENDPOINT_URL_KMS": moto}
        with gateway("--backend", "aws", environment=clean_environment(**CREDENTIALS | secrets, **endpoints)) as served:
            yield Client(served.address)


def provision(dynamodb, s3, kms):
    session = boto3.Session("testing", "testing-testing", region_name="us-east-1")
    session.client("s3", endpoint_url=s3).create_bucket(Bucket="my-bucket")
    keys = session.client("kms", endpoint_url=kms)
    with contextlib.suppress(keys.exceptions.AlreadyExistsException):
        keys.create_alias(AliasName="alias/my-app-key", TargetKeyId=keys.create_key()["KeyMetadata"]["KeyId"])
    tables = session.client("dynamodb", endpoint_url=dynamodb)
    for table in ("users", "secure_users", "documents"):
        tables.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )


def test_saves_and_reads_encrypted_values(client):
    secret = client.item(pk="P", sk="A", ssn="1", phone="2", address={"city": "London"})
    _, bill = client.unary("Save", client.type("SaveRequest")(model="SecureUser", item=secret))
    assert (bill["tollgate-kms-calls"], bill["tollgate-wcu"]) == ("1", "1")
    response, bill = client.unary("Get", client.type("GetRequest")(model="SecureUser", key=client.item(pk="P", sk="A")))
    assert response.item["address"].m.fields["city"].s == "London"
    assert (bill["tollgate-kms-calls"], bill["tollgate-rcu"]) == ("1", "0.5")


@pytest.mark.parametrize(("size", "calls"), [(1000, "1"), (5 * MIB, "1"), (6 * MIB, "4"), (15 * MIB, "5")])
def test_uploads_are_billed_per_part(client, size, calls):
    key = client.item(pk=f"D#{size}", sk="V1")
    content = os.urandom(size)
    save = client.type("SaveRequest")(model="Document", item={**key, "content": client.object(content, name="ä b.pdf")})
    _, bill = client.unary("Save", save)
    assert (bill["tollgate-s3-calls"], bill["tollgate-s3-bytes-uploaded"]) == (calls, str(size))
    get = client.type("GetRequest")(model="Document", key=key, include_objects=["content"])
    response, bill = client.unary("Get", get)
    assert response.item["content"].object.data == content
    assert bill["tollgate-s3-bytes-downloaded"] == str(size)
    not_there = client.type("Expression")(text="attribute_not_exists(pk)")
    refused = client.type("SaveRequest")(model="Document", item=save.item, condition=not_there)
    code, _ = client.failing("Save", refused)
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert client.unary("Get", get)[0].item["content"].object.data == content
    _, bill = client.unary("Delete", client.type("DeleteRequest")(model="Document", key=key))
    assert bill["tollgate-s3-calls"] == "1"


def test_reads_page_after_page(client):
    for number in range(25):
        item = client.item(pk="PAGES", sk=f"{number:03}", name="x" * 100)
        client.unary("Save", client.type("SaveRequest")(model="User", item=item))
    condition = client.type("Expression")(text="pk = :pk", values=client.item(**{":pk": "PAGES"}))
    query = client.type("QueryRequest")(model="User", key_condition=condition, page_size=10, descending=True)
    pages, bill = client.stream("Query", query)
    found = [result.item["sk"].s for page in pages for result in page.results]
    assert found == [f"{number:03}" for number in reversed(range(25))]
    assert bill["tollgate-dynamodb-calls"] == "3"
