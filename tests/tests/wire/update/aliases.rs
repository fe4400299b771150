//! Objects under an alias: stored, read, updated, queried and deleted by the model's name.

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::values::{Item, delete, get, key, object, query, s, save, update};
use tollgate_tests::wiretap::Wiretap;

use super::{gateway_of, returning};

const ALBUM: &str = "
name: Album
table: albums
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  cover: { type: object, alias: c, s3: { bucket: album-covers, prefix: covers/ } }
  title: { type: string, alias: t }
";

fn content(item: &Item) -> &[u8] {
    match &item["cover"].kind {
        Some(Kind::Object(object)) => object.data.as_deref().expect("its content"),
        other => panic!("{other:?}"),
    }
}

async fn read(gateway: &Gateway) -> Item {
    let request = v1::GetRequest {
        include_objects: vec!["cover".to_owned()],
        ..get("Album", key("A", "1"))
    };
    gateway.get(request).await.ok().item
}

#[tokio::test]
async fn an_object_attribute_can_have_an_alias() {
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(&wiretap, ALBUM).await;
    let stores = wiretap.stores();
    let mut album = key("A", "1");
    album.insert("cover".to_owned(), object("first"));
    album.insert("title".to_owned(), s("Blue"));
    let saved = gateway.save(save("Album", album.clone())).await.ok();
    assert!(saved.generated.contains_key("cover"));
    let stored = stores.item("albums", "A", "1").await.expect("the item");
    assert!(stored.contains_key("c") && !stored.contains_key("cover"));
    assert_eq!(content(&read(&gateway).await), b"first");
    // sent back as it was read, the object is kept
    let mut again = gateway.get(get("Album", key("A", "1"))).await.ok().item;
    again.insert("title".to_owned(), s("Bluer"));
    gateway.save(save("Album", again)).await.ok();
    assert_eq!(content(&read(&gateway).await), b"first");
    for (values, expected) in [
        (v1::ReturnValues::None, "second"),
        (v1::ReturnValues::AllNew, "third"),
    ] {
        let request = update(
            "Album",
            key("A", "1"),
            "SET cover = :o",
            [(":o", object(expected))],
        );
        gateway.update(returning(request, values)).await.ok();
        assert_eq!(content(&read(&gateway).await), expected.as_bytes());
        assert_eq!(stores.objects("album-covers").await.len(), 1);
    }
    let request = v1::QueryRequest {
        fields: vec!["cover".to_owned()],
        include_objects: vec!["cover".to_owned()],
        ..query("Album", "A")
    };
    let pages = gateway.query(request).await.ok();
    assert_eq!(content(&pages[0].results[0].item), b"third");
    gateway.save(save("Album", album)).await.ok();
    assert_eq!(stores.objects("album-covers").await.len(), 1);
    gateway.delete(delete("Album", key("A", "1"))).await.ok();
    assert!(stores.objects("album-covers").await.is_empty());
}
