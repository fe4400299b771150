//! Writes.

use super::*;

#[tokio::test]
async fn fields_without_write_field_are_refused_with_their_path() {
    let harness = Harness::new().await;
    let clerk = caller("cleo", "clerks");
    let request = harness.save("User", &[("pk", "B"), ("email", "b@c"), ("ssn", "1")]);
    let outcome = save(&harness.gateway, &clerk, request).await.map(drop);
    assert_eq!(
        denied(outcome),
        refusal(Action::WriteField, "Field::\"User.ssn\"", "item.ssn")
    );
    for text in [
        "SET ssn = :v",
        "REMOVE ssn",
        "ADD age :v",
        "SET email = :v, other = :v",
    ] {
        let request = harness.update(text, &[(":v", number("1"))]);
        let outcome = update(&harness.gateway, &clerk, request).await.map(drop);
        let (action, _, path) = denied(outcome);
        assert_eq!(
            (action, path.as_str()),
            (Action::WriteField, "update.text"),
            "{text}"
        );
    }
    assert!(harness.faulty.take_sent().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_save_without_the_right_to_write_every_field_only_creates() {
    let harness = Harness::new().await;
    let clerk = caller("cleo", "clerks");
    let request = harness.save("User", &[("pk", "A"), ("email", "new")]);
    let outcome = save(&harness.gateway, &clerk, request).await;
    assert!(matches!(
        outcome,
        Err(Error::Write(WriteError::AlreadyExists { .. }))
    ));
    let request = harness.save("User", &[("pk", "B"), ("email", "new")]);
    let saved = save(&harness.gateway, &clerk, request).await.unwrap();
    assert!(saved.generated.is_empty(), "a clerk reads nothing");
    assert!(saved.withheld.contains(&"made".to_owned()));
    let admin = caller("root", "admins");
    let request = harness.save("User", &[("pk", "B"), ("email", "again")]);
    let saved = save(&harness.gateway, &admin, request).await.unwrap();
    assert!(saved.generated.contains_key("made") && saved.withheld.is_empty());
}

#[tokio::test]
async fn replacing_takes_an_update_and_returns_only_what_may_be_read() {
    let harness = Harness::new().await;
    let clerk = caller("cleo", "clerks");
    let request = Update {
        return_values: ReturnValues::AllNew,
        ..harness.update("SET email = :v", &[(":v", text("new"))])
    };
    let updated = update(&harness.gateway, &clerk, request).await.unwrap();
    assert!(updated.item.unwrap_or_default().item.is_empty() && updated.generated.is_empty());
    assert!(updated.withheld.contains(&"ssn".to_owned()));
    assert!(!harness.faulty.take_sent().contains(&"Decrypt".to_owned()));
    let deleted = delete(&harness.gateway, &clerk, harness.delete("A"))
        .await
        .unwrap();
    let deleted = deleted.expect("the deleted item");
    assert!(deleted.item.is_empty() && deleted.withheld.contains(&"ssn".to_owned()));
    assert!(!harness.faulty.take_sent().contains(&"Decrypt".to_owned()));
}

#[tokio::test]
async fn operands_conditions_and_versions_need_read_field() {
    let harness = Harness::new().await;
    let clerk = caller("cleo", "clerks");
    let run = |request: Update| update(&harness.gateway, &clerk, request);
    let copied = run(harness.update("SET email = ssn", &[])).await.map(drop);
    assert_eq!(
        denied(copied),
        refusal(Action::ReadField, "Field::\"User.ssn\"", "update.text")
    );
    let plain = || harness.update("SET email = :v", &[(":v", text("new"))]);
    let conditional = Update {
        condition: Some(expression("age > :a", &[(":a", number("40"))])),
        ..plain()
    };
    assert_eq!(
        denied(run(conditional).await.map(drop)),
        refusal(Action::ReadField, "Field::\"User.age\"", "condition.text")
    );
    let versioned = Update {
        model: harness.model("Note"),
        version: 1,
        ..harness.update("SET title = :v", &[(":v", text("new"))])
    };
    assert_eq!(
        denied(run(versioned).await.map(drop)),
        refusal(Action::ReadField, "Field::\"Note.version\"", "version")
    );
    let mut request = harness.save("Note", &[("pk", "A"), ("title", "new")]);
    request.item.insert("version".to_owned(), number("1"));
    assert_eq!(
        denied(save(&harness.gateway, &clerk, request).await.map(drop)),
        refusal(Action::ReadField, "Field::\"Note.version\"", "item.version")
    );
    let request = Delete {
        condition: Some(expression("attribute_exists(ssn)", &[])),
        ..harness.delete("A")
    };
    let outcome = delete(&harness.gateway, &clerk, request).await.map(drop);
    assert_eq!(
        denied(outcome),
        refusal(Action::ReadField, "Field::\"User.ssn\"", "condition.text")
    );
}

#[tokio::test]
async fn operations_of_transactions_need_both_actions() {
    let harness = Harness::new().await;
    let transact = |call: Call, operation: TransactOperation| {
        let gateway = Arc::clone(&harness.gateway);
        async move {
            let request = TransactWrite {
                operations: vec![Ok(operation)],
                request_id: String::new(),
                validate_only: false,
                faults: Faults::new(),
            };
            transact_write(&gateway, &call, request).await
        }
    };
    let (clerk, reader) = (caller("cleo", "clerks"), caller("rob", "readers"));
    let operation = || TransactOperation::Save(harness.save("User", &[("pk", "C"), ("email", "c")]));
    assert_eq!(
        denied(transact(reader, operation()).await.map(drop)),
        refusal(Action::TransactWrite, "Model::\"User\"", "operations[0].save")
    );
    let check = TransactOperation::Check(Check {
        model: harness.model("User"),
        key: item(&[("pk", "A")]),
        condition: Some(expression("attribute_exists(pk)", &[])),
        return_old: false,
        faults: Faults::new(),
    });
    assert_eq!(
        denied(transact(clerk.clone(), check).await.map(drop)),
        refusal(Action::Get, "Model::\"User\"", "operations[0].check")
    );
    let done = transact(clerk, operation()).await.unwrap();
    assert!(matches!(&done[0], Transacted::Saved(saved) if saved.generated.is_empty()));
}

#[tokio::test]
async fn failures_withhold_what_may_not_be_read() {
    let harness = Harness::new().await;
    let both = caller_in("bo", &["readers", "clerks"]);
    let request = Update {
        condition: Some(expression("city = :c", &[(":c", text("Oslo"))])),
        return_values: ReturnValues::AllOld,
        ..harness.update("SET email = :v", &[(":v", text("new"))])
    };
    let outcome = update(&harness.gateway, &both, request).await.map(drop);
    let Err(Error::Write(WriteError::ConditionFailed {
        current: Some(current),
    })) = outcome
    else {
        panic!("the condition is not met");
    };
    assert_eq!(names(&current.item), ["city", "email", "made", "pk"]);
    assert_eq!(current.withheld, ["age", "ssn", "*"]);
    assert!(!harness.faulty.take_sent().contains(&"Decrypt".to_owned()));
}
