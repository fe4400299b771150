//! Models whose items belong to tenants: who reaches which items, and under which keys they are encrypted.

mod asked;
mod matrix;

use std::collections::BTreeMap;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::callers::{Setting, bearing};
use tollgate_tests::external::{self, Store};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::text;
use tollgate_tests::values::{Item, expression, get, item, n, object, s, save, scan};
use tollgate_tests::wiretap::Wiretap;
use tonic::{Code, Request, Status};

use self::asked::{ALL, Asked};

const MODELS: &str = r#"
name: Invoice
table: invoices
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string, template: "TENANT#{tenant}#{customer}" }
  sk: { type: string }
  tenant: { type: string }
  customer: { type: string }
  amount: { type: number }
  iban: { type: string, encrypted: { key_id: "alias/tenant-{tenant}" } }
  scan: { type: object, s3: { bucket: my-bucket, prefix: invoices/ }, encrypted: { key_id: "alias/tenant-{tenant}" } }
  due: { type: string, template: "TENANT#{tenant}#{day}" }
  day: { type: string }
indexes:
  by_due: { partition_key: due, sort_key: sk }
  by_day: { partition_key: day, sort_key: sk }
tenant: { prefix: "TENANT#{tenant}#" }
protect: sealed
---
name: Order
table: orders
partition_key: pk
attributes:
  pk: { type: string }
  note: { type: string, encrypted: { key_id: "alias/tenant-{tenant}" } }
tenant: { prefix: "TENANT#{tenant}#" }
idempotency: { table: remembered }
"#;

const POLICIES: &str = r#"
permit(principal, action, resource) unless { action == Tollgate::Action::"CrossTenant" };
permit(principal == Tollgate::Caller::"auditor", action == Tollgate::Action::"CrossTenant", resource);
permit(principal == Tollgate::Caller::"inspector", action == Tollgate::Action::"CrossTenant", resource);
"#;

struct Tenants {
    gateway: Gateway,
    tokens: BTreeMap<&'static str, String>,
    _setting: Setting,
}

impl Tenants {
    /// A gateway with callers `acme` and `globex` of the tenants of their names, `inspector` of `acme`, `nobody` and
    /// `auditor` without one.
    async fn start(wiretap: &Wiretap, policies: Option<&str>) -> Tenants {
        let mut setting = Setting::default();
        let tokens = BTreeMap::from([
            ("acme", setting.token("acme", ", tenant: acme")),
            ("globex", setting.token("globex", ", tenant: globex")),
            ("inspector", setting.token("inspector", ", tenant: acme")),
            ("nobody", setting.token("nobody", "")),
            ("auditor", setting.token("auditor", "")),
        ]);
        let mut settings = setting.settings();
        if let Some(policies) = policies {
            std::fs::create_dir(setting.path("policies")).expect("a folder");
            setting.write("policies/a.cedar", policies);
            settings.push(("TOLLGATE_POLICIES", setting.path("policies")));
        }
        let setup = Setup {
            settings,
            ..Setup::tapped(wiretap)
        };
        let gateway = Gateway::of_models(MODELS, setup).await;
        if external::store() != Store::Embedded {
            // the embedded backend creates them when they are first used
            for tenant in ["acme", "globex"] {
                let alias = format!("alias/tenant-{tenant}");
                wiretap.stores().data_key(&alias, &[]).await;
            }
        }
        Tenants {
            gateway,
            tokens,
            _setting: setting,
        }
    }

    fn by<T>(&self, caller: &str, message: T) -> Request<T> {
        bearing(message, &self.tokens[caller])
    }

    async fn add(&self, tenant: &str) {
        let saved = self
            .gateway
            .save(self.by(tenant, save("Invoice", invoice(tenant))));
        saved.await.ok();
    }

    async fn status(&self, caller: &str, request: &Asked, tenant: &str) -> Result<(), Status> {
        request.send(self, caller, tenant).await
    }
}

fn invoice_key(tenant: &str) -> Item {
    item([("tenant", s(tenant)), ("customer", s("7")), ("sk", s("1"))])
}

fn invoice(tenant: &str) -> Item {
    let mut invoice = invoice_key(tenant);
    invoice.extend(item([
        ("amount", n(12)),
        ("iban", s(format!("IBAN of {tenant}"))),
        ("scan", object(format!("scan of {tenant}"))),
        ("day", s("2027-01-01")),
    ]));
    invoice
}

#[tokio::test]
async fn callers_reach_only_the_items_of_their_tenant() {
    let wiretap = Wiretap::counting();
    let tenants = Tenants::start(&wiretap, None).await;
    tenants.add("acme").await;
    tenants.add("globex").await;
    wiretap.clear();
    for request in ALL {
        for (caller, tenant) in [
            ("acme", "globex"),
            ("globex", "acme"),
            ("nobody", "acme"),
            ("acme", "acme-2"),
        ] {
            let status = tenants.status(caller, &request, tenant).await.unwrap_err();
            assert_eq!(
                status.code(),
                Code::PermissionDenied,
                "{request:?} by {caller}: {status:?}"
            );
        }
    }
    assert!(wiretap.counts().is_empty(), "{:?}", wiretap.counts());
    for request in ALL {
        for tenant in ["acme", "globex"] {
            let outcome = tenants.status(tenant, &request, tenant).await;
            outcome.unwrap_or_else(|status| panic!("{request:?} of {tenant}: {status:?}"));
        }
    }
}

