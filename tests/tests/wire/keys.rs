//! The KMS keys and formats in which a stored value opens, and what models of one table see of each other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::{Stored, text};
use tollgate_tests::values::{delete, expression, get, item, key, query, s, save, scan, secure_user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;
use tonic_types::RpcStatusExt as _;

use crate::sealing::{self, Place};

const TABLE: &str = "secure_users";
const CONTEXT: [(&str, &str); 1] = [("tollgate:table", TABLE)];
const SSN: &str = "078-05-1120";

const HOME: Place<'static> = Place {
    table: TABLE,
    partition: "ORG",
    sort: "U#2",
    attribute: "ssn",
};

/// A model of the table with these options of the attribute `ssn`.
fn model(options: &str) -> String {
    format!(
        "name: SecureUser\ntable: {TABLE}\npartition_key: pk\nsort_key: sk\nattributes:\n  pk: {{ type: string }}\n  \
         sk: {{ type: string }}\n  ssn: {{ type: string, encrypted: {{ {options} }} }}\n"
    )
}

async fn gateway_of(wiretap: &Wiretap, models: &str) -> Gateway {
    Gateway::of_models(models, Setup::tapped(wiretap)).await
}

/// An item of the table as stored, with this `ssn`.
fn stored(ssn: AttributeValue) -> Stored {
    HashMap::from([
        ("pk".to_owned(), text("ORG")),
        ("sk".to_owned(), text("U#2")),
        ("ssn".to_owned(), ssn),
    ])
}

async fn read(gateway: &Gateway) -> v1::GetResponse {
    gateway.get(get("SecureUser", key("ORG", "U#2"))).await.ok()
}

#[tokio::test]
async fn a_value_under_an_unaccepted_key_fails_only_its_item() {
    differs_on!(Moto | DynamoDbLocal, "kms-other-key");
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    for sort in ["U#1", "U#3"] {
        let request = save("SecureUser", secure_user("ORG", sort));
        gateway.save(request).await.ok();
    }
    let stores = wiretap.stores();
    let planted = stores.data_key("alias/attacker", &CONTEXT).await;
    for (what, value) in [
        ("id 4", sealing::sealed_4(&planted, HOME, SSN)),
        ("id 2", sealing::sealed_2(&planted, HOME, SSN)),
    ] {
        stores.put(TABLE, stored(value)).await;
        wiretap.clear();
        let refusal = Refusal::of(gateway.get(get("SecureUser", key("ORG", "U#2"))).await);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::FailedPrecondition, "KEY_NOT_ACCEPTED"),
            "{what}: {refusal:?}"
        );
        let violation = &refusal.details.precondition_failure().unwrap().violations[0];
        assert_eq!(
            (violation.r#type.as_str(), violation.subject.as_str()),
            ("KMS_KEY", "ssn")
        );
        assert_eq!(refusal.bill.count("tollgate-kms-calls"), 1, "{what}");
        assert_eq!(wiretap.count("Decrypt"), 1, "{what}");
        let page = gateway.query(query("SecureUser", "ORG")).await.ok().remove(0);
        let reasons: Vec<Option<String>> = page.results.iter().map(reason).collect();
        assert_eq!(
            reasons,
            [None, Some("KEY_NOT_ACCEPTED".to_owned()), None],
            "{what}"
        );
        assert_eq!(page.results[0].item, secure_user("ORG", "U#1"));
        let scanned = gateway.scan(scan("SecureUser")).await.ok().remove(0);
        assert_eq!(scanned.results.iter().filter_map(reason).count(), 1, "{what}");
    }
}

fn reason(result: &v1::ItemResult) -> Option<String> {
    let info = result.error.as_ref()?.get_details_error_info();
    Some(info.expect("every error has its reason").reason)
}

