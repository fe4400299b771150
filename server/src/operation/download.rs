//! Download: the content of one object of an item, whole or a range of it.

use std::sync::Arc;

use futures::stream::{Stream, StreamExt as _};

use super::authorize::{Authorizing, at};
use super::error::Error;
use super::fields::check_fields;
use super::gateway::Gateway;
use super::object_attribute::{check_in_s3, check_mode};
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Placeholders;
use crate::fault::Faults;
use crate::item::check;
use crate::model::{Item, Model};
use crate::policy::Action;
use crate::read::{self, DownloadPart, View};

/// Which object to read, and which bytes of it.
pub struct Download {
    /// The model.
    pub model: Arc<Model>,
    /// The key attributes.
    pub key: Item,
    /// The object attribute, or one whose values may be offloaded.
    pub attribute: String,
    /// The first byte to read.
    pub offset: u64,
    /// The number of bytes to read; 0: all.
    pub length: u64,
    /// The etag that the object must have, with or without quotes; empty: any.
    pub if_match: String,
    /// Whether to see every write that was acknowledged before.
    pub consistent_read: bool,
    /// Whether only to check the request.
    pub validate_only: bool,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 7] = [
    "model",
    "key",
    "attribute",
    "offset",
    "length",
    "if_match",
    "consistent_read",
];

/// Streams an object: its description, then its content. Returns `None` if the request was only checked.
pub async fn download(
    gateway: &Gateway,
    call: &Call,
    mut request: Download,
) -> Result<Option<impl Stream<Item = Result<DownloadPart, Error>> + Send + use<>>, Error> {
    request.authorize(Authorizing::alone(gateway, call))?;
    let validate_only = request.validate_only;
    let download = check_download(request)?;
    if validate_only {
        return Ok(None);
    }
    let parts = gateway.reader.download(call, download).await?;
    Ok(Some(parts.map(|part| part.map_err(Error::from))))
}

impl Download {
    /// Rejects what the caller may not read. From then on the model is as the caller sees it.
    fn authorize(&mut self, asking: Authorizing<'_>) -> Result<(), Error> {
        let access = asking.access(Action::Download, &self.model, self.consistent_read, &self.key)?;
        if self.model.attribute(&self.attribute).is_some() {
            let checked = access.check_read(&self.attribute);
            checked.map_err(|denied| at("attribute", denied))?;
        }
        self.model = Arc::clone(access.model());
        Ok(())
    }
}

fn check_download(request: Download) -> Result<read::Download, Error> {
    let Download {
        model,
        key,
        attribute,
        offset,
        length,
        if_match,
        consistent_read,
        validate_only: _,
        faults,
    } = request;
    let mut placeholders = Placeholders::new();
    let mut validation = Validation::new(&FIELDS, faults);
    let key = validation.field(check::check_key(&model, key, "key"));
    let offload = validation.field(check_in_s3(&model, &attribute));
    let fields = [attribute];
    let projection = match &offload {
        Some(_) => validation.field(check_fields(&model, &fields, &[], &mut placeholders)),
        None => None,
    };
    let valid = validation.finish()?;
    let [attribute] = fields;
    check_mode(&model, &attribute)?;
    let (key, offload, projection) = (valid.take(key)?, valid.take(offload)?, valid.take(projection)?);
    let (names, _) = placeholders.into_parts();
    Ok(read::Download {
        key,
        view: View::new(model, vec![attribute.clone()], Vec::new(), projection),
        names,
        attribute,
        offload,
        offset,
        length,
        if_match: Some(if_match).filter(|etag| !etag.is_empty()),
        consistent_read,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{encrypted, model, object};
    use crate::model::{Attribute, AttributeType, Encryption, EncryptionMode, Value};

    fn request(mode: EncryptionMode) -> Download {
        let text = |text: &str| Value::S(text.to_owned());
        let encryption = encrypted("file", AttributeType::Object).encrypted;
        let attribute = Attribute {
            encrypted: encryption.map(|encryption| Encryption { mode, ..encryption }),
            ..object("file", "docs/")
        };
        Download {
            model: Arc::new(model(vec![attribute])),
            key: Item::from([("pk".to_owned(), text("A")), ("sk".to_owned(), text("B"))]),
            attribute: "file".to_owned(),
            offset: 0,
            length: 0,
            if_match: String::new(),
            consistent_read: false,
            validate_only: false,
            faults: Faults::new(),
        }
    }

    #[test]
    fn an_attribute_that_may_only_be_written_is_not_read() {
        assert!(check_download(request(EncryptionMode::ReadWrite)).is_ok());
        assert!(check_download(request(EncryptionMode::ReadOnly)).is_ok());
        let refused = check_download(request(EncryptionMode::WriteOnly));
        assert!(matches!(refused, Err(Error::Mode(_))));
    }
}
