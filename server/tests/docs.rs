//! Compares the documentation with the program: settings, RPCs, trailers, reasons, models. Never starts a server.

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/contributing.rs"]
mod contributing;
#[path = "docs/figures.rs"]
mod figures;
#[path = "docs/models.rs"]
mod models;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/words.rs"]
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args as _, Command, FromArgMatches as _};
use prost::Message as _;
use regex::Regex;
use serde_json::Value;
use tollgate::config::{Config, Flags};
use tollgate::figure::FIGURES;
use tollgate::model::Models;
use tollgate_proto::{FILE_DESCRIPTOR_SET, Reason};

#[test]
fn the_settings_table_matches_the_program() {
    let rows = bare_table(&read("docs/settings.md"), "setting");
    let defaults = settings_of(&Config::default());
    let names: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let known: Vec<&str> = defaults.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, known, "settings and their order");
    let flags: BTreeSet<&str> = rows
        .iter()
        .map(|row| row[2].as_str())
        .filter(|flag| !flag.is_empty())
        .collect();
    assert_eq!(
        flags,
        flags_of_settings()
            .iter()
            .map(String::as_str)
            .collect::<BTreeSet<_>>()
    );
    for (row, (name, default)) in rows.iter().zip(&defaults) {
        let [_, variable, flag, documented, what] = row.as_slice() else {
            panic!("{row:?}")
        };
        assert_eq!(documented, default, "default of {name}");
        assert!(!what.is_empty(), "{name} is explained");
        // a value that any setting of its kind takes, to see which one it reaches
        let value = match (default.as_str(), default.trim_matches(['[', ']'])) {
            ("", _) => any_value(name),
            // an empty variable counts as not set
            (empty, "") => empty,
            (_, members) => members,
        };
        let variables = [&required_by(name), &[(variable.as_str(), value)][..]].concat();
        let by_variable = load(&Flags::default(), &variables);
        assert!(origin(&by_variable, name, variable), "{variable} sets {name}");
        if !flag.is_empty() {
            let arguments = if value == "false" {
                vec![flag.as_str()]
            } else {
                vec![flag, value]
            };
            assert!(
                origin(&load(&parsed(&arguments), &[]), name, flag),
                "{flag} sets {name}"
            );
        }
    }
}

#[test]
fn every_limit_has_its_reason() {
    let rows = table(&read("docs/operations.md"), "limit");
    for (name, _) in settings_of(&Config::default()) {
        let limit = name.starts_with("limits.") || name.ends_with(".in_flight") || name == "sessions.max";
        if !limit {
            continue;
        }
        let row = rows.iter().find(|row| row[0].contains(&format!("`{name}`")));
        let row = row.unwrap_or_else(|| panic!("no row of {name}"));
        assert!(
            row.len() == 4 && row.iter().all(|cell| !cell.is_empty()),
            "{row:?}"
        );
    }
}

#[test]
fn the_rpc_table_matches_the_contract() {
    let rows = bare_table(&read("docs/api.md"), "service");
    let documented: BTreeSet<_> = rows
        .iter()
        .map(|row| (row[0].clone(), row[1].clone(), row[2].clone()))
        .collect();
    let files = descriptors();
    let services = files
        .file
        .iter()
        .filter(|file| file.package() == "tollgate.v1")
        .flat_map(|file| &file.service);
    let mut contract = BTreeSet::new();
    for service in services {
        for method in &service.method {
            let shape = match (method.client_streaming(), method.server_streaming()) {
                (false, false) => "unary",
                (false, true) => "server stream",
                (true, false) => "client stream",
                (true, true) => "client stream in, server stream out",
            };
            contract.insert((
                service.name().to_owned(),
                method.name().to_owned(),
                shape.to_owned(),
            ));
        }
    }
    assert_eq!(documented, contract);
}

