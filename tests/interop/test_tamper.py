"""On moto: ciphertexts that were moved, damaged or replaced cannot be decrypted, and only their own item fails."""

import base64

import boto3
import grpc
import pytest

from conftest import gateway, over
from wire import Client

DATA_LOSS = 15


@pytest.fixture(scope="module")
def secure(store):
    """A client of a gateway on moto, and the table in moto."""
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    table = session.resource("dynamodb", endpoint_url=store).Table("secure_users")
    with gateway("--backend", "aws", environment=over(store)) as running:
        yield Client(running.address), table


def save(client, partition, sort):
    item = client.item(pk=partition, sk=sort, ssn="078-05-1120", phone="+44", address={"city": "London"})
    client.unary("Save", client.type("SaveRequest")(model="SecureUser", item=item))


def replace(table, partition, sort, value, attribute="ssn"):
    table.update_item(
        Key={"pk": partition, "sk": sort},
        UpdateExpression="SET #a = :v",
        ExpressionAttributeNames={"#a": attribute},
        ExpressionAttributeValues={":v": value},
    )


def stored(table, partition, sort, attribute="ssn"):
    return table.get_item(Key={"pk": partition, "sk": sort})["Item"][attribute].value


def assert_lost(client, partition, sort):
    key = client.item(pk=partition, sk=sort)
    code, _ = client.failing("Get", client.type("GetRequest")(model="SecureUser", key=key))
    assert code == grpc.StatusCode.DATA_LOSS
    condition = client.type("Expression")(text="pk = :pk", values=client.item(**{":pk": partition}))
    pages, _ = client.stream("Query", client.type("QueryRequest")(model="SecureUser", key_condition=condition))
    results = {result.item["sk"].s: result.error.code for page in pages for result in page.results}
    assert results == {"good": 0, sort: DATA_LOSS}


def test_damaged_moved_and_replaced_values_are_data_loss(secure):
    client, table = secure
    save(client, "T", "good")
    save(client, "T", "bad")
    whole = stored(table, "T", "bad")
    wrapped_bytes = int.from_bytes(whole[2:4], "big")
    places = [0, 1, 2, 3, 4, 4 + wrapped_bytes // 2, 4 + wrapped_bytes, 4 + wrapped_bytes + 12, len(whole) - 1]
    damaged = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
    damaged += [whole[:-1], whole[: 4 + wrapped_bytes], b"", whole + b"\0"]
    legacy = b"\1" + whole[2:]
    damaged += ["078-05-1120", "ENC:" + base64.b64encode(legacy).decode(), "ENC:", stored(table, "T", "good")]
    damaged += [stored(table, "T", "bad", "phone")]
    for value in damaged:
        replace(table, "T", "bad", value)
        assert_lost(client, "T", "bad")
    replace(table, "T", "bad", whole)
    client.unary("Get", client.type("GetRequest")(model="SecureUser", key=client.item(pk="T", sk="bad")))
