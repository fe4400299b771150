//! Files of the operator: policies, settings, and audit logs that are verified.

use std::fs;
use std::sync::LazyLock;

use tollgate::audit::{Audit, AuditKey, Head, OnFailure, Settings, Verifier};
use tollgate::config::{Config, Flags};
use tollgate::model::Models;
use tollgate::policy::{Compiled, Known, Sources};

use super::Outcome;
use super::callers::write;
use super::input::Input;
use super::models::SOURCE;
use super::mutation;
use super::values::text;

const POLICIES: &str = r#"
@id("readers")
permit(principal in Tollgate::Group::"readers", action in Tollgate::Action::"read", resource)
when { context.tls && principal.name like "a*" && context has partition_key };
forbid(principal, action == Tollgate::Action::"Scan", resource) unless { principal.source == "token" || context.time > 7 };
permit(principal == Tollgate::Caller::"alice", action, resource == Tollgate::Server::"self");
"#;

const CEDAR: [&str; 32] = [
    "permit",
    "forbid",
    "when",
    "unless",
    "principal",
    "action",
    "resource",
    "context",
    " in ",
    " == ",
    " has ",
    " like ",
    " is ",
    "if ",
    "then ",
    "else ",
    "Tollgate::Group::\"x\"",
    "Tollgate::Action::\"Get\"",
    "Tollgate::Model::\"x\"",
    "\"*\"",
    "[",
    "]",
    "{",
    "}",
    "(",
    ");",
    ";",
    "!",
    "&&",
    "9223372036854775808",
    "@id(\"a\")",
    "// ",
];

const SETTINGS: &str = "\
listen: 127.0.0.1:50051
tls: { client_certificates: request }
limits: { in_flight: 4096, deadline: 10s, message_bytes: 4 MiB, per_caller: { in_flight: 7, calls_per_second: 1.5 } }
auth:
  certificate_callers: { api: { groups: [a], tenant: acme } }
  jwt: [{ issuer: 'https://id.example', audience: tollgate, jwks: keys.json, algorithms: [ES256], leeway: 5s }]
  public: [health, reflection]
kms: { cache: { max_age: 1m, max_uses: 7 } }
trailers: [call, orca]
log: { format: json, slow: 250ms }
";

const WORDS: [&str; 20] = [
    "listen: ", "tls: ", "auth: ", "limits: ", "jwt: ", "tokens: ", "claims: ", "{", "}", "[", "]", "- ",
    "&a ", "*a", "!!int ", "1e999", "-1", "10s", "4 MiB", "none",
];

/// Variables of each form: texts, numbers, sizes, lists and JSON.
const VARIABLES: [&str; 12] = [
    "TOLLGATE_LISTEN",
    "TOLLGATE_LIMITS__MESSAGE_BYTES",
    "TOLLGATE_LIMITS__DEADLINE",
    "TOLLGATE_LIMITS__PER_CALLER",
    "TOLLGATE_AUTH__JWT",
    "TOLLGATE_AUTH__CERTIFICATE_CALLERS",
    "TOLLGATE_AUTH__PUBLIC",
    "TOLLGATE_TRAILERS",
    "TOLLGATE_TOKEN_KEY",
    "TOLLGATE_KMS__CACHE",
    "TOLLGATE_AUDIT__KEY",
    "TOLLGATE_S3__PUBLIC_URL",
];

const KEY: [u8; 32] = [5; 32];

/// Policies are compiled, or refused with a fault in each place.
pub(crate) fn policies(input: &mut Input) -> Outcome {
    static MODELS: LazyLock<Models> =
        LazyLock::new(|| Models::parse("models.yaml", SOURCE.as_bytes()).expect("valid models"));
    let policies = match input.below(6) {
        0 => text(input),
        1 => {
            // nested as deep as a file may be, and deeper
            let depth = 1 + input.below(3000);
            let open = input.pick(&["(", "!", "[", "-", "{a: "]);
            format!(
                "permit(principal, action, resource) when {{ {} }};",
                open.repeat(depth)
            )
        }
        2 => mutation::lines(input, POLICIES),
        _ => mutation::text(input, POLICIES.to_owned(), &CEDAR),
    };
    input.note(|| policies.clone());
    let path = write("policies.cedar", policies.as_bytes());
    let folder = path.parent().expect("it is in a folder");
    let sources = match Sources::read(folder) {
        Ok(sources) => sources,
        Err(faults) => {
            return refused(
                faults.iter().map(|fault| (fault.line, fault.text.as_str())),
                &policies,
            );
        }
    };
    match Compiled::new(&sources, &MODELS, &Known::default()) {
        Ok(compiled) => {
            assert!(
                compiled.count() <= policies.matches(';').count(),
                "more policies than statements"
            );
            Outcome::Accepted
        }
        Err(faults) => refused(
            faults.iter().map(|fault| (fault.line, fault.text.as_str())),
            &policies,
        ),
    }
}

