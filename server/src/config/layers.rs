//! The layers above the defaults: file, environment and flags. Each becomes a list of settings with their raw values.
//! Unknown names are faults.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::environment::PREFIX;
use super::fault::ConfigFault;
use super::flags::Flags;
use super::kms_cache;
use super::setting::{Setting, variable};
use super::settings::SETTINGS;
use super::structured;
use super::values::Raw;
use crate::yaml::{self, Cursor, Report, View, did_you_mean};

/// The address of the server for `tollgate call`. Not a setting.
const ADDRESS: &str = "TOLLGATE_ADDRESS";

/// The raw value of one setting in one layer.
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    /// `file:line`, the name of a variable, or a flag.
    pub(super) origin: String,
    /// The path of the setting, unless the origin already names it.
    pub(super) path: String,
    pub(super) raw: Raw,
}

/// Reads the named settings file, or else the default one if it exists.
pub(super) fn file(default: &Path, named: Option<&Path>, faults: &mut Vec<ConfigFault>) -> Vec<Given> {
    let path = named.unwrap_or(default);
    let name = path.display().to_string();
    let mut source = Vec::new();
    let read = File::open(path).and_then(|file| {
        file.take(yaml::MAX_FILE_BYTES as u64 + 1)
            .read_to_end(&mut source)
    });
    match read {
        Ok(_) => parse(&name, &source, faults),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Vec::new(),
        Err(error) => {
            faults.push(ConfigFault {
                origin: name,
                path: String::new(),
                text: format!("cannot be read: {error}"),
            });
            Vec::new()
        }
    }
}

fn parse(file: &str, source: &[u8], faults: &mut Vec<ConfigFault>) -> Vec<Given> {
    let mut report = Report::new(file);
    let mut given = Vec::new();
    let nodes = yaml::documents(source, &mut report);
    for (index, cursor) in nodes.iter().map(Cursor::document).enumerate() {
        if index > 0 {
            report.add(&cursor, "a settings file must be one document");
        } else if !cursor.is_nothing() {
            section(&cursor, &mut given, &mut report);
        }
    }
    faults.extend(report.into_faults().into_iter().map(|fault| ConfigFault {
        origin: place(&fault.file, fault.line),
        path: fault.path,
        text: fault.text,
    }));
    given
}

/// Reads one map of the file: settings and further sections.
fn section(at: &Cursor<'_>, given: &mut Vec<Given>, report: &mut Report) {
    for (key, cursor) in at.entries(report).unwrap_or_default() {
        let within = format!("{}.", cursor.path());
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.path == cursor.path()) {
            given.extend(leaf(setting, &cursor, report));
        } else if SETTINGS.iter().any(|setting| setting.path.starts_with(&within)) {
            section(&cursor, given, report);
        } else {
            report.add(
                &cursor,
                format!("no such setting{}", did_you_mean(key, siblings(at.path()))),
            );
        }
    }
}

/// The valid keys of a section.
fn siblings(section: &str) -> impl Iterator<Item = &'static str> {
    let prefix = if section.is_empty() {
        String::new()
    } else {
        format!("{section}.")
    };
    SETTINGS
        .iter()
        .filter_map(move |setting| setting.path.strip_prefix(&prefix))
        .map(|rest| rest.split('.').next().unwrap_or(rest))
}

fn leaf(setting: &'static Setting, at: &Cursor<'_>, report: &mut Report) -> Option<Given> {
    if setting.is_structured {
        let raw = Raw::Text(structured::json(at, report)?.to_string());
        return Some(given(setting, at, raw, report));
    }
    let raw = match at.view(report)? {
        View::Nothing if setting.is_optional() => return None,
        View::Boolean(boolean) => Raw::Text(boolean.to_string()),
        View::Number(text) | View::Text(text) => Raw::Text(text.to_owned()),
        View::List(items) => Raw::List(
            items
                .iter()
                .filter_map(|item| item.text(report))
                .map(str::to_owned)
                .collect(),
        ),
        View::Map(entries) if setting.path == kms_cache::PATH => Raw::Map(texts(entries, report)?),
        other @ (View::Nothing | View::Map(_)) => return at.expected("a value", &other, report),
    };
    Some(given(setting, at, raw, report))
}

