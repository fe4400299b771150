//! Models, as messages.

use tollgate_proto::v1;

use super::values::value;
use crate::model::{
    Attribute, AttributeType, Compression, Discriminator, Encryption, Generate, Idempotency, Index, Model,
    Number, Offload, Projection, Protection, Template, UnknownAttributes,
};

/// A model.
pub(crate) fn model(model: &Model) -> v1::Model {
    v1::Model {
        name: model.name.clone(),
        table: model.table.clone(),
        partition_key: model.partition_key.clone(),
        sort_key: model.sort_key.clone().unwrap_or_default(),
        attributes: model.attributes.iter().map(encode_attribute).collect(),
        unknown_attributes: model.unknown_attributes.as_str().to_owned(),
        indexes: model.indexes.iter().map(encode_index).collect(),
        discriminator: model.discriminator.as_ref().map(encode_discriminator),
        compat: model.compat.as_str().to_owned(),
        idempotency: model.idempotency.as_ref().map(encode_idempotency),
        protect: model.protection.as_ref().map(encode_protection),
        tenant_prefix: model
            .tenancy
            .as_ref()
            .map_or_else(String::new, |tenancy| tenancy.prefix().to_owned()),
    }
}

fn encode_index(index: &Index) -> v1::Index {
    let (projection, included) = match &index.projection {
        Projection::All => ("all", Vec::new()),
        Projection::KeysOnly => ("keys_only", Vec::new()),
        Projection::Include(names) => ("include", names.clone()),
    };
    let when = index.when.iter().map(|(attribute, values)| v1::IndexCondition {
        attribute: attribute.clone(),
        values: values.iter().cloned().map(value).collect(),
    });
    v1::Index {
        name: index.name.clone(),
        stored_name: index.stored_name.clone(),
        local: index.local,
        partition_key: index.partition.clone(),
        sort_key: index.sort.clone(),
        projection: projection.to_owned(),
        included,
        when: when.collect(),
    }
}

fn encode_discriminator(discriminator: &Discriminator) -> v1::Discriminator {
    v1::Discriminator {
        attribute: discriminator.attribute.clone(),
        value: discriminator.value.clone(),
    }
}

fn encode_idempotency(idempotency: &Idempotency) -> v1::Idempotency {
    let (kind, table) = match idempotency {
        Idempotency::Item => ("item", String::new()),
        Idempotency::Table(table) => ("table", table.clone()),
    };
    v1::Idempotency {
        kind: kind.to_owned(),
        table,
    }
}

fn encode_protection(protection: &Protection) -> v1::Protection {
    let Encryption {
        key_id,
        accepts,
        context,
        ..
    } = &protection.encryption;
    v1::Protection {
        mode: protection.coverage.as_str().to_owned(),
        key_id: key_id.clone(),
        accepts: accepts.clone(),
        context: context.clone().into_iter().collect(),
        allow_unsealed: protection.allow_unsealed,
    }
}

fn encode_attribute(attribute: &Attribute) -> v1::Attribute {
    let checks = &attribute.checks;
    let number = |number: &Option<Number>| match number {
        Some(number) => number.as_str().to_owned(),
        None => String::new(),
    };
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let (kind, template) = (attribute.kind, attribute.template.as_ref());
    let alias = (attribute.stored_name != attribute.name).then(|| attribute.stored_name.clone());
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
        alias: alias.unwrap_or_default(),
        generate: text(attribute.generate.map(Generate::as_str)),
        template: text(template.map(Template::as_str)),
        delimiter: text(template.map(Template::delimiter)),
        hidden: attribute.hidden,
        compressed: attribute.compressed.as_ref().map(encode_compression),
        attributes: attribute.attributes.iter().map(encode_attribute).collect(),
        items: attribute.items.as_deref().map(encode_attribute).map(Box::new),
        unknown_attributes: text(attribute.nested_unknown.map(UnknownAttributes::as_str)),
        set_encoding: text(kind.is_set().then_some(attribute.set_encoding.as_str())),
        null_sets: text(attribute.null_sets_repair.then_some("repair")),
        hide_expired: attribute.hide_expired,
        store: text((kind == AttributeType::Datetime).then_some(attribute.datetime_store.as_str())),
    }
}

fn encode_compression(compression: &Compression) -> v1::Compression {
    v1::Compression {
        algorithm: compression.algorithm.as_str().to_owned(),
        level: compression.level,
        min_size: compression.min_size,
        threshold: compression.threshold,
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
        offload_above: offload.offload_above,
        max_size: offload.max_bytes.unwrap_or_default(),
        content_types: offload.content_types.clone(),
        purge_versions: offload.purge_versions,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::testing::{attribute, model as with};
    use crate::model::{CompressionAlgorithm, Value};

    fn declared() -> Model {
        let compressed = Attribute {
            stored_name: "n".to_owned(),
            hidden: true,
            compressed: Some(Compression {
                algorithm: CompressionAlgorithm::Zstd,
                level: Some(3),
                min_size: 100,
                threshold: 0.9,
            }),
            ..attribute("note", AttributeType::String)
        };
        let key = Attribute {
            template: Some(Template::parse("NOTE#{note}", "#").unwrap()),
            ..attribute("key", AttributeType::String)
        };
        let lines = Attribute {
            items: Some(Box::new(Attribute {
                attributes: vec![attribute("count", AttributeType::Number)],
                nested_unknown: Some(UnknownAttributes::Drop),
                ..attribute("", AttributeType::Map)
            })),
            ..attribute("lines", AttributeType::List)
        };
        let mut declared = with(vec![
            compressed,
            key,
            lines,
            attribute("at", AttributeType::Datetime),
        ]);
        declared.indexes = vec![Index {
            name: "by_key".to_owned(),
            stored_name: "gsi1".to_owned(),
            local: false,
            partition: vec!["key".to_owned()],
            sort: Vec::new(),
            projection: Projection::Include(vec!["note".to_owned()]),
            when: BTreeMap::from([("note".to_owned(), vec![Value::S("a".to_owned())])]),
        }];
        declared.discriminator = Some(Discriminator {
            attribute: "kind".to_owned(),
            value: "User".to_owned(),
        });
        declared.idempotency = Some(Idempotency::Table("requests".to_owned()));
        declared
    }

    #[test]
    fn every_option_is_in_the_message() {
        let message = model(&declared());
        let named = |name: &str| {
            message
                .attributes
                .iter()
                .find(|found| found.name == name)
                .unwrap()
        };
        let note = named("note");
        assert_eq!((note.alias.as_str(), note.hidden), ("n", true));
        assert_eq!(note.compressed.as_ref().unwrap().level, Some(3));
        assert_eq!(
            (named("key").template.as_str(), named("key").delimiter.as_str()),
            ("NOTE#{note}", "#")
        );
        let line = named("lines").items.as_ref().unwrap();
        assert_eq!(
            (line.attributes[0].name.as_str(), line.unknown_attributes.as_str()),
            ("count", "drop")
        );
        assert_eq!(
            (named("at").store.as_str(), named("at").set_encoding.as_str()),
            ("iso8601", "")
        );
        let index = &message.indexes[0];
        assert_eq!(
            (index.stored_name.as_str(), index.projection.as_str()),
            ("gsi1", "include")
        );
        assert_eq!(
            (index.included.as_slice(), index.when.len()),
            (["note".to_owned()].as_slice(), 1)
        );
        assert_eq!(message.discriminator.unwrap().value, "User");
        assert_eq!(message.idempotency.unwrap().table, "requests");
    }
}
