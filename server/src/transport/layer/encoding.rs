//! The encodings of compressed messages. Opening is bounded by a size; what a message claims about itself is not trusted.

use std::io::{self, Read, Write as _};

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue};

use super::messages::{PREFIX_BYTES, length};

/// The encoding of the messages that follow.
pub(super) const ENCODING: &str = "grpc-encoding";
/// The encodings that a peer accepts.
pub(super) const ACCEPTED_ENCODINGS: &str = "grpc-accept-encoding";
/// The encodings that this server accepts.
pub(super) const SUPPORTED: &str = "gzip,zstd,identity";

/// Smaller messages are sent plain.
const LEAST_BYTES: usize = 256;
/// Larger messages are sent plain: compressing them would occupy a thread for too long.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// The level at which zstd compresses.
const ZSTD_LEVEL: i32 = 1;
/// The largest window that every decoder should accept, 8 MiB (RFC 8878, 3.1.1.1.2).
const COMMON_WINDOW_LOG: u32 = 23;
/// The largest window that zstd can have.
const MOST_WINDOW_LOG: u32 = 31;
/// Bytes that are decompressed at a time.
const CHUNK_BYTES: usize = 16 * 1024;
/// A message of at most this many bytes is kept when its size is measured.
const SMALL_BYTES: usize = 64 * 1024;

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Zstd,
}

/// The messages of a request have an encoding that is not supported, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsupported;

/// Why a message cannot be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is not what its encoding says, or is incomplete.
    Invalid,
    /// Its plain form has more bytes than allowed.
    TooLarge,
}

/// The plain form of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Measured {
    /// It is small.
    Small(Vec<u8>),
    /// It has this many bytes.
    Large(usize),
}

impl Encoding {
    /// The encoding of the messages of a request; `None`: they are plain.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Option<Encoding>, Unsupported> {
        let mut values = headers.get_all(ENCODING).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (None | Some(b"identity"), None) => Ok(None),
            (Some(b"gzip"), None) => Ok(Some(Encoding::Gzip)),
            (Some(b"zstd"), None) => Ok(Some(Encoding::Zstd)),
            (Some(_) | None, _) => Err(Unsupported),
        }
    }

    /// The encoding of the messages of the response: the first one that the caller accepts and that is supported.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Encoding> {
        let values = headers.get_all(ACCEPTED_ENCODINGS).iter();
        let names = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|names| names.split(','));
        names.map(str::trim).find_map(|name| match name {
            "gzip" => Some(Encoding::Gzip),
            "zstd" => Some(Encoding::Zstd),
            _ => None,
        })
    }

    /// The name in headers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
        }
    }

    /// Decompresses a message of at most `most_bytes` bytes; of one that is not small, finds its size only. Holds no more
    /// than a small message and the window of the encoding.
    pub(super) fn measure(self, compressed: &[u8], most_bytes: usize) -> Result<Measured, Problem> {
        let mut reader = Reader::new(self, compressed, most_bytes)?;
        let (mut small, mut size) = (Vec::new(), 0);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = reader.read(&mut chunk).map_err(|_| Problem::Invalid)?;
            if read == 0 {
                break;
            }
            size += read;
            if size > most_bytes {
                return Err(Problem::TooLarge);
            }
            if size <= SMALL_BYTES {
                small.extend_from_slice(&chunk[..read]);
            }
        }
        if !reader.is_at_end() {
            return Err(Problem::Invalid);
        }
        Ok(match size <= SMALL_BYTES {
            true => Measured::Small(small),
            false => Measured::Large(size),
        })
    }

    /// Decompresses a message that was measured with the same limit, into its size.
    pub(super) fn decompress(
        self,
        compressed: &[u8],
        plain: &mut [u8],
        most_bytes: usize,
    ) -> Result<(), Problem> {
        let mut reader = Reader::new(self, compressed, most_bytes)?;
        reader.read_exact(plain).map_err(|_| Problem::Invalid)
    }

    /// Compresses the plain messages of a frame, which are whole. Those that would not shrink stay plain.
    pub(super) fn compress(self, frame: Bytes) -> Bytes {
        let mut messages = frame.clone();
        let mut compressed = BytesMut::with_capacity(frame.len() / 2);
        while !messages.is_empty() {
            let Some(message) = next_message(&mut messages) else {
                // every frame of the encoder has whole messages
                return frame;
            };
            let plain = &message[PREFIX_BYTES..];
            let shorter = match (LEAST_BYTES..=MOST_BYTES).contains(&plain.len()) {
                true => self.compress_message(plain).ok(),
                false => None,
            };
            match shorter.filter(|shorter| shorter.len() < plain.len()) {
                Some(shorter) => {
                    compressed.put_u8(1);
                    compressed.put_u32(u32::try_from(shorter.len()).unwrap_or(u32::MAX));
                    compressed.put_slice(&shorter);
                }
                None => compressed.put_slice(&message),
            }
        }
        compressed.freeze()
    }

    fn compress_message(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2), Compression::fast());
                encoder.write_all(plain)?;
                encoder.finish()
            }
            Encoding::Zstd => zstd::bulk::compress(plain, ZSTD_LEVEL),
        }
    }
}

