//! Valid requests of every RPC, from which malformed ones are made.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message;
use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_proto::v1::transact_operation::Operation;
use tollgate_proto::v1::upload_request;
use tollgate_tests::values::{self, Item, expression, item, l, n, object, s};

use super::client::Sent;
use super::input::Input;

/// The path of the call that reads one item.
pub(crate) const GET: &str = "/tollgate.v1.DataService/Get";

/// A message with gRPC's five bytes before it.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    flagged(0, u32::try_from(message.len()).expect("a small message"), message)
}

/// A message whose flag and length may lie.
pub(crate) fn flagged(flag: u8, length: u32, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(flag);
    framed.put_u32(length);
    framed.put_slice(message);
    framed.freeze()
}

fn key() -> Item {
    item([("tenant", s("acme")), ("customer", s("7")), ("sk", s("1"))])
}

fn invoice() -> Item {
    let mut invoice = key();
    invoice.extend(item([
        ("amount", n(120)),
        ("iban", s("DE89370400440532013000")),
        ("lines", l([s("one"), n(2)])),
        ("scan", object("a scan")),
    ]));
    invoice
}

/// The message of a Get.
pub(crate) fn get_message() -> Vec<u8> {
    values::get("Invoice", key()).encode_to_vec()
}

/// A Get of the item that [`save`] writes.
pub(crate) fn get() -> Sent {
    let message = values::get("Invoice", of_probes(key())).encode_to_vec();
    Sent::new(GET, framed(&message))
}

/// A Save.
pub(crate) fn save() -> Sent {
    let message = values::save("Invoice", of_probes(invoice())).encode_to_vec();
    Sent::new("/tollgate.v1.DataService/Save", framed(&message))
}

/// The item that no malformed call changes.
fn of_probes(mut item: Item) -> Item {
    item.insert("customer".to_owned(), s("of-probes"));
    item
}

/// Any RPC with the messages of a valid call.
pub(crate) fn any(input: &mut Input) -> (&'static str, Vec<Vec<u8>>) {
    match input.below(19) {
        0..8 => items(input),
        8..14 => groups(input),
        _ => others(input),
    }
}

/// The RPCs about one item, or a page.
fn items(input: &mut Input) -> (&'static str, Vec<Vec<u8>>) {
    let condition = expression("attribute_exists(sk) AND amount >= :a", [(":a", n(1))]);
    match input.below(8) {
        0 => {
            let save = v1::SaveRequest {
                condition,
                request_id: "r1".to_owned(),
                return_values: 1,
                ..values::save("Invoice", invoice())
            };
            ("/tollgate.v1.DataService/Save", one(&save))
        }
        1 => {
            let get = v1::GetRequest {
                fields: vec!["amount".to_owned(), "lines[0]".to_owned()],
                include_objects: vec!["scan".to_owned()],
                ..values::get("Invoice", key())
            };
            (GET, one(&get))
        }
        2 => {
            let text = "SET amount = amount + :a REMOVE lines[0]";
            let update = v1::UpdateRequest {
                condition,
                ..values::update("Invoice", key(), text, [(":a", n(1))])
            };
            ("/tollgate.v1.DataService/Update", one(&update))
        }
        3 => {
            let delete = v1::DeleteRequest {
                condition,
                ..values::delete("Invoice", key())
            };
            ("/tollgate.v1.DataService/Delete", one(&delete))
        }
        4 | 5 => pages(input, condition),
        _ => contents(input),
    }
}

/// The RPCs about pages of items.
fn pages(input: &mut Input, filter: Option<v1::Expression>) -> (&'static str, Vec<Vec<u8>>) {
    if input.once_in(2) {
        let scan = v1::ScanRequest {
            filter,
            limit: 3,
            ..values::scan("Invoice")
        };
        return ("/tollgate.v1.DataService/Scan", one(&scan));
    }
    let text = "pk = :p AND begins_with(sk, :s)";
    let query = v1::QueryRequest {
        model: "Invoice".to_owned(),
        key_condition: expression(text, [(":p", s("TENANT#acme#7")), (":s", s("1"))]),
        filter,
        page_size: 3,
        page_token: input.text(),
        ..v1::QueryRequest::default()
    };
    ("/tollgate.v1.DataService/Query", one(&query))
}

