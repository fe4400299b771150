//! GetObject and HeadObject.
//!
//! A reader sees one version of an object, old or new: its rows come from one snapshot, and the removal of its body files
//! is delayed before the key is checked again. An object that is replaced after that is removed when the reader has
//! finished.

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

use super::bodies::{Bodies, ReadHold};
use super::body_reader::BodyReader;
use super::catalog::{Object, Segment, find_object, require_bucket, segment_bytes, segments, timestamp};
use super::conditions::ReadCondition;
use super::fault::{Fault, no_such_key, require_null_version};
use super::integrity::set_checksum;
use super::receive::blocking;
use super::store::Store;

/// Bytes of a body that are read at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// How often an object may be replaced while one request looks it up.
const MAX_ATTEMPTS: usize = 64;
/// Larger than the number of segments of any object.
const ALL_SEGMENTS: i64 = 10_001;

/// What a request reads of an object.
#[derive(Clone, Default)]
pub(super) struct ReadRequest {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) range: Option<dto::Range>,
    pub(super) part: Option<i64>,
    pub(super) condition: ReadCondition,
}

/// An object, the requested range, and the pieces of that range.
pub(super) struct FoundObject {
    pub(super) object: Object,
    range: Option<Range<u64>>,
    pieces: VecDeque<Piece>,
    held: Option<ReadHold>,
}

/// A range of one segment.
struct Piece {
    place: PieceSource,
    range: Range<u64>,
}

enum PieceSource {
    Row(Bytes),
    File(String),
    /// Stored bytes are missing. The response body ends with an error here, as for a truncated file.
    Damaged,
}

/// Handles GetObject.
pub(super) async fn get_object(store: &Store, input: GetObjectInput) -> Result<GetObjectOutput, Fault> {
    require_null_version(input.version_id.as_deref())?;
    let checksummed = wants_checksum(input.checksum_mode.as_ref());
    let found = find(
        store,
        ReadRequest {
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

/// Handles HeadObject.
pub(super) async fn head_object(store: &Store, input: HeadObjectInput) -> Result<HeadObjectOutput, Fault> {
    require_null_version(input.version_id.as_deref())?;
    let checksummed = wants_checksum(input.checksum_mode.as_ref());
    let found = find(
        store,
        ReadRequest {
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

/// Looks up an object and delays the removal of its bodies.
pub(super) async fn find(store: &Store, request: ReadRequest) -> Result<FoundObject, Fault> {
    let bodies = Arc::clone(&store.bodies);
    store
        .workers
        .read(move |connection| find_and_hold(connection, &bodies, &request))
        .await
}

impl FoundObject {
    /// The number of requested bytes.
    pub(super) fn length_bytes(&self) -> u64 {
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

    /// The requested bytes, one block at a time.
    pub(super) fn into_stream(
        self,
        bodies: &Arc<Bodies>,
    ) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Sync + use<> {
        let stream = BodyStream {
            bodies: Arc::clone(bodies),
            pieces: self.pieces,
            open: None,
            _held: self.held,
        };
        try_unfold(stream, |stream| Box::pin(stream.next()) as SyncFuture)
    }

    /// The requested bytes as a request body.
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

type SyncFuture =
    std::pin::Pin<Box<dyn Future<Output = io::Result<Option<(Bytes, BodyStream)>>> + Send + Sync>>;

/// A body that is being sent.
struct BodyStream {
    bodies: Arc<Bodies>,
    pieces: VecDeque<Piece>,
    open: Option<BodyReader>,
    _held: Option<ReadHold>,
}

impl BodyStream {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let Some(piece) = self.pieces.front_mut() else {
            return Ok(None);
        };
        let start = piece.range.start;
        let length = usize::try_from(piece.range.end - start)
            .unwrap_or(usize::MAX)
            .min(BLOCK_BYTES);
        piece.range.start += length as u64;
        let is_finished = piece.range.is_empty();
        let block = match &piece.place {
            PieceSource::Row(bytes) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                bytes.slice(start..start + length)
            }
            PieceSource::Damaged => return Err(io::ErrorKind::UnexpectedEof.into()),
            PieceSource::File(id) => {
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
        if is_finished {
            self.pieces.pop_front();
            self.open = None;
        }
        Ok(Some((block, self)))
    }
}

fn wants_checksum(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

fn find_and_hold(
    connection: &Connection,
    bodies: &Arc<Bodies>,
    request: &ReadRequest,
) -> Result<FoundObject, Fault> {
    for _ in 0..MAX_ATTEMPTS {
        let snapshot = connection.unchecked_transaction()?;
        let mut found = find_in_snapshot(&snapshot, request)?;
        snapshot.finish()?;
        if !found
            .pieces
            .iter()
            .any(|piece| matches!(piece.place, PieceSource::File(_)))
        {
            return Ok(found);
        }
        found.held = Some(bodies.hold(&found.object.content));
        let now = find_object(connection, &request.bucket, &request.key)?;
        if now.is_some_and(|object| object.content == found.object.content) {
            return Ok(found);
        }
    }
    Err(Fault::refused(
        S3ErrorCode::SlowDown,
        "The object is being replaced too often. Please try again.",
    ))
}

fn find_in_snapshot(connection: &Connection, request: &ReadRequest) -> Result<FoundObject, Fault> {
    let Some(object) = find_object(connection, &request.bucket, &request.key)? else {
        require_bucket(connection, &request.bucket)?;
        return Err(no_such_key());
    };
    request.condition.check(&object)?;
    let all = segments(connection, &object.content, 0, ALL_SEGMENTS)?;
    let range = requested_range(request, &object, &all)?;
    let mut pieces = VecDeque::new();
    let whole = range.clone().unwrap_or(0..object.size);
    let mut start = 0;
    for segment in all {
        let end = start + segment.size;
        let requested = whole.start.max(start)..whole.end.min(end);
        if !requested.is_empty() {
            let range = requested.start - start..requested.end - start;
            pieces.push_back(Piece {
                place: place(connection, &object, segment)?,
                range,
            });
        }
        start = end;
    }
    if start != object.size {
        let (place, range) = (PieceSource::Damaged, 0..1);
        pieces.push_back(Piece { place, range });
    }
    Ok(FoundObject {
        object,
        range,
        pieces,
        held: None,
    })
}

fn place(connection: &Connection, object: &Object, segment: Segment) -> Result<PieceSource, Fault> {
    if let Some(file) = segment.file {
        return Ok(PieceSource::File(file));
    }
    let bytes = segment_bytes(connection, &object.content, segment.number)?;
    if bytes.len() as u64 != segment.size {
        return Ok(PieceSource::Damaged);
    }
    Ok(PieceSource::Row(Bytes::from(bytes)))
}

/// The range of a range header or a part number; `InvalidRange` (416) if the object does not contain it.
fn requested_range(
    request: &ReadRequest,
    object: &Object,
    all: &[Segment],
) -> Result<Option<Range<u64>>, Fault> {
    match (&request.range, request.part) {
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

/// The fields that the outputs of GetObject and HeadObject have in common. Returns a checksum only for a whole object.
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
