"""pydynox and tollgate on the same store: each reads the items of the other."""

import os
import pathlib

import boto3
import pytest

from conftest import CREDENTIALS, HERE, gateway, over
from wire import Client, plain

PHOTO = bytes(range(256)) * 40
LARGE_PHOTO = os.urandom(15 * 1024 * 1024)


@pytest.fixture(scope="module")
def people(store):
    """The table, a gateway with the `Person` model, and the `Person` class of pydynox."""
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    session.client("dynamodb", endpoint_url=store).create_table(
        TableName="people",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    endpoints = {f"AWS_ENDPOINT_URL_{service}": store for service in ("DYNAMODB", "S3", "KMS")}
    os.environ.update(CREDENTIALS | endpoints)
    models = pathlib.Path(HERE) / "models"
    with gateway("--backend", "aws", "--models", str(models), environment=over(store)) as running:
        yield Client(running.address), person_class()


def person_class():
    from pydynox import DynamoDBClient, Model, ModelConfig, set_default_client
    from pydynox.attributes import EncryptedAttribute, NumberAttribute, S3Attribute, StringAttribute

    client = DynamoDBClient(region="us-east-1")
    set_default_client(client)

    class Person(Model):
        model_config = ModelConfig(table="people")
        pk = StringAttribute(partition_key=True)
        sk = StringAttribute(sort_key=True)
        name = StringAttribute()
        age = NumberAttribute()
        ssn = EncryptedAttribute(key_id="alias/my-app-key", context={"app": "billing"})
        phone = EncryptedAttribute(key_id="alias/my-app-key")
        photo = S3Attribute(bucket="my-bucket", prefix="photos/")

    # without this a new process cannot read the attribute
    Person.photo._get_s3_ops(client)
    return Person


def save(client, partition, photo):
    item = client.item(pk=partition, sk="A", name="Ada", age=36, ssn="078-05-1120", phone="+44 1")
    item["photo"] = client.object(photo, name="ada.jpg", content_type="image/jpeg", metadata={"by": "tollgate"})
    return client.unary("Save", client.type("SaveRequest")(model="Person", item=item))[1]


def get(client, partition):
    key = client.item(pk=partition, sk="A")
    request = client.type("GetRequest")(model="Person", key=key, include_objects=["photo"], consistent_read=True)
    return client.unary("Get", request)


@pytest.mark.parametrize("photo", [PHOTO, LARGE_PHOTO], ids=["one part", "multipart"])
def test_pydynox_reads_items_of_tollgate(people, photo):
    client, person = people
    partition = f"T#{len(photo)}"
    bill = save(client, partition, photo)
    # two contexts, two data keys; pydynox makes one call per field
    assert bill["tollgate-kms-calls"] == "2"
    found = person.sync_get(pk=partition, sk="A")
    assert (found.name, found.age, found.ssn, found.phone) == ("Ada", 36, "078-05-1120", "+44 1")
    assert (found.photo.size, found.photo.content_type) == (len(photo), "image/jpeg")
    assert found.photo.sync_get_bytes() == photo


@pytest.mark.parametrize("photo", [PHOTO, LARGE_PHOTO], ids=["one part", "multipart"])
def test_tollgate_reads_items_of_pydynox(people, photo):
    from pydynox.attributes import S3File

    client, person = people
    partition = f"P#{len(photo)}"
    written = person(pk=partition, sk="A", name="Grace", age=85, ssn="219-09-9999", phone="+1 2")
    written.photo = S3File(photo, name="grace.jpg", content_type="image/jpeg")
    written.sync_save()
    response, bill = get(client, partition)
    item = response.item
    assert [plain(item[name]) for name in ("name", "age", "ssn", "phone")] == ["Grace", "85", "219-09-9999", "+1 2"]
    assert item["photo"].object.data == photo
    assert bill["tollgate-kms-calls"] == "2"
    assert bill["tollgate-s3-bytes-downloaded"] == str(len(photo))


def test_tollgate_keeps_objects_of_pydynox(people):
    """Only the object key shows the owner, and in pydynox two items can share a key."""
    from pydynox.attributes import S3File

    client, person = people
    written = person(pk="P#gone", sk="A", name="Grace", age=1, ssn="1", phone="2")
    written.photo = S3File(b"small", name="s.jpg")
    written.sync_save()
    found = person.sync_get(pk="P#gone", sk="A")
    request = client.type("DeleteRequest")(model="Person", key=client.item(pk="P#gone", sk="A"))
    assert client.unary("Delete", request)[1]["tollgate-s3-calls"] == "0"
    assert found.photo.sync_get_bytes() == b"small"
