//! Compressed messages in both directions: gzip and zstd, bounded, and never where plaintext could be guessed by its size.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::HeaderMap;
use prost::Message;
use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_tests::gateway::{Bill, CallResult, Gateway, Setup};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::streams::{Call, Http2, framed};
use tollgate_tests::values::{Item, get, item, key, query, s, save, user};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};

const SAVE: &str = "/tollgate.v1.DataService/Save";
const GET: &str = "/tollgate.v1.DataService/Get";
const QUERY: &str = "/tollgate.v1.DataService/Query";
const BATCH_GET: &str = "/tollgate.v1.DataService/BatchGet";
const BATCH_WRITE: &str = "/tollgate.v1.DataService/BatchWrite";
const PRESIGN: &str = "/tollgate.v1.DataService/Presign";
const LIST_MODELS: &str = "/tollgate.v1.SchemaService/ListModels";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const ENCODINGS: [&str; 2] = ["gzip", "zstd"];
const MIB: usize = 1024 * 1024;

/// A document with a name that shrinks.
fn document(partition: &str) -> Item {
    item([
        ("pk", s(partition)),
        ("sk", s("PROFILE")),
        ("name", s("long ".repeat(2000))),
    ])
}

fn compressed(encoding: &str, message: &[u8]) -> Bytes {
    let message = match encoding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(message).expect("it is in memory");
            encoder.finish().expect("it is in memory")
        }
        _ => zstd::bulk::compress(message, 3).expect("it is in memory"),
    };
    flagged(&message)
}

/// A message with the flag of compressed ones.
fn flagged(message: &[u8]) -> Bytes {
    let mut bytes = framed(message).to_vec();
    bytes[0] = 1;
    bytes.into()
}

/// What came back: the head, whether each message was compressed and what it is, and the trailers.
struct Answer {
    head: HeaderMap,
    messages: Vec<(bool, Vec<u8>)>,
    status: Status,
}

impl Answer {
    async fn of(call: Call) -> Answer {
        let (head, mut body) = call.response().await.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Answer {
                head: head.headers,
                messages: Vec::new(),
                status,
            };
        }
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            let data = data.expect("a whole body");
            body.flow_control()
                .release_capacity(data.len())
                .expect("it was taken");
            bytes.extend_from_slice(&data);
        }
        let trailers = body.trailers().await.expect("trailers").expect("trailers");
        Answer {
            messages: messages(&bytes, head.headers.get("grpc-encoding")),
            head: head.headers,
            status: Status::from_header_map(&trailers).expect("a status"),
        }
    }

    fn encoding(&self) -> Option<&str> {
        self.head.get("grpc-encoding").and_then(|name| name.to_str().ok())
    }

    fn flags(&self) -> Vec<bool> {
        assert_eq!(self.status.code(), Code::Ok, "{:?}", self.status);
        self.messages
            .iter()
            .map(|(is_compressed, _)| *is_compressed)
            .collect()
    }

    fn decode<M: Message + Default>(&self) -> Vec<M> {
        let decoded = self
            .messages
            .iter()
            .map(|(_, message)| M::decode(message.as_slice()));
        decoded.collect::<Result<_, _>>().expect("messages")
    }
}

fn messages(mut bytes: &[u8], encoding: Option<&http::HeaderValue>) -> Vec<(bool, Vec<u8>)> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = bytes.split_first_chunk::<5>() {
        let [flag, length @ ..] = *prefix;
        let (message, rest) = rest.split_at(u32::from_be_bytes(length) as usize);
        bytes = rest;
        let mut plain = Vec::new();
        match (flag, encoding.map(http::HeaderValue::as_bytes)) {
            (0, _) => plain = message.to_vec(),
            (1, Some(b"gzip")) => {
                let read = GzDecoder::new(message).read_to_end(&mut plain);
                read.expect("a gzip message");
            }
            (1, Some(b"zstd")) => plain = zstd::decode_all(message).expect("a zstd message"),
            (flag, encoding) => panic!("flag {flag} with {encoding:?}"),
        }
        messages.push((flag == 1, plain));
    }
    messages
}

async fn ask(gateway: &Gateway, path: &str, accepted: &str, message: &impl Message) -> Answer {
    let mut http2 = Http2::connect(gateway, 1 << 24).await;
    let metadata = [("grpc-accept-encoding", accepted)];
    Answer::of(http2.call(path, &metadata, message).await).await
}

/// Sends these frames as the body of a call with this encoding.
async fn send(gateway: &Gateway, path: &str, encoding: &str, frames: Vec<Bytes>) -> Answer {
    let mut http2 = Http2::connect(gateway, 1 << 24).await;
    let mut call = http2.begin(path, &[("grpc-encoding", encoding)]).await;
    for frame in frames {
        call.send(frame, |_| {}).await;
    }
    // refused calls have no stream any more
    let _ = call.request.send_data(Bytes::new(), true);
    Answer::of(call).await
}

