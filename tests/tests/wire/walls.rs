//! The walls between the rooms, read off the sources: each room names only the rooms that it may know, AWS crates stay
//! in three places, gRPC in a few, and only the command line prints.

use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms each room may name. What is not here may be named by nobody but the hallway (`app`), `serve` and `cli`.
const ROOMS: [(&str, &[&str]); 15] = [
    ("yaml", &["fault"]),
    ("fault", &[]),
    ("capacity", &[]),
    ("model", &["fault", "yaml"]),
    ("expression", &["fault", "model"]),
    ("config", &["fault", "yaml"]),
    ("embedded", &[]),
    ("billing", &["capacity", "telemetry", "yaml"]),
    // item: what a refused write consumed goes by the item's size
    ("aws", &["billing", "item", "model", "telemetry"]),
    ("crypto", &["aws", "billing", "model"]),
    ("item", &["aws", "billing", "crypto", "fault", "model"]),
    ("object", &["aws", "billing", "crypto", "item", "model"]),
    (
        "operation",
        &[
            "aws",
            "billing",
            "capacity",
            "crypto",
            "expression",
            "fault",
            "item",
            "model",
            "object",
        ],
    ),
    (
        "transport",
        &[
            "aws",
            "billing",
            "capacity",
            "expression",
            "fault",
            "model",
            "operation",
            "telemetry",
        ],
    ),
    ("listener", &["transport"]),
];
/// Rooms that know AWS's crates.
const KNOW_AWS: [&str; 3] = ["app", "aws", "embedded"];
/// Rooms that know nothing of gRPC.
const KNOW_NO_GRPC: [&str; 11] = [
    "yaml",
    "fault",
    "model",
    "expression",
    "config",
    "embedded",
    "aws",
    "crypto",
    "item",
    "object",
    "operation",
];
/// What builds a `tonic::Status`.
const BUILDERS: [&str; 20] = [
    "new",
    "with_details",
    "with_error_details",
    "with_metadata",
    "with_details_and_metadata",
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
];

/// One source file of the server, without its tests and comments.
struct Source {
    path: String,
    room: String,
    lines: Vec<String>,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Source {
        let inside = path
            .strip_prefix(root)
            .expect("a file of the server")
            .to_str()
            .expect("text");
        let room = inside.split(['/', '.']).next().expect("a name").to_owned();
        let text = fs::read_to_string(path).expect("a source file");
        assert!(text.starts_with("//!"), "{inside} does not say what room it is");
        let code = without_tests(&text);
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(str::to_owned);
        Source {
            path: inside.to_owned(),
            room,
            lines: lines.collect(),
        }
    }

    fn is_within(&self, rooms: &[&str]) -> bool {
        rooms.contains(&self.room.as_str())
    }

    /// The lines that name something.
    fn naming(&self, name: impl Fn(&str) -> bool) -> Vec<String> {
        let found = self.lines.iter().filter(|line| name(line));
        found
            .map(|line| format!("{}: {}", self.path, line.trim()))
            .collect()
    }
}

/// The text before its module of tests, which is always the last thing.
fn without_tests(text: &str) -> &str {
    let test_module = text.match_indices("#[cfg(test)]").find(|(at, _)| {
        let after = text[*at..]
            .lines()
            .find(|line| !line.starts_with("#["))
            .unwrap_or_default();
        after.starts_with("mod ") && after.ends_with('{')
    });
    test_module.map_or(text, |(at, _)| &text[..at])
}

fn is_of_tests(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).expect("a file of the server");
    let is_one = |part: &std::ffi::OsStr| part == "tests" || part == "testing";
    let is_named_so = path.file_stem().is_some_and(is_one) || inside.iter().any(is_one);
    is_named_so || is_declared_for_tests(path)
}

/// Whether the parent module has `#[cfg(test)] mod name;`.
fn is_declared_for_tests(path: &Path) -> bool {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem().and_then(|stem| stem.to_str())) else {
        return false;
    };
    let parents = [folder.join("mod.rs"), folder.with_extension("rs")];
    let declared = format!("mod {stem};");
    parents
        .iter()
        .filter_map(|parent| fs::read_to_string(parent).ok())
        .any(|text| {
            text.split("\n\n")
                .any(|block| block.contains("#[cfg(test)]") && block.contains(&declared))
        })
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("a folder of sources")
        .map(|entry| entry.expect("an entry").path());
    let mut files = Vec::new();
    for path in entries {
        match path.is_dir() {
            true => files.extend(self::files(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            false => {}
        }
    }
    files
}

fn sources() -> Vec<Source> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let root = workspace.join("server/src");
    let files = files(&root).into_iter().filter(|path| !is_of_tests(&root, path));
    let sources: Vec<_> = files.map(|path| Source::read(&root, &path)).collect();
    assert!(sources.len() > 50, "the sources are there");
    sources
}

