//! Idle connections, too many of them, and old ones; in raw HTTP/2.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup, connect};
use tollgate_tests::polling::eventually;
use tollgate_tests::values::{key, query, s, save};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A SETTINGS frame without settings, a PING and its acknowledgement.
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0];
const A_PING: &[u8] = &[0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
/// Kinds of frames (RFC 9113, 6).
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const MAX_CONCURRENT_STREAMS: u16 = 3;
/// A generous timeout: a test that waits in vain fails.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection by hand.
struct Wire(TcpStream);

/// A frame: its kind, its flags, its content.
type Frame = (u8, u8, Vec<u8>);

impl Wire {
    async fn open(address: SocketAddr) -> Wire {
        Wire(TcpStream::connect(address).await.expect("the system connects"))
    }

    /// From another address of this machine.
    async fn open_from(source: &str, address: SocketAddr) -> Wire {
        let socket = TcpSocket::new_v4().expect("a socket");
        let source = format!("{source}:0").parse().expect("an address");
        socket.bind(source).expect("an address of this machine");
        Wire(socket.connect(address).await.expect("the system connects"))
    }

    /// With its handshake done: a ping came back.
    async fn greeted(mut self) -> Option<Wire> {
        self.send(&[PREFACE, EMPTY_SETTINGS, A_PING].concat()).await;
        loop {
            let (kind, flags, _) = self.frame().await?;
            if kind == PING && flags & 1 == 1 {
                return Some(self);
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        // refused already: reading shows it
        let _ = self.0.write_all(bytes).await;
    }

    /// The next frame; none at the end.
    async fn frame(&mut self) -> Option<Frame> {
        let reading = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let mut content = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            self.0.read_exact(&mut content).await.ok()?;
            Some((head[3], head[4], content))
        };
        tokio::time::timeout(TIMEOUT, reading)
            .await
            .expect("the connection is never closed")
    }

    /// Reads to the end; whether there was a GOAWAY.
    async fn ended(mut self) -> bool {
        let mut was_warned = false;
        while let Some((kind, ..)) = self.frame().await {
            was_warned |= kind == GOAWAY;
        }
        was_warned
    }
}

async fn gateway(settings: &[(&'static str, &str)]) -> Gateway {
    let settings = settings
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Gateway::with(Setup {
        settings,
        ..Setup::default()
    })
    .await
}

async fn works(gateway: &Gateway) {
    let mut health = HealthClient::new(connect(gateway.address()).await);
    health
        .check(HealthCheckRequest::default())
        .await
        .expect("others are served");
}

#[tokio::test]
async fn without_a_handshake_a_connection_is_closed() {
    let gateway = gateway(&[("TOLLGATE_LIMITS__HANDSHAKE", "300ms")]).await;
    let other = Wire::open(gateway.address())
        .await
        .greeted()
        .await
        .expect("in time");
    let half = &PREFACE[..12];
    let half_settings = [PREFACE, &[0, 0, 6, SETTINGS, 0, 0, 0]].concat();
    let no_settings = [PREFACE, A_PING].concat();
    let mut silent = Vec::new();
    for sent in [&[], half, PREFACE, &half_settings, &no_settings] {
        let mut wire = Wire::open(gateway.address()).await;
        wire.send(sent).await;
        silent.push(wire);
    }
    for wire in silent {
        wire.ended().await;
    }
    // a handshake that was done in time has nothing to fear
    let mut other = other;
    other.send(A_PING).await;
    assert!(other.frame().await.is_some());
    works(&gateway).await;
}

#[tokio::test]
async fn http_1_is_refused() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.address()).await;
    wire.send(b"GET / HTTP/1.1\r\nhost: tollgate\r\n\r\n").await;
    wire.ended().await;
    works(&gateway).await;
}

#[tokio::test]
async fn a_connection_without_streams_is_closed_with_a_goaway() {
    let gateway = gateway(&[("TOLLGATE_LIMITS__IDLE", "1s")]).await;
    let mut watching = HealthClient::new(connect(gateway.address()).await);
    let watch = watching.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.expect("health is there").into_inner();
    watch.message().await.expect("a status").expect("a status");
    for _ in 0..2 {
        let wire = Wire::open(gateway.address())
            .await
            .greeted()
            .await
            .expect("a place");
        assert!(wire.ended().await, "with a GOAWAY");
    }
    // twice the time has passed, and a stream keeps its connection: it ends with the gateway, in order
    let stopping = tokio::spawn(gateway.stop());
    let last = watch.message().await.expect("a status").expect("a status");
    assert_eq!(
        last.status(),
        tonic_health::pb::health_check_response::ServingStatus::NotServing
    );
    stopping.await.expect("no panic");
}

#[tokio::test]
async fn one_address_has_no_more_connections_than_the_limit() {
    let gateway = gateway(&[("TOLLGATE_LIMITS__CONNECTIONS_PER_PEER", "8")]).await;
    // the gateway's own client has one
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(
            Wire::open(gateway.address())
                .await
                .greeted()
                .await
                .expect("a place"),
        );
    }
    for _ in 0..20 {
        assert!(Wire::open(gateway.address()).await.greeted().await.is_none());
    }
    let other = Wire::open_from("127.0.0.2", gateway.address()).await;
    other.greeted().await.expect("another address has its own places");
    held.pop();
    eventually(async || {
        let again = Wire::open(gateway.address()).await.greeted().await;
        again
            .map(drop)
            .ok_or_else(|| "the place is not free again".to_owned())
    })
    .await;
}

#[tokio::test]
async fn there_are_no_more_connections_than_the_limit() {
    let gateway = gateway(&[("TOLLGATE_LIMITS__CONNECTIONS", "4")]).await;
    let mut held = Vec::new();
    for source in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        let wire = Wire::open_from(source, gateway.address()).await;
        held.push(wire.greeted().await.expect("a place"));
    }
    for source in ["127.0.0.1", "127.0.0.2", "127.0.0.5"] {
        let wire = Wire::open_from(source, gateway.address()).await;
        assert!(wire.greeted().await.is_none(), "{source}");
    }
    held.pop();
    eventually(async || {
        let again = Wire::open_from("127.0.0.5", gateway.address())
            .await
            .greeted()
            .await;
        again
            .map(drop)
            .ok_or_else(|| "the place is not free again".to_owned())
    })
    .await;
}

