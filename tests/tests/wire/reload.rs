//! Reloading models while calls are in flight: safe changes apply immediately, anything else changes nothing.

use std::fs;

use tempfile::TempDir;
use tollgate::app::Refused;
use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{expression, item, key, n, object, s};

const USERS: &str = "
name: User
table: users
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  age: { type: number, max: 150 }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key } }
  photo: { type: object, s3: { bucket: my-bucket } }
";

const ORDERS: &str = "
name: Order
table: orders
partition_key: id
attributes:
  id: { type: string }
  secret: { type: string, encrypted: { key_id: alias/orders } }
  bill: { type: object, s3: { bucket: order-bucket } }
";

/// A gateway and the folder of its models.
struct Rig {
    folder: TempDir,
    gateway: Gateway,
}

impl Rig {
    async fn start() -> Rig {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("user.yaml"), USERS).expect("written");
        let models = Some(folder.path().to_owned());
        let gateway = Gateway::with(Setup {
            models,
            ..Setup::default()
        })
        .await;
        Rig { folder, gateway }
    }

    fn write(&self, file: &str, source: &str) {
        fs::write(self.folder.path().join(file), source).expect("written");
    }

    /// Reloads; what changed.
    async fn reload(&self) -> Vec<String> {
        let changes = self.gateway.reloader().reload().await.expect("a safe change");
        changes.iter().map(ToString::to_string).collect()
    }

    /// Reloads what is refused; why.
    async fn refused(&self) -> Vec<String> {
        match self.gateway.reloader().reload().await.expect_err("it is refused") {
            Refused::Faults(faults) => faults.iter().map(ToString::to_string).collect(),
            Refused::Changes(changes) => changes.iter().map(ToString::to_string).collect(),
            Refused::Missing(missing) => missing,
            Refused::Policies(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    async fn save<const N: usize>(
        &self,
        model: &str,
        fields: [(&str, v1::AttributeValue); N],
    ) -> Result<(), Refusal> {
        let request = v1::SaveRequest {
            model: model.to_owned(),
            item: item(fields),
            ..v1::SaveRequest::default()
        };
        let response = self.gateway.save(request).await;
        match response.outcome {
            Ok(_) => Ok(()),
            Err(status) => Err(Refusal::of_status(&status)),
        }
    }

    async fn served(&self) -> Vec<v1::Model> {
        let models = self.gateway.schema().list_models(v1::ListModelsRequest {}).await;
        models.expect("models").into_inner().models
    }
}

#[tokio::test]
async fn added_attributes_and_checks_apply_immediately() {
    let rig = Rig::start().await;
    let nick = [("pk", s("A")), ("sk", s("1")), ("nick", s("Al"))];
    let old = [("pk", s("A")), ("sk", s("2")), ("age", n(160))];
    assert_eq!(
        rig.save("User", nick.clone()).await.unwrap_err().fields,
        ["item.nick"]
    );
    assert_eq!(
        rig.save("User", old.clone()).await.unwrap_err().fields,
        ["item.age"]
    );
    let changed = USERS.replace("max: 150", "max: 200") + "  nick: { type: string, max_length: 3 }\n";
    rig.write("user.yaml", &changed);
    assert_eq!(
        rig.reload().await,
        [
            "User: attribute `age`: `max` changed from 150 to 200",
            "User: attribute `nick` was added"
        ]
    );
    rig.save("User", nick).await.unwrap();
    rig.save("User", old).await.unwrap();
    let long = [("pk", s("A")), ("sk", s("3")), ("nick", s("Alan"))];
    assert_eq!(rig.save("User", long).await.unwrap_err().fields, ["item.nick"]);
    assert!(
        rig.served().await[0]
            .attributes
            .iter()
            .any(|attribute| attribute.name == "nick")
    );
    assert!(rig.reload().await.is_empty(), "nothing changed since");
}

#[tokio::test]
async fn refuses_changes_that_stored_items_depend_on() {
    let rig = Rig::start().await;
    let before = rig.served().await;
    for (from, to, why) in [
        (
            "table: users",
            "table: people",
            "`table` changed from users to people",
        ),
        ("sort_key: sk\n", "", "`sort_key` changed from sk to none"),
        ("alias/my-app-key", "alias/other", "`encrypted` changed"),
        ("bucket: my-bucket", "bucket: other-bucket", "`s3` changed"),
        (
            "{ type: number, max: 150 }",
            "{ type: string }",
            "`type` changed from number to string",
        ),
        ("name: User", "name: Person", "the model was removed"),
    ] {
        // a safe change beside it is not applied either
        let source = USERS.replace(from, to) + "  nick: { type: string }\n";
        rig.write("user.yaml", &source);
        let reasons = rig.refused().await;
        assert!(
            reasons
                .iter()
                .any(|reason| reason.starts_with("User: ") && reason.contains(why)),
            "{to}: {reasons:?}"
        );
        assert_eq!(rig.served().await, before, "{to}");
    }
    rig.write("user.yaml", USERS);
    assert!(rig.reload().await.is_empty());
}

#[tokio::test]
async fn reports_all_faults_of_the_files_and_keeps_the_models() {
    let rig = Rig::start().await;
    rig.write("user.yaml", &USERS.replace("max: 150", "max: many"));
    rig.write("order.yaml", "name: Order\n");
    let faults = rig.refused().await;
    for (file, line) in [
        ("user.yaml:9", "max"),
        ("order.yaml", "table"),
        ("order.yaml", "partition_key"),
    ] {
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains(file) && fault.contains(line)),
            "{file} {line}: {faults:?}"
        );
    }
    fs::remove_file(rig.folder.path().join("user.yaml")).unwrap();
    fs::remove_file(rig.folder.path().join("order.yaml")).unwrap();
    assert!(rig.refused().await[0].contains("no model file"));
    rig.save("User", [("pk", s("A")), ("sk", s("1"))]).await.unwrap();
}

