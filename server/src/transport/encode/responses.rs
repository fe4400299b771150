//! The responses that are a single message, and the messages of a Download.

use tollgate_proto::v1;
use tollgate_proto::v1::upload_response::Result as UploadResult;
use tonic::Status;

use super::unreadable::unreadable;
use super::values::{item, object};
use crate::call::Call;
use crate::operation::{DownloadPart, Error, Opened, Presigned, Saved, Updated, Uploaded};
use crate::transport::failure;

/// The response of Save.
pub(crate) fn save(saved: Saved) -> v1::SaveResponse {
    let old = saved.old_item.unwrap_or_default();
    v1::SaveResponse {
        generated: item(saved.generated),
        old_item: item(old.item),
        item: item(saved.item.unwrap_or_default()),
        withheld: once(saved.withheld, old.withheld),
    }
}

/// The response of Get; empty if the request was only checked.
pub(crate) fn get(call: &Call, read: Option<Opened>) -> v1::GetResponse {
    let read = read.unwrap_or_default();
    v1::GetResponse {
        item: item(read.item),
        withheld: read.withheld,
        unreadable: unreadable(call, read.unreadable),
        unverified: read.unverified,
    }
}

/// The response of Upload.
pub(crate) fn upload(uploaded: Uploaded) -> v1::UploadResponse {
    v1::UploadResponse {
        result: Some(match uploaded {
            Uploaded::Saved(saved) => UploadResult::Saved(save(saved)),
            Uploaded::Updated(updated) => UploadResult::Updated(update(updated)),
        }),
    }
}

/// The response of Update.
pub(crate) fn update(updated: Updated) -> v1::UpdateResponse {
    let old = updated.old_item.unwrap_or_default();
    let new = updated.item.unwrap_or_default();
    v1::UpdateResponse {
        generated: item(updated.generated),
        old_item: item(old.item),
        item: item(new.item),
        withheld: once(once(updated.withheld, old.withheld), new.withheld),
    }
}

/// The names of both lists, each once.
fn once(mut names: Vec<String>, others: Vec<String>) -> Vec<String> {
    for name in others {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The response of Delete.
pub(crate) fn delete(old: Option<Opened>) -> v1::DeleteResponse {
    let old = old.unwrap_or_default();
    v1::DeleteResponse {
        old_item: item(old.item),
        withheld: old.withheld,
    }
}

/// The response of Presign; empty if the request was only checked.
pub(crate) fn presign(presigned: Option<Presigned>) -> v1::PresignResponse {
    let Some(presigned) = presigned else {
        return v1::PresignResponse::default();
    };
    v1::PresignResponse {
        url: presigned.url,
        headers: presigned.headers.into_iter().collect(),
        expires_at: Some(presigned.expires.into()),
        upload_token: presigned.upload_token,
    }
}

/// A message of Download.
pub(crate) fn download(
    call: &Call,
    part: Result<DownloadPart, Error>,
) -> Result<v1::DownloadResponse, Status> {
    match part {
        Ok(DownloadPart::Object(described)) => Ok(v1::DownloadResponse {
            object: Some(object(*described)),
            ..v1::DownloadResponse::default()
        }),
        Ok(DownloadPart::Content(data)) => Ok(v1::DownloadResponse { object: None, data }),
        Err(error) => Err(failure::status(call, error)),
    }
}
