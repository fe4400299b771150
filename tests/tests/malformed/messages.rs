//! Messages of every RPC that lie about their length or encoding, or that are no protobuf.

use std::io::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::client::Sent;
use super::ending::Expected;
use super::input::Input;
use super::requests::{any, flagged, framed};
use super::world::{MESSAGE_BYTES, Proof, World};

/// What a bomb inflates to.
const BOMB_BYTES: usize = 16 * MESSAGE_BYTES;

static BOMBS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let zeros = vec![0; BOMB_BYTES];
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&zeros).expect("it is in memory");
    let gzip = encoder.finish().expect("it is in memory");
    [gzip, zstd::bulk::compress(&zeros, 1).expect("it is in memory")]
});

/// A call of any RPC with messages that are not what they should be.
pub(crate) async fn messages(world: &World, input: &mut Input) -> Result<(), String> {
    let (mut path, messages) = any(input);
    let proof = input.pick(&[Proof::Certificate, Proof::Opaque, Proof::Jwt]);
    let sent = match input.below(8) {
        0..4 => Sent::new(path, mutated(input, messages)),
        4 => Sent::new(path, framed(&protobuf(input, 0))),
        5 => Sent::new(path, lying(input, &messages)),
        6 => compressed(input, path, &messages),
        _ => {
            // not what this RPC takes
            path = any(input).0;
            Sent::new(
                path,
                messages
                    .iter()
                    .flat_map(|message| framed(message))
                    .collect::<Bytes>(),
            )
        }
    };
    world
        .call_by(proof, sent)
        .await
        .check(Expected::Clear)
        .map_err(|what| format!("{path}: {what}"))
}

/// Valid messages of which some bytes, or the order or number, are changed.
fn mutated(input: &mut Input, mut messages: Vec<Vec<u8>>) -> Bytes {
    for message in &mut messages {
        if input.once_in(2) {
            input.mutate(message);
        }
    }
    match input.below(8) {
        0 => messages.reverse(),
        1 => messages.extend(messages.clone()),
        2 => messages.truncate(1),
        3 if input.once_in(2) => messages.clear(),
        _ => {}
    }
    messages.iter().flat_map(|message| framed(message)).collect()
}

/// Fields of any number and type, some in one another.
fn protobuf(input: &mut Input, depth: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..input.below(6) {
        let (number, kind) = (1 + input.below(12), input.below(8));
        bytes.push(u8::try_from(number << 3 | kind).expect("below 128"));
        match kind {
            0 => bytes.extend(input.noise(11)),
            1 => bytes.extend(input.noise(8)),
            2 => {
                let content = match depth < 4 && input.once_in(2) {
                    true => protobuf(input, depth + 1),
                    false => input.text().into_bytes(),
                };
                let length = if input.once_in(6) {
                    input.below(1 << 14)
                } else {
                    content.len().min((1 << 14) - 1)
                };
                bytes.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
                bytes.extend(content);
            }
            _ => bytes.extend(input.noise(4)),
        }
    }
    // as deep as a message may be, and deeper
    if depth == 0 && input.once_in(4) {
        for _ in 0..input.pick(&[20, 90, 101, 2000]) {
            if bytes.len() >= 1 << 14 {
                break;
            }
            let length = bytes.len();
            let head = [2 << 3 | 2, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
            bytes.splice(0..0, head);
        }
    }
    bytes
}

/// Flags and lengths that are not those of the message.
fn lying(input: &mut Input, messages: &[Vec<u8>]) -> Bytes {
    let message = &messages[0];
    let length = u32::try_from(message.len()).expect("a small message");
    match input.below(6) {
        0 => flagged(0, length + 1 + input.number() % 100, message),
        1 => flagged(0, input.number() % length.max(1), message),
        2 => flagged(
            0,
            input.pick(&[u32::MAX, 1 << 31, 1 << 30, 1 << 20, (1 << 20) + 1]),
            message,
        ),
        3 => flagged(input.pick(&[1, 2, 127, 128, 255]), length, message),
        4 => framed(message).slice(..input.below(5)),
        _ => [framed(message), input.noise(40).into()].concat().into(),
    }
}

/// What says that it is compressed, and is not, or is a bomb.
fn compressed(input: &mut Input, path: &str, messages: &[Vec<u8>]) -> Sent {
    let encoding = input.below(2);
    let mut content = match input.below(4) {
        0 => input.noise(300),
        1 => BOMBS[encoding].clone(),
        2 => messages[0].clone(),
        _ => match encoding {
            0 => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&messages[0]).expect("it is in memory");
                encoder.finish().expect("it is in memory")
            }
            _ => zstd::bulk::compress(&messages[0], 1).expect("it is in memory"),
        },
    };
    if input.once_in(2) {
        input.mutate(&mut content);
    }
    let length = u32::try_from(content.len()).expect("a small message");
    let sent = Sent::new(path, flagged(1, length, &content));
    match input.once_in(6) {
        true => sent,
        false => sent.with("grpc-encoding", ["gzip", "zstd"][encoding].as_bytes()),
    }
}
