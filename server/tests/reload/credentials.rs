//! What decides about callers, through a process: new tokens, and SIGHUP that reloads tokens, policies and certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Instant;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::TIMEOUT;
use super::process::{Ended, Process, ended, free_folder, refused};

const SETTINGS: &str = "\
auth: { tokens: { file: tokens.yaml } }
policies: policies
embedded: { memory: true }
metrics: { listen: off }
";
const TLS: &str = "tls: { certificate: server.pem, key: server.key }\n";
const ALL: &str = "permit(principal, action, resource);\n";

fn write(folder: &Path, name: &str, content: &str, mode: u32) {
    let (path, beside) = (folder.join(name), folder.join(format!("{name}.new")));
    fs::write(&beside, content).expect("a free folder");
    fs::set_permissions(&beside, fs::Permissions::from_mode(mode)).expect("as the test made it");
    fs::rename(beside, path).expect("as the test made it");
}

/// A folder with settings and policies that permit everything, and without tokens.
fn prepared(settings: &str) -> TempDir {
    let folder = free_folder();
    fs::create_dir(folder.path().join("policies")).expect("a free folder");
    write(folder.path(), "policies/all.cedar", ALL, 0o600);
    write(folder.path(), "tollgate.yaml", settings, 0o600);
    folder
}

/// Makes a token, and writes it to a file with the name of its caller. Returns the token and its line.
fn new_token(folder: &Path, name: &str) -> (String, String) {
    let made = ended(folder, &["token", "new", name], &[]);
    assert_eq!(made.code, 0, "{made:?}");
    let lines: Vec<&str> = made.stdout.lines().collect();
    let [token, line] = lines[..] else {
        panic!("{made:?}")
    };
    assert!(token.starts_with("tgt_") && !line.contains(token), "{made:?}");
    assert!(!made.stderr.contains(token), "{made:?}");
    write(folder, name, token, 0o600);
    (token.to_owned(), format!("{line}\n"))
}

/// Writes the certificate of a server, and that of its authority with this name.
fn write_certificates(folder: &Path, authority_name: &str) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    write(folder, authority_name, &authority.pem(), 0o600);
    write(folder, "server.key", &key.serialize_pem(), 0o600);
    write(folder, "server.pem", &certificate.pem(), 0o600);
}

fn call(folder: &Path, process: &Process, options: &[&str]) -> Ended {
    let address = process.address().replace("127.0.0.1", "localhost");
    let words = ["call", "scan", "User", "--address", &address];
    ended(folder, &[&words, options].concat(), &[])
}

/// Calls until it ends as expected.
fn until(what: &str, call: impl Fn() -> Ended, is_so: impl Fn(&Ended) -> bool) {
    let begun = Instant::now();
    loop {
        let ended = call();
        if is_so(&ended) {
            return;
        }
        assert!(begun.elapsed() < TIMEOUT, "{what}: {ended:?}");
    }
}

fn is_ok(ended: &Ended) -> bool {
    ended.code == 0
}

#[test]
fn a_new_token_is_shown_once_and_its_line_admits_its_caller() {
    let folder = prepared(SETTINGS);
    let path = folder.path();
    let before = fs::read_dir(path).expect("a folder").count();
    let made = ended(path, &["token", "new", "nightly"], &[]);
    assert!(made.stderr.contains("the token is not shown again"), "{made:?}");
    assert_eq!(
        fs::read_dir(path).expect("a folder").count(),
        before,
        "no file is written"
    );
    let (token, line) = new_token(path, "nightly");
    assert!(!made.stdout.contains(&token), "every token is another one");
    write(path, "tokens.yaml", &line, 0o600);
    let process = Process::serve(path, &[]);
    let by = |options: &[&str]| call(path, &process, options);
    assert!(
        is_ok(&by(&["--token-file", "nightly"])),
        "{:?}",
        by(&["--token-file", "nightly"])
    );
    let without = by(&[]);
    assert!(
        without.code != 0 && without.stderr.contains("UNAUTHENTICATED"),
        "{without:?}"
    );
    write(path, "other", made.stdout.lines().next().expect("a token"), 0o600);
    let unknown = by(&["--token-file", "other"]);
    assert!(
        unknown.code != 0 && unknown.stderr.contains("UNAUTHENTICATED"),
        "{unknown:?}"
    );
    let invalid = ended(path, &["token", "new", "a\nb"], &[]);
    assert_eq!((invalid.code, invalid.stdout.as_str()), (2, ""), "{invalid:?}");
}

