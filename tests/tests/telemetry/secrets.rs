//! Item values, keys, ciphertexts and tokens never appear in what leaves the gateway.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tollgate_proto::v1;
use tollgate_tests::callers::{Setting, bearing, issuer};
use tollgate_tests::collector::Collector;
use tollgate_tests::gateway::{Gateway, Setup, in_session};
use tollgate_tests::issuer::{Signer, claims, jwks};
use tollgate_tests::stores::RawStores;
use tollgate_tests::values::{
    Item, b, delete, expression, get, get_content, item, key, l, m, n, object, query, s, save, scan,
    secure_user, user,
};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Request;

use super::{exporting_to, hex, logged, scrape};

/// What no log, span, metric or error may contain, in any form in which it might be written.
struct Secrets(BTreeMap<&'static str, Vec<u8>>);

impl Secrets {
    fn new() -> Secrets {
        let names = [
            "ssn", "phone", "city", "name", "email", "map", "list", "bytes", "object", "filter", "fresh",
        ];
        let marked = names.map(|name| (name, format!("MARK-{name}-5ecr3t").into_bytes()));
        Secrets(BTreeMap::from(marked))
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.0[name].clone()).expect("marks are text")
    }

    /// Adds what the store holds: encrypted values, and the wrapped keys in them.
    async fn add_stored(&mut self, stores: &RawStores) {
        let stored = stores
            .item("secure_users", "p1", "s1")
            .await
            .expect("it was saved");
        for (attribute, name) in [("ssn", "sealed ssn"), ("phone", "sealed phone")] {
            let sealed = stored[attribute].as_b().map(|blob| blob.as_ref().to_vec());
            let sealed = sealed.or_else(|_| stored[attribute].as_s().map(|text| text.clone().into_bytes()));
            self.0.insert(name, sealed.expect("bytes or text")[..32].to_vec());
        }
    }

    /// The secrets that a text contains.
    fn leaks(&self, source: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (name, secret) in &self.0 {
            let forms = [
                String::from_utf8_lossy(secret).into_owned(),
                STANDARD.encode(secret).trim_end_matches('=').to_owned(),
                hex(secret),
                format!("{secret:?}").trim_matches(['[', ']']).to_owned(),
            ];
            let leaked = forms.iter().find(|form| text.contains(form.as_str()));
            found.extend(leaked.map(|form| format!("{name} as {form} in {source}")));
        }
        found
    }
}

/// Items whose values are secrets.
struct Items {
    secure: Item,
    plain: Item,
    document: Item,
    invalid: Item,
}

impl Items {
    fn new(secrets: &Secrets) -> Items {
        let mut secure = secure_user("p1", "s1");
        secure.extend(item([
            ("ssn", s(secrets.text("ssn"))),
            ("phone", s(secrets.text("phone"))),
            (
                "address",
                m([
                    ("city", s(secrets.text("city"))),
                    ("lines", l([s(secrets.text("list")), n(7)])),
                ]),
            ),
        ]));
        let mut plain = user("p1", &secrets.text("fresh"));
        plain.extend(item([
            ("name", s(secrets.text("name"))),
            ("email", s(secrets.text("email"))),
        ]));
        let mut document = key("p1", "V1");
        document.extend(item([
            ("name", s(secrets.text("map"))),
            ("content", object(secrets.text("object"))),
        ]));
        let mut invalid = user("p2", "1");
        invalid.extend(item([
            ("age", s(secrets.text("bytes"))),
            ("unknown", b(secrets.text("bytes"))),
        ]));
        Items {
            secure,
            plain,
            document,
            invalid,
        }
    }
}

/// Calls of every kind; returns the errors of those that fail.
async fn call(gateway: &Gateway, secrets: &Secrets) -> String {
    let items = Items::new(secrets);
    let saves = [
        ("SecureUser", &items.secure),
        ("User", &items.plain),
        ("Document", &items.document),
        ("User", &items.invalid),
    ];
    let mut errors = String::new();
    let mut note = |status: Option<tonic::Status>| errors.push_str(&format!("{status:?}"));
    for _ in 0..3 {
        for (model, item) in saves {
            let saved = gateway.save(in_session(save(model, item.clone()), "job")).await;
            note(saved.outcome.err());
        }
        let read = gateway.get(get("SecureUser", key("p1", "s1"))).await;
        note(read.outcome.err());
        note(gateway.get(get_content("p1")).await.outcome.err());
        note(gateway.query(query("SecureUser", "p1")).await.outcome.err());
        let mut filtered = scan("User");
        filtered.filter = expression("email = :e", [(":e", s(secrets.text("filter")))]);
        note(gateway.scan(filtered).await.outcome.err());
    }
    errors
}

