"""Every type of the models with pydynox and tollgate on one moto, both ways, as docs/storage.md lists the stored forms."""

import base64
import datetime
import enum
import json
import os
import pathlib
from decimal import Decimal

import boto3
import grpc
import pytest

from conftest import CREDENTIALS, HERE, gateway, over
from wire import Client, plain

BORN = datetime.datetime(2020, 2, 29, 23, 59, 59, tzinfo=datetime.timezone.utc)
FED = datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=datetime.timezone.utc)
EXPIRES = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)
LONG = "A long story, again and again. " * 40
SETTINGS = {"theme": "dark", "größe": [1, 2.5, None], "deep": {"a": "ü"}}
# what tollgate's callers send and read
SENT = {
    "owner": "ada",
    "name": "Tom",
    "nick": "T.",
    "lives": 9,
    "weight": Decimal("4.250"),
    "is_old": False,
    "photo": bytes(range(256)),
    "meals": ["fish", 2, {"at": "noon"}, None, [True, b"\x00"]],
    "home": {"street": "Bridge Road", "number": 7},
    "words": {"meow", "purr", "ß"},
    "codes": {1, 2, 30},
    "settings": json.dumps(SETTINGS),
    "colour": "black",
    "born": "2020-02-29T23:59:59+00:00",
    "fed": "2026-01-31T12:00:00.123456+00:00",
    "expires": int(EXPIRES.timestamp()),
    "diary": LONG,
    "notes": LONG + "lz4",
    "story": LONG + "gzip",
    "brief": "short",
    "chip": "985-112",
}
# what differs on every write: ciphertexts, the order of sets, and what two zstd, LZ4 and deflate encoders write
VARYING = {"chip", "words", "codes", "diary", "notes", "story"}


class Colour(enum.Enum):
    BLACK = "black"
    WHITE = "white"