/// Splits off the next message with its prefix; `None` if it is not whole.
fn next_message(messages: &mut Bytes) -> Option<Bytes> {
    let prefix = messages.first_chunk::<PREFIX_BYTES>()?;
    let end = PREFIX_BYTES.checked_add(length(*prefix))?;
    (end <= messages.len()).then(|| messages.split_to(end))
}

/// Reads the plain form of a message.
enum Reader<'a> {
    Gzip(GzDecoder<&'a [u8]>),
    Zstd(zstd::Decoder<'a, &'a [u8]>),
}

impl<'a> Reader<'a> {
    fn new(encoding: Encoding, compressed: &'a [u8], most_bytes: usize) -> Result<Reader<'a>, Problem> {
        Ok(match encoding {
            Encoding::Gzip => Reader::Gzip(GzDecoder::new(compressed)),
            Encoding::Zstd => {
                let decoder = zstd::Decoder::with_buffer(compressed);
                let mut decoder = decoder.map_err(|_| Problem::Invalid)?;
                let log = most_bytes
                    .checked_next_power_of_two()
                    .map_or(u32::MAX, usize::ilog2);
                decoder
                    .window_log_max(log.clamp(COMMON_WINDOW_LOG, MOST_WINDOW_LOG))
                    .map_err(|_| Problem::Invalid)?;
                Reader::Zstd(decoder)
            }
        })
    }

    /// Whether nothing follows what was read.
    fn is_at_end(&self) -> bool {
        match self {
            Reader::Gzip(decoder) => decoder.get_ref().is_empty(),
            // reads one frame after the other, to the end
            Reader::Zstd(_) => true,
        }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Reader::Gzip(decoder) => decoder.read(buffer),
            Reader::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
    use sha2::Digest as _;

    use super::*;

    fn encodings() -> impl Strategy<Value = Encoding> {
        prop_oneof![Just(Encoding::Gzip), Just(Encoding::Zstd)]
    }

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let values = values
            .iter()
            .map(|value| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        values.collect()
    }

    fn framed(plain: &[u8]) -> Vec<u8> {
        let length = u32::try_from(plain.len()).unwrap();
        [&[0], length.to_be_bytes().as_slice(), plain].concat()
    }

    #[test]
    fn reads_the_headers() {
        let of = |values: &[&'static str]| Encoding::of_request(&headers(ENCODING, values));
        assert_eq!((of(&[]), of(&["identity"])), (Ok(None), Ok(None)));
        assert_eq!(of(&["gzip"]), Ok(Some(Encoding::Gzip)));
        assert_eq!(of(&["zstd"]), Ok(Some(Encoding::Zstd)));
        for values in [
            &["br"] as &[&str],
            &["deflate"],
            &["gzip", "gzip"],
            &["gzip,zstd"],
            &["GZIP"],
            &[""],
        ] {
            assert_eq!(of(values), Err(Unsupported), "{values:?}");
        }
        let accepted = |values: &[&'static str]| Encoding::accepted(&headers(ACCEPTED_ENCODINGS, values));
        assert_eq!((accepted(&[]), accepted(&["identity,br"])), (None, None));
        assert_eq!(accepted(&["identity, deflate, gzip"]), Some(Encoding::Gzip));
        assert_eq!(accepted(&["zstd,gzip"]), Some(Encoding::Zstd));
        assert_eq!(accepted(&["br", "gzip"]), Some(Encoding::Gzip));
    }

    #[test]
    fn measures_up_to_the_limit() {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            for size in [0, 1, SMALL_BYTES, SMALL_BYTES + 1, 1 << 20] {
                let compressed = encoding.compress_message(&vec![7; size]).unwrap();
                let measured = encoding.measure(&compressed, size).unwrap();
                match size <= SMALL_BYTES {
                    true => assert_eq!(measured, Measured::Small(vec![7; size])),
                    false => {
                        assert_eq!(measured, Measured::Large(size));
                        let mut plain = vec![0; size];
                        encoding.decompress(&compressed, &mut plain, size).unwrap();
                        assert!(plain.iter().all(|byte| *byte == 7));
                    }
                }
                if let Some(less) = size.checked_sub(1) {
                    assert_eq!(encoding.measure(&compressed, less), Err(Problem::TooLarge));
                }
                let cut = &compressed[..compressed.len() - 1];
                assert_eq!(
                    encoding.measure(cut, size),
                    Err(Problem::Invalid),
                    "{encoding:?} {size}"
                );
                let longer = [compressed, vec![0; 9]].concat();
                assert_eq!(
                    encoding.measure(&longer, size),
                    Err(Problem::Invalid),
                    "{encoding:?} {size}"
                );
            }
        }
    }

    #[test]
    fn a_window_larger_than_a_message_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let compressed = encoder.finish().unwrap();
        assert_eq!(
            Encoding::Zstd.measure(&compressed, 32 << 20),
            Err(Problem::Invalid)
        );
        assert!(Encoding::Zstd.measure(&compressed, 128 << 20).is_ok());
    }

    #[test]
    fn small_messages_and_those_that_do_not_shrink_stay_plain() {
        let random: Vec<u8> = (0..10_u8).flat_map(|at| sha2::Sha256::digest([at])).collect();
        let plain = [framed(b"small"), framed(&[]), framed(&random)].concat();
        let whole = [plain.clone(), framed(&[7; 5000])].concat();
        let compressed = Encoding::Gzip.compress(whole.clone().into());
        assert!(compressed.len() < plain.len() + 100);
        assert_eq!(compressed[..plain.len()], plain);
        // never cut by the encoder; sent as it is
        let cut = Bytes::from(whole).slice(..20);
        assert_eq!(Encoding::Gzip.compress(cut.clone()), cut);
    }

    proptest! {
        #[test]
        fn opens_what_it_compressed(encoding in encodings(), plain in prop::collection::vec(0..4_u8, 0..5000)) {
            let frame = encoding.compress(framed(&plain).into());
            let message = &frame[PREFIX_BYTES..];
            let opened = match frame[0] {
                0 => Measured::Small(message.to_vec()),
                _ => encoding.measure(message, plain.len()).unwrap(),
            };
            assert_eq!(opened, Measured::Small(plain));
        }

        #[test]
        fn never_panics(encoding in encodings(), bytes in prop::collection::vec(any::<u8>(), 0..300), at: usize) {
            let _ = encoding.measure(&bytes, 1000);
            let mut compressed = encoding.compress_message(&bytes).unwrap();
            let at = at % compressed.len();
            compressed[at] ^= 1;
            let _ = encoding.measure(&compressed, 1000);
        }
    }
}
