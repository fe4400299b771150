//! `kill -9` in the middle of uploads: each item points to a whole object, the last acknowledged one or a newer one, and a
//! sweep removes everything else.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::stream;
use tollgate_proto::v1;
use tollgate_proto::v1::admin_service_client::AdminServiceClient;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::sweep_response::Event;
use tollgate_proto::v1::upload_request::Message;
use tonic::Code;
use tonic::transport::Channel;

use super::process::{Process, ended, free_folder};
use super::text;

const MODEL: &str = "
name: File
table: files
partition_key: pk
attributes:
  pk: { type: string }
  content: { type: object, s3: { bucket: file-bucket, prefix: f/ } }
";
/// Lives of the process, each of which ends in the middle of an upload.
const LIVES: usize = 50;
const CONTENT_BYTES: usize = 20_000_000;
const CHUNK_BYTES: usize = 1024 * 1024;
const MESSAGE_BYTES: usize = 32 * 1024 * 1024;
/// The shortest calls that may be configured, so that a sweep may delete what is twice as old.
const SHORT_CALLS: (&str, &str) = ("TOLLGATE_LIMITS__STREAM_DEADLINE_MAX", "1s");
const GRACE_SECONDS: i64 = 2;
/// What a sweep may delete is that old by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// The content of the upload with this number: no two are alike.
fn content(number: usize) -> Vec<u8> {
    let words = (0..CONTENT_BYTES as u64 / 8).map(|index| index.wrapping_mul(2 * number as u64 + 1));
    words.flat_map(u64::to_be_bytes).collect()
}

/// An Upload: of a whole item, or of an Update in every second life.
fn upload(number: usize) -> Vec<v1::UploadRequest> {
    let object = v1::Object {
        name: number.to_string(),
        ..v1::Object::default()
    };
    let object = v1::AttributeValue {
        kind: Some(Kind::Object(Box::new(object))),
    };
    let (first, attribute) = match number % 2 {
        0 => {
            let save = v1::SaveRequest {
                model: "File".to_owned(),
                item: [("pk".to_owned(), text("A")), ("content".to_owned(), object)].into(),
                ..v1::SaveRequest::default()
            };
            (Message::Save(save), "content")
        }
        _ => {
            let change = v1::Expression {
                text: "SET content = :c".to_owned(),
                values: [(":c".to_owned(), object)].into(),
                ..v1::Expression::default()
            };
            let update = v1::UpdateRequest {
                model: "File".to_owned(),
                key: [("pk".to_owned(), text("A"))].into(),
                update: Some(change),
                ..v1::UpdateRequest::default()
            };
            (Message::Update(update), ":c")
        }
    };
    let content = content(number);
    let last = content.len().div_ceil(CHUNK_BYTES) - 1;
    let chunks = content.chunks(CHUNK_BYTES).enumerate().map(|(index, data)| {
        Message::Chunk(v1::ObjectChunk {
            attribute: attribute.to_owned(),
            data: data.to_vec().into(),
            end: index == last,
            ..v1::ObjectChunk::default()
        })
    });
    let messages = std::iter::once(first).chain(chunks);
    messages
        .map(|message| v1::UploadRequest {
            message: Some(message),
        })
        .collect()
}

async fn client(process: &Process) -> DataServiceClient<Channel> {
    let client = DataServiceClient::new(process.channel().await);
    client
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES)
}

/// Bytes of all files of a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        // it was removed meanwhile
        Err(_) => 0,
    });
    bytes.sum()
}

/// The number of the upload that the item points to, whose content is whole; none if there is no item.
async fn stored(data: &DataServiceClient<Channel>) -> Option<usize> {
    let request = v1::GetRequest {
        model: "File".to_owned(),
        key: [("pk".to_owned(), text("A"))].into(),
        include_objects: vec!["content".to_owned()],
        ..v1::GetRequest::default()
    };
    let found = match data.clone().get(request).await {
        Ok(found) => found.into_inner().item,
        Err(status) if status.code() == Code::NotFound => return None,
        Err(status) => panic!("{status:?}"),
    };
    let Some(Kind::Object(object)) = &found["content"].kind else {
        panic!("no object")
    };
    let number = object.name.parse().expect("the number of its upload");
    assert!(
        object.data.as_deref() == Some(content(number).as_slice()),
        "upload {number} is whole"
    );
    Some(number)
}

