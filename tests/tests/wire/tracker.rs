//! The access patterns of `models/examples/tracker.yaml`: six entities and three global indexes in one table.

use std::path::Path;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::values::{AttributeValue, Item, expression, get, item, n, s, save};

async fn tracker() -> Gateway {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/examples");
    let gateway = Gateway::with(Setup {
        models: Some(example),
        ..Setup::default()
    })
    .await;
    let office = [
        ("office", s("Gran Torino")),
        ("country", s("US")),
        ("state", s("OR")),
        ("city", s("Portland")),
    ];
    gateway.save(save("Office", item(office))).await.ok();
    for (name, title, salary) in [
        ("Ann", "senior", 90_000),
        ("Bob", "senior", 120_000),
        ("Cid", "junior", 50_000),
    ] {
        let employee = [
            ("employee", s(name)),
            ("name", s(name)),
            ("office", s("Gran Torino")),
            ("team", s("Core")),
            ("title", s(title)),
            ("salary", n(salary)),
        ];
        gateway.save(save("Employee", item(employee))).await.ok();
    }
    gateway.save(save("Team", item([("team", s("Core"))]))).await.ok();
    let project = [("project", s("Gate")), ("team", s("Core")), ("goal", s("Ship"))];
    gateway.save(save("Project", item(project))).await.ok();
    for (task, due, status) in [
        ("t1", "2026-03-01T00:00:00Z", "open"),
        ("t2", "2026-02-01T12:00:00+02:00", "open"),
        ("t3", "2026-01-01T00:00:00Z", "closed"),
    ] {
        gateway.save(save("Task", a_task(task, due, status))).await.ok();
    }
    for text in ["first", "second"] {
        let comment = [("task", s("t1")), ("employee", s("Ann")), ("text", s(text))];
        gateway.save(save("Comment", item(comment))).await.ok();
    }
    gateway
}

fn a_task(task: &str, due: &str, status: &str) -> Item {
    item([
        ("task", s(task)),
        ("project", s("Gate")),
        ("employee", s("Ann")),
        ("due", s(due)),
        ("status", s(status)),
    ])
}

/// The values of an attribute, in the order of the results; the model's name where the item has no such attribute.
async fn values<const N: usize>(
    gateway: &Gateway,
    (models, index): (&[&str], &str),
    text: &str,
    given: [(&str, AttributeValue); N],
    attribute: &str,
) -> Vec<String> {
    let request = v1::QueryRequest {
        model: models[0].to_owned(),
        models: match models.len() {
            1 => Vec::new(),
            _ => models.iter().map(|model| (*model).to_owned()).collect(),
        },
        index: index.to_owned(),
        key_condition: expression(text, given),
        ..v1::QueryRequest::default()
    };
    let pages = gateway.query(request).await.ok();
    let results = pages.into_iter().flat_map(|page| page.results);
    results
        .map(
            |mut result| match result.item.remove(attribute).and_then(|value| value.kind) {
                Some(Kind::S(text)) => text,
                _ => result.model,
            },
        )
        .collect()
}

#[tokio::test]
async fn the_access_patterns_of_the_tracker() {
    let gateway = tracker().await;
    let ann = gateway
        .get(get("Employee", item([("employee", s("Ann"))])))
        .await
        .ok()
        .item;
    assert_eq!(ann["salary"], n(90_000));
    for hidden in ["pk", "sk", "gsi1pk", "gsi3sk"] {
        assert!(!ann.contains_key(hidden), "{hidden}");
    }
    let core = ("team = :t", [(":t", s("Core"))]);
    let offices = [(":c", s("US")), (":s", s("OR"))];
    let found = values(
        &gateway,
        (&["Office"], ""),
        "country = :c AND state = :s",
        offices,
        "office",
    );
    assert_eq!(found.await, ["Gran Torino"]);
    let office = [(":o", s("Gran Torino"))];
    let found = values(
        &gateway,
        (&["Office", "Employee"], "workplaces"),
        "office = :o",
        office,
        "employee",
    );
    assert_eq!(found.await, ["Ann", "Bob", "Cid", "Office"]);
    let found = values(
        &gateway,
        (&["Employee"], "team"),
        core.0,
        core.1.clone(),
        "employee",
    );
    assert_eq!(found.await, ["Cid", "Ann", "Bob"], "by title and salary");
    let paid = [(":t", s("Core")), (":x", s("senior")), (":n", n(100_000))];
    let condition = "team = :t AND title = :x AND salary >= :n";
    let found = values(&gateway, (&["Employee"], "team"), condition, paid, "employee");
    assert_eq!(found.await, ["Bob"]);
    let found = values(&gateway, (&["Project"], "team"), core.0, core.1, "project");
    assert_eq!(found.await, ["Gate"]);
    let gate = [(":p", s("Gate"))];
    let found = values(&gateway, (&["Project", "Task"], ""), "project = :p", gate, "task");
    assert_eq!(found.await, ["Project", "t1", "t2", "t3"]);
    let ann = [(":e", s("Ann"))];
    let all = ["Employee", "Task", "Comment"];
    let found = values(&gateway, (&all, "assignments"), "employee = :e", ann, "text");
    assert_eq!(
        found.await,
        ["first", "second", "Employee", "Task", "Task", "Task"]
    );
    let first = [(":t", s("t1"))];
    let found = values(&gateway, (&["Comment"], ""), "task = :t", first, "text");
    assert_eq!(found.await, ["first", "second"], "ULIDs increase");
}

#[tokio::test]
async fn closed_tasks_leave_the_index_of_open_ones() {
    let gateway = tracker().await;
    let open = || {
        values(
            &gateway,
            (&["Task"], "status"),
            "status = :s",
            [(":s", s("open"))],
            "task",
        )
    };
    assert_eq!(open().await, ["t2", "t1"], "by due date");
    let closed = a_task("t2", "2026-02-01T12:00:00+02:00", "closed");
    gateway.save(save("Task", closed)).await.ok();
    assert_eq!(open().await, ["t1"]);
}
