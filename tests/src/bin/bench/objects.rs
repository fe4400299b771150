//! A gigabyte up and down: the memory of a gateway above idle, and its throughput beside direct calls of the SDK to the
//! same S3. On MinIO, if the variable `MINIO` names its program, with and without a network between, and on the embedded
//! engine.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::upload_request::Message;
use tollgate_tests::gateway::connect;
use tollgate_tests::values::{AttributeValue, item, key, save};
use tonic::Request;
use tonic::transport::Channel;

use super::direct_objects::DirectS3;
use super::object_stores::{BUCKET, Minio, Tables};
use super::process::{Cores, Gateway, Store, peak_mib, resident_mib};
use super::table::{Table, at_least, at_most, median};
use super::{Plan, link};

/// Bytes of the object.
pub(crate) const OBJECT_BYTES: u64 = 1 << 30;
/// Bytes of a message.
const CHUNK_BYTES: u64 = 1 << 20;
/// Above the memory when idle.
const GOAL_MIB: f64 = 64.0;
/// Throughput, of that of the direct calls.
const GOAL_RATIO: f64 = 0.8;
const TIMEOUT: Duration = Duration::from_secs(900);
/// What a start sets in motion has come to rest by then.
const SETTLE: Duration = Duration::from_secs(1);
const MIB: f64 = (1 << 20) as f64;

/// What one store came to: megabytes per second by round, and MiB above idle.
#[derive(Default)]
struct Measured {
    gateway: [Vec<f64>; 2],
    direct: [Vec<f64>; 2],
    peak: [f64; 2],
}

const DIRECTIONS: [&str; 2] = ["up", "down"];
const EMBEDDED: &str = "embedded";

pub(crate) async fn measure(plan: &Plan) {
    let mut memory = Table::new(&["S3", "direction", "MiB above idle", "goal"]);
    let mut speed = Table::new(&["S3", "direction", "MiB/s: gateway", "SDK", "ratio", "goal"]);
    for (name, measured) in [
        ("MinIO", on_minio(plan, false).await),
        ("MinIO over 1 Gbit/s", on_minio(plan, true).await),
        (EMBEDDED, Some(on_embedded(plan).await)),
    ] {
        let Some(measured) = measured else {
            println!("\nMINIO is not set: not measured there");
            continue;
        };
        for (direction, index) in DIRECTIONS.into_iter().zip(0..) {
            let peak = measured.peak[index];
            let first = [name.to_owned(), direction.to_owned()];
            memory.row([&first[..], &[format!("{peak:.0}"), at_most(GOAL_MIB, peak)]].concat());
            let gateway = median(measured.gateway[index].iter().copied());
            let direct = median(measured.direct[index].iter().copied());
            let goal = match name {
                EMBEDDED => "-".to_owned(),
                _ => at_least(GOAL_RATIO, gateway / direct),
            };
            let figures = [
                format!("{gateway:.0}"),
                format!("{direct:.0}"),
                format!("{:.2}", gateway / direct),
            ];
            speed.row([&first[..], &figures[..], &[goal]].concat());
        }
    }
    memory.print("Memory of an Upload and a Download of 1 GiB");
    speed.print("Throughput of 1 GiB, beside direct calls of the SDK: multipart of 5 MiB with 8 parts in flight, GetObject");
}

/// Objects in MinIO, which is there at once or over a link, the item in this process.
async fn on_minio(plan: &Plan, over_link: bool) -> Option<Measured> {
    let program = std::env::var("MINIO").ok()?;
    let folder = tempfile::tempdir().expect("a folder");
    let minio = Minio::start(program.as_ref(), folder.path()).await;
    let tables = Tables::serve().await;
    let [access_key, secret] = minio.secrets();
    let address = match over_link {
        true => link::to(minio.address()).await,
        false => minio.address().to_owned(),
    };
    let url = format!("http://{address}");
    let settings = [
        ("AWS_ENDPOINT_URL", tables.url()),
        ("AWS_ENDPOINT_URL_S3", &url),
        ("AWS_ACCESS_KEY_ID", access_key),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", "us-east-1"),
    ];
    let direct = DirectS3::over_http(&url, access_key, secret).await;
    direct.create_bucket(BUCKET).await;
    let gateway = Gateway::start_on_aws(&plan.program, Cores::All, &settings).await;
    let measured = Box::pin(rounds(plan, &gateway, &direct)).await;
    gateway.kill().await;
    Some(measured)
}

