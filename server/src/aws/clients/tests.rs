//! Clients configured by the environment: all sources of the credential chain work with the enabled features, requests go
//! over sockets, and attempts without a connection are not counted.

#![expect(
    clippy::disallowed_methods,
    reason = "the child process reads which case it runs"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::*;
use crate::aws::{Doubt, DownloadError, GetItem, Kind, Location};
use crate::call::Call;

/// Set in the child processes in which a test runs itself again.
const IS_CHILD: &str = "TOLLGATE_TEST_CHILD";
const THIS_TEST: &str = "aws::clients::tests::credentials_come_from_every_source_of_the_chain";

fn settings() -> Settings {
    Settings {
        max_attempts: 2,
        ..Settings::default()
    }
}

/// A process cannot change its own environment safely, so each case runs this test again in a child process, with a
/// server on loopback in place of AWS.
#[test]
fn credentials_come_from_every_source_of_the_chain() {
    if let Some(expected) = std::env::var_os(IS_CHILD) {
        return assert_eq!(access_key_id(), expected.to_string_lossy());
    }
    let home = tempfile::tempdir().unwrap();
    let server = fake_aws();
    write_files(home.path());
    let url = |path: &str| format!("http://{server}{path}");
    let token = home.path().join("token").display().to_string();
    let cases: [(&str, &[(&str, &str)]); 6] = [
        (
            "ENVIRONMENT",
            &[
                ("AWS_ACCESS_KEY_ID", "ENVIRONMENT"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
            ],
        ),
        ("PROFILE", &[("AWS_PROFILE", "plain")]),
        (
            "WEBIDENTITY",
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
                ("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/web"),
                ("AWS_ENDPOINT_URL_STS", &url("")),
            ],
        ),
        (
            "CONTAINER",
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url("/container"))],
        ),
        (
            "SSO",
            &[("AWS_PROFILE", "sso"), ("AWS_ENDPOINT_URL_SSO", &url(""))],
        ),
        ("INSTANCE", &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url(""))]),
    ];
    for (expected, environment) in cases {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS_TEST, "--nocapture"])
            .env_clear()
            .envs([(IS_CHILD, expected), ("AWS_REGION", "eu-central-1")])
            .env("HOME", home.path())
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let output = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{expected}: {output}");
    }
}

fn access_key_id() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let sdk_config = load(&settings(), https_client()).await;
        assert_eq!(sdk_config.region().unwrap().as_ref(), "eu-central-1");
        let provider = sdk_config.credentials_provider().unwrap();
        provider
            .provide_credentials()
            .await
            .unwrap()
            .access_key_id()
            .to_owned()
    })
}

fn write_files(home: &Path) {
    let folder = home.join(".aws/sso/cache");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(home.join("token"), "a web identity token").unwrap();
    let config = "[profile plain]\naws_access_key_id = PROFILE\naws_secret_access_key = secret\n\
        [profile sso]\nsso_session = work\nsso_account_id = 000000000000\nsso_role_name = dev\n\
        [sso-session work]\nsso_region = eu-central-1\nsso_start_url = https://example.awsapps.com/start\n";
    std::fs::write(home.join(".aws/config"), config).unwrap();
    // the cached token's name is the SHA-1 of the session's name, `work`
    let token = r#"{"accessToken":"token","expiresAt":"2099-01-01T00:00:00Z"}"#;
    std::fs::write(
        folder.join("e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json"),
        token,
    )
    .unwrap();
}

/// A server that responds like STS, SSO, and the credential endpoints of containers and instances, until the process ends.
fn fake_aws() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(&stream));
        }
    });
    address
}

fn serve(mut stream: &std::net::TcpStream) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let response = response(head.split(' ').nth(1).unwrap_or_default());
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", response.len());
        let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 600\r\n\r\n";
        if stream
            .write_all(format!("{head}{ttl}{response}").as_bytes())
            .is_err()
        {
            return;
        }
    }
}

