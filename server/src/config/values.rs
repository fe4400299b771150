//! Parses and prints the values of settings: counts, sizes, durations, words. Errors say what is expected and never repeat
//! the text, which may be a secret.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytesize::ByteSize;

use super::token_key::TokenKey;

/// The raw value of a setting.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    /// A scalar's text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// A map of texts.
    Map(Vec<(String, String)>),
}

impl Raw {
    /// A single text.
    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Raw::Text(text) => Ok(text),
            Raw::List(_) => Err("expected one value, found a list".to_owned()),
            Raw::Map(_) => Err("expected one value, found a map".to_owned()),
        }
    }

    /// A list of texts. A single text is split at its commas, as in the environment.
    pub(super) fn list(&self) -> Vec<&str> {
        match self {
            Raw::List(items) => items.iter().map(String::as_str).collect(),
            Raw::Map(_) => Vec::new(),
            Raw::Text(text) if text.trim().is_empty() => Vec::new(),
            Raw::Text(text) => text.split(',').map(str::trim).collect(),
        }
    }
}

/// Parses a whole number within bounds.
pub(super) fn count(raw: &Raw, bounds: &RangeInclusive<usize>) -> Result<usize, String> {
    let fault = || {
        format!(
            "must be a whole number from {} to {}",
            bounds.start(),
            bounds.end()
        )
    };
    raw.text()?
        .parse()
        .ok()
        .filter(|count| bounds.contains(count))
        .ok_or_else(fault)
}

/// Parses a size within bounds, such as `32 MiB`. Returns bytes.
pub(super) fn size(raw: &Raw, bounds: &RangeInclusive<usize>) -> Result<usize, String> {
    let fault = || {
        format!(
            "must be a size from {} to {}, such as `32 MiB`",
            show_size(*bounds.start()),
            show_size(*bounds.end())
        )
    };
    let bytes = raw
        .text()?
        .parse::<ByteSize>()
        .ok()
        .and_then(|size| usize::try_from(size.as_u64()).ok());
    bytes.filter(|bytes| bounds.contains(bytes)).ok_or_else(fault)
}

/// Parses a duration within bounds, such as `30s`, `5m` or `1h`.
pub(super) fn duration(raw: &Raw, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let fault = || {
        let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
        format!("must be a duration from {least} to {most}, such as `30s` or `5m`")
    };
    humantime::parse_duration(raw.text()?)
        .ok()
        .filter(|value| bounds.contains(value))
        .ok_or_else(fault)
}

/// Parses a duration within bounds, or the word that disables it.
pub(super) fn duration_or(
    word: &str,
    raw: &Raw,
    bounds: &RangeInclusive<Duration>,
) -> Result<Option<Duration>, String> {
    if raw.text()? == word {
        return Ok(None);
    }
    duration(raw, bounds)
        .map(Some)
        .map_err(|text| format!("{text}, or {word}"))
}

/// Parses `true` or `false`.
pub(super) fn boolean(raw: &Raw) -> Result<bool, String> {
    raw.text()?
        .parse()
        .map_err(|_| "must be true or false".to_owned())
}

/// Parses one of several words.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let chosen = choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value);
    chosen.ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("must be one of {}", names.join(", "))
    })
}

/// The word for a value.
pub(super) fn name_of<T: Copy + PartialEq>(value: T, choices: &[(&'static str, T)]) -> &'static str {
    choices
        .iter()
        .find(|(_, choice)| *choice == value)
        .map_or("", |(name, _)| name)
}

/// Parses text that must not be empty.
pub(super) fn filled(raw: &Raw) -> Result<&str, String> {
    let text = raw.text()?;
    if text.trim().is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text)
    }
}

/// Parses `host:port`, with an IPv6 address in brackets.
pub(super) fn address(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    let valid = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
    valid
        .then(|| text.to_owned())
        .ok_or_else(|| "must be HOST:PORT, such as `127.0.0.1:50051`".to_owned())
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            !host.is_empty() && host.bytes().all(byte)
        }
    }
}

/// Parses an `http://` or `https://` URL without credentials.
pub(super) fn url(raw: &Raw) -> Result<String, String> {
    let text = raw.text()?;
    let uri = text.parse::<http::Uri>().ok();
    let valid = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.query().is_none()
    });
    valid
        .then(|| text.to_owned())
        .ok_or_else(|| "must be a URL such as `http://localhost:4566`".to_owned())
}

/// Parses an `http://` or `https://` URL of a host: its path would be part of what is signed.
pub(super) fn origin(raw: &Raw) -> Result<String, String> {
    let text = url(raw).map_err(|_| ORIGIN.to_owned())?;
    let origin = text.strip_suffix('/').unwrap_or(&text);
    let is_bare = origin
        .split_once("://")
        .is_some_and(|(_, host)| !host.contains('/'));
    is_bare
        .then(|| origin.to_owned())
        .ok_or_else(|| ORIGIN.to_owned())
}

const ORIGIN: &str = "must be a URL without a path, such as `https://objects.example.com`";

/// Parses 32 bytes in standard base64. The text is a secret.
pub(super) fn token_key(raw: &Raw) -> Result<TokenKey, String> {
    let decoded = STANDARD.decode(raw.text()?.trim()).ok();
    let bytes = decoded.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes
        .map(TokenKey::new)
        .ok_or_else(|| "must be 32 bytes as standard base64".to_owned())
}

/// Prints a size in the largest unit that divides it.
pub(super) fn show_size(bytes: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units
        .into_iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(
        || bytes.to_string(),
        |(unit, name)| format!("{} {name}", bytes / unit),
    )
}

/// Prints a duration.
pub(super) fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Prints text as a YAML scalar, in quotes if it could be parsed as another type.
pub(super) fn show_text(text: impl Display) -> String {
    let text = text.to_string();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b':' | b'-');
    let first = text.starts_with(|first: char| first.is_ascii_alphanumeric() || matches!(first, '.' | '/'));
    let words = ["null", "true", "false"];
    let plain = first
        && text.bytes().all(inner)
        && !text.ends_with(':')
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text
    } else {
        serde_json::Value::from(text).to_string()
    }
}