/// The names that follow `crate::` in a line, those in braces too.
fn rooms_named(line: &str) -> Vec<&str> {
    let ends = |rest: &str| rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let first = |rest| &rest[..ends(rest).unwrap_or(rest.len())];
    let named = line
        .match_indices("crate::")
        .filter(|(at, _)| !line[..*at].ends_with('_'));
    let mut rooms = Vec::new();
    for (at, name) in named {
        let rest = &line[at + name.len()..];
        match rest.strip_prefix('{') {
            Some(inside) => rooms.extend(inside.split(',').map(|part| first(part.trim()))),
            None => rooms.push(first(rest)),
        }
    }
    rooms
}

#[test]
fn a_room_names_only_the_rooms_that_it_may_know() {
    let mut crossed = Vec::new();
    for source in sources() {
        let Some((_, may_know)) = ROOMS.iter().find(|(room, _)| *room == source.room) else {
            continue;
        };
        let is_foreign = |room: &&str| {
            let is_a_room = ROOMS.iter().any(|(name, _)| name == room)
                || ["app", "serve", "cli", "telemetry"].contains(room);
            is_a_room && *room != source.room && !may_know.contains(room)
        };
        crossed.extend(source.naming(|line| rooms_named(line).iter().any(&is_foreign)));
    }
    assert!(crossed.is_empty(), "{crossed:#?}");
}

#[test]
fn aws_crates_stay_in_three_places() {
    let crates = [
        "aws_sdk_",
        "aws_config",
        "aws_smithy_",
        "aws_types",
        "aws_credential_types",
    ];
    let sources = sources();
    let knows = |source: &Source| source.naming(|line| crates.iter().any(|name| line.contains(name)));
    let outside = sources.iter().filter(|source| !source.is_within(&KNOW_AWS));
    let crossed: Vec<_> = outside.flat_map(knows).collect();
    assert!(crossed.is_empty(), "{crossed:#?}");
    assert!(
        sources
            .iter()
            .any(|source| source.room == "aws" && !knows(source).is_empty()),
        "the test sees nothing"
    );
}

#[test]
fn grpc_stays_at_the_door() {
    let inner = sources()
        .into_iter()
        .filter(|source| source.is_within(&KNOW_NO_GRPC));
    let crossed: Vec<_> = inner
        .flat_map(|source| source.naming(|line| line.contains("tonic")))
        .collect();
    assert!(crossed.is_empty(), "{crossed:#?}");
}

#[test]
fn statuses_are_built_in_one_file() {
    let builds = |line: &str| {
        let calls = line
            .match_indices("Status::")
            .filter(|(at, _)| !line[..*at].ends_with("pb::"));
        let mut names = calls.map(|(at, name)| &line[at + name.len()..]);
        names.any(|rest| {
            BUILDERS.iter().any(|builder| {
                rest.strip_prefix(builder)
                    .is_some_and(|rest| rest.starts_with('('))
            })
        })
    };
    let sources = sources();
    let others = sources
        .iter()
        .filter(|source| source.path != "transport/status.rs");
    let crossed: Vec<_> = others.flat_map(|source| source.naming(builds)).collect();
    assert!(crossed.is_empty(), "{crossed:#?}");
    let own = sources
        .iter()
        .find(|source| source.path == "transport/status.rs")
        .expect("the one file");
    assert!(!own.naming(builds).is_empty(), "the test sees nothing");
}

#[test]
fn only_the_command_line_prints_and_only_settings_read_the_environment() {
    let prints = ["println!", "print!(", "eprint!(", "dbg!("];
    let reads = ["env::var", "env::vars", "std::env::", "option_env!"];
    let outside = |rooms: &'static [&'static str]| {
        sources()
            .into_iter()
            .filter(move |source| !source.is_within(rooms) && source.room != "main")
    };
    let printed = outside(&["cli"])
        .flat_map(|source| source.naming(|line| prints.iter().any(|name| line.contains(name))));
    let read = outside(&["cli", "config"])
        .flat_map(|source| source.naming(|line| reads.iter().any(|name| line.contains(name))));
    let crossed: Vec<_> = printed.chain(read).collect();
    assert!(crossed.is_empty(), "{crossed:#?}");
}
