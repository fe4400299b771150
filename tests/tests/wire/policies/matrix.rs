//! Every combination of caller, action, field and tenant, against a table of expected decisions.

use tollgate_tests::values::{delete, expression, scan, update};

use super::*;

/// One column per group, in the order of [`GROUPS`], for items of the caller's tenant: `a` is allowed, `w` is allowed with
/// `ssn` withheld, `d` is denied.
const EXPECTED: [(&str, [char; 4]); 16] = [
    ("get", ['a', 'w', 'd', 'd']),
    ("get one field", ['a', 'a', 'd', 'd']),
    ("get ssn", ['a', 'w', 'd', 'd']),
    ("query", ['a', 'w', 'd', 'd']),
    ("query, filter on age", ['a', 'w', 'd', 'd']),
    ("query, filter on ssn", ['a', 'd', 'd', 'd']),
    ("batch get", ['a', 'w', 'd', 'd']),
    ("transact get", ['a', 'w', 'd', 'd']),
    ("update email", ['a', 'd', 'a', 'd']),
    ("update ssn", ['a', 'd', 'd', 'd']),
    ("update email, condition on email", ['a', 'd', 'a', 'd']),
    ("update email, condition on ssn", ['a', 'd', 'd', 'd']),
    ("update email from name", ['a', 'd', 'd', 'd']),
    ("save", ['a', 'd', 'd', 'd']),
    ("transact check", ['a', 'd', 'd', 'd']),
    ("delete", ['a', 'd', 'd', 'd']),
];

/// The decision about one request.
async fn decision(gateway: &Gateway, request: &str, caller: (&str, &str), tenant: &str) -> char {
    let outcome = match request {
        "get" | "get one field" | "get ssn" => get(gateway, request, caller, tenant).await,
        "query" | "query, filter on age" | "query, filter on ssn" => {
            query(gateway, request, caller, tenant).await
        }
        "batch get" => batch_get(gateway, caller, tenant).await,
        "transact get" => transact_get(gateway, caller, tenant).await,
        "transact check" => transact_check(gateway, caller, tenant).await,
        "save" => {
            let message = as_caller(caller.0, caller.1, save("User", user(tenant, "ann")));
            gateway.save(message).await.outcome.map(|_| 'a')
        }
        "delete" => {
            let message = delete("User", user_key(tenant, "nobody"));
            let deleted = gateway.delete(as_caller(caller.0, caller.1, message)).await;
            deleted.outcome.map(|_| 'a')
        }
        update => {
            let message = as_caller(caller.0, caller.1, update_request(update, tenant));
            gateway.update(message).await.outcome.map(|_| 'a')
        }
    };
    match outcome {
        Ok(letter) => letter,
        Err(status) if status.code() == Code::PermissionDenied => 'd',
        Err(status) => panic!("{request} by {caller:?}: {status:?}"),
    }
}

fn withheld(names: &[String]) -> char {
    if names.is_empty() { 'a' } else { 'w' }
}

async fn get(
    gateway: &Gateway,
    request: &str,
    (group, of): (&str, &str),
    tenant: &str,
) -> Result<char, Status> {
    let fields = match request {
        "get one field" => vec!["email".to_owned()],
        "get ssn" => vec!["ssn".to_owned()],
        _ => Vec::new(),
    };
    let message = v1::GetRequest {
        fields,
        ..get_user(tenant, "ann")
    };
    let read = gateway.get(as_caller(group, of, message)).await.outcome;
    read.map(|read| withheld(&read.withheld))
}

async fn query(
    gateway: &Gateway,
    request: &str,
    (group, of): (&str, &str),
    tenant: &str,
) -> Result<char, Status> {
    let filter = match request {
        "query, filter on age" => expression("age > :v", [(":v", n(1))]),
        "query, filter on ssn" => expression("attribute_exists(ssn)", []),
        _ => None,
    };
    let message = v1::QueryRequest {
        model: "User".to_owned(),
        key_condition: expression("pk = :p", [(":p", s(format!("TENANT#{tenant}#ann")))]),
        filter,
        ..v1::QueryRequest::default()
    };
    let pages = gateway.query(as_caller(group, of, message)).await.outcome;
    pages.map(|pages| withheld(&pages[0].results[0].withheld))
}

