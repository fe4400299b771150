"""Items that boto3, PynamoDB and dynamodb-toolbox write are read as stored, and can be saved back; they read tollgate's."""

import datetime
import json
import os
import pathlib
import subprocess

import boto3
import pytest

from conftest import CREDENTIALS, HERE, clean_environment, gateway, over
from wire import Client, plain

DIGITS = "12345678901234567890123456789012345678"
AT = datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=datetime.timezone.utc)
TABLES = {"foreign": [("pk", "S"), ("sk", "N")], "keyed": [("id", "B")], "todos": [("pk", "S"), ("sk", "S")]}


@pytest.fixture(scope="module")
def foreign(store):
    """A gateway with the models, and a boto3 client; the tables exist."""
    table = boto3.Session("testing", "testing", region_name="us-east-1").client("dynamodb", endpoint_url=store)
    for name, keys in TABLES.items():
        table.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": role} for (key, _), role in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    models = pathlib.Path(HERE) / "models"
    with gateway("--backend", "aws", "--models", str(models), environment=over(store)) as running:
        yield Client(running.address), table, store


def get(client, model, **key):
    request = client.type("GetRequest")(model=model, key=client.item(**key), consistent_read=True)
    return client.unary("Get", request)[0].item


def save(client, model, item):
    return client.unary("Save", client.type("SaveRequest")(model=model, item=item))[0]


def stored(table, name, **key):
    return table.get_item(TableName=name, Key=key, ConsistentRead=True)["Item"]


def test_whatever_boto3_wrote_comes_back_and_is_saved_back(foreign):
    client, table, _ = foreign
    written = {
        "pk": {"S": "boto3"},
        "sk": {"N": "1E+2"},
        "text": {"S": ""},
        "amount": {"N": DIGITS},
        "raw": {"B": b""},
        "anything": {
            "L": [
                {"N": "1E+2"},
                {"N": "-0"},
                {"N": "-1E-130"},
                {"SS": ["b", "a"]},
                {"NS": ["2", "1"]},
                {"BS": [b"x"]},
                {"NULL": True},
            ]
        },
        "home": {"M": {"a.b": {"S": "dots"}, "ns": {"NS": ["1.0"]}}},
        "words": {"L": [{"S": "as"}, {"S": "a list"}]},
        "codes": {"NS": ["1", "2.50"]},
        "blobs": {"BS": [b"\x00", b"\x01"]},
        "unknown": {"M": {"kept": {"BOOL": True}}},
        "nothing": {"NULL": True},
        "flag": {"NULL": True},
        "at": {"S": "2026-01-31T12:00:00.123456Z"},
        "seen": {"S": "2026-01-31T13:00:00.123+01:00"},
        "expires": {"N": "4102444800"},
        "rev": {"N": "7"},
        "data": {"S": '{"a": [1.50, 1E+2]}'},
    }
    table.put_item(TableName="foreign", Item=written)
    item = get(client, "Foreign", pk="boto3", sk=100)
    assert plain(item["anything"])[:4] == ["100", "0", f"-0.{'0' * 129}1", {"a", "b"}]
    assert plain(item["anything"])[6] is None
    assert (plain(item["text"]), plain(item["raw"]), plain(item["amount"])) == ("", b"", DIGITS)
    assert (plain(item["words"]), plain(item["codes"])) == ({"as", "a list"}, {"1", "2.5"})
    assert (plain(item["at"]), plain(item["seen"])) == (AT.isoformat(), "2026-01-31T12:00:00.123000+00:00")
    assert plain(item["data"]) == written["data"]["S"]
    assert "flag" not in item and plain(item["nothing"]) is None
    assert plain(save(client, "Foreign", item).generated["rev"]) == "8"
    again = get(client, "Foreign", pk="boto3", sk=100)
    assert (plain(again.pop("rev")), plain(item.pop("rev"))) == ("8", "7")
    # the numbers keep their text, the spaces do not
    assert plain(again.pop("data")) == plain(item.pop("data")).replace(" ", "")
    assert again == item
    kept = stored(table, "foreign", pk={"S": "boto3"}, sk={"N": "100"})
    assert (kept["unknown"], kept["nothing"], kept["blobs"]) == (
        written["unknown"],
        written["nothing"],
        written["blobs"],
    )
    assert (kept["text"], kept["raw"], kept["home"]["M"]["a.b"]) == ({"S": ""}, {"B": b""}, {"S": "dots"})


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("amount", {"S": "a string"}, "a string"),
        ("text", {"N": "7"}, "7"),
        ("flag", {"S": "yes"}, "yes"),
        ("words", {"S": "one"}, "one"),
        ("at", {"S": "soon"}, "soon"),
        ("expires", {"S": "never"}, "never"),
    ],
)
def test_a_value_of_another_type_comes_back_as_stored(foreign, attribute, value, expected):
    client, table, _ = foreign
    table.put_item(TableName="foreign", Item={"pk": {"S": attribute}, "sk": {"N": "1"}, attribute: value})
    assert plain(get(client, "Foreign", pk=attribute, sk=1)[attribute]) == expected


def test_binary_keys_of_boto3(foreign):
    client, table, _ = foreign
    key = bytes([0, 255, 128])
    table.put_item(TableName="keyed", Item={"id": {"B": key}, "text": {"S": "x"}})
    item = get(client, "Keyed", id=key)
    assert (plain(item["id"]), plain(item["text"])) == (key, "x")
    save(client, "Keyed", {**item, "text": client.value("y")})
    assert stored(table, "keyed", id={"B": key})["text"] == {"S": "y"}


