//! Compressed requests that are small on the wire and gigabytes once they are decompressed.

use std::net::SocketAddr;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use tokio::net::TcpStream;
use tonic::Status;

use super::messages::SAVE;

const MIB: usize = 1 << 20;

/// A compressed message, how it is compressed and its size once decompressed.
pub(crate) struct Bomb {
    pub(crate) encoding: &'static str,
    pub(crate) message: Vec<u8>,
    pub(crate) plain_bytes: u64,
}

/// The bombs: 4 MiB each.
pub(crate) fn bombs() -> [Bomb; 2] {
    let (gzip, zstd) = (Gzip::of(4 * MIB), zstd(4 * MIB));
    let plain_bytes = (zstd.len() / 4 * 128 * 1024) as u64;
    [
        Bomb {
            encoding: "gzip",
            message: gzip.bytes,
            plain_bytes: gzip.plain_bytes,
        },
        Bomb {
            encoding: "zstd",
            message: zstd,
            plain_bytes,
        },
    ]
}

struct Gzip {
    bytes: Vec<u8>,
    plain_bytes: u64,
}

impl Gzip {
    /// About so many bytes of one gzip member, all of zeros: the same block over and over (RFC 1951, RFC 1952).
    fn of(size: usize) -> Gzip {
        let mut deflate = Compress::new(Compression::best(), false);
        let zeros = vec![0; MIB];
        let mut block = Vec::with_capacity(MIB);
        let flushed = deflate.compress_vec(&zeros, &mut block, FlushCompress::Full);
        flushed.expect("it is in memory");
        let blocks = size / block.len();
        let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];
        bytes.extend(block.repeat(blocks));
        // an empty last block, and a checksum that is never reached
        bytes.extend([3, 0]);
        bytes.extend(Crc::new().sum().to_le_bytes());
        bytes.extend([0; 4]);
        Gzip {
            bytes,
            plain_bytes: (blocks * MIB) as u64,
        }
    }
}

/// A Zstandard frame of so many bytes, of blocks that repeat a zero (RFC 8878, 3.1.1).
fn zstd(size: usize) -> Vec<u8> {
    const BLOCK: u32 = 128 * 1024;
    const REPEATED: u32 = 1 << 1;
    // the window has 2 MiB; neither a size nor a checksum is announced
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let mut block = (BLOCK << 3 | REPEATED).to_le_bytes();
    // the byte that is repeated
    block[3] = 0;
    bytes.extend(block.repeat(size / block.len()));
    // an empty last block
    bytes.extend([1, 0, 0]);
    bytes
}

/// Sends a bomb, and returns the status of its call.
pub(crate) async fn status(server: SocketAddr, bomb: &Bomb) -> Status {
    let socket = TcpStream::connect(server).await.expect("it listens");
    let (send, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut send = send.ready().await.expect("it is open");
    let head = http::Request::post(format!("http://tollgate{SAVE}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", bomb.encoding)
        .body(())
        .expect("a head");
    let (response, mut request) = send.send_request(head, false).expect("a stream");
    let length = u32::try_from(bomb.message.len()).expect("a message");
    let mut message = Bytes::from([&[1], length.to_be_bytes().as_slice(), &bomb.message].concat());
    while !message.is_empty() {
        request.reserve_capacity(message.len());
        let capacity = std::future::poll_fn(|context| request.poll_capacity(context)).await;
        let Some(Ok(capacity)) = capacity else { break };
        let part = message.split_to(capacity.min(message.len()));
        let is_last = message.is_empty();
        request.send_data(part, is_last).expect("it is open");
    }
    let head = response.await.expect("a response");
    connection.abort();
    Status::from_header_map(head.headers()).expect("a refusal")
}