async fn batch_get(gateway: &Gateway, (group, of): (&str, &str), tenant: &str) -> Result<char, Status> {
    let message = v1::BatchGetRequest {
        requests: vec![get_user(tenant, "ann")],
        ..v1::BatchGetRequest::default()
    };
    let stream = gateway.data().batch_get(as_caller(group, of, message)).await?;
    let message = stream.into_inner().message().await?.expect("a result");
    Ok(found(&message.results[0]))
}

async fn transact_get(gateway: &Gateway, (group, of): (&str, &str), tenant: &str) -> Result<char, Status> {
    let message = v1::TransactGetRequest {
        requests: vec![get_user(tenant, "ann")],
        ..v1::TransactGetRequest::default()
    };
    let read = gateway.data().transact_get(as_caller(group, of, message)).await?;
    Ok(found(&read.into_inner().results[0]))
}

fn found(result: &v1::GetResult) -> char {
    match &result.result {
        Some(v1::get_result::Result::Found(found)) => withheld(&found.withheld),
        other => panic!("{other:?}"),
    }
}

async fn transact_check(gateway: &Gateway, (group, of): (&str, &str), tenant: &str) -> Result<char, Status> {
    let check = v1::CheckRequest {
        model: "User".to_owned(),
        key: user_key(tenant, "ann"),
        condition: expression("attribute_exists(email)", []),
        ..v1::CheckRequest::default()
    };
    let message = v1::TransactWriteRequest {
        operations: vec![v1::TransactOperation {
            operation: Some(v1::transact_operation::Operation::Check(check)),
        }],
        ..v1::TransactWriteRequest::default()
    };
    let done = gateway.data().transact_write(as_caller(group, of, message)).await;
    done.map(|_| 'a')
}

fn update_request(request: &str, tenant: &str) -> v1::UpdateRequest {
    let key = user_key(tenant, "ann");
    let value = [(":v", s("new"))];
    let email = || update("User", key.clone(), "SET email = :v", value.clone());
    match request {
        "update email" => email(),
        "update ssn" => update("User", key.clone(), "SET ssn = :v", value.clone()),
        "update email, condition on email" => v1::UpdateRequest {
            condition: expression("attribute_exists(email)", []),
            ..email()
        },
        "update email, condition on ssn" => v1::UpdateRequest {
            condition: expression("attribute_exists(ssn)", []),
            ..email()
        },
        "update email from name" => update("User", key.clone(), "SET email = name", []),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_combination_is_decided_as_the_table_says() {
    let guarded = Guarded::start(POLICIES).await;
    for tenant in TENANTS {
        guarded.add(tenant, "ann").await;
    }
    let (mut combinations, mut differing) = (0, Vec::new());
    for (request, of_groups) in EXPECTED {
        for (group, of_own) in GROUPS.into_iter().zip(of_groups) {
            for of in TENANTS {
                for tenant in TENANTS {
                    let expected = if of == tenant { of_own } else { 'd' };
                    let decided = decision(&guarded.gateway, request, (group, of), tenant).await;
                    combinations += 1;
                    if decided != expected {
                        differing.push(format!(
                            "{request} of {tenant} by {group} of {of}: {decided}, expected {expected}"
                        ));
                    }
                }
            }
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(combinations >= 200, "{combinations}");
}

#[tokio::test]
async fn scans_have_no_key_and_need_a_policy_without_one() {
    let guarded = Guarded::start(POLICIES).await;
    guarded.add("acme", "ann").await;
    let all = guarded
        .gateway
        .scan(as_caller("admins", "globex", scan("User")))
        .await
        .ok();
    assert_eq!(all[0].results.len(), 1);
    for group in ["readers", "clerks", "guests"] {
        let status = guarded
            .gateway
            .scan(as_caller(group, "acme", scan("User")))
            .await
            .status();
        assert_eq!(denied(&status), refusal("Scan", "Model::\"User\"", ""));
    }
}