#[tokio::test]
async fn accepted_keys_are_tried_in_order_and_billed() {
    differs_on!(Moto | DynamoDbLocal, "kms-other-key");
    let wiretap = Wiretap::counting();
    let models = model("key_id: alias/new, accepts: [alias/older, alias/old]");
    let gateway = gateway_of(&wiretap, &models).await;
    let stores = wiretap.stores();
    let older = stores.data_key("alias/older", &CONTEXT).await;
    let old = stores.data_key("alias/old", &CONTEXT).await;
    let new = stores.data_key("alias/new", &CONTEXT).await;
    let foreign = stores.data_key("alias/foreign", &CONTEXT).await;
    for (data_key, calls) in [(&new, 1), (&older, 2), (&old, 3)] {
        stores
            .put(TABLE, stored(sealing::sealed_4(data_key, HOME, SSN)))
            .await;
        let response = gateway.get(get("SecureUser", key("ORG", "U#2"))).await;
        assert_eq!(response.bill.count("tollgate-kms-calls"), calls);
        assert_eq!(response.ok().item["ssn"], s(SSN));
    }
    stores
        .put(TABLE, stored(sealing::sealed_4(&foreign, HOME, SSN)))
        .await;
    let refusal = Refusal::of(gateway.get(get("SecureUser", key("ORG", "U#2"))).await);
    assert_eq!(refusal.reason, "KEY_NOT_ACCEPTED");
    assert_eq!(refusal.bill.count("tollgate-kms-calls"), 3);
    // what is saved again is sealed under `key_id`
    let written = item([("pk", s("ORG")), ("sk", s("U#2")), ("ssn", s(SSN))]);
    gateway.save(save("SecureUser", written)).await.ok();
    let response = gateway.get(get("SecureUser", key("ORG", "U#2"))).await;
    assert_eq!(response.bill.count("tollgate-kms-calls"), 1);
}

#[tokio::test]
async fn a_missing_accepted_key_does_not_prevent_reads() {
    let wiretap = Wiretap::counting();
    let models = model("key_id: alias/new, accepts: [alias/gone, alias/old]");
    let gateway = gateway_of(&wiretap, &models).await;
    let stores = wiretap.stores();
    let old = stores.data_key("alias/old", &CONTEXT).await;
    stores
        .put(TABLE, stored(sealing::sealed_4(&old, HOME, SSN)))
        .await;
    assert_eq!(read(&gateway).await.item["ssn"], s(SSN));
    // the value may have been sealed under the one that is gone: an operator can mend that
    let foreign = stores.data_key("alias/foreign", &CONTEXT).await;
    stores
        .put(TABLE, stored(sealing::sealed_4(&foreign, HOME, SSN)))
        .await;
    let refusal = Refusal::of(gateway.get(get("SecureUser", key("ORG", "U#2"))).await);
    refusal.is("KEY_UNAVAILABLE", &[]);
}

/// KMS words it so if it does not find or not show the key of a ciphertext, and some stores if it is not the named one.
#[tokio::test]
async fn an_unknown_kms_key_does_not_prevent_other_keys() {
    const UNKNOWN: &str = r#"{"__type":"AccessDeniedException","message":"The ciphertext refers to a customer master key that does not exist."}"#;
    for refused in 0..3_u64 {
        let asked = AtomicU64::new(0);
        let wiretap = Wiretap::new(move |operation| match operation {
            "Decrypt" if asked.fetch_add(1, Ordering::Relaxed) < refused => Fate::Respond(400, UNKNOWN),
            _ => Fate::Pass,
        });
        let gateway = gateway_of(&wiretap, &model("key_id: alias/new, accepts: [alias/old]")).await;
        let stores = wiretap.stores();
        let old = stores.data_key("alias/old", &CONTEXT).await;
        let sealed = sealing::sealed_4(&old, HOME, SSN);
        stores.put(TABLE, stored(sealed)).await;
        let response = gateway.get(get("SecureUser", key("ORG", "U#2"))).await;
        assert_eq!(response.bill.count("tollgate-kms-calls"), 2);
        if refused < 2 {
            assert_eq!(response.ok().item["ssn"], s(SSN), "after {refused}");
        } else {
            Refusal::of(response).is("CIPHERTEXT_INVALID", &[]);
        }
    }
}

#[tokio::test]
async fn the_key_in_the_response_is_compared() {
    const FOREIGN: &str = r#"{"Plaintext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "KeyId":"arn:aws:kms:us-east-1:444455556666:key/11111111-2222-4333-8444-555555555555"}"#;
    let wiretap = Wiretap::new(|operation| match operation {
        "Decrypt" => Fate::Respond(200, FOREIGN),
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let sealed = sealing::sealed_4(&([0; 32], b"planted".to_vec()), HOME, SSN);
    wiretap.stores().put(TABLE, stored(sealed)).await;
    let refusal = Refusal::of(gateway.get(get("SecureUser", key("ORG", "U#2"))).await);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "KEY_NOT_ACCEPTED"),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn key_states_that_an_operator_can_repair_are_not_data_loss() {
    for body in [
        r#"{"__type":"NotFoundException","message":"Alias is not found."}"#,
        r#"{"__type":"DisabledException","message":"is disabled."}"#,
        r#"{"__type":"KMSInvalidStateException","message":"is pending deletion."}"#,
        r#"{"__type":"InvalidKeyUsageException","message":"is for signing."}"#,
        r#"{"__type":"AccessDeniedException","message":"User: u is not authorized to perform: kms:Decrypt"}"#,
    ] {
        let wiretap = Wiretap::new(move |operation| match operation {
            "Decrypt" => Fate::Respond(400, body),
            _ => Fate::Pass,
        });
        let gateway = Gateway::tapped(&wiretap).await;
        gateway
            .save(save("SecureUser", secure_user("ORG", "U#2")))
            .await
            .ok();
        let refusal = Refusal::of(gateway.get(get("SecureUser", key("ORG", "U#2"))).await);
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::FailedPrecondition, "KEY_UNAVAILABLE"),
            "{body}: {refusal:?}"
        );
    }
}

