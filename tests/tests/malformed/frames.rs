//! Frames of HTTP/2 that no client would send, or not so many of them (RFC 9113).

use tollgate_tests::raw::{frame, literal};

use super::client::{secure, throw};
use super::ending::blames_the_peer;
use super::input::Input;
use super::requests::{GET, framed, get_message};
use super::world::World;

/// What a client sends first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The largest frame that a peer sends without being asked for more.
const MOST_FRAME_BYTES: usize = 16 << 10;

/// A connection with frames that are wrong, or too many; the server ends it, or goes on, without blaming itself.
pub(crate) async fn frames(world: &World, input: &mut Input) -> Result<(), String> {
    let stream = secure(world.process.address, &world.anyone).await;
    let stream = stream.map_err(|error| format!("no handshake: {error}"))?;
    let (name, bytes) = attack(world, input);
    let received = throw(stream, &bytes)
        .await
        .map_err(|what| format!("{name}: {what}"))?;
    check(&received).map_err(|what| format!("{name}: {what}"))
}

fn attack(world: &World, input: &mut Input) -> (&'static str, Vec<u8>) {
    let settings = frame(SETTINGS, 0, 0, &[]);
    let begun = [PREFACE, &settings].concat();
    let begun = |more: Vec<u8>| [begun.clone(), more].concat();
    let head = head(world);
    match input.below(14) {
        0 => ("noise", input.noise(500)),
        1 => {
            let mut preface = begun(Vec::new());
            input.mutate(&mut preface);
            ("preface", [preface, input.noise(50)].concat())
        }
        2 => ("settings", [PREFACE.to_vec(), settings_of(input)].concat()),
        3 => ("floods", begun(flood(input))),
        4 => ("resets", begun(resets(input, &head))),
        5 => ("continuations", begun(continuations(input, &head))),
        6 => ("compressed headers", begun(compressed_headers(input))),
        7 => ("large headers", begun(large_headers(input, &head))),
        8 | 9 => {
            let any = (0..=input.below(30)).flat_map(|_| any_frame(input)).collect();
            ("any frames", begun(any))
        }
        10 => ("wrong frames", begun(wrong_frame(input, &head))),
        11 => {
            let mut cut = frame(HEADERS, END_HEADERS, 1, &head);
            cut.truncate(input.below(cut.len()));
            ("cut frames", begun(cut))
        }
        _ => {
            let message = framed(&get_message());
            let call = [
                frame(HEADERS, END_HEADERS, 1, &head),
                frame(DATA, END_STREAM, 1, &message),
            ]
            .concat();
            let mut call = begun(call);
            input.mutate(&mut call);
            ("mutated calls", call)
        }
    }
}

/// Settings of any length with any value.
fn settings_of(input: &mut Input) -> Vec<u8> {
    let mut content = Vec::new();
    for _ in 0..input.below(20) {
        content.extend([0, input.pick(&[0, 1, 2, 3, 4, 5, 6, 8, 9, 255])]);
        let value = match input.once_in(2) {
            true => input.pick(&[0, 1, 2, 16383, 16384, 1 << 24, (1 << 31) - 1, 1 << 31, u32::MAX]),
            false => input.number(),
        };
        content.extend(value.to_be_bytes());
    }
    if input.once_in(3) {
        content.truncate(input.below(content.len() + 1));
    }
    let stream = if input.once_in(6) { input.number() } else { 0 };
    frame(SETTINGS, input.pick(&[0, 0, 1, 255]), stream, &content)
}

/// The same small frame again and again.
fn flood(input: &mut Input) -> Vec<u8> {
    let frame = match input.below(6) {
        0 => frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]),
        1 => frame(PING, 0, 0, &[7; 8]),
        2 => frame(SETTINGS, 1, 0, &[]),
        3 => frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        4 => frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
        _ => frame(input.pick(&[11, 12, 200]), 0, 0, &input.noise(20)),
    };
    frame.repeat(input.pick(&[2, 100, 1000, 5000]))
}

/// Streams that are begun and reset at once.
fn resets(input: &mut Input, head: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..input.pick(&[1, 20, 300, 1000]) {
        let stream = 2 * number + 1;
        bytes.extend(frame(HEADERS, END_HEADERS, stream, head));
        bytes.extend(frame(
            RST_STREAM,
            0,
            stream,
            &input.pick(&[0, 8, 2, 99, u32::MAX]).to_be_bytes(),
        ));
    }
    bytes
}

/// Headers that go on and on.
fn continuations(input: &mut Input, head: &[u8]) -> Vec<u8> {
    let mut bytes = frame(HEADERS, 0, 1, head);
    let content = match input.below(3) {
        0 => Vec::new(),
        1 => literal("x-a", &"a".repeat(100)),
        _ => literal("x-a", &"a".repeat(100)).repeat(100),
    };
    for _ in 0..input.pick(&[1, 10, 200, 1000]) {
        bytes.extend(frame(CONTINUATION, 0, 1, &content));
    }
    if input.once_in(2) {
        bytes.extend(frame(
            CONTINUATION,
            END_HEADERS,
            if input.once_in(3) { 3 } else { 1 },
            &[],
        ));
    }
    bytes
}

