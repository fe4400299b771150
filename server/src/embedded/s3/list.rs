//! ListObjectsV2 and ListObjects: keys in the order of their bytes, folded at a delimiter, page by page.
//!
//! A page begins at a lower bound and reads on in the index; at a common prefix it jumps past all keys under it. The
//! continuation token is the next page's lower bound.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, Row, params};
use s3s::dto::{
    self, ChecksumAlgorithm, ChecksumType, CommonPrefix, ETag, EncodingType, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ObjectStorageClass,
};

use super::Store;
use super::catalog::{Kind, algorithm, kind, require_bucket, timestamp};
use super::digest::Algorithm;
use super::fault::{Fault, invalid_argument};

/// Most entries of one page, as in S3.
const PAGE: i32 = 1000;
/// What `encoding-type=url` leaves as it is.
const URL_PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'/')
    .remove(b'*');

/// What a page is asked for.
struct Listing {
    prefix: String,
    delimiter: Option<String>,
    /// The first key that may come.
    from: Vec<u8>,
    limit: usize,
}

/// What a page holds.
struct Page {
    entries: Vec<Entry>,
    truncated: bool,
}

enum Entry {
    Object(Listed),
    Prefix(String),
}

struct Listed {
    key: String,
    size: i64,
    etag: String,
    modified_ms: i64,
    algorithm: Algorithm,
    kind: Kind,
}

impl Entry {
    /// The first key after this entry.
    fn next(&self) -> Vec<u8> {
        match self {
            Self::Object(listed) => after(&listed.key),
            // a prefix of 0xFF alone is no text, so there is always something after it
            Self::Prefix(prefix) => successor(prefix.as_bytes()).unwrap_or_else(|| after(prefix)),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Object(listed) => &listed.key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// Answers ListObjectsV2.
pub(super) async fn list_v2(store: &Store, input: ListObjectsV2Input) -> Result<ListObjectsV2Output, Fault> {
    let from = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| invalid_argument("The continuation token provided is incorrect"))?,
        (None, Some(key)) if !key.is_empty() => after(key),
        (None, Some(_) | None) => Vec::new(),
    };
    let max_keys = max_keys(input.max_keys)?;
    let page = page(
        store,
        &input.bucket,
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        from,
        max_keys,
    )
    .await?;
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let token = page
        .entries
        .last()
        .filter(|_| page.truncated)
        .map(|entry| URL_SAFE_NO_PAD.encode(entry.next()));
    let key_count = i32::try_from(page.entries.len()).ok();
    let (contents, common_prefixes) = encoding.split(page.entries);
    Ok(ListObjectsV2Output {
        common_prefixes: Some(common_prefixes),
        contents: Some(contents),
        continuation_token: input.continuation_token,
        delimiter: input.delimiter.map(|text| encoding.encode(text)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.truncated),
        key_count,
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        next_continuation_token: token,
        prefix: Some(encoding.encode(input.prefix.unwrap_or_default())),
        start_after: input.start_after.map(|text| encoding.encode(text)),
        ..ListObjectsV2Output::default()
    })
}

/// Answers ListObjects; a marker that is a common prefix stands for all keys under it.
pub(super) async fn list_v1(store: &Store, input: ListObjectsInput) -> Result<ListObjectsOutput, Fault> {
    let delimiter = input
        .delimiter
        .as_deref()
        .filter(|delimiter| !delimiter.is_empty());
    let from = match (
        input.marker.as_deref().filter(|marker| !marker.is_empty()),
        delimiter,
    ) {
        (None, _) => Vec::new(),
        (Some(marker), Some(delimiter)) if marker.ends_with(delimiter) => {
            Entry::Prefix(marker.to_owned()).next()
        }
        (Some(marker), _) => after(marker),
    };
    let max_keys = max_keys(input.max_keys)?;
    let page = page(
        store,
        &input.bucket,
        input.prefix.as_deref(),
        delimiter,
        from,
        max_keys,
    )
    .await?;
    let encoding = Encoding::of(input.encoding_type.as_ref());
    let next = page
        .entries
        .last()
        .filter(|_| page.truncated && delimiter.is_some());
    let next_marker = next.map(|entry| encoding.encode(entry.name().to_owned()));
    let (contents, common_prefixes) = encoding.split(page.entries);
    Ok(ListObjectsOutput {
        common_prefixes: Some(common_prefixes),
        contents: Some(contents),
        delimiter: input.delimiter.map(|text| encoding.encode(text)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.truncated),
        marker: Some(encoding.encode(input.marker.unwrap_or_default())),
        max_keys: Some(max_keys),
        name: Some(input.bucket),
        next_marker,
        prefix: Some(encoding.encode(input.prefix.unwrap_or_default())),
        request_charged: None,
    })
}

async fn page(
    store: &Store,
    bucket: &str,
    prefix: Option<&str>,
    delimiter: Option<&str>,
    from: Vec<u8>,
    max_keys: i32,
) -> Result<Page, Fault> {
    let bucket = bucket.to_owned();
    let listing = Listing {
        prefix: prefix.unwrap_or_default().to_owned(),
        delimiter: delimiter
            .filter(|delimiter| !delimiter.is_empty())
            .map(str::to_owned),
        from,
        limit: usize::try_from(max_keys).unwrap_or_default(),
    };
    store
        .workers
        .read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            require_bucket(&snapshot, &bucket)?;
            list(&snapshot, &bucket, &listing)
        })
        .await
}

