//! How items are protected as a whole: the option `protect` of a model file.

use super::attribute::Attribute;
use super::encryption::{self, Encryption, EncryptionFormat, EncryptionMode};
use super::names;
use crate::yaml::{Cursor, Fields, Keys, Report, View};

/// The keys of `protect`.
pub(super) const PROTECT: Keys = Keys {
    known: &["mode", "key_id", "accepts", "context", "allow_unsealed"],
    later: &[],
};

/// How items are protected as a whole, by the attribute [`ITEM_SEAL`](super::ITEM_SEAL).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Which attributes the seal covers.
    pub coverage: Coverage,
    /// The keys of its data keys, and their context.
    pub encryption: Encryption,
    /// Whether items without a seal are read, for a table that is being adopted.
    pub allow_unsealed: bool,
}

/// Which attributes of an item its seal covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// The encrypted ones.
    Sealed,
    /// All.
    All,
}

impl Protection {
    /// Whether both write the same seals, and accept items without one alike. They may accept further keys.
    pub(super) fn is_like(&self, other: &Protection) -> bool {
        let terms = |protection: &Protection| {
            (
                protection.coverage,
                protection.allow_unsealed,
                protection.encryption.key_id.clone(),
                protection.encryption.context.clone(),
            )
        };
        terms(self) == terms(other)
    }
}

impl Coverage {
    const CHOICES: &'static [(&'static str, Coverage)] = &[
        (Coverage::Sealed.as_str(), Coverage::Sealed),
        (Coverage::All.as_str(), Coverage::All),
    ];

    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Coverage::Sealed => "sealed",
            Coverage::All => "all",
        }
    }
}

/// `protect` as it is written, before the attributes are known.
#[derive(Clone, Default)]
pub(super) struct Declared {
    coverage: Option<Coverage>,
    key_id: Option<String>,
    accepts: Vec<String>,
    context: std::collections::BTreeMap<String, String>,
    allow_unsealed: bool,
}

/// Reads `protect`, a mode or a map, and `allow_unsealed` beside it.
pub(super) fn declared(fields: &Fields<'_>, report: &mut Report) -> Option<Declared> {
    let allowed = fields.get("allow_unsealed");
    let Some(at) = fields.get("protect") else {
        if let Some(at) = allowed {
            report.add(at, "requires `protect`");
        }
        return None;
    };
    let allow_unsealed = allowed.and_then(|at| at.boolean(report)).unwrap_or_default();
    let mut declared = match at.view(report)? {
        View::Text(_) => Declared {
            coverage: at.choice(Coverage::CHOICES, report),
            ..Declared::default()
        },
        View::Map(_) => in_full(at, report)?,
        _ => {
            report.add(at, "must be `sealed`, `all` or `{ mode: all, key_id: KEY }`");
            return None;
        }
    };
    declared.allow_unsealed |= allow_unsealed;
    Some(declared)
}

fn in_full(at: &Cursor<'_>, report: &mut Report) -> Option<Declared> {
    let fields = at.fields(&PROTECT, report)?;
    let key_id = fields
        .get("key_id")
        .and_then(|at| names::valid(at, names::key_id, report));
    if let (Some(at), None) = (fields.get("accepts"), &key_id) {
        report.add(at, "requires `key_id`");
    }
    Some(Declared {
        coverage: fields
            .require("mode", report)
            .and_then(|at| at.choice(Coverage::CHOICES, report)),
        accepts: fields
            .get("accepts")
            .map(|at| encryption::accepts(at, key_id.as_deref(), report))
            .unwrap_or_default(),
        context: fields
            .get("context")
            .map(|at| encryption::context(at, report))
            .unwrap_or_default(),
        allow_unsealed: fields
            .get("allow_unsealed")
            .and_then(|at| at.boolean(report))
            .unwrap_or_default(),
        key_id,
    })
}

/// The protection of a model with these attributes. Without a `key_id`, the key is that of the first encrypted attribute;
/// those of the others may open seals too, so that the order of the attributes does not matter.
pub(super) fn resolve(
    declared: Declared,
    attributes: &[Attribute],
    at: &Cursor<'_>,
    report: &mut Report,
) -> Option<Protection> {
    let coverage = declared.coverage?;
    let encryptions = || {
        attributes
            .iter()
            .filter_map(|attribute| attribute.encrypted.as_ref())
    };
    let is_pydynox = |format: &EncryptionFormat| *format == EncryptionFormat::Pydynox;
    for attribute in attributes {
        let Some(encryption) = &attribute.encrypted else {
            continue;
        };
        if is_pydynox(&encryption.format) || encryption.accept_formats.iter().any(is_pydynox) {
            let name = &attribute.name;
            report.add(
                at,
                format!("requires format sealed, but `{name}` has or accepts format pydynox"),
            );
        }
    }
    let mut keys = match declared.key_id {
        Some(key_id) => vec![key_id],
        None => Vec::new(),
    };
    keys.extend(declared.accepts);
    for key in encryptions().flat_map(Encryption::key_ids) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    if keys.is_empty() {
        report.add(
            at,
            "must be `{ mode: MODE, key_id: KEY }`: no attribute is encrypted, which would name the key",
        );
        return None;
    }
    let key_id = keys.remove(0);
    Some(Protection {
        coverage,
        encryption: Encryption {
            key_id,
            accepts: keys,
            context: declared.context,
            mode: EncryptionMode::ReadWrite,
            format: EncryptionFormat::Sealed,
            accept_formats: Vec::new(),
            allow_plaintext: false,
        },
        allow_unsealed: declared.allow_unsealed,
    })
}
