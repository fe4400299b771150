//! The log as files: lines, failures, restarts, rotation, and what verification finds.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::chain::Link;
use super::line::Line;
use super::*;

const KEY: [u8; 32] = [7; 32];

fn settings(file: &Path) -> Settings {
    Settings {
        file: Some(file.to_owned()),
        outlet: None,
        key: AuditKey::new(&KEY),
        chain: true,
        on_failure: OnFailure::Refuse,
    }
}

fn open(file: &Path) -> Audit {
    Audit::open(settings(file)).expect("it opens")
}

/// A log of so many lines.
fn log_of(file: &Path, lines: usize) {
    let audit = open(file);
    (0..lines).for_each(|_| end(&audit));
}

fn end(audit: &Audit) {
    let record = audit.begin().expect("it begins");
    record.add_item(b"MARK-key");
    record.add_decrypted(["ssn"]);
    record.permitted(["admins"]);
    record.end(&Ended {
        caller: None,
        rpc: "Get",
        model: Some("User"),
        request_id: "r",
        decision: Decision::Allow,
        code: "OK",
    });
}

fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("it is there");
    text.lines().map(str::to_owned).collect()
}

fn verify_bytes(bytes: &[u8], after: Head, expected: Option<Head>) -> Result<Verified, Finding> {
    let key = AuditKey::new(&KEY);
    let mut verifier = Verifier::new(&key, after, expected);
    verifier.read(bytes).expect("memory is read")?;
    verifier.finish()
}

fn verify(file: &Path) -> Result<Verified, Finding> {
    verify_bytes(&fs::read(file).expect("it is there"), Head::START, None)
}

#[test]
fn a_line_has_the_fields_of_the_contract_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    log_of(&file, 1);
    let line = &lines(&file)[0];
    let fields = [
        "time",
        "caller",
        "tenant",
        "rpc",
        "model",
        "key",
        "decrypted",
        "withheld",
        "decision",
        "policies",
        "code",
        "request_id",
        "seq",
        "prev",
    ];
    let parsed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    assert_eq!(parsed.len(), fields.len());
    let places = fields.map(|field| line.find(&format!("\"{field}\":")).expect(field));
    assert!(places.is_sorted(), "{line}");
    assert_eq!(
        (&parsed["seq"], &parsed["code"], &parsed["decision"]),
        (&1.into(), &"OK".into(), &"allow".into())
    );
    assert_eq!(parsed["key"].as_str().unwrap().len(), 64);
    assert!(!line.contains("MARK"), "{line}");
}

#[test]
fn several_items_are_listed_within_bounds_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let audit = open(&file);
    let record = audit.begin().unwrap();
    for number in 0..1000_u32 {
        record.add_item(&number.to_be_bytes());
        record.add_withheld([format!("field{number}").as_str()]);
    }
    record.denied([]);
    record.end(&Ended {
        caller: None,
        rpc: "Scan",
        model: None,
        request_id: "r",
        decision: Decision::Allow,
        code: "OK",
    });
    let parsed: serde_json::Value = serde_json::from_str(&lines(&file)[0]).unwrap();
    assert_eq!(parsed["key"]["count"], 1000);
    assert_eq!(parsed["key"]["first"].as_array().unwrap().len(), 100);
    assert_eq!(parsed["withheld"].as_array().unwrap().len(), 257);
    assert_eq!(parsed["decision"], "deny", "a part of it was denied");
}

#[test]
fn denied_parts_are_listed_within_bounds_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let audit = open(&file);
    let record = audit.begin().unwrap();
    for number in 0..150_u32 {
        record.add_model(if number % 2 == 0 { "Order" } else { "User" });
        record.denied_part("User", Some(&number.to_be_bytes()), ["a.cedar:1"]);
    }
    record.denied_part("User", None, []);
    record.end(&Ended {
        caller: None,
        rpc: "BatchWrite",
        model: None,
        request_id: "r",
        decision: Decision::Allow,
        code: "OK",
    });
    let parsed: serde_json::Value = serde_json::from_str(&lines(&file)[0]).unwrap();
    assert_eq!(parsed["model"], serde_json::json!(["Order", "User"]));
    assert_eq!(
        (&parsed["denied"]["count"], &parsed["decision"]),
        (&151.into(), &"deny".into())
    );
    let first = parsed["denied"]["first"].as_array().unwrap();
    assert_eq!((first.len(), &first[0]["model"]), (100, &"User".into()));
    assert_eq!(first[0]["key"].as_str().unwrap().len(), 64);
    assert_eq!(parsed["policies"], serde_json::json!(["a.cedar:1"]));
}

