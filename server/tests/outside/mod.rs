//! The program and its environment: a log that nobody reads, exhausted descriptors, public addresses, empty variables,
//! unreachable stores.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{ChildStderr, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tollgate_proto::v1;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use super::process::{Ended, Process, ended, free_folder};

/// A generous timeout.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The log message that contains the address of the metrics port.
const SIDE_PORT: &str = "metrics and probes";

/// Reads the log up to the line about the side port: its address.
fn side_port(log: &mut BufReader<ChildStderr>) -> String {
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).expect("text") > 0, "the log ended");
        if line.contains(SIDE_PORT) {
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            return line["address"].as_str().expect("an address").to_owned();
        }
    }
}

/// What the side port says to a path.
fn probe(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a time");
    let request = format!("GET {path} HTTP/1.1\r\nhost: tollgate\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut response = String::new();
    stream
        .read_to_string(&mut response)
        .unwrap_or_else(|error| panic!("no response to {path}: {error}"));
    response
}

fn is_alive(address: &str) {
    for path in ["/healthz", "/readyz"] {
        assert!(probe(address, path).starts_with("HTTP/1.1 200"), "{path}");
    }
}

/// SIGTERM, and the end in time.
fn terminate(process: Process) -> Ended {
    let (done, end) = mpsc::channel();
    std::thread::spawn(move || done.send(process.terminate()));
    end.recv_timeout(TIMEOUT).expect("SIGTERM ends it")
}

fn get(model: &str) -> v1::GetRequest {
    let text = |text: &str| v1::AttributeValue {
        kind: Some(v1::attribute_value::Kind::S(text.to_owned())),
    };
    v1::GetRequest {
        model: model.to_owned(),
        key: [("pk".to_owned(), text("A")), ("sk".to_owned(), text("B"))].into(),
        ..v1::GetRequest::default()
    }
}

/// Calls that each have a line in the log, of 500 bytes and more.
async fn call_often(data: &DataServiceClient<Channel>, calls: usize) {
    const CALLERS: usize = 16;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let mut data = data.clone();
        callers.spawn(async move {
            for number in 0..calls.div_ceil(CALLERS) {
                let mut request = tonic::Request::new(get("User"));
                let session = format!("{caller}-{}", "s".repeat(100));
                let id = format!("{caller}-{number}-{}", "r".repeat(100));
                let metadata = request.metadata_mut();
                metadata.insert("tollgate-session", session.parse().expect("ASCII"));
                metadata.insert("tollgate-request-id", id.parse().expect("ASCII"));
                let call = tokio::time::timeout(TIMEOUT, data.get(request)).await;
                let status = call.expect("the call ends").expect_err("there is no such item");
                assert_eq!(status.code(), Code::NotFound, "{status:?}");
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("no panic");
    }
}

fn serve_with_side_port() -> (tempfile::TempDir, Process, BufReader<ChildStderr>, String) {
    let folder = free_folder();
    let arguments = ["--memory", "--metrics-listen", "127.0.0.1:0"];
    let mut process = Process::serve_logged(folder.path(), &arguments, &[], Stdio::piped());
    let mut log = process.take_log();
    let side_port = side_port(&mut log);
    (folder, process, log, side_port)
}

#[tokio::test]
async fn a_log_that_nobody_reads_does_not_block_calls() {
    let (_folder, process, log, side_port) = serve_with_side_port();
    let data = DataServiceClient::new(process.channel().await);
    // a pipe takes 64 KiB
    call_often(&data, 600).await;
    is_alive(&side_port);
    assert_eq!(terminate(process).code, 0);
    drop(log);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_lines_are_counted_and_logged() {
    let (_folder, process, mut log, side_port) = serve_with_side_port();
    let data = DataServiceClient::new(process.channel().await);
    let dropped = || -> u64 {
        let metrics = probe(&side_port, "/metrics");
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("tollgate_log_dropped_total "));
        let count = line.expect("the metric is there").trim();
        count.parse::<f64>().expect("a number") as u64
    };
    assert_eq!(dropped(), 0);
    // 64 KiB in the pipe, 2 MiB on their way, 2 MiB that wait
    let mut rounds = 0;
    while dropped() == 0 {
        rounds += 1;
        assert!(rounds < 40, "nothing is dropped");
        call_often(&data, 800).await;
    }
    // somebody reads again
    let (reported, report) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut line = String::new();
        while log.read_line(&mut line).expect("text") > 0 {
            let read: serde_json::Value = serde_json::from_str(&line).expect("whole lines");
            if read["message"] == "log lines dropped" {
                let _ = reported.send(read["lines"].as_u64().expect("a number"));
            }
            line.clear();
        }
    });
    call_often(&data, 16).await;
    let lines = report
        .recv_timeout(TIMEOUT)
        .expect("the log says what is missing");
    assert!(lines > 0 && lines <= dropped(), "{lines}");
    assert_eq!(terminate(process).code, 0);
    reading.join().expect("whole lines");
}

#[tokio::test]
async fn probes_and_calls_succeed_when_callers_hold_all_descriptors() {
    const DESCRIPTORS: usize = 96;
    let folder = free_folder();
    let arguments = ["--memory", "--metrics-listen", "127.0.0.1:0"];
    let mut process = Process::serve_with_descriptors(folder.path(), DESCRIPTORS, &arguments, Stdio::piped());
    let mut log = process.take_log();
    let side_port = side_port(&mut log);
    let mut data = DataServiceClient::new(process.channel().await);
    let connect = || TcpStream::connect(process.address()).expect("the system connects");
    let held: Vec<TcpStream> = (0..2 * DESCRIPTORS).map(|_| connect()).collect();
    for _ in 0..3 {
        is_alive(&side_port);
    }
    let status = data.get(get("User")).await.expect_err("there is no such item");
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    // the last ones were refused, not left waiting
    let mut last = held.last().expect("some").try_clone().expect("a handle");
    last.set_read_timeout(Some(TIMEOUT)).expect("a time");
    assert!(matches!(last.read(&mut [0; 1]), Ok(0) | Err(_)));
    drop(held);
    let mut is_back = false;
    for _ in 0..1000 {
        // refused until the gateway has closed the others
        let endpoint = Channel::from_shared(format!("http://{}", process.address())).expect("an address");
        if let Ok(channel) = endpoint.connect().await
            && let Err(status) = DataServiceClient::new(channel).get(get("User")).await
            && status.code() == Code::NotFound
        {
            is_back = true;
            break;
        }
    }
    assert!(is_back, "new connections are taken again");
    assert_eq!(terminate(process).code, 0);
}

#[test]
fn refuses_to_listen_beyond_loopback_by_default() {
    let folder = free_folder();
    for address in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"] {
        let refused = ended(folder.path(), &["serve", "--memory", "--listen", address], &[]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
        for way in ["insecure: true", "--insecure", "TOLLGATE_INSECURE"] {
            refused.says_in_one_line(way);
        }
    }
    let by_variable = [("TOLLGATE_LISTEN", "0.0.0.0:0")];
    let refused = ended(folder.path(), &["serve", "--memory"], &by_variable);
    assert_eq!(refused.code, 2, "{refused:?}");
    let off = ["--memory", "--metrics-listen", "off"];
    let allowed = [&["--insecure", "--listen", "0.0.0.0:0"][..], &off].concat();
    assert_eq!(Process::serve_with(folder.path(), &allowed).terminate().code, 0);
    let outer_side_port = [
        "--memory",
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "0.0.0.0:0",
    ];
    let process = Process::serve_with(folder.path(), &outer_side_port);
    assert_eq!(process.terminate().code, 0, "the side port is exempt");
}

#[test]
fn every_spelling_of_loopback_is_loopback() {
    let folder = free_folder();
    for address in ["localhost:0", "127.8.9.10:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        if TcpListener::bind(address).is_err() {
            // a machine without IPv6
            continue;
        }
        let arguments = ["--memory", "--metrics-listen", "off", "--listen", address];
        let process = Process::serve_with(folder.path(), &arguments);
        assert_eq!(process.terminate().code, 0, "{address}");
    }
}

