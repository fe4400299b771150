//! Authentication from settings and files, without a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::testing::{Signer, claims, encode, seconds_from_now};
use super::*;
use crate::caller::{Caller, Claim};
use crate::config::{Config, Flags};

/// Files and an authenticator over them.
struct Setup {
    folder: tempfile::TempDir,
    signer: Signer,
}

impl Setup {
    fn new() -> Setup {
        let setup = Setup {
            folder: tempfile::tempdir().unwrap(),
            signer: Signer::new(),
        };
        setup.write("keys.json", &setup.signer.jwks("k"));
        setup.write("tokens.yaml", "[]");
        setup
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(Path::new(&path), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// With an issuer, whose entry has more keys.
    fn open(&self, more: &Value) -> Result<Authenticator, String> {
        let mut issuer = json!({
            "issuer": "https://id.example", "audience": "tollgate", "jwks": self.path("keys.json"),
        });
        for (key, value) in more.as_object().unwrap() {
            issuer[key] = value.clone();
        }
        let tokens = json!({ "file": self.path("tokens.yaml"), "name_prefix": "svc:" });
        let variables = [
            ("TOLLGATE_AUTH__JWT", json!([issuer])),
            ("TOLLGATE_AUTH__TOKENS", tokens),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_string()));
        let config = Config::load(&Flags::default(), variables.into_iter()).unwrap();
        let opened = Authenticator::open(&config.auth).map_err(|error| error.to_string());
        opened.map(|opened| opened.unwrap())
    }
}

fn ask(authenticator: &Authenticator, token: &str) -> Result<Arc<Caller>, Refused> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    authenticator.authenticate(&headers, None, SystemTime::now())
}

#[test]
fn a_valid_jwt_identifies_its_subject() {
    let setup = Setup::new();
    let authenticator = setup
        .open(&json!({
            "name_prefix": "jwt:", "groups_claim": "groups", "tenant_claim": "org",
            "claims": { "dept": "String", "level": "Long", "admin": "Bool", "teams": "Set<String>", "odd": "Long" },
        }))
        .unwrap();
    let token = setup.signer.token(&json!({
        "groups": ["a", "b"], "org": "acme", "dept": "hr", "level": 3, "admin": true, "teams": ["x"],
        "odd": "no number", "secret": "dropped",
    }));
    let caller = ask(&authenticator, &token).unwrap();
    assert_eq!(
        (caller.name.as_str(), caller.tenant.as_deref()),
        ("jwt:alice", Some("acme"))
    );
    assert_eq!(caller.issuer, "https://id.example");
    assert_eq!(caller.groups.len(), 2);
    assert_eq!(caller.claims["level"], Claim::Long(3));
    let names: Vec<&str> = caller.claims.keys().map(String::as_str).collect();
    assert_eq!(names, ["admin", "dept", "level", "teams"], "others are dropped");
    assert!(
        Arc::ptr_eq(&caller, &ask(&authenticator, &token).unwrap()),
        "verified once"
    );
    let debug = format!("{caller:?} {authenticator:?}");
    assert!(!debug.contains("hr") && !debug.contains(&token));
}

