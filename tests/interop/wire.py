"""A plain grpcio client: messages from reflection, bills from the trailers."""

import decimal
import threading

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

MESSAGE_BYTES = 64 * 1024 * 1024


class Client:
    """Calls any RPC by name; requests are dicts of keyword arguments."""

    def __init__(self, address):
        options = [("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)]
        self.channel = grpc.insecure_channel(address, options=options)
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        # reflection fills the pool on demand, and not concurrently
        self.lock = threading.Lock()

    def type(self, name):
        with self.lock:
            return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"tollgate.v1.{name}"))

    def value(self, value):
        kinds = self.type("AttributeValue")
        if value is None:
            return kinds(null=0)
        if isinstance(value, bool):
            return kinds(bool=value)
        if isinstance(value, str):
            return kinds(s=value)
        if isinstance(value, (int, float, decimal.Decimal)):
            return kinds(n=str(value))
        if isinstance(value, bytes):
            return kinds(b=value)
        if isinstance(value, dict):
            fields = {name: self.value(inner) for name, inner in value.items()}
            return kinds(m=self.type("MapValue")(fields=fields))
        if isinstance(value, list):
            return kinds(l=self.type("ListValue")(values=[self.value(inner) for inner in value]))
        if isinstance(value, (set, frozenset)):
            return self.set(value)
        return value

    def set(self, members):
        """A set of strings, numbers or byte strings; its members are of one type."""
        kinds = self.type("AttributeValue")
        if all(isinstance(member, str) for member in members):
            return kinds(ss=self.type("StringSet")(values=sorted(members)))
        if all(isinstance(member, bytes) for member in members):
            return kinds(bs=self.type("BinarySet")(values=sorted(members)))
        return kinds(ns=self.type("NumberSet")(values=[str(member) for member in sorted(members)]))

    def item(self, **attributes):
        return {name: self.value(value) for name, value in attributes.items()}

    def object(self, data, **fields):
        return self.type("AttributeValue")(object=self.type("Object")(data=data, **fields))

    def unary(self, rpc, request, session=None, service="DataService", metadata=()):
        """The response and the trailers of a unary call."""
        method = self.channel.unary_unary(
            f"/tollgate.v1.{service}/{rpc}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=self.type(f"{rpc}Response").FromString,
        )
        sessions = [("tollgate-session", session)] if session else []
        response, call = method.with_call(request, metadata=[*metadata, *sessions], timeout=60)
        return response, bill(call)

    def failing(self, rpc, request, session=None):
        """The status code and the trailers of a unary call that must fail."""
        try:
            self.unary(rpc, request, session)
        except grpc.RpcError as error:
            return error.code(), bill(error)
        raise AssertionError(f"{rpc} succeeded")

    def stream(self, rpc, request, session=None):
        """All pages and the trailers of a server stream."""
        method = self.channel.unary_stream(
            f"/tollgate.v1.DataService/{rpc}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=self.type(f"{rpc}Response").FromString,
        )
        call = method(request, metadata=[("tollgate-session", session)] if session else [], timeout=60)
        pages = list(call)
        return pages, bill(call)


def bill(call):
    """The trailers as a dict of strings."""
    return {name: value for name, value in call.trailing_metadata()}


def plain(value):
    """An attribute value as a Python value."""
    kind = value.WhichOneof("kind")
    if kind == "m":
        return {name: plain(inner) for name, inner in value.m.fields.items()}
    if kind == "l":
        return [plain(inner) for inner in value.l.values]
    if kind in ("ss", "ns", "bs"):
        return set(getattr(value, kind).values)
    if kind == "null":
        return None
    return getattr(value, kind)
