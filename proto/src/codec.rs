//! The protobuf codec. Reports undecodable messages as errors of the caller: INVALID_ARGUMENT with `ErrorInfo` and the field
//! at which decoding failed. Tonic's own codec reports INTERNAL.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::{DecodeError, Message, Name};
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::reason::DOMAIN;
use crate::{Reason, budget};

/// Initial size of a message buffer. Most messages fit, and it grows for larger ones. Tonic's default of 8 KiB, twice per
/// call, evicts the data of calls in flight from the processor's cache.
const BUFFER_BYTES: usize = 1024;
/// How much of a stream is encoded before it is sent. Tonic's default.
const YIELD_BYTES: usize = 32 * 1024;

/// The codec of every service of the contract.
#[derive(Debug, Clone)]
pub struct ContractCodec<T, U> {
    max_values: usize,
    messages: PhantomData<(T, U)>,
}

impl<T, U> Default for ContractCodec<T, U> {
    fn default() -> Self {
        ContractCodec {
            max_values: budget::current(),
            messages: PhantomData,
        }
    }
}

impl<T, U> Codec for ContractCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ContractEncoder<T>;
    type Decoder = ContractDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ContractEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ContractDecoder {
            max_values: self.max_values,
            messages: PhantomData,
        }
    }
}

/// Encodes messages as protobuf.
#[derive(Debug, Clone)]
pub struct ContractEncoder<T>(PhantomData<T>);

impl<T: Message> Encoder for ContractEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        // `encode` would compute the length once more, only to find that there is room
        message.encode_raw(buffer);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

/// Decodes messages from protobuf. Refuses those that exceed the budget ([`crate::budget`]).
#[derive(Debug, Clone)]
pub struct ContractDecoder<U> {
    max_values: usize,
    messages: PhantomData<U>,
}

impl<U: Message + Name + Default> Decoder for ContractDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // tonic provides a message as one chunk
        if let Some(field) = budget::exceeded(U::NAME, buffer.chunk(), self.max_values) {
            return Err(too_many_values(&field, self.max_values));
        }
        U::decode(buffer).map(Some).map_err(|error| undecodable(&error))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

fn too_many_values(field: &str, max_values: usize) -> Status {
    let description =
        format!("the request has more than {max_values} values, the most that limits.values allows");
    let message = format!("{field}: {description}");
    bad_request(Reason::InvalidField, message, field, &description)
}

fn undecodable(error: &DecodeError) -> Status {
    let (field, description) = locate(&error.to_string());
    let message = format!("undecodable message: {description}");
    bad_request(Reason::UndecodableMessage, message, &field, &description)
}

fn bad_request(reason: Reason, message: String, field: &str, description: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, []);
    details.add_bad_request_violation(field, description);
    Status::with_error_details(Code::from(reason.code() as i32), message, details)
}

/// Parses prost's message, `failed to decode Protobuf message: Inner.field: Outer.field: what`. The last field is that of
/// the request.
fn locate(text: &str) -> (String, String) {
    let mut rest = text
        .strip_prefix("failed to decode Protobuf message: ")
        .unwrap_or(text);
    let mut field = "";
    while let Some((frame, after)) = rest.split_once(": ") {
        let Some((_, name)) = frame.split_once('.').filter(|_| !frame.contains(' ')) else {
            break;
        };
        (field, rest) = (name, after);
    }
    let description = match rest {
        "recursion limit reached" => "values are nested deeper than 32 levels",
        what => what,
    };
    (field.to_owned(), description.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{AttributeValue, MapValue, SaveRequest, attribute_value::Kind};

    fn nested(levels: usize) -> AttributeValue {
        (0..levels).fold(
            AttributeValue {
                kind: Some(Kind::Bool(true)),
            },
            |inner, _| {
                let fields = [("a".to_owned(), inner)].into();
                AttributeValue {
                    kind: Some(Kind::M(MapValue { fields })),
                }
            },
        )
    }

    fn decode(levels: usize) -> Result<SaveRequest, DecodeError> {
        let item = [("deep".to_owned(), nested(levels))].into();
        SaveRequest::decode(
            SaveRequest {
                item,
                ..SaveRequest::default()
            }
            .encode_to_vec()
            .as_slice(),
        )
    }

    #[test]
    fn decodes_the_maximum_depth_of_dynamodb() {
        assert!(decode(32).is_ok());
    }

    #[test]
    fn excessive_depth_names_the_field() {
        let status = undecodable(&decode(200).expect_err("too deep"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violation = &details.bad_request().expect("violations").field_violations[0];
        assert_eq!(violation.field, "item");
        assert_eq!(violation.description, "values are nested deeper than 32 levels");
        assert_eq!(details.error_info().expect("info").reason, "UNDECODABLE_MESSAGE");
    }

    #[test]
    fn invalid_utf8_names_the_field() {
        let bytes = [0x0a, 0x02, 0xff, 0xfe];
        let status = undecodable(&SaveRequest::decode(bytes.as_slice()).expect_err("not UTF-8"));
        assert_eq!(
            status
                .get_error_details()
                .bad_request()
                .expect("violations")
                .field_violations[0]
                .field,
            "model"
        );
    }
}
