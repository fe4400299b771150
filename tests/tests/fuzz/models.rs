//! The models that expressions and values are checked against, and the models of what is stored.

use std::sync::LazyLock;

use tollgate::model::{Attribute, AttributeType, Model, Models, UnknownAttributes};

/// The text of the models.
pub(crate) const SOURCE: &str = include_str!("models.yaml");

/// The models.
pub(crate) static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let models = Models::parse("models.yaml", SOURCE.as_bytes());
    let models = models.unwrap_or_else(|faults| panic!("{faults:#?}"));
    models.iter().map(|model| Model::clone(model)).collect()
});

/// For each of [`MODELS`], a model of its stored items: the keys in their stored form, and any other attributes.
pub(crate) static STORED: LazyLock<Vec<Model>> = LazyLock::new(|| MODELS.iter().map(stored).collect());

/// For each of [`MODELS`], a model of its stored items without any type: of two operands, the model decides which type
/// is expected, and a stored key must not.
pub(crate) static UNTYPED: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let untyped = STORED.iter().map(|stored| Model {
        partition_key: "\0".to_owned(),
        sort_key: None,
        attributes: Vec::new(),
        indexes: Vec::new(),
        ..stored.clone()
    });
    untyped.collect()
});

fn stored(model: &Model) -> Model {
    let of_indexes = model.indexes.iter().flat_map(|index| index.key_names());
    let mut keys: Vec<&str> = model.key_names().chain(of_indexes).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut indexes = model.indexes.clone();
    for index in &mut indexes {
        for name in index.partition.iter_mut().chain(&mut index.sort) {
            *name = model.stored_name(name).to_owned();
        }
    }
    Model {
        partition_key: model.stored_name(&model.partition_key).to_owned(),
        sort_key: model
            .sort_key
            .as_deref()
            .map(|key| model.stored_name(key).to_owned()),
        attributes: keys
            .iter()
            .filter_map(|key| stored_key(model.attribute(key)?))
            .collect(),
        indexes,
        discriminator: None,
        unknown_attributes: UnknownAttributes::Keep,
        ..model.clone()
    }
}

fn stored_key(key: &Attribute) -> Option<Attribute> {
    let kind = match key.key_type() {
        "S" => AttributeType::String,
        "N" => AttributeType::Number,
        "B" => AttributeType::Binary,
        _ => return None,
    };
    Some(Attribute {
        name: key.stored_name.clone(),
        kind,
        required: false,
        default: None,
        generate: None,
        template: None,
        hide_expired: false,
        checks: Default::default(),
        ..key.clone()
    })
}
