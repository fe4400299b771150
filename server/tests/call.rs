//! `tollgate call` as people and scripts use it: its output, input and exit codes.

#[path = "call/bulk.rs"]
mod bulk;
#[path = "call/changing.rs"]
mod changing;
#[path = "call/downloading.rs"]
mod downloading;
#[path = "call/presigning.rs"]
mod presigning;
mod process;
#[path = "call/saving.rs"]
mod saving;
#[path = "call/secured.rs"]
mod secured;
#[path = "call/uploading.rs"]
mod uploading;
#[path = "call/verified.rs"]
mod verified;

use std::fs;
use std::net::TcpListener;

use process::{Ended, Process, ended, fed, free_folder};
use serde_json::{Value, json};
use tempfile::TempDir;
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
---
name: Order
table: orders
partition_key: pk
attributes:
  pk: { type: string, template: \"ORDER#{order_id}\", hidden: true }
  order_id: { type: string }
  total: { type: number, min: 0 }
  status: { type: string }
  note: { type: string }
  tags: { type: string_set }
  lines: { type: list }
  place: { type: map }
  rev: { type: version }
indexes:
  by_status: { partition_key: status }
---
name: Note
table: notes
partition_key: pk
attributes:
  pk: { type: string }
  text: { type: string, compressed: {} }
---
name: PlainNote
table: notes
partition_key: pk
unknown_attributes: keep
attributes:
  pk: { type: string }
";

/// A server and the folder in which commands are run.
struct Rig {
    folder: TempDir,
    process: Process,
}

impl Rig {
    fn start() -> Rig {
        Rig::with_settings("")
    }

    fn with_settings(settings: &str) -> Rig {
        let folder = free_folder();
        fs::write(folder.path().join("tollgate.yaml"), settings).expect("as the test made it");
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

    /// Like `call`, but with this standard input.
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

    /// Asserts the exit code and texts of standard error.
    #[track_caller]
    fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text} in {self:?}");
        }
    }
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
fn validate_only_calls_no_store() {
    let rig = Rig::start();
    for (arguments, done) in [
        (&["save", "User", "pk=A", "sk=1"][..], "written"),
        (&["get", "User", "pk=A", "sk=1"], "read"),
        (&["download", "Document", "pk=A", "--to", "none"], "read"),
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
fn suggests_names_that_are_nearly_right() {
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
            let option = word.trim_end_matches([',', ']', '.', ';', '`']);
            assert!(
                option == "--help" || page.contains(&format!("`{option}")),
                "{command} {option}"
            );
        }
    }
}
