//! How an attribute is encrypted and where its objects lie: the options `encrypted` and `s3` of a model file.

use std::collections::BTreeMap;

use super::limits::MAX_CONTEXT_BYTES;
use super::{AttributeType, Encryption, EncryptionFormat, EncryptionMode, ForeignPointers, Offload, names};
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

/// Most keys beside `key_id` that may open an attribute: each is a Decrypt for a value that none of them sealed.
const MAX_ACCEPTED_KEYS: usize = 16;

/// The keys of `s3`.
pub(super) const S3: Keys = Keys {
    known: &["bucket", "prefix", "region", "foreign_pointers"],
    later: &["offload_above"],
};

/// What this program adds to encryption contexts begins with this.
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

const FOREIGN_POINTERS: &[(&str, ForeignPointers)] = &[
    (ForeignPointers::Refuse.as_str(), ForeignPointers::Refuse),
    (ForeignPointers::Read.as_str(), ForeignPointers::Read),
];

impl ForeignPointers {
    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            ForeignPointers::Refuse => "refuse",
            ForeignPointers::Read => "read",
        }
    }
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
        .and_then(|at| valid(at, names::key_id, report));
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
                format!("pydynox is only for string, not for {}", kind.as_str()),
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

/// Reads `accepts`: no key twice, `key_id` itself included.
fn accepts(at: &Cursor<'_>, key_id: Option<&str>, report: &mut Report) -> Vec<String> {
    let mut accepted: Vec<String> = Vec::new();
    let items = at.items(report).unwrap_or_default();
    if items.len() > MAX_ACCEPTED_KEYS {
        report.add(at, format!("must have at most {MAX_ACCEPTED_KEYS} keys"));
        return accepted;
    }
    for item in items {
        let Some(name) = valid(&item, names::key_id, report) else {
            continue;
        };
        if Some(name.as_str()) == key_id {
            report.add(&item, "is `key_id` already");
        } else if accepted.contains(&name) {
            report.add(&item, "is in the list already");
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
            report.add(&item, "is in the list already");
        } else {
            accepted.push(format);
        }
    }
    accepted
}

/// Reads `s3`. A prefix gets the `/` that it ends in.
pub(super) fn offload(at: &Cursor<'_>, report: &mut Report) -> Option<Offload> {
    let fields = at.fields(&S3, report)?;
    let bucket = fields
        .require("bucket", report)
        .and_then(|at| valid(at, names::bucket, report));
    let region = fields
        .get("region")
        .and_then(|at| valid(at, names::region, report));
    let mut prefix = fields
        .get("prefix")
        .and_then(|at| valid(at, names::prefix, report))
        .unwrap_or_default();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let foreign_pointers = fields
        .get("foreign_pointers")
        .and_then(|at| at.choice(FOREIGN_POINTERS, report))
        .unwrap_or_default();
    Some(Offload {
        bucket: bucket?,
        prefix,
        region,
        foreign_pointers,
    })
}

/// Text that passes a check of its name.
pub(super) fn valid(
    at: &Cursor<'_>,
    check: fn(&str) -> Result<(), &'static str>,
    report: &mut Report,
) -> Option<String> {
    let text = at.text(report)?;
    check(text).map_err(|fault| report.add(at, fault)).ok()?;
    Some(text.to_owned())
}

fn context(at: &Cursor<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let mut context = BTreeMap::new();
    for (name, cursor) in at.entries(report).unwrap_or_default() {
        if name.is_empty() || name.starts_with(OWN_CONTEXT) {
            report.add(
                &cursor,
                format!("a context's name must not be empty nor begin with `{OWN_CONTEXT}`"),
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
