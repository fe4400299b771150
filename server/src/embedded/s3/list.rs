//! ListObjectsV2: keys ordered by their bytes, grouped by a delimiter, in pages.
//!
//! A page starts at a lower bound and reads the index in order; after a common prefix it skips all keys with that prefix.
//! The continuation token is the lower bound of the next page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, Row, params};
use s3s::dto::{
    self, ChecksumAlgorithm, ChecksumType, CommonPrefix, ETag, EncodingType, ListObjectsV2Input,
    ListObjectsV2Output, ObjectStorageClass,
};

use super::catalog::{Kind, require_bucket, stored_algorithm, stored_kind, timestamp};
use super::digest::Algorithm;
use super::fault::{Fault, invalid_argument};
use super::store::Store;

/// The maximum number of entries in one page, as in S3.
const PAGE: i32 = 1000;
/// The characters that `encoding-type=url` does not encode.
const URL_PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'/')
    .remove(b'*');

/// The request for a page.
struct Listing {
    prefix: String,
    delimiter: Option<String>,
    /// The lower bound of the keys.
    from: Vec<u8>,
    limit: usize,
}

/// A page of entries.
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
            // a prefix is UTF-8, so it is never only 0xFF bytes and always has a successor
            Self::Prefix(prefix) => successor(prefix.as_bytes()).unwrap_or_else(|| after(prefix)),
        }
    }
}

/// Handles ListObjectsV2.
pub(super) async fn list_objects_v2(
    store: &Store,
    input: ListObjectsV2Input,
) -> Result<ListObjectsV2Output, Fault> {
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
    let encoding = Encoding::from_request(input.encoding_type.as_ref());
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

fn max_keys(requested: Option<i32>) -> Result<i32, Fault> {
    let max_keys = requested.unwrap_or(PAGE);
    if max_keys < 0 {
        return Err(invalid_argument(
            "Argument maxKeys must be an integer between 0 and 2147483647",
        ));
    }
    Ok(max_keys.min(PAGE))
}

fn list(connection: &Connection, bucket: &str, listing: &Listing) -> Result<Page, Fault> {
    let mut page = Page {
        entries: Vec::new(),
        truncated: false,
    };
    let end = successor(listing.prefix.as_bytes());
    let mut from = Some(listing.from.clone().max(listing.prefix.clone().into_bytes()));
    while let Some(start) = from.take().filter(|_| listing.limit > 0) {
        from = read_until_prefix(connection, bucket, listing, (&start, end.as_deref()), &mut page)?;
    }
    Ok(page)
}

/// Reads keys from `bounds.0` until the page is full, there are no more keys, or a common prefix is reached. Returns
/// where to continue after a common prefix.
fn read_until_prefix(
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
        let Some(prefix) = common_prefix(&listed.key, listing) else {
            page.entries.push(Entry::Object(listed));
            continue;
        };
        let entry = Entry::Prefix(prefix.to_owned());
        let next = entry.next();
        page.entries.push(entry);
        return Ok(Some(next));
    }
    Ok(None)
}

/// The common prefix that a key belongs to.
fn common_prefix<'a>(key: &'a str, listing: &Listing) -> Option<&'a str> {
    let delimiter = listing.delimiter.as_deref()?;
    let prefix_bytes = listing.prefix.len();
    let found = key.get(prefix_bytes..)?.find(delimiter)?;
    key.get(..prefix_bytes + found + delimiter.len())
}

/// The first key after a key.
fn after(key: &str) -> Vec<u8> {
    [key.as_bytes(), &[0]].concat()
}

/// The first byte string after all those that begin with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

fn read_listed(row: &Row<'_>) -> Result<Listed, Fault> {
    let key = String::from_utf8(row.get(0)?)
        .map_err(|_| Fault::Broken("the index contains a key that is not UTF-8".to_owned()))?;
    Ok(Listed {
        key,
        size: row.get(1)?,
        etag: row.get(2)?,
        modified_ms: row.get(3)?,
        algorithm: stored_algorithm(&row.get::<_, String>(4)?)?,
        kind: stored_kind(&row.get::<_, String>(5)?)?,
    })
}

/// How names are encoded in the response.
#[derive(Clone, Copy)]
enum Encoding {
    Plain,
    Url,
}

impl Encoding {
    fn from_request(requested: Option<&EncodingType>) -> Self {
        if requested.is_some_and(|encoding| encoding.as_str() == EncodingType::URL) {
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

    fn name(entry: &Entry) -> &str {
        match entry {
            Entry::Object(listed) => &listed.key,
            Entry::Prefix(prefix) => prefix,
        }
    }

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

    /// A complete listing, computed from its definition.
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
        fn pages_form_the_complete_listing(
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
                names.extend(page.entries.iter().map(|entry| name(entry).to_owned()));
                if !page.truncated {
                    break;
                }
                listing.from = page.entries.last().unwrap().next();
            }
            prop_assert_eq!(names, expected(&keys, &prefix, delimiter.as_deref()));
        }
    }

    #[test]
    fn a_successor_follows_all_keys_with_the_prefix() {
        assert_eq!(successor(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(successor(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(successor(b""), None);
    }
}
