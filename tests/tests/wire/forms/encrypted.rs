//! Objects that are encrypted in S3: what is stored, what is read of them, what it costs.

use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{get, item, key, object, s, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{Archive, SEGMENT, content, data, object_of};

#[tokio::test]
async fn an_encrypted_object_reads_back_and_is_not_plaintext_in_s3() {
    let archive = Archive::start().await;
    for bytes in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 700_001] {
        let whole = content(bytes);
        let bill = archive.save("scan", object(whole.clone())).await;
        assert_eq!(bill.count("tollgate-kms-calls"), 1);
        let stored = archive.object("scan").await;
        let segments = bytes.div_ceil(SEGMENT).max(1);
        let header = 4 + usize::from(u16::from_be_bytes([stored[2], stored[3]])) + 55;
        assert_eq!(stored[..2], [3, 0]);
        assert_eq!(stored.len(), header + bytes + 16 * segments, "{bytes}");
        assert!(bytes < 16 || !stored.windows(16).any(|part| part == &whole[..16]));
        let pointer = archive.pointer("scan").await;
        assert_eq!(pointer["size"].as_n(), Ok(&bytes.to_string()));
        assert!(!pointer.contains_key("sha256"), "it would confirm a guess");
        assert_eq!(pointer["mac"].as_s().map(String::len), Ok(64));

        let (read, bill) = archive.read("scan").await;
        assert!(data(&read["scan"]) == whole, "{bytes}");
        let object = object_of(&read["scan"]);
        assert_eq!((object.size, object.sha256.len()), (bytes as u64, 64));
        assert_eq!(
            (bill.count("tollgate-kms-calls"), bill.count("tollgate-s3-calls")),
            (1, 1)
        );
        assert_eq!(bill.count("tollgate-s3-bytes-downloaded"), stored.len() as u64);
        let (downloaded, bill) = archive.range("scan", 0, 0).await.unwrap();
        assert!(downloaded == whole);
        assert_eq!(
            (bill.count("tollgate-kms-calls"), bill.count("tollgate-s3-calls")),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn a_large_encrypted_object_is_uploaded_in_parts_of_stored_bytes() {
    let archive = Archive::start().await;
    let whole = content(5 * 1024 * 1024);
    let bill = archive.save("scan", object(whole.clone())).await;
    assert_eq!(bill.count("tollgate-s3-calls"), 2 + 2);
    assert_eq!(
        bill.count("tollgate-s3-bytes-uploaded"),
        archive.object("scan").await.len() as u64
    );
    assert!(archive.content("scan").await == whole);
}

#[tokio::test]
async fn a_range_reads_the_header_and_its_segments() {
    let archive = Archive::start().await;
    let bytes = 5 * SEGMENT + 17;
    let whole = content(bytes);
    archive.save("scan", object(whole.clone())).await;
    let stored = archive.object("scan").await.len();
    for (offset, length, segments) in [
        (0, 1, 1),
        (SEGMENT - 1, 1, 1),
        (SEGMENT - 1, 2, 2),
        (SEGMENT, SEGMENT, 1),
        (2 * SEGMENT + 5, SEGMENT, 2),
        (1, 4 * SEGMENT, 5),
        (5 * SEGMENT + 3, 0, 1),
        (bytes - 1, 1, 1),
    ] {
        let (read, bill) = archive.range("scan", offset, length).await.unwrap();
        let end = if length == 0 { bytes } else { offset + length };
        assert!(read == whole[offset..end], "{offset} {length}");
        assert_eq!(bill.count("tollgate-s3-calls"), 2, "{offset} {length}");
        assert_eq!(bill.count("tollgate-kms-calls"), 1);
        let read_bytes = bill.count("tollgate-s3-bytes-downloaded") as usize;
        assert!(
            read_bytes <= 6_203 + segments * (SEGMENT + 16),
            "{offset} {length}: {read_bytes}"
        );
        assert!(read_bytes < stored || segments > 4);
    }
    let (read, bill) = archive.range("scan", bytes, 1).await.unwrap();
    assert_eq!((read.len(), bill.count("tollgate-s3-calls")), (0, 0));
}

#[tokio::test]
async fn objects_and_values_of_an_item_share_one_data_key() {
    let archive = Archive::start().await;
    let mut both = key("A", "1");
    both.extend(item([
        ("scan", object(content(100))),
        ("both", object(super::lines(100_000))),
        ("secret", s("a secret")),
        ("note", s("n".repeat(3000))),
    ]));
    let saved = archive.gateway.save(save("Archive", both)).await;
    assert_eq!(saved.bill.count("tollgate-kms-calls"), 1, "one GenerateDataKey");
    saved.ok();
    let read = archive.gateway.get(super::with_content("scan")).await;
    assert_eq!(read.bill.count("tollgate-kms-calls"), 1, "one Decrypt");
    let read = read.ok().item;
    assert_eq!(data(&read["scan"]), content(100));
    assert_eq!(
        (&read["secret"], &read["note"]),
        (&s("a secret"), &s("n".repeat(3000)))
    );
}

#[tokio::test]
async fn a_kms_failure_costs_no_upload() {
    let disabled = r#"{"__type":"DisabledException","message":"is disabled."}"#;
    let wiretap = Wiretap::new(move |operation| match operation {
        "GenerateDataKey" => Fate::Respond(400, disabled),
        _ => Fate::Pass,
    });
    let archive = Archive::tapped(wiretap).await;
    let mut item = key("A", "1");
    item.insert("scan".to_owned(), object("content"));
    let refused = Refusal::of(archive.gateway.save(save("Archive", item)).await);
    refused.is("KEY_UNAVAILABLE", &[]);
    assert_eq!(refused.bill.count("tollgate-s3-calls"), 0);
}

#[tokio::test]
async fn an_object_that_may_only_be_written_is_withheld() {
    let archive = Archive::start().await;
    archive.save("sent", object("content")).await;
    let read = archive.gateway.get(super::with_content("sent")).await.ok();
    assert_eq!(
        (read.withheld, read.item),
        (vec!["sent".to_owned()], key("A", "1"))
    );
    let refused = archive.range("sent", 0, 0).await.unwrap_err();
    refused.is("ENCRYPTION_MODE", &[]);
}

#[tokio::test]
async fn an_update_replaces_an_encrypted_object() {
    let archive = Archive::start().await;
    archive.save("scan", object("first")).await;
    let set = update(
        "Archive",
        key("A", "1"),
        "SET scan = :o",
        [(":o", object("second"))],
    );
    let updated = archive.gateway.update(set).await;
    assert_eq!(updated.bill.count("tollgate-kms-calls"), 1);
    updated.ok();
    assert_eq!(archive.content("scan").await, b"second");
    assert_eq!(archive.stores().objects(super::BUCKET).await.len(), 1);
}

#[tokio::test]
async fn an_encrypted_object_that_is_sent_back_is_kept() {
    let archive = Archive::start().await;
    archive.save("scan", object("content")).await;
    let before = archive.pointer("scan").await;
    for request in [super::with_content("scan"), get("Archive", key("A", "1"))] {
        let mut read = archive.gateway.get(request).await.ok().item;
        read.insert("status".to_owned(), s("changed"));
        archive.gateway.save(save("Archive", read)).await.ok();
        assert_eq!(archive.pointer("scan").await, before);
        assert_eq!(archive.content("scan").await, b"content");
    }
}
