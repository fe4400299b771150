//! Random calls of every RPC from many callers at once, among them bad ones, refused ones, ones that leave midway and ones whose
//! deadline passes, over stores that fail, throttle, lose responses and never respond.

mod many;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use tollgate_proto::v1;
use tollgate_tests::gateway::{Bill, Gateway, Setup};
use tollgate_tests::random::Random;
use tollgate_tests::values::{
    AttributeValue, Item, delete, expression, get, item, key, n, object, query, s, save, scan, secure_user,
    update,
};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::{Code, Request};

/// Callers at once.
pub(crate) const CALLERS: u64 = 64;
/// The sessions that calls are billed to; some calls name none.
pub(crate) const SESSIONS: [&str; 5] = ["alpha", "beta", "gamma", "delta", ""];
const MODELS: [&str; 3] = ["User", "SecureUser", "Document"];
const PARTITIONS: u64 = 8;
const SORTS: u64 = 5;
/// Past S3's part size, so that an upload has parts.
const LARGE_BYTES: usize = 5 * 1024 * 1024 + 1;

/// The example models, one of them with an index.
const MODEL_FILES: &str = "
name: User
table: users
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  name: { type: string }
  email: { type: string }
  age: { type: number }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key } }
indexes:
  by_name: { partition_key: name, sort_key: age, projection: all }
---
name: SecureUser
table: secure_users
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key } }
  phone: { type: string, encrypted: { key_id: alias/my-app-key } }
  address: { type: map, encrypted: { key_id: alias/my-app-key } }
---
name: Document
table: documents
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  name: { type: string }
  content: { type: object, s3: { bucket: my-bucket, prefix: docs/ } }
";

/// One call, as its caller saw it.
pub(crate) struct Seen {
    /// Its id.
    pub(crate) request_id: String,
    /// The session that it named.
    pub(crate) session: &'static str,
    /// The status and the bill of the trailers; none where the call ended without them.
    pub(crate) trailers: Option<(Code, Bill)>,
}

/// A gateway over stores that fail as `judge` says, that keeps every bill.
pub(crate) async fn gateway(wiretap: &Wiretap) -> Arc<Gateway> {
    let settings = vec![
        ("TOLLGATE_FINISHED_CALLS", "100000".to_owned()),
        ("TOLLGATE_LIMITS__DEADLINE", "2s".to_owned()),
    ];
    let setup = Setup {
        settings,
        ..Setup::tapped(wiretap)
    };
    Arc::new(Gateway::of_models(MODEL_FILES, setup).await)
}

/// Stores that fail now and then, in every way there is.
pub(crate) fn unreliable() -> Wiretap {
    let number = AtomicU64::new(0);
    Wiretap::new(move |operation| {
        let mut random = Random::new(number.fetch_add(1, Ordering::Relaxed));
        // where work goes on after its caller left, a request without a response would block the test
        let may_hang = matches!(
            operation,
            "Query" | "Scan" | "GenerateDataKey" | "Decrypt" | "UploadPart"
        );
        match random.below(1000) {
            0..8 => Fate::Error500,
            8..16 => Fate::Throttle,
            16..24 => Fate::LoseResponse,
            24..28 if may_hang => Fate::Hang,
            28..120 => Fate::Delay(Duration::from_micros(random.below(3000))),
            _ => Fate::Pass,
        }
    })
}

/// All callers make their calls concurrently, in sessions that have begun: a session does not begin with a call that was
/// cancelled before it was checked, and is not billed for it.
pub(crate) async fn run(gateway: &Arc<Gateway>, calls_each: u64) -> Vec<Seen> {
    let mut seen = Vec::new();
    for session in SESSIONS {
        seen.push(begin(gateway, session).await);
    }
    let callers = (0..CALLERS).map(|caller| {
        let gateway = Arc::clone(gateway);
        tokio::spawn(async move {
            let mut random = Random::new(caller);
            let mut seen = Vec::new();
            for number in 0..calls_each {
                seen.push(call(&gateway, &mut random, format!("call-{caller}-{number}")).await);
            }
            seen
        })
    });
    let callers: Vec<_> = callers.collect();
    for caller in callers {
        seen.extend(caller.await.expect("no caller panics"));
    }
    seen
}

