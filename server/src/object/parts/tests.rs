//! Parts of whole and of streamed contents, and what is refused on the way.

use super::super::content::stream;
use super::super::window::Window;
use super::*;
use crate::call::Call;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The sizes of all parts, and their bytes.
async fn read(content: Content, announced: Announced) -> Result<(Vec<usize>, Vec<u8>), ContentError> {
    let mut parts = Parts::new(content, announced, Encoder::default());
    let (mut sizes, mut bytes) = (Vec::new(), Vec::new());
    loop {
        let part = parts.next().await?;
        sizes.push(part.bytes.len());
        bytes.extend_from_slice(&part.bytes);
        if part.is_last {
            assert_eq!(parts.finish().plain_bytes, bytes.len() as u64);
            return Ok((sizes, bytes));
        }
    }
}

async fn read_stream(
    pieces: Vec<Bytes>,
    end: Option<Option<&str>>,
    announced: Announced,
) -> Result<(Vec<usize>, Vec<u8>), ContentError> {
    let window = Window::open(&Call::for_test(), 1).await.unwrap();
    let (sender, content) = stream(&window);
    let sending = async move {
        for piece in pieces {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
        if let Some(sha256) = end {
            let _ = sender.end(sha256.map(str::to_owned)).await;
        }
    };
    let content = Content::Stream(content);
    let (read, ()) = tokio::join!(read(content, announced), sending);
    read
}

fn numbered(bytes: usize) -> Bytes {
    (0..bytes).map(|index| (index % 251) as u8).collect()
}

#[tokio::test]
async fn parts_have_5_mib_however_the_pieces_are_cut() {
    let content = numbered(2 * PART_BYTES + 7);
    let expected = (vec![PART_BYTES, PART_BYTES, 7], content.to_vec());
    let whole = read(Content::Whole(content.clone()), Announced::default()).await;
    assert!(whole.unwrap() == expected);
    for piece_bytes in [100_000, 1 << 20, PART_BYTES, 3 * PART_BYTES] {
        let pieces = content.chunks(piece_bytes).map(Bytes::copy_from_slice).collect();
        let read = read_stream(pieces, Some(None), Announced::default()).await;
        assert!(read.unwrap() == expected, "pieces of {piece_bytes}");
    }
}

#[tokio::test]
async fn the_last_part_is_known() {
    for (bytes, sizes) in [
        (0, vec![0]),
        (1, vec![1]),
        (PART_BYTES, vec![PART_BYTES]),
        (2 * PART_BYTES, vec![PART_BYTES; 2]),
    ] {
        let content = numbered(bytes);
        let whole = read(Content::Whole(content.clone()), Announced::default()).await;
        assert_eq!(whole.unwrap().0, sizes);
        let streamed = read_stream(vec![content], Some(None), Announced::default()).await;
        assert_eq!(streamed.unwrap().0, sizes);
    }
}

#[tokio::test]
async fn a_stream_without_end_is_incomplete() {
    for pieces in [vec![], vec![numbered(3)], vec![numbered(PART_BYTES + 1)]] {
        let read = read_stream(pieces, None, Announced::default()).await;
        assert_eq!(read, Err(ContentError::Incomplete));
    }
    let closed = Content::Stream(ContentStream::closed());
    assert_eq!(
        read(closed, Announced::default()).await,
        Err(ContentError::Incomplete)
    );
}

#[tokio::test]
async fn contents_are_as_announced() {
    let abc = || vec![Bytes::from_static(b"ab"), Bytes::from_static(b"c")];
    let announced = |size_bytes: Option<u64>, sha256: Option<&str>| Announced {
        size_bytes,
        sha256: sha256.map(str::to_owned),
        max_bytes: None,
    };
    let other = ABC.replace('b', "c");
    for (known, end, outcome) in [
        (announced(Some(3), Some(ABC)), Some(ABC), Ok(())),
        (announced(None, None), Some(ABC), Ok(())),
        (announced(None, None), None, Ok(())),
        (
            announced(Some(2), None),
            None,
            Err(ContentError::Size { announced_bytes: 2 }),
        ),
        (
            announced(Some(4), None),
            None,
            Err(ContentError::Size { announced_bytes: 4 }),
        ),
        (
            announced(None, Some(&other)),
            Some(ABC),
            Err(ContentError::Sha256),
        ),
        (
            announced(None, Some(ABC)),
            Some(&*other),
            Err(ContentError::Sha256),
        ),
    ] {
        let read = read_stream(abc(), Some(end), known).await;
        assert_eq!(read.map(drop), outcome);
    }
    let small = Announced {
        max_bytes: Some(2),
        ..Announced::default()
    };
    let read = read_stream(abc(), Some(None), small).await;
    assert_eq!(read, Err(ContentError::TooLarge { max_bytes: 2 }));
}