/// Every fifth request fails.
fn flaky() -> Wiretap {
    let requests = AtomicU64::new(0);
    Wiretap::new(move |_| match requests.fetch_add(1, Ordering::SeqCst) % 5 {
        4 => Fate::Error500,
        _ => Fate::Pass,
    })
}

#[tokio::test]
async fn no_stored_value_or_key_leaves_the_gateway() {
    let collector = Collector::grpc().await;
    let mut secrets = Secrets::new();
    let wiretap = flaky();
    let token_key = STANDARD.encode([0xa7; 32]);
    let settings = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=MARK-header-5ecr3t"),
        ("TOLLGATE_TOKEN_KEY", token_key.as_str()),
        ("TOLLGATE_LOG__LEVEL", "trace"),
    ];
    let setup = Setup {
        wiretap: Some(wiretap.clone()),
        ..exporting_to(&collector, &settings)
    };
    let (gateway, lines, _guard) = logged(setup).await;
    let errors = call(&gateway, &secrets).await;
    secrets.add_stored(wiretap.stores()).await;
    secrets.0.insert("header", b"MARK-header-5ecr3t".to_vec());
    secrets.0.insert("token key", vec![0xa7; 32]);
    gateway.stop().await;

    let received = collector.received();
    assert!(!received.spans.is_empty() && !received.logs.is_empty() && !received.metrics.is_empty());
    assert!(lines.text().contains("\"level\":\"WARN\"") || lines.text().contains("\"level\":\"ERROR\""));
    let outputs = [
        ("the log", lines.text()),
        ("spans", format!("{:?}", received.spans)),
        ("metrics", format!("{:?}", received.metrics)),
        ("log records", format!("{:?}", received.logs)),
        ("resources", format!("{:?}", received.resources)),
        ("errors", errors),
    ];
    let leaks: Vec<String> = outputs
        .iter()
        .flat_map(|(source, text)| secrets.leaks(source, text))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    for field in ["Plaintext", "CiphertextBlob"] {
        assert!(
            !lines.text().contains(field),
            "responses of KMS contain data keys"
        );
    }
    let found = secrets.leaks("a sample", &format!("x{}y", secrets.text("ssn")));
    assert_eq!(found.len(), 1, "the search finds a secret");
    let _: Value = serde_json::from_str(lines.text().lines().next().unwrap()).unwrap();
}