/// A call that costs nothing and passes its checks.
async fn begin(gateway: &Gateway, session: &'static str) -> Seen {
    let request_id = format!("begin-{session}");
    let head = Head {
        request_id: &request_id,
        session,
        deadline: None,
    };
    let checked = v1::GetRequest {
        validate_only: true,
        ..get("User", key("P#1", "S#1"))
    };
    let trailers = trailers(gateway.get(head.on(checked)).await);
    Seen {
        request_id,
        session,
        trailers,
    }
}

async fn call(gateway: &Gateway, random: &mut Random, request_id: String) -> Seen {
    let session = random.pick(&SESSIONS);
    let head = Head {
        request_id: &request_id,
        session,
        deadline: None,
    };
    let trailers = match random.below(10) {
        0 => {
            let patience = Duration::from_micros(random.below(5000));
            tokio::time::timeout(patience, one(gateway, random, head))
                .await
                .unwrap_or_default()
        }
        1 => {
            let deadline = Some(Duration::from_micros(500 + random.below(20_000)));
            one(gateway, random, Head { deadline, ..head }).await
        }
        _ => one(gateway, random, head).await,
    };
    Seen {
        request_id,
        session,
        trailers,
    }
}

/// The metadata of a call.
struct Head<'a> {
    request_id: &'a str,
    session: &'a str,
    deadline: Option<Duration>,
}

impl Head<'_> {
    fn on<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert(
            "tollgate-request-id",
            self.request_id.parse().expect("an ASCII id"),
        );
        if !self.session.is_empty() {
            metadata.insert("tollgate-session", self.session.parse().expect("an ASCII name"));
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }
}

type Trailers = Option<(Code, Bill)>;

async fn one(gateway: &Gateway, random: &mut Random, head: Head<'_>) -> Trailers {
    let model = if random.once_in(40) {
        "Nobody"
    } else {
        random.pick(&MODELS)
    };
    match random.below(24) {
        0..6 => trailers(gateway.save(head.on(random_save(random, model))).await),
        6..10 => {
            let include_objects = included(random, model);
            let request = v1::GetRequest {
                include_objects,
                ..get(model, random_key(random))
            };
            trailers(gateway.get(head.on(request)).await)
        }
        10..12 => trailers(gateway.update(head.on(random_update(random, model))).await),
        12..14 => trailers(gateway.delete(head.on(random_delete(random, model))).await),
        14..16 => one_query(gateway, random, head, model).await,
        16..18 => one_scan(gateway, random, head, model).await,
        18..20 => many::batch_get(gateway, random, head).await,
        20..22 => many::batch_write(gateway, random, head).await,
        22 => many::transact_get(gateway, random, head).await,
        _ => many::transact_write(gateway, random, head).await,
    }
}

fn random_save(random: &mut Random, model: &str) -> v1::SaveRequest {
    let item = random_item(random, model);
    v1::SaveRequest {
        condition: random_condition(random),
        ..save(model, item)
    }
}

fn random_delete(random: &mut Random, model: &str) -> v1::DeleteRequest {
    let condition = random_condition(random);
    v1::DeleteRequest {
        condition,
        ..delete(model, random_key(random))
    }
}

fn random_select(random: &mut Random) -> i32 {
    match random.once_in(4) {
        true => v1::Select::Count as i32,
        false => v1::Select::Items as i32,
    }
}

async fn one_scan(gateway: &Gateway, random: &mut Random, head: Head<'_>, model: &str) -> Trailers {
    let (page_size, parallelism) = (5, random.below(4) as u32);
    let select = random_select(random);
    let is_index = model == "User" && random.once_in(3);
    let fields = match select == v1::Select::Count as i32 {
        true => Vec::new(),
        false => random_fields(random),
    };
    let request = v1::ScanRequest {
        limit: 12,
        page_size,
        parallelism,
        fields,
        select,
        index: if is_index { "by_name" } else { "" }.to_owned(),
        ..scan(model)
    };
    match random.once_in(4) {
        true => leave_a_stream(gateway.data().scan(head.on(request)).await).await,
        false => trailers(gateway.scan(head.on(request)).await),
    }
}

