//! GetObject and HeadObject.
//!
//! A reader sees one object, old or new, never a mixture: its rows come from one snapshot, and its body files are
//! held before it is made sure that they still belong to the key. What is replaced after that is removed once the
//! reader has left.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::try_unfold;
use futures::{Stream, StreamExt as _};
use rusqlite::Connection;
use s3s::dto::{
    self, ChecksumMode, ChecksumType, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, StreamingBlob,
};
use s3s::{S3ErrorCode, StdError};

use super::Store;
use super::bodies::{Bodies, Held, Source};
use super::catalog::{Object, Segment, find_object, require_bucket, segment_bytes, segments, timestamp};
use super::conditions::ReadCondition;
use super::fault::{Fault, no_such_key, require_null_version};
use super::intake::blocking;
use super::promise::set_checksum;

/// How much of a body is in memory at a time.
const BLOCK_BYTES: usize = 256 * 1024;
/// How often an object may be replaced under the eyes of one reader.
const LOOKS: usize = 64;
/// More segments than an object can have.
const ALL_SEGMENTS: i64 = 10_001;

/// What of an object is wanted.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) range: Option<dto::Range>,
    pub(super) part: Option<i64>,
    pub(super) condition: ReadCondition,
}

/// An object, the stretch of it that is wanted, and the pieces that make it up.
pub(super) struct Found {
    pub(super) object: Object,
    range: Option<Range<u64>>,
    pieces: VecDeque<Piece>,
    held: Option<Held>,
}

/// A stretch of one segment.
struct Piece {
    place: PiecePlace,
    range: Range<u64>,
}

enum PiecePlace {
    Row(Bytes),
    File(String),
    /// What is stored is not whole. The body breaks off here, as that of a file that is cut does.
    Damaged,
}

/// Answers GetObject.
pub(super) async fn get_object(store: &Store, input: GetObjectInput) -> Result<GetObjectOutput, Fault> {
    require_null_version(input.version_id.as_deref())?;
    let checksummed = wants_checksum(input.checksum_mode.as_ref());
    let found = find(
        store,
        Wanted {
            bucket: input.bucket,
            key: input.key,
            range: input.range,
            part: input.part_number.map(i64::from),
            condition: ReadCondition {
                if_match: input.if_match,
                if_none_match: input.if_none_match,
                if_modified_since: input.if_modified_since,
                if_unmodified_since: input.if_unmodified_since,
            },
        },
    )
    .await?;
    let mut output = output_of!(GetObjectOutput, found, input.part_number.is_some(), checksummed);
    output.body = Some(StreamingBlob::wrap(found.into_stream(&store.bodies)));
    Ok(output)
}

/// Answers HeadObject.
pub(super) async fn head_object(store: &Store, input: HeadObjectInput) -> Result<HeadObjectOutput, Fault> {
    require_null_version(input.version_id.as_deref())?;
    let checksummed = wants_checksum(input.checksum_mode.as_ref());
    let found = find(
        store,
        Wanted {
            bucket: input.bucket,
            key: input.key,
            range: input.range,
            part: input.part_number.map(i64::from),
            condition: ReadCondition {
                if_match: input.if_match,
                if_none_match: input.if_none_match,
                if_modified_since: input.if_modified_since,
                if_unmodified_since: input.if_unmodified_since,
            },
        },
    )
    .await?;
    Ok(output_of!(
        HeadObjectOutput,
        found,
        input.part_number.is_some(),
        checksummed
    ))
}

/// Looks an object up and holds its bodies.
pub(super) async fn find(store: &Store, wanted: Wanted) -> Result<Found, Fault> {
    let bodies = Arc::clone(&store.bodies);
    store
        .workers
        .read(move |connection| look(connection, &bodies, &wanted))
        .await
}

impl Found {
    /// How many bytes of the object are wanted.
    fn length_bytes(&self) -> u64 {
        self.range
            .as_ref()
            .map_or(self.object.size, |range| range.end - range.start)
    }

    fn content_range(&self) -> Option<String> {
        let range = self.range.as_ref().filter(|range| !range.is_empty())?;
        Some(format!(
            "bytes {}-{}/{}",
            range.start,
            range.end - 1,
            self.object.size
        ))
    }

    /// The wanted bytes, a block at a time.
    pub(super) fn into_stream(
        self,
        bodies: &Arc<Bodies>,
    ) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Sync + use<> {
        let reading = Reading {
            bodies: Arc::clone(bodies),
            pieces: self.pieces,
            open: None,
            _held: self.held,
        };
        try_unfold(reading, |reading| Box::pin(reading.next()) as SyncFuture)
    }

    /// The wanted bytes as a request's body would bring them.
    pub(super) fn into_body(
        self,
        bodies: &Arc<Bodies>,
    ) -> impl Stream<Item = Result<Bytes, StdError>> + Unpin + use<> {
        Box::pin(
            self.into_stream(bodies)
                .map(|block| block.map_err(StdError::from)),
        )
    }
}

type SyncFuture = std::pin::Pin<Box<dyn Future<Output = io::Result<Option<(Bytes, Reading)>>> + Send + Sync>>;

/// A body on its way out.
struct Reading {
    bodies: Arc<Bodies>,
    pieces: VecDeque<Piece>,
    open: Option<Source>,
    _held: Option<Held>,
}