#[tokio::test]
async fn a_key_that_is_not_valid_is_reported_to_its_tenant_alone() {
    let tenants = Tenants::start(&Wiretap::counting(), None).await;
    let incomplete = || get("Invoice", item([("tenant", s("acme"))]));
    let of_tenant = tenants.gateway.get(tenants.by("acme", incomplete())).await;
    assert_eq!(Refusal::of(of_tenant).code, Code::InvalidArgument);
    let of_nobody = tenants.gateway.get(tenants.by("nobody", incomplete())).await;
    assert_eq!(Refusal::of(of_nobody).code, Code::PermissionDenied);
}

#[tokio::test]
async fn each_tenant_has_a_key_and_a_context() {
    let wiretap = Wiretap::counting();
    let tenants = Tenants::start(&wiretap, None).await;
    for tenant in ["acme", "globex"] {
        tenants.add(tenant).await;
        let request = v1::GetRequest {
            include_objects: vec!["scan".to_owned()],
            ..get("Invoice", invoice_key(tenant))
        };
        let found = tenants.gateway.get(tenants.by(tenant, request)).await.ok().item;
        assert_eq!(found["iban"], s(format!("IBAN of {tenant}")));
    }
    // the ciphertext and the seal of one tenant do not open in an item of the other
    let table = wiretap.stores();
    let mut moved = table
        .item("invoices", "TENANT#acme#7", "1")
        .await
        .expect("it is stored");
    moved.insert("pk".to_owned(), text("TENANT#globex#7"));
    table.put("invoices", moved).await;
    let request = tenants.by("globex", get("Invoice", invoice_key("globex")));
    let refusal = Refusal::of(tenants.gateway.get(request).await);
    // KMS may look at the context before the key
    assert!(
        ["KEY_NOT_ACCEPTED", "SEAL_INVALID"].contains(&refusal.reason.as_str()),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn reads_of_all_tenants_need_an_action_that_nothing_implies() {
    let without_policies = Tenants::start(&Wiretap::counting(), None).await;
    let scan_all = || scan("Invoice");
    for caller in ["acme", "auditor"] {
        let scanned = without_policies
            .gateway
            .scan(without_policies.by(caller, scan_all()))
            .await;
        assert_eq!(Refusal::of(scanned).code, Code::PermissionDenied);
    }
    let tenants = Tenants::start(&Wiretap::counting(), Some(POLICIES)).await;
    tenants.add("acme").await;
    tenants.add("globex").await;
    for caller in ["acme", "nobody"] {
        let scanned = tenants
            .gateway
            .scan(tenants.by(caller, scan_all()))
            .await
            .status();
        assert_eq!(action_of(&scanned), "CrossTenant");
        let queried = tenants
            .gateway
            .query(tenants.by(caller, query_of_all()))
            .await
            .status();
        assert_eq!(action_of(&queried), "CrossTenant");
    }
    let scanned = tenants.gateway.scan(tenants.by("auditor", scan_all())).await.ok();
    let mut found: Vec<String> = texts_of(scanned.iter().flat_map(|page| &page.results));
    found.sort_unstable();
    assert_eq!(found, ["IBAN of acme", "IBAN of globex"]);
    let queried = tenants
        .gateway
        .query(tenants.by("auditor", query_of_all()))
        .await
        .ok();
    assert_eq!(texts_of(queried.iter().flat_map(|page| &page.results)).len(), 2);
    // it is for reads of many partitions: an item of a tenant is its callers' alone
    let status = tenants.status("auditor", &Asked::Get, "acme").await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn page_tokens_and_request_ids_of_another_tenant_are_worth_nothing() {
    let tenants = Tenants::start(&Wiretap::counting(), None).await;
    for (tenant, note) in [("acme", "first"), ("globex", "second")] {
        let mut request = save(
            "Order",
            item([("pk", s(format!("TENANT#{tenant}#1"))), ("note", s(note))]),
        );
        request.request_id = "the-same-id".to_owned();
        for _ in 0..2 {
            tenants
                .gateway
                .save(tenants.by(tenant, request.clone()))
                .await
                .ok();
        }
        let request = get("Order", item([("pk", s(format!("TENANT#{tenant}#1")))]));
        let found = tenants.gateway.get(tenants.by(tenant, request)).await.ok();
        assert_eq!(found.item["note"], s(note));
    }
    for sort in ["1", "2"] {
        let mut invoice = invoice("acme");
        invoice.insert("sk".to_owned(), s(sort));
        tenants
            .gateway
            .save(tenants.by("acme", save("Invoice", invoice)))
            .await
            .ok();
    }
    let mut request = Asked::Query.query("acme");
    request.limit = 1;
    let page = tenants
        .gateway
        .query(tenants.by("acme", request.clone()))
        .await
        .ok();
    request.page_token = page.last().expect("a page").next_page_token.clone();
    assert!(!request.page_token.is_empty());
    let status = tenants
        .gateway
        .query(tenants.by("globex", request))
        .await
        .status();
    assert_eq!(status.code(), Code::PermissionDenied);
}

/// A Query of an index whose key has no tenant.
fn query_of_all() -> v1::QueryRequest {
    v1::QueryRequest {
        model: "Invoice".to_owned(),
        index: "by_day".to_owned(),
        key_condition: expression("day = :d", [(":d", s("2027-01-01"))]),
        ..v1::QueryRequest::default()
    }
}

fn action_of(status: &Status) -> String {
    let refusal = Refusal::of_status(status);
    assert_eq!(refusal.code, Code::PermissionDenied, "{status:?}");
    let info = refusal.details.error_info().expect("ErrorInfo");
    info.metadata.get("action").cloned().unwrap_or_default()
}

fn texts_of<'a>(results: impl Iterator<Item = &'a v1::ItemResult>) -> Vec<String> {
    let ibans = results.map(|result| match &result.item["iban"].kind {
        Some(Kind::S(text)) => text.clone(),
        other => panic!("{other:?}"),
    });
    ibans.collect()
}
