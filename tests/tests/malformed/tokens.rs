//! Bearer tokens: JWTs of which a part is not what it should be, and others.

use serde_json::{Value, json};
use tollgate_tests::issuer::{Signer, claims, encode, seconds_from_now};

use super::ending::Expected;
use super::input::Input;
use super::requests;
use super::world::World;

/// A Get with a token that is not valid, or odd.
pub(crate) async fn tokens(world: &World, input: &mut Input) -> Result<(), String> {
    let (token, expected) = token(world, input);
    let ending = world.call(&world.anyone, requests::get().bearing(&token)).await;
    let is_known = matches!(&ending, super::ending::Ending::Status(tonic::Code::Ok, _));
    let shown = String::from_utf8_lossy(&token[..token.len().min(300)]).into_owned();
    let expected = if is_known { expected } else { Expected::Clear };
    ending
        .check(expected)
        .map_err(|what| format!("{what}; the token: {shown}"))
}

/// The token, and whether it may be accepted.
fn token(world: &World, input: &mut Input) -> (Vec<u8>, Expected) {
    let valid = world.jwt(&json!({}));
    let parts: Vec<&str> = valid.split('.').collect();
    let text = match input.below(10) {
        0 => return (odd(input), Expected::Unauthenticated),
        1 => {
            let mut bytes = valid.into_bytes();
            input.mutate(&mut bytes);
            bytes.retain(|byte| (33..127).contains(byte));
            return (bytes, Expected::Clear);
        }
        2 => {
            let header = json!({ "alg": input.pick(&["none", "None", "HS256", "HS512", "ES384", "RS256", "EdDSA", ""]), "kid": "k1" });
            let signature = input.pick(&["", "AAAA", parts[2]]);
            format!("{}.{}.{signature}", encode(header.to_string()), parts[1])
        }
        3 => {
            let other = world.jwt(&json!({ "sub": "root" }));
            let other: Vec<&str> = other.split('.').collect();
            format!("{}.{}.{}", parts[0], other[1], parts[2])
        }
        4 => {
            let part = |input: &mut Input| parts[input.below(3)].to_owned();
            let count = input.pick(&[0, 1, 2, 4, 5, 2000]);
            (0..count).map(|_| part(input)).collect::<Vec<_>>().join(".")
        }
        5 => {
            let depth = input.pick(&[100, 127, 128, 5000]);
            let deep = format!("{{\"iss\":\"https://id.example\",\"a\":{}}}", "[".repeat(depth));
            format!("{}.{}.{}", parts[0], encode(deep), parts[2])
        }
        6 => {
            let junk = encode(input.noise(400));
            match input.below(3) {
                0 => format!("{junk}.{}.{}", parts[1], parts[2]),
                1 => format!("{}.{junk}.{}", parts[0], parts[2]),
                _ => format!("{}.{}.{junk}", parts[0], parts[1]),
            }
        }
        7 => Signer::ed25519("k1").sign("EdDSA", &claims("bob", &json!({ "tenant": "acme" }))),
        8 => {
            let header =
                json!({ "alg": "ES256", "kid": input.text(), "jku": "https://evil.example", "crit": ["a"] });
            format!("{}.{}.{}", encode(header.to_string()), parts[1], parts[2])
        }
        _ => {
            let (claim, value) = claim(input);
            return (world.jwt(&json!({ claim: value })).into_bytes(), Expected::Clear);
        }
    };
    (text.into_bytes(), Expected::Unauthenticated)
}

/// A claim that is not of its type, or odd, in a token with a valid signature.
fn claim(input: &mut Input) -> (&'static str, Value) {
    let name = input.pick(&[
        "sub", "exp", "nbf", "aud", "iss", "tenant", "groups", "dept", "iat",
    ]);
    let value = match input.below(9) {
        0 => Value::Null,
        1 => json!(input.text()),
        2 => json!(input.number()),
        3 => json!(-1.5),
        4 => json!([input.text(), 7]),
        5 => json!({ "a": input.text() }),
        6 => json!(
            (0..input.below(300))
                .map(|number| format!("group-{number}"))
                .collect::<Vec<_>>()
        ),
        7 => json!(seconds_from_now(-61)),
        _ => (0..100).fold(json!(1), |inner, _| json!([inner])),
    };
    (name, value)
}

/// Text that a header can carry.
fn odd(input: &mut Input) -> Vec<u8> {
    let bytes = match input.below(3) {
        0 => input.noise(100),
        1 => input.text().into_bytes(),
        _ => "a".repeat(input.pick(&[1000, 8000, 16_000, 40_000])).into_bytes(),
    };
    bytes
        .into_iter()
        .filter(|byte| *byte >= 33 && *byte != 127)
        .collect()
}