/// An address of this machine where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let folder = free_folder();
    let nobody = nobody();
    let needed = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let stores = [
        ("AWS_ENDPOINT_URL_DYNAMODB", nobody.as_str()),
        ("AWS_ENDPOINT_URL_KMS", &nobody),
        ("AWS_ENDPOINT_URL_S3", &nobody),
    ];
    let no_region = ended(
        folder.path(),
        &["serve", "--backend", "aws", "--listen", "127.0.0.1:0"],
        &[
            &needed[..],
            &stores,
            &[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "")],
        ]
        .concat(),
    );
    assert_eq!(no_region.code, 1, "{no_region:?}");
    no_region.says_in_one_line("no AWS region is set");
    let region = [("AWS_REGION", "us-east-1")];
    let empty = [
        ("AWS_ENDPOINT_URL", ""),
        ("AWS_PROFILE", ""),
        ("AWS_SESSION_TOKEN", ""),
        ("AWS_CONFIG_FILE", ""),
        ("AWS_MAX_ATTEMPTS", ""),
        ("AWS_CA_BUNDLE", ""),
        ("TOLLGATE_LISTEN", ""),
        ("TOLLGATE_TRAILERS", ""),
        ("TOLLGATE_NO_SUCH_SETTING", ""),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        ("SSL_CERT_FILE", ""),
    ];
    let variables = [&needed[..], &region, &stores, &empty].concat();
    let arguments = ["--backend", "aws", "--metrics-listen", "off"];
    let process = Process::serve_logged(folder.path(), &arguments, &variables, Stdio::null());
    assert_eq!(process.terminate().code, 0);
    // each of the services by the endpoint of all, with its own one empty
    let of_services = [
        ("AWS_ENDPOINT_URL", nobody.as_str()),
        ("AWS_ENDPOINT_URL_DYNAMODB", ""),
        ("AWS_ENDPOINT_URL_KMS", ""),
        ("AWS_ENDPOINT_URL_S3", ""),
    ];
    let variables = [&needed[..], &region, &of_services].concat();
    let process = Process::serve_logged(folder.path(), &arguments, &variables, Stdio::null());
    assert_eq!(process.terminate().code, 0);
}

