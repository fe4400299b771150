//! How an attribute is encrypted: the option `encrypted` of a model file.

use std::collections::BTreeMap;

use super::attribute_type::AttributeType;
use super::limits::MAX_CONTEXT_BYTES;
use super::names::{self, TENANT_PLACEHOLDER};
use crate::yaml::{Cursor, Keys, Report};

/// The keys of `encrypted`.
pub(super) const ENCRYPTED: Keys = Keys {
    known: &[
        "key_id",
        "accepts",
        "context",
        "mode",
        "format",
        "accept_formats",
        "allow_plaintext",
    ],
    later: &[],
};

/// Maximum number of keys in `accepts`. A value that was encrypted under none of them costs one Decrypt per key.
const MAX_ACCEPTED_KEYS: usize = 16;

/// The name in the encryption context whose value is the tenant of the item.
const TENANT_CONTEXT: &str = "tollgate:tenant";

/// Prefix of the entries that this program adds to encryption contexts.
const OWN_CONTEXT: &str = "tollgate:";

const MODES: &[(&str, EncryptionMode)] = &[
    (EncryptionMode::ReadWrite.as_str(), EncryptionMode::ReadWrite),
    (EncryptionMode::WriteOnly.as_str(), EncryptionMode::WriteOnly),
    (EncryptionMode::ReadOnly.as_str(), EncryptionMode::ReadOnly),
];

const FORMATS: &[(&str, EncryptionFormat)] = &[
    (EncryptionFormat::Sealed.as_str(), EncryptionFormat::Sealed),
    (EncryptionFormat::Pydynox.as_str(), EncryptionFormat::Pydynox),
];

/// How an attribute is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// KMS key id, ARN or alias (`alias/my-app-key`) that encrypts and decrypts.
    pub key_id: String,
    /// Further keys that may decrypt stored values, in the order in which they are tried: usually those that `key_id`
    /// replaced.
    pub accepts: Vec<String>,
    /// The KMS encryption context of the attribute.
    pub context: BTreeMap<String, String>,
    /// Whether callers may read and set the attribute.
    pub mode: EncryptionMode,
    /// The stored format that writes use.
    pub format: EncryptionFormat,
    /// Formats that reads accept beside `format`. `sealed` is always accepted, because it is bound to its item and
    /// attribute.
    pub accept_formats: Vec<EncryptionFormat>,
    /// Whether values stored in plaintext are returned as they are, for a table that is being migrated.
    pub allow_plaintext: bool,
}

impl Encryption {
    /// The keys that may decrypt stored values, in the order in which they are tried.
    pub fn key_ids(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.key_id).chain(&self.accepts)
    }

    /// Whether each tenant has a key for itself.
    pub fn is_per_tenant(&self) -> bool {
        is_per_tenant(&self.key_id)
    }

    /// The encryption of one tenant's values: with the tenant's keys, and in its context.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Encryption {
        let key_of = |key: &String| key.replace(TENANT_PLACEHOLDER, tenant);
        let mut context = self.context.clone();
        context.insert(TENANT_CONTEXT.to_owned(), tenant.to_owned());
        Encryption {
            key_id: key_of(&self.key_id),
            accepts: self.accepts.iter().map(key_of).collect(),
            context,
            accept_formats: self.accept_formats.clone(),
            ..*self
        }
    }

    /// Whether reads accept stored values of this format.
    pub fn reads(&self, format: EncryptionFormat) -> bool {
        match format {
            EncryptionFormat::Sealed => true,
            EncryptionFormat::Pydynox => self.format == format || self.accept_formats.contains(&format),
        }
    }
}

/// Whether the id of a key contains the tenant, so that it names one key per tenant.
pub fn is_per_tenant(key_id: &str) -> bool {
    key_id.contains(TENANT_PLACEHOLDER)
}

/// What callers may do with an encrypted attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionMode {
    /// Encrypt on writes, decrypt on reads.
    #[default]
    ReadWrite,
    /// Encrypt on writes, never decrypt: reads list the attribute in `withheld`.
    WriteOnly,
    /// Decrypt on reads, refuse writes that set it.
    ReadOnly,
}

