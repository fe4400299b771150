//! The stored forms of objects: encrypted, compressed, and values that are offloaded.

mod compressed;
mod encrypted;
mod offloaded;
mod streamed;
mod tampered;

use futures::StreamExt as _;
use tempfile::TempDir;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{Bill, Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::{RawStores, Stored};
use tollgate_tests::values::{AttributeValue, Item, get, key};
use tollgate_tests::wiretap::Wiretap;

const BUCKET: &str = "my-bucket";
const SEGMENT: usize = 64 * 1024;

const MODEL: &str = "
name: Archive
table: documents
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  status: { type: string }
  plain: { type: object, s3: { bucket: my-bucket, prefix: archive/ } }
  scan:
    type: object
    s3: { bucket: my-bucket, prefix: archive/ }
    encrypted: { key_id: alias/my-app-key, context: { app: archive } }
  secret: { type: string, encrypted: { key_id: alias/my-app-key, context: { app: archive } } }
  zstd: { type: object, s3: { bucket: my-bucket, prefix: archive/ }, compressed: {} }
  lz4: { type: object, s3: { bucket: my-bucket, prefix: archive/ }, compressed: { algorithm: lz4 } }
  gzip: { type: object, s3: { bucket: my-bucket, prefix: archive/ }, compressed: { algorithm: gzip } }
  both:
    type: object
    s3: { bucket: my-bucket, prefix: archive/ }
    encrypted: { key_id: alias/my-app-key, context: { app: archive } }
    compressed: { algorithm: zstd, level: 1 }
  sent:
    type: object
    s3: { bucket: my-bucket, prefix: archive/ }
    encrypted: { key_id: alias/my-app-key, mode: write_only }
  moved:
    type: object
    s3: { bucket: my-bucket, prefix: archive/ }
    encrypted: { key_id: alias/my-app-key, allow_plaintext: true }
  text: { type: string, max_length: 2000000, s3: { bucket: my-bucket, prefix: archive/, offload_above: 1000 } }
  bytes: { type: binary, s3: { bucket: my-bucket, prefix: archive/, offload_above: 1000 } }
  note:
    type: string
    alias: n
    s3: { bucket: my-bucket, prefix: archive/, offload_above: 1000 }
    encrypted: { key_id: alias/my-app-key, context: { app: archive } }
    compressed: { algorithm: gzip }
indexes:
  by_status: { partition_key: status }
";

/// A gateway with the model, which lives as long as its folder.
struct Archive {
    gateway: Gateway,
    wiretap: Wiretap,
    _folder: TempDir,
}

impl Archive {
    async fn start() -> Archive {
        Archive::tapped(Wiretap::counting()).await
    }

    async fn tapped(wiretap: Wiretap) -> Archive {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("archive.yaml"), MODEL).expect("it is written");
        let gateway = Gateway::with(Setup {
            models: Some(folder.path().to_owned()),
            wiretap: Some(wiretap.clone()),
            ..Setup::default()
        })
        .await;
        Archive {
            gateway,
            wiretap,
            _folder: folder,
        }
    }

    fn stores(&self) -> &RawStores {
        self.wiretap.stores()
    }

    /// Saves the item `A` with one more attribute. Returns the bill.
    async fn save(&self, attribute: &str, value: AttributeValue) -> Bill {
        let mut item = key("A", "1");
        item.insert(attribute.to_owned(), value);
        let saved = self
            .gateway
            .save(tollgate_tests::values::save("Archive", item))
            .await;
        let bill = saved.bill.clone();
        saved.ok();
        bill
    }

    /// The item `A` as DynamoDB has it.
    async fn stored(&self) -> Stored {
        self.stores()
            .item("documents", "A", "1")
            .await
            .expect("it was saved")
    }

    /// The fields of a pointer in the item `A`.
    async fn pointer(&self, attribute: &str) -> Stored {
        let stored = self.stored().await;
        stored[attribute].as_m().expect("a pointer").clone()
    }

    /// The bytes of the object in S3.
    async fn object(&self, attribute: &str) -> Vec<u8> {
        let pointer = self.pointer(attribute).await;
        let key = pointer["key"].as_s().expect("a key");
        let read = self.stores().s3.get_object().bucket(BUCKET).key(key).send().await;
        let body = read.expect("it is there").body.collect().await;
        body.expect("its bytes").into_bytes().to_vec()
    }

    /// Overwrites the bytes of the object in S3.
    async fn put_object(&self, attribute: &str, content: Vec<u8>) {
        let pointer = self.pointer(attribute).await;
        let key = pointer["key"].as_s().expect("a key").clone();
        self.stores().put_object(BUCKET, &key, content).await;
    }

    /// The item `A` with the content of this attribute, and the bill.
    async fn read(&self, attribute: &str) -> (Item, Bill) {
        let read = self.gateway.get(with_content(attribute)).await;
        let bill = read.bill.clone();
        (read.ok().item, bill)
    }

    async fn content(&self, attribute: &str) -> Vec<u8> {
        data(&self.read(attribute).await.0[attribute]).to_vec()
    }

    /// A range of the content, and the bill.
    async fn range(&self, attribute: &str, offset: usize, length: usize) -> Result<(Vec<u8>, Bill), Refusal> {
        let request = v1::DownloadRequest {
            model: "Archive".to_owned(),
            key: key("A", "1"),
            attribute: attribute.to_owned(),
            offset: offset as u64,
            length: length as u64,
            ..v1::DownloadRequest::default()
        };
        let refused = |status: tonic::Status| Refusal::of_status(&status);
        let response = self.gateway.data().download(request).await;
        let mut messages = response.map_err(refused)?.into_inner();
        let mut content = Vec::new();
        while let Some(message) = messages.next().await {
            content.extend_from_slice(&message.map_err(refused)?.data);
        }
        let trailers = messages.trailers().await.expect("trailers").unwrap_or_default();
        Ok((content, Bill::from_metadata(&trailers)))
    }
}

fn with_content(attribute: &str) -> v1::GetRequest {
    v1::GetRequest {
        include_objects: vec![attribute.to_owned()],
        ..get("Archive", key("A", "1"))
    }
}

fn object_of(value: &AttributeValue) -> &v1::Object {
    match &value.kind {
        Some(Kind::Object(object)) => object,
        other => panic!("{other:?}"),
    }
}

fn data(value: &AttributeValue) -> &[u8] {
    object_of(value).data.as_deref().expect("its content")
}

/// Content in which no two places look alike.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(4) as u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .take(bytes)
        .collect()
}

/// Content that compresses well.
fn lines(bytes: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|number: u32| format!("{:06} a line of text\n", number / 3).into_bytes());
    lines.take(bytes).collect()
}
