"""With a real OpenTelemetry Collector: the spans, metrics and logs that it receives match the trailers."""

import http.server
import json
import os
import threading

import grpc
import pytest

from conftest import clean_environment, free_port, gateway, listening, wait_until
from wire import Client

CALLER_TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER_SPAN = "b7ad6b7169203331"
SERVER, CLIENT = 2, 3
ERROR = 2
SECRET = "078-05-1120"


class Sink:
    """Accepts OTLP in JSON over HTTP and stores it by signal."""

    def __init__(self):
        self.received = {"traces": [], "metrics": [], "logs": []}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.received[self.path.rsplit("/", 1)[-1]].append(body)
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        scopes = [scope for body in self.received["traces"] for part in body["resourceSpans"] for scope in part["scopeSpans"]]
        return [span for scope in scopes for span in scope["spans"]]

    def metrics(self):
        """The latest value of every cumulative metric."""
        scopes = [scope for body in self.received["metrics"] for part in body["resourceMetrics"] for scope in part["scopeMetrics"]]
        return {metric["name"]: metric for scope in scopes for metric in scope["metrics"]}

    def records(self):
        scopes = [scope for body in self.received["logs"] for part in body["resourceLogs"] for scope in part["scopeLogs"]]
        return [record for scope in scopes for record in scope["logRecords"]]


def attributes(holder):
    return {entry["key"]: next(iter(entry["value"].values())) for entry in holder.get("attributes", [])}


WAYS = [("grpc", "none"), ("grpc", "gzip"), ("http/protobuf", "none"), ("http/protobuf", "gzip")]


