//! The data folder at the start of a process: lost files are never recreated, bodies without a row are never deleted, only
//! the owner can read it, and `tollgate fsck` reports damage.

#[path = "data_folder/fsck.rs"]
mod fsck_command;
mod process;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use process::{Ended, Process, ended, free_folder, refused};
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;

const DATA: &str = "tollgate-data";
/// Larger than what lies in a row of the index.
const CONTENT_BYTES: usize = 100_000;
const OBJECTS: usize = 5;
const HELD: [&str; 6] = [
    "root.key",
    "token.key",
    "kms.json",
    "dynamodb.sqlite",
    "s3/index.sqlite",
    "s3/objects",
];

fn text(text: &str) -> v1::AttributeValue {
    v1::AttributeValue {
        kind: Some(Kind::S(text.to_owned())),
    }
}

fn content(number: usize) -> Vec<u8> {
    (0..CONTENT_BYTES)
        .map(|index| ((index * 7 + number) % 251) as u8)
        .collect()
}

fn document(number: usize) -> v1::SaveRequest {
    let object = v1::Object {
        data: Some(content(number).into()),
        ..v1::Object::default()
    };
    let object = v1::AttributeValue {
        kind: Some(Kind::Object(Box::new(object))),
    };
    let item = [
        ("pk".to_owned(), text("D")),
        ("sk".to_owned(), text(&number.to_string())),
        ("content".to_owned(), object),
    ];
    v1::SaveRequest {
        model: "Document".to_owned(),
        item: item.into(),
        ..v1::SaveRequest::default()
    }
}

async fn save_documents(process: &Process) {
    let mut data = DataServiceClient::new(process.channel().await);
    for number in 0..OBJECTS {
        data.save(document(number)).await.expect("it is saved");
    }
}

async fn content_of(process: &Process, number: usize) -> Result<Vec<u8>, tonic::Status> {
    let mut data = DataServiceClient::new(process.channel().await);
    let request = v1::GetRequest {
        model: "Document".to_owned(),
        key: [
            ("pk".to_owned(), text("D")),
            ("sk".to_owned(), text(&number.to_string())),
        ]
        .into(),
        include_objects: vec!["content".to_owned()],
        ..v1::GetRequest::default()
    };
    let item = data.get(request).await?.into_inner().item;
    match item["content"].kind.clone() {
        Some(Kind::Object(object)) => Ok(object.data.unwrap_or_default().into()),
        other => panic!("{other:?}"),
    }
}

/// A data folder with five objects that no process uses, in a separate folder.
async fn data_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = free_folder();
    let process = Process::serve(folder.path(), &[]);
    save_documents(&process).await;
    assert_eq!(process.terminate().code, 0);
    let data = folder.path().join(DATA);
    (folder, data)
}

fn fsck(folder: &Path, arguments: &[&str]) -> Ended {
    ended(folder, &[&["fsck", DATA], arguments].concat(), &[])
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false => files.push(path),
        }
    }
    files
}

fn bodies(data: &Path) -> Vec<PathBuf> {
    let mut bodies = files(&data.join("s3/objects"));
    bodies.sort();
    bodies
}

