//! Presign: a time-limited URL of one object.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::authorize::{Authorizing, at};
use super::error::Error;
use super::fields::check_fields;
use super::gateway::Gateway;
use super::object_attribute::{check_mode, check_object};
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Placeholders;
use crate::fault::{Fault, Faults};
use crate::item::check;
use crate::model::limits::MAX_URL_LIFE;
use crate::model::{Item, Model, Object, Offload};
use crate::policy::Action;
use crate::read::{self, View};
use crate::write::NewUpload;

/// How long a URL is valid if the request does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(15 * 60);
/// The longest life of a URL once callers are authenticated.
const MAX_AUTHENTICATED_LIFE: Duration = Duration::from_secs(15 * 60);
/// The largest content of one PutObject, and of one CopyObject.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>
const MAX_UPLOAD_BYTES: u64 = 5 << 30;
const SHA256_BYTES: usize = 32;
/// Of no bytes.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresignMethod {
    /// To read the object.
    Get,
    /// To upload a new object.
    Put,
}

/// The object to read or upload by URL.
pub struct Presign {
    /// The model.
    pub model: Arc<Model>,
    /// The key attributes.
    pub key: Item,
    /// The object attribute.
    pub attribute: String,
    /// What the URL is for; `None` if that was not decoded.
    pub method: Option<PresignMethod>,
    /// How long it is to be valid.
    pub expires: Option<Duration>,
    /// The file name of an upload.
    pub name: String,
    /// The media type of an upload.
    pub content_type: String,
    /// The size of an upload.
    pub size_bytes: u64,
    /// The SHA-256 of an upload in lower-case hex.
    pub sha256: String,
    /// Whether only to check the request.
    pub validate_only: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 9] = [
    "model",
    "key",
    "attribute",
    "method",
    "expires",
    "name",
    "content_type",
    "size",
    "sha256",
];

/// A URL.
pub struct Presigned {
    /// The URL.
    pub url: String,
    /// The headers that must be sent with it.
    pub headers: Vec<(String, String)>,
    /// When it expires, in whole seconds.
    pub expires: SystemTime,
    /// What takes the upload up; empty if it is not for one.
    pub upload_token: String,
}

/// Signs a URL. Returns `None` if the request was only checked.
///
/// # Errors
///
/// See [`Error`]; the faults of the request are returned together.
pub async fn presign(
    gateway: &Gateway,
    call: &Call,
    mut request: Presign,
) -> Result<Option<Presigned>, Error> {
    request.authorize(Authorizing::alone(gateway, call))?;
    let validate_only = request.validate_only;
    let (checked, upload) = check_presign(call, request)?;
    if !gateway.reader.signs_urls() {
        return Err(Error::NoUrls);
    }
    if validate_only {
        return Ok(None);
    }
    let (signed, upload_token) = match upload {
        None => {
            let signed = gateway.reader.presign(call, checked).await?;
            (
                signed.ok_or_else(|| encoded("stored encrypted or compressed"))?,
                String::new(),
            )
        }
        Some(upload) => {
            let new = new_upload(&checked, upload)?;
            let signing = gateway.committer.presign(call, &gateway.upload_tokens, new);
            signing.await?
        }
    };
    Ok(Some(Presigned {
        url: signed.url,
        headers: signed.headers,
        expires: signed.expires,
        upload_token,
    }))
}

impl Presign {
    /// Rejects what the caller may not read or write. From then on the model is as the caller sees it.
    fn authorize(&mut self, asking: Authorizing<'_>) -> Result<(), Error> {
        let is_put = self.method == Some(PresignMethod::Put);
        let action = if is_put {
            Action::PresignPut
        } else {
            Action::PresignGet
        };
        let access = asking.access(action, &self.model, false, &self.key)?;
        if self.model.attribute(&self.attribute).is_some() {
            let checked = match is_put {
                true => access.check_write(&self.attribute),
                false => access.check_read(&self.attribute),
            };
            checked.map_err(|denied| at("attribute", denied))?;
        }
        self.model = Arc::clone(access.model());
        Ok(())
    }
}