async fn documents(gateway: &Gateway) {
    for partition in ["A", "B"] {
        gateway.save(save("Document", document(partition))).await.ok();
    }
    let mut secret = user("U", "123-45-6789");
    secret.insert("name".to_owned(), s("long ".repeat(2000)));
    gateway.save(save("User", secret)).await.ok();
}

/// What does not depend on time.
fn costs(bill: &Bill) -> Vec<String> {
    ["dynamodb-calls", "rcu", "wcu", "kms-calls", "cost-usd", "items"]
        .map(|figure| bill.text(&format!("tollgate-{figure}")).to_owned())
        .into()
}

#[tokio::test]
async fn compressed_requests_cost_what_plain_ones_do() {
    let gateway = Gateway::start().await;
    let plain = gateway.save(save("Document", document("A"))).await;
    let plain_bill = costs(&plain.bill);
    plain.ok();
    let read = gateway.get(get("Document", key("A", "PROFILE"))).await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = gateway
            .data()
            .send_compressed(encoding)
            .accept_compressed(encoding);
        let saved = client.save(save("Document", document("A"))).await;
        let saved = CallResult::from_response(saved);
        assert_eq!(costs(&saved.bill), plain_bill, "{encoding}");
        saved.ok();
        let got = client.get(get("Document", key("A", "PROFILE"))).await;
        let got = CallResult::from_response(got);
        assert_eq!(costs(&got.bill), costs(&read.bill), "{encoding}");
        assert_eq!(got.ok().item["name"], document("A")["name"]);
        let page = CallResult::read_stream(client.query(query("Document", "A")).await).await;
        assert_eq!(page.ok()[0].results.len(), 1);
    }
}

#[tokio::test]
async fn streams_of_requests_may_mix_compressed_and_plain_messages() {
    let gateway = Gateway::start().await;
    for encoding in ENCODINGS {
        let write = |partition: &str| {
            let save = save("Document", document(partition));
            let write = Some(Write::Save(save));
            v1::BatchWriteRequest { write }.encode_to_vec()
        };
        let sent: Vec<u8> = [
            compressed(encoding, &write("M1")),
            framed(&write("M2")),
            compressed(encoding, &write("M3")),
        ]
        .concat();
        // split anywhere
        let frames = sent.chunks(7).map(Bytes::copy_from_slice).collect();
        let answer = send(&gateway, BATCH_WRITE, encoding, frames).await;
        let written: Vec<v1::BatchWriteResponse> = answer.decode();
        assert_eq!((answer.status.code(), written.len()), (Code::Ok, 3), "{encoding}");
        let m3 = gateway.get(get("Document", key("M3", "PROFILE"))).await;
        assert_eq!(m3.ok().item["name"], document("M3")["name"]);
    }
}

#[tokio::test]
async fn responses_are_compressed_if_the_caller_accepts_that() {
    let gateway = Gateway::start().await;
    documents(&gateway).await;
    let one = get("Document", key("A", "PROFILE"));
    for (accepted, encoding) in [
        ("gzip", Some("gzip")),
        ("identity, deflate, gzip", Some("gzip")),
        ("zstd,gzip,identity", Some("zstd")),
        ("identity", None),
        ("br", None),
    ] {
        let answer = ask(&gateway, GET, accepted, &one).await;
        assert_eq!(answer.encoding(), encoding, "{accepted}");
        assert_eq!(answer.flags(), [encoding.is_some()], "{accepted}");
        let response = answer.decode::<v1::GetResponse>().remove(0);
        assert_eq!(response.item["name"], document("A")["name"]);
    }
    let pages = ask(&gateway, QUERY, "gzip", &query("Document", "A")).await;
    assert_eq!((pages.encoding(), pages.flags()), (Some("gzip"), vec![true]));
    let models = ask(&gateway, LIST_MODELS, "gzip", &v1::ListModelsRequest {}).await;
    assert_eq!(models.flags(), [true], "services that are not billed");
    // too small to shrink
    let saved = ask(&gateway, SAVE, "gzip", &save("Document", document("C"))).await;
    assert_eq!(saved.flags(), [false]);
}

