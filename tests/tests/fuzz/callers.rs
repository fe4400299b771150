//! What says who a caller is: JWTs, sets of keys, files of tokens, and the names in certificates.

use std::cell::LazyCell;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue};
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, SanType};
use serde_json::json;
use tempfile::TempDir;
use tollgate::caller::{Caller, MAX_NAME_BYTES};
use tollgate::config::{Config, Flags};
use tollgate::identity::{Authenticator, PeerCertificate};
use tollgate_tests::issuer::{Signer, encode, jwks};

use super::Outcome;
use super::input::Input;
use super::mutation;
use super::values::text;

/// Made for these tests alone; its signatures are the same every time.
const RSA_KEY: &[u8] = include_bytes!("../../src/rsa_test_key.der");
/// The end of the year 2099.
const EXPIRES: u64 = 4_102_444_799;
/// An error quotes a few names, and bounds each.
const MOST_ERROR_BYTES: usize = 8 << 10;
/// The hash in a file of tokens, which no error shows.
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

const WORDS: [&str; 26] = [
    "\"keys\"",
    "\"kty\"",
    "\"kid\"",
    "\"alg\"",
    "\"use\"",
    "\"crv\"",
    "\"RSA\"",
    "\"EC\"",
    "\"OKP\"",
    "\"oct\"",
    "\"none\"",
    "\"HS256\"",
    "\"RS256\"",
    "null",
    "[",
    "]",
    "{",
    "}",
    "AAAA",
    "name: ",
    "sha256: ",
    "groups: ",
    "tenant: ",
    "expires: ",
    "- ",
    "2026-01-31T12:00:00Z",
];

thread_local! {
    /// Where a thread writes the files that it reads.
    static FOLDER: LazyCell<TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a folder"));
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("k1"));
static KEYS: LazyLock<String> = LazyLock::new(|| jwks(&[&SIGNER]));

static ISSUED: LazyLock<Authenticator> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    fs::write(&path, &*KEYS).expect("written");
    issued(&path).expect("valid keys")
});

static CERTIFIED: LazyLock<Authenticator> = LazyLock::new(|| {
    let mut auth = Config::default().auth;
    auth.certificates = true;
    Authenticator::open(&auth)
        .expect("no files")
        .expect("callers have certificates")
});

/// A token is accepted only if what was signed is unchanged.
pub(crate) fn jwts(input: &mut Input) -> Outcome {
    let claims = json!({
        "iss": "https://id.example", "aud": "tollgate", "sub": "alice", "exp": EXPIRES, "tenant": "acme",
        "groups": ["a", "b"], "dept": "x",
    });
    let valid = SIGNER.sign("RS256", &claims);
    let parts: Vec<&str> = valid.split('.').collect();
    let token = match input.below(6) {
        0 => {
            let header = json!({ "alg": input.pick(&["none", "HS256", "RS512", "PS256", ""]), "kid": "k1" });
            [&encode(header.to_string()), parts[1], parts[2]].join(".")
        }
        1 => {
            let claims = mutation::text(input, claims.to_string(), &WORDS);
            [parts[0], &encode(claims), parts[2]].join(".")
        }
        2 => {
            let header = mutation::text(input, "{\"alg\":\"RS256\",\"kid\":\"k1\"}".to_owned(), &WORDS);
            [&encode(header), parts[1], parts[2]].join(".")
        }
        3 => text(input),
        _ => mutation::text(input, valid.clone(), &[".", "=", "A", "..", "eyJ", "-", "_"]),
    };
    input.note(|| token.clone());
    let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) else {
        return Outcome::Refused;
    };
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value);
    match ISSUED.authenticate(&headers, None, SystemTime::now()) {
        Ok(caller) => {
            let is_signed = token.trim().split('.').take(2).eq(valid.split('.').take(2));
            assert!(is_signed, "what was not signed is accepted");
            assert_eq!(
                (caller.name.as_str(), caller.tenant.as_deref()),
                ("alice", Some("acme"))
            );
            Outcome::Accepted
        }
        Err(_) => Outcome::Refused,
    }
}

/// Sets of keys are used, or refused with an error.
pub(crate) fn key_sets(input: &mut Input) -> Outcome {
    let document = match input.below(4) {
        0 => text(input),
        1 => format!("{{\"keys\":{}", "[".repeat(input.below(300))),
        _ => mutation::text(input, KEYS.clone(), &WORDS),
    };
    input.note(|| document.clone());
    let path = write("keys.json", document.as_bytes());
    outcome(issued(&path).map(drop))
}

