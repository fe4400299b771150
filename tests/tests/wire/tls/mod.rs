//! TLS of the listeners: versions, client certificates, and certificates that are replaced while calls are made.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tollgate::app::{self, App};
use tollgate::config::{Config, Flags};
use tollgate::telemetry::Telemetry;
use tollgate::tls::Reloaded;
use tollgate_tests::authority::{Authority, Files, set_mode};
use tollgate_tests::gateway::{Gateway, Setup, connect_securely};
use tollgate_tests::polling::eventually;
use tollgate_tests::values::{get, key, save};
use tonic::transport::ClientTlsConfig;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// A gateway with certificates, and a caller's configuration.
async fn start(files: &Files, caller: ClientTlsConfig) -> Gateway {
    let setup = Setup {
        settings: files.settings(),
        tls: Some(caller),
        ..Setup::default()
    };
    Gateway::with(setup).await
}

/// Whether a caller gets a response on a new connection.
async fn is_served(address: SocketAddr, caller: ClientTlsConfig) -> bool {
    let Ok(channel) = connect_securely(address, caller).await else {
        return false;
    };
    // under TLS 1.3 a refusal arrives after the caller's part of the handshake
    let mut health = HealthClient::new(channel);
    health.check(HealthCheckRequest::default()).await.is_ok()
}

/// A client of this version, without HTTP.
fn client(authority: &Authority, version: &'static SupportedProtocolVersion, protocol: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
    roots.add(root).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("a version");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn shake_hands(address: SocketAddr, client: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.expect("the gateway listens");
    let name = ServerName::try_from("localhost").expect("a name");
    client.connect(name, stream).await
}

/// The certificate that the server presents.
fn presented(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let certificates = stream.get_ref().1.peer_certificates();
    certificates.expect("a certificate")[0].to_vec()
}

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .expect("PEM")
        .to_vec()
}

#[tokio::test]
async fn calls_are_served_under_tls_1_2_and_1_3_and_not_in_plaintext() {
    let authority = Authority::new("root");
    let files = Files::new(&authority.server());
    let gateway = start(&files, authority.caller()).await;
    gateway.save(save("User", key("a", "b"))).await.ok();
    let bill = gateway.get(get("User", key("a", "b"))).await;
    assert_eq!(bill.bill.text("tollgate-dynamodb-calls"), "1");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = shake_hands(gateway.address(), &client(&authority, version, "h2")).await;
        let stream = stream.expect("the version is supported");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let other = client(&authority, version, "http/1.1");
        assert!(
            shake_hands(gateway.address(), &other).await.is_err(),
            "only HTTP/2"
        );
    }
    let mut plain = TcpStream::connect(gateway.address()).await.expect("connects");
    plain
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .expect("written");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(answer.len() < 16, "an alert at most");
    let stranger = Authority::new("another root").caller();
    assert!(!is_served(gateway.address(), stranger).await);
}

#[tokio::test]
async fn callers_must_present_a_certificate_of_the_authority() {
    let (authority, callers) = (Authority::new("root"), Authority::new("callers"));
    let files = Files::new(&authority.server());
    files.write("callers.pem", &callers.pem());
    let known = callers.sign("client", Vec::new()).identity();
    let foreign = Authority::new("others").sign("client", Vec::new()).identity();
    let gateway = start(&files, authority.caller().identity(known)).await;
    gateway.save(save("User", key("a", "b"))).await.ok();
    assert!(!is_served(gateway.address(), authority.caller()).await);
    assert!(!is_served(gateway.address(), authority.caller().identity(foreign.clone())).await);

    let mut settings = files.settings();
    settings.push(("TOLLGATE_TLS__CLIENT_CERTIFICATES", "request".to_owned()));
    let tls = Some(authority.caller());
    let requesting = Gateway::with(Setup {
        settings,
        tls,
        ..Setup::default()
    })
    .await;
    assert!(is_served(requesting.address(), authority.caller()).await);
    let is_trusted = is_served(requesting.address(), authority.caller().identity(foreign)).await;
    assert!(!is_trusted, "a certificate that is presented must be valid");
}

#[tokio::test]
async fn certificates_are_replaced_while_calls_are_served() {
    let authority = Authority::new("root");
    let (old, new) = (authority.server(), authority.server());
    let files = Files::new(&old);
    let gateway = start(&files, authority.caller()).await;
    let tls = client(&authority, &rustls::version::TLS13, "h2");
    let seen = async || {
        let stream = shake_hands(gateway.address(), &tls).await;
        presented(&stream.expect("a handshake"))
    };
    assert_eq!(seen().await, der(&old.certificate));
    let reload = async || gateway.reloader().reload_certificates().await.expect("TLS");
    assert!(matches!(reload().await, Reloaded::Unchanged));

    // a certificate without its key, and files that are no certificates or may be changed by others
    files.write("server.pem", &new.certificate);
    assert!(matches!(reload().await, Reloaded::Refused(_)));
    files.write("server.pem", "nonsense");
    assert!(matches!(reload().await, Reloaded::Refused(_)));
    files.write_server(&new);
    set_mode(&files.path("server.key"), 0o644);
    let Reloaded::Refused(error) = reload().await else {
        panic!("the key may be read by anyone")
    };
    let text = error.to_string();
    assert!(text.starts_with("tls.key: ") && text.contains("chmod"), "{text}");
    assert_eq!(seen().await, der(&old.certificate));

    set_mode(&files.path("server.key"), 0o640);
    assert!(matches!(reload().await, Reloaded::Replaced));
    assert_eq!(seen().await, der(&new.certificate));
    let kept = gateway.save(save("User", key("a", "b"))).await;
    kept.ok();
}

