//! Bytes on the wire that no generated client would send.

use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::gateway::{Answer, Gateway};

/// Passes messages as the bytes that they are.
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
pub async fn call(gateway: &Gateway, path: &'static str, message: impl Into<Bytes>) -> Answer<Bytes> {
    let mut client = tonic::client::Grpc::<Channel>::new(gateway.channel());
    client.ready().await.expect("the gateway is there");
    let path = http::uri::PathAndQuery::from_static(path);
    Answer::of(client.unary(Request::new(message.into()), path, RawCodec).await)
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