#[test]
fn files_of_tokens_that_others_may_read_or_write_are_refused() {
    let folder = prepared(SETTINGS);
    let path = folder.path();
    let (token, line) = new_token(path, "ann");
    for (mode, expected) in [
        (0o604, "is secret, but any user may read it"),
        (0o620, "may be written by other users"),
    ] {
        write(path, "tokens.yaml", &line, mode);
        let refused = refused(path);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.stderr.contains("tokens.yaml") && refused.stderr.contains(expected),
            "{refused:?}"
        );
    }
    write(path, "tokens.yaml", &line, 0o640);
    let process = Process::serve(path, &[]);
    write(path, "ann", &token, 0o604);
    let refused = call(path, &process, &["--token-file", "ann"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("is secret") && !refused.stderr.contains(&token),
        "{refused:?}"
    );
}

#[test]
fn sighup_reloads_tokens_policies_and_certificates() {
    let folder = prepared(&format!("{SETTINGS}{TLS}"));
    let path = folder.path();
    write_certificates(path, "old.pem");
    let (_, ann) = new_token(path, "ann");
    let (_, bob) = new_token(path, "bob");
    write(path, "tokens.yaml", &ann, 0o600);
    let log = fs::File::create(path.join("log")).expect("a free folder");
    let process = Process::serve_logged(path, &[], &[], log);
    let by = |name: &'static str, authority: &'static str| {
        let process = &process;
        move || call(path, process, &["--token-file", name, "--ca", authority])
    };
    assert!(is_ok(&by("ann", "old.pem")()), "{:?}", by("ann", "old.pem")());
    assert!(by("bob", "old.pem")().stderr.contains("UNAUTHENTICATED"));

    write(path, "tokens.yaml", &bob, 0o600);
    process.signal("HUP");
    until("bob is known", by("bob", "old.pem"), is_ok);
    assert!(
        by("ann", "old.pem")().stderr.contains("UNAUTHENTICATED"),
        "ann is not any more"
    );

    write(
        path,
        "policies/all.cedar",
        &format!("{ALL}forbid(principal, action == Tollgate::Action::\"Scan\", resource);\n"),
        0o600,
    );
    process.signal("HUP");
    until("bob may not scan", by("bob", "old.pem"), |ended| {
        ended.stderr.contains("PERMISSION_DENIED")
    });
    write(path, "policies/all.cedar", ALL, 0o600);
    process.signal("HUP");
    until("bob may again", by("bob", "old.pem"), is_ok);

    write_certificates(path, "new.pem");
    process.signal("HUP");
    until("the certificate is another", by("bob", "new.pem"), is_ok);
    assert!(!is_ok(&by("bob", "old.pem")()));

    // what is wrong is logged, and changes nothing
    write(path, "tokens.yaml", "- { name: bob }\n", 0o600);
    write(path, "policies/all.cedar", "permit(principal", 0o600);
    write(path, "server.pem", "no certificate", 0o600);
    process.signal("HUP");
    let logged = || fs::read_to_string(path.join("log")).expect("as the test made it");
    until("models are read last", by("bob", "new.pem"), |_| {
        logged().matches("reading the models").count() == 5
    });
    assert!(is_ok(&by("bob", "new.pem")()), "{}", logged());
    for file in ["tokens.yaml", "all.cedar", "server.pem"] {
        assert!(logged().contains(file), "{file}: {}", logged());
    }
    assert_eq!(process.terminate().code, 0);
}
