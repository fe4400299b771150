//! `tollgate call presign`: a time-limited URL of an object, to read it or to upload a file.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tollgate_client::{Client, Item, PresignedContent, PresignedUrl, Value};

use super::args::Presign;
use super::download::attribute;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{connection, input};

/// Bytes that are read and hashed at a time.
const CHUNK_BYTES: usize = 256 * 1024;

impl Presign {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let model = connection::model(plain, &self.model).await?;
        let key = input::key(&model, &self.key).await?;
        let attribute = attribute(&model, self.attribute)?;
        let upload = match &self.put {
            Some(path) => Some(describe(path, self.content_type).await?),
            None => None,
        };
        let presign = tollgate_client::Presign {
            expires: self.expires,
            upload,
            validate_only: self.validate_only,
            ..tollgate_client::Presign::get(self.model, key, attribute)
        };
        let presigned = client.presign(presign).await?;
        if self.validate_only {
            output.remark("valid: nothing was read")?;
            output.nothing(&presigned.metrics)?;
            return Ok(Outcome::Done);
        }
        let (text, response) = (text(&presigned.value), fields(presigned.value));
        output.message(&text, response, Some(&presigned.metrics))?;
        Ok(Outcome::Done)
    }
}

/// The name, size and hash of a file.
async fn describe(path: &Path, content_type: String) -> Result<PresignedContent, Failure> {
    let unreadable = |error| Failure::Arguments(format!("cannot read {}: {error}", path.display()));
    let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let bytes = file.read(&mut chunk).await.map_err(unreadable)?;
        if bytes == 0 {
            break;
        }
        hasher.update(&chunk[..bytes]);
        size += bytes as u64;
    }
    let mut sha256 = String::new();
    for byte in hasher.finalize() {
        write!(sha256, "{byte:02x}").expect("a string takes any text");
    }
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    Ok(PresignedContent {
        name: name.to_owned(),
        content_type,
        size,
        sha256,
    })
}

/// The URL; for an upload also the headers and the token, a line each.
fn text(presigned: &PresignedUrl) -> String {
    let mut text = format!("{}\n", presigned.url);
    let mut headers: Vec<_> = presigned.headers.iter().collect();
    headers.sort();
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    if !presigned.upload_token.is_empty() {
        text.push_str(&format!("upload_token: {}\n", presigned.upload_token));
    }
    text
}

fn fields(presigned: PresignedUrl) -> Item {
    let headers = presigned.headers.into_iter();
    let headers = headers.map(|(name, value)| (name, Value::String(value)));
    let mut fields = Item::from([
        ("url".to_owned(), Value::String(presigned.url)),
        ("headers".to_owned(), Value::Map(headers.collect())),
    ]);
    if let Some(expires_at) = presigned.expires_at {
        fields.insert("expires_at".to_owned(), seconds(expires_at).into());
    }
    if !presigned.upload_token.is_empty() {
        let token = Value::String(presigned.upload_token);
        fields.insert("upload_token".to_owned(), token);
    }
    fields
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
