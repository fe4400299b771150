//! The stores of a gateway whose objects are in MinIO: MinIO itself, and a table of one item in this process.

use std::convert::Infallible;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// The bucket of the example models.
pub(crate) const BUCKET: &str = "my-bucket";
const SECRETS: [&str; 2] = ["testing", "testing-testing"];
const PAUSE: Duration = Duration::from_millis(50);
const TRIES: usize = 600;

/// A MinIO on a free port.
pub(crate) struct Minio {
    address: String,
    _process: Child,
}

impl Minio {
    pub(crate) async fn start(program: &Path, folder: &Path) -> Minio {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = free.local_addr().expect("its address").to_string();
        drop(free);
        let process = Command::new(program)
            .args(["server", "--quiet", "--address", &address])
            .arg(folder)
            .env("MINIO_ROOT_USER", SECRETS[0])
            .env("MINIO_ROOT_PASSWORD", SECRETS[1])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let process = process.expect("MinIO starts");
        for _ in 0..TRIES {
            if TcpStream::connect(&address).await.is_ok() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Minio {
            address,
            _process: process,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its access key and secret.
    pub(crate) fn secrets(&self) -> [&'static str; 2] {
        SECRETS
    }
}

/// A table of one item, behind a socket.
pub(crate) struct Tables {
    url: String,
}

impl Tables {
    pub(crate) async fn serve() -> Tables {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let item = Arc::new(Mutex::new(Value::Null));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let item = Arc::clone(&item);
                let service = service_fn(move |request| respond(Arc::clone(&item), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Tables { url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn respond(
    item: Arc<Mutex<Value>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").cloned();
    let target = target.map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let operation = target.as_deref().and_then(|target| target.rsplit('.').next());
    let (status, response) = match operation {
        Some("PutItem") => {
            let old = std::mem::replace(&mut *item.lock(), body["Item"].clone());
            (
                200,
                if old.is_null() {
                    json!({})
                } else {
                    json!({ "Attributes": old })
                },
            )
        }
        Some("GetItem") => (200, json!({ "Item": *item.lock() })),
        // the check at the start finds no tables, and says so in the log
        _ => (
            400,
            json!({ "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException" }),
        ),
    };
    let head = Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0");
    Ok(head.body(Full::from(response.to_string())).expect("a response"))
}
