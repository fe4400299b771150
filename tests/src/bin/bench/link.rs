//! A link that carries only so many bytes per second and connection, as the network between a service and S3 does: between
//! processes of one machine nothing but CPU limits them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// What one connection carries: 1 Gbit/s, more than the 85 to 90 MB/s of S3.
const BYTES_PER_SECOND: f64 = 125e6;
/// Bytes that are carried at once: what passes in two milliseconds.
const PIECE_BYTES: usize = 256 * 1024;
/// Time that was not used is lost, except what a timer is late.
const LATE: Duration = Duration::from_millis(20);

/// Starts a link to an address, and returns its own.
pub(crate) async fn to(address: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own = listener.local_addr().expect("its address").to_string();
    let address = address.to_owned();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = TcpStream::connect(&address).await else {
                continue;
            };
            for stream in [&near, &far] {
                stream.set_nodelay(true).expect("a TCP stream");
            }
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_read, far_write));
            tokio::spawn(carry(far_read, near_write));
        }
    });
    own
}

/// Carries the bytes of one direction until it ends.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut piece = vec![0; PIECE_BYTES];
    let mut free = Instant::now();
    while let Ok(bytes @ 1..) = from.read(&mut piece).await {
        if to.write_all(&piece[..bytes]).await.is_err() {
            return;
        }
        free = free.max(Instant::now() - LATE) + Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
        sleep_until(free).await;
    }
    // the other end has gone then
    let _ = to.shutdown().await;
}
