//! The program as a process: what it prints, how it ends, what a second one is told, and what is there after `kill -9`.

mod outside;
mod process;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use process::{Process, ended, free_folder};
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

type Item = std::collections::HashMap<String, v1::AttributeValue>;

fn text(text: impl Into<String>) -> v1::AttributeValue {
    v1::AttributeValue {
        kind: Some(Kind::S(text.into())),
    }
}

fn key(partition: &str, sort: &str) -> Item {
    [("pk".to_owned(), text(partition)), ("sk".to_owned(), text(sort))].into()
}

fn user(partition: &str, sort: &str, name: &str) -> v1::SaveRequest {
    let mut item = key(partition, sort);
    item.insert("name".to_owned(), text(name));
    v1::SaveRequest {
        model: "User".to_owned(),
        item,
        ..v1::SaveRequest::default()
    }
}

fn query_users(partition: &str) -> v1::QueryRequest {
    let values = [(":p".to_owned(), text(partition))].into();
    let key_condition = v1::Expression {
        text: "pk = :p".to_owned(),
        values,
        ..v1::Expression::default()
    };
    let key_condition = Some(key_condition);
    v1::QueryRequest {
        model: "User".to_owned(),
        key_condition,
        ..v1::QueryRequest::default()
    }
}

async fn status_of(health: &mut HealthClient<Channel>, service: &str) -> ServingStatus {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    health
        .check(request)
        .await
        .expect("health answers")
        .into_inner()
        .status()
}

#[tokio::test]
async fn serve_prints_one_line_once_it_is_serving() {
    let folder = free_folder();
    let process = Process::serve(folder.path(), &[]);
    let mut health = HealthClient::new(process.channel().await);
    for service in [
        "",
        "tollgate.v1.DataService",
        "tollgate.v1.MetricsService",
        "tollgate.v1.SchemaService",
    ] {
        assert_eq!(
            status_of(&mut health, service).await,
            ServingStatus::Serving,
            "{service:?}"
        );
    }
    let ended = process.terminate();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stdout, "", "the address was the only line");
    assert!(
        folder.path().join("tollgate-data/VERSION").exists(),
        "the data lies where running.md says"
    );
}

#[test]
fn serve_logs_its_version_and_commit() {
    let folder = free_folder();
    let log = folder.path().join("log");
    let arguments = ["--memory", "--log", "json"];
    let process = Process::serve_logged(folder.path(), &arguments, &[], fs::File::create(&log).unwrap());
    assert_eq!(process.terminate().code, 0);
    let log = fs::read_to_string(&log).unwrap();
    let first = log.lines().next().unwrap();
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let commit = format!("\"commit\":\"{}\"", tollgate::build::COMMIT);
    assert!(first.contains(&version) && first.contains(&commit), "{first}");
}

#[test]
fn a_second_process_on_the_same_folder_is_told_so() {
    let folder = free_folder();
    let first = Process::serve(folder.path(), &[]);
    let second = ended(folder.path(), &["serve", "--listen", "127.0.0.1:0"], &[]);
    assert_eq!(second.code, 1, "{second:?}");
    second.says_in_one_line("in use by another tollgate");
    assert_eq!(second.stdout, "");
    assert_eq!(first.terminate().code, 0, "the first one never noticed");
}

