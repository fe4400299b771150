//! Direct calls of the AWS SDK to the embedded engine, in a separate process that reads commands from stdin: what
//! a program pays that has the SDK in it and no gateway before it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Builder, Credentials, Region, StalledStreamProtectionConfig,
};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures::future::join_all;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tollgate::aws::{Connectors, Settings, Stores, provision};
use tollgate::embedded::{Engines, Place, Synchronous};
use tollgate::model::Models;
use tollgate_tests::sdk::default_client;

use super::direct_many;
use super::load::{
    AGE, EMAIL, ITEMS, LIST, NAME, SORT, Turn, UPDATE, Work, measure, numbers, partition, sort_of_list,
};
use super::loops::{in_turn, paced, percentiles_ms};
use super::process::{self, Cores, Store};

/// The first argument of a process in this role.
pub(crate) const ROLE: &str = "direct";
/// The argument in the place of a folder.
const MEMORY: &str = "memory";
/// The command that reads the whole table.
const SCAN: &str = "Scan\n";
/// The command that times Gets, with a rate per second or none.
const TIMES: &str = "Times";
/// The table of all items.
pub(crate) const TABLE: &str = "users";

/// How the SDK's client is set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As the gateway sets its own over the embedded engines: unsigned, no stalled-stream protection.
    Minimal,
    /// As the SDK comes: every request signed.
    Default,
}

/// A process that calls the engine directly.
pub(crate) struct Direct {
    process: Child,
    orders: ChildStdin,
    responses: Lines<BufReader<ChildStdout>>,
    callers: usize,
}

impl Direct {
    /// Starts the process with its own engine.
    pub(crate) async fn start(store: Store<'_>, setting: Setting, callers: usize) -> Direct {
        let place = match store {
            Store::Memory => MEMORY.as_ref(),
            Store::Folder(folder) => folder.as_os_str(),
        };
        let setting = if setting == Setting::Minimal {
            "minimal"
        } else {
            "default"
        };
        Direct::run_at(place, setting, callers).await
    }

    /// Starts the process on an endpoint, with the SDK's defaults.
    pub(crate) async fn on_network(endpoint: &str, callers: usize) -> Direct {
        Direct::run_at(endpoint.as_ref(), "default", callers).await
    }

    async fn run_at(place: &OsStr, setting: &str, callers: usize) -> Direct {
        let own = std::env::current_exe().expect("a process knows its program");
        let mut command = process::on(Cores::First, &own);
        command
            .arg(ROLE)
            .arg(place)
            .arg(setting)
            .stdin(std::process::Stdio::piped());
        let (mut process, stdout) = process::spawn(command);
        let orders = process.stdin.take().expect("it is piped");
        let mut direct = Direct {
            process,
            orders,
            responses: stdout.lines(),
            callers,
        };
        assert_eq!(direct.response().await, "ready");
        direct
    }

    /// One turn of one kind of call.
    pub(crate) async fn turn(&mut self, work: Work, time: Duration) -> Turn {
        let id = process::id(&self.process);
        measure(id, async {
            let order = format!("{} {} {}\n", work.name(), time.as_millis(), self.callers);
            self.orders
                .write_all(order.as_bytes())
                .await
                .expect("the process listens");
            self.response().await.parse().expect("a number of calls")
        })
        .await
    }

    /// Times Gets one after the other, or so many per second: CPU per call, and the percentiles of their times in ms.
    pub(crate) async fn times(&mut self, per_second: Option<f64>, time: Duration) -> (f64, [f64; 2]) {
        let id = process::id(&self.process);
        let mut percentiles = [0.0; 2];
        let turn = measure(id, async {
            let order = format!("{TIMES} {} {}\n", time.as_millis(), per_second.unwrap_or(0.0));
            let sent = self.orders.write_all(order.as_bytes()).await;
            sent.expect("the process listens");
            let response = self.response().await;
            let mut figures = response
                .split(' ')
                .map(|figure| figure.parse().expect("a figure"));
            let mut next = || figures.next().expect("a figure");
            let calls: f64 = next();
            percentiles = [next(), next()];
            calls as u64
        });
        let cpu_us = turn.await.cpu_us;
        (cpu_us, percentiles)
    }

    /// Reads the whole table, and counts its items.
    pub(crate) async fn scan(&mut self) -> Turn {
        let id = process::id(&self.process);
        measure(id, async {
            let sent = self.orders.write_all(SCAN.as_bytes()).await;
            sent.expect("the process listens");
            self.response().await.parse().expect("a number of items")
        })
        .await
    }

    async fn response(&mut self) -> String {
        self.responses
            .next_line()
            .await
            .expect("the process responds")
            .expect("the process lives")
    }
}

