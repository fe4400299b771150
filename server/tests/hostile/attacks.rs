//! The attacks. Each returns a value that keeps its connections open; dropping it closes them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use h2::RecvStream;
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;

use crate::wire::{Begun, Connection, connect, field, framed};

const SAVE: &str = "/tollgate.v1.DataService/Save";
const GET: &str = "/tollgate.v1.DataService/Get";
const SCAN: &str = "/tollgate.v1.DataService/Scan";

/// What a message is filled up to; a server takes more.
const MESSAGE_BYTES: usize = 4 << 20;
/// The object that unread Gets ask for.
const OBJECT_BYTES: usize = 8 << 20;
/// A step of an attacker that sends as much as the server takes: once nothing moved for so long, it is held.
const STALLED: Duration = Duration::from_millis(500);

type Held = Vec<(Connection, Vec<Begun>)>;

/// Stores what the later attacks read.
pub(crate) async fn prepare(server: SocketAddr) {
    let client = DataServiceClient::connect(format!("http://{server}")).await;
    let mut client = client.expect("it listens");
    let mut document = key("D#1");
    document.insert(
        "content".to_owned(),
        value(Kind::Object(Box::new(v1::Object {
            data: Some(Bytes::from(vec![7; OBJECT_BYTES])),
            ..v1::Object::default()
        }))),
    );
    save(&mut client, "Document", document).await;
    for number in 0..40 {
        let mut user = key(&format!("SCAN#{number}"));
        user.insert("name".to_owned(), value(Kind::S("x".repeat(300_000))));
        save(&mut client, "User", user).await;
    }
}

async fn save(
    client: &mut DataServiceClient<tonic::transport::Channel>,
    model: &str,
    item: std::collections::HashMap<String, v1::AttributeValue>,
) {
    let request = v1::SaveRequest {
        model: model.to_owned(),
        item,
        ..v1::SaveRequest::default()
    };
    client.save(request).await.expect("an ordinary Save");
}

fn key(partition: &str) -> std::collections::HashMap<String, v1::AttributeValue> {
    [("pk", partition), ("sk", "PROFILE")]
        .map(|(name, text)| (name.to_owned(), value(Kind::S(text.to_owned()))))
        .into()
}

fn value(kind: Kind) -> v1::AttributeValue {
    v1::AttributeValue { kind: Some(kind) }
}

/// Connections that send nothing, and ones that stop within HTTP/2's preface.
pub(crate) async fn silent_connections(server: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for number in 0..600 {
        // from some number on the server refuses them, which is its right
        let Ok(Ok(mut stream)) = timeout(STALLED, connect(server)).await else {
            break;
        };
        if number % 2 == 0 && stream.write_all(b"PRI * HTTP/2.0\r\n").await.is_err() {
            continue;
        }
        held.push(stream);
    }
    held
}

/// As many streams as the server admits on four connections, of headers alone, with a timeout of years.
pub(crate) async fn headers_alone(server: SocketAddr) -> Held {
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::open(server).await;
        let mut begun = Vec::new();
        while begun.len() < 1024 {
            match connection.begin(SAVE, &[("grpc-timeout", "99999999H")]).await {
                Some(call) => begun.push(call),
                None => break,
            }
        }
        held.push((connection, begun));
    }
    held
}

/// Messages that are small on the wire and large once they are decoded, or whose every part is a fault.
pub(crate) fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let model = field(1, b"User");
    let list_of = |element: &[u8]| {
        let elements = element.repeat(MESSAGE_BYTES / element.len());
        // AttributeValue.l = 6 in an entry of SaveRequest.item = 2
        let entry = [field(1, b"a"), field(2, &field(6, &elements))].concat();
        [model.clone(), field(2, &entry)].concat()
    };
    let repeated = |part: &[u8]| [model.clone(), part.repeat(MESSAGE_BYTES / part.len())].concat();
    vec![
        // ListValue.values = 1: empty AttributeValues, two bytes each
        ("empty values", list_of(&field(1, &[]))),
        // AttributeValue.null = 5
        ("nulls", list_of(&field(1, &[5 << 3, 0]))),
        ("empty lists", list_of(&field(1, &field(6, &[])))),
        ("empty maps", list_of(&field(1, &field(7, &[])))),
        (
            "entries of one name",
            repeated(&field(2, &[field(1, b"a"), field(2, &[])].concat())),
        ),
        ("entries of no name", repeated(&field(2, &[]))),
        ("nested lists", list_of(&field(1, &nested(60)))),
        (
            "a name of megabytes",
            repeated(&field(
                2,
                &[field(1, &vec![b'n'; 1 << 20]), field(2, &[])].concat(),
            )),
        ),
    ]
}

