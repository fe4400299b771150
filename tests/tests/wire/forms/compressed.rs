//! Objects that are compressed in S3.

use tollgate_tests::values::object;

use super::{Archive, content, data, lines};

#[tokio::test]
async fn a_compressed_object_reads_back_and_is_smaller_in_s3() {
    let archive = Archive::start().await;
    for attribute in ["zstd", "lz4", "gzip", "both"] {
        for bytes in [101, 5_000, 300_000] {
            let whole = lines(bytes);
            let bill = archive.save(attribute, object(whole.clone())).await;
            let stored = archive.object(attribute).await;
            assert_eq!(bill.count("tollgate-s3-bytes-uploaded"), stored.len() as u64);
            let pointer = archive.pointer(attribute).await;
            assert_eq!(pointer["size"].as_n(), Ok(&bytes.to_string()));
            if bytes > 1000 {
                let expected = if attribute == "both" { "zstd" } else { attribute };
                assert_eq!(pointer["encoding"].as_s().map(String::as_str), Ok(expected));
                assert!(stored.len() < bytes / 2, "{attribute} {bytes}: {}", stored.len());
            }
            assert_eq!(pointer.contains_key("sha256"), attribute != "both");
            let (read, bill) = archive.read(attribute).await;
            assert!(data(&read[attribute]) == whole, "{attribute} {bytes}");
            assert_eq!(bill.count("tollgate-s3-calls"), 1);
            assert_eq!(bill.count("tollgate-s3-bytes-downloaded"), stored.len() as u64);
            let (downloaded, _) = archive.range(attribute, 0, 0).await.unwrap();
            assert!(downloaded == whole, "{attribute} {bytes}");
        }
    }
}

#[tokio::test]
async fn what_does_not_shrink_is_stored_as_it_is() {
    let archive = Archive::start().await;
    for attribute in ["zstd", "lz4", "gzip"] {
        let random = content(200_000);
        let short = lines(99);
        for whole in [Vec::new(), short, random] {
            archive.save(attribute, object(whole.clone())).await;
            assert!(
                archive.object(attribute).await == whole,
                "{attribute} {}",
                whole.len()
            );
            assert!(!archive.pointer(attribute).await.contains_key("encoding"));
            assert!(archive.content(attribute).await == whole);
        }
    }
}

#[tokio::test]
async fn the_first_5_mib_decide() {
    let archive = Archive::start().await;
    let judged = 5 * 1024 * 1024;
    for (whole, is_compressed) in [
        ([content(judged), lines(300_000)].concat(), false),
        ([lines(judged), content(300_000)].concat(), true),
    ] {
        archive.save("zstd", object(whole.clone())).await;
        let pointer = archive.pointer("zstd").await;
        assert_eq!(pointer.contains_key("encoding"), is_compressed);
        assert!(archive.content("zstd").await == whole);
    }
}

#[tokio::test]
async fn a_range_is_read_from_the_start() {
    let archive = Archive::start().await;
    let whole = lines(700_000);
    for attribute in ["zstd", "lz4", "gzip", "both"] {
        archive.save(attribute, object(whole.clone())).await;
        for (offset, length) in [(0, 10), (300_000, 300_000), (699_999, 0), (5, 0)] {
            let (read, bill) = archive.range(attribute, offset, length).await.unwrap();
            let end = if length == 0 { whole.len() } else { offset + length };
            assert!(read == whole[offset..end], "{attribute} {offset} {length}");
            assert_eq!(bill.count("tollgate-s3-calls"), 1);
        }
        let (read, bill) = archive.range(attribute, 700_000, 0).await.unwrap();
        assert_eq!((read.len(), bill.count("tollgate-s3-calls")), (0, 0));
    }
}
