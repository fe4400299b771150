//! The HTTP headers and user metadata that are stored with an object, as JSON in the index.

use std::collections::BTreeMap;

use s3s::S3ErrorCode;
use s3s::dto::{Metadata, Timestamp};
use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// The maximum size of all names and values of user metadata, as in S3.
const METADATA_BYTES: usize = 2 * 1024;

/// The stored headers. The field names are those of the stored JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Headers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) website_redirect_location: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: BTreeMap<String, String>,
}

impl Headers {
    /// The headers with user metadata; `MetadataTooLarge` above 2 KiB.
    pub(super) fn with_metadata(mut self, metadata: Option<Metadata>) -> Result<Self, Fault> {
        self.metadata = metadata.unwrap_or_default().into_iter().collect();
        let size: usize = self
            .metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if size > METADATA_BYTES {
            return Err(Fault::refused(
                S3ErrorCode::MetadataTooLarge,
                "Your metadata headers exceed the maximum allowed metadata size",
            ));
        }
        Ok(self)
    }

    /// The user metadata, as in a response.
    pub(super) fn metadata(&self) -> Option<Metadata> {
        (!self.metadata.is_empty()).then(|| self.metadata.clone().into_iter().collect())
    }

    /// Encodes the headers for the index.
    pub(super) fn to_json(&self) -> Result<String, Fault> {
        serde_json::to_string(self)
            .map_err(|failure| Fault::Broken(format!("cannot encode headers: {failure}")))
    }

    /// Decodes the headers of the index.
    pub(super) fn from_json(json: &str) -> Result<Self, Fault> {
        serde_json::from_str(json)
            .map_err(|failure| Fault::Broken(format!("cannot decode headers: {failure}")))
    }
}

/// Takes the stored headers out of the input of PutObject, CopyObject or CreateMultipartUpload.
macro_rules! take_headers {
    ($input:expr) => {
        $crate::embedded::s3::headers::Headers {
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            content_type: $input.content_type.take(),
            expires: $input.expires.take(),
            website_redirect_location: $input.website_redirect_location.take(),
            metadata: ::std::collections::BTreeMap::new(),
        }
        .with_metadata($input.metadata.take())
    };
}

/// Refuses what this engine does not support instead of ignoring it: tags, object locks and customer-provided keys.
macro_rules! refuse_unsupported {
    ($input:expr) => {
        if $input.tagging.is_some()
            || $input.object_lock_mode.is_some()
            || $input.object_lock_legal_hold_status.is_some()
            || $input.object_lock_retain_until_date.is_some()
            || $input.sse_customer_algorithm.is_some()
        {
            return Err($crate::embedded::s3::fault::Fault::refused(
                ::s3s::S3ErrorCode::NotImplemented,
                "Tags, object locks and customer-provided keys are not implemented",
            ));
        }
    };
}

pub(super) use {refuse_unsupported, take_headers};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_json_does_not_change() {
        let json =
            r#"{"content_type":"text/plain","expires":"2030-01-01T00:00:00.000Z","metadata":{"a":"b"}}"#;
        let headers = Headers::from_json(json).unwrap();
        assert_eq!(headers.content_type.as_deref(), Some("text/plain"));
        assert_eq!(headers.metadata["a"], "b");
        assert_eq!(headers.to_json().unwrap(), json);
        assert_eq!(Headers::from_json("{}").unwrap(), Headers::default());
        assert!(Headers::from_json(r#"{"unknown":"field"}"#).is_err());
    }

    #[test]
    fn limits_user_metadata() {
        let metadata = |bytes: usize| Some(Metadata::from([("n".to_owned(), "v".repeat(bytes))]));
        assert!(
            Headers::default()
                .with_metadata(metadata(METADATA_BYTES - 1))
                .is_ok()
        );
        assert!(
            Headers::default()
                .with_metadata(metadata(METADATA_BYTES))
                .is_err()
        );
    }
}
