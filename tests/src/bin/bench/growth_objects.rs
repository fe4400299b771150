//! How the cost of an object grows with its size, in memory: CPU per MiB up and down. Objects of 1 GiB are in the part `objects`.

use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::connect;

use super::Plan;
use super::growth::grown;
use super::load::measure as measured;
use super::objects::{download, upload};
use super::process::{Cores, Gateway, Store};
use super::table::{Table, median};

/// Bytes of an object, and how many are sent in a turn.
const OBJECTS: [(u64, u64); 3] = [(1 << 10, 1000), (1 << 20, 50), (64 << 20, 2)];
const MIB: f64 = (1 << 20) as f64;
const TITLES: [&str; 2] = [
    "Growth: an Upload, CPU by bytes",
    "Growth: a Download, CPU by bytes",
];

pub(crate) async fn measure(plan: &Plan) {
    let gateway = Gateway::start(&plan.program, Cores::First, Store::Memory, &[]).await;
    let mut client = DataServiceClient::new(connect(gateway.address).await);
    let mut turns = [const { [const { Vec::new() }; OBJECTS.len()] }; 2];
    for _ in 0..plan.rounds {
        for (index, (bytes, count)) in OBJECTS.into_iter().enumerate() {
            let up = measured(gateway.id(), async {
                for _ in 0..count {
                    upload(&mut client, bytes).await;
                }
                count
            });
            turns[0][index].push(up.await.cpu_us);
            let down = measured(gateway.id(), async {
                for _ in 0..count {
                    assert_eq!(download(&mut client).await, bytes);
                }
                count
            });
            turns[1][index].push(down.await.cpu_us);
        }
    }
    for (title, turns) in TITLES.into_iter().zip(turns) {
        let mut table = Table::new(&[
            "bytes of the object",
            "µs of CPU per call",
            "per MiB",
            "of the smallest",
            "of the one before",
            "goal",
        ]);
        let (mut smallest, mut before) = (None, None);
        for ((bytes, _), turns) in OBJECTS.into_iter().zip(turns) {
            let cpu_us = median(turns);
            let each = cpu_us * MIB / bytes as f64;
            let mut row = vec![bytes.to_string(), format!("{cpu_us:.1}"), format!("{each:.0}")];
            row.extend(grown(each, smallest, before));
            table.row(row);
            smallest.get_or_insert(each);
            before = Some(each);
        }
        table.print(title);
    }
    gateway.kill().await;
}