/// What the log says of a store that is not there, or refuses: a line that people read, with what they should look at;
/// nothing that the SDK writes for debugging.
#[tokio::test]
async fn an_unreachable_store_is_logged_in_one_readable_line() {
    let folder = free_folder();
    let nobody = nobody();
    let log = folder.path().join("log");
    let variables = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", nobody.as_str()),
    ];
    let arguments = ["--backend", "aws", "--metrics-listen", "off"];
    let file = std::fs::File::create(&log).expect("a file");
    let process = Process::serve_logged(folder.path(), &arguments, &variables, file);
    let mut data = DataServiceClient::new(process.channel().await);
    let status = data.get(get("User")).await.expect_err("there is no store");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(process.terminate().code, 0);
    let text = std::fs::read_to_string(&log).expect("text");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let failures: Vec<_> = lines.iter().filter(|line| line["cause"].is_string()).collect();
    let of = |service: &str, operation: &str| {
        let found = failures
            .iter()
            .find(|line| line["service"] == service && line["operation"] == operation);
        found.unwrap_or_else(|| panic!("{service} {operation} in {text}"))
    };
    // looked for at the start, and called
    for line in [
        of("DynamoDB", "DescribeTable"),
        of("KMS", "DescribeKey"),
        of("S3", "HeadBucket"),
        of("DynamoDB", "GetItem"),
    ] {
        assert_eq!(line["endpoint"], nobody, "{line}");
        let cause = line["cause"].as_str().expect("text");
        assert!(
            cause.starts_with("no connection") && cause.contains("refused"),
            "{line}"
        );
        assert!(
            line["check"]
                .as_str()
                .is_some_and(|check| check.contains("AWS_ENDPOINT_URL")),
            "{line}"
        );
    }
    for dump in [" { ", "Error(", "Some(", "DispatchFailure", "kind:"] {
        let line = text.lines().find(|line| line.contains(dump));
        assert!(line.is_none(), "{dump}: {line:?}");
    }
}

#[test]
fn refuses_an_invalid_endpoint_url_by_name() {
    let folder = free_folder();
    let needed = [
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
    ];
    let arguments = [
        "serve",
        "--backend",
        "aws",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "json",
    ];
    for (variable, service) in [
        ("AWS_ENDPOINT_URL_DYNAMODB", "DynamoDB"),
        ("AWS_ENDPOINT_URL_KMS", "KMS"),
        ("AWS_ENDPOINT_URL_S3", "S3"),
    ] {
        for endpoint in [" ", "localhost:8000", "not a url"] {
            let variables = [&needed[..], &[(variable, endpoint)]].concat();
            let refused = ended(folder.path(), &arguments, &variables);
            assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
            refused.says_in_one_line(&format!("the endpoint of {service} is not a URL: set {variable}"));
        }
    }
}
