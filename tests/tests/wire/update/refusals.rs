//! Updates that are refused: before anything is spent, or by the stored item.

use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{
    AttributeValue, delete, expression, item, key, l, m, n, object, s, save, update,
};
use tollgate_tests::wiretap::Wiretap;
use tonic::Code;

use super::{accounts, read, returning};

fn account<const N: usize>(text: &str, values: [(&str, AttributeValue); N]) -> v1::UpdateRequest {
    update("Account", key("A", "1"), text, values)
}

async fn saved() -> Gateway {
    let gateway = accounts().await;
    let mut account = key("A", "1");
    account.extend(item([
        ("owner", s("Ada")),
        ("balance", n(50)),
        ("tags", l([s("a"), s("b")])),
    ]));
    gateway.save(save("Account", account)).await.ok();
    gateway
}

async fn refused(gateway: &Gateway, request: v1::UpdateRequest) -> Refusal {
    Refusal::of(gateway.update(request).await)
}

fn bad_requests() -> Vec<(v1::UpdateRequest, &'static str, Vec<&'static str>)> {
    vec![
        (account("", []), "INVALID_FIELD", vec!["update"]),
        (account("SET", []), "INVALID_EXPRESSION", vec!["update.text"]),
        (
            account("SET pk = :s", [(":s", s("x"))]),
            "INVALID_EXPRESSION",
            vec!["update.text"],
        ),
        (
            account("SET balance = :n", [(":n", n(101))]),
            "INVALID_EXPRESSION",
            vec!["update.values.:n"],
        ),
        (
            account("SET state = :s", [(":s", s("ajar"))]),
            "INVALID_EXPRESSION",
            vec!["update.values.:s"],
        ),
        (
            account("REMOVE owner", []),
            "INVALID_EXPRESSION",
            vec!["update.text"],
        ),
        (
            account("SET pin.part = :s", [(":s", s("x"))]),
            "INVALID_EXPRESSION",
            vec!["update.text"],
        ),
        (
            account("ADD pin :n", [(":n", n(1))]),
            "INVALID_EXPRESSION",
            vec!["update.text"],
        ),
        (
            account("SET balance = :n", [(":n", s("1")), (":unused", s("x"))]),
            "INVALID_EXPRESSION",
            vec!["update.values.:n", "update.values.:unused"],
        ),
        (
            v1::UpdateRequest {
                version: 3,
                key: item([("pk", s("A"))]),
                ..account("SET note = :s", [(":s", s("x"))])
            },
            "INVALID_FIELD",
            vec!["key.sk", "version"],
        ),
        (
            v1::UpdateRequest {
                return_values: 9,
                ..account("SET note = :s", [(":s", s("x"))])
            },
            "INVALID_FIELD",
            vec!["return_values"],
        ),
    ]
}

#[tokio::test]
async fn bad_requests_cost_nothing_and_name_their_fields() {
    let gateway = saved().await;
    for (request, reason, fields) in bad_requests() {
        let refusal = refused(&gateway, request).await;
        refusal.is(reason, &fields);
        refusal.cost_nothing();
    }
    let mode = refused(&gateway, account("SET sealed_by_another = :s", [(":s", s("x"))])).await;
    assert_eq!(
        (mode.reason.as_str(), mode.code),
        ("ENCRYPTION_MODE", Code::FailedPrecondition)
    );
    mode.cost_nothing();
    let large = refused(
        &gateway,
        account("SET pin = :s", [(":s", s("x".repeat(500_000)))]),
    )
    .await;
    assert_eq!(large.reason, "ITEM_TOO_LARGE");
    large.cost_nothing();
    let version = Refusal::of(
        gateway
            .delete(v1::DeleteRequest {
                version: 1,
                ..delete("Account", key("A", "1"))
            })
            .await,
    );
    version.is("INVALID_FIELD", &["version"]);
}

#[tokio::test]
async fn validate_only_checks_everything_and_spends_nothing() {
    let gateway = saved().await;
    let request = v1::UpdateRequest {
        validate_only: true,
        ..account("SET pin = :p", [(":p", s("1"))])
    };
    let checked = gateway.update(request.clone()).await;
    assert_eq!(checked.bill.count("tollgate-dynamodb-calls"), 0);
    assert_eq!(checked.bill.count("tollgate-kms-calls"), 0);
    assert_eq!(checked.ok(), v1::UpdateResponse::default());
    let wrong = v1::UpdateRequest {
        update: expression("SET balance = :n", [(":n", n(-1))]),
        ..request
    };
    refused(&gateway, wrong)
        .await
        .is("INVALID_EXPRESSION", &["update.values.:n"]);
    assert!(!read(&gateway).await.contains_key("pin"));
}