#[test]
fn every_proto_names_its_package_in_each_language() {
    let files = descriptors();
    let ours = files.file.iter().filter(|file| file.package() == "tollgate.v1");
    let mut outer_classes = BTreeSet::new();
    for file in ours {
        let options = file.options.as_ref().expect("options of a proto");
        assert_eq!(
            options.go_package(),
            "github.com/tollgate/tollgate/gen/go/tollgate/v1;tollgatev1"
        );
        assert_eq!(options.java_package(), "io.tollgate.v1");
        assert!(options.java_multiple_files());
        assert!(outer_classes.insert(options.java_outer_classname().to_owned()));
        assert_eq!(options.csharp_namespace(), "Tollgate.V1");
        assert_eq!(options.objc_class_prefix(), "TGV");
        assert_eq!(options.php_namespace(), "Tollgate\\V1");
        assert_eq!(options.ruby_package(), "Tollgate::V1");
        assert_eq!(options.swift_prefix(), "Tollgate_V1_");
    }
    assert!(outer_classes.len() >= 4, "{outer_classes:?}");
    // types that each language already has in a standard package must not be generated again
    let status = files
        .file
        .iter()
        .find(|file| file.name() == "google/rpc/status.proto");
    let options = status
        .and_then(|file| file.options.as_ref())
        .expect("Google's options");
    assert_eq!(
        options.go_package(),
        "google.golang.org/genproto/googleapis/rpc/status;status"
    );
    assert_eq!(options.java_package(), "com.google.rpc");
}

#[test]
fn every_trailer_is_explained() {
    let names = read("proto/src/metadata.rs");
    let names = Regex::new(r#"&str = "([^"]+)""#)
        .unwrap()
        .captures_iter(&names)
        .map(|found| found[1].to_owned())
        .collect::<Vec<_>>();
    assert!(names.len() > 20, "{names:?}");
    let pages = read("docs/api.md") + &read("docs/figures.md");
    for name in names {
        assert!(pages.contains(&format!("`{name}")), "{name}");
    }
    let files = descriptors();
    let mut messages = files.file.iter().flat_map(|file| &file.message_type);
    let metrics = messages
        .find(|message| message.name() == "OperationMetrics")
        .unwrap();
    let fields: BTreeSet<&str> = metrics.field.iter().map(|field| field.name()).collect();
    let figures: BTreeSet<&str> = FIGURES
        .iter()
        .filter_map(|figure| figure.metric)
        .map(|name| name.split_once('.').map_or(name, |(message, _)| message))
        .collect();
    assert_eq!(figures, fields, "figures and fields of the contract");
}

#[test]
fn every_reason_is_explained() {
    let page = read("docs/errors.md");
    let yes_or_no = |flag: bool| if flag { "yes" } else { "no" };
    let contract: Vec<[&str; 4]> = Reason::ALL
        .iter()
        .map(|reason| {
            let code = tollgate_client::code_name(reason.code());
            [
                reason.as_str(),
                code,
                yes_or_no(reason.retry_helps()),
                yes_or_no(reason.nothing_changed()),
            ]
        })
        .collect();
    let rows = bare_table(&page, "reason");
    let documented: Vec<&[String]> = rows.iter().map(|row| &row[..4]).collect();
    let sorted = |mut rows: Vec<Vec<String>>| {
        rows.sort();
        rows
    };
    assert_eq!(
        sorted(documented.into_iter().map(<[String]>::to_vec).collect()),
        sorted(
            contract
                .into_iter()
                .map(|row| row.map(str::to_owned).to_vec())
                .collect()
        )
    );
}

#[test]
fn the_models_of_the_documentation_are_valid() {
    let mut count = 0;
    for page in ["docs/models.md", "README.md", "docs/settings.md", "docs/tour.md"] {
        for block in blocks(&read(page), "yaml")
            .iter()
            .filter(|block| block.lines().any(|line| line.starts_with("partition_key:")))
        {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("model.yaml"), block).unwrap();
            let read = Models::read(folder.path());
            assert!(read.is_ok(), "{page}: {block}\n{:?}", read.err());
            count += 1;
        }
    }
    assert!(count >= 5, "{count} models");
}

