//! The audit log of a process: what verification prints, restarts after a kill, and a disk that takes no more lines.

mod process;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use process::{Ended, Process, ended, free_folder};
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::metrics_service_client::MetricsServiceClient;
use tollgate_proto::{Reason, v1::GetTotalMetricsRequest};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

const KEY: (&str, &str) = (
    "TOLLGATE_AUDIT__KEY",
    "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
);
const LOG: (&str, &str) = ("TOLLGATE_AUDIT__FILE", "audit.jsonl");
const CHAIN: (&str, &str) = ("TOLLGATE_AUDIT__CHAIN", "true");
const ARGUMENTS: [&str; 3] = ["--memory", "--metrics-listen", "off"];
/// How long a recovery may take on a machine that does other things.
const TIMEOUT: Duration = Duration::from_secs(60);

fn serve(folder: &Path) -> Process {
    let log = fs::File::create(folder.join("log")).expect("a free folder");
    Process::serve_logged(folder, &ARGUMENTS, &[KEY, LOG, CHAIN], log)
}

fn verify(folder: &Path, more: &[&str]) -> Ended {
    let arguments = [&["audit", "verify", "audit.jsonl"], more].concat();
    ended(folder, &arguments, &[KEY])
}

/// Reads an item that is not there: one call.
async fn call(process: &Process) -> Status {
    let mut data = DataServiceClient::new(process.channel().await);
    let key = [("pk", "MARK-pk"), ("sk", "MARK-sk")].map(|(name, text)| {
        let kind = Some(v1::attribute_value::Kind::S(text.to_owned()));
        (name.to_owned(), v1::AttributeValue { kind })
    });
    let request = v1::GetRequest {
        model: "User".to_owned(),
        key: key.into(),
        ..v1::GetRequest::default()
    };
    data.get(request).await.expect_err("there is no item")
}

#[tokio::test]
async fn a_chain_is_verified_and_goes_on_after_a_kill() {
    let folder = free_folder();
    let process = serve(folder.path());
    for _ in 0..3 {
        assert_eq!(call(&process).await.code(), Code::NotFound);
    }
    process.kill();
    let log = folder.path().join("audit.jsonl");
    let cut = OpenOptions::new().append(true).open(&log);
    cut.expect("the log is there")
        .write_all(b"{\"time\":")
        .expect("it grows");
    let found = verify(folder.path(), &[]);
    assert_eq!(found.code, 3, "{found:?}");
    assert!(
        found
            .stdout
            .starts_with("audit.jsonl:4: was not written to its end"),
        "{found:?}"
    );
    let process = serve(folder.path());
    assert_eq!(call(&process).await.code(), Code::NotFound);
    assert_eq!(process.terminate().code, 0);
    let verified = verify(folder.path(), &[]);
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(
        verified.stdout.starts_with("5 lines, seq 1 to 5\nlast line 5:"),
        "{verified:?}"
    );
    let head = verified
        .stdout
        .trim()
        .rsplit(' ')
        .next()
        .expect("a line")
        .to_owned();
    assert_eq!(verify(folder.path(), &["--expect", &head]).code, 0);
    let text = fs::read_to_string(&log).expect("the log is there");
    assert!(!text.contains("MARK"), "{text}");
    let shorter: String = text.lines().take(4).map(|line| format!("{line}\n")).collect();
    fs::write(&log, shorter).expect("it shrinks");
    assert_eq!(
        verify(folder.path(), &[]).code,
        0,
        "a cut tail shows only with --expect"
    );
    let found = verify(folder.path(), &["--expect", &head]);
    assert!(
        found.code == 3 && found.stdout.contains("the end was cut off"),
        "{found:?}"
    );
    fs::write(&log, text.replacen("\"rpc\":\"Get\"", "\"rpc\":\"Put\"", 1)).expect("it changes");
    let found = verify(folder.path(), &[]);
    assert!(
        found.code == 3 && found.stdout.starts_with("audit.jsonl:1: was changed"),
        "{found:?}"
    );
}

