//! Which attributes belong to the key of a model: the key attributes, and the parts that they are built from. Sends
//! nothing.

use tollgate_client::{Attribute, Item, Model};

/// Splits attributes into those of the key and all others.
pub(super) fn split(model: &Model, attributes: Item) -> (Item, Item) {
    let names = names(model);
    attributes
        .into_iter()
        .partition(|(name, _)| names.contains(&name.as_str()))
}

/// The names of the key attributes and of the parts of their templates.
fn names(model: &Model) -> Vec<&str> {
    let keys = [model.partition_key.as_str(), model.sort_key.as_str()];
    let of_keys = model
        .attributes
        .iter()
        .filter(|attribute| keys.contains(&attribute.name.as_str()));
    let of_templates = of_keys.flat_map(|attribute: &Attribute| parts(&attribute.template));
    keys.into_iter()
        .filter(|name| !name.is_empty())
        .chain(of_templates)
        .collect()
}

/// The names of the parts of a template: `USER#{user_id}`, `{number:05}`; braces are written twice.
fn parts(template: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        rest = &rest[at + 1..];
        if let Some(literal) = rest.strip_prefix('{') {
            rest = literal;
            continue;
        }
        let Some(end) = rest.find('}') else { break };
        names.extend(rest[..end].split(':').next());
        rest = &rest[end + 1..];
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_templates_belong_to_the_key() {
        assert_eq!(parts("USER#{user_id}"), ["user_id"]);
        assert_eq!(parts("{a}-{n:05}#{{x}}{d:day}"), ["a", "n", "d"]);
        assert_eq!(parts("constant"), [""; 0]);
        assert_eq!(parts("{broken"), [""; 0]);
        let attribute = |name: &str, template: &str| Attribute {
            name: name.to_owned(),
            template: template.to_owned(),
            ..Attribute::default()
        };
        let model = Model {
            partition_key: "pk".to_owned(),
            attributes: vec![
                attribute("pk", "USER#{user_id}"),
                attribute("index_key", "{name}"),
            ],
            ..Model::default()
        };
        let item =
            |names: &[&str]| -> Item { names.iter().map(|name| ((*name).to_owned(), 1.into())).collect() };
        let (key, others) = split(&model, item(&["pk", "user_id", "name", "index_key"]));
        assert_eq!(
            (key, others),
            (item(&["pk", "user_id"]), item(&["name", "index_key"]))
        );
    }
}