#[test]
fn every_option_of_models_is_explained() {
    let page = read("docs/models.md");
    let schema: Value = serde_json::from_str(&read("models/model.schema.json")).unwrap();
    let parts = [
        "/properties",
        "/$defs/attribute/properties",
        "/$defs/encrypted/properties",
        "/$defs/s3/properties",
    ];
    for part in parts {
        for option in schema.pointer(part).unwrap().as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{option}`")), "{part}: {option}");
        }
    }
    for kind in schema
        .pointer("/$defs/attribute/properties/type/enum")
        .unwrap()
        .as_array()
        .unwrap()
    {
        assert!(
            page.contains(&format!("| `{}` |", kind.as_str().unwrap())),
            "{kind}"
        );
    }
}

#[test]
fn the_settings_file_of_the_documentation_is_valid() {
    let blocks = blocks(&read("docs/settings.md"), "yaml");
    let example = blocks.iter().find(|block| block.contains("listen:")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tollgate.yaml");
    fs::write(&file, example).unwrap();
    let flags = Flags {
        config: Some(file),
        ..Flags::default()
    };
    assert_eq!(load(&flags, &[]).listen, "0.0.0.0:50051");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The text files of the repository by their paths, without hidden folders and build outputs.
fn repository() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    collect(&root(), "", &mut files);
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder of the checkout") {
        let entry = entry.expect("an entry of the checkout");
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || ["target", "node_modules", "__pycache__"].contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.insert(path, text);
        }
    }
}

fn descriptors() -> prost_types::FileDescriptorSet {
    prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the contract's own descriptors")
}

/// The rows of the table whose first column has this title.
fn table(page: &str, first_column: &str) -> Vec<Vec<String>> {
    let header = format!("| {first_column} |");
    let lines = page.lines().skip_while(|line| !line.starts_with(&header)).skip(2);
    let inner = lines.map_while(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = |inner: &str| inner.split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = inner.map(cells).collect();
    assert!(!rows.is_empty(), "no table of {first_column}");
    rows
}

/// Like [`table`], but without the backticks around cells.
fn bare_table(page: &str, first_column: &str) -> Vec<Vec<String>> {
    let bare = |cell: String| cell.trim_matches('`').to_owned();
    let rows = table(page, first_column).into_iter();
    rows.map(|row| row.into_iter().map(bare).collect()).collect()
}

/// The fenced blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .map(|rest| rest.split_once("```").expect("a fence is closed").0.to_owned())
        .collect()
}

/// Every setting with its value, in the order of `--print-config`; empty if unset.
fn settings_of(config: &Config) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in config.to_yaml().lines() {
        let (name, value) = line.split_once(':').expect("a setting has a name");
        let value = value.trim();
        if !name.starts_with(' ') && value.is_empty() {
            section = format!("{name}.");
            continue;
        }
        let name = match name.strip_prefix("  ") {
            Some(name) => format!("{section}{name}"),
            None => name.to_owned(),
        };
        settings.push((name, value.replace("null", "")));
    }
    settings
}

/// Whether `--print-config` shows this origin of the setting.
fn origin(config: &Config, setting: &str, from: &str) -> bool {
    let values: BTreeMap<String, String> = settings_of(config).into_iter().collect();
    values[setting].ends_with(&format!("  # {from}"))
}

/// A value for a setting that has no default.
fn any_value(setting: &str) -> &'static str {
    match setting {
        "aws.endpoint_url" | "s3.public_url" => "http://127.0.0.1:5000",
        "token_key" | "audit.key" => KEY,
        "limits.in_flight_per_connection" => "7",
        "limits.memory" => "64MiB",
        "tls.client_certificates" => "require",
        _ => "something",
    }
}

/// A key of 32 bytes.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The variables that a setting requires, without its own.
fn required_by(setting: &str) -> Vec<(&'static str, &'static str)> {
    match setting {
        "audit.file" => return vec![("TOLLGATE_AUDIT__KEY", KEY)],
        "audit.key" => return vec![("TOLLGATE_AUDIT__FILE", "a file")],
        _ => {}
    }
    if setting.starts_with("limits.") && setting.ends_with("caller") || setting == "limits.callers" {
        return vec![("TOLLGATE_AUTH__TOKENS", "a file")];
    }
    let files = [
        ("tls.certificate", "TOLLGATE_TLS__CERTIFICATE"),
        ("tls.key", "TOLLGATE_TLS__KEY"),
        ("tls.client_ca", "TOLLGATE_TLS__CLIENT_CA"),
    ];
    let required = files
        .into_iter()
        .filter(|(name, _)| setting.starts_with("tls.") && *name != setting);
    required.map(|(_, variable)| (variable, "a file")).collect()
}

fn load(flags: &Flags, variables: &[(&str, &str)]) -> Config {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(flags, variables).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn serve() -> Command {
    Flags::augment_args(Command::new("serve"))
}

fn parsed(arguments: &[&str]) -> Flags {
    let arguments = std::iter::once("serve")
        .chain(arguments.iter().copied())
        .map(OsString::from);
    let matches = serve().try_get_matches_from(arguments).expect("flags of serve");
    Flags::from_arg_matches(&matches).expect("flags of serve")
}

/// The flags of `serve` that are settings.
fn flags_of_settings() -> BTreeSet<String> {
    let command = serve();
    let names = command.get_arguments().filter_map(|argument| argument.get_long());
    names
        .filter(|name| !matches!(*name, "config" | "print-config" | "watch"))
        .map(|name| format!("--{name}"))
        .collect()
}
