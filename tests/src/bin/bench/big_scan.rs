//! The memory and the CPU of a gateway during a Scan of a gigabyte, in one pass and with segments in parallel. The store is a canned endpoint in this process, so that only what
//! the gateway itself holds is measured.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate_proto::v1::ScanRequest;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::connect;
use tollgate_tests::values::scan;

use super::Plan;
use super::direct::Direct;
use super::process::{Cores, Gateway, aws_settings, cpu_seconds, peak_mib, resident_mib};
use super::table::{Table, at_most};

/// Above the memory when idle.
const GOAL_MIB: f64 = 64.0;
/// CPU per MB, of that of the SDK.
const GOAL_RATIO: f64 = 1.3;
const PARALLELISM: [u32; 3] = [1, 4, 16];
/// Pages of the table, of a megabyte each.
const PAGES: u64 = 1100;
const ITEMS_PER_PAGE: usize = 1000;
/// Bytes of the text in each item.
const TEXT_BYTES: usize = 950;
const TIMEOUT: Duration = Duration::from_secs(600);
/// What a start sets in motion has come to rest by then.
const SETTLE: Duration = Duration::from_secs(1);

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", serve().await);
    let mut direct = Direct::on_network(&endpoint, 1).await;
    let mut table = Table::new(&[
        "segments in parallel",
        "MB",
        "seconds",
        "idle MiB",
        "peak MiB",
        "above idle",
        "goal",
        "ms of CPU per MB",
        "SDK",
        "ratio",
        "goal",
    ]);
    for parallelism in PARALLELISM {
        let scanned = scan_with(plan, &endpoint, parallelism).await;
        let turn = direct.scan().await;
        assert_eq!(turn.calls, (PAGES * ITEMS_PER_PAGE as u64) as f64);
        let direct_ms = turn.cpu_us * turn.calls / 1000.0 / scanned.mb;
        let above = scanned.peak_mib - scanned.idle_mib;
        let ratio = scanned.cpu_ms / scanned.mb / direct_ms;
        table.row([
            parallelism.to_string(),
            format!("{:.0}", scanned.mb),
            format!("{:.1}", scanned.seconds),
            format!("{:.1}", scanned.idle_mib),
            format!("{:.1}", scanned.peak_mib),
            format!("{above:.1}"),
            // segments in parallel are held in parallel
            if parallelism == 1 {
                at_most(GOAL_MIB, above)
            } else {
                "-".to_owned()
            },
            format!("{:.2}", scanned.cpu_ms / scanned.mb),
            format!("{direct_ms:.2}"),
            format!("{ratio:.2}"),
            at_most(GOAL_RATIO, ratio),
        ]);
    }
    table
        .print("A Scan of a gigabyte, from a store in another process, beside a Scan by the SDK in one pass");
}

/// What a Scan came to.
struct Scanned {
    mb: f64,
    seconds: f64,
    cpu_ms: f64,
    idle_mib: f64,
    peak_mib: f64,
}

async fn scan_with(plan: &Plan, endpoint: &str, parallelism: u32) -> Scanned {
    let gateway = Gateway::start_on_aws(&plan.program, Cores::First, &aws_settings(endpoint)).await;
    tokio::time::sleep(SETTLE).await;
    let idle_mib = resident_mib(gateway.id());
    let mut client = DataServiceClient::new(connect(gateway.address).await);
    let (begun, cpu) = (Instant::now(), cpu_seconds(gateway.id()));
    let mut request = tonic::Request::new(ScanRequest {
        parallelism,
        ..scan("User")
    });
    request.set_timeout(TIMEOUT);
    let mut stream = client.scan(request).await.expect("a Scan begins").into_inner();
    let (mut items, mut bytes) = (0_usize, 0_usize);
    while let Some(message) = stream.message().await.expect("a Scan succeeds") {
        items += message.results.len();
        bytes += prost::Message::encoded_len(&message);
    }
    assert_eq!(items as u64, PAGES * ITEMS_PER_PAGE as u64);
    let scanned = Scanned {
        mb: bytes as f64 / 1e6,
        seconds: begun.elapsed().as_secs_f64(),
        cpu_ms: (cpu_seconds(gateway.id()) - cpu) * 1000.0,
        idle_mib,
        peak_mib: peak_mib(gateway.id()),
    };
    gateway.kill().await;
    scanned
}

/// Starts the store: a table `users` of [`PAGES`] equal pages.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let page = page();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let page = page.clone();
            let service = service_fn(move |request| respond(page.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// A page without its end: what the SDK reads up to `LastEvaluatedKey`.
fn page() -> Bytes {
    let item = |number: usize| {
        json!({
            "pk": { "S": format!("USER#{number}") },
            "sk": { "S": "PROFILE" },
            "name": { "S": "x".repeat(TEXT_BYTES) },
            "age": { "N": "36" },
        })
    };
    let items: Vec<Value> = (0..ITEMS_PER_PAGE).map(item).collect();
    let page = json!({
        "Items": items,
        "Count": ITEMS_PER_PAGE,
        "ScannedCount": ITEMS_PER_PAGE,
        "ConsumedCapacity": { "TableName": "users", "CapacityUnits": 128.5 },
    });
    let text = page.to_string();
    Bytes::from(text.strip_suffix('}').expect("a map").to_owned())
}

async fn respond(page: Bytes, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").cloned();
    let is_scan = target
        .as_ref()
        .is_some_and(|target| target.as_bytes().ends_with(b".Scan"));
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    if target.is_some_and(|target| target.as_bytes().ends_with(b".PutItem")) {
        return Ok(Response::new(Full::from("{}")));
    }
    if !is_scan {
        let missing = json!({ "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException" });
        let response = Response::builder().status(400);
        return Ok(response
            .body(Full::from(missing.to_string()))
            .expect("a response"));
    }
    let last = body.pointer("/ExclusiveStartKey/pk/S").and_then(Value::as_str);
    let next = 1 + last.map_or(0, |last| last.parse::<u64>().expect("a key of this store"));
    let mut whole = BytesMut::from(page.as_ref());
    // segments share the pages, equally but for one
    let number = |name: &str, missing| body.get(name).and_then(Value::as_u64).unwrap_or(missing);
    let (segment, segments) = (number("Segment", 0), number("TotalSegments", 1));
    let pages = PAGES * (segment + 1) / segments - PAGES * segment / segments;
    if next < pages {
        let key = json!({ "pk": { "S": next.to_string() }, "sk": { "S": "PAGE" } });
        whole.extend_from_slice(format!(",\"LastEvaluatedKey\":{key}").as_bytes());
    }
    whole.extend_from_slice(b"}");
    let response = Response::builder().header("content-type", "application/x-amz-json-1.0");
    Ok(response.body(Full::new(whole.freeze())).expect("a response"))
}
