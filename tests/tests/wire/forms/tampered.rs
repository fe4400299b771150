//! Encrypted and compressed objects that were changed in S3 or by their pointers: DATA_LOSS, and never content.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue as Raw;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{key, object};
use tonic::Code;

use super::{Archive, SEGMENT, content, lines, with_content};

async fn is_lost(archive: &Archive, attribute: &str, what: &str) {
    let refusal = Refusal::of(archive.gateway.get(with_content(attribute)).await);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::DataLoss, "OBJECT_INVALID"),
        "{what}: {refusal:?}"
    );
}

#[tokio::test]
async fn a_changed_encrypted_object_is_data_loss() {
    let archive = Archive::start().await;
    let whole = content(2 * SEGMENT + 100);
    archive.save("scan", object(whole.clone())).await;
    let stored = archive.object("scan").await;
    let header = stored.len() - whole.len() - 3 * 16;
    let (head, segments) = stored.split_at(header);
    let segments: Vec<&[u8]> = segments.chunks(SEGMENT + 16).collect();
    let flipped = |at: usize| {
        let mut changed = stored.clone();
        changed[at] ^= 1;
        changed
    };
    let changes = [
        ("the format id", flipped(0)),
        ("the second byte", flipped(1)),
        ("the wrapped key", flipped(10)),
        ("the commitment", flipped(header - 50)),
        ("the salt", flipped(header - 10)),
        ("the nonce prefix", flipped(header - 1)),
        ("the first segment", flipped(header + 5)),
        ("the last tag", flipped(stored.len() - 1)),
        ("swapped", [head, segments[1], segments[0], segments[2]].concat()),
        (
            "without the last segment",
            [head, segments[0], segments[1]].concat(),
        ),
        ("cut", stored[..stored.len() - 1].to_vec()),
        ("longer", [&stored[..], &[0]].concat()),
        ("plaintext", whole.clone()),
        ("empty", Vec::new()),
    ];
    for (what, changed) in changes {
        archive.put_object("scan", changed).await;
        is_lost(&archive, "scan", what).await;
        let refused = archive.range("scan", SEGMENT, 10).await;
        // a range of a segment that is whole is authentic, unless S3 has another etag
        assert!(refused.is_err(), "{what}");
    }
    archive.put_object("scan", stored).await;
    assert!(archive.content("scan").await == whole);
}

#[tokio::test]
async fn a_pointer_that_was_changed_is_data_loss() {
    let archive = Archive::start().await;
    archive.save("scan", object(content(1000))).await;
    let stored = archive.stored().await;
    let pointer = archive.pointer("scan").await;
    let with = |name: &str, value: Option<Raw>| {
        let mut changed = pointer.clone();
        match value {
            Some(value) => changed.insert(name.to_owned(), value),
            None => changed.remove(name),
        };
        changed
    };
    let text = |text: &str| Some(Raw::S(text.to_owned()));
    let changes: [(&str, HashMap<String, Raw>); 5] = [
        ("without its mac", with("mac", None)),
        ("another mac", with("mac", text(&"0".repeat(64)))),
        ("not a mac", with("mac", text("x"))),
        ("another size", with("size", Some(Raw::N("999".to_owned())))),
        ("compressed", with("encoding", text("zstd"))),
    ];
    for (what, changed) in changes {
        let mut item = stored.clone();
        item.insert("scan".to_owned(), Raw::M(changed.clone()));
        archive.stores().put("documents", item).await;
        is_lost(&archive, "scan", what).await;
    }
    // in an attribute that is not encrypted, under the same key
    let mut item = stored.clone();
    item.insert("plain".to_owned(), Raw::M(pointer.clone()));
    archive.stores().put("documents", item).await;
    is_lost(&archive, "plain", "in another attribute").await;
    // in another encrypted attribute
    let mut item = stored.clone();
    item.insert("both".to_owned(), Raw::M(pointer));
    archive.stores().put("documents", item).await;
    is_lost(&archive, "both", "in another encrypted attribute").await;
}

#[tokio::test]
async fn plaintext_is_read_only_where_it_is_allowed() {
    let archive = Archive::start().await;
    archive.save("plain", object("in plaintext")).await;
    let mut stored = archive.stored().await;
    let pointer = stored.remove("plain").expect("a pointer");
    stored.insert("moved".to_owned(), pointer.clone());
    stored.insert("scan".to_owned(), pointer);
    archive.stores().put("documents", stored).await;
    assert_eq!(archive.content("moved").await, b"in plaintext");
    is_lost(&archive, "scan", "plaintext").await;
    let refused = archive.range("scan", 0, 3).await.unwrap_err();
    assert_eq!(refused.reason, "OBJECT_INVALID");
}

#[tokio::test]
async fn a_changed_compressed_object_is_data_loss() {
    let archive = Archive::start().await;
    for attribute in ["zstd", "lz4", "gzip"] {
        let whole = lines(300_000);
        archive.save(attribute, object(whole.clone())).await;
        let stored = archive.object(attribute).await;
        let mut flipped = stored.clone();
        flipped[stored.len() / 2] ^= 0x55;
        for (what, changed) in [
            ("flipped", flipped),
            ("cut", stored[..stored.len() - 9].to_vec()),
            ("longer", [&stored[..], b"and more"].concat()),
            ("not compressed", whole.clone()),
        ] {
            archive.put_object(attribute, changed).await;
            is_lost(&archive, attribute, what).await;
        }
    }
}

#[tokio::test]
async fn an_object_that_expands_beyond_its_size_is_not_returned() {
    let archive = Archive::start().await;
    archive.save("zstd", object(lines(100_000))).await;
    let mut stored = archive.stored().await;
    let mut pointer = archive.pointer("zstd").await;
    pointer.insert("size".to_owned(), Raw::N("50000".to_owned()));
    stored.insert("zstd".to_owned(), Raw::M(pointer));
    archive.stores().put("documents", stored).await;
    is_lost(&archive, "zstd", "a smaller size").await;
    assert_eq!(key("A", "1").len(), 2);
}