#[tokio::test]
async fn an_added_model_has_its_table_keys_and_bucket() {
    let rig = Rig::start().await;
    let unknown = rig.save("Order", [("id", s("1"))]).await.unwrap_err();
    assert_eq!(unknown.reason, "UNKNOWN_MODEL");
    let totals = v1::GetTotalMetricsRequest {
        model: "Order".to_owned(),
        ..v1::GetTotalMetricsRequest::default()
    };
    assert!(
        rig.gateway
            .metrics()
            .get_total_metrics(totals.clone())
            .await
            .is_err()
    );
    rig.write("order.yaml", ORDERS);
    rig.gateway.provision().await;
    assert_eq!(
        rig.reload().await,
        ["Order: the model was added, on the table orders"]
    );
    let content = object("a bill".as_bytes());
    rig.save("Order", [("id", s("1")), ("secret", s("x")), ("bill", content)])
        .await
        .unwrap();
    assert_eq!(rig.served().await.len(), 2);
    let total = rig
        .gateway
        .metrics()
        .get_total_metrics(totals)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(total.total.unwrap().put_count, 1);
}

#[tokio::test]
async fn refuses_a_model_that_does_not_match_its_table() {
    let rig = Rig::start().await;
    let mut other = ORDERS.replace("table: orders", "table: users");
    rig.write("order.yaml", &other);
    assert!(
        rig.refused().await[0].contains("has different keys for the same table"),
        "models of one table agree"
    );
    other = ORDERS.replace(
        "key_id: alias/orders",
        "key_id: 11111111-2222-3333-4444-555555555555",
    );
    rig.write("order.yaml", &other);
    assert!(
        rig.refused().await[0].contains("11111111-2222"),
        "a key that nobody made"
    );
    assert_eq!(rig.served().await.len(), 1);
}

#[tokio::test]
async fn calls_in_flight_continue_during_a_reload() {
    let rig = Rig::start().await;
    for sort in ["1", "2", "3"] {
        rig.save("User", [("pk", s("A")), ("sk", s(sort)), ("age", n(100))])
            .await
            .unwrap();
    }
    let request = v1::QueryRequest {
        model: "User".to_owned(),
        key_condition: expression("pk = :p", [(":p", s("A"))]),
        page_size: 1,
        ..v1::QueryRequest::default()
    };
    let mut pages = rig.gateway.data().query(request).await.unwrap().into_inner();
    let first = pages.message().await.unwrap().unwrap();
    rig.write("user.yaml", &USERS.replace("max: 150", "max: 50"));
    assert_eq!(rig.reload().await.len(), 1);
    let mut found = first.results.len();
    while let Some(page) = pages.message().await.unwrap() {
        found += page
            .results
            .iter()
            .filter(|result| result.error.is_none())
            .count();
    }
    assert_eq!(found, 3);
    let get = v1::GetRequest {
        model: "User".to_owned(),
        key: key("A", "1"),
        ..v1::GetRequest::default()
    };
    assert_eq!(
        rig.gateway.get(get).await.ok().item["age"],
        n(100),
        "reads are lenient"
    );
}
