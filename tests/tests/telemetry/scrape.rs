//! The metrics port as a scraper and as probes see it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tollgate::app::App;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::values::{document, get_content, save, user};
use tollgate_tests::wiretap::{Fate, Wiretap};

type Sender = http1::SendRequest<Empty<bytes::Bytes>>;

async fn connect(address: SocketAddr) -> Sender {
    let stream = TcpStream::connect(address).await.expect("it listens");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    sender
}

/// One request of a connection.
async fn send(sender: &mut Sender, method: &str, path: &str) -> http::Response<String> {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "x");
    let request = request.body(Empty::new()).expect("a request");
    let response = sender.send_request(request).await.expect("an response");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let text = String::from_utf8(body.to_vec()).expect("text");
    http::Response::from_parts(head, text)
}

/// One request; status, media type and body.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    let response = send(&mut connect(address).await, method, path).await;
    let media_type = response.headers()["content-type"].to_str().expect("ASCII");
    (
        response.status().as_u16(),
        media_type.to_owned(),
        response.into_body(),
    )
}

/// What a scraper reads.
pub(super) async fn text(address: SocketAddr) -> String {
    ask(address, "GET", "/metrics").await.2
}

/// Scrapes until it is so.
pub(super) async fn until(address: SocketAddr, what: &str, is_so: impl Fn(&str) -> bool) {
    let mut text = String::new();
    for _ in 0..2000 {
        text = ask(address, "GET", "/metrics").await.2;
        if is_so(&text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: {text}")
}

/// The value of one series.
pub(super) fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

fn with_side_port(listen: &str) -> Setup {
    Setup {
        settings: vec![("TOLLGATE_METRICS__LISTEN", listen.to_owned())],
        ..Setup::default()
    }
}

#[tokio::test]
async fn dashboards_and_alerts_use_exposed_metrics() {
    let gateway = Gateway::with(with_side_port("127.0.0.1:0")).await;
    let address = gateway.side_port().unwrap();
    gateway.save(save("User", user("u1", "078-05-1120"))).await.ok();
    gateway
        .save(save("Document", document("d", "content")))
        .await
        .ok();
    let bill = gateway.get(get_content("d")).await.bill;
    let (status, media_type, text) = ask(address, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(
        media_type.starts_with("text/plain; version=0.0.4"),
        "{media_type}"
    );
    let exposed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/metrics.txt");
    let documented = std::fs::read_to_string(path).unwrap();
    let documented: BTreeSet<&str> = documented.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(exposed, documented);
    let calls = "rpc_server_call_duration_seconds_count{rpc_method=\"tollgate.v1.DataService/Save\",\
        rpc_response_status_code=\"OK\",rpc_system_name=\"grpc\",tollgate_model=\"User\"}";
    assert_eq!(value(&text, calls), Some(1.0));
    let downloaded = "tollgate_s3_io_bytes_total{direction=\"download\",\
        rpc_method=\"tollgate.v1.DataService/Get\",tollgate_model=\"Document\"}";
    assert_eq!(
        value(&text, downloaded),
        Some(bill.decimal("tollgate-s3-bytes-downloaded"))
    );
    assert_eq!(value(&text, "tollgate_calls_in_flight"), Some(0.0));
    assert_eq!(value(&text, "tollgate_calls_limit"), Some(1024.0));
    assert_eq!(value(&text, "tollgate_calls_admitted"), Some(1024.0));
    let build = format!(
        "tollgate_build_info{{commit=\"{}\",version=\"{}\"}}",
        tollgate::build::COMMIT,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(value(&text, &build), Some(1.0), "{text}");
    assert!(text.contains("le=\"0.0005\"") && text.contains("le=\"30\"") && text.contains("le=\"+Inf\""));
    gateway.stop().await;
}

#[tokio::test]
async fn probes_follow_the_life_of_the_gateway() {
    let mut setup = with_side_port("127.0.0.1:0");
    setup.wiretap = Some(Wiretap::new(|operation| match operation {
        "PutItem" => Fate::Delay(Duration::from_millis(400)),
        _ => Fate::Pass,
    }));
    let mut gateway = Gateway::with(setup).await;
    let address = gateway.side_port().unwrap();
    let probe = async |path| ask(address, "GET", path).await.0;
    assert_eq!((probe("/healthz").await, probe("/readyz").await), (200, 200));
    assert_eq!((probe("/").await, probe("/metrics/").await), (404, 404));
    assert_eq!(ask(address, "POST", "/metrics").await.0, 405);
    let (save, data) = (save("User", user("u1", "078-05-1120")), gateway.data());
    let saving = tokio::spawn(async move { { data }.save(save).await });
    until(address, "a call in flight", |text| {
        value(text, "tollgate_calls_in_flight") == Some(1.0)
    })
    .await;
    gateway.begin_stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(
        (probe("/healthz").await, probe("/readyz").await),
        (200, 503),
        "draining"
    );
    saving.await.unwrap().unwrap();
    gateway.stop().await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the port is free again"
    );
}

#[tokio::test]
async fn idle_connections_do_not_block_probes() {
    let gateway = Gateway::with(with_side_port("127.0.0.1:0")).await;
    let address = gateway.side_port().unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let soon = Duration::from_secs(2);
    let probe = async |sender: &mut Sender| send(sender, "GET", "/healthz").await.status().as_u16();
    let mut kept = Vec::new();
    for _ in 0..100 {
        let mut sender = connect(address).await;
        let status = tokio::time::timeout(soon, probe(&mut sender)).await;
        assert_eq!(status, Ok(200), "beside {} others", kept.len());
        kept.push(sender);
    }
    assert_eq!(probe(kept.last_mut().unwrap()).await, 200, "the newest are kept");
    assert!(kept[0].ready().await.is_err(), "the oldest is closed");
    gateway.stop().await;
}

#[tokio::test]
async fn many_concurrent_scrapers_all_get_a_response() {
    let gateway = Gateway::with(with_side_port("127.0.0.1:0")).await;
    let address = gateway.side_port().unwrap();
    let scrapers = (0..300).map(|_| tokio::spawn(ask(address, "GET", "/metrics")));
    for scraper in scrapers.collect::<Vec<_>>() {
        assert_eq!(scraper.await.unwrap().0, 200);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn other_methods_get_405_with_the_allowed_methods() {
    let gateway = Gateway::with(with_side_port("127.0.0.1:0")).await;
    let mut sender = connect(gateway.side_port().unwrap()).await;
    let refused = send(&mut sender, "POST", "/metrics").await;
    assert_eq!(refused.status(), 405);
    assert_eq!(refused.headers()["allow"], "GET, HEAD");
    gateway.stop().await;
}

#[tokio::test]
async fn fails_if_the_configured_metrics_address_is_unavailable() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = App::build(&with_side_port(&address).config()).await;
    let error = refused.err().expect("it is taken").to_string();
    assert!(
        error.contains(&address) && error.contains("--metrics-listen"),
        "{error}"
    );
}

#[tokio::test]
async fn the_metrics_port_can_be_turned_off() {
    let gateway = Gateway::with(with_side_port("off")).await;
    assert_eq!(gateway.side_port(), None);
    gateway.stop().await;
}
