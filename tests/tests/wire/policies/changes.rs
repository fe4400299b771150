//! Policies that change while they are used.

use super::*;

const READERS: &str = r#"
permit(principal, action in Tollgate::Action::"read", resource);
permit(principal in Tollgate::Group::"admins", action, resource);
"#;

#[tokio::test]
async fn a_change_applies_to_the_next_call() {
    let guarded = Guarded::start(READERS).await;
    guarded.add("acme", "ann").await;
    let read = || {
        guarded
            .gateway
            .get(as_caller("guests", "acme", get_user("acme", "ann")))
    };
    assert_eq!(read().await.ok().item["ssn"], s("secret"));
    let forbids = r#"forbid(principal, action == Tollgate::Action::"ReadField", resource == Tollgate::Field::"User.ssn");"#;
    guarded.replace(&format!("{READERS}{forbids}")).await;
    let found = read().await.ok();
    assert_eq!(found.withheld, ["ssn"]);
    assert!(!found.item.contains_key("ssn") && found.item.contains_key("email"));
    guarded.replace("").await;
    assert_eq!(
        denied(&read().await.status()),
        refusal("Get", "Model::\"User\"", "")
    );
    guarded.replace(READERS).await;
    assert!(read().await.ok().withheld.is_empty());
}

#[tokio::test]
async fn policies_with_faults_change_nothing() {
    let guarded = Guarded::start(READERS).await;
    guarded.add("acme", "ann").await;
    for wrong in [
        "permit(",
        "permit(principal, action, resource == Tollgate::Model::\"Usr\");",
    ] {
        guarded.replace(wrong).await;
        let read = guarded
            .gateway
            .get(as_caller("guests", "acme", get_user("acme", "ann")))
            .await;
        assert_eq!(read.ok().item["ssn"], s("secret"), "{wrong}");
    }
}

#[tokio::test]
async fn models_that_policies_name_cannot_go() {
    let names_ssn = r#"permit(principal, action, resource);
        forbid(principal, action == Tollgate::Action::"ReadField", resource == Tollgate::Field::"User.age");"#;
    let guarded = Guarded::start(names_ssn).await;
    guarded.add("acme", "ann").await;
    let models = MODELS.replace("  age: { type: number }\n", "  years: { type: number }\n");
    let models = models.replace("sort_key: age", "sort_key: years");
    fs::write(guarded.folder.path().join("models/a.yaml"), models).expect("it is written");
    assert!(guarded.gateway.reloader().reload().await.is_err());
    let read = guarded
        .gateway
        .get(as_caller("guests", "acme", get_user("acme", "ann")))
        .await;
    assert_eq!(read.ok().withheld, ["age"]);
}
