//! How often a Get allocates in the gateway, beside a direct call of the SDK: counted by a program that is built for it, since
//! counting takes time.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::io::AsyncBufReadExt as _;
use tokio::io::{AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::connect;

use super::direct::TABLE;
use super::process::{aws_settings, spawn};
use super::table::{Table, at_most};
use super::{Plan, canned, load};

/// Allocations of a Get in the gateway, of those of a direct call.
const GOAL: f64 = 1.33;
/// Calls that are counted, and those before them.
const CALLS: usize = 1000;
const WARM_UP: usize = 100;

/// A program that counts.
struct Counting {
    _process: Child,
    orders: ChildStdin,
    responses: Lines<BufReader<ChildStdout>>,
}

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", canned::serve().await);
    let through = through_gateway(plan, &endpoint).await;
    let direct = directly(plan, &endpoint).await;
    let mut table = Table::new(&["allocations per Get: gateway", "SDK", "ratio", "goal"]);
    table.row([
        format!("{through:.1}"),
        format!("{direct:.1}"),
        format!("{:.2}", through / direct),
        at_most(GOAL, through / direct),
    ]);
    table.print("Allocations of a Get from a canned DynamoDB over TCP, one call at a time");
}

async fn through_gateway(plan: &Plan, endpoint: &str) -> f64 {
    let mut command = Command::new(&plan.counting_program);
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "json",
            "--backend",
            "aws",
        ])
        .current_dir(std::env::temp_dir())
        .envs(aws_settings(endpoint));
    let mut gateway = Counting::start(command);
    let line = gateway.line().await;
    let address = line
        .strip_prefix("listening ")
        .and_then(|address| address.parse().ok());
    let address: SocketAddr = address.unwrap_or_else(|| panic!("the gateway said {line:?}"));
    let mut client = DataServiceClient::new(connect(address).await);
    let mut begun = 0.0;
    for number in 0..WARM_UP + CALLS {
        if number == WARM_UP {
            begun = gateway.ask("count").await;
        }
        client.get(load::get(0)).await.expect("a Get succeeds");
    }
    (gateway.ask("count").await - begun) / CALLS as f64
}

async fn directly(plan: &Plan, endpoint: &str) -> f64 {
    let mut command = Command::new(&plan.counting_program);
    command.args(["direct", endpoint, TABLE]);
    let mut direct = Counting::start(command);
    for _ in 0..WARM_UP {
        direct.ask("get").await;
    }
    // reading a line and printing the count allocate too
    let [first, last] = [direct.ask("count").await, direct.ask("count").await];
    let orders = last - first;
    let mut gets = last;
    for _ in 0..CALLS {
        gets = direct.ask("get").await;
    }
    (gets - last) / CALLS as f64 - orders
}

impl Counting {
    fn start(mut command: Command) -> Counting {
        command.stdin(Stdio::piped());
        let (mut process, stdout) = spawn(command);
        Counting {
            orders: process.stdin.take().expect("it is piped"),
            _process: process,
            responses: stdout.lines(),
        }
    }

    async fn ask(&mut self, order: &str) -> f64 {
        let sent = self.orders.write_all(format!("{order}\n").as_bytes()).await;
        sent.expect("the process listens");
        self.line().await.parse().expect("a count")
    }

    async fn line(&mut self) -> String {
        let line = self.responses.next_line().await.expect("the process responds");
        line.expect("the process lives")
    }
}