@pytest.fixture(scope="module", params=WAYS, ids="-".join)
def collector(request, tmp_path_factory):
    """The variables for a collector with one of the OTLP protocols, compressed or not, and the sink that it exports to."""
    sink, port = Sink(), free_port()
    protocol, compression = request.param
    receiver = protocol.split("/")[0]
    config = {
        "receivers": {"otlp": {"protocols": {receiver: {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"otlphttp": {"endpoint": sink.url, "encoding": "json", "compression": "none"}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {name: {"receivers": ["otlp"], "exporters": ["otlphttp"]} for name in sink.received},
        },
    }
    folder = tmp_path_factory.mktemp("collector")
    (folder / "config.yaml").write_text(json.dumps(config))
    with listening([os.environ["OTELCOL"], "--config", "config.yaml"], port, clean_environment(), folder) as endpoint:
        variables = {"ENDPOINT": endpoint, "PROTOCOL": protocol, "COMPRESSION": compression}
        yield {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()}, sink


@pytest.fixture(scope="module")
def received(collector):
    """Everything that the collector received from a gateway, and the bills of the calls."""
    endpoint, sink = collector
    environment = clean_environment(**endpoint, OTEL_RESOURCE_ATTRIBUTES="team=billing")
    with gateway("--memory", environment=environment) as running:
        bills = calls(Client(running.address))
    wait_until(
        lambda: sink.records() and sink.metrics() and len(server_spans(sink)) == len(bills),
        "the collector did not pass on what was flushed",
    )
    return sink, bills


def server_spans(sink):
    return [span for span in sink.spans() if span["kind"] == SERVER]


def calls(client):
    """Makes calls of every kind; the second one continues the caller's trace."""
    bills = []
    for number in range(5):
        address = {"city": "London"}
        item = client.item(pk="ORG", sk=f"U#{number}", ssn=SECRET, phone="+44", address=address)
        bills.append(client.unary("Save", client.type("SaveRequest")(model="SecureUser", item=item), "otel")[1])
    document = {**client.item(pk="D", sk="V1"), "content": client.object(b"z" * 12 * 1024 * 1024, name="d.bin")}
    traced = [("traceparent", f"00-{CALLER_TRACE}-{CALLER_SPAN}-01")]
    bills.append(client.unary("Save", client.type("SaveRequest")(model="Document", item=document), metadata=traced)[1])
    condition = client.type("Expression")(text="pk = :pk", values=client.item(**{":pk": "ORG"}))
    bills.append(client.stream("Query", client.type("QueryRequest")(model="SecureUser", key_condition=condition))[1])
    missing = client.type("GetRequest")(model="User", key=client.item(pk="none", sk="none"))
    code, bill = client.failing("Get", missing)
    assert code == grpc.StatusCode.NOT_FOUND
    return [*bills, bill]


def test_every_call_has_one_server_span_with_its_bill(received):
    sink, bills = received
    spans = {attributes(span)["tollgate.request_id"]: span for span in server_spans(sink)}
    for bill in bills:
        span = spans[bill["tollgate-request-id"]]
        said = attributes(span)
        assert said["rpc.system.name"] == "grpc"
        assert span["name"] == said["rpc.method"] and span["name"].startswith("tollgate.v1.DataService/")
        for attribute, trailer in {
            "tollgate.kms.calls": "tollgate-kms-calls",
            "tollgate.s3.calls": "tollgate-s3-calls",
            "tollgate.dynamodb.calls": "tollgate-dynamodb-calls",
        }.items():
            assert str(said.get(attribute, 0)) == bill[trailer], attribute
    missing = spans[bills[-1]["tollgate-request-id"]]
    assert missing.get("status", {}).get("code", 0) != ERROR, "NOT_FOUND is not a server error"


def test_aws_calls_are_client_spans_under_their_call(received):
    sink, _ = received
    spans = sink.spans()
    by_id = {span["spanId"]: span for span in spans}
    traced = next(span for span in server_spans(sink) if span["traceId"] == CALLER_TRACE)
    assert traced["parentSpanId"] == CALLER_SPAN
    below = [span for span in spans if span["traceId"] == CALLER_TRACE and span["kind"] == CLIENT]
    names = sorted(span["name"] for span in below)
    assert names == sorted(["DynamoDB.PutItem", "S3.CreateMultipartUpload", "S3.CompleteMultipartUpload"] + ["S3.UploadPart"] * 3)
    parts = [span for span in below if span["name"] == "S3.UploadPart"]
    assert len({span["parentSpanId"] for span in parts}) == 1, "parts are siblings"
    assert sorted(int(attributes(span)["aws.s3.part_number"]) for span in parts) == [1, 2, 3]
    put = attributes(next(span for span in below if span["name"] == "DynamoDB.PutItem"))
    assert put["db.system.name"] == "aws.dynamodb" and "aws.dynamodb.table_names" in put
    query = next(span for span in server_spans(sink) if span["name"].endswith("/Query"))
    decrypts = [span for span in spans if span["name"] == "KMS.Decrypt" and span["traceId"] == query["traceId"]]
    assert len(decrypts) == 5
    for span in spans:
        assert not span.get("parentSpanId") or span["parentSpanId"] in by_id or span["parentSpanId"] == CALLER_SPAN


def test_the_metrics_sum_up_to_the_trailers(received):
    sink, bills = received
    metrics = sink.metrics()

    def total(name):
        return sum(float(point.get("asInt", point.get("asDouble", 0))) for point in metrics[name]["sum"]["dataPoints"])

    def trailers(name):
        return sum(float(bill[name]) for bill in bills)

    assert total("tollgate.kms.calls") == trailers("tollgate-kms-calls")
    assert total("tollgate.s3.calls") == trailers("tollgate-s3-calls")
    assert total("tollgate.s3.io") == trailers("tollgate-s3-bytes-uploaded") + trailers("tollgate-s3-bytes-downloaded")
    assert total("tollgate.dynamodb.consumed_capacity") == trailers("tollgate-rcu") + trailers("tollgate-wcu")
    assert abs(total("tollgate.cost") - trailers("tollgate-cost-usd")) < 1e-11
    duration = metrics["rpc.server.call.duration"]
    assert duration["unit"] == "s"
    points = duration["histogram"]["dataPoints"]
    assert sum(int(point["count"]) for point in points) == len(bills)
    assert points[0]["explicitBounds"][0] == 0.0005 and points[0]["explicitBounds"][-1] == 30
    assert metrics["tollgate.s3.io"]["unit"] == "By" and metrics["tollgate.cost"]["unit"] == "USD"


def test_log_records_have_the_trace_and_no_secrets(received):
    sink, bills = received
    spans = {span["traceId"] for span in server_spans(sink)}
    of_calls = [record for record in sink.records() if record.get("traceId")]
    assert len(of_calls) >= len(bills) and {record["traceId"] for record in of_calls} <= spans
    assert all(int(record["timeUnixNano"]) > 0 for record in of_calls), "every record has a time"
    assert SECRET not in json.dumps(sink.received)


def test_the_resource_has_its_attributes(received):
    sink, _ = received
    resource = attributes(sink.received["traces"][0]["resourceSpans"][0]["resource"])
    assert resource["service.name"] == "tollgate" and resource["team"] == "billing"
