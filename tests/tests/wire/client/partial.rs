//! Items that were not read completely have another type.

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use tollgate_client::{
    ByModel, Client, Code, Error, GetOptions, Item, Key, Options, Partial, Query, Scan, key, update,
};
use tollgate_tests::gateway::{Gateway, Setup};

use super::{Page, page, page_key, start};

#[tokio::test]
async fn fields_return_partial_items_only() {
    let (_gateway, client) = start(None).await;
    client.save("Page", &page("1", "text")).await.unwrap();
    let options = || GetOptions {
        fields: vec!["text".to_owned()],
        ..GetOptions::default()
    };
    let refused = client
        .get_with::<Item>("Page", page_key("1"), options())
        .await
        .unwrap_err();
    assert_eq!(
        (refused.violations()[0].field.as_str(), refused.metrics().calls),
        ("fields", 0)
    );
    let read = client
        .get_with::<Partial<Item>>("Page", page_key("1"), options())
        .await;
    let read = read.unwrap().value;
    assert_eq!((read.len(), read.is_complete(), read.model()), (1, false, "Page"));
    let scan = Scan {
        fields: options().fields,
        ..Scan::new("Page")
    };
    let refused = client.scan::<Page>(scan).next().await.unwrap().unwrap_err();
    assert_eq!(refused.violations()[0].field, "fields");
}

#[tokio::test]
async fn an_index_returns_complete_items_if_it_contains_them() {
    let (_gateway, client) = start(None).await;
    let mut stored = page("1", "text");
    client.save_mut("Page", &mut stored).await.unwrap();
    let query = |index: &str, owner: Key| Query {
        index: index.to_owned(),
        ..Query::new("Page", owner)
    };
    let all = query("by_owner_all", key("owner").eq("Ada"));
    let found: Vec<Page> = client.query(all).try_collect().await.unwrap();
    assert_eq!(found, [stored]);

    let some = || query("by_owner", key("owner").eq("Ada"));
    let mut refused = client.query::<Item>(some());
    let error = refused.next().await.unwrap().unwrap_err();
    assert!(
        error.is_of_item() && error.message().contains("Partial"),
        "{error}"
    );
    assert!(refused.next().await.is_none());
    let found: Vec<Partial<Item>> = client.query(some()).try_collect().await.unwrap();
    assert!(!found[0].is_complete() && found[0]["text"] == "text".into());
    assert!(!found[0].contains_key("created"));
}

#[tokio::test]
async fn withheld_attributes_make_an_item_partial() {
    let (_gateway, client) = start(None).await;
    let free = |name: &str, value: &str| (name.to_owned(), value.into());
    let item = Item::from([
        free("pk", "A"),
        free("sk", "1"),
        free("secret", "s"),
        free("note", "n"),
    ]);
    client.save("Free", &item).await.unwrap();
    let error = client.get::<Item>("Free", page_key("1")).await.unwrap_err();
    assert!(error.message().contains("secret"), "{error}");
    assert_eq!(error.metrics().dynamodb_calls, 1);
    let partial: Partial<Item> = client.get("Free", page_key("1")).await.unwrap().value;
    assert_eq!(
        (partial.withheld(), &partial["note"]),
        (&["secret".to_owned()][..], &"n".into())
    );
    client
        .update("Free", page_key("1"), update().set("note", "m"))
        .await
        .unwrap();
    let again: Partial<Item> = client.get("Free", page_key("1")).await.unwrap().value;
    assert_eq!((again.withheld().len(), &again["note"]), (1, &"m".into()));
}

#[derive(Debug, PartialEq, Deserialize)]
enum Part {
    Project(Project),
    Task(Task),
}

#[derive(Debug, PartialEq, Deserialize)]
struct Project {
    goal: String,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Task {
    task: String,
    status: String,
}

#[tokio::test]
async fn a_collection_is_read_by_model() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/examples");
    let gateway = Gateway::with(Setup {
        models: Some(folder.into()),
        ..Setup::default()
    })
    .await;
    let client = Client::from_channel(gateway.channel(), Options::default());
    let item = |attributes: &[(&str, &str)]| -> Item {
        let attributes = attributes.iter();
        attributes
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect()
    };
    let project = item(&[("project", "atlas"), ("team", "maps"), ("goal", "new maps")]);
    client.save("Project", &project).await.unwrap();
    let task = item(&[("project", "atlas"), ("task", "t1")]);
    client.save("Task", &task).await.unwrap();
    let parts = client.query::<ByModel<Part>>(Query {
        models: vec!["Task".to_owned()],
        ..Query::new("Project", key("project").eq("atlas"))
    });
    let parts: Result<Vec<ByModel<Part>>, Error> = parts.try_collect().await;
    let parts = parts.unwrap();
    let goal = "new maps".to_owned();
    let (task, status) = ("t1".to_owned(), "open".to_owned());
    assert!(
        parts.contains(&ByModel(Part::Project(Project { goal }))),
        "{parts:?}"
    );
    assert!(
        parts.contains(&ByModel(Part::Task(Task { task, status }))),
        "{parts:?}"
    );
    assert_eq!(parts.len(), 2);
    let refused = client
        .query::<Part>(Query::new("Project", key("project").eq("atlas")))
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
}
