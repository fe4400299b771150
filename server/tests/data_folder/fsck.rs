//! `tollgate fsck`: finds damage, repairs it on request, and leaves other folders alone.

use std::fs;

use super::process::{Process, ended, free_folder, refused};
use super::{
    CONTENT_BYTES, DATA, OBJECTS, bodies, content, content_of, data_folder, files, fsck, remove,
    save_documents,
};

#[tokio::test]
async fn a_lost_index_is_repaired_by_moving_bodies_aside() {
    let (folder, data) = data_folder().await;
    remove(&data.join("s3/index.sqlite"));
    let found = fsck(folder.path(), &[]);
    assert_eq!(found.code, 3);
    assert!(found.stdout.contains("6 problems"), "{found:?}");
    assert_eq!(bodies(&data).len(), OBJECTS, "it only looked");
    let repaired = fsck(folder.path(), &["--repair"]);
    assert_eq!(repaired.code, 3);
    assert!(repaired.stdout.contains("6 problems, 6 repaired"), "{repaired:?}");
    assert_eq!(files(&data.join("s3/lost")).len(), OBJECTS);
    let process = Process::serve(folder.path(), &[]);
    assert!(content_of(&process, 0).await.is_err());
    save_documents(&process).await;
    assert!(content_of(&process, 0).await.unwrap() == content(0));
    assert_eq!(process.terminate().code, 0);
    assert_eq!(fsck(folder.path(), &[]).code, 0);
}

#[tokio::test]
async fn fsck_finds_damage_and_moves_it_aside() {
    let (folder, data) = data_folder().await;
    let clean = fsck(folder.path(), &["--json"]);
    assert_eq!((clean.code, clean.stderr.as_str()), (0, ""), "{clean:?}");
    let report: serde_json::Value = serde_json::from_str(&clean.stdout).unwrap();
    assert_eq!(report["found"], 0);
    assert_eq!(report["checked"]["objects"], OBJECTS);
    assert_eq!(report["checked"]["bodies"], OBJECTS);

    let bodies = bodies(&data);
    let mut flipped = fs::read(&bodies[0]).unwrap();
    flipped[CONTENT_BYTES / 2] ^= 1;
    fs::write(&bodies[0], flipped).unwrap();
    fs::write(&bodies[1], "short").unwrap();
    remove(&bodies[2]);
    let stray = bodies[3].with_file_name("01M83MHE1DMW1P60KVH4ZJ563Z");
    fs::write(&stray, "no row has it").unwrap();
    let found = fsck(folder.path(), &[]);
    assert_eq!(found.code, 3, "{found:?}");
    for problem in [
        "does not match its",
        "has 5 bytes, not 100000",
        "is missing",
        "no row in the index refers to it",
        "4 problems: restore",
    ] {
        assert!(found.stdout.contains(problem), "{problem} in {found:?}");
    }
    let repaired = fsck(folder.path(), &["--repair"]);
    assert!(repaired.stdout.contains("4 problems, 4 repaired"), "{repaired:?}");
    assert!(!stray.exists());
    let lost = files(&data.join("s3/lost"));
    assert_eq!(lost.len(), 4, "three bodies and the list of rows: {lost:?}");
    let rows = fs::read_to_string(data.join("s3/lost/rows.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 3);
    assert!(rows.contains("my-bucket"), "{rows}");
    let again = fsck(folder.path(), &[]);
    assert_eq!(again.code, 0, "{again:?}");
    let process = Process::serve(folder.path(), &[]);
    let mut readable = 0;
    for number in 0..OBJECTS {
        readable += usize::from(content_of(&process, number).await.is_ok());
    }
    assert_eq!(readable, 2);
    assert_eq!(process.terminate().code, 0);
}

#[tokio::test]
async fn fsck_finds_keys_and_databases_that_cannot_be_used() {
    let (folder, data) = data_folder().await;
    let other = free_folder();
    Process::serve(other.path(), &[]).terminate();
    fs::copy(other.path().join(DATA).join("root.key"), data.join("root.key")).unwrap();
    let index = data.join("s3/index.sqlite");
    for log in ["-wal", "-shm"] {
        // it may hold every page
        let _ = fs::remove_file(data.join(format!("s3/index.sqlite{log}")));
    }
    fs::write(
        &index,
        "this is not a database, though it is long enough to be one".repeat(100),
    )
    .unwrap();
    let found = fsck(folder.path(), &[]);
    assert_eq!(found.code, 3);
    assert!(found.stdout.contains("kms.json: key"), "{found:?}");
    assert!(
        found.stdout.contains("cannot be unwrapped with root.key"),
        "{found:?}"
    );
    assert!(
        found.stdout.contains("s3/index.sqlite: file is not a database"),
        "{found:?}"
    );
    assert_eq!(refused(folder.path()).code, 1);
    assert_eq!(fsck(folder.path(), &["--repair"]).code, 3);
    let lost: Vec<String> = files(&data.join("lost"))
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    for name in ["kms.json.", "s3-index.sqlite."] {
        assert!(lost.iter().any(|path| path.contains(name)), "{name} in {lost:?}");
    }
    let process = Process::serve(folder.path(), &[]);
    save_documents(&process).await;
    assert_eq!(process.terminate().code, 0);
    assert_eq!(fsck(folder.path(), &[]).code, 0);
}

#[tokio::test]
async fn fsck_refuses_folders_in_use_and_other_folders() {
    let folder = free_folder();
    let process = Process::serve(folder.path(), &[]);
    let refused = fsck(folder.path(), &["--repair"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    refused.says_in_one_line("in use by another tollgate");
    assert_eq!(process.terminate().code, 0);
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    for name in ["other", "nowhere"] {
        let refused = ended(folder.path(), &["fsck", name, "--repair"], &[]);
        assert_eq!(refused.code, 1, "{refused:?}");
        refused.says_in_one_line("not a data folder");
    }
    assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    assert!(!folder.path().join("nowhere").exists());
    fs::write(folder.path().join(DATA).join("VERSION"), "2\n").unwrap();
    let newer = fsck(folder.path(), &["--repair"]);
    assert_eq!(newer.code, 1);
    newer.says_in_one_line("use a newer tollgate");
}
