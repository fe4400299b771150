//! Conditional requests (`If-Match` and similar headers), for reads and writes. Knows only ETags and times.
//!
//! Source: RFC 9110 section 13.2.2 for the order; conditional reads and writes of S3 for the error codes.

use s3s::S3ErrorCode;
use s3s::dto::{ETagCondition, Timestamp};

use super::catalog::{Object, timestamp};
use super::fault::{Fault, no_such_key, precondition_failed};

/// Conditions of GetObject, HeadObject and of the source of CopyObject.
#[derive(Clone, Default)]
pub(super) struct ReadCondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadCondition {
    /// `PreconditionFailed` (412) or `NotModified` (304) if a condition is not met.
    pub(super) fn check(&self, object: &Object) -> Result<(), Fault> {
        let modified = timestamp(object.modified_ms);
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(wanted), _) if !matches(wanted, &object.etag) => return Err(precondition_failed()),
            (None, Some(since)) if modified > *since => return Err(precondition_failed()),
            (Some(_) | None, _) => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(unwanted), _) if matches(unwanted, &object.etag) => Err(not_modified()),
            (None, Some(since)) if modified <= *since => Err(not_modified()),
            (Some(_) | None, _) => Ok(()),
        }
    }
}

/// Conditions of PutObject, CompleteMultipartUpload and DeleteObject, checked in the transaction that writes.
#[derive(Clone, Default)]
pub(super) struct WriteCondition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl WriteCondition {
    /// `NotImplemented` (501) for a condition that S3 does not support: `If-None-Match` with an ETag.
    pub(super) fn supported(self) -> Result<Self, Fault> {
        match self.if_none_match {
            Some(ETagCondition::ETag(_)) => Err(Fault::refused(
                S3ErrorCode::NotImplemented,
                "A header you provided implies functionality that is not implemented",
            )),
            Some(ETagCondition::Any) | None => Ok(self),
        }
    }

    /// `PreconditionFailed` (412), or `NoSuchKey` (404) if the object to replace does not exist.
    pub(super) fn check(&self, existing: Option<&Object>) -> Result<(), Fault> {
        if self.if_none_match.is_some() && existing.is_some() {
            return Err(precondition_failed());
        }
        match (&self.if_match, existing) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(no_such_key()),
            (Some(wanted), Some(object)) if matches(wanted, &object.etag) => Ok(()),
            (Some(_), Some(_)) => Err(precondition_failed()),
        }
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

fn not_modified() -> Fault {
    Fault::refused(S3ErrorCode::NotModified, "Not Modified")
}
