//! The checksum of an object that was uploaded in parts.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedPart};

use super::multipart::{PART, complete};
use super::*;
use crate::embedded::s3::digest::{Algorithm, base64};

/// The requested algorithm and type, and the type that the object gets.
const CASES: [(Option<ChecksumAlgorithm>, Option<ChecksumType>, ChecksumType); 5] = [
    (Some(ChecksumAlgorithm::Crc32), None, ChecksumType::Composite),
    (Some(ChecksumAlgorithm::Sha256), None, ChecksumType::Composite),
    (
        Some(ChecksumAlgorithm::Crc32C),
        Some(ChecksumType::FullObject),
        ChecksumType::FullObject,
    ),
    (Some(ChecksumAlgorithm::Crc64Nvme), None, ChecksumType::FullObject),
    (None, None, ChecksumType::FullObject),
];

#[tokio::test]
async fn an_object_of_parts_has_the_checksum_of_s3() {
    let (_folder, clients) = both().await;
    let bodies = [bytes(PART, 1), bytes(12_345, 2)];
    for client in clients {
        for (algorithm, requested, expected) in CASES {
            let upload = client.create_multipart_upload().bucket(BUCKET).key("key");
            let upload = upload
                .set_checksum_algorithm(algorithm.clone())
                .set_checksum_type(requested)
                .send()
                .await
                .unwrap();
            let id = upload.upload_id().unwrap();
            let parts = upload_parts(&client, id, algorithm.as_ref(), &bodies).await;
            if expected == ChecksumType::Composite {
                let bare = complete(&client, "key", id, without_checksums(&parts))
                    .send()
                    .await;
                assert_eq!(refusal(bare), ("InvalidRequest".into(), 400));
            }
            complete(&client, "key", id, parts).send().await.unwrap();
            let get = client.get_object().bucket(BUCKET).key("key");
            let output = get.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
            assert_eq!(output.checksum_type(), Some(&expected));
            let name = algorithm.as_ref().map_or("CRC64NVME", ChecksumAlgorithm::as_str);
            let used = Algorithm::from_name(name).unwrap();
            let sum = expected_checksum(used, &expected, &bodies);
            assert_eq!(checksum_of(&output, used), Some(sum.as_str()), "{algorithm:?}");
            // the SDK verifies the checksum while it reads the body
            assert!(output.body.collect().await.unwrap().to_vec() == bodies.concat());
        }
    }
}

async fn upload_parts(
    client: &Client,
    id: &str,
    algorithm: Option<&ChecksumAlgorithm>,
    bodies: &[Vec<u8>],
) -> Vec<CompletedPart> {
    let mut parts = Vec::new();
    for (number, body) in (1..).zip(bodies) {
        let part = client
            .upload_part()
            .bucket(BUCKET)
            .key("key")
            .upload_id(id)
            .part_number(number)
            .set_checksum_algorithm(algorithm.cloned())
            .body(ByteStream::from(body.clone()));
        let part = part.send().await.unwrap();
        let listed = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag)
            .set_checksum_crc32(part.checksum_crc32)
            .set_checksum_crc32_c(part.checksum_crc32_c)
            .set_checksum_crc64_nvme(part.checksum_crc64_nvme)
            .set_checksum_sha256(part.checksum_sha256);
        parts.push(listed.build());
    }
    parts
}

fn without_checksums(parts: &[CompletedPart]) -> Vec<CompletedPart> {
    let bare = parts.iter().map(|part| {
        CompletedPart::builder()
            .set_part_number(part.part_number)
            .set_e_tag(part.e_tag.clone())
            .build()
    });
    bare.collect()
}

fn checksum_of(output: &GetObjectOutput, algorithm: Algorithm) -> Option<&str> {
    match algorithm {
        Algorithm::Crc32 => output.checksum_crc32(),
        Algorithm::Crc32c => output.checksum_crc32_c(),
        Algorithm::Crc64Nvme => output.checksum_crc64_nvme(),
        Algorithm::Sha1 => output.checksum_sha1(),
        Algorithm::Sha256 => output.checksum_sha256(),
    }
}

fn expected_checksum(algorithm: Algorithm, kind: &ChecksumType, bodies: &[Vec<u8>]) -> String {
    if *kind != ChecksumType::Composite {
        return base64(&algorithm.sum(&bodies.concat()));
    }
    let sums: Vec<_> = bodies.iter().map(|body| algorithm.sum(body)).collect();
    format!("{}-2", base64(&algorithm.sum(&sums.concat())))
}
