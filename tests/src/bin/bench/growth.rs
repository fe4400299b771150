//! How the cost of a call grows with its input: nothing may grow faster than what it is given. Each input has its turns
//! beside the others of its table.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tempfile::TempDir;
use tollgate_proto::v1;
use tollgate_tests::gateway::in_session;
use tollgate_tests::values::{self, key, s};

use super::load::{self, ITEMS, LIST, SORT, partition};
use super::loops::{Callers, Client};
use super::memory::get;
use super::model_folder::{INDEX_KEYS, index_key, indexed, models};
use super::process::{Cores, Gateway, aws_settings, resident_mib};
use super::sized::{self, sort_of_size};
use super::table::{Table, at_most, median};
use super::{Plan, growth_objects};

/// Cost per unit, of that of the input before.
pub(crate) const GOAL: f64 = 1.1;
const WARM_UP: Duration = Duration::from_millis(300);
/// What a start sets in motion has come to rest by then.
const SETTLE: Duration = Duration::from_secs(1);
const PAGE_ITEMS: [u32; 4] = [1, 10, 100, 1000];
const ITEM_BYTES: [usize; 5] = [100, 1_000, 10_000, 100_000, 400_000];
const CALLERS: [usize; 5] = [1, 8, 64, 512, 1000];
const SESSIONS: [u64; 3] = [0, 1_000, 100_000];
const MODELS: [usize; 4] = [1, 10, 100, 1000];
const INDEXES: [usize; 4] = [0, 1, 5, 20];

type Call = Arc<dyn Fn(Client, u64) -> BoxFuture<'static, ()> + Send + Sync>;

/// One input.
struct Case {
    name: String,
    /// What the cost is divided by.
    units: f64,
    in_flight: usize,
    callers: Arc<Callers>,
    call: Call,
    /// Further figures of the gateway.
    notes: Vec<String>,
}

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", sized::serve().await);
    let gateway = start(plan, &endpoint, None).await;
    let callers = Arc::new(Callers::of(&gateway).await);
    pages(plan, &callers).await;
    sizes(plan, &callers).await;
    flights(plan, &callers).await;
    gateway.kill().await;
    sessions(plan, &endpoint).await;
    many_models(plan, &endpoint).await;
    indexes(plan, &endpoint).await;
    growth_objects::measure(plan).await;
}

async fn start(plan: &Plan, endpoint: &str, models: Option<&TempDir>) -> Gateway {
    let mut settings = aws_settings(endpoint).to_vec();
    settings.push(("TOLLGATE_LIMITS__ADAPTIVE", "false"));
    if let Some(models) = models {
        let folder = models.path().to_str().expect("a path of this bench");
        settings.push(("TOLLGATE_MODELS", folder));
    }
    Gateway::start_on_aws(&plan.program, Cores::First, &settings).await
}

async fn pages(plan: &Plan, callers: &Arc<Callers>) {
    let cases = PAGE_ITEMS.map(|items| Case {
        call: call(move |client, _| query(client, items)),
        ..Case::new(plan, &items, f64::from(items), callers)
    });
    Case::print(plan, &cases, "items per page", "item", &[], "a Query").await;
}

async fn sizes(plan: &Plan, callers: &Arc<Callers>) {
    let cases = ITEM_BYTES.map(|bytes| Case {
        call: call(move |client, number| get_sized(client, number, bytes)),
        // fewer of the large ones: this process has to hold them all
        in_flight: plan.callers.min(8),
        ..Case::new(plan, &bytes, bytes as f64 / 1000.0, callers)
    });
    Case::print(
        plan,
        &cases,
        "bytes of the item",
        "KB",
        &[],
        "a Get of a large item",
    )
    .await;
}

async fn flights(plan: &Plan, callers: &Arc<Callers>) {
    let cases = CALLERS.map(|in_flight| Case {
        in_flight,
        ..Case::new(plan, &in_flight, 1.0, callers)
    });
    Case::print(plan, &cases, "callers", "call", &[], "a Get with many callers").await;
}

async fn sessions(plan: &Plan, endpoint: &str) {
    let (mut cases, mut gateways, mut idle) = (Vec::new(), Vec::new(), 0.0);
    for sessions in SESSIONS {
        let gateway = start(plan, endpoint, None).await;
        let callers = Arc::new(Callers::of(&gateway).await);
        callers
            .calls(sessions, move |client, number| get_in(client, number, sessions))
            .await;
        tokio::time::sleep(SETTLE).await;
        let resident = resident_mib(gateway.id());
        if sessions == 0 {
            idle = resident;
        }
        let each = match sessions {
            0 => "-".to_owned(),
            _ => format!("{:.2}", (resident - idle) * 1024.0 / sessions as f64),
        };
        cases.push(Case {
            call: call(move |client, number| get_in(client, number, sessions)),
            notes: vec![format!("{resident:.1}"), each],
            ..Case::new(plan, &sessions, 1.0, &callers)
        });
        gateways.push(gateway);
    }
    let notes = ["MiB resident", "KiB per session"];
    Case::print(
        plan,
        &cases,
        "sessions",
        "call",
        &notes,
        "a Get with many sessions",
    )
    .await;
}