#[tokio::test]
async fn format_4_is_what_is_documented_and_format_2_is_read() {
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(&wiretap, &model("key_id: alias/my-app-key")).await;
    let stores = wiretap.stores();
    let data_key = stores.data_key("alias/my-app-key", &CONTEXT).await;
    for value in [
        sealing::sealed_2(&data_key, HOME, SSN),
        sealing::sealed_4(&data_key, HOME, SSN),
    ] {
        stores.put(TABLE, stored(value)).await;
        assert_eq!(read(&gateway).await.item["ssn"], s(SSN));
    }
    let written = item([("pk", s("ORG")), ("sk", s("U#2")), ("ssn", s("219-09-9999"))]);
    gateway.save(save("SecureUser", written)).await.ok();
    let found = stores.item(TABLE, "ORG", "U#2").await.expect("it was saved");
    let bytes = found["ssn"].as_b().expect("it is sealed").as_ref();
    let blob = aws_sdk_kms::primitives::Blob::new(sealing::wrapped_key(bytes));
    let opened = stores
        .kms
        .decrypt()
        .ciphertext_blob(blob)
        .encryption_context(CONTEXT[0].0, CONTEXT[0].1)
        .send()
        .await
        .expect("the context is the documented one");
    let data_key = opened.plaintext.expect("a key").into_inner();
    let data_key = data_key.try_into().expect("32 bytes");
    assert_eq!(sealing::open_4(&data_key, HOME, bytes), "219-09-9999");
}

#[tokio::test]
async fn a_pydynox_value_opens_if_the_attribute_accepts_it() {
    differs_on!(Moto | DynamoDbLocal, "kms-other-key");
    let wiretap = Wiretap::counting();
    let refusing = gateway_of(&wiretap, &model("key_id: alias/my-app-key")).await;
    let stores = wiretap.stores();
    let genuine = stores.data_key("alias/my-app-key", &[]).await;
    stores.put(TABLE, stored(sealing::pydynox(&genuine, SSN))).await;
    let refusal = Refusal::of(refusing.get(get("SecureUser", key("ORG", "U#2"))).await);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::DataLoss, "CIPHERTEXT_INVALID"),
        "{refusal:?}"
    );
    let spent = refusal.bill.count("tollgate-kms-calls");
    assert_eq!(spent, 0);
    for options in [
        "key_id: alias/my-app-key, accept_formats: [pydynox]",
        "key_id: alias/my-app-key, format: pydynox",
    ] {
        let wiretap = Wiretap::counting();
        let accepting = gateway_of(&wiretap, &model(options)).await;
        let stores = wiretap.stores();
        let genuine = stores.data_key("alias/my-app-key", &[]).await;
        stores.put(TABLE, stored(sealing::pydynox(&genuine, SSN))).await;
        assert_eq!(read(&accepting).await.item["ssn"], s(SSN), "{options}");
        // and only under the attribute's key
        let foreign = stores.data_key("alias/foreign", &[]).await;
        stores.put(TABLE, stored(sealing::pydynox(&foreign, SSN))).await;
        let refusal = Refusal::of(accepting.get(get("SecureUser", key("ORG", "U#2"))).await);
        assert_eq!(refusal.reason, "KEY_NOT_ACCEPTED", "{options}");
    }
}

const TWO_MODELS: &str = "
name: Patient
table: people
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key } }
  note: { type: string }
---
name: Visit
table: people
partition_key: pk
sort_key: sk
unknown_attributes: UNKNOWN
attributes:
  pk: { type: string }
  sk: { type: string }
  note: { type: string }
";

fn patient(sort: &str) -> HashMap<String, v1::AttributeValue> {
    item([
        ("pk", s("ORG")),
        ("sk", s(sort)),
        ("ssn", s(SSN)),
        ("note", s("x")),
    ])
}

fn seen(sort: &str) -> HashMap<String, v1::AttributeValue> {
    item([("pk", s("ORG")), ("sk", s(sort)), ("note", s("x"))])
}

