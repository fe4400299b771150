//! What a view of a model withholds from its caller.

use super::schema::Model;
use super::value::Item;

/// The name under which responses list the attributes that a model does not declare, if they are withheld.
const UNDECLARED: &str = "*";

impl Model {
    /// Whether the caller may not read an attribute.
    pub fn withholds(&self, name: &str) -> bool {
        match self.attribute(name) {
            Some(attribute) => attribute.withheld,
            None => self.withholds_undeclared,
        }
    }

    /// Whether anything is withheld.
    pub fn withholds_any(&self) -> bool {
        self.withholds_undeclared || self.attributes.iter().any(|attribute| attribute.withheld)
    }

    /// The names of what is withheld, in the order of the model, whether an item has it or not. Without hidden attributes,
    /// which nobody is shown. `is_wanted` says what a request asks for.
    pub fn withheld_names(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let declared = self
            .attributes
            .iter()
            .filter(|attribute| attribute.withheld && !attribute.hidden && is_wanted(&attribute.name))
            .map(|attribute| attribute.name.clone());
        let undeclared = (self.withholds_undeclared && is_wanted(UNDECLARED)).then(|| UNDECLARED.to_owned());
        declared.chain(undeclared).collect()
    }

    /// Removes what is withheld from an item by the model's names.
    pub fn withhold(&self, item: &mut Item) {
        if self.withholds_any() {
            item.retain(|name, _| !self.withholds(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AttributeType, Value, testing};

    #[test]
    fn withholds_what_is_marked() {
        let mut model = testing::model(vec![testing::attribute("a", AttributeType::String)]);
        let item = || -> super::Item {
            ["pk", "a", "x"]
                .map(|name| (name.to_owned(), Value::Null))
                .into_iter()
                .collect()
        };
        let kept = |model: &super::Model| {
            let mut item = item();
            model.withhold(&mut item);
            let mut names: Vec<String> = item.into_keys().collect();
            names.sort();
            names
        };
        assert_eq!(kept(&model), ["a", "pk", "x"]);
        model.attributes[2].withheld = true;
        assert_eq!(kept(&model), ["pk", "x"]);
        model.withholds_undeclared = true;
        assert_eq!(kept(&model), ["pk"]);
        assert_eq!(model.withheld_names(|_| true), ["a", "*"]);
        assert_eq!(model.withheld_names(|name| name == "a"), ["a"]);
        model.attributes[2].hidden = true;
        assert_eq!(model.withheld_names(|_| true), ["*"]);
    }
}