fn given(setting: &'static Setting, at: &Cursor<'_>, raw: Raw, report: &Report) -> Given {
    Given {
        setting,
        origin: place(report.file(), at.line()),
        path: setting.path.to_owned(),
        raw,
    }
}

/// The entries of a map of single values.
fn texts(entries: Vec<(&str, Cursor<'_>)>, report: &mut Report) -> Option<Vec<(String, String)>> {
    let texts = entries.into_iter().map(|(key, at)| match at.view(report)? {
        View::Number(text) | View::Text(text) => Some((key.to_owned(), text.to_owned())),
        other => at.expected("a value", &other, report),
    });
    texts.collect()
}

fn place(file: &str, line: usize) -> String {
    if line == 0 {
        file.to_owned()
    } else {
        format!("{file}:{line}")
    }
}

/// Reads the variables whose names start with `TOLLGATE_`, in the order of their names.
pub(super) fn environment(
    variables: impl Iterator<Item = (String, String)>,
    faults: &mut Vec<ConfigFault>,
) -> Vec<Given> {
    let mut ours: Vec<(String, String)> = variables
        .filter(|(name, _)| name != ADDRESS)
        .filter(|(name, value)| {
            name.starts_with(PREFIX) && !is_service_variable(&name[PREFIX.len()..], value)
        })
        .collect();
    ours.sort();
    let mut given = Vec::new();
    for (name, value) in ours {
        match SETTINGS.iter().find(|setting| setting.variable() == name) {
            Some(setting) => {
                given.push(Given {
                    setting,
                    origin: name,
                    path: String::new(),
                    raw: Raw::Text(value),
                });
            }
            None => match cache_key(&name).zip(kms_cache_setting()) {
                Some((key, setting)) => given.push(Given {
                    setting,
                    raw: Raw::Map(vec![(key.to_owned(), value)]),
                    origin: name,
                    path: String::new(),
                }),
                None => faults.push(ConfigFault {
                    text: unknown_variable(&name),
                    origin: name,
                    path: String::new(),
                }),
            },
        }
    }
    given
}

/// The key of `kms.cache` that a variable sets.
fn cache_key(name: &str) -> Option<&'static str> {
    let mut keys = kms_cache::KEYS.into_iter();
    keys.find(|key| variable(&format!("{}.{key}", kms_cache::PATH)) == name)
}

fn kms_cache_setting() -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.path == kms_cache::PATH)
}

fn unknown_variable(name: &str) -> String {
    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    let short: Vec<&str> = known.iter().map(|name| &name[PREFIX.len()..]).collect();
    let near = did_you_mean(name.strip_prefix(PREFIX).unwrap_or(name), short);
    format!(
        "no such setting{}",
        near.replace("(did you mean `", &format!("(did you mean `{PREFIX}"))
    )
}

/// Whether Kubernetes set a variable. It sets variables for every service in a namespace, and the service of this program
/// is probably called `tollgate`.
/// <https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables>
fn is_service_variable(name: &str, value: &str) -> bool {
    let is_address = value.starts_with("tcp://") || value.starts_with("udp://");
    name == "SERVICE_HOST"
        || name == "SERVICE_PORT"
        || name.starts_with("SERVICE_PORT_")
        || (name == "PORT" && is_address)
        || name
            .strip_prefix("PORT_")
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The flags that were set.
pub(super) fn flags(flags: &Flags) -> Vec<Given> {
    let memory = flags.memory.then(|| "true".to_owned());
    let insecure = flags.insecure.then(|| "true".to_owned());
    let all = [
        ("listen", "--listen", &flags.listen),
        ("insecure", "--insecure", &insecure),
        ("models", "--models", &flags.models),
        ("backend", "--backend", &flags.backend),
        ("embedded.data", "--data", &flags.data),
        ("embedded.memory", "--memory", &memory),
        ("log.format", "--log", &flags.log),
        ("metrics.listen", "--metrics-listen", &flags.metrics_listen),
    ];
    let given = all.into_iter().filter_map(|(path, flag, value)| {
        let setting = SETTINGS.iter().find(|setting| setting.path == path)?;
        let raw = Raw::Text(value.clone()?);
        Some(Given {
            setting,
            origin: flag.to_owned(),
            path: String::new(),
            raw,
        })
    });
    given.collect()
}