fn max_keys(asked: Option<i32>) -> Result<i32, Fault> {
    let asked = asked.unwrap_or(PAGE);
    if asked < 0 {
        return Err(invalid_argument(
            "Argument maxKeys must be an integer between 0 and 2147483647",
        ));
    }
    Ok(asked.min(PAGE))
}

fn list(connection: &Connection, bucket: &str, listing: &Listing) -> Result<Page, Fault> {
    let mut page = Page {
        entries: Vec::new(),
        truncated: false,
    };
    let end = successor(listing.prefix.as_bytes());
    let mut from = Some(listing.from.clone().max(listing.prefix.clone().into_bytes()));
    while let Some(start) = from.take().filter(|_| listing.limit > 0) {
        from = read_on(connection, bucket, listing, (&start, end.as_deref()), &mut page)?;
    }
    Ok(page)
}

/// Reads keys from `bounds.0` until the page is full, the keys end, or a common prefix is met: then it says where to
/// go on.
fn read_on(
    connection: &Connection,
    bucket: &str,
    listing: &Listing,
    bounds: (&[u8], Option<&[u8]>),
    page: &mut Page,
) -> Result<Option<Vec<u8>>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT key, size, etag, modified_ms, algorithm, checksum_type FROM object
         WHERE bucket = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key",
    )?;
    let mut rows = statement.query(params![bucket, bounds.0, bounds.1])?;
    while let Some(row) = rows.next()? {
        if page.entries.len() == listing.limit {
            page.truncated = true;
            return Ok(None);
        }
        let listed = read_listed(row)?;
        let Some(folded) = fold(&listed.key, listing) else {
            page.entries.push(Entry::Object(listed));
            continue;
        };
        let entry = Entry::Prefix(folded.to_owned());
        let next = entry.next();
        page.entries.push(entry);
        return Ok(Some(next));
    }
    Ok(None)
}

/// The common prefix that a key falls under.
fn fold<'a>(key: &'a str, listing: &Listing) -> Option<&'a str> {
    let delimiter = listing.delimiter.as_deref()?;
    let prefix_bytes = listing.prefix.len();
    let found = key.get(prefix_bytes..)?.find(delimiter)?;
    key.get(..prefix_bytes + found + delimiter.len())
}

