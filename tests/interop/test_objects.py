"""On moto: encrypted objects are decoded by the reference decoder of docs/storage.md, straight from S3 and KMS."""

import gzip
import hashlib
import os
import re

import boto3
import pytest

from conftest import HERE, gateway, over
from wire import Client

MODEL = """
name: Archive
table: documents
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  plain: { type: object, s3: { bucket: my-bucket, prefix: archive/ } }
  scan:
    type: object
    s3: { bucket: my-bucket, prefix: archive/ }
    encrypted: { key_id: alias/my-app-key, context: { app: archive } }
  log:
    type: object
    s3: { bucket: my-bucket, prefix: archive/ }
    encrypted: { key_id: alias/my-app-key, context: { app: archive } }
    compressed: { algorithm: gzip }
  text:
    type: string
    s3: { bucket: my-bucket, prefix: archive/, offload_above: 1000 }
    encrypted: { key_id: alias/my-app-key, context: { app: archive } }
"""


@pytest.fixture(scope="module")
def open_object():
    """The decoder, as the documentation has it."""
    document = (HERE.parent.parent / "docs" / "storage.md").read_text()
    [code] = [code for code in re.findall(r"```python\n(.*?)```", document, re.DOTALL) if "def open_object" in code]
    names = {}
    exec(code, names)
    return names["open_object"]


@pytest.fixture(scope="module")
def archive(store, tmp_path_factory):
    """A client of a gateway on moto, and the clients of the stores."""
    models = tmp_path_factory.mktemp("archive")
    (models / "archive.yaml").write_text(MODEL)
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    stores = [session.client(name, endpoint_url=store) for name in ("dynamodb", "s3", "kms")]
    with gateway("--backend", "aws", "--models", str(models), environment=over(store)) as running:
        yield Client(running.address), *stores


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 200_000])
def test_the_reference_decoder_opens_every_form(archive, open_object, size):
    client, dynamodb, s3, kms = archive
    random = os.urandom(size)
    repeated = (b"line after line\n" * 20_000)[:size]
    text = "ü" * size
    item = client.item(pk="A", sk=str(size), text=text)
    item["scan"] = client.object(random, name="scan.pdf")
    item["log"] = client.object(repeated)
    client.unary("Save", client.type("SaveRequest")(model="Archive", item=item))
    key = {"pk": {"S": "A"}, "sk": {"S": str(size)}}
    stored = dynamodb.get_item(TableName="documents", Key=key)["Item"]

    def unwrap(wrapped):
        context = {"app": "archive", "tollgate:table": "documents"}
        return kms.decrypt(CiphertextBlob=wrapped, EncryptionContext=context)["Plaintext"]

    def decoded(attribute, **options):
        pointer = stored[attribute]["M"]
        assert "sha256" not in pointer
        body = s3.get_object(Bucket=pointer["bucket"]["S"], Key=pointer["key"]["S"])["Body"].read()
        place = ("documents", b"SA", b"S" + str(size).encode(), attribute)
        return open_object(body, pointer["mac"]["S"], unwrap, *place, **options)

    assert decoded("scan") == random
    is_compressed = stored["log"]["M"].get("encoding") == {"S": "gzip"}
    assert is_compressed == (size > 100)
    assert decoded("log", **({"decompress": gzip.decompress} if is_compressed else {})) == repeated
    if size > 1:
        assert stored["text"]["M"]["kind"] == {"S": "S"}
        assert decoded("text") == text.encode()
    get = client.type("GetRequest")(model="Archive", key=client.item(pk="A", sk=str(size)), include_objects=["scan"])
    found = client.unary("Get", get)[0].item
    assert (found["text"].s, found["scan"].object.data) == (text, random)
    assert found["scan"].object.sha256 == hashlib.sha256(random).hexdigest()
