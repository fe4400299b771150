//! Raw messages and frames that no generated client would send.

use bytes::{Buf as _, BufMut as _, Bytes};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tollgate_proto::metadata;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::gateway::{CallResult, Gateway};
use crate::polling::until;

/// Passes messages as raw bytes.
#[derive(Clone, Copy, Debug, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }

    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Calls a unary method by its path, such as `/tollgate.v1.DataService/Save`, with these bytes.
pub async fn call(gateway: &Gateway, path: &'static str, message: impl Into<Bytes>) -> CallResult<Bytes> {
    let mut client = tonic::client::Grpc::<Channel>::new(gateway.channel());
    client.ready().await.expect("the gateway is there");
    let path = http::uri::PathAndQuery::from_static(path);
    CallResult::from_response(client.unary(Request::new(message.into()), path, RawCodec).await)
}

/// Calls a method that streams both ways with these messages, and reads all that it sends, or the error it ends with.
pub async fn exchange(
    gateway: &Gateway,
    path: &'static str,
    messages: Vec<Bytes>,
) -> Result<Vec<Bytes>, Status> {
    let mut client = tonic::client::Grpc::<Channel>::new(gateway.channel());
    client.ready().await.expect("the gateway is there");
    let path = http::uri::PathAndQuery::from_static(path);
    let messages = Request::new(tokio_stream::iter(messages));
    let mut responses = client.streaming(messages, path, RawCodec).await?.into_inner();
    let mut received = Vec::new();
    while let Some(response) = responses.message().await? {
        received.push(response);
    }
    Ok(received)
}

/// A Save whose message is incomplete, in raw HTTP/2. Dropping it closes the connection.
#[derive(Debug)]
pub struct HalfSent(TcpStream);

impl HalfSent {
    /// Sends the head and a tenth of the message, and waits until the gateway has the call: it holds memory then. No
    /// other call may be in flight.
    pub async fn save(gateway: &Gateway, request_id: &str) -> HalfSent {
        let mut stream = TcpStream::connect(gateway.address()).await.expect("it listens");
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(frame(SETTINGS, 0, 0, &[]));
        let head = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/tollgate.v1.DataService/Save"),
            (":authority", "tollgate"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            (metadata::REQUEST_ID, request_id),
        ];
        let head: Vec<u8> = head
            .iter()
            .flat_map(|(name, value)| literal(name, value))
            .collect();
        sent.extend(frame(HEADERS, END_HEADERS, STREAM, &head));
        let mut begun = vec![0, 0, 0, 3, 0xe8]; // 1000 bytes follow, uncompressed
        begun.resize(5 + 100, b'x');
        sent.extend(frame(DATA, 0, STREAM, &begun));
        stream.write_all(&sent).await.expect("it is taken");
        until("the call came in", async || {
            gateway.capacity().reserved_bytes() > 0
        })
        .await;
        HalfSent(stream)
    }

    /// Cancels the call, as gRPC's clients do; the connection stays.
    pub async fn cancel(&mut self) {
        const CANCEL: [u8; 4] = [0, 0, 0, 8];
        self.send(&frame(RST_STREAM, 0, STREAM, &CANCEL)).await;
    }

    /// Ends the request.
    pub async fn end(&mut self) {
        self.send(&frame(DATA, END_STREAM, STREAM, &[])).await;
    }

    async fn send(&mut self, frame: &[u8]) {
        self.0.write_all(frame).await.expect("it is taken");
    }
}

/// Kinds of frames and flags of HTTP/2 (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// The first of a client.
const STREAM: u32 = 1;

/// A frame of HTTP/2.
pub fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a small frame");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// A header without compression (RFC 7541, 6.2.2); names and values of up to 126 bytes.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).expect("a short one"));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// A field of the wire type 2: a message, a text or bytes.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

/// The bytes of an `AttributeValue`: a boolean in so many lists.
pub fn lists(levels: usize) -> Vec<u8> {
    // AttributeValue.l = 6, ListValue.values = 1
    (0..levels).fold(TRUE.to_vec(), |inner, _| field(6, &field(1, &inner)))
}

/// The bytes of an `AttributeValue`: a boolean in so many maps, each in a field `a`.
pub fn maps(levels: usize) -> Vec<u8> {
    // AttributeValue.m = 7, MapValue.fields = 1, entry.key = 1, entry.value = 2
    (0..levels).fold(TRUE.to_vec(), |inner, _| {
        let entry = [field(1, b"a"), field(2, &inner)].concat();
        field(7, &field(1, &entry))
    })
}

/// AttributeValue.bool = 4
const TRUE: &[u8] = &[4 << 3, 1];

/// The bytes of a `SaveRequest` of this model with one attribute.
pub fn save_request(model: &str, attribute: &str, value: &[u8]) -> Vec<u8> {
    let entry = [field(1, attribute.as_bytes()), field(2, value)].concat();
    [field(1, model.as_bytes()), field(2, &entry)].concat()
}
