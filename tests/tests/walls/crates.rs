//! Crates of the AWS family, gRPC, output and the environment each stay in a few rooms.

use crate::{
    modules::{Module, Modules, Place},
    workspace::{sample, server},
};

/// The crates of the AWS SDK, by the start of their names.
const AWS: [&str; 1] = ["aws_"];
/// The crates that the embedded engines are made of.
const ENGINES: [&str; 4] = ["dynoxide", "s3s", "rusqlite", "crc_fast"];
const GRPC: [&str; 1] = ["tonic"];

/// The room of a module.
fn room(module: &Module) -> &str {
    module.file.split(['/', '.']).next().unwrap_or_default()
}

/// One line per use of a crate whose name starts with one of `crates`, outside of `allowed` rooms.
fn uses_of_crates(modules: &Modules, crates: &[&str], allowed: &[&str]) -> Vec<String> {
    let is_one = |name: &String| crates.iter().any(|start| name.starts_with(start));
    let mut lines = Vec::new();
    for (place, module) in outside(modules, allowed) {
        let is_external = |path: &[String]| modules.absolute(place, path).is_none();
        let imports = module.names.imports.iter();
        let imports = imports.map(|import| (&import.path, import.line));
        let paths = module.names.paths.iter().map(|path| (&path.path, path.line));
        let found = imports
            .chain(paths)
            .filter(|(path, _)| path.first().is_some_and(is_one) && is_external(path));
        lines.extend(found.map(|(path, line)| format!("{}:{line} uses {}", module.file, path.join("::"))));
    }
    lines
}

/// One line per call of a macro or function in `calls`, which are written as tokens with spaces between.
fn calls(modules: &Modules, calls: &[&str], allowed: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, module) in outside(modules, allowed) {
        for call in calls {
            let wanted: Vec<_> = call.split(' ').collect();
            let found = module.tokens.windows(wanted.len()).filter(|tokens| {
                tokens
                    .iter()
                    .map(|token| token.text.as_str())
                    .eq(wanted.iter().copied())
            });
            lines.extend(
                found.map(|tokens| format!("{}:{} has {}", module.file, tokens[0].line, wanted.concat())),
            );
        }
    }
    lines
}

fn outside<'a>(modules: &'a Modules, allowed: &'a [&str]) -> impl Iterator<Item = (&'a Place, &'a Module)> {
    modules
        .by_place
        .iter()
        .filter(|(_, module)| !allowed.contains(&room(module)))
}

const PRINTS: [&str; 5] = ["println !", "print !", "eprintln !", "eprint !", "dbg !"];
const READS_ENVIRONMENT: [&str; 5] = [
    "env :: var",
    "env :: vars",
    "env :: var_os",
    "env :: vars_os",
    "option_env !",
];

#[test]
fn aws_crates_stay_in_three_rooms() {
    let found = uses_of_crates(server(), &AWS, &["app", "aws", "embedded"]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_engines_stay_in_the_embedded_room() {
    let found = uses_of_crates(server(), &ENGINES, &["embedded"]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn grpc_stays_at_the_door() {
    let allowed = [
        "transport",
        "listener",
        "serve",
        "telemetry",
        "billing",
        "call",
        "cli",
    ];
    let found = uses_of_crates(server(), &GRPC, &allowed);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_the_command_line_prints() {
    let found = calls(server(), &PRINTS, &["cli"]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_the_settings_read_the_environment() {
    let found = calls(server(), &READS_ENVIRONMENT, &["config"]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn finds_a_crate_in_use_and_in_code() {
    let modules = sample(&[
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "use ::aws_sdk_s3::{\n Client,\n};\nfn f(g: &aws_smithy_types::Blob) {}",
        ),
        ("b.rs", "use aws_config::Region; // use aws_types::X\n"),
    ]);
    let expected = [
        "a.rs:2 uses aws_sdk_s3::Client",
        "a.rs:4 uses aws_smithy_types::Blob",
    ];
    assert_eq!(uses_of_crates(&modules, &AWS, &["b"]), expected);
    assert_eq!(uses_of_crates(&modules, &AWS, &["a", "b"]), Vec::<String>::new());
    assert_eq!(uses_of_crates(&modules, &GRPC, &[]), Vec::<String>::new());
}

#[test]
fn finds_output_and_reads_of_the_environment() {
    let modules = sample(&[
        ("lib.rs", "mod a;"),
        (
            "a.rs",
            "fn f() { println!(\"eprint!()\"); std::env::var(\"A\"); }",
        ),
    ]);
    assert_eq!(calls(&modules, &PRINTS, &[]), ["a.rs:1 has println!"]);
    assert_eq!(calls(&modules, &READS_ENVIRONMENT, &[]), ["a.rs:1 has env::var"]);
    assert_eq!(calls(&modules, &PRINTS, &["a"]), Vec::<String>::new());
}
