//! What one hostile request costs in memory, measured at the process that serves: at most eight times its bytes, or what
//! the most values that are allowed take.

mod process;

use std::fs;
use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use process::{Process, free_folder};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Memory over the bytes of a message.
const MOST_TIMES: f64 = 8.0;
/// The same of messages with the most values that are allowed, which do not grow with a message: 100,000 entries of a map
/// take some 25 MB while they are decoded, and the allocator keeps what they grew from.
const MOST_TIMES_AT_THE_LIMIT: f64 = 12.0;
/// The default of `limits.values`, but for the few values of the message around what it is filled with.
const ALLOWED_VALUES: usize = 99_990;

const SAVE: &str = "/tollgate.v1.DataService/Save";
const GET: &str = "/tollgate.v1.DataService/Get";
const QUERY: &str = "/tollgate.v1.DataService/Query";

/// A method and a message for it.
struct Hostile {
    what: &'static str,
    method: &'static str,
    message: Vec<u8>,
    code: Code,
}

/// Messages are the bytes that they are.
#[derive(Default)]
struct AsItIs(PhantomData<()>);

impl Codec for AsItIs {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = AsItIs;
    type Decoder = AsItIs;

    fn encoder(&mut self) -> AsItIs {
        AsItIs::default()
    }

    fn decoder(&mut self) -> AsItIs {
        AsItIs::default()
    }
}

impl Encoder for AsItIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for AsItIs {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A field that holds bytes: its tag, their length, and they.
fn field(number: usize, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 8);
    for mut part in [number << 3 | 2, content.len()] {
        while part > 0x7f {
            bytes.push(part as u8 | 0x80);
            part >>= 7;
        }
        bytes.push(part as u8);
    }
    bytes.extend_from_slice(content);
    bytes
}

/// An entry of a map.
fn entry(number: usize, name: &str, value: &[u8]) -> Vec<u8> {
    field(number, &[field(1, name.as_bytes()), field(2, value)].concat())
}

/// So many of a part, or as many as a message has room for.
fn many(part: &[u8], count: Option<usize>) -> Vec<u8> {
    part.repeat(count.unwrap_or((MESSAGE_BYTES - 64) / part.len()))
}

/// A message that ends with a field that nobody knows, so that it has its size.
fn filled(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = parts.concat();
    if let Some(rest) = (MESSAGE_BYTES - 16).checked_sub(message.len()) {
        message.extend(field(999, &vec![b'x'; rest]));
    }
    message
}

/// A Save of a `User`, only to be checked, with a list of these values.
fn list(values: &[u8]) -> Vec<u8> {
    let list = field(6, values);
    filled(&[
        &field(1, b"SecureUser"),
        &entry(2, "address", &list),
        &[0x30, 0x01],
    ])
}

/// What is far beyond the limit of values, and what is just within it.
fn hostile() -> Vec<Hostile> {
    let mut all = Vec::new();
    for (count, what) in [(None, "too many"), (Some(ALLOWED_VALUES), "as many as allowed")] {
        let user = field(1, b"User");
        let attributes: Vec<u8> = (0..count.unwrap_or(400_000))
            .flat_map(|number| entry(2, &format!("{number:x}"), &[]))
            .collect();
        let values: Vec<u8> = (0..count.unwrap_or(400_000))
            .flat_map(|number| entry(2, &format!(":{number:x}"), &[0x28, 0x00]))
            .collect();
        let names: Vec<u8> = (0..count.unwrap_or(400_000))
            .flat_map(|number| entry(3, &format!("#{number:x}"), b"n"))
            .collect();
        let map: Vec<u8> = (0..count.unwrap_or(400_000))
            .flat_map(|number| entry(1, &format!("{number:x}"), &[0x28, 0x00]))
            .collect();
        let set: Vec<u8> = (0..count.unwrap_or(400_000))
            .flat_map(|number| field(1, format!("{number:x}").as_bytes()))
            .collect();
        let map_item = entry(2, "address", &field(7, &map));
        let set_item = entry(2, "address", &field(8, &set));
        let messages = [
            ("empty values", SAVE, list(&many(&field(1, &[]), count))),
            ("nulls", SAVE, list(&many(&field(1, &[0x28, 0x00]), count))),
            ("empty texts", SAVE, list(&many(&field(1, &field(1, &[])), count))),
            (
                "bad numbers",
                SAVE,
                list(&many(&field(1, &field(2, b"x")), count)),
            ),
            ("empty lists", SAVE, list(&many(&field(1, &field(6, &[])), count))),
            (
                "empty objects",
                SAVE,
                list(&many(&field(1, &field(11, &[])), count.map(|count| count / 4))),
            ),
            ("attributes", SAVE, filled(&[&user, &attributes, &[0x30, 0x01]])),
            (
                "fields of a map",
                SAVE,
                filled(&[&field(1, b"SecureUser"), &map_item, &[0x30, 0x01]]),
            ),
            (
                "members of a set",
                SAVE,
                filled(&[&field(1, b"SecureUser"), &set_item, &[0x30, 0x01]]),
            ),
            (
                "include_objects",
                GET,
                filled(&[&user, &many(&field(5, &[]), count)]),
            ),
            ("fields", GET, filled(&[&user, &many(&field(3, b"name"), count)])),
            (
                "values",
                QUERY,
                filled(&[&user, &field(4, &[field(1, b"a"), values].concat())]),
            ),
            (
                "names",
                QUERY,
                filled(&[&user, &field(4, &[field(1, b"a"), names].concat())]),
            ),
        ];
        all.extend(messages.map(|(kind, method, message)| Hostile {
            what: Box::leak(format!("{what} {kind}").into_boxed_str()),
            method,
            message,
            code: Code::InvalidArgument,
        }));
    }
    let long = vec![0x01; MESSAGE_BYTES - 1024];
    let user = field(1, b"User");
    let longs = [
        ("a long model", SAVE, field(1, &long), Code::NotFound),
        (
            "a long attribute",
            SAVE,
            [user.clone(), field(2, &field(1, &long))].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long request id",
            SAVE,
            [user.clone(), field(5, &long)].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long field",
            GET,
            [user.clone(), field(3, &long)].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long object",
            GET,
            [user.clone(), field(5, &long)].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long index",
            QUERY,
            [user.clone(), field(2, &long)].concat(),
            Code::NotFound,
        ),
        (
            "a long token",
            QUERY,
            [user.clone(), field(8, &long)].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long expression",
            QUERY,
            [user.clone(), field(4, &field(1, &long))].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long number",
            SAVE,
            [user, entry(2, "age", &field(2, &long))].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long session",
            "/tollgate.v1.MetricsService/GetTotalMetrics",
            field(1, &long),
            Code::NotFound,
        ),
        (
            "a long name",
            "/tollgate.v1.SchemaService/GetModel",
            field(1, &long),
            Code::NotFound,
        ),
        (
            "a long service",
            "/grpc.health.v1.Health/Check",
            field(1, &long),
            Code::NotFound,
        ),
        (
            "a long symbol",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            field(4, &long),
            Code::Ok,
        ),
    ];
    all.extend(longs.map(|(what, method, message, code)| Hostile {
        what,
        method,
        message,
        code,
    }));
    all
}

