//! What `tollgate call` says of items that could not be verified as a whole.

use std::fs;

use super::process::{Process, ended, free_folder};

const CARD: &str = "
name: Card
table: cards
partition_key: pk
attributes:
  pk: { type: string }
  name: { type: string }
  count: { type: number }
  secret: { type: string, encrypted: { key_id: alias/k } }
indexes:
  by_name: { partition_key: name, projection: [count] }
protect: sealed
";

#[test]
fn unverified_items_are_counted() {
    let folder = free_folder();
    fs::create_dir(folder.path().join("models")).expect("a free folder");
    fs::write(folder.path().join("models/card.yaml"), CARD).expect("a free folder");
    let arguments = ["--memory", "--models", "models", "--metrics-listen", "off"];
    let process = Process::serve(folder.path(), &arguments);
    let call = |words: &[&str]| {
        let all = [&["call"], words, &["--address", process.address()]].concat();
        let ended = ended(folder.path(), &all, &[]);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended
    };
    call(&["save", "Card", "pk=A", "name=Ada", "count=1", "secret=s"]);
    let query = ["query", "Card", "name=Ada", "--index", "by_name"];
    let listed = call(&query);
    assert!(listed.stderr.contains("unverified: 1\n"), "{listed:?}");
    let json = call(&[&query[..], &["--json"]].concat());
    assert!(json.stdout.contains("\"unverified_count\":1"), "{json:?}");
    assert!(!json.stderr.contains("unverified"), "{json:?}");
    let got = call(&["get", "Card", "pk=A"]);
    assert!(!got.stderr.contains("unverified"), "{got:?}");
    let json = call(&["get", "Card", "pk=A", "--json"]);
    assert!(json.stdout.contains("\"unverified\":false"), "{json:?}");
    assert_eq!(process.terminate().code, 0);
}