/// Stored formats of encrypted attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionFormat {
    /// Format id 4. Reads also accept id 2.
    #[default]
    Sealed,
    /// Format id 1, which pydynox writes.
    Pydynox,
}

impl EncryptionMode {
    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            EncryptionMode::ReadWrite => "read_write",
            EncryptionMode::WriteOnly => "write_only",
            EncryptionMode::ReadOnly => "read_only",
        }
    }
}

impl EncryptionFormat {
    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            EncryptionFormat::Sealed => "sealed",
            EncryptionFormat::Pydynox => "pydynox",
        }
    }
}

/// Reads `encrypted`.
pub(super) fn encryption(at: &Cursor<'_>, kind: AttributeType, report: &mut Report) -> Option<Encryption> {
    let fields = at.fields(&ENCRYPTED, report)?;
    let key_id = fields
        .require("key_id", report)
        .and_then(|at| names::valid(at, names::key_id, report));
    let context = fields
        .get("context")
        .map(|at| context(at, report))
        .unwrap_or_default();
    let mode = fields
        .get("mode")
        .and_then(|at| at.choice(MODES, report))
        .unwrap_or_default();
    let format = fields
        .get("format")
        .and_then(|at| at.choice(FORMATS, report))
        .unwrap_or_default();
    let allow_plaintext = fields
        .get("allow_plaintext")
        .and_then(|at| at.boolean(report))
        .unwrap_or_default();
    let accepts = fields
        .get("accepts")
        .map(|at| accepts(at, key_id.as_deref(), report))
        .unwrap_or_default();
    let accept_formats = fields
        .get("accept_formats")
        .map(|at| accept_formats(at, report))
        .unwrap_or_default();
    for (option, formats) in [
        ("format", std::slice::from_ref(&format)),
        ("accept_formats", &accept_formats),
    ] {
        if let Some(at) = fields.get(option)
            && formats.contains(&EncryptionFormat::Pydynox)
            && kind != AttributeType::String
        {
            report.add(
                at,
                format!("pydynox applies only to string, not to {}", kind.as_str()),
            );
        }
    }
    Some(Encryption {
        key_id: key_id?,
        accepts,
        context,
        mode,
        format,
        accept_formats,
        allow_plaintext,
    })
}

/// Reads `accepts`. Reports duplicates, including `key_id`.
pub(super) fn accepts(at: &Cursor<'_>, key_id: Option<&str>, report: &mut Report) -> Vec<String> {
    let mut accepted: Vec<String> = Vec::new();
    let items = at.items(report).unwrap_or_default();
    if items.len() > MAX_ACCEPTED_KEYS {
        report.add(at, format!("must have at most {MAX_ACCEPTED_KEYS} keys"));
        return accepted;
    }
    for item in items {
        let Some(name) = names::valid(&item, names::key_id, report) else {
            continue;
        };
        if Some(name.as_str()) == key_id {
            report.add(&item, "is already the `key_id`");
        } else if accepted.contains(&name) {
            report.add(&item, "is a duplicate");
        } else {
            accepted.push(name);
        }
    }
    accepted
}

fn accept_formats(at: &Cursor<'_>, report: &mut Report) -> Vec<EncryptionFormat> {
    let mut accepted = Vec::new();
    for item in at.items(report).unwrap_or_default() {
        let Some(format) = item.choice(FORMATS, report) else {
            continue;
        };
        if accepted.contains(&format) {
            report.add(&item, "is a duplicate");
        } else {
            accepted.push(format);
        }
    }
    accepted
}

/// Reads `context`.
pub(super) fn context(at: &Cursor<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let mut context = BTreeMap::new();
    for (name, cursor) in at.entries(report).unwrap_or_default() {
        if name.is_empty() || name.starts_with(OWN_CONTEXT) {
            report.add(
                &cursor,
                format!("a context name must not be empty or start with `{OWN_CONTEXT}`"),
            );
        }
        if let Some(value) = cursor.text(report) {
            context.insert(name.to_owned(), value.to_owned());
        }
    }
    if context
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum::<usize>()
        > MAX_CONTEXT_BYTES
    {
        report.add(
            at,
            format!("must not be larger than {MAX_CONTEXT_BYTES} bytes in all"),
        );
    }
    context
}
