//! Models, as messages.

use tollgate_proto::v1;

use super::values::value;
use crate::model::{Attribute, Encryption, Model, Number, Offload, UnknownAttributes};

/// A model.
pub(crate) fn model(model: &Model) -> v1::Model {
    v1::Model {
        name: model.name.clone(),
        table: model.table.clone(),
        partition_key: model.partition_key.clone(),
        sort_key: model.sort_key.clone().unwrap_or_default(),
        attributes: model.attributes.iter().map(encode_attribute).collect(),
        unknown_attributes: match model.unknown_attributes {
            UnknownAttributes::Reject => "reject",
            UnknownAttributes::Keep => "keep",
            UnknownAttributes::Drop => "drop",
        }
        .to_owned(),
    }
}

fn encode_attribute(attribute: &Attribute) -> v1::Attribute {
    let checks = &attribute.checks;
    let number = |number: &Option<Number>| match number {
        Some(number) => number.as_str().to_owned(),
        None => String::new(),
    };
    v1::Attribute {
        name: attribute.name.clone(),
        r#type: attribute.kind.as_str().to_owned(),
        required: attribute.required,
        default: attribute.default.clone().map(value),
        min: number(&checks.min),
        max: number(&checks.max),
        min_length: checks.min_length,
        max_length: checks.max_length,
        pattern: checks.pattern_text().unwrap_or_default().to_owned(),
        r#enum: checks.one_of.iter().cloned().map(value).collect(),
        encrypted: attribute.encrypted.as_ref().map(encode_encryption),
        s3: attribute.s3.as_ref().map(encode_offload),
    }
}

fn encode_encryption(encryption: &Encryption) -> v1::Encryption {
    v1::Encryption {
        key_id: encryption.key_id.clone(),
        context: encryption.context.clone().into_iter().collect(),
        mode: encryption.mode.as_str().to_owned(),
        format: encryption.format.as_str().to_owned(),
        accepts: encryption.accepts.clone(),
        accept_formats: encryption
            .accept_formats
            .iter()
            .map(|format| format.as_str().to_owned())
            .collect(),
        allow_plaintext: encryption.allow_plaintext,
    }
}

fn encode_offload(offload: &Offload) -> v1::Offload {
    v1::Offload {
        bucket: offload.bucket.clone(),
        prefix: offload.prefix.clone(),
        region: offload.region.clone().unwrap_or_default(),
        foreign_pointers: offload.foreign_pointers.as_str().to_owned(),
    }
}
