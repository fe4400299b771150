//! The program as a process: what it prints, how it ends, what a second one reports, and what is left after `kill -9`.

#[path = "lifecycle/kill.rs"]
mod kill;
mod outside;
mod process;
#[path = "lifecycle/uploads.rs"]
mod uploads;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use process::{Process, ended, free_folder};
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
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
        .expect("a health status")
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
        "tollgate.v1.AdminService",
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
fn refuses_a_data_folder_in_use() {
    let folder = free_folder();
    let first = Process::serve(folder.path(), &[]);
    let second = ended(folder.path(), &["serve", "--listen", "127.0.0.1:0"], &[]);
    assert_eq!(second.code, 1, "{second:?}");
    second.says_in_one_line("in use by another tollgate");
    assert_eq!(second.stdout, "");
    assert_eq!(first.terminate().code, 0, "the first one never noticed");
}

#[test]
fn refuses_a_port_in_use() {
    let folder = free_folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = ended(folder.path(), &["serve", "--memory", "--listen", &address], &[]);
    assert_eq!(ended.code, 1, "{ended:?}");
    ended.says_in_one_line(&address);
}

#[test]
fn reports_all_invalid_settings_at_once() {
    let folder = free_folder();
    let config = "listen: 127.0.0.1:0\nno_such_setting: 1\nlimits:\n  deadline: soon\n";
    fs::write(folder.path().join("tollgate.yaml"), config).unwrap();
    let wrong = [("TOLLGATE_LIMITS__IN_FLIGHT", "none"), ("TOLLGATE_NOBODY", "1")];
    let refused = ended(folder.path(), &["serve", "--backend", "embedded"], &wrong);
    assert_eq!(refused.code, 2, "{refused:?}");
    let faults = [
        "no_such_setting",
        "limits.deadline",
        "TOLLGATE_LIMITS__IN_FLIGHT",
        "TOLLGATE_NOBODY",
    ];
    for fault in faults {
        assert!(refused.stderr.contains(fault), "{fault} in {refused:?}");
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
        let refused = ended(empty.path(), arguments, &[]);
        assert_eq!(refused.code, 2, "{arguments:?}: {refused:?}");
        assert!(
            !refused.stderr.is_empty() && refused.stdout.is_empty(),
            "{arguments:?}: {refused:?}"
        );
    }
}

#[test]
fn check_reports_every_fault_of_every_file() {
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
fn refuses_conflicting_models_of_one_table_with_both_locations() {
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
            "b.yaml:7: attributes.ssn: must be encrypted as in the model A at models/a.yaml:6",
            "b.yaml:4: unknown_attributes: `keep` requires the attribute \"file\"",
            "a.yaml:7 keeps it in S3",
        ] {
            assert!(ended.stderr.contains(text), "{text} in {ended:?}");
        }
    }
}

#[tokio::test]
async fn the_memory_backend_writes_nothing_to_disk() {
    let folder = free_folder();
    let process = Process::serve(folder.path(), &["--memory"]);
    let mut data = DataServiceClient::new(process.channel().await);
    data.save(user("A", "B", "Ada")).await.unwrap();
    assert_eq!(process.terminate().code, 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// At the most verbose level the log contains no saved value, an item's key, an object's name and content, and data keys
/// are in none of it, whichever thread or library speaks.
#[tokio::test]
async fn the_trace_level_logs_no_item_values() {
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
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.matches(r#""message":"call""#).count(), 3, "{log}");
    for mark in MARKS.iter().chain(&["Plaintext", "CiphertextBlob"]) {
        let line = log.lines().find(|line| line.contains(mark));
        assert!(line.is_none(), "{mark}: {line:?}");
    }
}

#[tokio::test]
async fn the_start_reports_how_memory_is_protected() {
    let folder = free_folder();
    let log = folder.path().join("log");
    let file = fs::File::create(&log).unwrap();
    let process = Process::serve_logged(folder.path(), &["--memory"], &[], file);
    assert_eq!(process.terminate().code, 0);
    let log = fs::read_to_string(log).unwrap();
    // the system may lock less memory than that, but a process can always leave itself out of dumps
    let is_protected = log.contains("data keys are in locked memory, and core dumps are disabled");
    assert!(
        is_protected || log.contains("\"process_undumpable\":true"),
        "{log}"
    );
}

#[tokio::test]
async fn sigterm_waits_for_calls_in_flight() {
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
async fn items_and_page_tokens_survive_a_restart() {
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