#[test]
fn the_chain_goes_on_after_restarts_rotation_and_a_line_that_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (file, old) = (folder.path().join("audit.jsonl"), folder.path().join("old"));
    log_of(&file, 3);
    log_of(&file, 2);
    assert_eq!(verify(&file).unwrap().lines, 5);
    let audit = open(&file);
    fs::rename(&file, &old).unwrap();
    audit.reopen();
    end(&audit);
    drop(audit);
    let head = verify(&old).unwrap().head;
    assert_eq!(
        verify_bytes(&fs::read(&file).unwrap(), head, None)
            .unwrap()
            .head
            .seq,
        6
    );
    assert!(
        verify(&file)
            .unwrap_err()
            .text
            .contains("is not the first of the chain: the 5 lines")
    );
    // rotated while no process runs
    fs::remove_file(&file).unwrap();
    log_of(&file, 1);
    assert_eq!(chain::number(&lines(&file)[0]), Some(7));
    OpenOptions::new()
        .append(true)
        .open(&file)
        .unwrap()
        .write_all(b"{\"time\":\"20")
        .unwrap();
    assert!(verify_tail(&file).contains("was not written to its end"));
    log_of(&file, 1);
    let after = lines(&file);
    assert_eq!(after.len(), 3, "a line says so");
    assert!(after[1].contains("\"rpc\":\"AuditRepaired\""));
}

fn verify_tail(file: &Path) -> String {
    let bytes = fs::read(file).unwrap();
    let first = lines(file)[0].clone();
    let head = Link::parse(&first).unwrap().head;
    let rest = &bytes[first.len() + 1..];
    verify_bytes(rest, head, None).unwrap_err().text
}

#[test]
fn verification_finds_the_first_line_that_was_changed_cut_out_or_inserted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    log_of(&file, 6);
    let all = lines(&file);
    let head = verify(&file).unwrap().head;
    let found = |lines: &[String], expected| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        verify_bytes(text.as_bytes(), Head::START, expected).map_err(|finding| (finding.line, finding.text))
    };
    let mut changed = all.clone();
    for at in 0..all.len() {
        changed[at] = changed[at].replace("\"code\":\"OK\"", "\"code\":\"NO\"");
        let (line, text) = found(&changed, None).unwrap_err();
        assert_eq!(line, Some(at as u64 + 1));
        assert!(text.contains("changed"), "{text}");
        changed.clone_from(&all);
    }
    for at in 0..all.len() - 1 {
        let mut cut = all.clone();
        cut.remove(at);
        assert_eq!(found(&cut, None).unwrap_err().0, Some(at as u64 + 1));
    }
    for at in 1..=all.len() {
        let mut inserted = all.clone();
        inserted.insert(at, all[0].clone());
        let (line, text) = found(&inserted, None).unwrap_err();
        assert_eq!(line, Some(at as u64 + 1));
        assert!(text.contains("inserted"), "{text}");
    }
    // a cut tail shows only with what was noted elsewhere
    let cut = &all[..4];
    assert!(found(cut, None).is_ok());
    let (line, text) = found(cut, Some(head)).unwrap_err();
    assert_eq!(line, None);
    assert!(text.contains("the end was cut off"), "{text}");
    assert!(found(&all, Some(head.to_string().parse().unwrap())).is_ok());
}

#[test]
fn one_process_writes_a_file_and_only_its_own_chain() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let audit = open(&file);
    end(&audit);
    assert!(matches!(Audit::open(settings(&file)), Err(Error::InUse(_))));
    drop(audit);
    for (key, chain) in [([8; 32], true), (KEY, false)] {
        let opened = Audit::open(Settings {
            key: AuditKey::new(&key),
            chain,
            ..settings(&file)
        });
        assert!(matches!(opened, Err(Error::Unusable { .. })), "{opened:?}");
    }
    assert!(matches!(
        Audit::open(settings(folder.path())),
        Err(Error::Io { .. })
    ));
}

#[test]
fn the_reserve_is_filled_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    log_of(&file, 1);
    let reserve = File::open(folder.path().join("audit.jsonl.reserve")).unwrap();
    assert_eq!(reserve.metadata().unwrap().len(), file::RESERVE_BYTES as u64);
}

#[test]
fn keys_of_items_are_hmacs_under_the_key() {
    let (one, other) = (AuditKey::new(&KEY), AuditKey::new(&[8; 32]));
    assert_eq!(one.item(b"a"), one.item(b"a"));
    assert_ne!(one.item(b"a"), one.item(b"b"));
    assert_ne!(one.item(b"a"), other.item(b"a"));
    assert_eq!(format!("{one:?}"), "AuditKey(redacted)");
}

proptest! {
    /// Whatever a file has, it is verified or found, and no text but the written one is authentic.
    #[test]
    fn no_content_of_a_file_is_a_panic_or_verified(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let result = verify_bytes(&bytes, Head::START, None);
        prop_assert_eq!(result.is_ok(), bytes.is_empty());
    }

    #[test]
    fn no_edit_of_a_line_is_verified(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let key = AuditKey::new(&KEY);
        let mut line = Line::of_change("ReloadPolicies").numbered(1);
        Head::START.link(&key, &mut line);
        line.push('\n');
        let mut edited = line.clone().into_bytes();
        let at = at.index(edited.len());
        edited[at] = byte;
        let result = verify_bytes(&edited, Head::START, None);
        prop_assert_eq!(result.is_ok(), edited == line.as_bytes());
    }
}
