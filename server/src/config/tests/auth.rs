//! The settings `auth.*`: their forms, and what they require of each other.

use std::time::Duration;

use super::{from_file, from_variables};
use crate::config::{ClaimType, JwtAlgorithm, PublicService};

#[test]
fn nothing_is_configured_by_default() {
    let auth = from_variables(&[]).unwrap().auth;
    assert!(!auth.is_configured());
    assert!(auth.public.contains(&PublicService::Health));
    assert!(!auth.public.contains(&PublicService::Reflection));
    assert!(
        from_variables(&[("TOLLGATE_AUTH__PUBLIC", "none")])
            .unwrap()
            .auth
            .public
            .is_empty()
    );
}

#[test]
fn an_issuer_has_defaults() {
    let file =
        "auth:\n  jwt:\n    - issuer: https://id.example\n      audience: tollgate\n      jwks: keys.json\n";
    let auth = from_file(file).unwrap().auth;
    let issuer = &auth.jwt[0];
    assert!(auth.is_configured());
    assert_eq!(issuer.audience, ["tollgate"]);
    assert_eq!(
        (issuer.name_claim.as_str(), issuer.name_prefix.as_str()),
        ("sub", "")
    );
    assert_eq!(
        (issuer.leeway, issuer.algorithms.len()),
        (Duration::from_secs(60), 5)
    );
    let file = "auth:\n  jwt: [{ issuer: i, audience: [a, b], jwks: 'https://id/keys', jwks_ca: ca.pem, \
                algorithms: [EdDSA], claims: { dept: String, teams: Set<String> }, name_prefix: 'jwt:' }]\n";
    let auth = from_file(file).unwrap().auth;
    assert!(auth.jwt[0].algorithms.contains(&JwtAlgorithm::EdDSA));
    assert_eq!(auth.jwt[0].claims["teams"], ClaimType::StringSet);
}

#[test]
fn tokens_are_a_path_or_a_map() {
    for (value, prefix) in [("t.yaml", ""), ("{ file: t.yaml, name_prefix: 'svc:' }", "svc:")] {
        let tokens = from_file(&format!("auth: {{ tokens: {value} }}"))
            .unwrap()
            .auth
            .tokens
            .unwrap();
        assert_eq!(
            (tokens.file.to_str(), tokens.name_prefix.as_str()),
            (Some("t.yaml"), prefix)
        );
    }
    let variable = [(
        "TOLLGATE_AUTH__TOKENS",
        r#"{"file": "t.yaml", "name_prefix": "svc:"}"#,
    )];
    assert_eq!(
        from_variables(&variable)
            .unwrap()
            .auth
            .tokens
            .unwrap()
            .name_prefix,
        "svc:"
    );
    assert_eq!(from_file("auth: { tokens: null }").unwrap().auth.tokens, None);
}

#[test]
fn faults_name_the_place_and_what_would_be_right() {
    let issuer = |rest: &str| format!("auth: {{ jwt: [{{ issuer: i, audience: a, jwks: k.json{rest} }}] }}");
    for (file, expected) in [
        (
            issuer(", algorithms: [HS256]"),
            "auth.jwt: [0]: unknown variant `HS256`, expected one of `RS256`, `PS256`, `ES256`, `ES384`, `EdDSA`",
        ),
        (
            issuer(", algorithms: [none]"),
            "auth.jwt: [0]: unknown variant `none`, expected one of `RS256`, `PS256`, `ES256`, `ES384`, `EdDSA`",
        ),
        (
            issuer(", algorithms: []"),
            "auth.jwt: [0].algorithms: must be some of RS256, PS256, ES256, ES384, EdDSA",
        ),
        (
            issuer(", leeway: 1h"),
            "auth.jwt: [0].leeway: must be at most 10m",
        ),
        (
            issuer(", leeway: long"),
            "auth.jwt: [0]: must be a duration, such as `60s`",
        ),
        (
            issuer(", jwks_ca: ca.pem"),
            "auth.jwt: [0].jwks_ca: requires an https URL as jwks",
        ),
        (
            issuer(", audiences: b"),
            "auth.jwt: [0]: unknown field `audiences`, expected one of `issuer`, `audience`, `jwks`, `jwks_ca`, `algorithms`, `leeway`, `name_claim`, `groups_claim`, `tenant_claim`, `claims`, `name_prefix`",
        ),
        (
            "auth: { jwt: [{ issuer: i, audience: a, jwks: 'http://id/keys' }] }".to_owned(),
            "auth.jwt: [0].jwks: must be a file, or an https URL without credentials",
        ),
        (
            "auth: { jwt: [{ issuer: i, audience: a, jwks: 'https://u:p@id/keys' }] }".to_owned(),
            "auth.jwt: [0].jwks: must be a file, or an https URL without credentials",
        ),
        (
            "auth: { jwt: [{ issuer: i, audience: [], jwks: k }] }".to_owned(),
            "auth.jwt: [0].audience: must be text, or a list of texts, none of them empty",
        ),
        (
            "auth: { jwt: [{ issuer: i, jwks: k }] }".to_owned(),
            "auth.jwt: [0]: missing field `audience`",
        ),
        (
            "auth: { certificates: true }".to_owned(),
            "auth.certificates: requires tls.client_ca, which is not set",
        ),
        (
            "auth: { tokens: { path: t } }".to_owned(),
            "auth.tokens: must be a path, or a map of `file` and `name_prefix`",
        ),
        (
            "auth: { public: [metrics] }".to_owned(),
            "auth.public: must be one of health, reflection",
        ),
    ] {
        assert_eq!(
            from_file(&file).unwrap_err(),
            [format!("tollgate.yaml:1: {expected}")],
            "{file}"
        );
    }
}

#[test]
fn memberships_are_checked() {
    let file = "tls: { certificate: c, key: k, client_ca: a }\nauth: { certificates: true, certificate_callers: { a: { tenant: 'b c' } } }";
    assert_eq!(
        from_file(file).unwrap_err(),
        [
            "tollgate.yaml:2: auth.certificate_callers: [\"a\"].tenant: must be 1 to 64 characters of A-Za-z0-9._-"
        ]
    );
}

#[test]
fn no_two_issuers_or_tokens_share_a_prefix() {
    let two = |first: &str, second: &str| {
        format!(
            "auth:\n  jwt:\n  - {{ issuer: a, audience: x, jwks: k, name_prefix: '{first}' }}\n  - {{ issuer: b, audience: x, jwks: k, name_prefix: '{second}' }}\n"
        )
    };
    let shared = "must differ from that of auth.jwt[0]: one name in a policy must be one caller";
    assert_eq!(
        from_file(&two("", "")).unwrap_err(),
        [format!("tollgate.yaml:2: auth.jwt: [1].name_prefix: {shared}")]
    );
    assert!(from_file(&two("", "b:")).is_ok());
    assert_eq!(
        from_file(&format!("{}  tokens: t.yaml\n", two("", "b:"))).unwrap_err(),
        [format!("tollgate.yaml:5: auth.tokens: name_prefix: {shared}")]
    );
    let same_issuer = two("", "b:").replace("issuer: b", "issuer: a");
    assert_eq!(
        from_file(&same_issuer).unwrap_err(),
        ["tollgate.yaml:2: auth.jwt: [1].issuer: is that of [0] too; `audience` may be a list"]
    );
}