impl Reading {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let Some(piece) = self.pieces.front_mut() else {
            return Ok(None);
        };
        let start = piece.range.start;
        let length = usize::try_from(piece.range.end - start)
            .unwrap_or(usize::MAX)
            .min(BLOCK_BYTES);
        piece.range.start += length as u64;
        let spent = piece.range.is_empty();
        let block = match &piece.place {
            PiecePlace::Row(bytes) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                bytes.slice(start..start + length)
            }
            PiecePlace::Damaged => return Err(io::ErrorKind::UnexpectedEof.into()),
            PiecePlace::File(id) => {
                let (bodies, id, open) = (Arc::clone(&self.bodies), id.clone(), self.open.take());
                let (source, block) = blocking(move || {
                    let mut source = open.map_or_else(|| bodies.open(&id), Ok)?;
                    let block = source.read(start, length)?;
                    Ok((source, block))
                })
                .await
                .map_err(io::Error::other)?;
                self.open = Some(source);
                block
            }
        };
        if spent {
            self.pieces.pop_front();
            self.open = None;
        }
        Ok(Some((block, self)))
    }
}

fn wants_checksum(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn look(connection: &Connection, bodies: &Arc<Bodies>, wanted: &Wanted) -> Result<Found, Fault> {
    for _ in 0..LOOKS {
        let snapshot = connection.unchecked_transaction()?;
        let mut found = look_once(&snapshot, wanted)?;
        snapshot.finish()?;
        if !found
            .pieces
            .iter()
            .any(|piece| matches!(piece.place, PiecePlace::File(_)))
        {
            return Ok(found);
        }
        found.held = Some(bodies.hold(&found.object.content));
        let now = find_object(connection, &wanted.bucket, &wanted.key)?;
        if now.is_some_and(|object| object.content == found.object.content) {
            return Ok(found);
        }
    }
    Err(Fault::refused(
        S3ErrorCode::SlowDown,
        "The object is being replaced too often. Please try again.",
    ))
}

fn look_once(connection: &Connection, wanted: &Wanted) -> Result<Found, Fault> {
    let Some(object) = find_object(connection, &wanted.bucket, &wanted.key)? else {
        require_bucket(connection, &wanted.bucket)?;
        return Err(no_such_key());
    };
    wanted.condition.check(&object)?;
    let all = segments(connection, &object.content, 0, ALL_SEGMENTS)?;
    let range = wanted_range(wanted, &object, &all)?;
    let mut pieces = VecDeque::new();
    let whole = range.clone().unwrap_or(0..object.size);
    let mut start = 0;
    for segment in all {
        let end = start + segment.size;
        let stretch = whole.start.max(start)..whole.end.min(end);
        if !stretch.is_empty() {
            let range = stretch.start - start..stretch.end - start;
            pieces.push_back(Piece {
                place: place(connection, &object, segment)?,
                range,
            });
        }
        start = end;
    }
    if start != object.size {
        let (place, range) = (PiecePlace::Damaged, 0..1);
        pieces.push_back(Piece { place, range });
    }
    Ok(Found {
        object,
        range,
        pieces,
        held: None,
    })
}

fn place(connection: &Connection, object: &Object, segment: Segment) -> Result<PiecePlace, Fault> {
    if let Some(file) = segment.file {
        return Ok(PiecePlace::File(file));
    }
    let bytes = segment_bytes(connection, &object.content, segment.number)?;
    if bytes.len() as u64 != segment.size {
        return Ok(PiecePlace::Damaged);
    }
    Ok(PiecePlace::Row(Bytes::from(bytes)))
}

/// The stretch that a range or a part number names; `InvalidRange` (416) where the object does not reach there.
fn wanted_range(wanted: &Wanted, object: &Object, all: &[Segment]) -> Result<Option<Range<u64>>, Fault> {
    match (&wanted.range, wanted.part) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Fault::refused(
            S3ErrorCode::InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter",
        )),
        (Some(range), None) => range.check(object.size).map(Some).map_err(|_| invalid_range()),
        (None, Some(part)) => {
            let before: u64 = all
                .iter()
                .take_while(|segment| segment.number < part)
                .map(|segment| segment.size)
                .sum();
            let named = all
                .iter()
                .find(|segment| segment.number == part)
                .ok_or_else(invalid_range)?;
            Ok(Some(before..before + named.size))
        }
    }
}

fn invalid_range() -> Fault {
    Fault::refused(
        S3ErrorCode::InvalidRange,
        "The requested range is not satisfiable",
    )
}

/// The fields that GetObject's and HeadObject's outputs have in common. A checksum goes with the whole object only.
macro_rules! output_of {
    ($output:ident, $found:expr, $by_part:expr, $checksummed:expr) => {{
        let object = &$found.object;
        let headers = &object.headers;
        let mut output = $output {
            accept_ranges: Some("bytes".to_owned()),
            cache_control: headers.cache_control.clone(),
            content_disposition: headers.content_disposition.clone(),
            content_encoding: headers.content_encoding.clone(),
            content_language: headers.content_language.clone(),
            content_length: i64::try_from($found.length_bytes()).ok(),
            content_range: $found.content_range(),
            content_type: headers
                .content_type
                .clone()
                .or_else(|| Some("binary/octet-stream".to_owned())),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            expires: headers.expires.clone(),
            last_modified: Some(timestamp(object.modified_ms)),
            metadata: headers.metadata(),
            parts_count: object
                .parts
                .filter(|_| $by_part)
                .and_then(|parts| i32::try_from(parts).ok()),
            website_redirect_location: headers.website_redirect_location.clone(),
            ..$output::default()
        };
        if $checksummed && $found.range.is_none() {
            set_checksum!(output, object.checksum.algorithm, object.checksum.text.clone());
            output.checksum_type = Some(ChecksumType::from_static(object.checksum.kind.name()));
        }
        output
    }};
}

use output_of;