#[tokio::test]
async fn no_credential_leaves_the_gateway() {
    use std::os::unix::fs::PermissionsExt as _;

    let collector = Collector::grpc().await;
    let credentials = [
        "Bearer MARK-valid-5ecr3t",
        "Bearer MARK-unknown-5ecr3t",
        "Bearer MARK-header.MARK-claims.MARK-signature",
        "Bearer eyJhbGciOiJub25lIn0.MARK-claims.MARK-signature",
        "Basic MARK-basic-5ecr3t",
        "Bearer MARK-one MARK-two",
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.yaml");
    let hash = hex(&Sha256::digest("MARK-valid-5ecr3t"));
    std::fs::write(&file, format!("- {{ name: alice, sha256: '{hash}' }}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let path = file.display().to_string();
    let settings = [
        ("TOLLGATE_AUTH__TOKENS", path.as_str()),
        ("TOLLGATE_LOG__LEVEL", "trace"),
    ];
    let (gateway, lines, _guard) = logged(exporting_to(&collector, &settings)).await;
    let mut outcomes = String::new();
    for credential in credentials {
        let mut request = Request::new(save("User", user("p1", "1")));
        request
            .metadata_mut()
            .insert("authorization", credential.parse().unwrap());
        let saved = gateway.save(request).await;
        assert_eq!(
            saved.outcome.is_ok(),
            credential == credentials[0],
            "{credential}"
        );
        outcomes.push_str(&format!("{:?} {:?}", saved.outcome, saved.bill));
        let mut request = Request::new(v1::ListModelsRequest::default());
        request
            .metadata_mut()
            .insert("authorization", credential.parse().unwrap());
        outcomes.push_str(&format!("{:?}", gateway.schema().list_models(request).await));
    }
    gateway.stop().await;
    let received = collector.received();
    let outputs = [
        ("the log", lines.text()),
        ("spans", format!("{:?}", received.spans)),
        ("metrics", format!("{:?}", received.metrics)),
        ("log records", format!("{:?}", received.logs)),
        ("responses", outcomes),
    ];
    for (source, text) in outputs {
        assert!(
            !text.is_empty() && !text.contains("MARK"),
            "{source} has a credential"
        );
    }
}

/// Calls that show who the caller is and what it stores, by every credential; returns all that came back but the items.
async fn call_by(gateway: &Gateway, secrets: &Secrets, credentials: &[String]) -> String {
    let items = Items::new(secrets);
    let mut received = String::new();
    for credential in credentials {
        for (model, item) in [("SecureUser", &items.secure), ("User", &items.invalid)] {
            let saved = gateway.save(bearing(save(model, item.clone()), credential)).await;
            received.push_str(&format!("{:?} {:?}", saved.outcome.err(), saved.bill));
        }
        let read = get("SecureUser", key("p1", "s1"));
        let read = gateway.get(bearing(read, credential)).await;
        received.push_str(&format!("{:?} {:?}", read.outcome.err(), read.bill));
        let condition = expression("phone = :p", [(":p", s(secrets.text("filter")))]);
        let refused = v1::DeleteRequest {
            condition,
            ..delete("SecureUser", key("p1", "s1"))
        };
        let refused = gateway.delete(bearing(refused, credential)).await;
        received.push_str(&format!("{:?} {:?}", refused.outcome.err(), refused.bill));
    }
    received
}

#[tokio::test]
async fn no_value_or_credential_is_in_the_audit_log_or_a_scrape() {
    let collector = Collector::grpc().await;
    let mut secrets = Secrets::new();
    let (mut setting, signer) = (Setting::default(), Signer::ed25519("k1"));
    let token = setting.token("alice", "");
    let jwt = signer.sign(
        "EdDSA",
        &claims("bob", &json!({ "email": secrets.text("email") })),
    );
    let keys = setting.write("keys.json", &jwks(&[&signer]));
    let audit = setting.path("audit.jsonl");
    let audit_key = STANDARD.encode([0xb3; 32]);
    let (tokens, (_, issuers)) = (
        json!({ "file": setting.path("tokens.yaml"), "name_prefix": "token-" }).to_string(),
        issuer(&keys, &json!({ "name_prefix": "jwt-" })),
    );
    let settings = [
        ("TOLLGATE_AUTH__TOKENS", tokens.as_str()),
        ("TOLLGATE_AUTH__JWT", issuers.as_str()),
        ("TOLLGATE_AUDIT__FILE", audit.as_str()),
        ("TOLLGATE_AUDIT__KEY", audit_key.as_str()),
        ("TOLLGATE_AUDIT__CHAIN", "true"),
        ("TOLLGATE_METRICS__LISTEN", "127.0.0.1:0"),
        ("TOLLGATE_LOG__LEVEL", "trace"),
    ];
    let wiretap = Wiretap::counting();
    let setup = Setup {
        wiretap: Some(wiretap.clone()),
        ..exporting_to(&collector, &settings)
    };
    let (gateway, lines, _guard) = logged(setup).await;
    let unknown = ["MARK-unknown-5ecr3t".to_owned(), format!("{jwt}AAAA")];
    let credentials = [&[token.clone(), jwt.clone()][..], &unknown].concat();
    let received = call_by(&gateway, &secrets, &credentials).await;
    let scraped = scrape::text(gateway.side_port().unwrap()).await;
    secrets.add_stored(wiretap.stores()).await;
    gateway.stop().await;

    let parts: Vec<&str> = jwt.split('.').collect();
    for (name, secret) in [
        ("opaque token", token.as_str()),
        ("unknown token", unknown[0].as_str()),
        ("claims of the JWT", parts[1]),
        ("signature of the JWT", parts[2]),
    ] {
        secrets.0.insert(name, secret.as_bytes().to_vec());
    }
    secrets.0.insert("audit key", vec![0xb3; 32]);
    let exported = collector.received();
    let audited = std::fs::read_to_string(&audit).unwrap();
    assert!(
        audited.contains("token-alice") && audited.contains("jwt-bob"),
        "{audited}"
    );
    assert!(scraped.contains("tollgate"), "{scraped}");
    let outputs = [
        ("the log", lines.text()),
        ("spans", format!("{:?}", exported.spans)),
        ("metrics", format!("{:?}", exported.metrics)),
        ("log records", format!("{:?}", exported.logs)),
        ("a scrape", scraped),
        ("responses", received),
        ("the audit log", audited),
    ];
    let leaks: Vec<String> = outputs
        .iter()
        .flat_map(|(source, text)| secrets.leaks(source, text))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