#[tokio::test]
async fn an_old_connection_gets_a_goaway_and_its_calls_end() {
    const ITEMS: usize = 20;
    let gateway = gateway(&[("TOLLGATE_LIMITS__CONNECTION_AGE", "1s")]).await;
    for number in 0..ITEMS {
        let mut item = key("A", &format!("S#{number:02}"));
        item.insert("name".to_owned(), s("x".repeat(200_000)));
        gateway.save(save("User", item)).await.ok();
    }
    // more than a stream's window: the server waits for this reader
    let request = v1::QueryRequest {
        page_size: 1,
        ..query("User", "A")
    };
    let channel = connect(gateway.address()).await;
    let mut data = tollgate_proto::v1::data_service_client::DataServiceClient::new(channel);
    let mut pages = data.query(request).await.expect("pages").into_inner();
    let first = pages.message().await.expect("a page").expect("a page");
    let mut read = first.results.len();
    // two lives of other connections: that of the query is over, too
    for _ in 0..2 {
        let wire = Wire::open(gateway.address()).await.greeted().await;
        let mut wire = wire.expect("a place");
        loop {
            let (kind, ..) = wire.frame().await.expect("first a GOAWAY, then the end");
            if kind == GOAWAY {
                break;
            }
        }
    }
    while let Some(page) = pages.message().await.expect("the call goes on") {
        read += page.results.len();
    }
    assert_eq!(read, ITEMS);
    works(&gateway).await;
}

#[tokio::test]
async fn streams_of_a_connection_are_bounded() {
    for (settings, streams) in [
        (&[][..], 256),
        (&[("TOLLGATE_LIMITS__STREAMS_PER_CONNECTION", "7")][..], 7),
    ] {
        let gateway = gateway(settings).await;
        let mut wire = Wire::open(gateway.address()).await;
        wire.send(&[PREFACE, EMPTY_SETTINGS].concat()).await;
        let announced = loop {
            let (kind, flags, content) = wire.frame().await.expect("SETTINGS");
            if kind == SETTINGS && flags & 1 == 0 {
                break content;
            }
        };
        let setting = announced
            .chunks_exact(6)
            .find(|setting| setting[..2] == MAX_CONCURRENT_STREAMS.to_be_bytes());
        let setting = setting.expect("a limit of streams");
        assert_eq!(
            u32::from_be_bytes(setting[2..].try_into().expect("4 bytes")),
            streams
        );
    }
}
