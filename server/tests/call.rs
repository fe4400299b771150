//! `tollgate call` as people and scripts use it: what goes where, what is read back, and how it ends.

mod process;

use std::fs;
use std::net::TcpListener;

use bytes::Bytes;
use process::{Ended, Process, ended, fed, free_folder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tonic::transport::Channel;

const MODELS: &str = "
name: Thing
table: things
partition_key: pk
sort_key: sk
unknown_attributes: keep
attributes:
  pk: { type: string }
  sk: { type: string }
  count: { type: number }
  raw: { type: binary }
  list: { type: list }
  map: { type: map }
  secret: { type: string, encrypted: { key_id: alias/k } }
---
name: User
table: users
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  name: { type: string }
  age: { type: number }
  year: { type: string }
---
name: Sealed
table: seals
partition_key: pk
attributes:
  pk: { type: string }
  pin: { type: string, encrypted: { key_id: alias/k, mode: write_only } }
---
name: Document
table: documents
partition_key: pk
attributes:
  pk: { type: string }
  content: { type: object, s3: { bucket: my-bucket, prefix: docs/ } }
";

/// A server and the folder in which commands are run.
struct Rig {
    folder: TempDir,
    process: Process,
}

impl Rig {
    fn start() -> Rig {
        let folder = free_folder();
        fs::create_dir(folder.path().join("models")).expect("as the test made it");
        fs::write(folder.path().join("models/all.yaml"), MODELS).expect("as the test made it");
        let process = Process::serve(
            folder.path(),
            &["--memory", "--models", "models", "--metrics-listen", "off"],
        );
        Rig { folder, process }
    }

    /// `tollgate call` with these arguments.
    fn call(&self, arguments: &[&str]) -> Ended {
        let address = [("TOLLGATE_ADDRESS", self.process.address())];
        ended(self.folder.path(), &[&["call"], arguments].concat(), &address)
    }

    /// The same, with this on its standard input.
    fn fed(&self, arguments: &[&str], input: &str) -> Ended {
        let address = ["call", "--address", self.process.address()];
        fed(self.folder.path(), &[&address, arguments].concat(), input)
    }

    async fn data(&self) -> DataServiceClient<Channel> {
        DataServiceClient::new(self.process.channel().await)
    }
}

impl Ended {
    #[track_caller]
    fn ok(self) -> Ended {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It failed with this code and says all of this on standard error.
    #[track_caller]
    fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text} in {self:?}");
        }
    }
}

fn value(kind: Kind) -> v1::AttributeValue {
    v1::AttributeValue { kind: Some(kind) }
}

fn s(text: &str) -> v1::AttributeValue {
    value(Kind::S(text.to_owned()))
}

fn b(bytes: &[u8]) -> v1::AttributeValue {
    value(Kind::B(Bytes::copy_from_slice(bytes)))
}

fn map(fields: Vec<(&str, v1::AttributeValue)>) -> v1::AttributeValue {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    value(Kind::M(v1::MapValue {
        fields: fields.collect(),
    }))
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|text| (*text).to_owned()).collect()
}

