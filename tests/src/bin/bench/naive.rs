//! What a user might write instead of a gateway: a tonic service that calls the SDK and checks nothing. And the hop alone:
//! the same service with one item in memory.

use std::collections::HashMap;
use std::convert::Infallible;
use std::task::{Context, Poll};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tollgate_proto::codec::ContractCodec;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::sdk::default_client;
use tollgate_tests::values::{Item, s};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

use super::direct::TABLE;
use super::load::{AGE, EMAIL, NAME};

/// The first argument of a process in this role.
pub(crate) const ROLE: &str = "naive";
/// The argument in the place of an endpoint.
pub(crate) const ALONE: &str = "alone";

/// The process: serves until it is killed.
pub(crate) async fn run(arguments: &[String]) {
    let [endpoint] = arguments else {
        panic!("{ROLE} URL|{ALONE}")
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening {}", listener.local_addr().expect("its address"));
    let naive = Naive {
        client: (endpoint != ALONE).then(|| default_client(endpoint)),
    };
    let server = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(naive);
    server
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
        .expect("it serves");
}

/// The service.
#[derive(Clone)]
struct Naive {
    /// `None`: the hop alone.
    client: Option<Client>,
}

impl Naive {
    async fn get(self, request: v1::GetRequest) -> Result<v1::GetResponse, Status> {
        let found = match &self.client {
            Some(client) => {
                let get = client.get_item().table_name(TABLE);
                let sent = get.set_key(Some(to_sdk(request.key)?)).send();
                let found = sent.await.map_err(|error| Status::internal(error.to_string()))?;
                from_sdk(found.item.ok_or_else(|| Status::not_found("no item"))?)?
            }
            None => {
                let mut item = request.key;
                item.insert("name".to_owned(), s(NAME));
                item.insert("email".to_owned(), s(EMAIL));
                item.insert("age".to_owned(), tollgate_tests::values::n(AGE));
                item
            }
        };
        Ok(v1::GetResponse {
            item: found,
            ..v1::GetResponse::default()
        })
    }

    async fn save(self, request: v1::SaveRequest) -> Result<v1::SaveResponse, Status> {
        if let Some(client) = &self.client {
            let put = client.put_item().table_name(TABLE);
            let sent = put.set_item(Some(to_sdk(request.item)?)).send();
            sent.await.map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(v1::SaveResponse::default())
    }

    async fn update(self, request: v1::UpdateRequest) -> Result<v1::UpdateResponse, Status> {
        let update = request.update.unwrap_or_default();
        if let Some(client) = &self.client {
            let sent = client
                .update_item()
                .table_name(TABLE)
                .set_key(Some(to_sdk(request.key)?))
                .update_expression(update.text)
                .set_expression_attribute_values(Some(to_sdk(update.values)?))
                .send();
            sent.await.map_err(|error| Status::internal(error.to_string()))?;
        }
        Ok(v1::UpdateResponse::default())
    }
}

fn to_sdk(item: Item) -> Result<HashMap<String, AttributeValue>, Status> {
    item.into_iter()
        .map(|(name, value)| {
            let value = match value.kind {
                Some(Kind::S(text)) => AttributeValue::S(text),
                Some(Kind::N(number)) => AttributeValue::N(number),
                _ => return Err(Status::unimplemented("only strings and numbers")),
            };
            Ok((name, value))
        })
        .collect()
}

fn from_sdk(item: HashMap<String, AttributeValue>) -> Result<Item, Status> {
    item.into_iter()
        .map(|(name, value)| {
            let kind = match value {
                AttributeValue::S(text) => Kind::S(text),
                AttributeValue::N(number) => Kind::N(number),
                _ => return Err(Status::unimplemented("only strings and numbers")),
            };
            Ok((name, v1::AttributeValue { kind: Some(kind) }))
        })
        .collect()
}

impl NamedService for Naive {
    const NAME: &'static str = "tollgate.v1.DataService";
}

impl Service<http::Request<Body>> for Naive {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let naive = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/tollgate.v1.DataService/Get" => unary(request, Get(naive)).await,
                "/tollgate.v1.DataService/Save" => unary(request, Save(naive)).await,
                "/tollgate.v1.DataService/Update" => unary(request, Update(naive)).await,
                _ => Status::unimplemented("the benchmark does not call it").into_http(),
            })
        })
    }
}

async fn unary<M, S>(request: http::Request<Body>, method: S) -> http::Response<Body>
where
    M: prost::Message + prost::Name + Default + 'static,
    S: UnaryService<M, Response: prost::Message + 'static>,
{
    Grpc::new(ContractCodec::default()).unary(method, request).await
}

macro_rules! method {
    ($method:ident, $name:ident, $request:ident, $response:ident) => {
        struct $method(Naive);

        impl UnaryService<v1::$request> for $method {
            type Response = v1::$response;
            type Future = BoxFuture<Response<v1::$response>, Status>;

            fn call(&mut self, request: Request<v1::$request>) -> Self::Future {
                let naive = self.0.clone();
                Box::pin(async move { naive.$name(request.into_inner()).await.map(Response::new) })
            }
        }
    };
}

method!(Get, get, GetRequest, GetResponse);
method!(Save, save, SaveRequest, SaveResponse);
method!(Update, update, UpdateRequest, UpdateResponse);
