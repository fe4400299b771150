//! `Debug` for values, which may be secret: shows the kind, never the content.

use std::fmt;

use crate::v1::attribute_value::Kind;
use crate::v1::{AttributeValue, DownloadResponse, Object, ObjectChunk, PresignResponse};

impl fmt::Debug for AttributeValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Some(kind) => kind.fmt(formatter),
            None => formatter.write_str("unset"),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::S(_) => "S",
            Kind::N(_) => "N",
            Kind::B(_) => "B",
            Kind::Bool(_) => "BOOL",
            Kind::Null(_) => "NULL",
            Kind::L(_) => "L",
            Kind::M(_) => "M",
            Kind::Ss(_) => "SS",
            Kind::Ns(_) => "NS",
            Kind::Bs(_) => "BS",
            Kind::Object(_) => "OBJECT",
        })
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Object")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PresignResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PresignResponse")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DownloadResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DownloadResponse")
            .field("object", &self.object)
            .field("bytes", &self.data.len())
            .finish()
    }
}

impl fmt::Debug for ObjectChunk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ObjectChunk")
            .field("attribute", &self.attribute)
            .field("bytes", &self.data.len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
