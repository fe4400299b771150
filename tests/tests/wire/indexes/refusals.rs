//! What an index cannot do.

use tollgate_proto::v1;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{expression, n, s, scan};

use super::{of_status, orders, supports_key_lists};

#[tokio::test]
async fn what_a_global_index_cannot_do_is_refused_by_field() {
    let gateway = orders().await;
    let refuse = async |change: &dyn Fn(&mut v1::QueryRequest), reason: &str, field: &str| {
        let mut request = of_status("by_note", "open");
        change(&mut request);
        let refused = Refusal::of(gateway.query(request).await);
        refused.is(reason, &[field]);
        refused.cost_nothing();
    };
    let fields = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    refuse(
        &|request| request.consistent_read = true,
        "INVALID_FIELD",
        "consistent_read",
    )
    .await;
    refuse(
        &|request| request.fields = fields(&["id", "secret"]),
        "INVALID_FIELD",
        "fields[1]",
    )
    .await;
    refuse(
        &|request| request.include_objects = fields(&["invoice"]),
        "INVALID_FIELD",
        "include_objects",
    )
    .await;
    refuse(
        &|request| request.filter = expression("total > :t", [(":t", n(1))]),
        "INVALID_EXPRESSION",
        "filter.text",
    )
    .await;
    refuse(
        &|request| request.filter = expression("note = :n", [(":n", s("x"))]),
        "INVALID_EXPRESSION",
        "filter.text",
    )
    .await;
    let request = v1::ScanRequest {
        index: "by_note".to_owned(),
        consistent_read: true,
        ..scan("Order")
    };
    Refusal::of(gateway.scan(request).await).is("INVALID_FIELD", &["consistent_read"]);
    // the table's keys are no keys of the index: a filter can use them
    let request = v1::QueryRequest {
        filter: expression("id = :i AND customer = :i", [(":i", s("1"))]),
        ..of_status("by_note", "open")
    };
    gateway.query(request).await.ok();
}

#[tokio::test]
async fn an_unknown_index_is_refused_with_the_known_ones() {
    let gateway = orders().await;
    let mut known = "by_status, by_total, by_note".to_owned();
    if supports_key_lists() {
        known += ", by_both";
    }
    for validate_only in [false, true] {
        let request = v1::QueryRequest {
            validate_only,
            ..of_status("by_stauts", "open")
        };
        let refused = Refusal::of(gateway.query(request).await);
        refused.is("UNKNOWN_INDEX", &[]);
        assert_eq!(
            refused.message,
            format!(r#"Order has no index "by_stauts"; it has {known}"#)
        );
        let resource = refused.details.resource_info().expect("the index");
        assert_eq!(
            (resource.resource_type.as_str(), resource.resource_name.as_str()),
            ("tollgate.index", "by_stauts")
        );
    }
    // the stored name is not the name
    let request = v1::ScanRequest {
        index: "gsi-1".to_owned(),
        ..scan("Order")
    };
    Refusal::of(gateway.scan(request).await).is("UNKNOWN_INDEX", &[]);
}