/// The process's own side: opens the engine, then runs commands until stdin closes.
pub(crate) async fn run(arguments: &[String]) {
    let [place, setting] = arguments else {
        panic!("{ROLE} FOLDER|{MEMORY}|URL minimal|default")
    };
    let client = match place.as_str() {
        MEMORY => open(&Place::Memory, setting == "minimal").await,
        endpoint if endpoint.starts_with("http://") => default_client(endpoint),
        folder => open(&Place::Folder(Path::new(folder).to_owned()), setting == "minimal").await,
    };
    for number in 0..ITEMS {
        put(&client, partition(number), SORT.to_owned()).await;
        put(&client, LIST.to_owned(), sort_of_list(number)).await;
    }
    println!("ready");
    // blocks this thread alone, which has nothing else to do
    for order in std::io::stdin().lines() {
        let order = order.expect("orders are text");
        if order == SCAN.trim_end() {
            println!("{}", direct_many::scan(&client).await);
            continue;
        }
        if let Some(order) = order.strip_prefix(TIMES) {
            println!("{}", run_times(&client, order).await);
            continue;
        }
        let [work, millis, callers] = order.split(' ').collect::<Vec<_>>()[..] else {
            panic!("not an order: {order}")
        };
        let callers = callers.parse().expect("a number");
        let work = Work::named(work).expect("a kind of call");
        let time = Duration::from_millis(millis.parse().expect("a number"));
        println!("{}", run_turn(&client, callers, work, time).await);
    }
}

async fn open(place: &Place, minimal: bool) -> Client {
    let Engines {
        dynamodb, kms, s3, ..
    } = Engines::open(place, Synchronous::Normal)
        .await
        .expect("the engines open");
    let connectors = Connectors {
        dynamodb: dynamodb.clone(),
        kms,
        s3,
        over_sockets: false,
    };
    let stores = Stores::embedded(connectors, &Settings::default(), None);
    provision(&stores, &Models::examples())
        .await
        .expect("the tables are made");
    client(dynamodb, minimal)
}

fn client(engine: SharedHttpClient, minimal: bool) -> Client {
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url("http://embedded.localhost")
        .http_client(engine);
    config = match minimal {
        true => config
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .allow_no_auth()
            .auth_scheme_preference([AuthSchemeId::from("noAuth")]),
        false => config.credentials_provider(Credentials::new("id", "secret", None, None, "bench")),
    };
    Client::from_conf(config.build())
}

async fn run_turn(client: &Client, callers: usize, work: Work, time: Duration) -> u64 {
    let until = Instant::now() + time;
    let next = Arc::new(AtomicU64::new(0));
    let callers = (0..callers).map(|_| tokio::spawn(call_until(until, work, client.clone(), next.clone())));
    let calls = join_all(callers).await;
    calls
        .into_iter()
        .map(|calls| calls.expect("no caller panics"))
        .sum()
}

/// How many calls there were, and their percentiles.
async fn run_times(client: &Client, order: &str) -> String {
    let [millis, per_second] = order.trim().split(' ').collect::<Vec<_>>()[..] else {
        panic!("not an order: {order}")
    };
    let time = Duration::from_millis(millis.parse().expect("a number"));
    let per_second: f64 = per_second.parse().expect("a number");
    let client = client.clone();
    let call = move |number: u64| {
        let client = client.clone();
        async move { get(&client, number % ITEMS).await }
    };
    let times = match per_second > 0.0 {
        true => paced(per_second, time, call).await,
        false => tokio::spawn(in_turn(time, call)).await.expect("no call panics"),
    };
    let calls = times.len();
    let [middle, high] = percentiles_ms(times);
    format!("{calls} {middle} {high}")
}

async fn call_until(until: Instant, work: Work, client: Client, next: Arc<AtomicU64>) -> u64 {
    let mut calls = 0;
    while Instant::now() < until {
        let number = next.fetch_add(1, Ordering::Relaxed) % ITEMS;
        match work {
            Work::Get => get(&client, number).await,
            Work::Save => put(&client, partition(number), SORT.to_owned()).await,
            Work::BatchGet => direct_many::batch_get(&client, numbers(number)).await,
            Work::BatchWrite => direct_many::batch_write(&client, numbers(number)).await,
            Work::Update => update(&client, number).await,
            Work::Query => direct_many::query(&client).await,
            Work::Page => direct_many::page(&client).await,
        }
        calls += 1;
    }
    calls
}

async fn get(client: &Client, number: u64) {
    let request = client.get_item().table_name(TABLE).set_key(Some(key(number)));
    let found = request.send().await.expect("GetItem succeeds");
    assert_eq!(found.item.map(|item| item.len()), Some(5));
}

async fn update(client: &Client, number: u64) {
    client
        .update_item()
        .table_name(TABLE)
        .set_key(Some(key(number)))
        .update_expression(UPDATE)
        .expression_attribute_values(":age", AttributeValue::N(AGE.to_string()))
        .send()
        .await
        .expect("UpdateItem succeeds");
}

async fn put(client: &Client, partition: String, sort: String) {
    client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(user(partition, sort)))
        .send()
        .await
        .expect("PutItem succeeds");
}

/// A whole item.
pub(crate) fn user(partition: String, sort: String) -> HashMap<String, AttributeValue> {
    let pair = |name: &str, text: String| (name.to_owned(), AttributeValue::S(text));
    HashMap::from([
        pair("pk", partition),
        pair("sk", sort),
        pair("name", NAME.to_owned()),
        pair("email", EMAIL.to_owned()),
        ("age".to_owned(), AttributeValue::N(AGE.to_string())),
    ])
}

/// The key of an item.
pub(crate) fn key(number: u64) -> HashMap<String, AttributeValue> {
    let pair = |name: &str, text: String| (name.to_owned(), AttributeValue::S(text));
    HashMap::from([pair("pk", partition(number)), pair("sk", SORT.to_owned())])
}
