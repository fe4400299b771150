//! `tollgate call download`: objects into files and to standard output.

use std::fs;

use super::Rig;

const DOWNLOAD: &[&str] = &["download", "Document", "pk=A", "--to"];

/// A server with a document of these bytes.
fn rig_with(content: &[u8]) -> Rig {
    let rig = Rig::start();
    fs::write(rig.folder.path().join("sent.bin"), content).expect("as the test made it");
    rig.call(&["save", "Document", "pk=A", "content=@sent.bin"]).ok();
    rig
}

#[test]
fn a_download_writes_a_file() {
    let content: Vec<u8> = (0..700_000_u32).map(|number| number as u8).collect();
    let rig = rig_with(&content);
    let path = rig.folder.path().join("received.bin");
    let printed = rig.call(&[DOWNLOAD, &["received.bin"]].concat()).ok();
    assert_eq!(printed.stdout, "received.bin: an object of 683.59 KiB\n");
    assert!(printed.stderr.contains("S3 calls"), "{printed:?}");
    assert!(
        !printed.stderr.contains('%'),
        "progress is for terminals: {printed:?}"
    );
    assert!(fs::read(&path).expect("a file") == content);

    let range = ["received.bin", "--offset", "5", "--length", "100", "--json"];
    let printed = rig.call(&[DOWNLOAD, &range].concat()).ok();
    assert_eq!(printed.json()["response"]["object"]["size"], 700_000);
    assert_eq!(printed.json()["metrics"]["s3_calls"], 1);
    assert!(fs::read(&path).expect("a file") == content[5..105]);
    let etag = printed.json()["response"]["object"]["etag"].to_string();
    let etag = etag.trim_matches(['"', '\\']).to_owned();
    rig.call(&[DOWNLOAD, &["received.bin", "--if-match", &etag]].concat())
        .ok();

    fs::remove_file(&path).expect("it is there");
    rig.call(&[DOWNLOAD, &["received.bin", "--if-match", "another"]].concat())
        .fails(1, &["ETAG_MISMATCH"]);
    rig.call(&["download", "Document", "pk=B", "--to", "received.bin"])
        .fails(1, &["ITEM_NOT_FOUND"]);
    assert!(!path.exists());
    let left = fs::read_dir(rig.folder.path()).expect("a folder");
    let temporary = left.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().ends_with(".part")
    });
    assert_eq!(temporary.count(), 0);
}

#[test]
fn a_download_prints_content() {
    let rig = rig_with("grüezi\n".as_bytes());
    let printed = rig.call(&[DOWNLOAD, &["-"]].concat()).ok();
    assert_eq!(printed.stdout, "grüezi\n", "standard output is the content alone");
    assert!(printed.stderr.contains("S3 calls"), "{printed:?}");
    let printed = rig
        .call(&[DOWNLOAD, &["-", "--offset", "4", "--quiet"]].concat())
        .ok();
    assert_eq!((printed.stdout.as_str(), printed.stderr.as_str()), ("ezi\n", ""));
}

#[test]
fn wrong_arguments_of_a_download_are_refused() {
    let rig = rig_with(b"content");
    rig.call(&[DOWNLOAD, &["-", "--json"]].concat())
        .fails(2, &["without --json"]);
    rig.call(&[DOWNLOAD, &["no/such/folder"]].concat())
        .fails(2, &["no/such/folder: cannot write the content"]);
    rig.call(&[DOWNLOAD, &["x", "--attribute", "contents"]].concat())
        .fails(2, &["content"]);
    rig.call(&["download", "User", "pk=A", "sk=1", "--to", "x"])
        .fails(2, &["User has no object attributes"]);
    rig.call(&[DOWNLOAD, &["x", "--offset", "8"]].concat())
        .fails(1, &["INVALID_FIELD", "offset"]);
}