#[test]
fn claims_are_checked() {
    let setup = Setup::new();
    let authenticator = setup
        .open(&json!({ "tenant_claim": "org", "groups_claim": "groups" }))
        .unwrap();
    for (changed, expected) in [
        (json!({ "aud": "other" }), Refused::InvalidToken),
        (json!({ "aud": null }), Refused::InvalidToken),
        (json!({ "aud": ["x", "y"] }), Refused::InvalidToken),
        (json!({ "iss": "https://other.example" }), Refused::InvalidToken),
        (json!({ "iss": null }), Refused::InvalidToken),
        (json!({ "iss": ["https://id.example"] }), Refused::InvalidToken),
        (json!({ "exp": null }), Refused::InvalidToken),
        (json!({ "exp": "soon" }), Refused::InvalidToken),
        (json!({ "exp": -1 }), Refused::InvalidToken),
        (json!({ "exp": seconds_from_now(-90) }), Refused::ExpiredToken),
        (json!({ "nbf": seconds_from_now(90) }), Refused::EarlyToken),
        (json!({ "nbf": "now" }), Refused::InvalidToken),
        (json!({ "sub": null }), Refused::InvalidToken),
        (json!({ "sub": "" }), Refused::InvalidToken),
        (json!({ "sub": 7 }), Refused::InvalidToken),
        (json!({ "sub": "a\nb" }), Refused::InvalidToken),
        (json!({ "sub": "svc:nightly" }), Refused::InvalidToken),
        (json!({ "org": "a#b" }), Refused::InvalidToken),
        (json!({ "org": 7 }), Refused::InvalidToken),
        (json!({ "groups": [7] }), Refused::InvalidToken),
    ] {
        let refused = ask(&authenticator, &setup.signer.token(&changed)).err();
        assert_eq!(refused, Some(expected), "{changed}");
    }
    for changed in [
        json!({ "aud": ["x", "tollgate"] }),
        json!({ "exp": seconds_from_now(-30) }),
        json!({ "nbf": seconds_from_now(30) }),
        json!({ "exp": 1e300 }),
        json!({ "groups": "one" }),
    ] {
        let asked = ask(&authenticator, &setup.signer.token(&changed));
        assert!(
            asked.is_ok() || changed["exp"] == json!(1e300),
            "{changed} {asked:?}"
        );
    }
}

#[test]
fn algorithms_must_fit_the_key_and_be_accepted() {
    let setup = Setup::new();
    let authenticator = setup.open(&json!({})).unwrap();
    let payload = encode(claims(&json!({})).to_string());
    for alg in [
        "none", "None", "HS256", "HS384", "RS256", "PS256", "ES256", "ES384", "RS512", "ES512", "",
    ] {
        let signed = setup
            .signer
            .sign(&json!({ "alg": alg, "kid": "k" }), &claims(&json!({})));
        assert_eq!(
            ask(&authenticator, &signed).err(),
            Some(Refused::InvalidToken),
            "{alg}"
        );
        let unsigned = format!("{}.{payload}.", encode(json!({ "alg": alg }).to_string()));
        let refused = ask(&authenticator, &unsigned).err().unwrap();
        assert!(
            matches!(refused, Refused::InvalidToken | Refused::UnknownKey),
            "{alg} {refused:?}"
        );
    }
    for header in [
        json!({ "alg": "EdDSA", "kid": "k", "crit": ["exp"] }),
        json!({ "alg": "EdDSA", "kid": "k", "zip": "DEF" }),
    ] {
        let token = setup.signer.sign(&header, &claims(&json!({})));
        assert_eq!(
            ask(&authenticator, &token).err(),
            Some(Refused::InvalidToken),
            "{header}"
        );
    }
    let others = setup.open(&json!({ "algorithms": ["RS256"] })).unwrap();
    assert_eq!(
        ask(&others, &setup.signer.token(&json!({}))).err(),
        Some(Refused::InvalidToken)
    );
}

#[test]
fn a_key_in_the_token_is_not_used() {
    let setup = Setup::new();
    let authenticator = setup.open(&json!({})).unwrap();
    let other = Signer::new();
    let jwk = serde_json::from_str::<Value>(&other.jwks("k")).unwrap()["keys"][0].clone();
    let token = other.sign(
        &json!({ "alg": "EdDSA", "kid": "k", "jwk": jwk }),
        &claims(&json!({})),
    );
    assert_eq!(ask(&authenticator, &token).err(), Some(Refused::InvalidToken));
    let unknown = other.sign(&json!({ "alg": "EdDSA", "kid": "new" }), &claims(&json!({})));
    assert_eq!(ask(&authenticator, &unknown).err(), Some(Refused::UnknownKey));
    let without_id = other.sign(&json!({ "alg": "EdDSA" }), &claims(&json!({})));
    assert_eq!(ask(&authenticator, &without_id).err(), Some(Refused::UnknownKey));
}

#[test]
fn a_change_of_keys_ends_the_tokens_of_the_old_ones() {
    let setup = Setup::new();
    let authenticator = setup.open(&json!({})).unwrap();
    let token = setup.signer.token(&json!({}));
    assert!(ask(&authenticator, &token).is_ok());
    setup.write("keys.json", "{ damaged");
    authenticator.reload();
    assert!(ask(&authenticator, &token).is_ok(), "invalid keys change nothing");
    let next = Signer::new();
    setup.write("keys.json", &next.jwks("k2"));
    authenticator.reload();
    assert_eq!(ask(&authenticator, &token).err(), Some(Refused::UnknownKey));
    let token = next.sign(&json!({ "alg": "EdDSA", "kid": "k2" }), &claims(&json!({})));
    assert!(ask(&authenticator, &token).is_ok());
}