/// Files of tokens are used, or refused with an error that shows no hash.
pub(crate) fn token_files(input: &mut Input) -> Outcome {
    let valid = format!(
        "- {{ name: alice, sha256: '{HASH}', groups: [a, b], tenant: acme, expires: 2099-01-31T12:00:00Z }}\n\
         - name: bob\n  sha256: '{}'\n",
        HASH.replace('9', "8"),
    );
    let file = match input.once_in(4) {
        true => mutation::lines(input, &valid),
        false => mutation::text(input, valid, &WORDS),
    };
    input.note(|| file.clone());
    let path = write("tokens.yaml", file.as_bytes());
    let variables = [("TOLLGATE_AUTH__TOKENS", path.display().to_string())];
    let opened = open(variables.into_iter());
    if let Err(error) = &opened {
        // errors name keys that are not known, whatever they are
        let is_value = !error.contains("unknown key");
        assert!(
            !is_value || !error.contains(&HASH[10..40]),
            "a hash in an error: {error}"
        );
    }
    outcome(opened.map(drop))
}

/// The name of a certificate is one, whatever the certificate says.
pub(crate) fn certificates(input: &mut Input) -> Outcome {
    static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::try_from(RSA_KEY).expect("a key"));
    let mut params = CertificateParams::default();
    let name: String = text(input).chars().take(200).collect();
    params.distinguished_name.push(DnType::CommonName, name);
    match input.below(4) {
        0 => {
            let content = mutation::noise(input, 60);
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], content)];
        }
        1 => {}
        names => {
            for _ in 0..names {
                let uri = input.pick(&["spiffe://a/b", "spiffe://a/c", "https://a", "SPIFFE://a/b"]);
                params.subject_alt_names.push(match input.once_in(2) {
                    true => SanType::URI(uri.try_into().expect("ASCII")),
                    false => SanType::DnsName("a.example".try_into().expect("ASCII")),
                });
            }
        }
    }
    let mut der = params.self_signed(&*KEY).expect("a certificate").der().to_vec();
    if input.once_in(2) {
        der = mutation::bytes(input, der);
    }
    input.note(|| format!("{der:?}"));
    let certificate = PeerCertificate::from_der(&der);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000);
    match CERTIFIED.authenticate(&HeaderMap::new(), Some(&certificate), now) {
        Ok(caller) => {
            assert_name(&caller);
            Outcome::Accepted
        }
        Err(_) => Outcome::Refused,
    }
}

fn assert_name(caller: &Caller) {
    let name = &caller.name;
    assert!(
        !name.is_empty() && name.len() <= MAX_NAME_BYTES,
        "a name of {} bytes",
        name.len()
    );
    assert!(
        !name.chars().any(char::is_control),
        "control characters in the name {name:?}"
    );
}

/// Callers with tokens of an issuer whose keys are in this file.
fn issued(keys: &std::path::Path) -> Result<Authenticator, String> {
    let issuer = json!([{
        "issuer": "https://id.example", "audience": "tollgate", "jwks": keys, "tenant_claim": "tenant",
        "groups_claim": "groups", "claims": { "dept": "String" },
    }]);
    open([("TOLLGATE_AUTH__JWT", issuer.to_string())].into_iter())
}

fn open(variables: impl Iterator<Item = (&'static str, String)>) -> Result<Authenticator, String> {
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let config = Config::load(&Flags::default(), variables);
    let config = config.unwrap_or_else(|faults| panic!("{faults:?}"));
    let opened = Authenticator::open(&config.auth).map_err(|error| error.to_string())?;
    Ok(opened.expect("authentication is configured"))
}

/// Writes a private file of this thread.
pub(crate) fn write(name: &str, content: &[u8]) -> PathBuf {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("written");
        tollgate_tests::authority::set_mode(&path, 0o600);
        path
    })
}

fn outcome(result: Result<(), String>) -> Outcome {
    match result {
        Ok(()) => Outcome::Accepted,
        Err(error) => {
            assert!(!error.is_empty(), "refused without an error");
            assert!(
                error.len() < MOST_ERROR_BYTES,
                "an error of {} bytes",
                error.len()
            );
            Outcome::Refused
        }
    }
}