async fn one_query(gateway: &Gateway, random: &mut Random, head: Head<'_>, model: &str) -> Trailers {
    let select = random_select(random);
    let counts = select == v1::Select::Count as i32;
    let base = match model == "User" && random.once_in(2) {
        true => v1::QueryRequest {
            index: "by_name".to_owned(),
            key_condition: expression("name = :n AND age > :a", [(":n", s("Ada")), (":a", n(10))]),
            ..query(model, "")
        },
        false => query(model, &format!("P#{}", random.below(PARTITIONS))),
    };
    let request = v1::QueryRequest {
        include_objects: if counts {
            Vec::new()
        } else {
            included(random, model)
        },
        page_size: 3,
        fields: if counts { Vec::new() } else { random_fields(random) },
        select,
        ..base
    };
    match random.once_in(4) {
        true => leave_a_stream(gateway.data().query(head.on(request)).await).await,
        false => trailers(gateway.query(head.on(request)).await),
    }
}

fn trailers<T>(response: tollgate_tests::gateway::CallResult<T>) -> Trailers {
    let code = response.outcome.err().map_or(Code::Ok, |status| status.code());
    response
        .bill
        .has("tollgate-duration-ms")
        .then_some((code, response.bill))
}

/// Takes one page and leaves.
async fn leave_a_stream<T>(outcome: Result<tonic::Response<tonic::Streaming<T>>, tonic::Status>) -> Trailers {
    match outcome {
        Ok(response) => {
            let mut stream = response.into_inner();
            // whatever came of it: nobody waits for the end
            let _ = stream.next().await;
            None
        }
        Err(status) => {
            let bill = Bill::from_metadata(status.metadata());
            bill.has("tollgate-duration-ms").then(|| (status.code(), bill))
        }
    }
}

fn random_key(random: &mut Random) -> Item {
    let wrong = random.once_in(25);
    let mut key = key(
        &format!("P#{}", random.below(PARTITIONS)),
        &format!("S#{}", random.below(SORTS)),
    );
    if wrong {
        key.insert("sk".to_owned(), n(1));
    }
    key
}

fn random_item(random: &mut Random, model: &str) -> Item {
    let mut written = random_key(random);
    let attributes = match model {
        "SecureUser" => secure_user("", ""),
        "Document" => {
            let bytes = if random.once_in(60) {
                LARGE_BYTES
            } else {
                random.below(3000) as usize
            };
            item([("name", s("report")), ("content", object(vec![7; bytes]))])
        }
        _ => item([
            ("name", s("Ada")),
            ("age", n(random.below(100))),
            ("ssn", s("078-05-1120")),
        ]),
    };
    for (name, value) in attributes {
        written.entry(name).or_insert(value);
    }
    if random.once_in(30) {
        written.insert("surplus".to_owned(), s("no such attribute"));
    }
    written
}

fn random_update(random: &mut Random, model: &str) -> v1::UpdateRequest {
    let (text, value) = random_change(random, model);
    let condition = random_condition(random);
    v1::UpdateRequest {
        condition,
        return_values: random.below(6) as i32,
        ..update(model, random_key(random), text, [(":v", value)])
    }
}

fn random_change(random: &mut Random, model: &str) -> (&'static str, AttributeValue) {
    match (model, random.below(3)) {
        ("Document", 0) => ("SET content = :v", object(vec![7; 3000])),
        ("Document", _) => ("SET name = :v REMOVE content", s("renamed")),
        (_, 0) => ("SET ssn = :v", s("987-65-4320")),
        ("User", 1) => ("ADD age :v", n(1)),
        ("User", _) => ("SET name = :v REMOVE email", s("Eve")),
        (_, _) => ("SET phone = :v REMOVE address", s("+44 21")),
    }
}

fn random_condition(random: &mut Random) -> Option<v1::Expression> {
    match random.below(8) {
        0 => expression("attribute_not_exists(pk)", []),
        1 => expression("attribute_exists(pk)", []),
        2 if random.once_in(4) => expression("attribute_exists(", []),
        _ => None,
    }
}

fn random_fields(random: &mut Random) -> Vec<String> {
    if random.once_in(2) {
        vec!["pk".to_owned(), "sk".to_owned()]
    } else {
        Vec::new()
    }
}

fn included(random: &mut Random, model: &str) -> Vec<String> {
    if model == "Document" && random.once_in(2) {
        vec!["content".to_owned()]
    } else {
        Vec::new()
    }
}
