//! `tollgate-client`: downloads that are resumed over connections that break, and files that are whole or absent.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tollgate_client::{Client, Code, Download, Key, Options, Progress, Reason, Retry};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::wiretap::Wiretap;

use super::{BUCKET, content, store};

const BYTES: usize = 3_000_000;

fn whole() -> Download {
    Download::new("Document", Key::new("pk", "A").and("sk", "V1"), "content")
}

/// A client of the gateway, whose connections are cut after so many bytes of responses, one after the other; further ones
/// are not cut.
async fn client_behind_cuts(gateway: &Gateway, cuts: &'static [usize]) -> Client {
    let address = cutting_proxy(gateway.address(), cuts).await;
    let options = Options {
        retry: Retry {
            attempts: 6,
            initial_backoff: Duration::from_millis(1),
            ..Retry::default()
        },
        ..Options::default()
    };
    let connected = Client::connect_with(format!("http://{address}"), options).await;
    connected.expect("the proxy listens")
}

async fn cutting_proxy(server: SocketAddr, cuts: &'static [usize]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    tokio::spawn(async move {
        let connections = AtomicUsize::new(0);
        while let Ok((caller, _)) = listener.accept().await {
            let number = connections.fetch_add(1, Ordering::SeqCst);
            let left = cuts.get(number).copied().unwrap_or(usize::MAX);
            let onward = TcpStream::connect(server).await.expect("the gateway listens");
            tokio::spawn(pass(caller, onward, left));
        }
    });
    address
}

/// Passes bytes in both directions, `left` of them to the caller.
async fn pass(caller: TcpStream, onward: TcpStream, mut left: usize) {
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_server, mut to_server) = onward.into_split();
    let sending = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_caller, &mut to_server).await;
    });
    let mut buffer = vec![0; 16 * 1024];
    while left > 0 {
        let Ok(read @ 1..) = from_server.read(&mut buffer).await else {
            break;
        };
        let passed = read.min(left);
        if to_caller.write_all(&buffer[..passed]).await.is_err() {
            break;
        }
        left -= passed;
    }
    // drops both halves of both connections
    sending.abort();
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_download_is_resumed_over_connections_that_break() {
    let gateway = Gateway::start().await;
    let stored = store(&gateway, &content(BYTES)).await;
    for (download, expected) in [
        (whole(), content(BYTES)),
        (
            Download {
                offset: 1000,
                length: 2_500_000,
                ..whole()
            },
            content(BYTES)[1000..2_501_000].to_vec(),
        ),
    ] {
        let client = client_behind_cuts(&gateway, &[1_000_000, 50_000, 700_000]).await;
        let seen: Arc<Mutex<Vec<Progress>>> = Arc::default();
        let reported = Arc::clone(&seen);
        let mut received = client
            .download(download)
            .on_progress(move |progress| reported.lock().push(progress));
        let object = received.object().await.expect("its description").clone();
        assert_eq!((object.size, &object.etag), (BYTES as u64, &stored.etag));
        let mut bytes = Vec::new();
        while let Some(piece) = received.next().await {
            bytes.extend_from_slice(&piece.expect("it is resumed"));
        }
        assert!(bytes == expected);
        assert_eq!(received.metrics().s3_calls, 1, "the bill of the last call");
        let seen = seen.lock();
        assert!(seen.is_sorted_by(|one, other| one.bytes < other.bytes));
        let end = Progress {
            bytes: expected.len() as u64,
            total: expected.len() as u64,
        };
        assert_eq!(seen.last(), Some(&end));
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_file_appears_once_it_is_verified() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    let stored = store(&gateway, &content(BYTES)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.pdf");
    std::fs::write(&path, b"the old content").expect("it is written");
    let client = client_behind_cuts(&gateway, &[1_500_000]).await;
    let downloaded = client
        .download(whole())
        .into_file(&path)
        .await
        .expect("it is resumed");
    assert_eq!(downloaded.value.sha256, stored.sha256);
    assert!(std::fs::read(&path).expect("a file") == content(BYTES));
    assert_eq!(files_in(folder.path()), ["report.pdf"]);

    let mut changed = content(BYTES);
    changed[0] ^= 1;
    wiretap.stores().put_object(BUCKET, &stored.key, changed).await;
    let error = client.download(whole()).into_file(&path).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ObjectInvalid));
    assert!(error.metrics().s3_calls > 0, "failed downloads cost too");
    assert!(
        std::fs::read(&path).expect("a file") == content(BYTES),
        "it is untouched"
    );
    assert_eq!(files_in(folder.path()), ["report.pdf"]);

    let nowhere = folder.path().join("no/such/folder");
    let error = client.download(whole()).into_file(nowhere).await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unknown, None));
    gateway.stop().await;
}

#[tokio::test]
async fn a_writer_and_a_buffer_get_the_content_and_the_bill() {
    let gateway = Gateway::start().await;
    let client = client_behind_cuts(&gateway, &[]).await;
    for bytes in [0, 1000, BYTES] {
        store(&gateway, &content(bytes)).await;
        let mut written = Vec::new();
        let response = client.download(whole()).write_to(&mut written).await;
        let response = response.expect("it is written");
        assert!(written == content(bytes));
        assert_eq!(
            (response.value.size, response.metrics.s3_calls),
            (bytes as u64, 1)
        );
        let response = client.download(whole()).bytes().await.expect("it is read");
        assert!(response.value == content(bytes));
        assert_eq!(response.metrics.dynamodb_calls, 1);
    }
    let missing = Download::new("Document", Key::new("pk", "B").and("sk", "V1"), "content");
    let error = client.download(missing.clone()).object().await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ItemNotFound));
    let checked = Download {
        validate_only: true,
        ..missing
    };
    let mut checked = client.download(checked);
    assert!(checked.next().await.is_none());
    assert_eq!(checked.metrics().cost_usd, 0.0);
    let unmatched = Download {
        if_match: "another".to_owned(),
        ..whole()
    };
    let error = client.download(unmatched).bytes().await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::EtagMismatch));
    gateway.stop().await;
}

/// The connection breaks after the first bytes, and another object is in the item when the client comes back.
#[tokio::test]
async fn an_object_that_was_replaced_is_not_continued() {
    let gateway = Gateway::start().await;
    store(&gateway, &content(BYTES)).await;
    let client = client_behind_cuts(&gateway, &[1_000_000]).await;
    let mut received = client.download(whole());
    let first = received.next().await.expect("a piece").expect("it arrives");
    let mut bytes = first.to_vec();
    store(&gateway, &vec![9; BYTES]).await;
    let error = loop {
        match received.next().await.expect("an error comes first") {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Some(Reason::EtagMismatch));
    assert!(bytes == content(BYTES)[..bytes.len()]);
    assert!(received.next().await.is_none());
    gateway.stop().await;
}