/// Sweeps to the end; the sums.
async fn sweep(process: &Process, request: v1::SweepRequest) -> v1::SweepProgress {
    let mut client = AdminServiceClient::new(process.channel().await);
    let mut events = client.sweep(request).await.expect("it begins").into_inner();
    let mut sums = None;
    while let Some(message) = events.message().await.expect("it goes on") {
        if let Some(Event::Finished(finished)) = message.event {
            sums = Some(finished);
        }
    }
    sums.expect("the sums come last")
}

/// What there is, however young.
async fn report(process: &Process) -> v1::SweepProgress {
    let request = v1::SweepRequest {
        dry_run: true,
        grace: Some(prost_types::Duration::default()),
        ..v1::SweepRequest::default()
    };
    sweep(process, request).await
}

/// Sweeps until what the lives left is old enough to be deleted.
async fn sweep_all(process: &Process) {
    let request = v1::SweepRequest {
        // most objects are orphans
        force: true,
        grace: Some(prost_types::Duration {
            seconds: GRACE_SECONDS,
            nanos: 0,
        }),
        ..v1::SweepRequest::default()
    };
    let begun = Instant::now();
    loop {
        let swept = sweep(process, request).await;
        assert_eq!(
            (swept.deleted, swept.aborted),
            (swept.orphans, swept.stray_uploads)
        );
        let left = report(process).await;
        assert_eq!(left.dangling, 0, "no pointer dangles");
        if (left.orphans, left.stray_uploads) == (0, 0) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "left: {left:?}");
    }
}

/// One life of the process, which ends in the middle of an upload. The number of the last upload that was acknowledged, and
/// whether this one was cut off.
async fn life(folder: &Path, number: usize, last: Option<usize>) -> (Option<usize>, bool) {
    let data_folder = folder.join("tollgate-data");
    let process = Process::serve(folder, &["--models", "models"]);
    let data = client(&process).await;
    let found = stored(&data).await;
    assert!(found >= last, "{found:?} after {last:?} was acknowledged");
    let before = bytes_in(&data_folder);
    let messages = upload(number);
    let mut caller = data.clone();
    let uploading = tokio::spawn(async move { caller.upload(stream::iter(messages)).await });
    // a little more of each upload arrives, and of the last one all of it
    let enough = match number + 1 == LIVES {
        true => u64::MAX,
        false => before + (CONTENT_BYTES * 11 / 10 * number / LIVES) as u64,
    };
    while bytes_in(&data_folder) < enough && !uploading.is_finished() {
        tokio::task::yield_now().await;
    }
    process.kill();
    match uploading.await.expect("no caller panics") {
        Ok(_) => (Some(number), false),
        Err(_) => (found, true),
    }
}

/// The engine removes the files of parts after its response.
async fn bodies_are_removed(folder: &Path) {
    let begun = Instant::now();
    loop {
        let bytes = bytes_in(folder);
        if bytes < 2 * CONTENT_BYTES as u64 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "left: {bytes} bytes");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_amid_uploads_leaves_what_a_sweep_removes_and_no_dangling_pointer() {
    let folder = free_folder();
    fs::create_dir(folder.path().join("models")).unwrap();
    fs::write(folder.path().join("models/file.yaml"), MODEL).unwrap();
    let data_folder = folder.path().join("tollgate-data");
    let (mut last, mut cut_off) = (None, 0);
    for number in 0..LIVES {
        let (acknowledged, was_cut_off) = life(folder.path(), number, last).await;
        last = acknowledged;
        cut_off += usize::from(was_cut_off);
    }
    assert!(cut_off >= LIVES / 2, "most were cut off: {cut_off}");
    let arguments = ["--models", "models"];
    let process = Process::serve_logged(folder.path(), &arguments, &[SHORT_CALLS], Stdio::null());
    let found = stored(&client(&process).await).await;
    assert!(found >= last, "{found:?} after {last:?} was acknowledged");
    let left = report(&process).await;
    assert_eq!(left.dangling, 0, "no pointer dangles");
    assert!(
        left.orphans + left.stray_uploads > 0,
        "something was left behind: {left:?}"
    );
    sweep_all(&process).await;
    let swept = report(&process).await;
    assert_eq!((swept.objects, swept.pointers), (1, 1), "{swept:?}");
    assert_eq!(
        stored(&client(&process).await).await,
        found,
        "its object is still there"
    );
    bodies_are_removed(&data_folder.join("s3/objects")).await;
    assert_eq!(process.terminate().code, 0);
    let checked = ended(folder.path(), &["fsck", "tollgate-data"], &[]);
    assert_eq!(checked.code, 0, "{checked:?}");
}