def pynamodb_model(store):
    from pynamodb.attributes import (
        BinaryAttribute,
        BinarySetAttribute,
        BooleanAttribute,
        JSONAttribute,
        ListAttribute,
        MapAttribute,
        NumberAttribute,
        NumberSetAttribute,
        TTLAttribute,
        UnicodeAttribute,
        UnicodeSetAttribute,
        UTCDateTimeAttribute,
        VersionAttribute,
    )
    from pynamodb.models import Model

    class Foreign(Model):
        class Meta:
            table_name = "foreign"
            host = store
            region = "us-east-1"
            aws_access_key_id = "testing"
            aws_secret_access_key = "testing"

        pk = UnicodeAttribute(hash_key=True)
        sk = NumberAttribute(range_key=True)
        text = UnicodeAttribute(null=True)
        amount = NumberAttribute(null=True)
        raw = BinaryAttribute(null=True, legacy_encoding=False)
        flag = BooleanAttribute(null=True)
        anything = ListAttribute(null=True)
        home = MapAttribute(null=True)
        words = UnicodeSetAttribute(null=True)
        codes = NumberSetAttribute(null=True)
        blobs = BinarySetAttribute(null=True, legacy_encoding=False)
        data = JSONAttribute(null=True)
        at = UTCDateTimeAttribute(null=True)
        expires = TTLAttribute(null=True)
        rev = VersionAttribute(null=True)

    return Foreign


VALUES = {
    "text": "ä text",
    "amount": 4.25,
    "raw": b"\x00\xff",
    "flag": True,
    "anything": ["a", 1, {"b": False}],
    "words": {"a", "b"},
    "codes": {1, 2.5},
    "blobs": {b"x", b"y"},
    "data": {"a": [1, "ü"]},
    "at": AT,
    "expires": datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc),
}


def test_pynamodb_both_ways(foreign):
    client, table, store = foreign
    model = pynamodb_model(store)
    model("pynamodb", 1, home={"street": "Bridge Road", "number": 7}, **VALUES).save()
    before = stored(table, "foreign", pk={"S": "pynamodb"}, sk={"N": "1"})
    item = get(client, "Foreign", pk="pynamodb", sk=1)
    assert (plain(item["text"]), plain(item["amount"]), plain(item["raw"])) == ("ä text", "4.25", b"\x00\xff")
    assert (plain(item["words"]), plain(item["codes"]), plain(item["blobs"])) == ({"a", "b"}, {"1", "2.5"}, {b"x", b"y"})
    assert plain(item["home"]) == {"street": "Bridge Road", "number": "7"}
    assert (plain(item["at"]), json.loads(plain(item["data"]))) == (AT.isoformat(), VALUES["data"])
    assert (plain(item["flag"]), plain(item["anything"])) == (True, ["a", "1", {"b": False}])
    assert (plain(item["rev"]), plain(item["expires"])) == ("1", str(int(VALUES["expires"].timestamp())))
    save(client, "Foreign", item)
    after = stored(table, "foreign", pk={"S": "pynamodb"}, sk={"N": "1"})
    assert after.pop("rev") == {"N": "2"} and before.pop("rev") == {"N": "1"}
    for compared in (before, after):
        compared["data"] = json.loads(compared["data"]["S"])
        for name, kind in {"words": "SS", "codes": "NS", "blobs": "BS"}.items():
            compared[name] = sorted(compared[name][kind])
    assert after == before
    found = model.get("pynamodb", 1, consistent_read=True)
    assert {name: getattr(found, name) for name in VALUES} == VALUES
    assert (found.rev, found.home.as_dict()) == (2, {"street": "Bridge Road", "number": 7})
    found.amount = 5
    found.save()
    assert (plain(get(client, "Foreign", pk="pynamodb", sk=1)["rev"])) == "3"


def test_dynamodb_toolbox_both_ways(foreign):
    client, table, store = foreign

    def todo(*arguments):
        environment = clean_environment(**CREDENTIALS, AWS_ENDPOINT_URL=store, TOOLBOX=os.environ["TOOLBOX"])
        script = pathlib.Path(HERE) / "toolbox" / "todo.mjs"
        command = ["node", str(script), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout

    todo("write")
    before = stored(table, "todos", pk={"S": "LIST#home"}, sk={"S": "TODO#toolbox"})
    item = get(client, "Todo", list="home", id="toolbox")
    assert (plain(item["title"]), plain(item["tags"]), plain(item["rank"])) == ("Paint the door", {"red", "blue"}, "2.5")
    assert plain(item["steps"]) == [{"what": "buy paint", "at": "1"}, {"what": "paint", "at": "2"}]
    assert plain(item["done"]) is False
    assert plain(item["created"]).endswith("+00:00")
    save(client, "Todo", item)
    after = stored(table, "todos", pk={"S": "LIST#home"}, sk={"S": "TODO#toolbox"})
    for compared in (before, after):
        compared["tags"] = sorted(compared["tags"]["SS"])
    assert after == before
    ours = {**item, "id": client.value("tollgate"), "title": client.value("Oil the hinges")}
    del ours["sk"]
    save(client, "Todo", ours)
    read = json.loads(todo("read", "tollgate"))
    assert (read["title"], read["tags"], read["rank"], read["done"]) == ("Oil the hinges", ["blue", "red"], 2.5, False)
    assert read["steps"] == [{"what": "buy paint", "at": 1}, {"what": "paint", "at": 2}]
    assert read["created"] == before["_ct"]["S"]