/// The first key after a key.
fn after(key: &str) -> Vec<u8> {
    [key.as_bytes(), &[0]].concat()
}

/// The first bytes that do not begin with `prefix` and come after it.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

fn read_listed(row: &Row<'_>) -> Result<Listed, Fault> {
    let key = String::from_utf8(row.get(0)?)
        .map_err(|_| Fault::Broken("the index holds a key that is no text".to_owned()))?;
    Ok(Listed {
        key,
        size: row.get(1)?,
        etag: row.get(2)?,
        modified_ms: row.get(3)?,
        algorithm: algorithm(&row.get::<_, String>(4)?)?,
        kind: kind(&row.get::<_, String>(5)?)?,
    })
}

/// How names are written in the answer.
#[derive(Clone, Copy)]
enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    fn of(asked: Option<&EncodingType>) -> Self {
        if asked.is_some_and(|asked| asked.as_str() == EncodingType::URL) {
            Self::Url
        } else {
            Self::Plain
        }
    }

    fn encode(self, text: String) -> String {
        match self {
            Self::Plain => text,
            Self::Url => utf8_percent_encode(&text, URL_PLAIN).to_string(),
        }
    }

    fn split(self, entries: Vec<Entry>) -> (Vec<dto::Object>, Vec<CommonPrefix>) {
        let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Object(listed) => objects.push(self.object(listed)),
                Entry::Prefix(prefix) => prefixes.push(CommonPrefix {
                    prefix: Some(self.encode(prefix)),
                }),
            }
        }
        (objects, prefixes)
    }

    fn object(self, listed: Listed) -> dto::Object {
        dto::Object {
            checksum_algorithm: Some(vec![ChecksumAlgorithm::from_static(listed.algorithm.name())]),
            checksum_type: Some(ChecksumType::from_static(listed.kind.name())),
            e_tag: Some(ETag::Strong(listed.etag)),
            key: Some(self.encode(listed.key)),
            last_modified: Some(timestamp(listed.modified_ms)),
            size: Some(listed.size),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..dto::Object::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::embedded::s3::schema::open_memory;

    fn filled(keys: &BTreeSet<String>) -> Connection {
        let connection = open_memory().unwrap();
        for key in keys {
            connection
                .execute(
                    "INSERT INTO object VALUES ('b', ?1, ?2, 0, 'e', 0, NULL, 'CRC32', '', 'FULL_OBJECT', '{}')",
                    params![key.as_bytes(), key],
                )
                .unwrap();
        }
        connection
    }

    /// What a whole listing is, by its definition.
    fn expected(keys: &BTreeSet<String>, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for key in keys.iter().filter(|key| key.starts_with(prefix)) {
            let rest = &key[prefix.len()..];
            let cut = delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()));
            let name = cut.map_or(key.clone(), |cut| format!("{prefix}{}", &rest[..cut]));
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        names
    }

    proptest! {
        #[test]
        fn pages_make_up_the_whole(
            keys in prop::collection::btree_set("[ab/\u{e9}\u{10FFFF}\u{0}]{1,5}", 0..30),
            prefix in "[ab/]{0,2}",
            delimiter in prop::option::of("[/b\u{10FFFF}]"),
            limit in 1_usize..6,
        ) {
            let connection = filled(&keys);
            let mut listing = Listing { prefix: prefix.clone(), delimiter: delimiter.clone(), from: Vec::new(), limit };
            let mut names = Vec::new();
            loop {
                let page = list(&connection, "b", &listing).unwrap();
                prop_assert!(page.entries.len() <= limit);
                names.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
                if !page.truncated {
                    break;
                }
                listing.from = page.entries.last().unwrap().next();
            }
            prop_assert_eq!(names, expected(&keys, &prefix, delimiter.as_deref()));
        }
    }

    #[test]
    fn a_successor_is_the_first_that_does_not_begin_so() {
        assert_eq!(successor(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(successor(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(successor(b""), None);
    }
}
