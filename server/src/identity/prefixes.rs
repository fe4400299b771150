//! The prefixes of the names of callers. No two sources have the same one, but one may begin with another: a name then
//! belongs to the source with the longest prefix that fits, and no other source can claim it.

use crate::caller::is_name;
use crate::config::Auth;

/// The prefixes of all sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefixes(Vec<String>);

impl Prefixes {
    pub(super) fn new(settings: &Auth) -> Prefixes {
        let issuers = settings.jwt.iter().map(|issuer| issuer.name_prefix.clone());
        let tokens = settings.tokens.iter().map(|tokens| tokens.name_prefix.clone());
        Prefixes(issuers.chain(tokens).collect())
    }

    /// The full name of a caller of the source with this prefix. `None` if the name is invalid, or belongs to another
    /// source.
    pub(super) fn name(&self, prefix: &str, name: &str) -> Option<String> {
        if !is_name(name) {
            return None;
        }
        let full = format!("{prefix}{name}");
        let mut longer = self.0.iter().filter(|other| other.len() > prefix.len());
        let is_of_another = longer.any(|other| full.starts_with(other.as_str()));
        (is_name(&full) && !is_of_another).then_some(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_the_longest_prefix() {
        let prefixes = Prefixes(["", "svc:", "svc:x:"].map(str::to_owned).into());
        assert_eq!(prefixes.name("", "alice").as_deref(), Some("alice"));
        assert_eq!(prefixes.name("svc:", "a").as_deref(), Some("svc:a"));
        assert_eq!(prefixes.name("", "svc:a"), None);
        assert_eq!(prefixes.name("svc:", "x:a"), None);
        assert_eq!(prefixes.name("svc:x:", "a").as_deref(), Some("svc:x:a"));
        for name in ["", "a\nb", &"x".repeat(513)] {
            assert_eq!(prefixes.name("", name), None);
        }
        assert_eq!(prefixes.name("svc:", &"x".repeat(510)), None);
    }
}