#[tokio::test]
async fn an_item_that_must_exist_is_not_created() {
    let gateway = accounts().await;
    let must_exist = v1::UpdateRequest {
        must_exist: true,
        ..account("SET owner = :o", [(":o", s("Ada"))])
    };
    let refusal = refused(&gateway, must_exist.clone()).await;
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::NotFound, "ITEM_NOT_FOUND")
    );
    assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 1);
    // nor by an update that would leave out a required attribute
    let refusal = refused(&gateway, account("SET note = :o", [(":o", s("x"))])).await;
    assert_eq!(refusal.reason, "ITEM_NOT_FOUND");
    gateway
        .update(account("SET owner = :o", [(":o", s("Ada"))]))
        .await
        .ok();
    gateway.update(must_exist).await.ok();
}

#[tokio::test]
async fn arithmetic_keeps_the_bounds_of_the_model() {
    let gateway = saved().await;
    for (request, field) in [
        (
            account("SET balance = balance + :n", [(":n", n(51))]),
            "item.balance",
        ),
        (
            account("SET balance = balance - :n", [(":n", n("50.5"))]),
            "item.balance",
        ),
        (account("ADD balance :n", [(":n", n(-51))]), "item.balance"),
        (
            account("SET tags = list_append(tags, :l)", [(":l", l([s("c"), s("d")]))]),
            "item.tags",
        ),
    ] {
        let refusal = refused(&gateway, request).await;
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::FailedPrecondition, "CONDITION_FAILED")
        );
        let failure = refusal.details.precondition_failure().expect("a failure");
        assert_eq!(failure.violations[0].subject, field);
    }
    let item = read(&gateway).await;
    assert_eq!((&item["balance"], &item["tags"]), (&n(50), &l([s("a"), s("b")])));
    gateway
        .update(account("ADD balance :n", [(":n", n(-50))]))
        .await
        .ok();
    gateway
        .update(account("SET tags = list_append(tags, :l)", [(":l", l([s("c")]))]))
        .await
        .ok();
    assert_eq!(read(&gateway).await["balance"], n(0));
}

#[tokio::test]
async fn a_failed_condition_returns_the_current_item_where_asked() {
    let gateway = saved().await;
    let request = v1::UpdateRequest {
        condition: expression("balance > :hundred", [(":hundred", n(100))]),
        ..account("SET balance = balance + :n", [(":n", n(1))])
    };
    let plain = refused(&gateway, request.clone()).await;
    plain.is("CONDITION_FAILED", &[]);
    assert_eq!(plain.bill.decimal("tollgate-wcu"), 1.0);
    let status = gateway
        .update(returning(request, v1::ReturnValues::AllOld))
        .await
        .status();
    let found = tollgate_tests::refusal::current_item(&status);
    assert_eq!(found.expect("the item")["balance"], n(50));
    assert_eq!(read(&gateway).await["balance"], n(50));
}

#[tokio::test]
async fn an_update_that_does_not_fit_the_item_names_the_reason() {
    differs_on!(Moto, "update-paths");
    let gateway = saved().await;
    let cases = [
        (account("SET note = other", []), "does not have"),
        (
            account("SET address.city = :s", [(":s", s("x"))]),
            "inside an attribute",
        ),
        (account("ADD free :n", [(":n", n(1))]), "another type"),
        (
            account("SET free.part = :s", [(":s", s("x"))]),
            "inside an attribute",
        ),
    ];
    gateway
        .update(account("SET free = :s", [(":s", m([]))]))
        .await
        .ok();
    gateway
        .update(account("SET free = :s", [(":s", s("a string"))]))
        .await
        .ok();
    for (request, part) in cases {
        let refusal = refused(&gateway, request).await;
        assert_eq!(refusal.reason, "CONDITION_FAILED", "{refusal:?}");
        assert!(refusal.message.contains(part), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_result_over_400_kb_is_too_large() {
    let wiretap = Wiretap::counting();
    let gateway = super::gateway_of(&wiretap, super::ACCOUNT).await;
    let half = |name: &str| {
        let text = format!("SET {name} = :s, owner = :o");
        update(
            "Account",
            key("A", "1"),
            &text,
            [(":s", s("x".repeat(250_000))), (":o", s("o"))],
        )
    };
    gateway.update(half("one")).await.ok();
    let refusal = Refusal::of(gateway.update(half("two")).await);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::InvalidArgument, "ITEM_TOO_LARGE")
    );
    assert_eq!(wiretap.count("UpdateItem"), 2);
}

#[tokio::test]
async fn an_object_belongs_in_an_object_attribute() {
    let gateway = saved().await;
    refused(&gateway, account("SET note = :o", [(":o", object("x"))]))
        .await
        .is("INVALID_EXPRESSION", &["update.values.:o"]);
}