async fn on_embedded(plan: &Plan) -> Measured {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, other) = (folder.path().join("gateway"), folder.path().join("direct"));
    let settings = [("TOLLGATE_EMBEDDED__SYNCHRONOUS", "normal")];
    let gateway = Gateway::start(&plan.program, Cores::All, Store::Folder(&own), &settings).await;
    let direct = DirectS3::embedded(&other).await;
    direct.create_bucket(BUCKET).await;
    let measured = Box::pin(rounds(plan, &gateway, &direct)).await;
    gateway.kill().await;
    measured
}

async fn rounds(plan: &Plan, gateway: &Gateway, direct: &DirectS3) -> Measured {
    tokio::time::sleep(SETTLE).await;
    let idle = resident_mib(gateway.id());
    let mut client = DataServiceClient::new(connect(gateway.address).await);
    let mut measured = Measured::default();
    for _ in 0..plan.rounds.div_ceil(4) {
        measured.gateway[0].push(rate(upload(&mut client, OBJECT_BYTES)).await);
        measured.peak[0] = measured.peak[0].max(peak_since_reset(gateway) - idle);
        measured.direct[0].push(rate(direct.upload(OBJECT_BYTES)).await);
        measured.gateway[1].push(rate(download(&mut client)).await);
        measured.peak[1] = measured.peak[1].max(peak_since_reset(gateway) - idle);
        measured.direct[1].push(rate(direct.download()).await);
    }
    measured
}

/// MiB per second.
async fn rate(work: impl Future<Output = u64>) -> f64 {
    let begun = Instant::now();
    let bytes = work.await;
    assert_eq!(bytes, OBJECT_BYTES);
    bytes as f64 / MIB / begun.elapsed().as_secs_f64()
}

/// The most memory since the last time, in MiB.
fn peak_since_reset(gateway: &Gateway) -> f64 {
    let peak = peak_mib(gateway.id());
    // proc(5): 5 resets the peak
    std::fs::write(format!("/proc/{}/clear_refs", gateway.id()), "5").expect("the process is this user's");
    peak
}

/// Uploads an object of so many bytes.
pub(crate) async fn upload(client: &mut DataServiceClient<Channel>, bytes: u64) -> u64 {
    let announced = v1::Object {
        name: "gigabyte".to_owned(),
        size: bytes,
        ..v1::Object::default()
    };
    let announced = AttributeValue {
        kind: Some(Kind::Object(Box::new(announced))),
    };
    let mut document = key("BENCH", "V1");
    document.extend(item([("content", announced)]));
    let first = v1::UploadRequest {
        message: Some(Message::Save(save("Document", document))),
    };
    let data = Bytes::from(vec![7; usize::try_from(CHUNK_BYTES.min(bytes)).expect("a size")]);
    let chunks = bytes.div_ceil(CHUNK_BYTES);
    let chunks = (1..=chunks).map(move |number| v1::UploadRequest {
        message: Some(Message::Chunk(v1::ObjectChunk {
            attribute: "content".to_owned(),
            data: data.clone(),
            end: number == chunks,
            ..v1::ObjectChunk::default()
        })),
    });
    let mut request = Request::new(stream::iter(std::iter::once(first).chain(chunks)));
    request.set_timeout(TIMEOUT);
    client.upload(request).await.expect("an Upload succeeds");
    bytes
}

/// Downloads it, and counts its bytes.
pub(crate) async fn download(client: &mut DataServiceClient<Channel>) -> u64 {
    let mut request = Request::new(v1::DownloadRequest {
        model: "Document".to_owned(),
        key: key("BENCH", "V1"),
        attribute: "content".to_owned(),
        ..v1::DownloadRequest::default()
    });
    request.set_timeout(TIMEOUT);
    let mut messages = client
        .download(request)
        .await
        .expect("a Download begins")
        .into_inner();
    let mut bytes = 0;
    while let Some(message) = messages.next().await {
        bytes += message.expect("a Download succeeds").data.len() as u64;
    }
    bytes
}