#[test]
fn opaque_tokens_are_added_and_removed_while_serving() {
    let setup = Setup::new();
    let authenticator = setup.open(&json!({})).unwrap();
    let (one, two) = (generate("one"), generate("two"));
    assert_eq!(
        ask(&authenticator, one.token()).err(),
        Some(Refused::InvalidToken)
    );
    setup.write("tokens.yaml", &format!("{}\n{}\n", one.line(), two.line()));
    authenticator.reload();
    assert_eq!(ask(&authenticator, one.token()).unwrap().name, "svc:one");
    assert_ne!(
        ask(&authenticator, one.token()).unwrap().id(),
        ask(&authenticator, two.token()).unwrap().id()
    );
    setup.write("tokens.yaml", &two.line());
    authenticator.reload();
    assert_eq!(
        ask(&authenticator, one.token()).err(),
        Some(Refused::InvalidToken)
    );
    assert!(ask(&authenticator, two.token()).is_ok());
    setup.write("tokens.yaml", "- {");
    authenticator.reload();
    assert!(
        ask(&authenticator, two.token()).is_ok(),
        "an invalid file changes nothing"
    );
}

fn generate(name: &str) -> NewToken {
    NewToken::generate(name).unwrap().unwrap()
}

#[test]
fn files_of_others_are_refused_at_the_start() {
    let setup = Setup::new();
    let path = setup.path("tokens.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = setup.open(&json!({})).unwrap_err();
    assert!(
        error.starts_with("auth.tokens: ") && error.contains("is secret"),
        "{error}"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    setup.write("keys.json", "{}");
    let error = setup.open(&json!({})).unwrap_err();
    assert!(
        error.ends_with("is not a JSON Web Key Set: an object with `keys`"),
        "{error}"
    );
    let error = setup.open(&json!({ "jwks": "/nowhere.json" })).unwrap_err();
    assert!(
        error.starts_with("auth.jwt.jwks: /nowhere.json cannot be read"),
        "{error}"
    );
}

#[test]
fn a_request_without_a_credential_learns_what_is_expected() {
    let setup = Setup::new();
    let authenticator = setup.open(&json!({})).unwrap();
    let refused = authenticator.authenticate(&HeaderMap::new(), None, SystemTime::now());
    assert_eq!(
        refused.unwrap_err().to_string(),
        "authentication is required: send `authorization: Bearer TOKEN`"
    );
}

#[test]
fn an_expired_token_is_refused_although_it_was_verified() {
    let setup = Setup::new();
    let authenticator = setup.open(&json!({ "leeway": "1s" })).unwrap();
    let token = setup.signer.token(&json!({}));
    assert!(ask(&authenticator, &token).is_ok());
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let later = SystemTime::now() + Duration::from_secs(302);
    let refused = authenticator.authenticate(&headers, None, later).err();
    assert_eq!(refused, Some(Refused::ExpiredToken));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_refused(header in "[\\x20-\\x7e]{0,60}", payload in "[\\x20-\\x7e]{0,60}", raw in "[A-Za-z0-9._~+/=-]{1,120}") {
        let setup = Setup::new();
        let authenticator = setup.open(&json!({})).unwrap();
        let encoded = format!("{}.{}.{}", encode(&header), encode(&payload), encode(&raw));
        for token in [encoded, raw] {
            prop_assert!(ask(&authenticator, &token).is_err());
        }
    }

    #[test]
    fn a_changed_token_is_refused(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let setup = Setup::new();
        let authenticator = setup.open(&json!({})).unwrap();
        let token = setup.signer.token(&json!({}));
        let mut changed = token.clone();
        let at = at.index(token.len());
        changed.replace_range(at..=at, &to);
        // the last character of a part may have bits that are not used, which strict base64 refuses
        prop_assert!(changed == token || ask(&authenticator, &changed).is_err());
    }
}
