//! The memory that one hostile request costs, measured at the serving process: at most eight times its bytes, compressed or
//! not, or what the maximum number of values takes.

#[path = "memory/bombs.rs"]
mod bombs;
#[path = "memory/messages.rs"]
mod messages;
mod process;

use std::fs;
use std::marker::PhantomData;

use bombs::bombs;
use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use messages::{Hostile, hostile, small};
use process::{Process, free_folder};
use tempfile::TempDir;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// Memory over the bytes of a message.
const MOST_TIMES: f64 = 8.0;
/// Like [`MOST_TIMES`], but for messages with the maximum number of values, whose memory does not grow with the message:
/// 100,000 entries of a map take about 26 MB while they are decoded, and the allocator keeps the smaller tables.
const MOST_TIMES_AT_THE_LIMIT: f64 = 13.0;

/// Passes messages as raw bytes.
#[derive(Default)]
struct RawCodec(PhantomData<()>);

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec::default()
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec::default()
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
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
        .server_streaming(Request::new(message), path, RawCodec::default())
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

fn models() -> TempDir {
    let folder = free_folder();
    fs::create_dir(folder.path().join("models")).expect("a folder");
    for model in ["user", "secure_user"] {
        let name = format!("{model}.yaml");
        let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../models")
            .join(&name);
        fs::copy(from, folder.path().join("models").join(name)).expect("an example model");
    }
    folder
}

#[tokio::test]
async fn a_message_that_expands_to_gigabytes_is_refused_without_holding_it() {
    let folder = models();
    for bomb in bombs() {
        assert!(bomb.plain_bytes >= 3 << 30, "{}", bomb.encoding);
        let process = Process::serve(folder.path(), &["--memory", "--metrics-listen", "off"]);
        refused(&process.channel().await, &small()).await;
        forget(&process);
        let (_, before) = memory(&process);
        let server = process.address().parse().expect("an address");
        let status = bombs::status(server, &bomb).await;
        let info = status.get_details_error_info().expect("a reason");
        assert_eq!(info.reason, "MESSAGE_TOO_LARGE", "{status:?}");
        let most = memory(&process).0.saturating_sub(before);
        let times = most as f64 / bomb.message.len() as f64;
        assert!(times < MOST_TIMES, "{}: {times:.1}", bomb.encoding);
        process.kill();
    }
}

#[tokio::test]
async fn a_hostile_request_takes_a_bounded_multiple_of_its_bytes() {
    let folder = models();
    let mut figures = Vec::new();
    for hostile in hostile() {
        // one process per message: memory that the allocator kept from an earlier message would hide what this one takes
        let process = Process::serve(folder.path(), &["--memory", "--metrics-listen", "off"]);
        let channel = process.channel().await;
        // memory allocated once, by the first call, is not counted
        refused(&channel, &small()).await;
        forget(&process);
        let (_, before) = memory(&process);
        let status = refused(&channel, &hostile).await;
        assert_eq!(status.code(), hostile.code, "{}: {status:?}", hostile.what);
        let details = status.details().len() + status.message().len();
        assert!(details < 6 * 1024, "{}: {details} bytes of details", hostile.what);
        // the other services are not ours
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
