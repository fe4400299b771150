//! `tollgate call presign`: URLs to read an object and to upload a file.

use std::fs;

use super::Rig;

const SETTINGS: &str = "embedded: { http: '127.0.0.1:0' }\n";

#[test]
fn a_url_to_read_is_printed_alone() {
    let rig = Rig::with_settings(SETTINGS);
    fs::write(rig.folder.path().join("sent.bin"), "content").expect("as the test made it");
    rig.call(&["save", "Document", "pk=A", "content=@sent.bin"]).ok();
    let printed = rig.call(&["presign", "Document", "pk=A", "--expires", "1m"]).ok();
    assert_eq!(printed.stdout.lines().count(), 1, "{printed:?}");
    assert!(printed.stdout.contains("X-Amz-Expires=60"), "{printed:?}");
    rig.call(&["presign", "Document", "pk=B"])
        .fails(1, &["ITEM_NOT_FOUND"]);
}

#[test]
fn an_upload_is_described_by_its_file() {
    let rig = Rig::with_settings(SETTINGS);
    fs::write(rig.folder.path().join("scan.pdf"), "content").expect("as the test made it");
    let put = ["presign", "Document", "pk=A", "--put", "scan.pdf"];
    let printed = rig
        .call(&[&put[..], &["--content-type", "application/pdf"]].concat())
        .ok();
    for line in [
        "content-length: 7",
        "content-type: application/pdf",
        "upload_token: A",
    ] {
        assert!(
            printed.stdout.lines().any(|printed| printed.starts_with(line)),
            "{printed:?}"
        );
    }
    let printed = rig.call(&[&put[..], &["--json"]].concat()).ok();
    let response = &printed.json()["response"];
    assert!(
        response["url"]
            .as_str()
            .is_some_and(|url| url.contains("/docs/.uploads/"))
    );
    let token = response["upload_token"].as_str().expect("a token").to_owned();
    // nothing is uploaded yet
    let content = format!("content:={{\"upload_token\": \"{token}\"}}");
    rig.call(&["save", "Document", "pk=A", &content])
        .fails(1, &["UPLOAD_MISSING"]);
    rig.call(&[&put[..], &["--validate-only"]].concat()).ok();
    rig.call(&["presign", "Document", "pk=A", "--put", "none.pdf"])
        .fails(2, &["cannot read none.pdf"]);
}
