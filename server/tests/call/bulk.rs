//! `tollgate call batch-get`, `batch-write` and `export`: files of items, failures, and continued runs.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::{Process, fed, free_folder};
use super::{MODELS, Rig};

impl Rig {
    fn write_file(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("a folder of the test");
    }

    fn read_file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn exists(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

/// Items of `Thing`, with what plain JSON does not have.
fn things(count: usize) -> String {
    let line = |number: usize| {
        let item = json!({
            "pk": format!("P{}", number % 7),
            "sk": format!("{number:04}"),
            "count": number,
            "raw": "AP8=",
            "secret": "hidden",
            "bytes": { "$b": "AQL/" },
            "set": { "$ns": [1, 2.5] },
        });
        format!("{item}\n")
    };
    (0..count).map(line).collect()
}

#[test]
fn what_export_writes_batch_write_reads() {
    let rig = Rig::start();
    rig.write_file("things.jsonl", &things(300));
    let written = rig.call(&["batch-write", "Thing", "--file", "things.jsonl"]).ok();
    assert_eq!(written.stdout, "300 saved, 0 failed\n");
    assert!(written.stderr.contains("write units"), "{written:?}");
    assert!(
        !written.stderr.contains('\u{1b}'),
        "no progress bar beside a terminal"
    );
    let exported = rig.call(&["export", "Thing", "--quiet"]).ok();
    assert_eq!(
        (exported.stdout.lines().count(), exported.stderr.as_str()),
        (300, "")
    );
    let deleted = rig
        .fed(
            &["batch-write", "Thing", "--file", "-", "--delete", "--json"],
            &exported.stdout,
        )
        .ok()
        .json();
    assert_eq!(
        deleted["response"],
        json!({ "deleted": 300, "failed": 0, "errors": [] })
    );
    assert_eq!(deleted["metrics"]["kms_calls"], 0);
    assert_eq!(rig.call(&["count", "Thing"]).ok().stdout, "0\n");
    rig.fed(&["batch-write", "Thing", "--file", "-"], &exported.stdout)
        .ok();
    let summary = rig
        .call(&[
            "export",
            "Thing",
            "--file",
            "again.jsonl",
            "--parallelism",
            "3",
            "--json",
        ])
        .ok()
        .json();
    assert_eq!(summary["response"], json!({ "exported": 300, "failed": 0 }));
    assert_eq!(lines(&rig.read_file("again.jsonl")), lines(&exported.stdout));
    let some = [
        "export",
        "Thing",
        "--filter",
        "count < :n",
        "--value",
        ":n=2",
        "--fields",
        "sk",
    ];
    assert_eq!(
        lines(&rig.call(&some).ok().stdout),
        lines("{\"sk\":\"0000\"}\n{\"sk\":\"0001\"}\n")
    );
    rig.call(&["export", "Thing", "--json"]).fails(2, &["--file"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = fs::metadata(rig.folder.path().join("again.jsonl")).expect("written");
        assert_eq!(
            file.permissions().mode() & 0o777,
            0o600,
            "it holds decrypted values"
        );
    }
}

#[test]
fn an_export_without_everything_fails() {
    let rig = Rig::start();
    rig.call(&["save", "Note", "pk=A", "text=good"]).ok();
    rig.call(&["save", "PlainNote", "pk=B", "text=ZSTD:AAAA"]).ok();
    let some = rig.call(&["export", "Note"]);
    some.fails(1, &["left out, because they cannot be read: text"]);
    assert_eq!(
        lines(&some.stdout),
        lines("{\"pk\":\"A\",\"text\":\"good\"}\n{\"pk\":\"B\"}\n")
    );
    rig.call(&["save", "Sealed", "pk=A", "pin=1234"]).ok();
    let withheld = rig.call(&["export", "Sealed"]).ok();
    assert!(withheld.stderr.contains("withheld: pin"), "{withheld:?}");
}

#[test]
fn csv_is_typed_by_the_model() {
    let rig = Rig::start();
    rig.write_file("users.csv", "pk,sk,name,age\nA,1,\"Ada, L.\",36\nA,2,,\n");
    rig.call(&["batch-write", "User", "year=1999", "--file", "users.csv"])
        .ok();
    let read = rig
        .call(&["batch-get", "User", "--file", "users.csv", "--output", "json"])
        .ok();
    let expected = json!([
        { "pk": "A", "sk": "1", "name": "Ada, L.", "age": 36, "year": "1999" },
        { "pk": "A", "sk": "2", "year": "1999" },
    ]);
    assert_eq!(read.json(), expected);
    rig.write_file("wrong.csv", "pk,sk,age\nB,1,1\nB,2,old\n");
    let wrong = rig.call(&["batch-write", "User", "--file", "wrong.csv"]);
    wrong.fails(
        2,
        &[
            "wrong.csv:3: age: is a number in the model",
            "1 items of wrong.csv are done",
        ],
    );
    rig.write_file("wrong.csv", "pk,nmae\n");
    let wrong = rig.call(&["batch-write", "User", "--file", "wrong.csv"]);
    wrong.fails(2, &["wrong.csv:1: nmae", "did you mean `name`?"]);
    let fed = ["batch-write", "User", "--file", "-", "--format", "csv", "--quiet"];
    assert_eq!(rig.fed(&fed, "pk,sk\nC,1\n").ok().stdout, "1 saved, 0 failed\n");
    rig.fed(&fed, "").fails(2, &["standard input: has no item"]);
}

#[test]
fn batch_get_reads_in_the_order_of_the_file() {
    let rig = Rig::start();
    rig.write_file("things.jsonl", &things(230));
    rig.call(&["batch-write", "Thing", "--file", "things.jsonl"]).ok();
    let read = rig
        .call(&[
            "batch-get",
            "Thing",
            "--file",
            "things.jsonl",
            "--output",
            "jsonl",
        ])
        .ok();
    let sorts = |text: &str| -> Vec<Value> {
        let items = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        items.map(|item| item["sk"].clone()).collect()
    };
    assert_eq!(sorts(&read.stdout), sorts(&things(230)));
    let keys =
        "{\"pk\":\"P0\",\"sk\":\"0007\"}\n{\"pk\":\"P0\",\"sk\":\"none\"}\n{\"pk\":\"P1\",\"sk\":\"0001\"}\n";
    let get = ["batch-get", "Thing", "--file", "-", "--fields", "count", "--json"];
    let some = rig.fed(&get, keys);
    some.fails(1, &["standard input:2: no item has this key"]);
    assert_eq!(
        some.json()["response"]["items"],
        json!([{ "count": 7 }, { "count": 1 }])
    );
    assert_eq!(some.json()["response"]["failed_count"], 1);
    rig.fed(&get, "{\"count\": 1}")
        .fails(2, &["standard input:1: has no key"]);
    rig.fed(&get, "").fails(2, &["standard input: has no key"]);
}

#[test]
fn items_that_fail_are_rejected_and_the_others_written() {
    let rig = Rig::start();
    rig.call(&["save", "Order", "order_id=2", "total=1"]).ok();
    let orders = "{\"order_id\":\"1\",\"total\":1}\n{\"order_id\":\"2\",\"total\":1}\n{\"order_id\":\"3\",\"total\":-1}\n\
        {\"order_id\":\"4\",\"total\":1}\n";
    rig.write_file("orders.jsonl", orders);
    let arguments = [
        "batch-write",
        "Order",
        "--file",
        "orders.jsonl",
        "--rejects",
        "rejects.jsonl",
    ];
    let some = rig.call(&arguments);
    some.fails(
        1,
        &["ALREADY_EXISTS", "orders.jsonl:2", "item.total", "orders.jsonl:3"],
    );
    assert_eq!(some.stdout, "2 saved, 2 failed\n");
    let expected = lines("{\"order_id\":\"2\",\"total\":1}\n{\"order_id\":\"3\",\"total\":-1}\n");
    assert_eq!(lines(&rig.read_file("rejects.jsonl")), expected);
    // what was rejected can be corrected and written
    let corrected = rig
        .read_file("rejects.jsonl")
        .replace("-1", "3")
        .replace('2', "5");
    rig.fed(&["batch-write", "Order", "--file", "-"], &corrected).ok();
    assert_eq!(rig.call(&["count", "Order"]).ok().stdout, "5\n");
    // an exported version means an existing item, unless it is left out
    let exported = rig.call(&["export", "Order", "--quiet"]).ok().stdout;
    rig.fed(&["batch-write", "Order", "--file", "-", "--delete"], &exported)
        .ok();
    rig.fed(&["batch-write", "Order", "--file", "-"], &exported)
        .fails(1, &["VERSION_MISMATCH"]);
    rig.fed(
        &["batch-write", "Order", "--file", "-", "--omit", "rev"],
        &exported,
    )
    .ok();
    assert_eq!(rig.call(&["count", "Order"]).ok().stdout, "5\n");
}

#[test]
fn an_interrupted_run_is_continued() {
    let rig = Rig::start();
    let good = things(40);
    let broken: String = good.lines().map(|line| format!("{line}\n")).collect();
    rig.write_file(
        "things.jsonl",
        &broken.replace("\"sk\":\"0030\"", "\"sk\":\"0030"),
    );
    let arguments = [
        "batch-write",
        "Thing",
        "--file",
        "things.jsonl",
        "--checkpoint",
        "position",
    ];
    rig.call(&arguments).fails(
        2,
        &[
            "things.jsonl:",
            "30 items of things.jsonl are done, 0 of them failed\n",
        ],
    );
    let position: Value = serde_json::from_str(&rig.read_file("position")).expect("JSON");
    assert_eq!(position["items"], 30);
    rig.call(&["delete", "Thing", "pk=P0", "sk=0000"]).ok();
    rig.write_file("things.jsonl", &good);
    let other = ["batch-write", "Thing", "--file", "-", "--checkpoint", "position"];
    rig.fed(&other, &good)
        .fails(2, &["position: is the checkpoint of"]);
    assert_eq!(rig.call(&arguments).ok().stdout, "40 saved, 0 failed\n");
    assert!(!rig.exists("position"), "everything is done");
    assert_eq!(
        rig.call(&["count", "Thing"]).ok().stdout,
        "39\n",
        "the first 30 were not written again"
    );
}

#[test]
fn what_a_server_acknowledged_before_it_was_killed_is_not_written_again() {
    let folder = free_folder();
    let models = folder.path().join("models");
    fs::create_dir(&models).expect("an empty folder");
    fs::write(models.join("all.yaml"), MODELS).expect("an empty folder");
    let serve = ["--data", "data", "--models", "models", "--metrics-listen", "off"];
    let server = Process::serve(folder.path(), &serve);
    let write = [
        "batch-write",
        "Thing",
        "--file",
        "-",
        "--checkpoint",
        "position",
        "--quiet",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["call", "--address", server.address()])
        .args(write)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(things(50).as_bytes()).expect("it reads");
    // more input could follow, so that the call is open until the server is gone
    let position = folder.path().join("position");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !position.exists() {
        assert!(Instant::now() < deadline, "no result within a minute");
        std::thread::yield_now();
    }
    server.kill();
    let output = child.wait_with_output().expect("it ends");
    drop(input);
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("items of standard input are done"), "{text}");
    let kept: Value = serde_json::from_slice(&fs::read(&position).expect("kept")).expect("JSON");
    let items = kept["items"].as_u64().expect("a number");
    assert!(items <= 50, "{kept}");
    let server = Process::serve(folder.path(), &serve);
    let call = |arguments: &[&str], input: &str| {
        let arguments = [&["call", "--address", server.address()], arguments].concat();
        fed(folder.path(), &arguments, input).ok()
    };
    assert_eq!(call(&write, &things(50)).stdout, "50 saved, 0 failed\n");
    assert_eq!(call(&["count", "Thing"], "").stdout, "50\n");
    assert!(!position.exists());
}

#[test]
fn an_interrupted_export_is_continued() {
    let rig = Rig::start();
    rig.write_file("things.jsonl", &things(100));
    rig.call(&["batch-write", "Thing", "--file", "things.jsonl"]).ok();
    // as a run leaves it that ended after its first page
    let first = rig
        .call(&["scan", "Thing", "--parallelism", "4", "--limit", "30", "--json"])
        .ok()
        .json();
    let items = first["response"]["items"].as_array().expect("items").clone();
    let text: String = items.iter().map(|item| format!("{item}\n")).collect();
    let position = json!({
        "of": "export Thing all.jsonl",
        "items": items.len(),
        "failed": 0,
        "bytes": text.len(),
        "page_token": first["response"]["next_page_token"],
    });
    rig.write_file("all.jsonl", &format!("{text}{{\"pk\":\"half a li"));
    rig.write_file("position", &position.to_string());
    let arguments = [
        "export",
        "Thing",
        "--file",
        "all.jsonl",
        "--checkpoint",
        "position",
    ];
    assert_eq!(rig.call(&arguments).ok().stdout, "100 exported, 0 failed\n");
    let all = rig.read_file("all.jsonl");
    assert_eq!((all.lines().count(), lines(&all).len()), (100, 100));
    assert!(!rig.exists("position"));
}