#[tokio::test]
async fn replaced_authorities_end_connections_and_their_resumption() {
    let (authority, callers) = (Authority::new("root"), Authority::new("callers"));
    let files = Files::new(&authority.server());
    files.write("callers.pem", &callers.pem());
    let caller = || {
        let identity = callers.sign("client", Vec::new()).identity();
        authority.caller().identity(identity)
    };
    let gateway = start(&files, caller()).await;
    // one configuration keeps its sessions, so that its second connection resumes the first
    let resuming = caller();
    assert!(is_served(gateway.address(), resuming.clone()).await);
    files.write("callers.pem", &Authority::new("new callers").pem());
    let reloaded = gateway.reloader().reload_certificates().await;
    assert!(matches!(reloaded, Some(Reloaded::Replaced)));
    assert!(!is_served(gateway.address(), resuming).await);
    // the open connection ends, and its channel cannot open another
    eventually(async || {
        let request = get("User", key("a", "b"));
        let status = gateway.get(request).await.status();
        match status.code() {
            tonic::Code::NotFound => Err("still connected".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn the_side_port_needs_no_client_certificate() {
    let (authority, callers) = (Authority::new("root"), Authority::new("callers"));
    let files = Files::new(&authority.server());
    files.write("callers.pem", &callers.pem());
    let mut settings = files.settings();
    settings.push(("TOLLGATE_METRICS__LISTEN", "127.0.0.1:0".to_owned()));
    settings.push(("TOLLGATE_METRICS__TLS", "true".to_owned()));
    let identity = callers.sign("client", Vec::new()).identity();
    let gateway = Gateway::with(Setup {
        settings,
        tls: Some(authority.caller().identity(identity)),
        ..Setup::default()
    })
    .await;
    let side_port = gateway.side_port().expect("a side port");
    let tls = client(&authority, &rustls::version::TLS13, "http/1.1");
    let mut stream = shake_hands(side_port, &tls).await.expect("a handshake");
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .expect("written");
    let mut response = String::new();
    let _ = stream.read_to_string(&mut response).await;
    assert!(
        response.starts_with("HTTP/1.1 200 ") && response.ends_with("serving\n"),
        "{response}"
    );
}

/// Why a gateway with these settings does not start.
async fn refusal(settings: &[(&'static str, String)]) -> Option<app::Error> {
    let memory = ("TOLLGATE_EMBEDDED__MEMORY", "true".to_owned());
    let side_port = ("TOLLGATE_METRICS__LISTEN", "off".to_owned());
    let all = settings.iter().chain([&memory, &side_port]);
    let variables = all.map(|(name, value)| ((*name).to_owned(), value.clone()));
    let config = Config::load(&Flags::default(), variables).expect("valid settings");
    App::build_with(&config, Telemetry::off(), |connectors| connectors)
        .await
        .err()
}

#[tokio::test]
async fn reachable_addresses_require_tls_and_authentication() {
    let authority = Authority::new("root");
    let files = Files::new(&authority.server());
    let anywhere = ("TOLLGATE_LISTEN", "0.0.0.0:0".to_owned());
    let with = |mut settings: Vec<(&'static str, String)>| {
        settings.push(anywhere.clone());
        settings
    };
    for (settings, expected) in [
        (Vec::new(), "tls.certificate"),
        (files.settings(), "tls.client_ca"),
    ] {
        let error = refusal(&with(settings)).await.expect("it is reachable");
        assert!(error.is_invalid_setting());
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains("insecure: true"),
            "{text}"
        );
    }
    files.write("callers.pem", &authority.pem());
    assert!(refusal(&with(files.settings())).await.is_none());
    let mut requesting = files.settings();
    requesting.push(("TOLLGATE_TLS__CLIENT_CERTIFICATES", "request".to_owned()));
    assert!(refusal(&with(requesting)).await.is_some());
}

#[tokio::test]
async fn files_that_cannot_be_trusted_prevent_the_start() {
    let authority = Authority::new("root");
    let files = Files::new(&authority.server());
    set_mode(&files.path("server.key"), 0o666);
    let error = refusal(&files.settings()).await.expect("anyone may write it");
    assert!(
        error.is_invalid_setting() && error.to_string().contains("tls.key: "),
        "{error}"
    );
    files.write_server(&authority.server());
    files.write("server.key", &authority.server().key);
    let error = refusal(&files.settings()).await.expect("another key");
    assert!(
        error.to_string().starts_with("tls.certificate, tls.key: "),
        "{error}"
    );
}
