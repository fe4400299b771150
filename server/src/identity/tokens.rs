//! Opaque tokens: a YAML file of callers with the SHA-256 of each one's token.
//!
//! ```yaml
//! - name: nightly-report
//!   sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//!   groups: [reports]
//!   tenant: acme
//!   expires: 2027-01-01T00:00:00Z
//! ```

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use subtle::ConstantTimeEq as _;

use super::prefixes::Prefixes;
use super::refused::{Refused, SetupError};
use crate::caller::{Caller, Source, is_name, is_tenant};
use crate::yaml::{self, Cursor, Fields, Keys, Report};

/// The setting that names the file.
pub(super) const SETTING: &str = "auth.tokens";
/// The most tokens.
const MAX_TOKENS: usize = 10_000;
const KEYS: Keys = Keys {
    known: &["name", "sha256", "groups", "tenant", "expires"],
    later: &[],
};

/// The callers by the hash of their token.
#[derive(Default)]
pub(super) struct Tokens(HashMap<[u8; 32], Arc<Caller>>);

impl Tokens {
    /// Parses a file.
    pub(super) fn parse(
        file: &str,
        source: &[u8],
        name_prefix: &str,
        prefixes: &Prefixes,
    ) -> Result<Tokens, SetupError> {
        let mut report = Report::new(file);
        let mut callers = HashMap::new();
        let documents = yaml::documents(source, &mut report);
        let lists: Vec<Cursor<'_>> = documents.iter().map(Cursor::document).collect();
        if report.count() == 0 && lists.iter().all(Cursor::is_nothing) {
            // also what a file looks like while it is being written
            report.add_at(0, "", "is empty; write [] for no tokens");
        }
        for list in lists.iter().filter(|list| !list.is_nothing()) {
            for entry in list.items(&mut report).unwrap_or_default() {
                let Some((hash, caller)) = parse_entry(&entry, name_prefix, prefixes, &mut report) else {
                    continue;
                };
                if callers.insert(hash, Arc::new(caller)).is_some() {
                    report.add(&entry, "has the same token as another entry");
                }
            }
        }
        if callers.len() > MAX_TOKENS {
            report.add_at(0, "", format!("has more than {MAX_TOKENS} tokens"));
        }
        match report.into_faults().into_iter().next() {
            None => Ok(Tokens(callers)),
            Some(fault) => Err(SetupError::Content {
                setting: SETTING,
                place: match fault.line {
                    0 => fault.file,
                    line => format!("{}:{line}", fault.file),
                },
                text: match fault.path.is_empty() {
                    true => fault.text,
                    false => format!("{}: {}", fault.path, fault.text),
                },
            }),
        }
    }

    /// The caller whose token has this hash. `None` if it is unknown.
    pub(super) fn caller(&self, hash: &[u8; 32], now: SystemTime) -> Option<Result<Arc<Caller>, Refused>> {
        // the lookup ends at the first byte that differs; what that reveals is of the hash, not of the token
        let (known, caller) = self.0.get_key_value(hash)?;
        if !bool::from(known.ct_eq(hash)) {
            return None;
        }
        Some(match caller.is_expired(now) {
            true => Err(Refused::ExpiredToken),
            false => Ok(Arc::clone(caller)),
        })
    }
}

fn parse_entry(
    at: &Cursor<'_>,
    name_prefix: &str,
    prefixes: &Prefixes,
    report: &mut Report,
) -> Option<([u8; 32], Caller)> {
    let fields = at.fields(&KEYS, report)?;
    let name = name(&fields, name_prefix, prefixes, report);
    let hash = fields.require("sha256", report)?;
    let hash = hash.text(report).and_then(|text| {
        let parsed = parse_hash(text);
        if parsed.is_none() {
            report.add(hash, "must be 64 hexadecimal digits");
        }
        parsed
    });
    let groups = groups(&fields, report);
    let tenant = fields.get("tenant").map(|tenant| {
        checked(
            tenant,
            is_tenant,
            "must be 1 to 64 characters of A-Za-z0-9._-",
            report,
        )
    });
    let expires = fields.get("expires").map(|expires| {
        let parsed = expires.text(report).map(parse_time);
        if let Some(None) = parsed {
            report.add(expires, "must be a time such as 2027-01-01T00:00:00Z, or a date");
        }
        parsed.flatten()
    });
    let tenant = match tenant {
        Some(tenant) => Some(tenant?),
        None => None,
    };
    let mut caller = Caller::new(Source::Token, "", name?, tenant);
    caller.groups = groups?;
    caller.expires = match expires {
        Some(expires) => Some(expires?),
        None => None,
    };
    Some((hash?, caller))
}

/// The name with its prefix.
fn name(fields: &Fields<'_>, prefix: &str, prefixes: &Prefixes, report: &mut Report) -> Option<String> {
    let at = fields.require("name", report)?;
    let name = checked(
        at,
        is_name,
        "must be 1 to 512 bytes without control characters",
        report,
    )?;
    let full = prefixes.name(prefix, &name);
    if full.is_none() {
        report.add(
            at,
            "must be shorter, and not begin with the name_prefix of another source",
        );
    }
    full
}