fn new_upload(checked: &read::Presign, upload: Upload) -> Result<NewUpload<'_>, Error> {
    let model = &checked.view.model;
    let attribute = model.attribute(&checked.attribute);
    Ok(NewUpload {
        model,
        key: &checked.key,
        attribute: attribute.ok_or(Error::Internal("a checked attribute is not in the model"))?,
        offload: &checked.offload,
        name: upload.name,
        content_type: upload.content_type,
        size_bytes: upload.size_bytes,
        sha256: upload.sha256,
        life: checked.life,
    })
}

/// The checked description of an upload.
struct Upload {
    name: String,
    content_type: String,
    size_bytes: u64,
    sha256: [u8; SHA256_BYTES],
}

/// Checks everything about a request; an upload if it is for one.
fn check_presign(call: &Call, request: Presign) -> Result<(read::Presign, Option<Upload>), Error> {
    let mut placeholders = Placeholders::new();
    let mut validation = Validation::new(&FIELDS, request.faults.clone());
    let model = &request.model;
    let key = validation.field(check::check_key(model, request.key.clone(), "key"));
    let offload = validation.field(check_object(model, &request.attribute));
    let life = validation.field(check_life(request.expires, max_life(call)));
    let upload = validation.field(check_upload(&request));
    if let (Some(Some(upload)), Some(offload)) = (&upload, &offload) {
        validation.add_fields(check_options(upload, offload));
    }
    let fields = [request.attribute];
    let projection = match &offload {
        Some(_) => validation.field(check_fields(model, &fields, &[], &mut placeholders)),
        None => None,
    };
    let valid = validation.finish()?;
    let [attribute] = fields;
    check_mode(model, &attribute)?;
    check_form(model, &attribute)?;
    let (key, offload, projection) = (valid.take(key)?, valid.take(offload)?, valid.take(projection)?);
    let (names, _) = placeholders.into_parts();
    let checked = read::Presign {
        key,
        view: View::new(request.model, vec![attribute.clone()], Vec::new(), projection),
        names,
        attribute,
        offload,
        life: valid.take(life)?,
    };
    Ok((checked, valid.take(upload)?))
}

/// How long the URL is valid.
fn check_life(expires: Option<Duration>, max: Duration) -> Result<Duration, Faults> {
    let life = expires.unwrap_or(DEFAULT_LIFE);
    let life = Duration::from_secs(life.as_secs());
    match life.is_zero() || life > max {
        false => Ok(life),
        true if max == MAX_URL_LIFE => {
            Err(Fault::new("expires", "must be between 1 second and 7 days").into())
        }
        true => {
            let description = "must be between 1 second and 15 minutes: a URL needs no credential";
            Err(Fault::new("expires", description).into())
        }
    }
}

/// How long a URL may be valid: shortly once callers are authenticated, since whoever has it needs no identity.
fn max_life(call: &Call) -> Duration {
    match call.caller() {
        Some(_) => MAX_AUTHENTICATED_LIFE,
        None => MAX_URL_LIFE,
    }
}

/// The upload that the request describes, if it is for one.
fn check_upload(request: &Presign) -> Result<Option<Upload>, Faults> {
    let mut faults = Faults::new();
    match request.method {
        Some(PresignMethod::Put) => {}
        Some(PresignMethod::Get) => {
            let is_set = [
                ("name", !request.name.is_empty()),
                ("content_type", !request.content_type.is_empty()),
                ("size", request.size_bytes != 0),
                ("sha256", !request.sha256.is_empty()),
            ];
            for (field, _) in is_set.into_iter().filter(|(_, is_set)| *is_set) {
                faults.push(field, "is only for PRESIGN_METHOD_PUT");
            }
            return if faults.is_empty() { Ok(None) } else { Err(faults) };
        }
        None => return Ok(None),
    }
    faults.extend(check::check_description(&request.name, &request.content_type));
    if request.size_bytes > MAX_UPLOAD_BYTES {
        faults.push(
            "size",
            "must be at most 5368709120 (5 GiB), the limit of one PutObject",
        );
    }
    let sha256 = decode_hex(&request.sha256);
    match &sha256 {
        None => faults.push(
            "sha256",
            "must be the SHA-256 of the content, as 64 lower-case hex digits",
        ),
        Some(_) if request.size_bytes == 0 && request.sha256 != EMPTY_SHA256 => {
            faults.push("size", "is required: the size of the content in bytes");
        }
        Some(_) => {}
    }
    match sha256 {
        Some(sha256) if faults.is_empty() => Ok(Some(Upload {
            name: request.name.clone(),
            content_type: request.content_type.clone(),
            size_bytes: request.size_bytes,
            sha256,
        })),
        Some(_) | None => Err(faults),
    }
}