#[tokio::test]
async fn nothing_that_was_encrypted_is_compressed() {
    let gateway = Gateway::with(Setup {
        settings: vec![("TOLLGATE_EMBEDDED__HTTP", "127.0.0.1:0".to_owned())],
        ..Setup::default()
    })
    .await;
    documents(&gateway).await;
    let secret = get("User", key("U", "PROFILE"));
    let plain = get("Document", key("A", "PROFILE"));
    for encoding in ENCODINGS {
        let answer = ask(&gateway, GET, encoding, &secret).await;
        assert_eq!((answer.encoding(), answer.flags()), (None, vec![false]));
        // not even the attributes that are plain
        let fields = v1::GetRequest {
            fields: vec!["name".to_owned()],
            ..secret.clone()
        };
        assert_eq!(ask(&gateway, GET, encoding, &fields).await.flags(), [false]);
        assert_eq!(
            ask(&gateway, QUERY, encoding, &query("User", "U")).await.flags(),
            [false]
        );
        let both = v1::BatchGetRequest {
            requests: vec![plain.clone(), secret.clone()],
            ..v1::BatchGetRequest::default()
        };
        let both = ask(&gateway, BATCH_GET, encoding, &both).await;
        assert!(both.flags().iter().all(|is_compressed| !is_compressed));
        let documents = v1::BatchGetRequest {
            requests: vec![plain.clone(); 1],
            ..v1::BatchGetRequest::default()
        };
        assert!(ask(&gateway, BATCH_GET, encoding, &documents).await.flags()[0]);
        let presign = v1::PresignRequest {
            model: "Document".to_owned(),
            key: key("A", "PROFILE"),
            attribute: "content".to_owned(),
            method: v1::PresignMethod::Put.into(),
            size: 1,
            sha256: "0".repeat(64),
            ..v1::PresignRequest::default()
        };
        assert_eq!(ask(&gateway, PRESIGN, encoding, &presign).await.flags(), [false]);
    }
}

#[tokio::test]
async fn other_encodings_are_unimplemented() {
    let gateway = Gateway::start().await;
    let message = get("Document", key("A", "PROFILE")).encode_to_vec();
    for path in [GET, QUERY, BATCH_WRITE, LIST_MODELS, HEALTH] {
        for encoding in ["br", "deflate", "gzip,zstd", "GZIP"] {
            let answer = send(&gateway, path, encoding, vec![flagged(&message)]).await;
            let refusal = Refusal::of_status(&answer.status);
            assert_eq!(refusal.reason, "UNIMPLEMENTED", "{path} {encoding}");
            assert_eq!(answer.head["grpc-accept-encoding"], "gzip,zstd,identity");
        }
    }
}

#[tokio::test]
async fn messages_that_do_not_decompress_are_refused() {
    let gateway = Gateway::start().await;
    let message = save("Document", document("A")).encode_to_vec();
    let reason = async |encoding: &str, frames: Vec<Bytes>| {
        let answer = send(&gateway, SAVE, encoding, frames).await;
        Refusal::of_status(&answer.status).reason
    };
    for (encoding, other) in [("gzip", "zstd"), ("zstd", "gzip")] {
        let whole = compressed(encoding, &message);
        let cases = [
            ("plain bytes", flagged(&message)),
            ("another encoding", compressed(other, &message)),
            ("no bytes", flagged(&[])),
            ("a truncated stream", flagged(&whole[5..whole.len() - 3])),
            ("bytes after it", flagged(&[&whole[5..], b"more"].concat())),
            ("half a message", whole.slice(..whole.len() / 2)),
            ("half a prefix", whole.slice(..3)),
            ("an unknown flag", [&[2_u8] as &[u8], &whole[1..]].concat().into()),
        ];
        for (what, bytes) in cases {
            let reason = reason(encoding, vec![bytes]).await;
            assert_eq!(reason, "UNDECODABLE_MESSAGE", "{encoding}: {what}");
        }
    }
    let flag = reason("identity", vec![compressed("gzip", &message)]).await;
    assert_eq!(flag, "UNDECODABLE_MESSAGE");
    let none = gateway.get(get("Document", key("A", "PROFILE"))).await.status();
    assert_eq!(none.code(), Code::NotFound, "nothing was written");
}

/// The reason why a Save of so many zeros is refused, which are no message.
async fn zeros(gateway: &Gateway, encoding: &str, bytes: usize) -> String {
    let message = compressed(encoding, &vec![0; bytes]);
    assert!(message.len() <= bytes.max(MIB) / 100);
    let answer = send(gateway, SAVE, encoding, vec![message]).await;
    Refusal::of_status(&answer.status).reason
}

#[tokio::test]
async fn limits_apply_to_the_plain_size() {
    let limits = |memory: &str, message: &str| Setup {
        settings: vec![
            ("TOLLGATE_LIMITS__MEMORY", memory.to_owned()),
            ("TOLLGATE_LIMITS__MESSAGE_BYTES", message.to_owned()),
        ],
        ..Setup::default()
    };
    let gateway = Gateway::with(limits("32 MiB", "1 MiB")).await;
    for encoding in ENCODINGS {
        assert_eq!(zeros(&gateway, encoding, 100).await, "UNDECODABLE_MESSAGE");
        assert_eq!(zeros(&gateway, encoding, MIB).await, "UNDECODABLE_MESSAGE");
        assert_eq!(zeros(&gateway, encoding, MIB + 1).await, "MESSAGE_TOO_LARGE");
    }
    until("nothing is held", async || {
        gateway.capacity().reserved_bytes() == 0
    })
    .await;
    let gateway = Gateway::with(limits("4 MiB", "8 MiB")).await;
    for encoding in ENCODINGS {
        // can never fit
        assert_eq!(zeros(&gateway, encoding, 6 * MIB).await, "OUT_OF_MEMORY");
    }
    until("nothing is held", async || {
        gateway.capacity().reserved_bytes() == 0
    })
    .await;
}
