//! Direct calls of the SDK to S3, from this process.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region, StalledStreamProtectionConfig};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tollgate::aws::{Connectors, Settings, Stores};
use tollgate::embedded::{Engines, Place, Synchronous};

use super::object_stores::BUCKET;

const KEY: &str = "direct";
const PART_BYTES: u64 = 5 << 20;
/// As the gateway's own default.
const IN_FLIGHT: usize = 8;

/// A client of the SDK.
pub(crate) struct DirectS3 {
    client: Client,
}

impl DirectS3 {
    /// Of an S3 at this URL, with the SDK's defaults and the gateway's HTTP client.
    pub(crate) async fn over_http(url: &str, access_key: &str, secret: &str) -> DirectS3 {
        let settings = Settings {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(url.to_owned()),
            ..Settings::default()
        };
        let mut client = None;
        let take = |connectors: Connectors| {
            client = Some(connectors.s3.clone());
            connectors
        };
        Stores::from_environment(&settings, take).await.expect("clients");
        let config = base()
            .endpoint_url(url)
            .http_client(client.expect("it was passed"))
            .credentials_provider(Credentials::new(access_key, secret, None, None, "bench"));
        DirectS3 {
            client: Client::from_conf(config.build()),
        }
    }

    /// Of an engine in this process, over a folder.
    pub(crate) async fn embedded(folder: &Path) -> DirectS3 {
        let engines = Engines::open(&Place::Folder(folder.to_owned()), Synchronous::Normal).await;
        let config = base()
            .endpoint_url("http://embedded.localhost")
            .http_client(engines.expect("the engines open").s3)
            .allow_no_auth();
        DirectS3 {
            client: Client::from_conf(config.build()),
        }
    }

    pub(crate) async fn create_bucket(&self, bucket: &str) {
        let created = self.client.create_bucket().bucket(bucket).send().await;
        created.expect("a new bucket");
    }

    /// Uploads so many bytes in parts.
    pub(crate) async fn upload(&self, bytes: u64) -> u64 {
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key(KEY)
            .send()
            .await;
        let id = begun.expect("an upload begins").upload_id.expect("its id");
        let part = Bytes::from(vec![7; usize::try_from(PART_BYTES).expect("a size")]);
        let parts = (0..bytes.div_ceil(PART_BYTES)).map(|number| {
            let length = PART_BYTES.min(bytes - number * PART_BYTES);
            let body = part.slice(..usize::try_from(length).expect("a size"));
            self.part(&id, i32::try_from(number + 1).expect("a part's number"), body)
        });
        let mut parts: Vec<_> = stream::iter(parts).buffer_unordered(IN_FLIGHT).collect().await;
        parts.sort_by_key(CompletedPart::part_number);
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(BUCKET).key(KEY);
        let completed = complete.upload_id(id).multipart_upload(whole).send().await;
        completed.expect("an upload is completed");
        bytes
    }

    async fn part(&self, id: &str, number: i32, body: Bytes) -> CompletedPart {
        let sending = self.client.upload_part().bucket(BUCKET).key(KEY).upload_id(id);
        let sent = sending
            .part_number(number)
            .body(ByteStream::from(body))
            .send()
            .await;
        let sent = sent.expect("a part is uploaded");
        CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .build()
    }

    /// Reads it.
    pub(crate) async fn download(&self) -> u64 {
        let object = self.client.get_object().bucket(BUCKET).key(KEY).send().await;
        let mut body = object.expect("an object").body;
        let mut bytes = 0;
        while let Some(chunk) = body.next().await {
            bytes += chunk.expect("the body is read").len() as u64;
        }
        bytes
    }
}

fn base() -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .force_path_style(true)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}