fn response(path: &str) -> String {
    let json = |id: &str| {
        format!(
            r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"{id}","SecretAccessKey":"secret","Token":"t",
            "Expiration":"2099-01-01T00:00:00Z","LastUpdated":"2020-01-01T00:00:00Z"}}"#
        )
    };
    match path {
        "/container" => json("CONTAINER"),
        "/latest/api/token" => "a session token".to_owned(),
        "/latest/meta-data/iam/security-credentials/" | "/latest/meta-data/iam/security-credentials-extended/" => {
            "role".to_owned()
        }
        "/latest/meta-data/iam/security-credentials/role"
        | "/latest/meta-data/iam/security-credentials-extended/role" => json("INSTANCE"),
        sso if sso.starts_with("/federation/credentials") => {
            r#"{"roleCredentials":{"accessKeyId":"SSO","secretAccessKey":"secret","sessionToken":"t","expiration":4070908800000}}"#
                .to_owned()
        }
        _ => "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
            <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>WEBIDENTITY</AccessKeyId>\
            <SecretAccessKey>secret</SecretAccessKey><SessionToken>t</SessionToken>\
            <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
            </AssumeRoleWithWebIdentityResponse>"
            .to_owned(),
    }
}

fn stores_at(endpoint_url: &str) -> Stores {
    let sdk_config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint_url)
        .http_client(https_client())
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(
            aws_credential_types::Credentials::new("id", "secret", None, None, "test"),
        ))
        .sleep_impl(aws_smithy_async::rt::sleep::default_async_sleep().unwrap())
        .build();
    Stores::configured(&sdk_config, &settings(), Connectors::all(&https_client()))
}

fn somewhere() -> GetItem {
    GetItem {
        table: "users".into(),
        ..GetItem::default()
    }
}

#[tokio::test]
async fn does_not_count_a_refused_connection() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let stores = stores_at(&format!("http://127.0.0.1:{port}"));
    let call = Call::for_test();
    let error = stores.dynamodb.get_item(&call, somewhere()).await.unwrap_err();
    assert_eq!((error.kind, error.doubt), (Kind::Unavailable, Doubt::None));
    assert!(error.cause.contains("no connection"), "{}", error.cause);
    assert_eq!((call.bill().dynamodb_calls, call.bill().retries), (0, 0));
    assert!(call.bill().backoff_us > 0);
}

/// A TLS handshake without a response is not counted either, even if the deadline ends it.
#[tokio::test]
async fn does_not_count_a_connection_cut_by_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stores = stores_at(&format!("https://{}", listener.local_addr().unwrap()));
    let call = Call::for_test();
    let brief = call.with_deadline(std::time::Instant::now() + Duration::from_millis(300));
    let error = stores.dynamodb.get_item(&brief, somewhere()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Deadline { sent: false });
    assert_eq!(call.bill().dynamodb_calls, 0);
}

#[tokio::test]
async fn counts_a_request_cut_by_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stores = stores_at(&format!("http://{}", listener.local_addr().unwrap()));
    let call = Call::for_test();
    let brief = call.with_deadline(std::time::Instant::now() + Duration::from_millis(300));
    let error = stores.dynamodb.get_item(&brief, somewhere()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Deadline { sent: false });
    assert_eq!(call.bill().dynamodb_calls, 1);
}

#[test]
fn addresses_only_custom_s3_endpoints_by_path() {
    let config = || SdkConfig::builder().region(Region::from_static("us-east-1"));
    assert!(!has_s3_endpoint(&config().build()));
    assert!(has_s3_endpoint(
        &config().endpoint_url("http://localhost:9000").build()
    ));
}

/// An S3 whose bodies have ten bytes: it sends `headers` and half the body, calls `between`, and sends the rest.
fn pausing_s3(headers: &'static str, between: impl Fn() + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n{headers}\r\n");
            let sent = stream.write_all(format!("{head}hello").as_bytes());
            let sent = sent.and_then(|()| stream.flush());
            between();
            // a client that gave up has closed the connection
            let _ = sent.and_then(|()| stream.write_all(b"world"));
        }
    });
    format!("http://{address}")
}

const FILE: Location<'_> = Location {
    bucket: "files",
    key: "a",
    region: None,
};

