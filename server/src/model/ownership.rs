//! Which stored items are a model's, where several models share a table, and which of a model's attributes an index
//! contains.

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::index::{Index, Projection};
use super::model_options::Discriminator;
use super::number::Number;
use super::schema::Model;
use super::value::{Item, Value};

impl Model {
    /// Whether the model distinguishes its items from those of other models in the table.
    pub fn distinguishes_items(&self) -> bool {
        self.discriminator.is_some() || self.has_key_templates()
    }

    /// Whether a key of the table is built from a template.
    pub fn has_key_templates(&self) -> bool {
        self.key_names()
            .filter_map(|name| self.attribute(name))
            .any(|attribute| attribute.template.is_some())
    }

    /// Whether a stored item, or an index's copy of one, is this model's: by the discriminator, and where it is absent by
    /// the templates of the keys. Every item is, if the model has neither.
    pub fn owns(&self, stored: &Item) -> bool {
        if let Some(discriminator) = &self.discriminator
            && let Some(value) = stored.get(self.stored_name(&discriminator.attribute))
        {
            return matches!(value, Value::S(text) if *text == discriminator.value);
        }
        match self.has_key_templates() {
            true => self.matches_templates(stored),
            false => self.discriminator.is_none(),
        }
    }

    /// The attribute and the value by which a write finds out whether an item is of this model: the discriminator, unless
    /// the keys are built from templates, which no other model shares.
    pub fn guard(&self) -> Option<&Discriminator> {
        self.discriminator.as_ref().filter(|_| !self.has_key_templates())
    }

    /// Whether a stored item with a key of this model is of another one.
    pub fn is_of_another(&self, stored: &Item) -> bool {
        self.guard().is_some_and(|discriminator| {
            let value = stored.get(self.stored_name(&discriminator.attribute));
            !matches!(value, Some(Value::S(text)) if *text == discriminator.value)
        })
    }

    /// Whether each key of the table that has a template could be built from it.
    fn matches_templates(&self, stored: &Item) -> bool {
        let mut keys = self.key_names().filter_map(|name| self.attribute(name));
        keys.all(|attribute| match &attribute.template {
            Some(template) => match stored.get(&attribute.stored_name) {
                Some(Value::S(key)) => template.take_apart(key).is_some(),
                Some(_) | None => false,
            },
            None => true,
        })
    }

    /// The stored names of the attributes that decide whether reads return an item: the discriminator, and the time at
    /// which it expires.
    pub fn deciding_names(&self) -> impl Iterator<Item = &str> {
        let discriminator = self
            .discriminator
            .iter()
            .map(|discriminator| self.stored_name(&discriminator.attribute));
        let expiry = self.hiding_ttl().map(|ttl| ttl.stored_name.as_str());
        discriminator.chain(expiry)
    }

    /// The ttl attribute by which reads leave out expired items.
    pub fn hiding_ttl(&self) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.kind == AttributeType::Ttl && attribute.hide_expired)
    }

    /// Whether a stored item has expired and must be left out, `now` in epoch seconds. A ttl that is not a number never
    /// expires.
    pub fn hides(&self, stored: &Item, now: &Number) -> bool {
        let expiry = self.hiding_ttl().and_then(|ttl| stored.get(&ttl.stored_name));
        matches!(expiry, Some(Value::N(expiry)) if expiry <= now)
    }

    /// Whether an index contains an attribute: a key, one that it projects, or one that decides whether reads return an
    /// item. `name` is the model's; undeclared attributes are in an index that contains all.
    pub fn index_contains(&self, index: &Index, name: &str) -> bool {
        let is_key = || self.is_key(name) || index.key_names().any(|key| key == name);
        match &index.projection {
            Projection::All => true,
            Projection::KeysOnly => is_key(),
            Projection::Include(names) => {
                let stored_name = self.stored_name(name);
                names.iter().any(|projected| projected == name)
                    || is_key()
                    || self.deciding_names().any(|deciding| deciding == stored_name)
            }
        }
    }
}
