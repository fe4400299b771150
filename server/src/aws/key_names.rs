//! Names of KMS keys, and which key a response says was used. KMS enforces the key that a request names; this compares
//! what it says beside it, so that a store which ignores the name opens nothing either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Aliases that are remembered: far more than models name.
const MAX_ALIASES: usize = 10_000;

/// What the response of a request that named a key says about the key that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    /// It is the named one.
    Named,
    /// It is another one.
    Another,
    /// The request named an alias that nothing is known of: KMS resolved it, and nobody else has.
    Unresolved,
    /// The request named an alias that pointed to another key before: it was moved, or KMS ignores names.
    Moved,
}

/// The keys that aliases point to, as far as KMS said so: at the start, and in every response to an alias. Clones
/// share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Aliases {
    arn_by_alias: Arc<Mutex<HashMap<String, String>>>,
}

impl Aliases {
    /// Compares the key that a request named with the `KeyId` of its response.
    pub(super) fn used(&self, named: &str, response_key_id: &str) -> Used {
        if response_key_id.is_empty() {
            return Used::Another;
        }
        if !is_alias(named) {
            return if is_same_key(named, response_key_id) {
                Used::Named
            } else {
                Used::Another
            };
        }
        if !is_of_same_home(named, response_key_id) {
            return Used::Another;
        }
        match self.locked().get(named) {
            Some(arn) if arn == response_key_id => Used::Named,
            Some(_) => Used::Moved,
            None => Used::Unresolved,
        }
    }

    /// Notes the key that an alias points to; other names, and what is not a key, are not noted.
    pub(super) fn note(&self, named: &str, arn: &str) {
        let mut arn_by_alias = self.locked();
        let has_room = arn_by_alias.len() < MAX_ALIASES || arn_by_alias.contains_key(named);
        if is_alias(named) && !arn.is_empty() && !is_alias(arn) && has_room {
            arn_by_alias.insert(named.to_owned(), arn.to_owned());
        }
    }

    /// A map of texts cannot be left half changed.
    fn locked(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.arn_by_alias.lock().unwrap_or_else(PoisonError::into_inner)
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

/// An alias and its key are in one partition, region and account; a name that says none of them is everywhere.
fn is_of_same_home(named: &str, response_key_id: &str) -> bool {
    match (named.rsplit_once(':'), response_key_id.rsplit_once(':')) {
        (Some((alias_home, _)), Some((key_home, _))) => alias_home == key_home,
        (Some(_), None) | (None, Some(_) | None) => true,
    }
}

fn is_arn(name: &str) -> bool {
    name.contains(':')
}

/// The part of an ARN that names the key or alias; any other name as it is.
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
    fn a_key_is_known_by_its_id_and_its_arn() {
        let aliases = Aliases::default();
        for (named, response, used) in [
            ("1a2b", arn("1a2b"), Used::Named),
            ("1a2b", "1a2b".to_owned(), Used::Named),
            ("1a2b", arn("1a2c"), Used::Another),
            ("1a2b", arn("01a2b"), Used::Another),
            ("1a2b", String::new(), Used::Another),
            (&arn("1a2b"), arn("1a2b"), Used::Named),
            (&arn("1a2b"), "1a2b".to_owned(), Used::Named),
            (
                &arn("1a2b"),
                arn("1a2b").replace("111122223333", "444455556666"),
                Used::Another,
            ),
            (
                &arn("1a2b"),
                arn("1a2b").replace("eu-central-1", "us-east-1"),
                Used::Another,
            ),
        ] {
            assert_eq!(aliases.used(named, &response), used, "{named} {response}");
        }
    }

    #[test]
    fn an_alias_is_what_it_was_noted_as() {
        let aliases = Aliases::default();
        assert_eq!(aliases.used("alias/app", &arn("1")), Used::Unresolved);
        assert_eq!(aliases.used("alias/app", ""), Used::Another);
        aliases.note("alias/app", &arn("1"));
        aliases.note("alias/app", "");
        aliases.note("alias/app", &format!("{HOME}:alias/app"));
        assert_eq!(aliases.used("alias/app", &arn("1")), Used::Named);
        assert_eq!(aliases.used("alias/app", &arn("2")), Used::Moved);
        aliases.note("alias/app", &arn("2"));
        assert_eq!(aliases.used("alias/app", &arn("2")), Used::Named);
    }

    #[test]
    fn the_arn_of_an_alias_names_the_account() {
        let aliases = Aliases::default();
        let alias = format!("{HOME}:alias/app");
        assert_eq!(aliases.used(&alias, &arn("1")), Used::Unresolved);
        let foreign = arn("1").replace("111122223333", "444455556666");
        assert_eq!(aliases.used(&alias, &foreign), Used::Another);
    }

    #[test]
    fn only_aliases_are_noted_and_not_without_end() {
        let aliases = Aliases::default();
        aliases.note("1a2b", &arn("1a2b"));
        assert!(aliases.locked().is_empty());
        for count in 0..=MAX_ALIASES {
            aliases.note(&format!("alias/{count}"), &arn("1"));
        }
        assert_eq!(aliases.locked().len(), MAX_ALIASES);
        aliases.note("alias/0", &arn("2"));
        assert_eq!(aliases.used("alias/0", &arn("2")), Used::Named);
    }
}