async fn many_models(plan: &Plan, endpoint: &str) {
    let (mut cases, mut gateways) = (Vec::new(), Vec::new());
    for count in MODELS {
        let folder = models(count);
        let gateway = start(plan, endpoint, Some(&folder)).await;
        tokio::time::sleep(SETTLE).await;
        let started_ms = gateway.started_in.as_secs_f64() * 1000.0;
        let callers = Arc::new(Callers::of(&gateway).await);
        cases.push(Case {
            call: call(move |client, number| get_of_model(client, number, count as u64)),
            notes: vec![
                format!("{started_ms:.0}"),
                format!("{:.3}", started_ms / count as f64),
                format!("{:.1}", resident_mib(gateway.id())),
            ],
            ..Case::new(plan, &count, 1.0, &callers)
        });
        gateways.push(gateway);
    }
    let notes = ["ms to SERVING", "ms per model", "idle MiB"];
    Case::print(plan, &cases, "models", "call", &notes, "a Get with many models").await;
}

async fn indexes(plan: &Plan, endpoint: &str) {
    let (mut cases, mut gateways) = (Vec::new(), Vec::new());
    for count in INDEXES {
        let gateway = start(plan, endpoint, Some(&indexed(count))).await;
        let callers = Arc::new(Callers::of(&gateway).await);
        cases.push(Case {
            call: call(save_indexed),
            ..Case::new(plan, &count, 1.0, &callers)
        });
        gateways.push(gateway);
    }
    let title = "a Save of an item with 20 keys of indexes";
    Case::print(plan, &cases, "indexes", "call", &[], title).await;
}

impl Case {
    fn new(plan: &Plan, name: &impl ToString, units: f64, callers: &Arc<Callers>) -> Case {
        Case {
            name: name.to_string(),
            units,
            in_flight: plan.callers,
            callers: Arc::clone(callers),
            call: call(get),
            notes: Vec::new(),
        }
    }

    async fn cpu_us(&self, time: Duration) -> f64 {
        let call = Arc::clone(&self.call);
        let turn = self
            .callers
            .turn(self.in_flight, time, move |client, number| call(client, number));
        turn.await.cpu_us
    }

    async fn print(plan: &Plan, cases: &[Case], input: &str, unit: &str, notes: &[&str], title: &str) {
        let mut turns = vec![Vec::new(); cases.len()];
        for round in 0..=plan.rounds {
            for (case, turns) in cases.iter().zip(&mut turns) {
                if round == 0 {
                    case.cpu_us(WARM_UP).await;
                } else {
                    turns.push(case.cpu_us(plan.turn / 2).await);
                }
            }
        }
        let per_unit = format!("per {unit}");
        let mut head = vec![
            input,
            "µs of CPU per call",
            &per_unit,
            "of the smallest",
            "of the one before",
            "goal",
        ];
        head.extend(notes);
        let mut table = Table::new(&head);
        let (mut smallest, mut before) = (None, None);
        for (case, turns) in cases.iter().zip(turns) {
            let cpu_us = median(turns);
            let each = cpu_us / case.units;
            let mut row = vec![case.name.clone(), format!("{cpu_us:.1}"), format!("{each:.2}")];
            row.extend(grown(each, smallest, before));
            row.extend(case.notes.iter().cloned());
            table.row(row);
            smallest.get_or_insert(each);
            before = Some(each);
        }
        table.print(&format!("Growth: {title}, CPU by {input}"));
    }
}

/// Cost per unit beside that of the smallest input and of the one before, and the goal.
pub(crate) fn grown(each: f64, smallest: Option<f64>, before: Option<f64>) -> [String; 3] {
    let (Some(smallest), Some(before)) = (smallest, before) else {
        return ["1", "-", "-"].map(str::to_owned);
    };
    let ratio = each / before;
    [
        format!("{:.3}", each / smallest),
        format!("{ratio:.3}"),
        at_most(GOAL, ratio),
    ]
}

fn call<F>(make: impl Fn(Client, u64) -> F + Send + Sync + 'static) -> Call
where
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |client, number| Box::pin(make(client, number)))
}

async fn query(mut client: Client, items: u32) {
    let request = v1::QueryRequest {
        limit: items,
        ..values::query("User", LIST)
    };
    let mut stream = client.query(request).await.expect("a Query begins").into_inner();
    let mut found = 0;
    while let Some(message) = stream.message().await.expect("a Query succeeds") {
        found += message.results.len();
    }
    assert_eq!(found, items as usize);
}

async fn get_sized(mut client: Client, number: u64, bytes: usize) {
    let request = values::get("User", key(&partition(number % ITEMS), &sort_of_size(bytes)));
    let found = client.get(request).await.expect("a Get succeeds").into_inner();
    assert_eq!(found.item.len(), 3);
}

async fn get_in(mut client: Client, number: u64, sessions: u64) {
    let request = load::get(number % ITEMS);
    let request = match sessions {
        0 => tonic::Request::new(request),
        _ => in_session(request, &format!("session-{}", number % sessions)),
    };
    client.get(request).await.expect("a Get succeeds");
}

async fn get_of_model(mut client: Client, number: u64, models: u64) {
    let model = format!("Model{}", number % models);
    let request = values::get(&model, key(&partition(number % ITEMS), SORT));
    client.get(request).await.expect("a Get succeeds");
}

async fn save_indexed(mut client: Client, number: u64) {
    let mut item = key(&partition(number % ITEMS), SORT);
    item.extend((0..INDEX_KEYS).map(|key| (index_key(key), s("a key of an index"))));
    client
        .save(values::save("Model0", item))
        .await
        .expect("an item is saved");
}
