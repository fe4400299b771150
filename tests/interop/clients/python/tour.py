"""A tour of tollgate in Python, with the synchronous API: python tour.py ADDRESS"""

import json
import sys
import uuid
from collections.abc import Iterable
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from tollgate.v1 import data_service_pb2 as data_pb
from tollgate.v1 import metrics_service_pb2 as metrics_pb
from tollgate.v1.data_service_pb2_grpc import DataServiceStub
from tollgate.v1.metrics_service_pb2_grpc import MetricsServiceStub
from tollgate.v1.value_pb2 import AttributeValue, Expression, Object

DATA = "tollgate.v1.DataService"
# retries reads when the server is unavailable, but not writes
SERVICE_CONFIG = {
    "methodConfig": [
        {"name": [{"service": DATA}], "timeout": "10s"},
        {
            "name": [{"service": DATA, "method": method} for method in ("Get", "Query", "Scan")],
            "timeout": "10s",
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
    ]
}
# the server's limits.message_bytes; the default of gRPC is 4 MiB
MESSAGE_BYTES = 32 * 1024 * 1024
OPTIONS = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
]
# every call with this metadata is billed to the session
SESSION = (("tollgate-session", "python-tour"),)


def text(value: str) -> AttributeValue:
    return AttributeValue(s=value)


def key(pk: str, sk: str) -> dict[str, AttributeValue]:
    return {"pk": text(pk), "sk": text(sk)}


# pairs of name and value; grpc has a separate type for them in each API
Trailers = Iterable[Any] | None


def bill(trailers: Trailers) -> dict[str, str]:
    """The figures of a call by name, without `tollgate-`."""
    prefix = "tollgate-"
    return {name.removeprefix(prefix): str(value) for name, value in trailers or () if name.startswith(prefix)}


def reason(trailers: Trailers) -> tuple[str, list[str]]:
    """The reason of an error, and the invalid fields."""
    status, info, wrong = status_pb2.Status(), error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for name, value in trailers or ():
        if name == "grpc-status-details-bin" and isinstance(value, bytes):
            status.ParseFromString(value)
    for detail in status.details:
        # Unpack does nothing if the detail is of another type
        detail.Unpack(info)
        detail.Unpack(wrong)
    return info.reason, [violation.field for violation in wrong.field_violations]


def save_and_get(data: DataServiceStub) -> None:
    ada = key("USER#1", "PROFILE") | {
        "name": text("Ada"),
        "age": AttributeValue(n="36"),
        "ssn": text("123-45-6789"),
    }
    _, call = data.Save.with_call(data_pb.SaveRequest(model="User", item=ada), metadata=SESSION)
    figures = bill(call.trailing_metadata())
    print(f"save: {figures['kms-calls']} KMS call, {figures['wcu']} write unit, ${figures['cost-usd']}")

    # a deadline for this call only; the server applies it to every AWS request
    request = data_pb.GetRequest(model="User", key=key("USER#1", "PROFILE"))
    found, call = data.Get.with_call(request, metadata=SESSION, timeout=5)
    figures = bill(call.trailing_metadata())
    print(f"get: {found.item['name'].s}, {figures['kms-calls']} KMS call, {figures['rcu']} read units")


def query(data: DataServiceStub) -> None:
    condition = Expression(text="pk = :pk", values={":pk": text("USER#1")})
    request = data_pb.QueryRequest(model="User", key_condition=condition, fields=["name", "age"])
    pages = data.Query(request, metadata=SESSION)
    # a result with `error` set could not be read; the others can
    items = [result.item for page in pages for result in page.results if not result.HasField("error")]
    # the trailers of a stream are available after its end
    figures = bill(pages.trailing_metadata())
    print(f"query: {len(items)} item, {figures['kms-calls']} KMS calls, {figures['rcu']} read units")


def failures(data: DataServiceStub) -> None:
    wrong = {"pk": text("USER#1"), "age": text("old")}
    try:
        data.Save(data_pb.SaveRequest(model="User", item=wrong), metadata=SESSION)
    except grpc.RpcError as error:
        why, fields = reason(error.trailing_metadata())
        print("wrong item:", error.code().name, why, *fields)
    try:
        data.Get(data_pb.GetRequest(model="User", key=key("USER#0", "PROFILE")), metadata=SESSION)
    except grpc.RpcError as error:
        print("missing item:", error.code().name, reason(error.trailing_metadata())[0])


def bill_of_lost_call(data: DataServiceStub, metrics: MetricsServiceStub) -> None:
    """The bill of a call whose trailers were lost, by the id that the caller gave it."""
    request_id = f"python-tour-{uuid.uuid4()}"
    named = (*SESSION, ("tollgate-request-id", request_id))
    data.Delete(data_pb.DeleteRequest(model="User", key=key("USER#1", "PROFILE")), metadata=named)
    call = metrics.GetCallMetrics(metrics_pb.GetCallMetricsRequest(request_id=request_id))
    print(f"lost call: {call.rpc}, {call.metrics.total_wcu:g} write unit")


def object_of_5_mib(data: DataServiceStub) -> None:
    content = AttributeValue(object=Object(data=bytes(5 * 1024 * 1024), name="report.bin"))
    report = key("DOC#1", "v1") | {"content": content}
    data.Save(data_pb.SaveRequest(model="Document", item=report), metadata=SESSION)
    request = data_pb.GetRequest(model="Document", key=key("DOC#1", "v1"), include_objects=["content"])
    found = data.Get(request, metadata=SESSION)
    print("object:", len(found.item["content"].object.data), "bytes")


def main(address: str) -> None:
    with grpc.insecure_channel(address, options=OPTIONS) as channel:
        data, metrics = DataServiceStub(channel), MetricsServiceStub(channel)
        save_and_get(data)
        query(data)
        failures(data)
        bill_of_lost_call(data, metrics)
        object_of_5_mib(data)
        request = metrics_pb.GetTotalMetricsRequest(session="python-tour")
        total = metrics.GetTotalMetrics(request).total
        print(f"session: {total.call_count} calls, {total.failed_call_count} failed, {total.kms_calls} KMS calls")


if __name__ == "__main__":
    main(sys.argv[1])