@pytest.fixture(scope="module")
def pets(store):
    """The table, a gateway with the models, and the classes of pydynox."""
    table = boto3.Session("testing", "testing", region_name="us-east-1").client("dynamodb", endpoint_url=store)
    table.create_table(
        TableName="pets",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    endpoints = {f"AWS_ENDPOINT_URL_{service}": store for service in ("DYNAMODB", "S3", "KMS")}
    os.environ.update(CREDENTIALS | endpoints)
    models = pathlib.Path(HERE) / "models"
    with gateway("--backend", "aws", "--models", str(models), environment=over(store)) as running:
        yield Client(running.address), *classes(), table


def classes():
    from pydynox import DynamoDBClient, Model, ModelConfig, set_default_client
    from pydynox.attributes import (
        BinaryAttribute,
        BooleanAttribute,
        CompressedAttribute,
        CompressionAlgorithm,
        DatetimeAttribute,
        DecimalAttribute,
        EncryptedAttribute,
        EnumAttribute,
        JSONAttribute,
        ListAttribute,
        MapAttribute,
        NumberAttribute,
        NumberSetAttribute,
        StringAttribute,
        StringSetAttribute,
        TTLAttribute,
        VersionAttribute,
    )

    set_default_client(DynamoDBClient(region="us-east-1"))

    class Pet(Model):
        model_config = ModelConfig(table="pets")
        pk = StringAttribute(partition_key=True, template="OWNER#{owner}")
        sk = StringAttribute(sort_key=True)
        kind = StringAttribute(discriminator=True)
        owner = StringAttribute()
        name = StringAttribute()

    class Cat(Pet):
        model_config = ModelConfig(table="pets")
        sk = StringAttribute(sort_key=True, template="CAT#{name}")
        nick = StringAttribute(alias="n")
        lives = NumberAttribute()
        weight = DecimalAttribute()
        is_old = BooleanAttribute()
        photo = BinaryAttribute()
        meals = ListAttribute()
        home = MapAttribute()
        words = StringSetAttribute()
        codes = NumberSetAttribute()
        settings = JSONAttribute()
        colour = EnumAttribute(Colour)
        born = DatetimeAttribute()
        fed = DatetimeAttribute()
        expires = TTLAttribute()
        rev = VersionAttribute()
        diary = CompressedAttribute(algorithm=CompressionAlgorithm.Zstd)
        notes = CompressedAttribute(algorithm=CompressionAlgorithm.Lz4)
        story = CompressedAttribute(algorithm=CompressionAlgorithm.Gzip)
        brief = CompressedAttribute()
        chip = EncryptedAttribute(key_id="alias/my-app-key", context={"app": "vet"})

    class Dog(Pet):
        model_config = ModelConfig(table="pets")
        sk = StringAttribute(sort_key=True, template="DOG#{name}")

    return Cat, Dog


def of_pydynox(cat, owner):
    """The same values as `SENT`, as a user of pydynox writes them."""
    typed = {"settings": SETTINGS, "colour": Colour.BLACK, "born": BORN, "fed": FED, "expires": EXPIRES}
    return cat(**{**SENT, **typed, "owner": owner})


def save(client, owner, **more):
    item = client.item(**{**SENT, "owner": owner, **more})
    return client.unary("Save", client.type("SaveRequest")(model="Cat", item=item))[0]


def get(client, owner, model="Cat", name="Tom"):
    key = client.item(owner=owner, name=name)
    request = client.type("GetRequest")(model=model, key=key, consistent_read=True)
    return client.unary("Get", request)[0].item


def stored(table, owner):
    """The stored item, with the one number that pydynox writes as `425E-2` as DynamoDB returns it; moto keeps the text."""
    key = {"pk": {"S": f"OWNER#{owner}"}, "sk": {"S": "CAT#Tom"}}
    item = table.get_item(TableName="pets", Key=key, ConsistentRead=True)["Item"]
    item["weight"] = {"N": f"{Decimal(item['weight']['N']):f}"}
    return item


def test_pydynox_reads_every_type_of_tollgate(pets):
    client, cat, _, _ = pets
    response = save(client, "reads")
    assert plain(response.generated["rev"]) == "1"
    found = cat.sync_get(pk="OWNER#reads", sk="CAT#Tom")
    typed = {"settings": SETTINGS, "colour": Colour.BLACK, "born": BORN, "fed": FED, "expires": EXPIRES}
    for name, value in {**SENT, **typed, "owner": "reads", "rev": 1, "kind": "Cat"}.items():
        assert getattr(found, name) == value, name


def test_tollgate_reads_every_type_of_pydynox(pets):
    client, cat, _, _ = pets
    of_pydynox(cat, "written").sync_save()
    item = get(client, "written")
    assert item["weight"].n == "4.25"
    for name, value in {**SENT, "owner": "written"}.items():
        found = plain(item[name])
        if name == "settings":
            assert json.loads(found) == SETTINGS
        elif name in ("lives", "weight", "expires"):
            assert Decimal(found) == value, name
        elif name == "codes":
            assert {int(member) for member in found} == value
        elif name == "meals":
            assert found == ["fish", "2", {"at": "noon"}, None, [True, b"\x00"]]
        elif name == "home":
            assert found == {"street": "Bridge Road", "number": "7"}
        else:
            assert found == value, name
    assert (plain(item["rev"]), plain(item["kind"])) == ("1", "Cat")


def test_both_store_the_same_forms(pets):
    client, cat, _, table = pets
    save(client, "ours")
    of_pydynox(cat, "theirs").sync_save()
    ours, theirs = stored(table, "ours"), stored(table, "theirs")
    assert set(ours) == set(theirs)
    for name in set(ours) - VARYING - {"pk", "owner"}:
        assert ours[name] == theirs[name], name
    for name in ("words", "codes"):
        assert sorted(ours[name]["L"], key=str) == sorted(theirs[name]["L"], key=str), name
    for name, prefix in {"diary": "ZSTD:", "notes": "LZ4:", "story": "GZIP:", "chip": "ENC:"}.items():
        for text in (ours[name]["S"], theirs[name]["S"]):
            assert text.startswith(prefix), name
            base64.b64decode(text.removeprefix(prefix), validate=True)
    assert theirs["brief"] == {"S": "short"}


def test_json_as_a_map_and_sets_as_sets_are_read_too(pets):
    """As other programs store them in a table of pydynox."""
    client, cat, _, table = pets
    of_pydynox(cat, "native").sync_save()
    item = stored(table, "native")
    item |= {"settings": {"M": {"a": {"L": [{"N": "1"}, {"BOOL": True}]}}}, "words": {"SS": ["a"]}, "codes": {"NS": ["1"]}}
    table.put_item(TableName="pets", Item=item)
    read = get(client, "native")
    assert json.loads(plain(read["settings"])) == {"a": [1, True]}
    assert (plain(read["words"]), plain(read["codes"])) == ({"a"}, {"1"})
    client.unary("Save", client.type("SaveRequest")(model="Cat", item=read))
    after = stored(table, "native")
    assert (after["words"], after["codes"]) == ({"L": [{"S": "a"}]}, {"L": [{"S": "1"}]})
    found = cat.sync_get(pk="OWNER#native", sk="CAT#Tom")
    assert (found.settings, found.words, found.codes) == ({"a": [1, True]}, {"a"}, {1})


def test_what_was_read_can_be_saved_back(pets):
    """Reading with one and writing with the other changes nothing but the version."""
    client, cat, _, table = pets
    of_pydynox(cat, "back").sync_save()
    before = stored(table, "back")
    request = client.type("SaveRequest")(model="Cat", item=get(client, "back"))
    response, _ = client.unary("Save", request)
    assert plain(response.generated["rev"]) == "2"
    after = stored(table, "back")
    assert after.pop("rev") == {"N": "2"}
    assert before.pop("rev") == {"N": "1"}
    assert {name: value for name, value in after.items() if name not in VARYING} == {
        name: value for name, value in before.items() if name not in VARYING
    }
    found = cat.sync_get(pk="OWNER#back", sk="CAT#Tom")
    assert (found.rev, found.words, found.codes, found.diary, found.chip) == (
        2,
        SENT["words"],
        SENT["codes"],
        LONG,
        SENT["chip"],
    )
    found.lives = 8
    found.sync_save()
    assert (plain(get(client, "back")["rev"]), plain(get(client, "back")["lives"])) == ("3", "8")


def test_each_refuses_an_outdated_version_of_the_other(pets):
    from pydynox.exceptions import ConditionalCheckFailedException

    client, cat, _, _ = pets
    of_pydynox(cat, "locked").sync_save()
    read_by_tollgate = get(client, "locked")
    read_by_pydynox = cat.sync_get(pk="OWNER#locked", sk="CAT#Tom")
    winner = cat.sync_get(pk="OWNER#locked", sk="CAT#Tom")
    winner.lives = 1
    winner.sync_save()
    request = client.type("SaveRequest")(model="Cat", item=read_by_tollgate)
    assert client.failing("Save", request)[0] == grpc.StatusCode.ABORTED
    key = client.item(owner="locked", name="Tom")
    set_lives = client.type("Expression")(text="SET lives = :n", values=client.item(**{":n": 2}))
    client.unary("Update", client.type("UpdateRequest")(model="Cat", key=key, update=set_lives))
    read_by_pydynox.lives = 3
    with pytest.raises(ConditionalCheckFailedException):
        read_by_pydynox.sync_save()
    with pytest.raises(ConditionalCheckFailedException):
        winner.lives = 4
        winner.sync_save()
    item = get(client, "locked")
    assert (plain(item["lives"]), plain(item["rev"])) == ("2", "3")


def test_discriminators_tell_the_models_apart(pets):
    client, cat, dog, _ = pets
    item = client.item(owner="many", name="Rex")
    client.unary("Save", client.type("SaveRequest")(model="Dog", item=item))
    save(client, "many")
    dog(owner="many", name="Bello").sync_save()
    found = {(type(pet).__name__, pet.name) for pet in cat.__base__.sync_query(partition_key="OWNER#many")}
    assert found == {("Cat", "Tom"), ("Dog", "Rex"), ("Dog", "Bello")}
    condition = client.type("Expression")(text="owner = :o", values=client.item(**{":o": "many"}))
    query = client.type("QueryRequest")(model="Cat", models=["Dog"], key_condition=condition)
    pages, _ = client.stream("Query", query)
    read = {(result.model, plain(result.item["name"])) for page in pages for result in page.results}
    assert read == found


def test_null_and_empty_sets_of_pydynox_read_as_absent(pets):
    """pydynox stores an empty set as NULL."""
    client, cat, _, table = pets
    written = of_pydynox(cat, "empty")
    written.words, written.codes = set(), set()
    written.sync_save()
    assert stored(table, "empty").get("words", {"NULL": True}) == {"NULL": True}
    item = get(client, "empty")
    assert "words" not in item and "codes" not in item
    assert plain(client.unary("Save", client.type("SaveRequest")(model="Cat", item=item))[0].generated["rev"]) == "2"
    found = cat.sync_get(pk="OWNER#empty", sk="CAT#Tom")
    assert (found.rev, found.words or set(), found.codes or set()) == (2, set(), set())
