//! Server reflection, `v1` and `v1alpha`, which have the same messages. A failed request gets an `error_response` and the
//! stream continues: clients request many symbols on one stream, including unknown ones. tonic's own service ends the
//! stream. <https://github.com/grpc/grpc/blob/master/doc/server-reflection.md>

mod index;

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::{HeaderValue, Request, Response};
use prost::{DecodeError, Message as _};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Code, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};

use self::index::Index;

/// A version of the service: the name of its package.
pub trait Version: Clone + Send + Sync + 'static {
    /// The full name of the service.
    const SERVICE: &'static str;
    /// The path of its one method.
    const METHOD: &'static str;
}

/// `grpc.reflection.v1`
#[derive(Clone, Debug)]
pub enum V1 {}

/// `grpc.reflection.v1alpha`, for older clients.
#[derive(Clone, Debug)]
pub enum V1Alpha {}

impl Version for V1 {
    const SERVICE: &'static str = "grpc.reflection.v1.ServerReflection";
    const METHOD: &'static str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
}

impl Version for V1Alpha {
    const SERVICE: &'static str = "grpc.reflection.v1alpha.ServerReflection";
    const METHOD: &'static str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
}

/// Describes the services of this server.
#[derive(Clone, Debug)]
pub struct Reflection<V> {
    index: Arc<Index>,
    version: PhantomData<V>,
}

impl Reflection<V1> {
    /// Serves these encoded `FileDescriptorSet`s, and that of reflection itself.
    ///
    /// # Errors
    /// One of them cannot be decoded.
    pub fn new(sets: &[&[u8]]) -> Result<Reflection<V1>, DecodeError> {
        let own = [
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        Ok(Reflection {
            index: Arc::new(Index::new(&[sets, &own].concat())?),
            version: PhantomData,
        })
    }

    /// Like this service, but under the older name.
    pub fn alpha(&self) -> Reflection<V1Alpha> {
        Reflection {
            index: Arc::clone(&self.index),
            version: PhantomData,
        }
    }
}

impl<V: Version> NamedService for Reflection<V> {
    const NAME: &'static str = V::SERVICE;
}

impl<V: Version> tower::Service<Request<Body>> for Reflection<V> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() != V::METHOD {
            return Box::pin(std::future::ready(Ok(unknown_method())));
        }
        let method = Method(Arc::clone(&self.index));
        Box::pin(async move { Ok(Grpc::new(Messages).streaming(method, request).await) })
    }
}

/// The response of tonic's generated services to an unknown method.
fn unknown_method() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from(Code::Unimplemented as i32));
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}

/// `ServerReflectionInfo`
struct Method(Arc<Index>);

impl StreamingService<Received> for Method {
    type Response = ServerReflectionResponse;
    type ResponseStream = BoxStream<'static, Result<ServerReflectionResponse, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, requests: tonic::Request<Streaming<Received>>) -> Self::Future {
        let index = Arc::clone(&self.0);
        // one response per request, made when polled: the requests of a client that does not read are not read either
        let responses = requests
            .into_inner()
            .map(move |request| request.map(|request| index.respond(request)));
        Box::pin(std::future::ready(Ok(tonic::Response::new(responses.boxed()))))
    }
}

impl Index {
    fn respond(&self, request: Received) -> ServerReflectionResponse {
        let response = match &request {
            Ok(request) => self.find(request.message_request.as_ref()),
            Err(_) => Err((
                Code::InvalidArgument,
                "the request is not a ServerReflectionRequest".to_owned(),
            )),
        };
        let response = response.unwrap_or_else(|(code, error_message)| {
            MessageResponse::ErrorResponse(ErrorResponse {
                error_code: code as i32,
                error_message,
            })
        });
        let request = request.unwrap_or_default();
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(response),
        }
    }

    fn find(&self, request: Option<&MessageRequest>) -> Result<MessageResponse, (Code, String)> {
        let Some(request) = request else {
            let text = "message_request: is required, one of its fields must be set";
            return Err((Code::InvalidArgument, text.to_owned()));
        };
        match request {
            MessageRequest::FileByFilename(name) => file(self.file(name), "file"),
            MessageRequest::FileContainingSymbol(symbol) => file(self.file_of(symbol), "symbol"),
            // no message of this server has extensions
            MessageRequest::FileContainingExtension(_) => file(None, "extension"),
            MessageRequest::AllExtensionNumbersOfType(name) if self.has_message(name) => {
                let none = ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number: Vec::new(),
                };
                Ok(MessageResponse::AllExtensionNumbersResponse(none))
            }
            MessageRequest::AllExtensionNumbersOfType(_) => file(None, "message"),
            MessageRequest::ListServices(_) => {
                let service = self.services().map(|name| ServiceResponse {
                    name: name.to_owned(),
                });
                let services = ListServiceResponse {
                    service: service.collect(),
                };
                Ok(MessageResponse::ListServicesResponse(services))
            }
        }
    }
}

fn file(found: Option<Bytes>, what: &str) -> Result<MessageResponse, (Code, String)> {
    let Some(file) = found else {
        // the response includes the request, so the name is not repeated
        return Err((Code::NotFound, format!("{what} not found")));
    };
    Ok(MessageResponse::FileDescriptorResponse(FileDescriptorResponse {
        file_descriptor_proto: vec![file.into()],
    }))
}

/// A request, or the error of malformed bytes. tonic ends a stream whose decoder fails, so this one never fails.
type Received = Result<ServerReflectionRequest, DecodeError>;

/// Encodes responses and decodes requests.
#[derive(Clone, Copy, Debug, Default)]
struct Messages;

impl Codec for Messages {
    type Encode = ServerReflectionResponse;
    type Decode = Received;
    type Encoder = Messages;
    type Decoder = Messages;

    fn encoder(&mut self) -> Messages {
        Messages
    }

    fn decoder(&mut self) -> Messages {
        Messages
    }
}

impl Encoder for Messages {
    type Item = ServerReflectionResponse;
    type Error = Status;

    fn encode(
        &mut self,
        response: ServerReflectionResponse,
        buffer: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        response
            .encode(buffer)
            .expect("a growable buffer has room for every message");
        Ok(())
    }
}

impl Decoder for Messages {
    type Item = Received;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Received>, Status> {
        // consumes everything, even if malformed: leftover bytes would be read as the next message
        let message = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(ServerReflectionRequest::decode(message)))
    }
}
