//! Acknowledged saves survive `kill -9`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use super::process::{Process, free_folder};
use super::text;

/// A model whose items have both: an encrypted attribute and an object.
const VAULT: &str = "
name: Vault
table: vaults
partition_key: pk
attributes:
  pk: { type: string }
  secret: { type: string, encrypted: { key_id: alias/my-app-key } }
  file: { type: object, s3: { bucket: vault-bucket, prefix: v/ } }
";
/// Saves that each life of the process is sent.
const SAVES: usize = 1000;
/// Callers at once; each has one item that it overwrites again and again.
const CALLERS: usize = 16;
/// Past S3's part size.
const LARGE_BYTES: usize = 5 * 1024 * 1024 + 1;

/// What was acknowledged, by the item's key: the number of the last Save.
type Acknowledged = Arc<Mutex<std::collections::BTreeMap<String, usize>>>;

fn secret(number: usize) -> String {
    format!("secret of {number}")
}

fn file(number: usize) -> Vec<u8> {
    let bytes = if number % 150 == 149 {
        LARGE_BYTES
    } else {
        number * 7 % 4000
    };
    (0..bytes).map(|index| ((index + number) % 251) as u8).collect()
}

fn vault(partition: &str, number: usize) -> v1::SaveRequest {
    let object = v1::Object {
        data: Some(file(number).into()),
        name: number.to_string(),
        ..v1::Object::default()
    };
    let item = [
        ("pk".to_owned(), text(partition)),
        ("secret".to_owned(), text(secret(number))),
        (
            "file".to_owned(),
            v1::AttributeValue {
                kind: Some(Kind::Object(Box::new(object))),
            },
        ),
    ];
    v1::SaveRequest {
        model: "Vault".to_owned(),
        item: item.into(),
        ..v1::SaveRequest::default()
    }
}

async fn client(process: &Process) -> DataServiceClient<Channel> {
    let client = DataServiceClient::new(process.channel().await);
    client
        .max_decoding_message_size(2 * LARGE_BYTES)
        .max_encoding_message_size(2 * LARGE_BYTES)
}

/// One caller saves until the process is gone, and notes what was acknowledged.
async fn save_until_killed(
    mut data: DataServiceClient<Channel>,
    caller: usize,
    next: Arc<AtomicUsize>,
    acknowledged: Acknowledged,
    progress: Arc<tokio::sync::Semaphore>,
) {
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        let partition = if number.is_multiple_of(3) {
            format!("own-{caller}")
        } else {
            format!("item-{number}")
        };
        match data.save(vault(&partition, number)).await {
            Ok(_) => {
                acknowledged.lock().insert(partition, number);
                progress.add_permits(1);
            }
            Err(status) => {
                assert!(
                    matches!(
                        status.code(),
                        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
                    ),
                    "{status:?}"
                );
                return;
            }
        }
    }
}

/// Sends saves to a process, kills it after so many were acknowledged. The number of the next save.
async fn one_life(folder: &Path, first: usize, kill_after: u32, acknowledged: &Acknowledged) -> usize {
    let process = Process::serve(folder, &["--models", "models"]);
    let data = client(&process).await;
    let next = Arc::new(AtomicUsize::new(first));
    let progress = Arc::new(tokio::sync::Semaphore::new(0));
    let callers = (0..CALLERS).map(|caller| {
        let (next, acknowledged, progress) = (next.clone(), acknowledged.clone(), progress.clone());
        tokio::spawn(save_until_killed(
            data.clone(),
            caller,
            next,
            acknowledged,
            progress,
        ))
    });
    let callers: Vec<_> = callers.collect();
    let killed = progress.acquire_many(kill_after).await;
    killed.expect("the semaphore is never closed").forget();
    process.kill();
    for caller in callers {
        caller.await.expect("no caller panics");
    }
    let sent = next.load(Ordering::SeqCst);
    assert!(sent < first + SAVES, "killed in the middle: {}", sent - first);
    first + SAVES
}

/// Every acknowledged item is there, opens, and is what that Save wrote, or a later one without a response.
async fn check_all(data: &DataServiceClient<Channel>, acknowledged: &Acknowledged) {
    let expected: Vec<_> = acknowledged.lock().clone().into_iter().collect();
    for (partition, number) in expected {
        let key = [("pk".to_owned(), text(&partition))].into();
        let include_objects = vec!["file".to_owned()];
        let request = v1::GetRequest {
            model: "Vault".to_owned(),
            key,
            include_objects,
            ..v1::GetRequest::default()
        };
        let found = data.clone().get(request).await;
        let item = found
            .unwrap_or_else(|status| panic!("{partition} of {number}: {status:?}"))
            .into_inner()
            .item;
        let Some(Kind::Object(object)) = item["file"].kind.clone() else {
            panic!("{partition} has no object")
        };
        let stored: usize = object.name.parse().expect("the number of its save");
        assert!(
            stored >= number,
            "{partition}: {stored} is older than the acknowledged {number}"
        );
        assert!(
            stored == number || partition.starts_with("own-"),
            "{partition}: {stored} for {number}"
        );
        assert_eq!(
            item["secret"],
            text(secret(stored)),
            "{partition}: both are of one Save"
        );
        assert!(
            object.data.as_deref() == Some(file(stored).as_slice()),
            "{partition}: the content of {stored}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_saves_survive_kill_9() {
    let folder = free_folder();
    fs::create_dir(folder.path().join("models")).unwrap();
    fs::write(folder.path().join("models/vault.yaml"), VAULT).unwrap();
    let acknowledged = Acknowledged::default();
    let mut next = 0;
    for kill_after in [40, 160, 250, 330, 420] {
        next = one_life(folder.path(), next, kill_after, &acknowledged).await;
    }
    let process = Process::serve(folder.path(), &["--models", "models"]);
    let data = client(&process).await;
    check_all(&data, &acknowledged).await;
    let scan = v1::ScanRequest {
        model: "Vault".to_owned(),
        ..v1::ScanRequest::default()
    };
    let mut pages = data.clone().scan(scan).await.unwrap().into_inner();
    while let Some(page) = pages.message().await.unwrap() {
        assert!(
            page.results.iter().all(|found| found.error.is_none()),
            "whatever is there opens"
        );
    }
    assert_eq!(process.terminate().code, 0);
}
