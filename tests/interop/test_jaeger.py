"""With a real Jaeger: the trace of a Save is as docs/telemetry.md describes it, with the figures of the bill."""

import json
import os
import re
import shlex
import subprocess
import urllib.parse
import urllib.request

import boto3
import grpc
import pytest

from conftest import BINARY, HERE, clean_environment, free_port, gateway, listening, over, wait_until
from wire import Client

OTLP_PORT, QUERY_PORT = "4317", "16686"
SAVE = "tollgate.v1.DataService/Save"
# attributes of the server span, and the matching figures of `tollgate call --json`
FIGURES = {
    "tollgate.kms.calls": "kms_calls",
    "tollgate.kms.cache.hits": "kms_cache_hits",
    "tollgate.s3.calls": "s3_calls",
    "tollgate.dynamodb.calls": "dynamodb_calls",
    "tollgate.dynamodb.consumed_capacity.read": "rcu",
    "tollgate.dynamodb.consumed_capacity.write": "wcu",
    "tollgate.items": "items",
    "tollgate.retries": "retries",
    "tollgate.cost": "cost_usd",
    "tollgate.request_id": "request_id",
}
TIMES = {"tollgate.kms.duration": "kms_duration_ms", "tollgate.dynamodb.duration": "dynamodb_duration_ms"}


class Jaeger:
    """A Jaeger: its OTLP endpoint, and its query API, which its web pages use."""

    def __init__(self, otlp, query):
        self.query = query
        # on a port other than the default ones, the protocol must be set
        self.otlp = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": otlp, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}

    def ask(self, path, **parameters):
        with urllib.request.urlopen(f"{self.query}/api/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def found(self, spans, **wanted):
        """The traces of a search with this number of spans, once there is at least one."""
        search = lambda: [trace for trace in self.ask("traces", **wanted) if len(trace["spans"]) == spans]
        return wait_until(search, f"Jaeger has no trace of {spans} spans for {wanted}")


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory):
    """Jaeger with the parts of its default configuration that the documentation uses, on free ports."""
    otlp, query, query_grpc = (f"127.0.0.1:{free_port()}" for _ in range(3))
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": otlp}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 1000}}}},
            "jaeger_query": {
                "storage": {"traces": "memory"},
                # Jaeger does not trace itself
                "enable_tracing": False,
                "http": {"endpoint": query},
                "grpc": {"endpoint": query_grpc},
            },
        },
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
        },
    }
    folder = tmp_path_factory.mktemp("jaeger")
    (folder / "config.yaml").write_text(json.dumps(config))
    command = [os.environ["JAEGER"], "--config", "config.yaml"]
    # its query API starts before its OTLP receiver
    with listening(command, int(otlp.rsplit(":", 1)[1]), clean_environment(), folder) as endpoint:
        yield Jaeger(endpoint, f"http://{query}")


def documented():
    """The three commands of docs/telemetry.md, split into words."""
    page = (HERE.parents[1] / "docs/telemetry.md").read_text()
    block = re.search(r"^## A trace of a Save in Jaeger\n+```sh\n(.*?)```", page, re.MULTILINE | re.DOTALL).group(1)
    return [shlex.split(line) for line in block.splitlines()]


@pytest.fixture(scope="module")
def saved(jaeger):
    """The traces that the documented commands produce in Jaeger, and the metrics that the call printed."""
    _, (_, _, serve, *flags, _), (_, *call) = documented()
    assert serve == "serve"
    with gateway(*flags, environment=clean_environment(**jaeger.otlp)) as running:
        command = [BINARY, *call, "--json", "--address", f"http://{running.address}"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment())
        assert ended.returncode == 0, ended.stderr
        jaeger.found(3, service="tollgate")
    # everything has been exported now, and nothing else will be
    return jaeger.ask("traces", service="tollgate"), json.loads(ended.stdout)["metrics"]


def tags(span):
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def named(trace, name):
    """The only span with this name."""
    (span,) = (span for span in trace["spans"] if span["operationName"] == name)
    return span


def test_the_documented_commands_use_the_same_ports():
    docker, (variable, *_), _ = documented()
    published = [docker[at + 1] for at, word in enumerate(docker) if word == "-p"]
    assert sorted(published) == sorted(f"{port}:{port}" for port in (OTLP_PORT, QUERY_PORT))
    assert variable == f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://localhost:{OTLP_PORT}"


def test_a_save_is_one_trace_with_the_call_and_its_two_requests(saved):
    traces, _ = saved
    (trace,) = traces
    assert {process["serviceName"] for process in trace["processes"].values()} == {"tollgate"}
    assert len(trace["spans"]) == 3
    call = named(trace, SAVE)
    assert call["references"] == [] and tags(call)["span.kind"] == "server"
    for name in ("KMS.GenerateDataKey", "DynamoDB.PutItem"):
        request = named(trace, name)
        (parent,) = request["references"]
        assert (parent["refType"], parent["spanID"]) == ("CHILD_OF", call["spanID"])
        assert tags(request)["span.kind"] == "client"
        assert call["startTime"] <= request["startTime"] and request["duration"] <= call["duration"]
        # warnings of Jaeger, such as clock skew
        assert not request["warnings"]


def test_the_attributes_match_the_bill_that_the_call_printed(saved):
    (trace,), bill = saved
    said = tags(named(trace, SAVE))
    assert {attribute: said[attribute] for attribute in FIGURES} == {
        attribute: bill[figure] for attribute, figure in FIGURES.items()
    }
    assert (said["tollgate.kms.calls"], said["tollgate.dynamodb.consumed_capacity.write"]) == (1, 1)
    for attribute, figure in TIMES.items():
        assert said[attribute] * 1000 == pytest.approx(bill[figure])
    assert said["tollgate.model"] == "User" and said["rpc.response.status_code"] == "OK"
    assert "error" not in said


def test_no_value_of_the_item_is_in_the_trace(saved):
    (trace,), _ = saved
    for value in ("USER#1", "PROFILE", '"Ada"', "123-45-6789"):
        assert value not in json.dumps(trace)


def test_an_error_can_be_searched_by_status_and_is_shown_as_an_error(jaeger, store):
    environment = {**over(store), **jaeger.otlp, "OTEL_SERVICE_NAME": "tampered"}
    key = {"pk": "JAEGER", "sk": "A"}
    with gateway("--backend", "aws", environment=environment) as running:
        client = Client(running.address)
        client.unary("Save", client.type("SaveRequest")(model="User", item=client.item(**key, ssn="123-45-6789")))
        session = boto3.Session("testing", "testing", region_name="us-east-1")
        session.resource("dynamodb", endpoint_url=store).Table("users").update_item(
            Key=key, UpdateExpression="SET ssn = :v", ExpressionAttributeValues={":v": b"damaged"}
        )
        code, bill = client.failing("Get", client.type("GetRequest")(model="User", key=client.item(**key)))
        assert code == grpc.StatusCode.DATA_LOSS
        (trace,) = jaeger.found(2, service="tampered", tags='{"rpc.response.status_code": "DATA_LOSS"}')
    said = tags(named(trace, "tollgate.v1.DataService/Get"))
    assert said["error"] is True and said["error.type"] == "DATA_LOSS"
    assert said["tollgate.reason"] == "CIPHERTEXT_INVALID"
    assert said["tollgate.request_id"] == bill["tollgate-request-id"]
    assert "error" not in tags(named(trace, "DynamoDB.GetItem"))
