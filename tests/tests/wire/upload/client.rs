//! `tollgate-client`: contents from bytes, files and readers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};
use tollgate_client::{Client, Item, Object, Options, Progress, Reason, Source, Value};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{BUCKET, content_of, numbered, serving};

fn client(gateway: &Gateway) -> Client {
    Client::from_channel(gateway.channel(), Options::default())
}

fn album() -> Item {
    [("pk", "A"), ("sk", "1")]
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .into()
}

fn object(item: &Item, name: &str) -> Object {
    match &item[name] {
        Value::Object(object) => (**object).clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn contents_come_from_bytes_files_and_readers() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (photo, scan) = (numbered(6_000_000), numbered(700_000));
    let path = folder.path().join("holiday.png");
    std::fs::write(&path, &photo).expect("it is written");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let reported = Arc::clone(&seen);
    let described = Object {
        content_type: "image/png".to_owned(),
        name: "scan.png".to_owned(),
        ..Object::default()
    };
    let saved = client(&gateway)
        .upload("Album", &album())
        .content("photo", Source::file(&path))
        .object("scan", described, Source::reader(io::Cursor::new(scan.clone())))
        .on_progress(move |progress: Progress| reported.lock().push(progress))
        .send()
        .await
        .expect("it is stored");
    let stored = object(&saved.value.generated, "photo");
    assert_eq!((stored.name.as_str(), stored.size), ("holiday.png", 6_000_000));
    assert_eq!(object(&saved.value.generated, "scan").content_type, "image/png");
    assert!(content_of(&gateway, "Album", "photo").await.unwrap() == photo);
    assert!(content_of(&gateway, "Album", "scan").await.unwrap() == scan);
    assert_eq!(
        saved.metrics.s3_calls, 5,
        "a multipart upload of two parts, and one PutObject"
    );
    let seen = seen.lock().clone();
    assert!(seen.windows(2).all(|pair| pair[0].bytes < pair[1].bytes));
    assert_eq!(seen.last().map(|progress| progress.bytes), Some(6_700_000));

    let mut again = album();
    again.insert("rev".to_owned(), Value::from(1));
    let empty = client(&gateway)
        .upload("Album", &again)
        .content("photo", Bytes::new());
    empty.send().await.expect("it is stored");
    assert_eq!(content_of(&gateway, "Album", "photo").await.unwrap(), b"");
}

/// Fails after so many bytes.
struct Failing(usize);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::other("the disk is broken")));
        }
        let bytes = self.0.min(buffer.remaining());
        buffer.put_slice(&vec![7; bytes]);
        self.0 -= bytes;
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_source_that_cannot_be_read_writes_nothing() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    for bytes in [0, 1_000, 6_000_000] {
        let upload = client(&gateway).upload("Album", &album());
        let failed = upload
            .content("photo", Source::reader(Failing(bytes)))
            .send()
            .await;
        let error = failed.expect_err("it cannot be read");
        assert!(error.message().contains("the disk is broken"), "{error}");
        assert_eq!(content_of(&gateway, "Album", "photo").await, None);
        assert_eq!(wiretap.stores().objects(BUCKET).await, [""; 0]);
        assert_eq!(wiretap.stores().open_uploads(BUCKET).await, 0);
    }
    let missing = Source::file("/no/such/file");
    let failed = client(&gateway)
        .upload("Album", &album())
        .content("photo", missing)
        .send()
        .await;
    assert!(failed.is_err());
    assert_eq!(wiretap.count("PutItem"), 0);
}

#[tokio::test]
async fn an_upload_is_retried_if_its_sources_can_be_read_again() {
    let failures = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&failures);
    let wiretap = Wiretap::new(move |operation| match operation {
        "PutObject" if counted.fetch_add(1, Ordering::SeqCst) < 3 => Fate::Error500,
        _ => Fate::Pass,
    });
    let gateway = serving(&wiretap, &[]).await;
    let upload = client(&gateway)
        .upload("Album", &album())
        .content("photo", "abc".as_bytes().to_vec());
    let saved = upload.send().await.expect("the second attempt is stored");
    assert_eq!(saved.metrics.calls, 2);
    assert_eq!(content_of(&gateway, "Album", "photo").await.unwrap(), b"abc");
    failures.store(0, Ordering::SeqCst);
    let reader = Source::reader(io::Cursor::new(b"abc".to_vec()));
    let failed = client(&gateway).upload("Album", &album()).content("scan", reader);
    assert!(failed.send().await.is_err(), "a reader is read once");
}

#[tokio::test]
async fn refusals_are_those_of_a_save() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let wrong = Object {
        sha256: "0".repeat(64),
        ..Object::default()
    };
    let upload = client(&gateway)
        .upload("Album", &album())
        .object("photo", wrong, "abc".as_bytes().to_vec());
    let error = upload.send().await.expect_err("another hash");
    assert_eq!(error.reason(), Some(Reason::ChecksumMismatch));
    let upload = client(&gateway)
        .upload("Nope", &album())
        .content("photo", Bytes::from_static(b"abc"));
    let error = upload.send().await.expect_err("no model");
    assert_eq!(error.reason(), Some(Reason::UnknownModel));
}
