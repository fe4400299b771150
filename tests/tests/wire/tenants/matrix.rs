//! Every combination of request, caller and tenant of the item, with and without `CrossTenant`, against a table of
//! expected decisions.

use super::*;

/// The columns: each caller, for an item of each tenant. `inspector` is of the tenant `acme`, `nobody` and `auditor` are
/// of none; `CrossTenant` is permitted to `inspector` and `auditor`.
const COLUMNS: [(&str, &str); 10] = [
    ("acme", "acme"),
    ("acme", "globex"),
    ("inspector", "acme"),
    ("inspector", "globex"),
    ("globex", "acme"),
    ("globex", "globex"),
    ("nobody", "acme"),
    ("nobody", "globex"),
    ("auditor", "acme"),
    ("auditor", "globex"),
];

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Reach {
    /// Of one tenant.
    Of(Asked),
    /// A Scan of the items of all tenants.
    Scan,
    /// A Query of the items of all tenants on an index.
    IndexOfAll,
}

/// One letter per column: `a` is allowed, `d` is denied, `c` is denied because `CrossTenant` is not permitted.
const EXPECTED: [(Reach, &str); 16] = [
    (Reach::Of(Asked::Get), "adaddadddd"),
    (Reach::Of(Asked::Save), "adaddadddd"),
    (Reach::Of(Asked::Validate), "adaddadddd"),
    (Reach::Of(Asked::Update), "adaddadddd"),
    (Reach::Of(Asked::Query), "adaddadddd"),
    (Reach::Of(Asked::QueryIndex), "adaddadddd"),
    (Reach::Of(Asked::BatchGet), "adaddadddd"),
    (Reach::Of(Asked::BatchWrite), "adaddadddd"),
    (Reach::Of(Asked::TransactGet), "adaddadddd"),
    (Reach::Of(Asked::TransactWrite), "adaddadddd"),
    (Reach::Of(Asked::Download), "adaddadddd"),
    (Reach::Of(Asked::Presign), "adaddadddd"),
    (Reach::Of(Asked::Upload), "adaddadddd"),
    (Reach::Scan, "ccaaccccaa"),
    (Reach::IndexOfAll, "ccaaccccaa"),
    (Reach::Of(Asked::Delete), "adaddadddd"),
];

async fn decision(tenants: &Tenants, request: Reach, caller: &str, tenant: &str) -> char {
    let outcome = match request {
        Reach::Of(asked) => tenants.status(caller, &asked, tenant).await,
        Reach::Scan => {
            let scanned = tenants.gateway.scan(tenants.by(caller, scan("Invoice"))).await;
            scanned.outcome.map(|_| ())
        }
        Reach::IndexOfAll => {
            let by_day = tenants.by(caller, query_of_all());
            tenants.gateway.query(by_day).await.outcome.map(|_| ())
        }
    };
    match outcome {
        Ok(()) => 'a',
        Err(status) if status.code() != Code::PermissionDenied => {
            panic!("{request:?} of {tenant} by {caller}: {status:?}")
        }
        Err(status) if reports_cross_tenant(&status) => 'c',
        Err(_) => 'd',
    }
}

/// The results of batches have no details.
fn reports_cross_tenant(status: &Status) -> bool {
    !status.details().is_empty() && action_of(status) == "CrossTenant"
}

#[tokio::test]
async fn every_combination_of_caller_request_and_tenant_is_decided_as_the_table_says() {
    let tenants = Tenants::start(&Wiretap::counting(), Some(POLICIES)).await;
    for tenant in ["acme", "globex"] {
        tenants.add(tenant).await;
    }
    let mut differing = Vec::new();
    for (request, letters) in EXPECTED {
        assert_eq!(letters.len(), COLUMNS.len());
        for ((caller, tenant), expected) in COLUMNS.into_iter().zip(letters.chars()) {
            let decided = decision(&tenants, request, caller, tenant).await;
            if decided != expected {
                differing.push(format!(
                    "{request:?} of {tenant} by {caller}: {decided}, expected {expected}"
                ));
            }
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
}