#[test]
fn a_port_in_use_is_told_so() {
    let folder = free_folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = ended(folder.path(), &["serve", "--memory", "--listen", &address], &[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    ended.says_in_one_line(&address);
}

#[test]
fn all_faults_of_the_settings_are_told() {
    let folder = free_folder();
    let config = "listen: 127.0.0.1:0\nno_such_setting: 1\nlimits:\n  deadline: soon\n";
    fs::write(folder.path().join("tollgate.yaml"), config).unwrap();
    let wrong = [("TOLLGATE_LIMITS__IN_FLIGHT", "none"), ("TOLLGATE_NOBODY", "1")];
    let told = ended(folder.path(), &["serve", "--backend", "embedded"], &wrong);
    assert_eq!(told.code, 2, "{told:?}");
    let faults = [
        "no_such_setting",
        "limits.deadline",
        "TOLLGATE_LIMITS__IN_FLIGHT",
        "TOLLGATE_NOBODY",
    ];
    for fault in faults {
        assert!(told.stderr.contains(fault), "{fault} in {told:?}");
    }
    assert!(
        !folder.path().join("tollgate-data").exists(),
        "nothing was opened"
    );
    for arguments in [
        ["serve", "--config", "nowhere.yaml"].as_slice(),
        &["serve", "--backend", "paper"],
        &["serve", "--nonsense"],
        &["nonsense"],
    ] {
        let empty = free_folder();
        let told = ended(empty.path(), arguments, &[]);
        assert_eq!(told.code, 2, "{arguments:?}: {told:?}");
        assert!(
            !told.stderr.is_empty() && told.stdout.is_empty(),
            "{arguments:?}: {told:?}"
        );
    }
}

#[test]
fn check_tells_every_fault_of_every_file() {
    let folder = free_folder();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let checked = ended(folder.path(), &["check", good.to_str().unwrap()], &[]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:?}");
    let bad = folder.path().join("bad");
    fs::create_dir(&bad).unwrap();
    fs::write(bad.join("a.yaml"), "name: A\n").unwrap();
    fs::write(
        bad.join("b.yaml"),
        "name: B\ntable: tt\npartition_key: pk\nattributes:\n  pk: { type: sting }\n",
    )
    .unwrap();
    let checked = ended(folder.path(), &["check", bad.to_str().unwrap()], &[]);
    assert_eq!((checked.code, checked.stdout.as_str()), (2, ""), "{checked:?}");
    assert!(
        checked.stderr.contains("a.yaml") && checked.stderr.contains("b.yaml:5"),
        "{checked:?}"
    );
    let served = ended(
        folder.path(),
        &["serve", "--models", "bad", "--listen", "127.0.0.1:0"],
        &[],
    );
    assert_eq!(served.code, 2, "{served:?}");
    assert!(
        served.stderr.contains("a.yaml") && served.stderr.contains("b.yaml:5"),
        "{served:?}"
    );
    assert_eq!(ended(folder.path(), &["check", "nowhere"], &[]).code, 2);
}

#[test]
fn models_of_one_table_that_do_not_agree_are_refused_with_both_places() {
    const FIRST: &str = "name: A\ntable: one\npartition_key: pk\nattributes:\n  pk: { type: string }\n  \
        ssn: { type: string, encrypted: { key_id: alias/k } }\n  file: { type: object, s3: { bucket: my-bucket } }\n";
    const SECOND: &str = "name: B\ntable: one\npartition_key: pk\nunknown_attributes: keep\nattributes:\n  \
        pk: { type: string }\n  ssn: { type: string }\n";
    let folder = free_folder();
    let models = folder.path().join("models");
    fs::create_dir(&models).unwrap();
    fs::write(models.join("a.yaml"), FIRST).unwrap();
    fs::write(models.join("b.yaml"), SECOND).unwrap();
    let commands: [&[&str]; 2] = [
        &["check", "models"],
        &["serve", "--models", "models", "--listen", "127.0.0.1:0"],
    ];
    for command in commands {
        let ended = ended(folder.path(), command, &[]);
        assert_eq!(ended.code, 2, "{ended:?}");
        for text in [
            "b.yaml:7: attributes.ssn: must be encrypted in the same way",
            "a.yaml:6 encrypts it",
            "b.yaml:4: unknown_attributes: `keep` requires the attribute \"file\"",
            "a.yaml:7 keeps it in S3",
        ] {
            assert!(ended.stderr.contains(text), "{text} in {ended:?}");
        }
    }
}

#[tokio::test]
async fn in_memory_nothing_is_left_on_disk() {
    let folder = free_folder();
    let process = Process::serve(folder.path(), &["--memory"]);
    let mut data = DataServiceClient::new(process.channel().await);
    data.save(user("A", "B", "Ada")).await.unwrap();
    assert_eq!(process.terminate().code, 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The most that can be asked of the log: a saved value, an item's key, an object's name and content, and data keys
/// are in none of it, whichever thread or library speaks.
#[tokio::test]
async fn at_trace_level_nothing_of_an_item_is_told() {
    const MARKS: [&str; 2] = ["MARK-", "TUFSSy"]; // as it is, and in base64
    let folder = free_folder();
    let log = folder.path().join("log");
    let trace = [("TOLLGATE_LOG__LEVEL", "trace")];
    let process = Process::serve_logged(
        folder.path(),
        &["--memory"],
        &trace,
        fs::File::create(&log).unwrap(),
    );
    let mut data = DataServiceClient::new(process.channel().await);
    let mut secret = user("MARK-user", "PROFILE", "MARK-name");
    secret.item.insert("ssn".to_owned(), text("MARK-ssn"));
    data.save(secret).await.unwrap();
    let get = v1::GetRequest {
        model: "User".to_owned(),
        key: key("MARK-user", "PROFILE"),
        ..v1::GetRequest::default()
    };
    let found = data.get(get).await.unwrap().into_inner();
    assert_eq!(
        found.item["ssn"],
        text("MARK-ssn"),
        "its data key was made and opened"
    );
    let object = v1::Object {
        data: Some("MARK-content".into()),
        name: "MARK-file".to_owned(),
        ..v1::Object::default()
    };
    let content = v1::AttributeValue {
        kind: Some(Kind::Object(Box::new(object))),
    };
    let mut item = key("MARK-tenant", "V1");
    item.insert("content".to_owned(), content);
    let document = v1::SaveRequest {
        model: "Document".to_owned(),
        item,
        ..v1::SaveRequest::default()
    };
    data.save(document).await.unwrap();
    assert_eq!(process.terminate().code, 0);
    let told = fs::read_to_string(log).unwrap();
    assert_eq!(told.matches(r#""message":"call""#).count(), 3, "{told}");
    for mark in MARKS.iter().chain(&["Plaintext", "CiphertextBlob"]) {
        let line = told.lines().find(|line| line.contains(mark));
        assert!(line.is_none(), "{mark}: {line:?}");
    }
}

#[tokio::test]
async fn sigterm_lets_calls_in_flight_end() {
    const ITEMS: usize = 30;
    let folder = free_folder();
    let process = Process::serve(folder.path(), &["--memory"]);
    let mut data = DataServiceClient::new(process.channel().await);
    for number in 0..ITEMS {
        data.save(user("A", &format!("S#{number:02}"), &"x".repeat(200_000)))
            .await
            .unwrap();
    }
    let mut health = HealthClient::new(process.channel().await);
    let mut watch = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    // a page is more than the stream's window: the server waits for this reader
    let request = v1::QueryRequest {
        page_size: 1,
        ..query_users("A")
    };
    let mut pages = data.query(request).await.unwrap().into_inner();
    assert_eq!(pages.message().await.unwrap().unwrap().results.len(), 1);
    process.signal("TERM");
    assert_eq!(
        watch.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    let mut read = 1;
    while let Some(page) = pages.message().await.unwrap() {
        read += page.results.len();
    }
    assert_eq!(read, ITEMS);
    let bill = pages.trailers().await.unwrap().unwrap();
    assert_eq!(bill.get("tollgate-items").unwrap(), "30");
    let ended = process.ended();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{ended:?}");
}

#[tokio::test]
async fn items_and_page_tokens_outlive_the_process() {
    let folder = free_folder();
    let process = Process::serve(folder.path(), &[]);
    let mut data = DataServiceClient::new(process.channel().await);
    for number in 0..7 {
        data.save(user("A", &format!("S#{number}"), "Ada")).await.unwrap();
    }
    let request = v1::QueryRequest {
        limit: 3,
        ..query_users("A")
    };
    let mut pages = data.query(request.clone()).await.unwrap().into_inner();
    let first = pages.message().await.unwrap().unwrap();
    assert_eq!(first.results.len(), 3);
    assert_eq!(process.terminate().code, 0);
    let process = Process::serve(folder.path(), &[]);
    let mut data = DataServiceClient::new(process.channel().await);
    let rest = v1::QueryRequest {
        limit: 0,
        page_token: first.next_page_token,
        ..request
    };
    let mut pages = data.query(rest).await.unwrap().into_inner();
    let mut sorts = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        sorts.extend(
            page.results
                .into_iter()
                .map(|mut found| found.item.remove("sk").unwrap()),
        );
    }
    assert_eq!(sorts, [3, 4, 5, 6].map(|number| text(format!("S#{number}"))));
    assert_eq!(process.terminate().code, 0);
}

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
                acknowledged
                    .lock()
                    .expect("no caller panics")
                    .insert(partition, number);
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

/// Every acknowledged item is there, opens, and is what that Save wrote, or a later one that was not answered.
async fn check_all(data: &DataServiceClient<Channel>, acknowledged: &Acknowledged) {
    let expected: Vec<_> = acknowledged
        .lock()
        .expect("no caller panics")
        .clone()
        .into_iter()
        .collect();
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
async fn what_was_acknowledged_outlives_kill_9() {
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