/// By default the SDK gives up on a stream that stalls for five seconds.
#[tokio::test]
async fn waits_for_a_body_that_stalls_for_eight_seconds() {
    let url = pausing_s3("", || std::thread::sleep(Duration::from_secs(8)));
    let call = Call::for_test();
    let long = call.with_deadline(std::time::Instant::now() + Duration::from_secs(60));
    let object = stores_at(&url).s3.whole_object(&long, FILE).await.unwrap();
    assert_eq!(object, "helloworld");
    assert_eq!((call.bill().s3_calls, call.bill().retries), (1, 0));
}

#[tokio::test]
async fn only_the_deadline_ends_a_stalled_body() {
    let url = pausing_s3("", || std::thread::sleep(Duration::from_secs(600)));
    let call = Call::for_test();
    let brief = call.with_deadline(std::time::Instant::now() + Duration::from_millis(300));
    let failure = stores_at(&url).s3.whole_object(&brief, FILE).await.unwrap_err();
    let DownloadError::Store(error) = failure else {
        panic!("{failure}")
    };
    assert_eq!(error.kind, Kind::Deadline { sent: false });
    assert_eq!((call.bill().s3_calls, call.bill().downloaded_bytes), (1, 5));
}

#[tokio::test]
async fn content_that_never_matches_its_checksum_is_damaged() {
    // not the CRC-32 of `helloworld`
    let url = pausing_s3("x-amz-checksum-crc32: AAAAAA==\r\n", || {});
    let call = Call::for_test();
    let failure = stores_at(&url).s3.whole_object(&call, FILE).await.unwrap_err();
    assert!(matches!(failure, DownloadError::Damaged(what) if what.contains("checksum")));
    assert_eq!((call.bill().s3_calls, call.bill().retries), (2, 1));
}

/// A DynamoDB whose clock is an hour ahead, and refuses signatures of another time. Reports the status of each response.
fn dynamodb_an_hour_ahead() -> (String, std::sync::mpsc::Receiver<u16>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (report, reported) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
            let time = DateTime::from(SystemTime::now() + Duration::from_secs(3600));
            let (status, body) = match signed_at(&head).abs_diff(time.secs()) < 300 {
                true => (200, "{}"),
                false => (
                    400,
                    r#"{"__type":"com.amazon.coral.service#InvalidSignatureException"}"#,
                ),
            };
            report.send(status).unwrap();
            let date = time.fmt(Format::HttpDate).unwrap();
            let head = format!("HTTP/1.1 {status} Status\r\ndate: {date}\r\nconnection: close\r\n");
            let length = body.len();
            let response = format!("{head}content-length: {length}\r\n\r\n{body}");
            stream.write_all(response.as_bytes()).unwrap();
        }
    });
    (format!("http://{address}"), reported)
}

/// The time in a request's `x-amz-date`, in seconds since 1970.
fn signed_at(head: &str) -> i64 {
    let (_, rest) = head.split_once("x-amz-date: ").unwrap();
    let part = |from: usize, to: usize| &rest[from..to];
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(9, 11),
        part(11, 13),
        part(13, 15)
    );
    DateTime::from_str(&text, Format::DateTime).unwrap().secs()
}

/// A request that was refused for its time is signed again with the service's, and so are the next ones.
#[tokio::test]
async fn signs_with_the_clock_of_the_service() {
    let (url, reported) = dynamodb_an_hour_ahead();
    let stores = stores_at(&url);
    for _ in 0..2 {
        let item = stores
            .dynamodb
            .get_item(&Call::for_test(), somewhere())
            .await
            .unwrap();
        assert!(item.is_none());
    }
    assert_eq!(reported.try_iter().collect::<Vec<_>>(), [400, 200, 200]);
}

/// The headers of a request, as DynamoDB receives them.
#[tokio::test]
async fn sends_no_header_that_aws_does_not_need() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stores = stores_at(&format!("http://{}", listener.local_addr().unwrap()));
    let received = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .unwrap();
        head
    });
    stores
        .dynamodb
        .get_item(&Call::for_test(), somewhere())
        .await
        .unwrap();
    let head = received.join().unwrap();
    let mut names: Vec<_> = head
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect();
    names.sort_unstable();
    let expected = [
        "authorization",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-amz-date",
        "x-amz-target",
    ];
    assert_eq!(names, expected);
    assert!(head.contains(concat!(
        "user-agent: tollgate/",
        env!("CARGO_PKG_VERSION"),
        "\r\n"
    )));
}