fn remove(path: &Path) {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    removed.expect("it was there");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[tokio::test]
async fn refuses_a_folder_with_missing_files_and_keeps_the_rest() {
    for has_record in [true, false] {
        let (folder, data) = data_folder().await;
        if !has_record {
            // as an earlier version left it
            fs::remove_file(data.join("CONTENTS")).unwrap();
        }
        let before = bodies(&data);
        assert_eq!(before.len(), OBJECTS);
        for lost in HELD {
            let aside = folder.path().join("aside");
            fs::rename(data.join(lost), &aside).unwrap();
            let refusal = refused(folder.path());
            assert_eq!(refusal.code, 1, "{lost}: {refusal:?}");
            refusal.says_in_one_line(&format!("{DATA}/{lost}: missing"));
            refusal.says_in_one_line("tollgate fsck");
            assert!(!data.join(lost).exists(), "{lost} was made anew");
            let checked = fsck(folder.path(), &[]);
            assert_eq!(checked.code, 3, "{lost}: {checked:?}");
            assert!(checked.stdout.contains(lost), "{checked:?}");
            assert!(!data.join(lost).exists(), "{lost} was made anew");
            fs::rename(&aside, data.join(lost)).unwrap();
        }
        assert_eq!(bodies(&data), before, "no body was removed");
        let process = Process::serve(folder.path(), &[]);
        for number in 0..OBJECTS {
            assert!(content_of(&process, number).await.unwrap() == content(number));
        }
        process.terminate();
        assert!(data.join("CONTENTS").exists(), "from now on there is a record");
        assert_eq!(fsck(folder.path(), &[]).code, 0);
    }
}

#[tokio::test]
async fn refuses_an_emptied_database() {
    let (folder, data) = data_folder().await;
    for name in ["dynamodb.sqlite", "s3/index.sqlite"] {
        let whole = fs::read(data.join(name)).unwrap();
        fs::write(data.join(name), "").unwrap();
        let refusal = refused(folder.path());
        assert_eq!(refusal.code, 1, "{refusal:?}");
        refusal.says_in_one_line(&format!("{name}: missing"));
        fs::write(data.join(name), whole).unwrap();
    }
    assert_eq!(Process::serve(folder.path(), &[]).terminate().code, 0);
}

#[tokio::test]
async fn a_lost_sqlite_log_is_reported_and_abandoned_only_on_request() {
    for name in ["dynamodb.sqlite", "s3/index.sqlite"] {
        let folder = free_folder();
        let process = Process::serve(folder.path(), &[]);
        save_documents(&process).await;
        process.kill();
        let data = folder.path().join(DATA);
        let log = data.join(format!("{name}-wal"));
        let kept = fs::read(&log).expect("what was committed last");
        remove(&log);
        let before = bodies(&data);
        for _ in 0..2 {
            let refusal = refused(folder.path());
            assert_eq!(refusal.code, 1, "{refusal:?}");
            refusal.says_in_one_line(&format!("{name}-wal: missing"));
            let checked = fsck(folder.path(), &[]);
            assert_eq!(checked.code, 3, "{checked:?}");
            assert!(
                checked.stdout.contains(&format!("{name}-wal: missing")),
                "{checked:?}"
            );
        }
        fs::write(&log, &kept).unwrap();
        set_mode(&log, 0o600);
        let process = Process::serve(folder.path(), &[]);
        assert!(content_of(&process, 0).await.unwrap() == content(0));
        assert_eq!(bodies(&data), before);
        process.kill();
        remove(&log);
        assert_eq!(fsck(folder.path(), &["--repair"]).code, 3);
        assert_eq!(Process::serve(folder.path(), &[]).terminate().code, 0);
    }
}

#[tokio::test]
async fn a_version_file_without_data_is_reported_as_loss() {
    let (folder, data) = data_folder().await;
    for name in HELD.iter().chain(&["CONTENTS", "s3"]) {
        remove(&data.join(name));
    }
    let refusal = refused(folder.path());
    assert_eq!(refusal.code, 1, "{refusal:?}");
    refusal.says_in_one_line("root.key: missing");
    fs::write(data.join("VERSION"), [0xff, 0xfe]).unwrap();
    let refusal = refused(folder.path());
    assert_eq!(refusal.code, 1, "{refusal:?}");
    refusal.says_in_one_line("VERSION: not a format number");
}

#[tokio::test]
async fn bodies_without_a_row_are_moved_aside_and_reported() {
    let (folder, data) = data_folder().await;
    let before: Vec<Vec<u8>> = bodies(&data).iter().map(|body| fs::read(body).unwrap()).collect();
    // an index of another time: it names none of the bodies
    let other = free_folder();
    Process::serve(other.path(), &[]).terminate();
    for log in ["-wal", "-shm"] {
        // nothing, if the last process has emptied it
        let _ = fs::remove_file(data.join(format!("s3/index.sqlite{log}")));
    }
    fs::copy(
        other.path().join(DATA).join("s3/index.sqlite"),
        data.join("s3/index.sqlite"),
    )
    .unwrap();
    let log = folder.path().join("log");
    let process = Process::serve_logged(
        folder.path(),
        &["--log", "json"],
        &[],
        fs::File::create(&log).unwrap(),
    );
    assert_eq!(process.terminate().code, 0);
    let reported = fs::read_to_string(&log).unwrap();
    assert!(
        reported.contains("moved bodies without a row to the lost folder"),
        "{reported}"
    );
    assert!(reported.contains("\"bodies\":5"), "{reported}");
    assert!(bodies(&data).is_empty());
    let mut aside = files(&data.join("s3/lost"));
    aside.sort();
    let aside: Vec<Vec<u8>> = aside.iter().map(|body| fs::read(body).unwrap()).collect();
    assert_eq!(aside.len(), OBJECTS);
    assert!(before.iter().all(|body| aside.contains(body)));
}

#[tokio::test]
async fn an_interrupted_first_start_can_be_continued() {
    for name in [
        "CONTENTS",
        "VERSION",
        "root.key",
        "token.key",
        "dynamodb.sqlite",
        "kms.json",
        "s3",
    ] {
        let folder = free_folder();
        let data = folder.path().join(DATA);
        let process = Process::start_unready(folder.path());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !data.join(name).exists() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        process.kill();
        let process = Process::serve(folder.path(), &[]);
        save_documents(&process).await;
        assert!(content_of(&process, 1).await.unwrap() == content(1), "{name}");
        assert_eq!(process.terminate().code, 0);
        assert_eq!(fsck(folder.path(), &[]).code, 0, "{name}");
    }
}

#[tokio::test]
async fn only_the_owner_can_read_the_data_folder() {
    let folder = free_folder();
    let data = folder.path().join(DATA);
    // made by somebody else, open to all
    fs::create_dir_all(data.join("s3/objects")).unwrap();
    for name in ["", "s3", "s3/objects"] {
        set_mode(&data.join(name), 0o777);
    }
    let process = Process::serve_without_umask(folder.path());
    save_documents(&process).await;
    let is_private = || {
        let all = files(&data);
        assert!(
            all.iter().any(|path| path.ends_with("dynamodb.sqlite-wal")),
            "{all:?}"
        );
        assert!(
            all.iter().any(|path| path.ends_with("index.sqlite-shm")),
            "{all:?}"
        );
        for path in &all {
            assert_eq!(mode(path), 0o600, "{}", path.display());
            let parent = path.parent().unwrap();
            assert_eq!(mode(parent), 0o700, "{}", parent.display());
        }
        assert_eq!(mode(&data.join("s3/unfinished")), 0o700);
        all
    };
    let all = is_private();
    assert_eq!(process.terminate().code, 0);
    for path in all.iter().filter(|path| path.exists() && !is_key(path)) {
        set_mode(path, 0o666);
        set_mode(path.parent().unwrap(), 0o777);
    }
    let process = Process::serve_without_umask(folder.path());
    save_documents(&process).await;
    is_private();
    assert_eq!(process.terminate().code, 0);
}

fn is_key(path: &Path) -> bool {
    path.ends_with("root.key") || path.ends_with("token.key")
}

#[tokio::test]
async fn refuses_keys_that_other_users_can_read_or_own() {
    let (folder, data) = data_folder().await;
    let is_root = fs::metadata(&data).unwrap().uid() == 0;
    for name in ["root.key", "token.key"] {
        let path = data.join(name);
        for open in [0o644, 0o640, 0o602] {
            set_mode(&path, open);
            let refusal = refused(folder.path());
            assert_eq!(refusal.code, 1, "{refusal:?}");
            refusal.says_in_one_line(&format!(
                "{name}: users other than the owner may read or write it"
            ));
            assert_eq!(
                mode(&path),
                open,
                "others may know it: that is for the operator to know"
            );
        }
        set_mode(&path, 0o600);
        if is_root {
            chown(&path, Some(12_345), None).unwrap();
            let refusal = refused(folder.path());
            assert_eq!(refusal.code, 1, "{refusal:?}");
            refusal.says_in_one_line(&format!("{name}: owned by user 12345"));
            chown(&path, Some(0), None).unwrap();
        }
    }
    assert_eq!(Process::serve(folder.path(), &[]).terminate().code, 0);
}