fn nested(levels: usize) -> Vec<u8> {
    (0..levels).fold(Vec::new(), |inner, _| field(6, &field(1, &inner)))
}

/// The same message on eight connections at once; the statuses that came back.
pub(crate) async fn send_at_once(server: SocketAddr, name: &str, message: &[u8]) -> Vec<String> {
    let calls = (0..8).map(|_| async {
        let mut connection = Connection::open(server).await;
        connection.call(SAVE, message).await
    });
    let statuses: Vec<String> = join_all(calls).await.into_iter().flatten().collect();
    assert!(!statuses.is_empty(), "{name}: nothing came back");
    statuses
}

/// A hundred messages of 32 MiB that are sent as far as the server takes them, and no further.
pub(crate) async fn unfinished_messages(server: SocketAddr) -> Held {
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(send_unfinished(server));
    }
    join_all(connections).await
}

async fn send_unfinished(server: SocketAddr) -> (Connection, Vec<Begun>) {
    let mut connection = Connection::open(server).await;
    let mut begun = Vec::new();
    for _ in 0..25 {
        let Some(mut call) = connection.begin(SAVE, &[("grpc-timeout", "99999999H")]).await else {
            break;
        };
        fill(&mut call).await;
        begun.push(call);
    }
    (connection, begun)
}

/// Sends the head of a 32 MiB message and its bytes, until nothing moves.
async fn fill(call: &mut Begun) {
    const WHOLE: usize = 32 << 20;
    let mut head = vec![0];
    head.extend((WHOLE as u32).to_be_bytes());
    let mut sent = call.request.send_data(head.into(), false).is_ok();
    let mut left = WHOLE - 1;
    while sent && left > 0 {
        call.request.reserve_capacity(left.min(1 << 20));
        let capacity = std::future::poll_fn(|context| call.request.poll_capacity(context));
        let Ok(Some(Ok(bytes))) = timeout(STALLED, capacity).await else {
            return;
        };
        let bytes = bytes.min(left);
        sent = call.request.send_data(vec![b'x'; bytes].into(), false).is_ok();
        left -= bytes;
    }
}

/// Sixty Gets of an 8 MiB object whose responses nobody reads.
pub(crate) async fn unread_objects(server: SocketAddr) -> (Connection, Vec<RecvStream>) {
    let get = v1::GetRequest {
        model: "Document".to_owned(),
        key: key("D#1"),
        include_objects: vec!["content".to_owned()],
        ..v1::GetRequest::default()
    };
    unread(server, GET, &get.encode_to_vec(), 60).await
}

/// Parallel Scans of 12 MB whose pages nobody reads.
pub(crate) async fn unread_scans(server: SocketAddr) -> (Connection, Vec<RecvStream>) {
    let scan = v1::ScanRequest {
        model: "User".to_owned(),
        parallelism: 64,
        ..v1::ScanRequest::default()
    };
    unread(server, SCAN, &scan.encode_to_vec(), 20).await
}

async fn unread(
    server: SocketAddr,
    path: &str,
    message: &[u8],
    times: usize,
) -> (Connection, Vec<RecvStream>) {
    let mut connection = Connection::open(server).await;
    let mut responses = Vec::new();
    for _ in 0..times {
        let Some(mut call) = connection.begin(path, &[]).await else {
            break;
        };
        if call.request.send_data(framed(message), true).is_ok() {
            responses.push(call.response);
        }
    }
    let heads = join_all(
        responses
            .into_iter()
            .map(|response| timeout(STALLED * 10, response)),
    )
    .await;
    let bodies = heads
        .into_iter()
        .flatten()
        .flatten()
        .map(http::Response::into_body);
    (connection, bodies.collect())
}

/// Calls that each name a different session.
pub(crate) async fn session_flood(server: SocketAddr) {
    let get = v1::GetRequest {
        model: "User".to_owned(),
        key: key("SCAN#none"),
        ..v1::GetRequest::default()
    };
    let message = framed(&get.encode_to_vec());
    let mut connection = Connection::open(server).await;
    for batch in 0..40 {
        let mut responses = Vec::new();
        for number in 0..50 {
            let session = format!("{:0>100}", batch * 50 + number);
            let Some(mut call) = connection.begin(GET, &[("tollgate-session", &session)]).await else {
                break;
            };
            if call.request.send_data(message.clone(), true).is_ok() {
                responses.push(call.response);
            }
        }
        assert!(!responses.is_empty(), "no call of batch {batch} was admitted");
        join_all(
            responses
                .into_iter()
                .map(|response| timeout(STALLED * 20, response)),
        )
        .await;
    }
}
