//! Key ids, alias names, and their ARNs. There is one region and one account.

use std::fmt;

use super::error::Fault;

/// The prefix of all ARNs: region and account of the embedded backend.
const ARN_PREFIX: &str = "arn:aws:kms:us-east-1:000000000000:";
/// The account id.
pub(super) const ACCOUNT: &str = "000000000000";
const ALIAS_PREFIX: &str = "alias/";
/// The prefix of aliases that are reserved for AWS.
const RESERVED_ALIAS_PREFIX: &str = "alias/aws/";
const KEY_PREFIX: &str = "key/";
const MAX_ALIAS_BYTES: usize = 256;
const MAX_KEY_NAME_BYTES: usize = 2048;
/// The positions of the hyphens in a UUID, in bytes of the id.
const UUID_GROUPS: [usize; 4] = [4, 6, 8, 10];

/// The id of a key: a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct KeyId([u8; 16]);

impl KeyId {
    /// Makes a version 4 UUID from random bytes.
    pub(super) fn from_bytes(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Restores an id from its stored bytes.
    pub(super) fn from_stored(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Parses the text form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits: String = text.split('-').collect();
        if !digits.is_ascii() || digits.len() != 32 {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, position) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[position..position + 2], 16).ok()?;
        }
        // only the canonical form: hyphens in other positions and upper case are invalid
        let id = Self(bytes);
        (id.to_string() == text).then_some(id)
    }

    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The ARN of the key.
    pub(super) fn arn(self) -> String {
        format!("{ARN_PREFIX}{KEY_PREFIX}{self}")
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if UUID_GROUPS.contains(&position) {
                formatter.write_str("-")?;
            }
            write!(formatter, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A parsed `KeyId` of a request.
pub(super) enum KeyName<'a> {
    Id(KeyId),
    Alias(&'a str),
}

impl<'a> KeyName<'a> {
    /// Parses a key id, key ARN, alias name or alias ARN.
    pub(super) fn parse(text: &'a str) -> Result<Self, Fault> {
        if text.is_empty() || text.len() > MAX_KEY_NAME_BYTES {
            return Err(Fault::Validation(format!(
                "KeyId must have 1 to {MAX_KEY_NAME_BYTES} characters"
            )));
        }
        let local = text.strip_prefix(ARN_PREFIX);
        let name = local.unwrap_or(text);
        if name.starts_with(ALIAS_PREFIX) {
            return Ok(Self::Alias(name));
        }
        // an ARN has `key/` before the id, a bare id does not
        let id = if local.is_some() {
            name.strip_prefix(KEY_PREFIX)
        } else {
            Some(name)
        };
        id.and_then(KeyId::parse)
            .map(Self::Id)
            .ok_or_else(|| Fault::NotFound(format!("Invalid keyId '{text}'")))
    }
}

/// Checks the name of a new alias.
pub(super) fn check_alias(name: &str) -> Result<(), Fault> {
    let refused = |why: &str| Err(Fault::InvalidAliasName(format!("alias name {why}")));
    let Some(rest) = name.strip_prefix(ALIAS_PREFIX) else {
        return refused("must begin with alias/");
    };
    if rest.is_empty() || name.len() > MAX_ALIAS_BYTES {
        return refused("must have at least 1 character after alias/ and at most 256 in total");
    }
    if name.starts_with(RESERVED_ALIAS_PREFIX) {
        return refused("must not begin with alias/aws/");
    }
    if !rest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte))
    {
        return refused("must contain only letters, digits, /, _ and -");
    }
    Ok(())
}

/// The ARN of an alias.
pub(super) fn alias_arn(name: &str) -> String {
    format!("{ARN_PREFIX}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text_form() {
        let id = KeyId::from_bytes([0xab; 16]);
        let text = id.to_string();
        assert_eq!(text, "abababab-abab-4bab-abab-abababababab");
        assert_eq!(KeyId::parse(&text), Some(id));
        for other in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{text}-"),
            text.replace('a', "é"),
        ] {
            assert_eq!(KeyId::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn alias_names_follow_the_rules_of_kms() {
        assert!(check_alias("alias/my-app_key/2").is_ok());
        for name in ["my-key", "alias/", "alias/aws/s3", "alias/a b", "alias/é"] {
            assert!(check_alias(name).is_err(), "{name}");
        }
        assert!(check_alias(&format!("alias/{}", "a".repeat(251))).is_err());
    }
}