fn groups(fields: &Fields<'_>, report: &mut Report) -> Option<BTreeSet<String>> {
    let Some(groups) = fields.get("groups") else {
        return Some(BTreeSet::new());
    };
    let items = groups.items(report)?;
    let groups: Vec<Option<String>> = items
        .iter()
        .map(|group| checked(group, is_name, "must be 1 to 512 bytes", report))
        .collect();
    groups.into_iter().collect()
}

fn checked(
    at: &Cursor<'_>,
    is_valid: fn(&str) -> bool,
    expected: &str,
    report: &mut Report,
) -> Option<String> {
    let text = at.text(report)?;
    if !is_valid(text) {
        report.add(at, expected);
        return None;
    }
    Some(text.to_owned())
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

fn parse_time(text: &str) -> Option<SystemTime> {
    let midnight = format!("{text}T00:00:00Z");
    let time = humantime::parse_rfc3339_weak(text).or_else(|_| humantime::parse_rfc3339(&midnight));
    time.ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::identity::NewToken;

    fn file(entries: &str) -> Result<Tokens, String> {
        let prefixes = Prefixes::default();
        Tokens::parse("tokens.yaml", entries.as_bytes(), "svc:", &prefixes).map_err(|error| error.to_string())
    }

    fn hash_of(token: &str) -> String {
        sha256(token).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sha256(token: &str) -> [u8; 32] {
        Sha256::digest(token).into()
    }

    #[test]
    fn finds_the_caller_of_a_token() {
        let source = format!(
            "- {{ name: a, sha256: {}, groups: [g], tenant: t }}\n- {{ name: b, sha256: {}, expires: 2020-01-01 }}\n",
            hash_of("one"),
            hash_of("two")
        );
        let tokens = file(&source).unwrap();
        let now = SystemTime::now();
        let caller = tokens.caller(&sha256("one"), now).unwrap().unwrap();
        assert_eq!(
            (caller.name.as_str(), caller.tenant.as_deref()),
            ("svc:a", Some("t"))
        );
        assert!(caller.groups.contains("g"));
        let expired = tokens.caller(&sha256("two"), now).unwrap();
        assert_eq!(expired.err(), Some(Refused::ExpiredToken));
        assert!(tokens.caller(&sha256("three"), now).is_none());
        let none = file("[]").unwrap();
        assert!(none.caller(&sha256("one"), now).is_none());
    }

    #[test]
    fn errors_name_the_line_and_what_would_be_right() {
        let hash = hash_of("one");
        for (source, expected) in [
            (
                "# later\n".to_owned(),
                "auth.tokens: tokens.yaml is empty; write [] for no tokens",
            ),
            (
                "- { name: a }".to_owned(),
                "auth.tokens: tokens.yaml:1 [0].sha256: is required",
            ),
            (
                "\n- { name: a, sha256: '12' }".to_owned(),
                "auth.tokens: tokens.yaml:2 [0].sha256: must be 64 hexadecimal digits",
            ),
            (
                format!("- {{ name: a, sha256: {hash}, tenant: 'a b' }}"),
                "auth.tokens: tokens.yaml:1 [0].tenant: must be 1 to 64 characters of A-Za-z0-9._-",
            ),
            (
                format!("- {{ name: a, sha256: {hash}, expires: soon }}"),
                "auth.tokens: tokens.yaml:1 [0].expires: must be a time such as 2027-01-01T00:00:00Z, or a date",
            ),
            (
                format!("- {{ name: a, sha256: {hash} }}\n- {{ name: b, sha256: {hash} }}"),
                "auth.tokens: tokens.yaml:2 [1]: has the same token as another entry",
            ),
        ] {
            assert_eq!(file(&source).err().as_deref(), Some(expected));
        }
        for damaged in ["- {", "- name: [, "] {
            let error = file(damaged).err().expect("it is not YAML");
            assert!(error.starts_with("auth.tokens: tokens.yaml:1 "), "{error}");
        }
    }

    #[test]
    fn a_new_token_is_found_by_its_line() {
        let new = NewToken::generate("ni'ght\"ly: {é").unwrap().unwrap();
        let tokens = file(&format!("{}\n", new.line())).unwrap();
        let caller = tokens
            .caller(&sha256(new.token()), SystemTime::now())
            .unwrap()
            .unwrap();
        assert_eq!(caller.name, "svc:ni'ght\"ly: {é");
        assert!(new.token().len() > 40 && !new.line().contains(new.token()));
        assert!(NewToken::generate("a\nb").unwrap().is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(source in "\\PC{0,200}") {
            let _ = file(&source);
        }

        #[test]
        fn entries_of_any_values_are_read_or_refused(
            name in "[a-z\\[\\]{}:'\"#0-9 -]{0,12}",
            hash in "[0-9a-g]{62,66}",
            tenant in "[a-z.# ]{0,5}",
            expires in "[0-9TZ:-]{0,12}",
        ) {
            let _ = file(&format!("- {{ name: {name}, sha256: {hash}, tenant: {tenant}, expires: {expires} }}"));
        }
    }
}
