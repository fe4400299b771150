//! A DynamoDB and a KMS whose responses are as large as the request says, with their checksums, over TCP. It keeps what
//! is written under the partition [`KEPT`].

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::canned::{Canned, operation};

/// The partition whose items are kept.
pub(crate) const KEPT: &str = "KEPT";
/// Bytes of the text in an item of a page.
const PAGE_ITEM_BYTES: usize = 100;
/// The one data key.
const DATA_KEY: [u8; 32] = [7; 32];

/// By operation and size, or by table and sort key.
type Responses = Mutex<HashMap<String, Canned>>;

/// Starts the endpoint on a free port.
pub(crate) async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let responses = Arc::<Responses>::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a TCP stream");
            let responses = Arc::clone(&responses);
            let service = service_fn(move |request| respond(Arc::clone(&responses), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// The sort key of an item with a text of so many bytes.
pub(crate) fn sort_of_size(bytes: usize) -> String {
    format!("BYTES#{bytes}")
}

async fn respond(
    responses: Arc<Responses>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let operation = operation(&request);
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    Ok(response(&responses, &operation, &body).into_response())
}

fn response(responses: &Responses, operation: &str, body: &Value) -> Canned {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let (table, sort) = (text("/TableName"), text("/Key/sk/S"));
    match operation {
        "GetItem" if text("/Key/pk/S") == KEPT => {
            let kept = responses.lock().get(&kept_name(table, sort)).cloned();
            kept.unwrap_or_else(|| Canned::new(200, &json!({})))
        }
        "GetItem" => cached(responses, format!("{table} {sort}"), || {
            let bytes = sort.rsplit('#').next().and_then(|bytes| bytes.parse().ok());
            one_item(
                table,
                item(text("/Key/pk/S"), sort, bytes.unwrap_or(PAGE_ITEM_BYTES)),
            )
        }),
        "Query" => {
            let limit = body["Limit"].as_u64().unwrap_or(1000);
            cached(responses, format!("{table} page of {limit}"), || {
                page(table, limit)
            })
        }
        "PutItem" => {
            if text("/Item/pk/S") == KEPT {
                let name = kept_name(table, text("/Item/sk/S"));
                let kept = one_item(table, body["Item"].clone());
                responses.lock().insert(name, kept);
            }
            cached(responses, format!("{table} written"), || {
                Canned::new(200, &json!({ "ConsumedCapacity": capacity(table) }))
            })
        }
        "GenerateDataKey" | "Decrypt" => cached(responses, operation.to_owned(), || data_key(operation)),
        // the gateway asks for its tables when it starts, and goes on without them
        _ => Canned::new(
            400,
            &json!({ "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException" }),
        ),
    }
}

/// Made once: what remains is the cost of those who call.
fn cached(responses: &Responses, name: String, make: impl FnOnce() -> Canned) -> Canned {
    responses.lock().entry(name).or_insert_with(make).clone()
}

fn kept_name(table: &str, sort: &str) -> String {
    format!("{KEPT} {table} {sort}")
}

fn capacity(table: &str) -> Value {
    json!({ "TableName": table, "CapacityUnits": 1.0, "Table": { "CapacityUnits": 1.0 } })
}

fn one_item(table: &str, item: Value) -> Canned {
    let mut response = json!({ "ConsumedCapacity": capacity(table) });
    response["Item"] = item;
    Canned::new(200, &response)
}

fn page(table: &str, items: u64) -> Canned {
    let list: Vec<Value> = (0..items)
        .map(|number| item("LIST", &format!("ITEM#{number:04}"), PAGE_ITEM_BYTES))
        .collect();
    let mut response = json!({ "Count": items, "ScannedCount": items, "ConsumedCapacity": capacity(table) });
    response["Items"] = Value::from(list);
    Canned::new(200, &response)
}

fn data_key(operation: &str) -> Canned {
    let mut response = json!({
        "KeyId": "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000",
        "Plaintext": STANDARD.encode(DATA_KEY),
    });
    if operation == "GenerateDataKey" {
        response["CiphertextBlob"] = Value::from(STANDARD.encode([1; 184]));
    } else {
        response["EncryptionAlgorithm"] = Value::from("SYMMETRIC_DEFAULT");
    }
    Canned::new(200, &response)
}

fn item(partition: &str, sort: &str, bytes: usize) -> Value {
    json!({ "pk": { "S": partition }, "sk": { "S": sort }, "name": { "S": "x".repeat(bytes) } })
}
