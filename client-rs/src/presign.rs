//! Time-limited URLs of single objects. Sends nothing by URL.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use tollgate_proto::v1;
use tonic::{Code, Request};

use crate::client::{Client, Response};
use crate::retry::Effect;
use crate::{Error, Key};

/// A request for the URL of one object:
///
/// ```
/// # use std::time::Duration;
/// # use tollgate_client::{Key, Presign};
/// let presign = Presign {
///     expires: Some(Duration::from_secs(60)),
///     ..Presign::get("Document", Key::new("pk", "DOC#1").and("sk", "V1"), "content")
/// };
/// ```
#[derive(Clone, Debug, Default)]
pub struct Presign {
    /// The model.
    pub model: String,
    /// The item's key.
    pub key: Key,
    /// The object attribute.
    pub attribute: String,
    /// How long the URL is valid, in whole seconds: at most 7 days. `None`: 15 minutes.
    pub expires: Option<Duration>,
    /// The content to upload. `None`: the URL reads the object that the item has.
    pub upload: Option<PresignedContent>,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

/// A content to be uploaded by URL. Nothing else can be uploaded with that URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PresignedContent {
    /// The file name, which is the last part of the object's key.
    pub name: String,
    /// The media type, such as `application/pdf`.
    pub content_type: String,
    /// The size in bytes, at most 5 GiB.
    pub size: u64,
    /// The SHA-256 in lower-case hex.
    pub sha256: String,
}

/// A URL. `Debug` shows neither it nor the token: whoever has them can use them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PresignedUrl {
    /// The URL.
    pub url: String,
    /// Headers to send with the request, unchanged.
    pub headers: HashMap<String, String>,
    /// When the URL expires. `None` if the request was only validated.
    pub expires_at: Option<SystemTime>,
    /// What takes the upload up: see [`Object::uploaded`](crate::Object::uploaded). Empty if the URL is not for an upload.
    pub upload_token: String,
}

impl Presign {
    /// A URL to read an object.
    pub fn get(model: impl Into<String>, key: impl Into<Key>, attribute: impl Into<String>) -> Presign {
        Presign {
            model: model.into(),
            key: key.into(),
            attribute: attribute.into(),
            ..Presign::default()
        }
    }

    /// A URL to upload this content.
    pub fn put(
        model: impl Into<String>,
        key: impl Into<Key>,
        attribute: impl Into<String>,
        upload: PresignedContent,
    ) -> Presign {
        Presign {
            upload: Some(upload),
            ..Presign::get(model, key, attribute)
        }
    }

    fn into_wire(self) -> Result<v1::PresignRequest, Error> {
        let method = match self.upload {
            Some(_) => v1::PresignMethod::Put,
            None => v1::PresignMethod::Get,
        };
        let upload = self.upload.unwrap_or_default();
        let expires = self.expires.map(TryInto::try_into).transpose();
        Ok(v1::PresignRequest {
            model: self.model,
            key: self.key.into_wire()?,
            attribute: self.attribute,
            method: method.into(),
            expires: expires.map_err(|_| too_long())?,
            name: upload.name,
            content_type: upload.content_type,
            size: upload.size,
            sha256: upload.sha256,
            validate_only: self.validate_only,
        })
    }
}

impl Client {
    /// Returns a time-limited URL of one object, for HTTP clients that do not speak to tollgate.
    ///
    /// # Errors
    ///
    /// `ITEM_NOT_FOUND` if there is no object to read, `ENCRYPTION_MODE` if objects of the attribute are encrypted or
    /// compressed, `FOREIGN_POINTER` if the object belongs to another item. Also if a store fails.
    pub async fn presign(&self, presign: Presign) -> Result<Response<PresignedUrl>, Error> {
        let request = presign.into_wire()?;
        let send = |request: Request<v1::PresignRequest>| {
            let mut service = self.data();
            async move { service.presign(request).await }
        };
        let response = self.unary(Effect::Read, request, send).await?;
        Ok(response.map(|response| PresignedUrl {
            url: response.url,
            headers: response.headers,
            expires_at: response
                .expires_at
                .and_then(|expires_at| SystemTime::try_from(expires_at).ok()),
            upload_token: response.upload_token,
        }))
    }
}

fn too_long() -> Error {
    Error::local(Code::InvalidArgument, "expires: must be at most 7 days")
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PresignedUrl")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