/// Everything that plain JSON would lose.
fn thing(sort: &str) -> Vec<(String, v1::AttributeValue)> {
    const DIGITS: &str = "12345678901234567890123456789012345678";
    let numbers = v1::NumberSet {
        values: strings(&["1", DIGITS]),
    };
    let fields = vec![
        ("pk", s("A")),
        ("sk", s(sort)),
        ("count", value(Kind::N(format!("-0.{DIGITS}")))),
        ("raw", b(&[0, 255])),
        ("secret", s("hidden")),
        (
            "list",
            value(Kind::L(v1::ListValue {
                values: vec![b(b"in a list"), value(Kind::Ns(numbers)), value(Kind::Null(0))],
            })),
        ),
        (
            "map",
            map(vec![
                ("bytes", b(b"in a map")),
                (
                    "looks like a set",
                    map(vec![("$ss", value(Kind::L(v1::ListValue::default())))]),
                ),
                (
                    "looks like a map",
                    map(vec![("$m", map(vec![("$b", s("AQL/"))]))]),
                ),
            ]),
        ),
        (
            "tags",
            value(Kind::Ss(v1::StringSet {
                values: strings(&["a", "b"]),
            })),
        ),
        (
            "blobs",
            value(Kind::Bs(v1::BinarySet {
                values: vec![Bytes::from_static(b"\x00")],
            })),
        ),
        ("loose", b(b"not declared")),
        ("text", s("AQL/")),
        ("truth", value(Kind::Bool(true))),
    ];
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

async fn stored(rig: &Rig, sort: &str) -> std::collections::HashMap<String, v1::AttributeValue> {
    let key = [("pk".to_owned(), s("A")), ("sk".to_owned(), s(sort))];
    let request = v1::GetRequest {
        model: "Thing".to_owned(),
        key: key.into(),
        ..v1::GetRequest::default()
    };
    rig.data()
        .await
        .get(request)
        .await
        .expect("as the test made it")
        .into_inner()
        .item
}

#[tokio::test]
async fn what_was_printed_can_be_saved_and_nothing_is_lost() {
    let rig = Rig::start();
    for sort in ["1", "2"] {
        let request = v1::SaveRequest {
            model: "Thing".to_owned(),
            item: thing(sort).into_iter().collect(),
            ..v1::SaveRequest::default()
        };
        rig.data().await.save(request).await.unwrap();
    }
    let expected = stored(&rig, "1").await;
    let get = ["get", "Thing", "pk=A", "sk=1"];
    let plain = rig.call(&get).ok().stdout;
    let envelope = rig.call(&[&["--json"], &get[..]].concat()).ok().stdout;
    let response = serde_json::from_str::<Value>(&envelope).unwrap()["response"]["item"].clone();
    assert_eq!(response["list"][0], json!({ "$b": "aW4gYSBsaXN0" }));
    assert_eq!(response["raw"], json!("AP8="), "typed by the model");
    let line = rig.call(&[&["--output", "jsonl"], &get[..]].concat()).ok().stdout;
    for (form, printed) in [("plain", plain), ("--json", envelope), ("jsonl", line)] {
        rig.call(&["delete", "Thing", "pk=A", "sk=1"]).ok();
        fs::write(rig.folder.path().join("item.json"), printed).unwrap();
        rig.call(&["save", "Thing", "--file", "item.json"]).ok();
        assert_eq!(stored(&rig, "1").await, expected, "{form}");
    }
    let all: Vec<(&str, String)> = ["jsonl", "json"]
        .into_iter()
        .map(|form| (form, rig.call(&["scan", "Thing", "--output", form]).ok().stdout))
        .chain([("--json", rig.call(&["scan", "Thing", "--json"]).ok().stdout)])
        .collect();
    for (form, printed) in all {
        for sort in ["sk=1", "sk=2"] {
            rig.call(&["delete", "Thing", "pk=A", sort]).ok();
        }
        let saved = rig
            .fed(&["save", "Thing", "--file", "-", "--json"], &printed)
            .ok();
        assert_eq!(saved.json()["response"]["items"].as_array().unwrap().len(), 2);
        assert_eq!(saved.json()["metrics"]["kms_calls"], 2, "the bill of both");
        assert_eq!(stored(&rig, "1").await, expected, "{form}");
    }
}

#[test]
fn an_object_that_was_printed_is_kept_or_written_anew() {
    let rig = Rig::start();
    let folder = rig.folder.path();
    fs::write(folder.join("a.txt"), "first").unwrap();
    rig.call(&["save", "Document", "pk=A", "content=@a.txt"]).ok();
    let get = [
        "get",
        "Document",
        "pk=A",
        "--include-object",
        "content",
        "--object-file",
        "copy.txt",
    ];
    let content = || {
        rig.call(&get).ok();
        fs::read_to_string(folder.join("copy.txt")).unwrap()
    };
    let reference = rig.call(&["get", "Document", "pk=A", "--json"]).ok().stdout;
    rig.fed(&["save", "Document", "--file", "-"], &reference).ok();
    assert_eq!(content(), "first", "kept as it is");
    let inline = rig
        .call(&["get", "Document", "pk=A", "--include-object", "content", "--json"])
        .ok();
    let object = &inline.json()["response"]["item"]["content"];
    assert_eq!(
        (&object["data"], &object["name"]),
        (&json!("Zmlyc3Q="), &json!("a.txt"))
    );
    rig.call(&["delete", "Document", "pk=A"]).ok();
    rig.fed(&["save", "Document", "--file", "-"], &inline.stdout).ok();
    assert_eq!(content(), "first", "written anew");
}

#[test]
fn the_bill_is_on_standard_error() {
    let rig = Rig::start();
    let saved = rig
        .call(&["save", "User", "pk=A", "sk=1", "name=Ada", "age=36"])
        .ok();
    assert_eq!(saved.json()["age"], 36, "standard output is the item alone");
    assert!(saved.stderr.contains("write units"), "{saved:?}");
    for arguments in [
        &["get", "User", "pk=A", "sk=1", "--quiet"][..],
        &["query", "User", "pk=A", "--quiet", "--output", "json"],
        &["scan", "User", "--quiet", "--output", "jsonl"],
        &["scan", "User", "--json"],
    ] {
        let printed = rig.call(arguments).ok();
        assert!(printed.json().is_object() || printed.json().is_array());
        assert_eq!(printed.stderr, "", "{arguments:?}");
    }
    let table = rig.call(&["scan", "User", "--output", "table"]).ok();
    assert_eq!(table.stdout, "pk  sk  name  age\nA   1   Ada   36\n");
    let failed = rig.call(&[
        "save",
        "User",
        "pk=A",
        "sk=1",
        "--condition",
        "age = :a",
        "--value",
        ":a=1",
    ]);
    failed.fails(1, &["FAILED_PRECONDITION", "write units"]);
    assert_eq!(failed.stdout, "");
    let refused = rig.call(&["get", "User", "pk=A", "sk=9", "--json"]);
    assert_eq!(
        (refused.code, &refused.json()["error"]["code"]),
        (1, &json!("NOT_FOUND"))
    );
}

#[test]
fn placeholders_have_the_type_of_their_attribute() {
    let rig = Rig::start();
    rig.call(&["save", "User", "pk=A", "sk=2024", "year=2024", "age=2024"])
        .ok();
    for (expression, found) in [
        ("year = :v", 1),
        ("age = :v", 1),
        ("year BETWEEN :v AND :w", 1),
        ("begins_with(year, :v)", 1),
        ("size(year) < :v", 1),
        ("NOT year IN (:v, :w)", 0),
    ] {
        let values: Vec<&str> = [":v=2024", ":w=2025"]
            .into_iter()
            .filter(|value| expression.contains(&value[..2]))
            .flat_map(|value| ["--value", value])
            .collect();
        let scan = [
            "scan", "User", "--output", "json", "--quiet", "--filter", expression,
        ];
        let printed = rig.call(&[&scan[..], &values].concat()).ok();
        assert_eq!(printed.json().as_array().unwrap().len(), found, "{expression}");
    }
    let by_key = [
        "query", "User", "pk=A", "--where", "sk = :s", "--value", ":s=2024", "--output", "json",
    ];
    assert_eq!(rig.call(&by_key).ok().json().as_array().unwrap().len(), 1);
    let wrong = ["scan", "User", "--filter", "age > :a", "--value", ":a=old"];
    rig.call(&wrong).fails(2, &[":a: is a number in the model"]);
}

#[test]
fn many_items_stop_at_the_first_that_fails() {
    let rig = Rig::start();
    let lines = "{\"pk\":\"B\",\"sk\":\"1\"}\n{\"pk\":\"B\",\"sk\":\"2\",\"age\":\"old\"}\n{\"pk\":\"B\",\"sk\":\"3\"}\n";
    let failed = rig.fed(&["save", "User", "--file", "-"], lines);
    failed.fails(
        1,
        &[
            "INVALID_ARGUMENT",
            "item.age",
            "standard input:2 (items saved before it: 1)",
        ],
    );
    let count = |rig: &Rig| {
        let all = rig.call(&["query", "User", "pk=B", "--output", "json"]).ok();
        all.json().as_array().unwrap().len()
    };
    assert_eq!(count(&rig), 1);
    let checked = rig.fed(&["save", "User", "--file", "-", "--validate-only"], lines);
    checked.fails(1, &["item.age", "standard input:2"]);
    assert_eq!(
        (count(&rig), checked.stdout.as_str()),
        (1, ""),
        "nothing was written"
    );
    let broken = rig.fed(
        &["save", "User", "--file", "-"],
        "{\"pk\":\"C\",\"sk\":\"1\"}\n{\"pk\"\n",
    );
    broken.fails(2, &["the item of line 2 does not end"]);
    let broken = rig.fed(
        &["save", "User", "--file", "-", "--json"],
        "{\"pk\":\"C\",\"sk\":\"1\"}{\"pk\":\"C\",\"sk\":\"2\"}\n{\"pk\":1",
    );
    broken.fails(
        2,
        &["the item of line 2 does not end", "items saved before it: 2"],
    );
    assert_eq!(
        (broken.code, &broken.json()["metrics"]["dynamodb_calls"]),
        (2, &json!(2)),
        "billed all the same"
    );
    let each = rig.fed(
        &["save", "User", "name=Bo", "--file", "-", "--quiet"],
        "[{\"pk\":\"D\",\"sk\":\"1\"},{\"pk\":\"D\",\"sk\":\"2\"}]",
    );
    assert_eq!(
        each.ok().stdout.matches("Bo").count(),
        2,
        "arguments go for every item"
    );
    rig.fed(&["save", "User", "--file", "-"], "")
        .fails(2, &["standard input: has no item"]);
    rig.call(&["save", "User", "--file", "nowhere.json"])
        .fails(2, &["nowhere.json"]);
}

#[test]
fn what_was_withheld_is_not_removed_unnoticed() {
    let rig = Rig::start();
    rig.call(&["save", "Sealed", "pk=A", "pin=1234"]).ok();
    let read = rig.call(&["get", "Sealed", "pk=A"]).ok();
    assert!(read.stderr.contains("withheld: pin"), "{read:?}");
    let printed = rig.call(&["get", "Sealed", "pk=A", "--json"]).ok().stdout;
    let save = ["save", "Sealed", "--file", "-"];
    rig.fed(&save, &printed).fails(2, &["`pin` was withheld"]);
    rig.fed(&[&save[..], &["pin=1"]].concat(), &printed).ok();
}

#[test]
fn validation_alone_calls_nothing() {
    let rig = Rig::start();
    for (arguments, done) in [
        (&["save", "User", "pk=A", "sk=1"][..], "written"),
        (&["get", "User", "pk=A", "sk=1"], "read"),
        (&["delete", "User", "pk=A", "sk=1"], "deleted"),
        (&["query", "User", "pk=A"], "read"),
        (&["scan", "User"], "read"),
    ] {
        let checked = rig.call(&[arguments, &["--validate-only"]].concat()).ok();
        assert_eq!(checked.stdout, "", "{arguments:?}");
        assert!(
            checked.stderr.contains(&format!("valid: nothing was {done}")),
            "{checked:?}"
        );
        let object = rig
            .call(&[arguments, &["--validate-only", "--json"]].concat())
            .ok();
        assert_eq!(object.json()["metrics"]["dynamodb_calls"], 0);
    }
    rig.call(&["get", "User", "pk=A", "--validate-only"])
        .fails(1, &["key.sk"]);
    assert_eq!(rig.call(&["scan", "User"]).ok().stdout, "");
}

#[test]
fn names_that_are_nearly_right_are_offered() {
    let rig = Rig::start();
    rig.call(&["save", "User", "pk=A", "sk=1", "nmae=Ada"])
        .fails(2, &["nmae", "did you mean `name`?"]);
    rig.fed(
        &["save", "User", "--file", "-"],
        "{\"pk\":\"A\",\"sk\":\"1\",\"agee\":1}",
    )
    .fails(2, &["agee", "did you mean `age`?"]);
    for arguments in [
        &["get", "Usr", "pk=A"][..],
        &["models", "Usr"],
        &["metrics", "--model", "Usr"],
    ] {
        rig.call(arguments)
            .fails(1, &["UNKNOWN_MODEL", "did you mean `User`?"]);
    }
    rig.call(&["save", "User", "pk=A", "sk=1", "nothing=1"])
        .fails(2, &["nothing: User has no attribute"]);
}

#[test]
fn the_address_is_a_flag_or_a_variable() {
    let rig = Rig::start();
    let health = rig.call(&["health"]).ok();
    assert_eq!(health.stdout, "SERVING\n");
    let service = rig.call(&["health", "tollgate.v1.DataService", "--json"]).ok();
    assert_eq!(service.json(), json!({ "response": { "status": "SERVING" } }));
    rig.call(&["health", "no.such.Service"]).fails(1, &["NOT_FOUND"]);
    // nobody listens on a port that was just given back
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let folder = rig.folder.path();
    let refused = ended(folder, &["call", "health"], &[("TOLLGATE_ADDRESS", &free)]);
    refused.fails(
        1,
        &[
            "UNAVAILABLE",
            &format!("cannot connect to http://{free}"),
            "refused",
        ],
    );
    let empty = ended(
        folder,
        &["call", "--address", rig.process.address(), "health"],
        &[("TOLLGATE_ADDRESS", "")],
    );
    assert_eq!(empty.code, 0, "{empty:?}");
    let wrong = ended(folder, &["call", "health"], &[("TOLLGATE_ADDRESS", "ftp://host")]);
    wrong.fails(2, &["TOLLGATE_ADDRESS"]);
    let served = ended(
        folder,
        &["serve", "--print-config"],
        &[("TOLLGATE_ADDRESS", &free)],
    );
    assert_eq!(served.code, 0, "not a setting of the server: {served:?}");
    rig.call(&["health", "--json", "--output", "table"])
        .fails(2, &["exclude each other"]);
}

#[test]
fn every_command_and_option_is_documented() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md")).unwrap();
    let folder = free_folder();
    let help = |arguments: &[&str]| {
        ended(folder.path(), &[&["call"], arguments, &["--help"]].concat(), &[])
            .ok()
            .stdout
    };
    let overview = help(&[]);
    let commands = overview
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(commands.len() >= 8, "{commands:?}");
    for command in commands {
        assert!(page.contains(&format!("| `{command}")), "{command}");
        for word in help(&[command])
            .split_whitespace()
            .filter(|word| word.starts_with("--"))
        {
            let option = word.trim_end_matches([',', ']', '.', ';']);
            assert!(
                option == "--help" || page.contains(&format!("`{option}")),
                "{command} {option}"
            );
        }
    }
}