/// The most memory that a process had so far, and what it has now, in bytes.
fn memory(process: &Process) -> (usize, usize) {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        kilobytes
            .and_then(|text| text.parse::<usize>().ok())
            .expect("a figure")
            * 1024
    };
    (figure("VmHWM:"), figure("VmRSS:"))
}

/// Forgets the most memory so far.
fn forget(process: &Process) {
    fs::write(format!("/proc/{}/clear_refs", process.id()), "5").expect("it is our own process");
}

async fn refused(channel: &Channel, hostile: &Hostile) -> Status {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.expect("it listens");
    let path = PathAndQuery::from_static(hostile.method);
    let message = Bytes::from(hostile.message.clone());
    let outcome = client
        .server_streaming(Request::new(message), path, AsItIs::default())
        .await;
    match outcome {
        Err(status) => status,
        Ok(response) => {
            let mut messages = response.into_inner();
            loop {
                match messages.message().await {
                    Err(status) => return status,
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::ok(""),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_hostile_request_takes_a_bounded_multiple_of_its_bytes() {
    let folder = free_folder();
    fs::create_dir(folder.path().join("models")).expect("a folder");
    for model in ["user", "secure_user"] {
        let name = format!("{model}.yaml");
        let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../models")
            .join(&name);
        fs::copy(from, folder.path().join("models").join(name)).expect("an example model");
    }
    let mut figures = Vec::new();
    for hostile in hostile() {
        // a process for each: what the allocator keeps of an earlier message would hide what this one takes
        let process = Process::serve(folder.path(), &["--memory", "--metrics-listen", "off"]);
        let channel = process.channel().await;
        // what is made once, by the first call, is not a message's
        refused(&channel, &small()).await;
        forget(&process);
        let (_, before) = memory(&process);
        let status = refused(&channel, &hostile).await;
        assert_eq!(status.code(), hostile.code, "{}: {status:?}", hostile.what);
        let details = status.details().len() + status.message().len();
        assert!(details < 6 * 1024, "{}: {details} bytes of details", hostile.what);
        // the others are not ours
        if hostile.method.starts_with("/tollgate") {
            assert!(
                status.get_details_error_info().is_some(),
                "{}: {status:?}",
                hostile.what
            );
        }
        let most = memory(&process).0.saturating_sub(before);
        figures.push((most as f64 / hostile.message.len() as f64, hostile.what));
        process.kill();
    }
    figures.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let is_over = |(times, what): &(f64, &str)| {
        let most = match what.starts_with("as many as allowed") {
            true => MOST_TIMES_AT_THE_LIMIT,
            false => MOST_TIMES,
        };
        *times > most
    };
    assert!(!figures.iter().any(is_over), "{figures:.1?}");
}

/// A Save of an item that is wrong.
fn small() -> Hostile {
    Hostile {
        what: "a small item",
        method: SAVE,
        message: [field(1, b"User"), entry(2, "age", &field(2, b"x"))].concat(),
        code: Code::InvalidArgument,
    }
}
