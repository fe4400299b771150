//! Whose items a model has: the option `tenant` of a model file.

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::encryption::{Encryption, EncryptionFormat};
use super::names::TENANT_PLACEHOLDER;
use super::offload::ForeignPointers;
use super::protection::Protection;
use super::template::Template;
use crate::yaml::{Cursor, Fields, Keys, Report};

/// The keys of `tenant`.
pub(super) const TENANT: Keys = Keys {
    known: &["prefix"],
    later: &[],
};

/// Maximum characters of a tenant.
const MAX_TENANT_CHARACTERS: usize = 64;
/// Maximum bytes of a prefix, so that keys have room for more.
const MAX_PREFIX_BYTES: usize = 256;

/// How the partition keys of a model say whose item it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenancy {
    /// The prefix, as in the model file.
    prefix: String,
    /// The text before the tenant.
    before: String,
    /// The text after it, which ends in a character that no tenant has.
    after: String,
}

impl Tenancy {
    /// The prefix, as in the model file.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The tenant whose item has this partition key, if it begins with a prefix. No key begins with those of two tenants.
    pub fn tenant_of<'k>(&self, partition_key: &'k str) -> Option<&'k str> {
        let rest = partition_key.strip_prefix(&self.before)?;
        // the first character that no tenant has is in the text after it
        let end = rest.find(is_other)?.checked_sub(self.after.find(is_other)?)?;
        let tenant = rest.get(..end)?;
        let is_valid = (1..=MAX_TENANT_CHARACTERS).contains(&tenant.len());
        (is_valid && rest.get(end..)?.starts_with(&self.after)).then_some(tenant)
    }
}

fn is_other(character: char) -> bool {
    !(character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-'))
}

/// Reads `tenant`.
pub(super) fn tenancy(at: &Cursor<'_>, report: &mut Report) -> Option<Tenancy> {
    let fields = at.fields(&TENANT, report)?;
    let at = fields.require("prefix", report)?;
    let prefix = at.text(report)?;
    let mut parts = prefix.split(TENANT_PLACEHOLDER);
    let (Some(before), Some(after), None) = (parts.next(), parts.next(), parts.next()) else {
        report.add(at, "must contain `{tenant}` once, such as `TENANT#{tenant}#`");
        return None;
    };
    if !after.ends_with(is_other) {
        report.add(
            at,
            "must end in a character that no tenant has, such as `#`: tenants consist of A-Z, a-z, 0-9, `.`, `_` and `-`",
        );
    }
    if prefix.len() > MAX_PREFIX_BYTES || before.contains(['{', '}']) || after.contains(['{', '}']) {
        report.add(
            at,
            format!("must have at most {MAX_PREFIX_BYTES} bytes, and no braces but those of `{{tenant}}`"),
        );
    }
    Some(Tenancy {
        prefix: prefix.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
    })
}

/// Reports what a model of tenants must not have.
pub(super) fn check(
    tenancy: &Tenancy,
    partition_key: Option<&str>,
    attributes: &[Attribute],
    at: &Cursor<'_>,
    report: &mut Report,
) {
    let key = attributes
        .iter()
        .find(|attribute| Some(attribute.name.as_str()) == partition_key);
    if let Some(key) = key {
        let template = key.template.as_ref().map(Template::as_str);
        if key.kind != AttributeType::String {
            report.add(at, "requires a partition key of type string");
        } else if template.is_some_and(|template| !template.starts_with(&tenancy.prefix)) {
            let text = format!(
                "the template of the partition key must begin with `{}`",
                tenancy.prefix
            );
            report.add(at, text);
        }
    }
    for Attribute {
        name, encrypted, s3, ..
    } in attributes
    {
        let is_pydynox = |format: &EncryptionFormat| *format == EncryptionFormat::Pydynox;
        if let Some(encryption) = encrypted
            && (is_pydynox(&encryption.format) || encryption.accept_formats.iter().any(is_pydynox))
        {
            let text = format!("requires format sealed, but `{name}` has or accepts format pydynox");
            report.add(at, text);
        }
        if s3
            .as_ref()
            .is_some_and(|s3| s3.foreign_pointers == ForeignPointers::Read)
        {
            let text = format!("does not allow `foreign_pointers: read`, which `{name}` has");
            report.add(at, text);
        }
    }
}

/// Reports keys of tenants in a model whose items belong to none.
pub(super) fn check_no_keys(
    attributes: &[Attribute],
    protection: Option<&Protection>,
    fields: &Fields<'_>,
    report: &mut Report,
) {
    let encrypted = attributes
        .iter()
        .filter_map(|attribute| attribute.encrypted.as_ref());
    let encryptions = encrypted.chain(protection.map(|protection| &protection.encryption));
    let mut keys = encryptions.flat_map(Encryption::key_ids);
    let at = fields.get("attributes").or_else(|| fields.get("name"));
    if let (Some(key), Some(at)) = (keys.find(|key| key.contains(TENANT_PLACEHOLDER)), at) {
        report.add(at, format!("the key `{key}` requires `tenant: {{ prefix: … }}`"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(prefix: &str) -> Tenancy {
        let (before, after) = prefix.split_once(TENANT_PLACEHOLDER).unwrap();
        Tenancy {
            prefix: prefix.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        }
    }

    /// What the partition keys of a tenant's items begin with.
    fn prefix_of(tenancy: &Tenancy, tenant: &str) -> String {
        [&tenancy.before, tenant, &tenancy.after].concat()
    }

    #[test]
    fn finds_the_tenant_of_a_key() {
        let tenancy = of("TENANT#{tenant}#");
        for (key, tenant) in [
            ("TENANT#acme#USER#1", Some("acme")),
            ("TENANT#acme#", Some("acme")),
            ("TENANT#a.b_c-d#x", Some("a.b_c-d")),
            ("TENANT##x", None),
            ("TENANT#acme", None),
            ("tenant#acme#x", None),
            ("TENANT#ac me#x", None),
            ("TENANT#äcme#x", None),
            ("", None),
        ] {
            assert_eq!(tenancy.tenant_of(key), tenant, "{key}");
        }
        assert_eq!(prefix_of(&tenancy, "acme"), "TENANT#acme#");
        assert_eq!(of("{tenant}x#").tenant_of("axx#1"), Some("ax"));
        let long = format!("TENANT#{}#", "a".repeat(65));
        assert_eq!(tenancy.tenant_of(&long), None);
    }

    proptest! {
        #[test]
        fn a_key_belongs_to_one_tenant(one in "[A-Za-z0-9._-]{1,8}", other in "[A-Za-z0-9._-]{1,8}", rest in ".*") {
            for prefix in ["T#{tenant}#", "{tenant}x#", "{tenant}##", "{tenant}-#_#"] {
                let tenancy = of(prefix);
                let key = prefix_of(&tenancy, &one) + &rest;
                prop_assert_eq!(tenancy.tenant_of(&key), Some(one.as_str()));
                prop_assert!(one == other || !key.starts_with(&prefix_of(&tenancy, &other)));
            }
        }
    }
}
