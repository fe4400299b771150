//! `tollgate call upload`: objects from files and from standard input.

use std::fs;

use super::Rig;

const UPLOAD: &[&str] = &["upload", "Document", "pk=A"];

#[test]
fn an_upload_stores_a_file() {
    let rig = Rig::start();
    let content: Vec<u8> = (0..6_000_000_u32).map(|number| (number * 7) as u8).collect();
    fs::write(rig.folder.path().join("sent.bin"), &content).expect("as the test made it");
    let arguments = [
        UPLOAD,
        &["content=@sent.bin", "--content-type", "image/png", "--json"],
    ];
    let printed = rig.call(&arguments.concat()).ok();
    let object = &printed.json()["response"]["generated"]["content"];
    assert_eq!(object["size"], 6_000_000, "{printed:?}");
    assert_eq!(object["name"], "sent.bin");
    assert_eq!(object["content_type"], "image/png");
    assert_eq!(printed.json()["metrics"]["s3_calls"], 4);
    rig.call(&["download", "Document", "pk=A", "--to", "received.bin"])
        .ok();
    assert!(fs::read(rig.folder.path().join("received.bin")).expect("a file") == content);

    let fed = rig.fed(
        &[UPLOAD, &["content=@-", "--json"]].concat(),
        "from standard input",
    );
    let object = fed.ok().json()["response"]["generated"]["content"].clone();
    assert_eq!((&object["size"], object["name"].as_str()), (&19.into(), None));
    let printed = rig.call(&[UPLOAD, &["content=@sent.bin"]].concat()).ok();
    assert!(printed.stderr.contains("S3 calls"), "{printed:?}");
    assert!(
        !printed.stderr.contains('%'),
        "progress is for terminals: {printed:?}"
    );
    let checked = rig.call(&[UPLOAD, &["content=@sent.bin", "--validate-only"]].concat());
    assert!(checked.ok().stderr.contains("valid: nothing was written"));
}

#[test]
fn an_upload_needs_a_file_that_can_be_read() {
    let rig = Rig::start();
    rig.call(&[UPLOAD, &["content=@nowhere.bin"]].concat())
        .fails(2, &["cannot read the content"]);
    rig.call(UPLOAD).fails(2, &["name=@FILE"]);
    rig.call(&[UPLOAD, &["content=@-", "content=@-"]].concat())
        .fails(2, &["standard input"]);
}