#[tokio::test]
async fn attributes_encrypted_by_another_model_are_withheld() {
    for unknown_attributes in ["reject", "drop"] {
        let wiretap = Wiretap::counting();
        let models = TWO_MODELS.replace("UNKNOWN", unknown_attributes);
        let gateway = gateway_of(&wiretap, &models).await;
        for sort in ["1", "2", "3"] {
            gateway.save(save("Patient", patient(sort))).await.ok();
        }
        let ssn = vec!["ssn".to_owned()];
        let found = gateway.get(get("Visit", key("ORG", "1"))).await;
        assert_eq!(found.bill.count("tollgate-kms-calls"), 0);
        let found = found.ok();
        assert_eq!((found.item, &found.withheld), (seen("1"), &ssn));
        let queried = gateway.query(query("Visit", "ORG")).await.ok().remove(0).results;
        let scanned = gateway.scan(scan("Visit")).await.ok().remove(0).results;
        assert_eq!((queried.len(), scanned.len()), (3, 3));
        for result in queried.iter().chain(&scanned) {
            assert!(!result.item.contains_key("ssn"), "{result:?}");
            assert_eq!(result.withheld, ssn);
        }
        old_items_withhold(&gateway).await;
        // the other model reads what it sealed
        let whole = gateway.get(get("Patient", key("ORG", "3"))).await.ok();
        assert_eq!((whole.item, whole.withheld), (patient("3"), Vec::new()));
    }
}

/// Save, Delete and a refused condition, each with the item as it was.
async fn old_items_withhold(gateway: &Gateway) {
    let all_old = i32::from(v1::ReturnValues::AllOld);
    let saved = gateway
        .save(v1::SaveRequest {
            return_values: all_old,
            ..save("Visit", seen("1"))
        })
        .await
        .ok();
    assert_eq!(
        (saved.old_item, saved.withheld),
        (seen("1"), vec!["ssn".to_owned()])
    );
    let refused = gateway
        .save(v1::SaveRequest {
            return_values: all_old,
            condition: expression("attribute_not_exists(pk)", []),
            ..save("Visit", seen("2"))
        })
        .await
        .status();
    let current = current_item(&refused);
    assert_eq!(
        (current.old_item, current.withheld),
        (seen("2"), vec!["ssn".to_owned()])
    );
    let deleted = gateway
        .delete(v1::DeleteRequest {
            return_values: all_old,
            ..delete("Visit", key("ORG", "2"))
        })
        .await
        .ok();
    assert_eq!(
        (deleted.old_item, deleted.withheld),
        (seen("2"), vec!["ssn".to_owned()])
    );
}

/// The item in the details of a refused condition.
fn current_item(status: &tonic::Status) -> v1::SaveResponse {
    use prost::Message as _;
    let details = tonic_types::pb::Status::decode(status.details()).expect("details");
    let current = details
        .details
        .iter()
        .find(|detail| detail.type_url.ends_with("tollgate.v1.SaveResponse"))
        .expect("the current item rides along");
    v1::SaveResponse::decode(current.value.as_slice()).expect("an item")
}

#[tokio::test]
async fn conditions_cannot_name_attributes_encrypted_by_another_model() {
    for unknown_attributes in ["reject", "drop"] {
        let models = TWO_MODELS.replace("UNKNOWN", unknown_attributes);
        let gateway = gateway_of(&Wiretap::counting(), &models).await;
        let refusal = Refusal::of(
            gateway
                .scan(v1::ScanRequest {
                    filter: expression("begins_with(ssn, :b)", [(":b", s("E"))]),
                    ..scan("Visit")
                })
                .await,
        );
        assert_eq!(refusal.reason, "INVALID_EXPRESSION", "{refusal:?}");
        assert!(refusal.message.contains("is encrypted"), "{refusal:?}");
        refusal.cost_nothing();
    }
}

#[tokio::test]
async fn write_only_attributes_of_an_old_item_are_named() {
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(&wiretap, &model("key_id: alias/my-app-key, mode: write_only")).await;
    let written = item([("pk", s("ORG")), ("sk", s("U#2")), ("ssn", s(SSN))]);
    gateway.save(save("SecureUser", written.clone())).await.ok();
    let saved = gateway
        .save(v1::SaveRequest {
            return_values: v1::ReturnValues::AllOld.into(),
            ..save("SecureUser", written)
        })
        .await
        .ok();
    assert_eq!(
        (saved.old_item, saved.withheld),
        (key("ORG", "U#2"), vec!["ssn".to_owned()])
    );
}
