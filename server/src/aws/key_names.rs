//! Compares the KMS key that a request names with the key that its response reports. KMS enforces the key in the request;
//! this check also protects against a compatible service that ignores it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Aliases remembered: far more than models name.
const MAX_ALIASES: usize = 10_000;

/// How the key that a response reports compares with the key that its request named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyMatch {
    /// The same key.
    Same,
    /// Another key.
    Different,
    /// The request named an alias whose key is not known yet.
    NewAlias,
    /// The request named an alias that pointed to another key before: the alias was moved, or the service ignores the
    /// name in the request.
    MovedAlias,
}

/// The keys that aliases point to, as KMS reported them: at start, and in every response to a request with an alias.
/// Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Aliases {
    arn_by_alias: Arc<Mutex<HashMap<String, String>>>,
}

impl Aliases {
    /// Compares the key that a request named with the `KeyId` of its response.
    pub(super) fn compare(&self, named: &str, response_key_id: &str) -> KeyMatch {
        if response_key_id.is_empty() {
            return KeyMatch::Different;
        }
        if !is_alias(named) {
            return if is_same_key(named, response_key_id) {
                KeyMatch::Same
            } else {
                KeyMatch::Different
            };
        }
        if !is_in_same_account(named, response_key_id) {
            return KeyMatch::Different;
        }
        match self.arn_by_alias.lock().get(named) {
            Some(arn) if arn == response_key_id => KeyMatch::Same,
            Some(_) => KeyMatch::MovedAlias,
            None => KeyMatch::NewAlias,
        }
    }

    /// Remembers the key that an alias points to; ignores names that are not aliases, and ARNs that are not of keys.
    pub(super) fn remember(&self, named: &str, arn: &str) {
        let mut arn_by_alias = self.arn_by_alias.lock();
        let has_room = arn_by_alias.len() < MAX_ALIASES || arn_by_alias.contains_key(named);
        if is_alias(named) && !arn.is_empty() && !is_alias(arn) && has_room {
            arn_by_alias.insert(named.to_owned(), arn.to_owned());
        }
    }
}

/// Whether it is the name or the ARN of an alias.
pub(super) fn is_alias(name: &str) -> bool {
    resource(name).starts_with("alias/")
}

/// A key's id and its ARN name the same key; two ARNs do if they are equal.
fn is_same_key(named: &str, response_key_id: &str) -> bool {
    match (is_arn(named), is_arn(response_key_id)) {
        (true, true) | (false, false) => named == response_key_id,
        (true, false) | (false, true) => {
            let id = |name| resource(name).rsplit('/').next();
            id(named) == id(response_key_id)
        }
    }
}

/// An alias and its key are in the same partition, region and account; a name without them matches any.
fn is_in_same_account(named: &str, response_key_id: &str) -> bool {
    match (named.rsplit_once(':'), response_key_id.rsplit_once(':')) {
        (Some((alias_home, _)), Some((key_home, _))) => alias_home == key_home,
        (Some(_), None) | (None, Some(_) | None) => true,
    }
}

fn is_arn(name: &str) -> bool {
    name.contains(':')
}

/// The resource part of an ARN; any other name unchanged.
fn resource(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, resource)| resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "arn:aws:kms:eu-central-1:111122223333";

    fn arn(id: &str) -> String {
        format!("{HOME}:key/{id}")
    }

    #[test]
    fn matches_keys_by_id_and_arn() {
        let aliases = Aliases::default();
        for (named, response, expected) in [
            ("1a2b", arn("1a2b"), KeyMatch::Same),
            ("1a2b", "1a2b".to_owned(), KeyMatch::Same),
            ("1a2b", arn("1a2c"), KeyMatch::Different),
            ("1a2b", arn("01a2b"), KeyMatch::Different),
            ("1a2b", String::new(), KeyMatch::Different),
            (&arn("1a2b"), arn("1a2b"), KeyMatch::Same),
            (&arn("1a2b"), "1a2b".to_owned(), KeyMatch::Same),
            (
                &arn("1a2b"),
                arn("1a2b").replace("111122223333", "444455556666"),
                KeyMatch::Different,
            ),
            (
                &arn("1a2b"),
                arn("1a2b").replace("eu-central-1", "us-east-1"),
                KeyMatch::Different,
            ),
        ] {
            assert_eq!(aliases.compare(named, &response), expected, "{named} {response}");
        }
    }

    #[test]
    fn compares_an_alias_with_its_remembered_key() {
        let aliases = Aliases::default();
        assert_eq!(aliases.compare("alias/app", &arn("1")), KeyMatch::NewAlias);
        assert_eq!(aliases.compare("alias/app", ""), KeyMatch::Different);
        aliases.remember("alias/app", &arn("1"));
        aliases.remember("alias/app", "");
        aliases.remember("alias/app", &format!("{HOME}:alias/app"));
        assert_eq!(aliases.compare("alias/app", &arn("1")), KeyMatch::Same);
        assert_eq!(aliases.compare("alias/app", &arn("2")), KeyMatch::MovedAlias);
        aliases.remember("alias/app", &arn("2"));
        assert_eq!(aliases.compare("alias/app", &arn("2")), KeyMatch::Same);
    }

    #[test]
    fn rejects_a_key_of_another_account_than_the_alias() {
        let aliases = Aliases::default();
        let alias = format!("{HOME}:alias/app");
        assert_eq!(aliases.compare(&alias, &arn("1")), KeyMatch::NewAlias);
        let foreign = arn("1").replace("111122223333", "444455556666");
        assert_eq!(aliases.compare(&alias, &foreign), KeyMatch::Different);
    }

    #[test]
    fn remembers_a_bounded_number_of_aliases() {
        let aliases = Aliases::default();
        aliases.remember("1a2b", &arn("1a2b"));
        assert!(aliases.arn_by_alias.lock().is_empty());
        for count in 0..=MAX_ALIASES {
            aliases.remember(&format!("alias/{count}"), &arn("1"));
        }
        assert_eq!(aliases.arn_by_alias.lock().len(), MAX_ALIASES);
        aliases.remember("alias/0", &arn("2"));
        assert_eq!(aliases.compare("alias/0", &arn("2")), KeyMatch::Same);
    }
}