fn refused<'f>(faults: impl Iterator<Item = (usize, &'f str)>, file: &str) -> Outcome {
    let mut count = 0;
    for (line, text) in faults {
        count += 1;
        assert!(!text.is_empty(), "a fault without a text");
        assert!(
            line <= file.matches('\n').count() + 1,
            "line {line} is not in the file"
        );
    }
    assert!(count > 0, "refused without a fault");
    Outcome::Refused
}

/// Settings of a file and of the environment are used, or refused with their place.
pub(crate) fn settings(input: &mut Input) -> Outcome {
    let file = match input.below(3) {
        0 => String::new(),
        1 => mutation::lines(input, SETTINGS),
        _ => mutation::text(input, SETTINGS.to_owned(), &WORDS),
    };
    let variable = (input.pick(&VARIABLES).to_owned(), value(input));
    input.note(|| format!("{file}\n{variable:?}"));
    let flags = Flags {
        config: Some(write("tollgate.yaml", file.as_bytes())),
        ..Flags::default()
    };
    let variables = input.once_in(2).then_some(variable);
    match Config::load(&flags, variables.into_iter()) {
        Ok(config) => {
            assert!(!config.to_yaml().is_empty());
            Outcome::Accepted
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            for fault in &faults {
                assert!(!fault.text.is_empty() && !fault.origin.is_empty(), "{fault}");
            }
            Outcome::Refused
        }
    }
}

/// The text of a variable.
fn value(input: &mut Input) -> String {
    let valid = input.pick(&[
        "[::1]:50051",
        "4 MiB",
        "1h 30m",
        "[health, reflection]",
        r#"{"in_flight":7,"rcu_per_second":1e3}"#,
        r#"[{"issuer":"a","audience":["b"],"jwks":"c","claims":{"d":"Set<String>"}}]"#,
        r#"{"a":{"groups":["b"],"tenant":"c"}}"#,
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "https://host:1/",
    ]);
    mutation::text(input, valid.to_owned(), &WORDS)
}

/// No log but the whole one, or its first lines, is a chain from the beginning.
pub(crate) fn audit_logs(input: &mut Input) -> Outcome {
    static LOG: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("audit.jsonl");
        let settings = Settings {
            file: Some(file.clone()),
            outlet: None,
            key: AuditKey::new(&KEY),
            chain: true,
            on_failure: OnFailure::Refuse,
        };
        let audit = Audit::open(settings).expect("an audit log");
        for what in ["ReloadModels", "ReloadPolicies", "ReloadCredentials"] {
            audit.changed(what);
        }
        drop(audit);
        fs::read(file).expect("it was written")
    });
    let log = match input.below(4) {
        0 => {
            let text = String::from_utf8(LOG.clone()).expect("text");
            let mut lines = mutation::lines(input, &text);
            lines.push('\n');
            lines.into_bytes()
        }
        1 => {
            let text = String::from_utf8(LOG.clone()).expect("text");
            mutation::text(
                input,
                text,
                &["\"seq\":", "\"prev\":", "{", "}", "\n", "0", "null"],
            )
            .into_bytes()
        }
        _ => mutation::bytes(input, LOG.clone()),
    };
    input.note(|| String::from_utf8_lossy(&log).into_owned());
    let key = AuditKey::new(&KEY);
    let mut verifier = Verifier::new(&key, Head::START, None);
    let read = verifier.read(log.as_slice()).expect("it is in memory");
    match read.and_then(|()| verifier.finish()) {
        Ok(verified) => {
            assert!(LOG.starts_with(&log), "a changed log is a chain");
            let lines = log.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(usize::try_from(verified.lines).ok(), Some(lines));
            Outcome::Accepted
        }
        Err(finding) => {
            assert!(!finding.text.is_empty(), "a finding without a text");
            Outcome::Refused
        }
    }
}
