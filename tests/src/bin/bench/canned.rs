//! A DynamoDB that sends the same responses at once, with their checksums, over TCP: what remains is the cost of those
//! who call it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::direct::TABLE;
use super::load::{AGE, BATCH, EMAIL, ITEMS, LIST, NAME, PAGE, SORT, partition, sort_of_list};

/// A response with its checksum, which DynamoDB sends and the SDK checks.
#[derive(Clone)]
pub(crate) struct Canned {
    status: u16,
    body: Bytes,
    checksum: String,
}

/// A response as requested without the consumed capacity, and with it.
struct Pair {
    plain: Canned,
    metered: Canned,
}

struct Responses {
    item: Pair,
    written: Pair,
    page: Pair,
    /// By the first item of the batch.
    batches: Vec<Pair>,
    missing: Canned,
}

/// Starts the endpoint on a free port.
pub(crate) async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let responses = Arc::new(Responses::new());
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

async fn respond(
    responses: Arc<Responses>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let operation = operation(&request);
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    let canned = responses.of(&operation, std::str::from_utf8(&body).unwrap_or(""));
    Ok(canned.clone().into_response())
}

/// The operation that a request names.
pub(crate) fn operation(request: &Request<Incoming>) -> String {
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    let name = target.and_then(|target| target.rsplit('.').next());
    name.unwrap_or("").to_owned()
}

impl Responses {
    fn new() -> Responses {
        let batches = (0..ITEMS / BATCH).map(|batch| {
            let items: Vec<Value> = (0..BATCH)
                .map(|number| item(&partition(batch * BATCH + number), SORT))
                .collect();
            Pair::new(&json!({ "Responses": { TABLE: items } }), true)
        });
        let page: Vec<Value> = (0..PAGE)
            .map(|number| item(LIST, &sort_of_list(number)))
            .collect();
        let missing = json!({ "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException" });
        Responses {
            item: Pair::new(&json!({ "Item": item(&partition(0), SORT) }), false),
            written: Pair::new(&json!({}), false),
            page: Pair::new(
                &json!({ "Items": page, "Count": PAGE, "ScannedCount": PAGE }),
                false,
            ),
            batches: batches.collect(),
            missing: Canned::new(400, &missing),
        }
    }

    fn of(&self, operation: &str, body: &str) -> &Canned {
        let pair = match operation {
            "GetItem" => &self.item,
            "PutItem" | "UpdateItem" => &self.written,
            "Query" => &self.page,
            "BatchGetItem" => &self.batches[first_item(body) as usize / BATCH as usize],
            // the gateway asks for its tables when it starts, and goes on without them
            _ => return &self.missing,
        };
        match body.contains("ReturnConsumedCapacity") {
            true => &pair.metered,
            false => &pair.plain,
        }
    }
}

impl Pair {
    fn new(response: &Value, has_tables: bool) -> Pair {
        let capacity = json!({ "TableName": TABLE, "CapacityUnits": 1.0, "Table": { "CapacityUnits": 1.0 } });
        let mut metered = response.clone();
        metered["ConsumedCapacity"] = match has_tables {
            true => json!([capacity]),
            false => capacity,
        };
        Pair {
            plain: Canned::new(200, response),
            metered: Canned::new(200, &metered),
        }
    }
}

impl Canned {
    /// As HTTP sends it.
    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let response = Response::builder()
            .status(self.status)
            .header("content-type", "application/x-amz-json-1.0")
            .header(
                "x-amzn-requestid",
                "BENCH0123456789BENCH0123456789BENCH0123456789BENCH01",
            )
            .header("x-amz-crc32", &self.checksum)
            .body(Full::new(self.body));
        response.expect("a response")
    }

    /// A response with this body.
    pub(crate) fn new(status: u16, response: &Value) -> Canned {
        let body = Bytes::from(response.to_string());
        Canned {
            status,
            checksum: crc32(&body).to_string(),
            body,
        }
    }
}

/// The number of the first item that a batch asks for.
fn first_item(body: &str) -> u64 {
    let prefix = partition(0).replace('0', "");
    let (_, rest) = body.split_once(&prefix).expect("a key of the bench");
    let digits = rest
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().expect("a number")
}

fn item(partition: &str, sort: &str) -> Value {
    json!({
        "pk": { "S": partition },
        "sk": { "S": sort },
        "name": { "S": NAME },
        "email": { "S": EMAIL },
        "age": { "N": AGE.to_string() },
    })
}

/// CRC-32, bit by bit: of a few bodies, before anything is measured.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xEDB8_8320
        } else {
            crc >> 1
        }
    };
    !bytes
        .iter()
        .fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
