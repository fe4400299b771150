//! Headers, methods and paths that no gRPC library would send.

use bytes::Bytes;
use http::Method;
use tonic::Code;

use super::client::Sent;
use super::ending::{Ending, Expected};
use super::input::Input;
use super::requests;
use super::world::{Proof, World};

const TIMEOUTS: [&str; 14] = [
    "",
    "1",
    "S",
    "-1S",
    "+1S",
    "99999999H",
    "999999999S",
    "1x",
    "1 S",
    "0n",
    "0S",
    "1.5S",
    "1SS",
    "00000000000001S",
];
const TYPES: [&str; 10] = [
    "",
    "application/json",
    "application/grpc+json",
    "application/grpc-web",
    "application/grpc-web+proto",
    "text/html",
    "application/grpcx",
    "application/grpc+proto; charset=utf-8",
    "APPLICATION/GRPC",
    "application/grpc+",
];
const ENCODINGS: [&str; 9] = [
    "",
    "br",
    "deflate",
    "identity",
    "gzip, zstd",
    "gzip,identity",
    "GZIP",
    "snappy",
    "x-gzip",
];
const AUTHORIZATIONS: [&str; 14] = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer  x",
    "bearer x",
    "BEARER x",
    "Bearer x y",
    "Basic YTpi",
    "Bearer, x",
    "Digest x",
    "Bearer \"x\"",
    "Bearer x.y.z",
    "Bearer ..",
    "Negotiate",
];
const PATHS: [&str; 12] = [
    "/",
    "//",
    "/tollgate.v1.DataService",
    "/tollgate.v1.DataService/",
    "/tollgate.v1.DataService/Nope",
    "/tollgate.v1.DataService/get",
    "/tollgate.v1.DataService/Get/",
    "/tollgate.v1.DataService/Get?a=b",
    "/tollgate.v1.DataService%2FGet",
    "/../tollgate.v1.DataService/Get",
    "/nope.v1.Service/Get",
    "/%ff%00",
];
const NAMES: [&str; 10] = [
    "tollgate-session",
    "tollgate-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "user-agent",
    "grpc-previous-rpc-attempts",
    "x-forwarded-for",
    "grpc-message-type",
    "content-length",
];
const BINARIES: [&str; 4] = [
    "grpc-trace-bin",
    "grpc-tags-bin",
    "x-bin",
    "grpc-status-details-bin",
];

/// A Get with up to three odd headers.
pub(crate) async fn headers(world: &World, input: &mut Input) -> Result<(), String> {
    let mut sent = requests::get();
    for _ in 0..=input.below(3) {
        sent = match input.once_in(2) {
            true => changed(input, sent),
            false => added(input, sent),
        };
    }
    if input.once_in(4) {
        return unauthorized(world, input, sent).await;
    }
    if input.once_in(16) {
        sent.body = (0..input.below(50)).map(|_| Bytes::new()).collect();
    }
    let proof = input.pick(&[Proof::Certificate, Proof::Opaque, Proof::Jwt]);
    world.call_by(proof, sent).await.check(Expected::Clear)
}

/// With what every request has replaced.
fn changed(input: &mut Input, mut sent: Sent) -> Sent {
    match input.below(5) {
        0 => {
            sent.headers.remove("content-type");
            sent.with("content-type", input.pick(&TYPES).as_bytes())
        }
        1 => {
            sent.headers.remove(input.pick(&["te", "content-type"]));
            sent
        }
        2 => {
            sent.headers.remove("te");
            let te = input.pick(&["gzip", "", "trailers, deflate", "TRAILERS"]);
            sent.with("te", te.as_bytes())
        }
        3 => {
            sent.path = input.pick(&PATHS).to_owned();
            sent
        }
        _ => {
            let methods = [&Method::GET, &Method::PUT, &Method::OPTIONS, &Method::DELETE];
            sent.method = input.pick(&methods).clone();
            sent
        }
    }
}

/// With one header more, or two.
fn added(input: &mut Input, sent: Sent) -> Sent {
    match input.below(7) {
        0 => sent.with("grpc-timeout", input.pick(&TIMEOUTS).as_bytes()),
        1 => sent.with("grpc-timeout", &odd(input)),
        2 => sent.with("grpc-encoding", input.pick(&ENCODINGS).as_bytes()),
        3 => sent.with("grpc-accept-encoding", input.pick(&ENCODINGS).as_bytes()),
        4 => {
            let value = input.pick(&["!!!", "AAA", "AA==", "====", "AAAA,AAAA", ""]);
            sent.with(input.pick(&BINARIES), value.as_bytes())
        }
        _ => {
            let (name, value) = (input.pick(&NAMES), odd(input));
            let sent = sent.with(name, &value);
            if input.once_in(4) {
                sent.with(name, &value)
            } else {
                sent
            }
        }
    }
}

/// With an authorization that is never that of a caller, alone or beside a valid one.
async fn unauthorized(world: &World, input: &mut Input, sent: Sent) -> Result<(), String> {
    let value = match input.once_in(2) {
        true => input.pick(&AUTHORIZATIONS).as_bytes().to_vec(),
        false => odd(input),
    };
    let mut sent = sent.with("authorization", &value);
    if input.once_in(3) {
        sent = sent.with("authorization", format!("Bearer {}", world.opaque()).as_bytes());
    }
    let ending = world.call(&world.anyone, sent).await;
    // other headers may be refused first
    let expected = match &ending {
        Ending::Status(Code::Ok, _) => Expected::Unauthenticated,
        _ => Expected::Clear,
    };
    ending.check(expected)
}

/// Bytes that a header may have, up to about what a server takes.
fn odd(input: &mut Input) -> Vec<u8> {
    let text = match input.below(3) {
        0 => input.noise(200),
        1 => input.text().into_bytes(),
        _ => "x"
            .repeat(input.pick(&[128, 129, 1024, 4096, 8192, 20_000]))
            .into_bytes(),
    };
    // the others cannot be sent at all: `frames` does
    text.into_iter()
        .filter(|byte| *byte >= 32 && *byte != 127)
        .collect()
}