#[tokio::test]
async fn verification_needs_a_key_and_a_file() {
    let folder = free_folder();
    let without = ended(folder.path(), &["audit", "verify", "audit.jsonl"], &[]);
    assert!(
        without.code == 2 && without.stderr.contains("TOLLGATE_AUDIT__KEY"),
        "{without:?}"
    );
    let missing = verify(folder.path(), &[]);
    assert_eq!(missing.code, 1, "{missing:?}");
    let wrong = verify(folder.path(), &["--expect", "7"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("SEQ:PREV"), "{wrong:?}");
}

#[tokio::test]
async fn calls_are_refused_before_they_start_while_lines_cannot_be_written() {
    let folder = free_folder();
    // the reserve does not fit
    let process = Process::serve_with_file_size(folder.path(), 64, &ARGUMENTS, &[KEY, LOG]);
    let refused = call(&process).await;
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let reason = refused
        .get_error_details()
        .error_info()
        .expect("ErrorInfo")
        .reason
        .clone();
    assert_eq!(reason, Reason::AuditUnavailable.as_str());
    let mut metrics = MetricsServiceClient::new(process.channel().await);
    let refused = metrics.get_total_metrics(GetTotalMetricsRequest::default()).await;
    assert_eq!(refused.expect_err("it is audited too").code(), Code::Unavailable);
    let mut health = HealthClient::new(process.channel().await);
    health
        .check(HealthCheckRequest::default())
        .await
        .expect("health is not audited");
    let lifted = Command::new("prlimit")
        .args(["--pid", &process.id().to_string(), "--fsize=unlimited:unlimited"])
        .status();
    assert!(lifted.expect("util-linux is installed").success());
    let until = Instant::now() + TIMEOUT;
    while call(&process).await.code() != Code::NotFound {
        assert!(Instant::now() < until, "lines are written again");
    }
    let text = fs::read_to_string(folder.path().join("audit.jsonl")).expect("the log is there");
    assert_eq!(text.lines().count(), 1, "refused calls did not begin: {text}");
}

#[tokio::test]
async fn calls_go_on_if_the_settings_say_so() {
    let folder = free_folder();
    let variables = [KEY, LOG, ("TOLLGATE_AUDIT__ON_FAILURE", "continue")];
    let process = Process::serve_with_file_size(folder.path(), 1, &ARGUMENTS, &variables);
    for _ in 0..20 {
        assert_eq!(call(&process).await.code(), Code::NotFound);
    }
    let text = fs::read_to_string(folder.path().join("audit.jsonl")).expect("the log is there");
    assert!(
        text.ends_with("}\n") && text.lines().count() < 20,
        "whole lines only: {text}"
    );
}

#[test]
fn settings_of_the_log_are_checked_at_the_start() {
    let folder = free_folder();
    let serve = |variables: &[(&str, &str)]| {
        let variables = [variables, &[("TOLLGATE_METRICS__LISTEN", "off")]].concat();
        ended(
            folder.path(),
            &["serve", "--memory", "--listen", "127.0.0.1:0"],
            &variables,
        )
    };
    let without_key = serve(&[LOG]);
    assert!(
        without_key.code == 2 && without_key.stderr.contains("requires audit.key"),
        "{without_key:?}"
    );
    let exported = serve(&[KEY, ("TOLLGATE_AUDIT__OTLP", "true")]);
    assert!(
        exported.code == 2 && exported.stderr.contains("requires an OTLP endpoint"),
        "{exported:?}"
    );
    let printed = ended(folder.path(), &["serve", "--print-config"], &[KEY, LOG]);
    assert!(
        printed.code == 0 && printed.stdout.contains("[redacted]"),
        "{printed:?}"
    );
    assert!(!printed.stdout.contains("BwcHBw"));
}
