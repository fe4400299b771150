//! Bytes before and in place of TLS, and records that are none.

use std::sync::Arc;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::client::{secure, throw};
use super::frames::PREFACE;
use super::input::Input;
use super::world::World;

/// What HTTP/1, SSH, SOCKS and others send first.
const PROTOCOLS: [&[u8]; 6] = [
    b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x05\x01\x00",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    b"\x80\x2e\x01\x03\x01",
    b"\0\0\0\0\0\0\0\0",
];

/// No handshake: other protocols, noise, and mutated first records of TLS.
pub(crate) async fn plain(world: &World, input: &mut Input) -> Result<(), String> {
    let bytes = match input.below(5) {
        0 => input.pick(&PROTOCOLS).to_vec(),
        1 => [PREFACE, &input.noise(200)].concat(),
        2 => input.noise(3000),
        3 => record(input),
        _ => {
            let mut hello = hello(world);
            input.mutate(&mut hello);
            [hello, input.noise(100)].concat()
        }
    };
    let stream = TcpStream::connect(world.process.address).await;
    let stream = stream.map_err(|error| format!("no connection: {error}"))?;
    let received = throw(stream, &bytes).await?;
    // alerts, or the server's part of a handshake: its certificate and a few records
    match received.len() < 16 << 10 {
        true => Ok(()),
        false => Err(format!("{} bytes in response", received.len())),
    }
}

/// A handshake, then records that are not what was agreed.
pub(crate) async fn records(world: &World, input: &mut Input) -> Result<(), String> {
    let stream = secure(world.process.address, &world.anyone).await;
    let mut stream = stream.map_err(|error| format!("no handshake: {error}"))?;
    if input.once_in(2) {
        // it may close the connection at any time
        let _ = stream.write_all(PREFACE).await;
        let _ = stream.flush().await;
    }
    let mut bytes = Vec::new();
    for _ in 0..=input.below(4) {
        bytes.extend(record(input));
    }
    let (socket, _) = stream.into_inner();
    throw(socket, &bytes).await.map(drop)
}

/// A record of any type with any length.
fn record(input: &mut Input) -> Vec<u8> {
    let content = input.noise(600);
    let length = match input.below(3) {
        0 => content.len(),
        1 => input.below(1 << 16),
        _ => input.pick(&[0, 1, 16384, 16385, 18432, 18433, 65535]),
    };
    let [high, low] = u16::try_from(length).expect("below 65536").to_be_bytes();
    let kind = input.pick(&[20, 21, 22, 22, 23, 24, 0, 255]);
    let version = input.pick(&[0, 1, 3, 4, 255]);
    let mut record = vec![kind, 3, version, high, low];
    record.extend(content);
    record
}

/// What a client sends first.
fn hello(world: &World) -> Vec<u8> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(&world.anyone), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("it is in memory");
    hello
}
