//! JWTs: every algorithm, what is refused, and keys that rotate.

use std::time::Duration;

use tollgate_tests::authority::Authority;
use tollgate_tests::issuer::{encode, seconds_from_now};
use tollgate_tests::polling::eventually;

use super::*;

#[tokio::test]
async fn every_algorithm_is_verified_and_fits_only_its_key() {
    let setting = Setting::default();
    let signers = [
        Signer::rsa("rsa"),
        Signer::p256("p256"),
        Signer::p384("p384"),
        Signer::ed25519("ed"),
    ];
    let keys = setting.write("keys.json", &jwks(&signers.iter().collect::<Vec<_>>()));
    let gateway = start(vec![issuer(&keys, &json!({}))]).await;
    let [rsa, p256, p384, ed] = &signers;
    let alice = claims("alice", &json!({}));
    let valid = [
        (rsa, "RS256"),
        (rsa, "PS256"),
        (p256, "ES256"),
        (p384, "ES384"),
        (ed, "EdDSA"),
    ];
    for (signer, algorithm) in valid {
        assert!(
            is_known(&gateway, &signer.sign(algorithm, &alice)).await,
            "{algorithm}"
        );
    }
    for signer in &signers {
        for algorithm in [
            "none", "HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA", "RS512", "ES512",
        ] {
            let fits = valid
                .iter()
                .any(|(of, name)| std::ptr::eq(*of, signer) && *name == algorithm);
            let token = signer.sign(algorithm, &alice);
            assert_eq!(is_known(&gateway, &token).await, fits, "{algorithm}");
        }
    }
    // an RSA key as the secret of an HMAC, and no signature at all
    for header in [
        json!({ "alg": "HS256", "kid": "rsa" }),
        json!({ "alg": "none" }),
        json!({ "alg": "nOnE" }),
    ] {
        let message = format!("{}.{}", encode(header.to_string()), encode(alice.to_string()));
        assert_eq!(
            refused(&ask(&gateway, &format!("{message}.")).await),
            "authorization: the token is invalid"
        );
    }
}

#[tokio::test]
async fn audience_issuer_and_times_are_checked() {
    let setting = Setting::default();
    let signer = Signer::ed25519("k");
    let keys = setting.write("keys.json", &jwks(&[&signer]));
    let gateway = start(vec![issuer(&keys, &json!({}))]).await;
    for (changed, expected) in [
        (json!({ "aud": "other" }), "authorization: the token is invalid"),
        (json!({ "aud": null }), "authorization: the token is invalid"),
        (
            json!({ "iss": "https://evil.example" }),
            "authorization: the token is invalid",
        ),
        (json!({ "exp": null }), "authorization: the token is invalid"),
        (
            json!({ "exp": seconds_from_now(-100) }),
            "authorization: the token has expired",
        ),
        (
            json!({ "nbf": seconds_from_now(100) }),
            "authorization: the token is not valid yet",
        ),
        (json!({ "sub": null }), "authorization: the token is invalid"),
    ] {
        let token = signer.sign("EdDSA", &claims("alice", &changed));
        assert_eq!(refused(&ask(&gateway, &token).await), expected, "{changed}");
    }
    let forged = Signer::ed25519("k").sign("EdDSA", &claims("alice", &json!({})));
    assert_eq!(
        refused(&ask(&gateway, &forged).await),
        "authorization: the token is invalid"
    );
    let forged = Signer::ed25519("other").sign("EdDSA", &claims("alice", &json!({})));
    assert_eq!(
        refused(&ask(&gateway, &forged).await),
        "authorization: the token was signed by an unknown key"
    );
}