/// The RPCs about the content of an object.
fn contents(input: &mut Input) -> (&'static str, Vec<Vec<u8>>) {
    let (model, attribute) = ("Invoice".to_owned(), "scan".to_owned());
    if input.once_in(2) {
        let download = v1::DownloadRequest {
            model,
            key: key(),
            attribute,
            offset: u64::from(input.number()),
            ..v1::DownloadRequest::default()
        };
        return ("/tollgate.v1.DataService/Download", one(&download));
    }
    let presign = v1::PresignRequest {
        model,
        key: key(),
        attribute,
        method: 1,
        expires: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..v1::PresignRequest::default()
    };
    ("/tollgate.v1.DataService/Presign", one(&presign))
}

/// The RPCs about several items, and streams of requests.
fn groups(input: &mut Input) -> (&'static str, Vec<Vec<u8>>) {
    let save = values::save("Invoice", invoice());
    let delete = values::delete("Invoice", key());
    match input.below(5) {
        0 => (
            "/tollgate.v1.DataService/BatchGet",
            one(&v1::BatchGetRequest {
                requests: vec![values::get("Invoice", key()), values::get("Nope", key())],
                ..v1::BatchGetRequest::default()
            }),
        ),
        1 => {
            let writes = [Write::Save(save), Write::Delete(delete)];
            let writes = writes.map(|write| v1::BatchWriteRequest { write: Some(write) }.encode_to_vec());
            ("/tollgate.v1.DataService/BatchWrite", writes.to_vec())
        }
        2 => (
            "/tollgate.v1.DataService/TransactGet",
            one(&v1::TransactGetRequest {
                requests: vec![values::get("Invoice", key())],
                ..v1::TransactGetRequest::default()
            }),
        ),
        3 => {
            let operation = v1::TransactOperation {
                operation: Some(Operation::Save(save)),
            };
            (
                "/tollgate.v1.DataService/TransactWrite",
                one(&v1::TransactWriteRequest {
                    operations: vec![operation],
                    ..v1::TransactWriteRequest::default()
                }),
            )
        }
        _ => {
            let mut item = invoice();
            item.remove("scan");
            let chunk = |data: &'static str, end| {
                upload_request::Message::Chunk(v1::ObjectChunk {
                    attribute: "scan".to_owned(),
                    data: data.into(),
                    end,
                    ..v1::ObjectChunk::default()
                })
            };
            let first = upload_request::Message::Save(values::save("Invoice", item));
            let messages = [first, chunk("first", false), chunk("last", true)];
            let messages = messages.map(|message| {
                v1::UploadRequest {
                    message: Some(message),
                }
                .encode_to_vec()
            });
            ("/tollgate.v1.DataService/Upload", messages.to_vec())
        }
    }
}

/// The RPCs of the other services.
fn others(input: &mut Input) -> (&'static str, Vec<Vec<u8>>) {
    match input.below(9) {
        0 => (
            "/tollgate.v1.SchemaService/ListModels",
            one(&v1::ListModelsRequest {}),
        ),
        1 => (
            "/tollgate.v1.SchemaService/GetModel",
            one(&v1::GetModelRequest {
                name: "Invoice".to_owned(),
            }),
        ),
        2 => (
            "/tollgate.v1.MetricsService/GetTotalMetrics",
            one(&v1::GetTotalMetricsRequest {
                session: input.text(),
                model: "Invoice".to_owned(),
            }),
        ),
        3 => (
            "/tollgate.v1.MetricsService/ResetMetrics",
            one(&v1::ResetMetricsRequest {
                session: input.text(),
                ..v1::ResetMetricsRequest::default()
            }),
        ),
        4 => (
            "/tollgate.v1.MetricsService/GetCallMetrics",
            one(&v1::GetCallMetricsRequest {
                request_id: input.text(),
            }),
        ),
        5 => (
            "/tollgate.v1.AdminService/FlushKeys",
            one(&v1::FlushKeysRequest {}),
        ),
        6 => (
            "/tollgate.v1.AdminService/Sweep",
            one(&v1::SweepRequest {
                dry_run: true,
                ..v1::SweepRequest::default()
            }),
        ),
        7 => ("/grpc.health.v1.Health/Check", vec![vec![10, 1, b'x']]),
        _ => (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            vec![vec![58, 0], vec![34, 1, b'.']],
        ),
    }
}

fn one(message: &impl Message) -> Vec<Vec<u8>> {
    vec![message.encode_to_vec()]
}
