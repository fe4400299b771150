//! The settings `auth.*`: how each is parsed and printed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::auth::{PublicService, TokenFile};
use super::setting::{Setting, UNSET, setting, structured};
use super::structured;
use super::values::{Raw, boolean, choice, filled, name_of, show_text};

const PUBLIC: &[(&str, PublicService)] = &[
    ("health", PublicService::Health),
    ("reflection", PublicService::Reflection),
];
/// The value of an empty list.
const NONE: &str = "none";

pub(super) const CERTIFICATES: Setting = setting(
    "auth.certificates",
    |config, raw| {
        config.auth.certificates = boolean(raw)?;
        Ok(())
    },
    |config| config.auth.certificates.to_string(),
);

pub(super) const CERTIFICATE_CALLERS: Setting = structured(
    "auth.certificate_callers",
    |config, raw| {
        config.auth.certificate_callers = structured::parse(raw)?;
        Ok(())
    },
    |config| structured::show(&config.auth.certificate_callers),
);

pub(super) const JWT: Setting = structured(
    "auth.jwt",
    |config, raw| {
        config.auth.jwt = structured::parse_list(raw)?;
        Ok(())
    },
    |config| structured::show(&config.auth.jwt),
);

pub(super) const TOKENS: Setting = structured(
    "auth.tokens",
    |config, raw| {
        config.auth.tokens = token_file(raw)?;
        Ok(())
    },
    |config| match &config.auth.tokens {
        Some(tokens) if tokens.name_prefix.is_empty() => show_text(tokens.file.display()),
        tokens => structured::show(tokens),
    },
);

pub(super) const PUBLIC_SERVICES: Setting = setting(
    "auth.public",
    |config, raw| {
        config.auth.public = public(raw)?;
        Ok(())
    },
    |config| {
        let names = config.auth.public.iter().map(|service| name_of(*service, PUBLIC));
        format!("[{}]", names.collect::<Vec<_>>().join(", "))
    },
);

/// Parses `null`, a path, or a map. In a variable, a path may be written without quotes.
fn token_file(raw: &Raw) -> Result<Option<TokenFile>, String> {
    match filled(raw)? {
        text if text.starts_with(['{', '"']) || text == UNSET => structured::parse(raw),
        path => Ok(Some(TokenFile {
            file: PathBuf::from(path),
            name_prefix: String::new(),
        })),
    }
}

fn public(raw: &Raw) -> Result<BTreeSet<PublicService>, String> {
    // an empty variable counts as not set, so an empty list needs a word
    if matches!(raw, Raw::Text(text) if text.trim() == NONE) {
        return Ok(BTreeSet::new());
    }
    raw.list().into_iter().map(|name| choice(name, PUBLIC)).collect()
}
