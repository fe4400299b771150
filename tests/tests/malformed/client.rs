//! Connections of callers who may send anything.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tollgate_tests::authority::Pair;
use tonic::Status;

use super::ending::Ending;

/// The most bytes that a server may send in response to one case.
const MOST_RECEIVED: usize = 16 << 20;

/// A request, valid or not.
#[derive(Clone)]
pub(crate) struct Sent {
    /// The method.
    pub(crate) method: Method,
    /// The path.
    pub(crate) path: String,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, in its parts.
    pub(crate) body: Vec<Bytes>,
}

impl Sent {
    /// A gRPC request with these bytes as its body.
    pub(crate) fn new(path: &str, body: impl Into<Bytes>) -> Sent {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        Sent {
            method: Method::POST,
            path: path.to_owned(),
            headers,
            body: vec![body.into()],
        }
    }

    /// Adds a header, if HTTP can carry it.
    pub(crate) fn with(mut self, name: &'static str, value: &[u8]) -> Sent {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.headers.append(HeaderName::from_static(name), value);
        }
        self
    }

    /// With a bearer token in place of another.
    pub(crate) fn bearing(mut self, token: &[u8]) -> Sent {
        self.headers.remove("authorization");
        self.with("authorization", &[b"Bearer ", token].concat())
    }
}

/// Presents one certificate, whatever it is.
#[derive(Debug)]
struct Presenting(Arc<CertifiedKey>);

impl ResolvesClientCert for Presenting {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A certificate chain with the key of a pair.
pub(crate) fn chain(certificates: Vec<Vec<u8>>, pair: &Pair) -> CertifiedKey {
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
    let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key");
    CertifiedKey::new(certificates.into_iter().map(CertificateDer::from).collect(), key)
}

/// The bytes of a certificate.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .expect("PEM")
        .to_vec()
}

/// Callers who trust this authority, with a certificate if they have one.
pub(crate) fn config(root: &str, presented: Option<CertifiedKey>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(der(root).into()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match presented {
        Some(presented) => builder.with_client_cert_resolver(Arc::new(Presenting(Arc::new(presented)))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Shakes hands.
pub(crate) async fn secure(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// Makes one call on a new connection, and reads all of the response.
pub(crate) async fn call(address: SocketAddr, config: &Arc<ClientConfig>, sent: Sent) -> Ending {
    let Ok(stream) = secure(address, config).await else {
        return Ending::Closed;
    };
    let handshake = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .max_header_list_size(1 << 20)
        .handshake(stream);
    let (requests, connection) = match handshake.await {
        Ok(parts) => parts,
        Err(error) => return of_error(&error),
    };
    let driver = tokio::spawn(async move { drop(connection.await) });
    let ending = exchange(requests, sent)
        .await
        .unwrap_or_else(|error| of_error(&error));
    // ends the connection, if the server did not
    driver.abort();
    let _ = driver.await;
    ending
}

async fn exchange(requests: h2::client::SendRequest<Bytes>, sent: Sent) -> Result<Ending, h2::Error> {
    let mut requests = requests.ready().await?;
    let mut request = Request::new(());
    *request.method_mut() = sent.method;
    // what is no URI is what the path of a request cannot be
    *request.uri_mut() = format!("https://localhost{}", sent.path)
        .parse::<Uri>()
        .unwrap_or_default();
    *request.headers_mut() = sent.headers;
    let (response, mut body) = requests.send_request(request, sent.body.is_empty())?;
    let last = sent.body.len();
    for (index, part) in sent.body.into_iter().enumerate() {
        // the response may come before the request ends
        let _ = body.send_data(part, index + 1 == last);
    }
    let (head, body) = response.await?.into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return Ok(Ending::Status(status.code(), status.message().to_owned()));
    }
    if head.status != http::StatusCode::OK {
        return Ok(Ending::Http(head.status.as_u16()));
    }
    read(body).await
}

async fn read(mut body: RecvStream) -> Result<Ending, h2::Error> {
    let mut received = 0;
    while let Some(data) = body.data().await {
        let bytes = data?.len();
        received += bytes;
        if received > MOST_RECEIVED {
            return Ok(Ending::Incomplete);
        }
        body.flow_control().release_capacity(bytes)?;
    }
    let status = body.trailers().await?.as_ref().and_then(Status::from_header_map);
    Ok(match status {
        Some(status) => Ending::Status(status.code(), status.message().to_owned()),
        None => Ending::Incomplete,
    })
}

fn of_error(error: &h2::Error) -> Ending {
    match error.reason() {
        Some(reason) => Ending::Reason(reason.into()),
        None => Ending::Closed,
    }
}

/// Sends these bytes and ends this direction, and reads until the server closes the connection.
pub(crate) async fn throw<S: AsyncRead + AsyncWrite>(stream: S, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        // the server may close the connection at any byte
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
    };
    let read = async {
        let mut received = Vec::new();
        let mut part = vec![0; 16 << 10];
        while let Ok(length) = reader.read(&mut part).await {
            if length == 0 {
                break;
            }
            received.extend_from_slice(&part[..length]);
            if received.len() > MOST_RECEIVED {
                return Err("the response does not end".to_owned());
            }
        }
        Ok(received)
    };
    tokio::join!(write, read).1
}
