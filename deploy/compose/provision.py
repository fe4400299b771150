"""Creates the tables, buckets and keys that the models of a folder need, in the stores at AWS_ENDPOINT_URL_*. Existing
resources stay unchanged. For local stores; on AWS, use your own provisioning tools.

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
    """A client for AWS_REGION, which the server reads; boto3 reads only AWS_DEFAULT_REGION."""
    return boto3.client(service, region_name=os.environ["AWS_REGION"])


def retried(call, *arguments, **named):
    """Makes a call, and retries it until the store responds."""
    end = time.monotonic() + WAIT_S
    while True:
        try:
            return call(*arguments, **named)
        except (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def make_table(dynamodb, model):
    if model["table"] in retried(dynamodb.list_tables)["TableNames"]:
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
    if name in [bucket["Name"] for bucket in retried(s3.list_buckets)["Buckets"]]:
        return False
    s3.create_bucket(Bucket=name)
    return True


def make_key(kms, key_id):
    """Creates a key with this alias. Ids and ARNs cannot be chosen, so keys that models reference by them must exist."""
    if not key_id.startswith("alias/"):
        sys.exit(f"{key_id}: cannot create a key with a given id or ARN; use an alias")
    if key_id in [alias["AliasName"] for alias in retried(kms.list_aliases)["Aliases"]]:
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
    print("created", ", ".join(made) or "nothing: all resources exist")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