/// The faults of an upload that the options of the attribute do not allow.
fn check_options(upload: &Upload, offload: &Offload) -> Faults {
    let object = Object {
        content_type: upload.content_type.clone(),
        size_bytes: upload.size_bytes,
        ..Object::default()
    };
    let mut faults = Faults::new();
    for (field, violation) in offload.violations(&object) {
        faults.push(field, violation);
    }
    faults
}

/// The bytes of a SHA-256 in lower-case hex.
fn decode_hex(text: &str) -> Option<[u8; SHA256_BYTES]> {
    let mut bytes = [0; SHA256_BYTES];
    if text.len() != 2 * SHA256_BYTES {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

/// Refuses an attribute whose objects are stored in another form than their content.
fn check_form(model: &Model, name: &str) -> Result<(), Error> {
    let attribute = model.attribute(name);
    let form = match attribute {
        Some(attribute) if attribute.encrypted.is_some() => "encrypted",
        Some(attribute) if attribute.compressed.is_some() => "compressed",
        Some(_) | None => return Ok(()),
    };
    Err(encoded(form))
}

/// The error of an object whose stored bytes are not its content.
fn encoded(form: &str) -> Error {
    let description = format!("is {form}: a URL would transfer what is stored; use Download or Upload");
    Error::Mode(Fault::new("attribute", description).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Attribute;
    use crate::model::AttributeType;
    use crate::model::Value;
    use crate::model::testing::{encrypted, model, object};

    fn request(attribute: Attribute) -> Presign {
        let text = |text: &str| Value::S(text.to_owned());
        Presign {
            model: Arc::new(model(vec![attribute])),
            key: Item::from([("pk".to_owned(), text("A")), ("sk".to_owned(), text("B"))]),
            attribute: "file".to_owned(),
            method: Some(PresignMethod::Get),
            expires: None,
            name: String::new(),
            content_type: String::new(),
            size_bytes: 0,
            sha256: String::new(),
            validate_only: false,
            faults: Faults::new(),
        }
    }

    #[test]
    fn encrypted_objects_have_no_urls() {
        assert!(check_presign(&Call::for_test(), request(object("file", "docs/"))).is_ok());
        let attribute = Attribute {
            encrypted: encrypted("file", AttributeType::Object).encrypted,
            ..object("file", "docs/")
        };
        let refused = check_presign(&Call::for_test(), request(attribute));
        assert!(matches!(refused, Err(Error::Mode(_))));
    }

    #[test]
    fn hashes_are_lower_case_hex() {
        let decoded = decode_hex(EMPTY_SHA256).unwrap();
        assert_eq!((decoded[0], decoded[31]), (0xe3, 0x55));
        for text in [
            "",
            &EMPTY_SHA256[1..],
            &EMPTY_SHA256.to_uppercase(),
            &"g".repeat(64),
        ] {
            assert_eq!(decode_hex(text), None, "{text}");
        }
    }

    #[test]
    fn a_url_lives_between_a_second_and_a_week() {
        for (expires, life) in [
            (None, Some(900)),
            (Some(Duration::from_millis(999)), None),
            (Some(Duration::from_millis(1999)), Some(1)),
            (Some(MAX_URL_LIFE), Some(604_800)),
            (Some(MAX_URL_LIFE + Duration::from_secs(1)), None),
        ] {
            let checked = check_life(expires, MAX_URL_LIFE).ok();
            assert_eq!(checked.map(|life| life.as_secs()), life, "{expires:?}");
        }
    }
}
