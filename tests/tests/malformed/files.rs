//! Policies, tokens and keys that are malformed when the program reads them again: those before stay in force, and an error
//! is logged.

use std::path::Path;

use serde_json::json;
use tollgate_tests::authority::set_mode;
use tollgate_tests::issuer::{Signer, claims, encode, jwks};

use super::ending::Expected;
use super::input::Input;
use super::requests;
use super::world::{Proof, World};

/// The line at which the program has read all that callers and policies need.
const READ: &str = "reading the models";

/// No content with this is a policy: a statement that does not end.
const NO_POLICY: &str = "\npermit(";
/// No content with this is a list of tokens.
const NO_TOKENS: &str = "\n- { name: [, ";

const POLICY: &str = r#"permit(principal in Tollgate::Group::"ops", action, resource) when { context.tls && principal.name like "a*" };"#;

/// A policy file with faults beside the valid one.
pub(crate) async fn policies(world: &World, input: &mut Input) -> Result<(), String> {
    let content = malformed(input, POLICY, NO_POLICY);
    let _alone = world.files.lock().await;
    let path = world.setting.path("policies/z.cedar");
    replaced(world, || write(&path, &content)).await?;
    let probed = world.probe(Proof::Opaque).await;
    restored(world, || drop(std::fs::remove_file(&path))).await?;
    probed
}

/// A file of tokens with faults in place of the valid one.
pub(crate) async fn token_file(world: &World, input: &mut Input) -> Result<(), String> {
    let _alone = world.files.lock().await;
    let path = world.setting.path("tokens.yaml");
    let valid = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let content = malformed(input, &valid, NO_TOKENS);
    replaced(world, || write(&path, &content)).await?;
    let probed = world.probe(Proof::Opaque).await;
    restored(world, || write(&path, valid.as_bytes())).await?;
    probed
}

/// A malformed set of keys at the issuer, and a token whose key is not known.
pub(crate) async fn keys(world: &World, input: &mut Input) -> Result<(), String> {
    let _alone = world.files.lock().await;
    let valid = jwks(&[&world.signer]);
    let body = match input.below(5) {
        0 => String::from_utf8_lossy(&malformed(input, &valid, "{")).into_owned(),
        1 => "[".repeat(input.pick(&[1, 128, 100_000])),
        2 => {
            json!({ "keys": [{ "kty": input.text(), "kid": "k9", "n": encode(input.noise(20)), "crv": 7 }] })
                .to_string()
        }
        3 => json!({ "keys": vec![json!({ "kty": "oct", "k": "AAAA", "kid": "k9" }); input.below(3000)] })
            .to_string(),
        _ => "x".repeat(5 << 20),
    };
    world.keys.set(input.pick(&[200, 200, 200, 302, 404, 500]), body);
    let stranger = Signer::p256("k9").sign("ES256", &claims("eve", &json!({})));
    let refused = world
        .call(&world.anyone, requests::get().bearing(stranger.as_bytes()))
        .await;
    let probed = world.probe(Proof::Jwt).await;
    world.keys.set(200, valid);
    refused.check(Expected::Unauthenticated)?;
    probed
}

/// Replaces a file at once: the program may read it at any time, and half a file may be a valid one.
fn write(path: &str, content: &[u8]) {
    let new = format!("{path}.new");
    std::fs::write(&new, content).expect("written");
    set_mode(Path::new(&new), 0o600);
    std::fs::rename(&new, path).expect("renamed");
}

/// A mutation of the valid content that is certainly not valid.
fn malformed(input: &mut Input, valid: &str, end: &str) -> Vec<u8> {
    let mut content = match input.below(4) {
        0 => input.noise(2000),
        1 => input.text().into_bytes(),
        _ => valid.as_bytes().to_vec(),
    };
    input.mutate(&mut content);
    content.extend(end.as_bytes());
    content
}

/// Replaces a file by a malformed one, which the log must say.
async fn replaced(world: &World, replace: impl FnOnce()) -> Result<(), String> {
    let lines = reread(world, replace).await?;
    match lines.iter().any(|line| line.contains("\"level\":\"ERROR\"")) {
        true => Ok(()),
        false => Err("no error is logged about a malformed file".to_owned()),
    }
}

/// Puts the valid file back.
async fn restored(world: &World, restore: impl FnOnce()) -> Result<(), String> {
    reread(world, restore).await.map(drop)
}

async fn reread(world: &World, change: impl FnOnce()) -> Result<Vec<String>, String> {
    let from = world.process.log.count();
    change();
    world.process.hang_up();
    world.process.log.until(from, READ).await
}
