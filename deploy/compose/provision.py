"""Makes what the models of a folder need in the stores that the AWS_ENDPOINT_URL_* variables name: tables, buckets,
keys. What is there already stays as it is. For local stores; in AWS such things belong to your own tools.

Usage: provision.py FOLDER
"""

import os
import pathlib
import sys
import time

import boto3
import botocore.exceptions
import yaml

WAIT_S = 60
KEY_TYPES = {"string": "S", "number": "N", "binary": "B"}


def client(service):
    """AWS_REGION as the server reads it; by itself boto3 knows only AWS_DEFAULT_REGION."""
    return boto3.client(service, region_name=os.environ["AWS_REGION"])


def patiently(call, *arguments, **named):
    """A call, again until the store answers at all."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            return call(*arguments, **named)
        except (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def make_table(dynamodb, model):
    if model["table"] in patiently(dynamodb.list_tables)["TableNames"]:
        return False
    keys = [model["partition_key"], *filter(None, [model.get("sort_key")])]
    dynamodb.create_table(
        TableName=model["table"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": KEY_TYPES[model["attributes"][name]["type"]]} for name in keys
        ],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"))],
    )
    return True


def make_bucket(s3, name):
    if name in [bucket["Name"] for bucket in patiently(s3.list_buckets)["Buckets"]]:
        return False
    s3.create_bucket(Bucket=name)
    return True


def make_key(kms, key_id):
    """A new key under the alias. An id or ARN cannot be chosen, so a model that has one needs a store that has it."""
    if not key_id.startswith("alias/"):
        sys.exit(f"{key_id}: only keys named by an alias can be made here")
    if key_id in [alias["AliasName"] for alias in patiently(kms.list_aliases)["Aliases"]]:
        return False
    made = kms.create_key(Description="tollgate")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=key_id, TargetKeyId=made)
    return True


def models(folder):
    for path in sorted(pathlib.Path(folder).glob("*.y*ml")):
        yield from filter(None, yaml.safe_load_all(path.read_text()))


def main(folder):
    made = []
    for model in models(folder):
        attributes = model["attributes"].values()
        if make_table(client("dynamodb"), model):
            made.append(f"table {model['table']}")
        for bucket in sorted({attribute["s3"]["bucket"] for attribute in attributes if "s3" in attribute}):
            if make_bucket(client("s3"), bucket):
                made.append(f"bucket {bucket}")
        for key_id in sorted({attribute["encrypted"]["key_id"] for attribute in attributes if "encrypted" in attribute}):
            if make_key(client("kms"), key_id):
                made.append(f"key {key_id}")
    print("made", ", ".join(made) or "nothing: all is there")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