/// Bytes that are no compressed headers (RFC 7541).
fn compressed_headers(input: &mut Input) -> Vec<u8> {
    let content = match input.below(5) {
        0 => input.noise(300),
        // an index, a table size and a length that do not end
        1 => vec![0xff; 1 + input.below(20)],
        2 => [vec![0x3f], vec![0xff; 10], vec![0x7f]].concat(),
        3 => [vec![0, 0x7f], vec![0xff; input.below(12)], vec![1]].concat(),
        // an entry of the table that is used again and again
        _ => [
            vec![0x40, 1, b'a', 0x7f, 0x81, 0x1e],
            vec![b'a'; 4000],
            vec![0xbe; 3000],
        ]
        .concat(),
    };
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &content)
}

/// Header lists beyond every limit.
fn large_headers(input: &mut Input, head: &[u8]) -> Vec<u8> {
    let field = literal("x-large", &"v".repeat(120));
    let rest = field.repeat(input.pick(&[10, 130, 400, 4000]));
    let mut bytes = frame(HEADERS, 0, 1, head);
    for part in rest.chunks(MOST_FRAME_BYTES) {
        bytes.extend(frame(CONTINUATION, 0, 1, part));
    }
    bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
    bytes
}

fn any_frame(input: &mut Input) -> Vec<u8> {
    let content = input.noise(60);
    let stream = match input.below(4) {
        0 => 0,
        1 => input.number(),
        _ => input.pick(&[1, 2, 3, 5, 7]),
    };
    let kind = if input.once_in(10) {
        input.byte()
    } else {
        input.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    };
    let flags = if input.once_in(2) {
        input.pick(&[0, 1, 4, 5, 8, 32])
    } else {
        input.byte()
    };
    let mut bytes = frame(kind, flags, stream, &content);
    if input.once_in(8) {
        bytes[input.below(3)] = input.byte();
    }
    bytes
}

/// One frame that the protocol forbids.
fn wrong_frame(input: &mut Input, head: &[u8]) -> Vec<u8> {
    let open = frame(HEADERS, END_HEADERS, 1, head);
    let wrong = match input.below(14) {
        0 => frame(DATA, 0, 9, b"x"),
        1 => frame(DATA, 0, 0, b"x"),
        // more padding than content
        2 => [open, frame(DATA, 8, 1, &[200, 1])].concat(),
        3 => frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
        4 => frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2),
        5 => [
            open,
            frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff]).repeat(2),
        ]
        .concat(),
        6 => frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
        7 => frame(HEADERS, END_HEADERS, 2, head),
        8 => [
            frame(HEADERS, END_HEADERS, 5, head),
            frame(HEADERS, END_HEADERS, 3, head),
        ]
        .concat(),
        9 => frame(CONTINUATION, END_HEADERS, 1, head),
        10 => frame(HEADERS, END_HEADERS | 32, 1, &[&[0, 0, 0, 1, 0], head].concat()),
        11 => [frame(HEADERS, 0, 1, head), frame(PING, 0, 0, &[0; 8])].concat(),
        12 => frame(GOAWAY, 0, 0, &input.noise(30)),
        // trailers without the end of the stream
        _ => [open, frame(HEADERS, END_HEADERS, 1, &literal("x-a", "b"))].concat(),
    };
    [wrong, frame(PING, 0, 0, &[1; 8])].concat()
}

/// The head of a valid call.
fn head(world: &World) -> Vec<u8> {
    let authorization = format!("Bearer {}", world.opaque());
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", GET),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", authorization.as_str()),
    ];
    fields
        .iter()
        .flat_map(|(name, value)| literal(name, value))
        .collect()
}

/// What was received is frames, and no error in them is one of the server.
fn check(mut received: &[u8]) -> Result<(), String> {
    while let Some((head, rest)) = received.split_first_chunk::<9>() {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        if length > MOST_FRAME_BYTES {
            return Err(format!("a frame of {length} bytes"));
        }
        // the connection may be closed within a frame
        let Some((content, rest)) = rest.split_at_checked(length) else {
            return Ok(());
        };
        let reason = match head[3] {
            RST_STREAM => content.first_chunk::<4>(),
            GOAWAY => content.get(4..).and_then(|content| content.first_chunk::<4>()),
            _ => None,
        };
        let reason = reason.copied().map_or(0, u32::from_be_bytes);
        if !blames_the_peer(reason) {
            return Err(format!("a frame of type {} with INTERNAL_ERROR", head[3]));
        }
        received = rest;
    }
    Ok(())
}