#[tokio::test]
async fn keys_that_rotate_are_fetched_once_an_unknown_one_is_named() {
    let setting = Setting::default();
    let authority = Authority::new("root");
    let (first, second, third) = (Signer::ed25519("1"), Signer::p256("2"), Signer::ed25519("3"));
    let server = KeyServer::start(&authority.server(), jwks(&[&first])).await;
    let ca = setting.write("ca.pem", &authority.pem());
    let gateway = start(vec![issuer(&server.url(), &json!({ "jwks_ca": ca }))]).await;
    let alice = claims("alice", &json!({}));
    assert!(is_known(&gateway, &first.sign("EdDSA", &alice)).await);
    let before = server.requests();
    server.set(200, jwks(&[&second]));
    assert!(
        is_known(&gateway, &second.sign("ES256", &alice)).await,
        "fetched at once"
    );
    assert_eq!(server.requests(), before + 1);
    assert!(
        !is_known(&gateway, &first.sign("EdDSA", &alice)).await,
        "the old key is gone"
    );
    server.set(200, jwks(&[&third]));
    for _ in 0..5 {
        assert!(!is_known(&gateway, &third.sign("EdDSA", &alice)).await);
    }
    assert_eq!(server.requests(), before + 1, "at most every 30 s");
    assert!(
        is_known(&gateway, &second.sign("ES256", &alice)).await,
        "the last keys stay in use"
    );
}

#[tokio::test]
async fn keys_are_fetched_from_trusted_servers_alone_and_without_redirects() {
    let setting = Setting::default();
    let (authority, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let signer = Signer::ed25519("1");
    let token = signer.sign("EdDSA", &claims("alice", &json!({})));
    let good = KeyServer::start(&authority.server(), jwks(&[&signer])).await;
    let ca = setting.write("ca.pem", &authority.pem());
    let unavailable = "authorization: the keys of the token's issuer are unavailable; try again later";
    let foreign = KeyServer::start(&stranger.server(), jwks(&[&signer])).await;
    let redirecting = KeyServer::start(&authority.server(), String::new()).await;
    redirecting.set(302, good.url());
    let huge = KeyServer::start(&authority.server(), " ".repeat(300_000) + &jwks(&[&signer])).await;
    let broken = KeyServer::start(&authority.server(), "{}".to_owned()).await;
    for server in [&foreign, &redirecting, &huge, &broken] {
        let gateway = start(vec![issuer(&server.url(), &json!({ "jwks_ca": ca }))]).await;
        assert_eq!(refused(&ask(&gateway, &token).await), unavailable);
    }
    assert_eq!(good.requests(), 0);
}

#[tokio::test]
async fn a_stream_ends_when_its_credential_expires() {
    let setting = Setting::default();
    let signer = Signer::ed25519("k");
    let keys = setting.write("keys.json", &jwks(&[&signer]));
    let gateway = start(vec![issuer(&keys, &json!({ "leeway": "0s" }))]).await;
    let expires = seconds_from_now(3);
    let token = signer.sign("EdDSA", &claims("alice", &json!({ "exp": expires })));
    let mut health = tonic_health::pb::health_client::HealthClient::new(gateway.channel());
    let watch = tonic_health::pb::HealthCheckRequest::default();
    let mut watched = health.watch(watch).await.expect("public").into_inner();
    watched.message().await.expect("a status");
    // an upload whose caller sends nothing more
    let (sender, messages) = tokio::sync::mpsc::channel::<v1::UploadRequest>(1);
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let mut request = bearing(messages, &token);
    request.set_timeout(Duration::from_secs(60));
    let status = gateway.data().upload(request).await.unwrap_err();
    assert_eq!(
        refused(&status),
        "the credential expired while the call was in progress"
    );
    assert!(seconds_from_now(0) >= expires);
    drop(sender);
    // the clocks of the test and the server read the same second at different times
    let expired = "authorization: the token has expired";
    eventually(async || match ask(&gateway, &token).await {
        status if status.message() == expired => Ok(status),
        status => Err(status.message().to_owned()),
    })
    .await;
    assert_eq!(refused(&ask(&gateway, &token).await), expired);
}
