//! The load: so many callers, each starting its next call when the last one returns, through plain tonic clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::{connect, connect_securely, in_session};
use tollgate_tests::values::{self, Item, n, s};
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig};

use super::{many, process};

/// Connections that the callers share.
pub(crate) const CONNECTIONS: usize = 4;
/// Items that are read and written over, each in its own partition; and those of the partition that is queried.
pub(crate) const ITEMS: u64 = 1000;
/// Items of a batch.
pub(crate) const BATCH: u64 = 100;
/// Items of a page.
pub(crate) const PAGE: u64 = 100;

/// One kind of call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Get,
    Save,
    Update,
    BatchGet,
    BatchWrite,
    Query,
    Page,
}

/// What one turn came to.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    /// Calls that returned.
    pub(crate) calls: f64,
    /// CPU of the measured process per call.
    pub(crate) cpu_us: f64,
}

/// How callers connect, and what their calls carry.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    /// The session that calls name.
    pub(crate) session: Option<&'static str>,
    /// TLS, with the caller's certificate if it has one.
    pub(crate) tls: Option<ClientTlsConfig>,
    /// The `authorization` of calls.
    pub(crate) authorization: Option<MetadataValue<Ascii>>,
}

/// Callers of one gateway.
pub(crate) struct Load {
    process: u32,
    clients: Vec<DataServiceClient<Channel>>,
    callers: usize,
    caller: Caller,
    next: Arc<AtomicU64>,
}

impl Work {
    /// Calls to a DynamoDB over the network.
    pub(crate) const NETWORK: [Work; 5] = [Work::Get, Work::Save, Work::Update, Work::Page, Work::BatchGet];
    /// Calls of one item to the embedded engine.
    pub(crate) const ALL: [Work; 2] = [Work::Get, Work::Save];
    /// Calls of many items.
    pub(crate) const MANY: [Work; 3] = [Work::BatchGet, Work::BatchWrite, Work::Query];

    /// As tables say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Get => "Get",
            Work::Save => "Save",
            Work::BatchGet => "BatchGet",
            Work::BatchWrite => "BatchWrite",
            Work::Query => "Query",
            Work::Update => "Update",
            Work::Page => "Page",
        }
    }

    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<Work> {
        let mut all = Work::NETWORK.into_iter().chain(Work::MANY);
        all.find(|work| work.name() == name)
    }

    /// Items of one call.
    pub(crate) fn items(self) -> u64 {
        match self {
            Work::Get | Work::Save | Work::Update => 1,
            Work::Page => PAGE,
            Work::BatchGet | Work::BatchWrite => BATCH,
            Work::Query => ITEMS,
        }
    }
}

impl Load {
    /// Connects to a gateway without identity and saves the items.
    pub(crate) async fn on(
        gateway: &process::Gateway,
        callers: usize,
        session: Option<&'static str>,
    ) -> Load {
        let caller = Caller {
            session,
            ..Caller::default()
        };
        Load::by(&caller, gateway, callers).await
    }

    /// Connects to a gateway as this caller and saves the items.
    pub(crate) async fn by(caller: &Caller, gateway: &process::Gateway, callers: usize) -> Load {
        let channels = join_all((0..CONNECTIONS).map(|_| caller.connect(gateway))).await;
        let clients = channels.into_iter().map(DataServiceClient::new).collect();
        let load = Load {
            process: gateway.id(),
            clients,
            callers,
            caller: caller.clone(),
            next: Arc::default(),
        };
        let mut client = load.clients[0].clone();
        for number in 0..ITEMS {
            let listed = values::save("User", user(LIST, &sort_of_list(number)));
            for message in [save(number), listed] {
                let request = caller.request(message);
                client.save(request).await.expect("an item is saved");
            }
        }
        load
    }

