//! The cost of each call in its trailers.

use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, in_session};
use tollgate_tests::values::{
    delete, document, expression, get, get_content, key, query, save, scan, secure_user, user,
};
use tollgate_tests::wiretap::Wiretap;

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_save_with_an_encrypted_attribute_makes_one_kms_call() {
    let gateway = Gateway::start().await;
    let bill = gateway
        .save(save("User", user("USER#1", "078-05-1120")))
        .await
        .bill;
    assert_eq!(bill.count("tollgate-kms-calls"), 1);
    assert_eq!(bill.count("tollgate-dynamodb-calls"), 1);
    assert_eq!(bill.text("tollgate-wcu"), "1");
    assert_eq!(bill.text("tollgate-rcu"), "0");
    assert!(bill.decimal("tollgate-dynamodb-duration-ms") > 0.0);
    assert!(bill.decimal("tollgate-duration-ms") >= bill.decimal("tollgate-kms-duration-ms"));
}

#[tokio::test]
async fn three_encrypted_attributes_make_one_kms_call_each_way() {
    let gateway = Gateway::start().await;
    for number in 0..10 {
        let saved = gateway
            .save(save("SecureUser", secure_user("ORG#1", &format!("U#{number}"))))
            .await;
        assert_eq!(saved.bill.count("tollgate-kms-calls"), 1);
        saved.ok();
    }
    let got = gateway.get(get("SecureUser", key("ORG#1", "U#3"))).await;
    assert_eq!(got.bill.count("tollgate-kms-calls"), 1);
    let item = got.ok().item;
    assert_eq!(item["address"], secure_user("ORG#1", "U#3")["address"]);
    let queried = gateway.query(query("SecureUser", "ORG#1")).await;
    assert_eq!(queried.bill.count("tollgate-kms-calls"), 10);
    assert_eq!(queried.bill.count("tollgate-items"), 10);
    let scanned = gateway.scan(scan("SecureUser")).await;
    assert_eq!(scanned.bill.count("tollgate-kms-calls"), 10);
}

#[tokio::test]
async fn a_read_of_nothing_encrypted_makes_no_kms_call() {
    let gateway = Gateway::start().await;
    gateway.save(save("User", user("USER#1", "1"))).await.ok();
    let fields = vec!["name".to_owned(), "age".to_owned()];
    let request = v1::GetRequest {
        fields: fields.clone(),
        ..get("User", key("USER#1", "PROFILE"))
    };
    let got = gateway.get(request).await;
    assert_eq!(got.bill.count("tollgate-kms-calls"), 0);
    let mut names: Vec<String> = got.ok().item.into_keys().collect();
    names.sort();
    assert_eq!(names, ["age", "name"]);
    let queried = gateway
        .query(v1::QueryRequest {
            fields,
            ..query("User", "USER#1")
        })
        .await;
    assert_eq!(queried.bill.count("tollgate-kms-calls"), 0);
}

#[tokio::test]
async fn an_object_is_billed_by_its_parts() {
    let gateway = Gateway::start().await;
    for (bytes, calls) in [
        (1_000_000, 1),
        (5 * MIB, 1),
        (6 * MIB, 4),
        (15_000_000, 5),
        (15 * MIB, 5),
    ] {
        let partition = format!("DOC#{bytes}");
        let content: Vec<u8> = (0..bytes).map(|index| (index % 251) as u8).collect();
        let saved = gateway
            .save(save("Document", document(&partition, content.clone())))
            .await;
        assert_eq!(saved.bill.count("tollgate-s3-calls"), calls, "{bytes} bytes");
        assert_eq!(saved.bill.count("tollgate-s3-bytes-uploaded"), bytes as u64);
        saved.ok();
        let got = gateway.get(get_content(&partition)).await;
        assert_eq!(got.bill.count("tollgate-s3-bytes-downloaded"), bytes as u64);
        assert_eq!(got.bill.count("tollgate-s3-calls"), 1);
        let item = got.ok().item;
        let Some(v1::attribute_value::Kind::Object(object)) = &item["content"].kind else {
            panic!("no object")
        };
        assert!(
            object.data.as_deref() == Some(content.as_slice()),
            "the content comes back"
        );
        let deleted = gateway.delete(delete("Document", key(&partition, "V1"))).await;
        assert_eq!(deleted.bill.count("tollgate-s3-calls"), 1);
    }
}

#[tokio::test]
async fn a_refused_save_is_billed_for_upload_and_removal_and_leaves_the_live_object() {
    let gateway = Gateway::start().await;
    gateway
        .save(save("Document", document("DOC#1", vec![1; 1000])))
        .await
        .ok();
    let condition = expression("attribute_not_exists(pk)", []);
    let request = v1::SaveRequest {
        condition,
        ..save("Document", document("DOC#1", vec![2; 2000]))
    };
    let refused = gateway.save(request).await;
    assert_eq!(refused.bill.count("tollgate-s3-calls"), 2);
    assert_eq!(refused.bill.count("tollgate-s3-bytes-uploaded"), 2000);
    assert_eq!(
        refused.bill.text("tollgate-wcu"),
        "1",
        "a refused write consumes capacity"
    );
    assert_eq!(refused.status().code(), tonic::Code::FailedPrecondition);
    let got = gateway.get(get_content("DOC#1")).await;
    assert_eq!(got.bill.count("tollgate-s3-bytes-downloaded"), 1000);
}

#[tokio::test]
async fn validate_only_costs_nothing() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    let request = v1::SaveRequest {
        validate_only: true,
        ..save("SecureUser", secure_user("A", "B"))
    };
    let checked = gateway.save(request).await;
    assert_eq!(checked.bill.count("tollgate-dynamodb-calls"), 0);
    assert_eq!(checked.bill.text("tollgate-cost-usd"), "0");
    assert_eq!(checked.ok(), v1::SaveResponse::default());
    assert!(wiretap.counts().is_empty(), "{:?}", wiretap.counts());
}

#[tokio::test]
async fn a_session_adds_up_its_calls() {
    let gateway = Gateway::start().await;
    let first = gateway
        .save(in_session(save("User", user("USER#1", "1")), "job-7"))
        .await;
    assert_eq!(first.bill.count("tollgate-session-calls"), 1);
    let missing = gateway
        .get(in_session(get("User", key("USER#2", "PROFILE")), "job-7"))
        .await;
    assert_eq!(missing.bill.count("tollgate-session-calls"), 2);
    assert_eq!(missing.bill.count("tollgate-session-kms-calls"), 1);
    assert_eq!(missing.bill.count("tollgate-session-dynamodb-calls"), 2);
    assert_eq!(missing.status().code(), tonic::Code::NotFound);
    let totals = gateway.totals("job-7").await;
    let total = totals.total.expect("a total");
    assert_eq!(
        (total.call_count, total.failed_call_count, total.kms_calls),
        (2, 1, 1)
    );
    assert_eq!(totals.by_model["User"].call_count, 2);
    assert_eq!(totals.by_operation["Save"].call_count, 1);
}
