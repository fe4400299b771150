//! A `tonic::Status` is built in one file, so that every error becomes a status by one table.

use std::collections::BTreeSet;

use crate::{
    modules::{Module, Modules},
    workspace::{sample, server},
};

const STATUS_FILE: &str = "transport/status.rs";

/// Every function of tonic and tonic-types that returns a new `Status`, and the conversions that `From` gives.
const CONSTRUCTORS: [&str; 29] = [
    "new",
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
    "from_error",
    "try_from_error",
    "from_header_map",
    "with_details",
    "with_metadata",
    "with_details_and_metadata",
    "with_error_details",
    "with_error_details_vec",
    "from",
    "try_from",
    "default",
];

/// Files that read a status off a response; they build none.
const READS: [(&str, &str); 1] = [("transport/layer/rewrite.rs", "from_header_map")];

/// The names under which a file knows `tonic::Status`.
fn aliases(module: &Module) -> BTreeSet<String> {
    let imports = module.names.imports.iter();
    let statuses = imports.filter(|import| {
        let path: Vec<_> = import.path.iter().map(String::as_str).collect();
        path.starts_with(&["tonic"]) && path.ends_with(&["Status"])
    });
    statuses.map(|import| import.name.clone()).collect()
}

fn built(modules: &Modules) -> Vec<String> {
    let others = modules
        .by_place
        .values()
        .filter(|module| module.file != STATUS_FILE);
    others.flat_map(built_in).collect()
}

fn built_in(module: &Module) -> Vec<String> {
    let aliases = aliases(module);
    let mut lines = Vec::new();
    for found in &module.names.paths {
        let Some([.., owner, function]) = found.path.get(..) else {
            continue;
        };
        let is_full = found.path.first().is_some_and(|first| first == "tonic") && owner == "Status";
        let is_status = is_full || (found.path.len() == 2 && aliases.contains(owner));
        let is_read = READS.contains(&(module.file.as_str(), function.as_str()));
        if is_status && CONSTRUCTORS.contains(&function.as_str()) && !is_read {
            lines.push(format!(
                "{}:{} calls {}",
                module.file,
                found.line,
                found.path.join("::")
            ));
        }
    }
    lines.extend(conversions(module, &aliases));
    lines
}

/// `Into<Status>`, `From<…> for Status`, and `.into()` or `?` in a file that knows `Status` and one of the errors that
/// tonic converts into it.
fn conversions(module: &Module, aliases: &BTreeSet<String>) -> Vec<String> {
    let texts: Vec<_> = module.tokens.iter().map(|token| token.text.as_str()).collect();
    let mut lines = Vec::new();
    let is_alias = |text: &str| aliases.contains(text);
    let knows_convertible = !aliases.is_empty() && knows_convertible_error(module);
    for at in 0..texts.len() {
        let is_conversion = match texts[at..] {
            ["for", name, "{", ..] if is_alias(name) => {
                texts[..at].iter().rev().take(16).any(|text| *text == "From")
            }
            ["Into" | "TryInto", "<", name, ..] => is_alias(name),
            [".", "into" | "try_into", "(", ..] | ["?", ..] => knows_convertible,
            _ => false,
        };
        if is_conversion {
            lines.push(format!(
                "{}:{} converts into a status",
                module.file, module.tokens[at].line
            ));
        }
    }
    lines
}

/// Whether a file names `h2::Error` or `std::io::Error`.
fn knows_convertible_error(module: &Module) -> bool {
    let imports = module.names.imports.iter().map(|import| &import.path);
    let mut paths = imports.chain(module.names.paths.iter().map(|path| &path.path));
    paths.any(|path| {
        let crate_name = path[0].as_str();
        crate_name == "h2" || crate_name == "io" || (crate_name == "std" && path[1] == "io")
    })
}

#[test]
fn statuses_are_built_in_one_file() {
    let found = built(server());
    assert!(found.is_empty(), "{found:#?}");
    let own = server()
        .by_place
        .values()
        .find(|module| module.file == STATUS_FILE);
    assert!(!built_in(own.expect("the file that builds them")).is_empty());
}

#[test]
fn finds_constructors_under_any_name() {
    let modules = sample(&[
        ("lib.rs", "mod a; mod b; mod transport;"),
        (
            "a.rs",
            "use tonic::{Code, Status as S};\nfn f() { S::from_error(e) }\nfn g() { tonic::Status::internal(\"\") }",
        ),
        (
            "b.rs",
            "use tonic::Status;\nfn h(e: h2::Error) -> Status { e.into() }\nfn code(s: &Status) { s.code() }",
        ),
        ("transport.rs", "mod status;"),
        (
            "transport/status.rs",
            "use tonic::Status; fn i() { Status::new(c, m) }",
        ),
    ]);
    let expected = [
        "a.rs:2 calls S::from_error",
        "a.rs:3 calls tonic::Status::internal",
        "b.rs:2 converts into a status",
    ];
    assert_eq!(built(&modules), expected);
}

#[test]
fn another_status_is_not_one_of_grpc() {
    let modules = sample(&[
        ("lib.rs", "mod a;"),
        (
            "a.rs",
            "use opentelemetry::trace::Status; fn f() { Status::default() }",
        ),
    ]);
    assert_eq!(built(&modules), Vec::<String>::new());
}