    /// CPU seconds that the gateway has used.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        process::cpu_seconds(self.process)
    }

    /// One turn of one kind of call.
    pub(crate) async fn turn(&self, work: Work, time: Duration) -> Turn {
        measure(self.process, self.run(work, time)).await
    }

    async fn run(&self, work: Work, time: Duration) -> u64 {
        let until = Instant::now() + time;
        let callers = (0..self.callers).map(|caller| {
            let client = self.clients[caller % CONNECTIONS].clone();
            tokio::spawn(call_until(
                until,
                work,
                client,
                self.caller.clone(),
                self.next.clone(),
            ))
        });
        let calls = join_all(callers).await;
        calls
            .into_iter()
            .map(|calls| calls.expect("no caller panics"))
            .sum()
    }
}

/// Measures a process while it does so many calls.
pub(crate) async fn measure(process: u32, work: impl Future<Output = u64>) -> Turn {
    let cpu = process::cpu_seconds(process);
    let calls = work.await as f64;
    let used = process::cpu_seconds(process) - cpu;
    Turn {
        calls,
        cpu_us: used * 1e6 / calls,
    }
}

async fn call_until(
    until: Instant,
    work: Work,
    mut client: DataServiceClient<Channel>,
    caller: Caller,
    next: Arc<AtomicU64>,
) -> u64 {
    let mut calls = 0;
    while Instant::now() < until {
        let number = next.fetch_add(1, Ordering::Relaxed) % ITEMS;
        match work {
            Work::Get => {
                let found = client
                    .get(caller.request(get(number)))
                    .await
                    .expect("a Get succeeds");
                assert_eq!(found.into_inner().item.len(), 5);
            }
            Work::Save => {
                client
                    .save(caller.request(save(number)))
                    .await
                    .expect("a Save succeeds");
            }
            Work::BatchGet => many::batch_get(&mut client, numbers(number)).await,
            Work::BatchWrite => many::batch_write(&mut client, numbers(number)).await,
            Work::Update => {
                client
                    .update(caller.request(update(number)))
                    .await
                    .expect("an Update succeeds");
            }
            Work::Query => many::query(&mut client).await,
            Work::Page => many::page(&mut client).await,
        }
        calls += 1;
    }
    calls
}

impl Caller {
    async fn connect(&self, gateway: &process::Gateway) -> Channel {
        match &self.tls {
            Some(tls) => connect_securely(gateway.address, tls.clone())
                .await
                .expect("the certificates are trusted"),
            None => connect(gateway.address).await,
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = match self.session {
            Some(session) => in_session(message, session),
            None => Request::new(message),
        };
        if let Some(authorization) = &self.authorization {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", authorization.clone());
        }
        request
    }
}

/// The items of a batch.
pub(crate) fn numbers(call: u64) -> impl Iterator<Item = u64> + Clone {
    (0..BATCH).map(move |number| (call * BATCH + number) % ITEMS)
}

pub(crate) fn get(number: u64) -> v1::GetRequest {
    values::get("User", values::key(&partition(number), SORT))
}

pub(crate) fn save(number: u64) -> v1::SaveRequest {
    values::save("User", user(&partition(number), SORT))
}

fn update(number: u64) -> v1::UpdateRequest {
    values::update(
        "User",
        values::key(&partition(number), SORT),
        UPDATE,
        [(":age", n(AGE))],
    )
}

/// An update of an item.
pub(crate) const UPDATE: &str = "SET age = :age";

/// The partition that is queried.
pub(crate) const LIST: &str = "LIST";

/// The sort key of an item of that partition.
pub(crate) fn sort_of_list(number: u64) -> String {
    format!("ITEM#{number:04}")
}

/// The sort key of all items.
pub(crate) const SORT: &str = "PROFILE";

/// The partition key of an item.
pub(crate) fn partition(number: u64) -> String {
    format!("USER#{number}")
}

/// A `User` without an encrypted field: the direct calls have no data keys.
fn user(partition: &str, sort: &str) -> Item {
    let mut user = values::key(partition, sort);
    user.extend(values::item([
        ("name", s(NAME)),
        ("email", s(EMAIL)),
        ("age", n(AGE)),
    ]));
    user
}

/// What every item has.
pub(crate) const NAME: &str = "Ada Lovelace";
pub(crate) const EMAIL: &str = "ada.lovelace@example.com";
pub(crate) const AGE: u32 = 36;
