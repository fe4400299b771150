//! `kill -9` in the middle of uploads: each item points to a whole object, the last acknowledged one or a newer one.

use std::fs;
use std::path::Path;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use super::process::{Process, free_folder};
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
const MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// The content of the upload with this number: no two are alike.
fn content(number: usize) -> Vec<u8> {
    let words = (0..CONTENT_BYTES as u64 / 8).map(|index| index.wrapping_mul(2 * number as u64 + 1));
    words.flat_map(u64::to_be_bytes).collect()
}

fn upload(number: usize) -> v1::SaveRequest {
    let object = v1::Object {
        data: Some(content(number).into()),
        name: number.to_string(),
        ..v1::Object::default()
    };
    let content = v1::AttributeValue {
        kind: Some(Kind::Object(Box::new(object))),
    };
    v1::SaveRequest {
        model: "File".to_owned(),
        item: [("pk".to_owned(), text("A")), ("content".to_owned(), content)].into(),
        ..v1::SaveRequest::default()
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_amid_uploads_leaves_no_dangling_pointer() {
    let folder = free_folder();
    fs::create_dir(folder.path().join("models")).unwrap();
    fs::write(folder.path().join("models/file.yaml"), MODEL).unwrap();
    let data_folder = folder.path().join("tollgate-data");
    let (mut last, mut cut_off) = (None, 0);
    for life in 0..LIVES {
        let process = Process::serve(folder.path(), &["--models", "models"]);
        let data = client(&process).await;
        let found = stored(&data).await;
        assert!(found >= last, "{found:?} after {last:?} was acknowledged");
        last = found;
        let before = bytes_in(&data_folder);
        let mut caller = data.clone();
        let uploading = tokio::spawn(async move { caller.save(upload(life)).await });
        // a little more of each upload arrives, and of some all of it
        let enough = before + (CONTENT_BYTES * 11 / 10 * life / LIVES) as u64;
        while bytes_in(&data_folder) < enough && !uploading.is_finished() {
            tokio::task::yield_now().await;
        }
        process.kill();
        match uploading.await.expect("no caller panics") {
            Ok(_) => last = Some(life),
            Err(_) => cut_off += 1,
        }
    }
    assert!(cut_off >= LIVES / 2, "most were cut off: {cut_off}");
    let process = Process::serve(folder.path(), &["--models", "models"]);
    let found = stored(&client(&process).await).await;
    assert!(found >= last, "{found:?} after {last:?} was acknowledged");
    assert_eq!(process.terminate().code, 0);
}
