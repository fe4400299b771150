//! Checks of names: DynamoDB's rules for tables and attributes, S3's for buckets, KMS's for keys, and this program's rules
//! for models. Errors say what is expected.

use super::limits::{
    BUCKET_NAME_BYTES, MAX_KEY_ID_BYTES, MAX_KEY_NAME_BYTES, MAX_NAME_BYTES, TABLE_NAME_BYTES,
};
use crate::yaml::{Cursor, Report};

/// What stands for the tenant in a prefix and in the alias of a key.
pub const TENANT_PLACEHOLDER: &str = "{tenant}";
/// Maximum length of a model's name.
const MAX_MODEL_NAME_BYTES: usize = 128;

/// The attribute of an item that remembers the request id of its newest write. Callers neither set nor see it.
pub const REMEMBERED_REQUEST: &str = "_tollgate_id";

/// The attribute of an item that protects it as a whole. Callers neither set nor see it.
pub const ITEM_SEAL: &str = "tollgate:seal";

/// Longest prefix; a key has 1,024 bytes in all.
const MAX_PREFIX_BYTES: usize = 256;

/// Checks the name of a model. Metrics and logs use it too, and `_` for calls without a model.
pub(super) fn model(name: &str) -> Result<(), &'static str> {
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let valid = first && name.len() <= MAX_MODEL_NAME_BYTES && name.bytes().all(is_name_byte);
    valid
        .then_some(())
        .ok_or("must be 1 to 128 characters of A-Z, a-z, 0-9, `_`, `.` and `-`, starting with a letter")
}

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
pub(super) fn table(name: &str) -> Result<(), &'static str> {
    let valid = TABLE_NAME_BYTES.contains(&name.len()) && name.bytes().all(is_name_byte);
    valid
        .then_some(())
        .ok_or("must be 3 to 255 characters of A-Z, a-z, 0-9, `_`, `.` and `-`")
}

/// The page of [`table`].
pub(super) fn attribute(name: &str, is_key: bool) -> Result<(), &'static str> {
    match name.len() {
        0 => Err("an attribute's name must not be empty"),
        _ if name == REMEMBERED_REQUEST => Err("the name `_tollgate_id` is reserved"),
        _ if name == ITEM_SEAL => Err("the name `tollgate:seal` is reserved"),
        length if is_key && length > MAX_KEY_NAME_BYTES => {
            Err("a key attribute's name must not be longer than 255 bytes")
        }
        length if length > MAX_NAME_BYTES => Err("an attribute's name must not be longer than 65,535 bytes"),
        _ => Ok(()),
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(super) fn bucket(name: &str) -> Result<(), &'static str> {
    let outer =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let bytes = name.as_bytes();
    let valid = BUCKET_NAME_BYTES.contains(&name.len())
        && outer(bytes.first())
        && outer(bytes.last())
        && name.bytes().all(inner)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err();
    valid.then_some(()).ok_or(
        "must be a bucket name: 3 to 63 characters of a-z, 0-9, `.` and `-`, starting and ending with a letter or digit, and not an IP address",
    )
}

/// Whether a name is valid for an S3 bucket.
pub fn is_bucket_name(name: &str) -> bool {
    bucket(name).is_ok()
}

/// Checks a prefix of object keys.
pub(super) fn prefix(prefix: &str) -> Result<(), &'static str> {
    let valid = prefix.len() <= MAX_PREFIX_BYTES
        && !prefix.starts_with('/')
        && !prefix.split('/').any(|part| part == "." || part == "..")
        && !prefix.contains("//")
        && !prefix.chars().any(char::is_control);
    valid
        .then_some(())
        .ok_or("must be at most 256 bytes such as `docs/`, not starting with `/`")
}

/// Checks the name of a region, such as `eu-central-1`.
pub(super) fn region(name: &str) -> Result<(), &'static str> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let valid = (1..=63).contains(&name.len()) && name.bytes().all(inner);
    valid
        .then_some(())
        .ok_or("must be a region such as `eu-central-1`")
}

/// Checks a KMS key id, ARN or alias.
pub(super) fn key_id(name: &str) -> Result<(), &'static str> {
    if let Some((before, after)) = name.split_once(TENANT_PLACEHOLDER) {
        let is_alias = name.starts_with("alias/") && !after.contains(TENANT_PLACEHOLDER);
        return match is_alias {
            true => key_id(&[before, "t", after].concat()),
            false => Err("may contain `{tenant}` once, in an alias such as `alias/tenant-{tenant}`"),
        };
    }
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'/' | b'_' | b'-');
    let valid = (1..=MAX_KEY_ID_BYTES).contains(&name.len()) && name.bytes().all(inner) && name != "alias/";
    valid
        .then_some(())
        .ok_or("must be a KMS key's id, ARN or alias such as `alias/my-app-key`")
}

/// Reads text that must pass a check.
pub(super) fn valid(
    at: &Cursor<'_>,
    check: fn(&str) -> Result<(), &'static str>,
    report: &mut Report,
) -> Option<String> {
    let text = at.text(report)?;
    check(text).map_err(|fault| report.add(at, fault)).ok()?;
    Some(text.to_owned())
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_and_tables() {
        for name in ["User", "u", "a.b-c_9"] {
            assert_eq!(model(name), Ok(()), "{name}");
        }
        for name in ["", "_", "9a", "a b", "ä", &"a".repeat(129)] {
            assert!(model(name).is_err(), "{name}");
        }
        for name in ["abc", "_._", &"a".repeat(255)] {
            assert_eq!(table(name), Ok(()), "{name}");
        }
        for name in ["ab", "", "a/b", "a b c", &"a".repeat(256)] {
            assert!(table(name).is_err(), "{name}");
        }
    }

    #[test]
    fn attributes() {
        assert_eq!(attribute("ä b", true), Ok(()));
        assert_eq!(attribute(&"a".repeat(256), false), Ok(()));
        assert!(attribute(&"a".repeat(256), true).is_err());
        assert!(attribute("", false).is_err());
        assert!(attribute(&"a".repeat(65_536), false).is_err());
    }

    #[test]
    fn buckets_prefixes_and_regions() {
        for name in ["my-bucket", "a.b.c", "123"] {
            assert_eq!(bucket(name), Ok(()), "{name}");
        }
        for name in [
            "ab",
            "My-bucket",
            "a_b",
            "-ab",
            "ab-",
            "a..b",
            "1.2.3.4",
            "arn:aws:s3:::b",
            &"a".repeat(64),
        ] {
            assert!(bucket(name).is_err(), "{name}");
        }
        for name in ["", "docs/", "a/b", "a b/ä/"] {
            assert_eq!(prefix(name), Ok(()), "{name}");
        }
        for name in ["/", "/a", "a//b", "../a", "a/./b", "a\nb", &"a".repeat(257)] {
            assert!(prefix(name).is_err(), "{name}");
        }
        assert_eq!(region("eu-central-1"), Ok(()));
        assert!(region("").is_err() && region("EU").is_err());
    }

    #[test]
    fn key_ids() {
        let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        for name in [
            "alias/my-app-key",
            arn,
            "mrk-1234",
            "alias/tenant-{tenant}",
            "alias/{tenant}",
        ] {
            assert_eq!(key_id(name), Ok(()), "{name}");
        }
        for name in [
            "",
            "alias/",
            "a b",
            "${KEY}",
            "{tenant}",
            "alias/{tenant}-{tenant}",
            "alias/{other}",
        ] {
            assert!(key_id(name).is_err(), "{name}");
        }
    }
}
