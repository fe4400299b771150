//! The attributes that a read requests, rendered as a projection that also contains the keys.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::ast::{Name, Step};
use super::check::step_refusal;
use super::field_path::{FieldPath, Part};
use super::names::{quoted, undeclared, undeclared_field};
use super::narrow::narrow;
use super::placeholders::Placeholders;
use crate::fault;
use crate::fault::{Fault, Faults};
use crate::model::limits::MAX_EXPRESSION_BYTES;
use crate::model::{Attribute, AttributeType, Index, Item, Model};

/// Maximum number of fields: as many as the text can contain, with three bytes each and a comma.
const MAX_FIELDS: usize = MAX_EXPRESSION_BYTES / 4;

/// What a read reads from.
pub struct ReadScope<'a> {
    /// The model, or the attributes of several models together.
    pub model: &'a Model,
    /// The index; `None`: the table.
    pub index: Option<&'a Index>,
    /// Stored names of attributes that the read needs beside the keys of the table.
    pub needed: Vec<String>,
}

impl<'a> ReadScope<'a> {
    /// Reads from the table of one model.
    pub fn table(model: &'a Model) -> ReadScope<'a> {
        ReadScope {
            model,
            index: None,
            needed: model.deciding_names().map(str::to_owned).collect(),
        }
    }
}

/// The attributes that a read requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// The rendered text: the requested attributes and the key attributes. The keys are needed to decrypt values, to resume
    /// pages, and to distinguish an item without the requested attributes from a missing item. They cost no capacity.
    pub text: String,
    attributes: Vec<String>,
    /// The paths that lead into attributes.
    nested: Vec<(String, Vec<Part<'static>>)>,
}

impl Projection {
    /// The keys alone, and what else the read needs: for counting.
    pub fn keys_only(scope: &ReadScope<'_>, out: &mut Placeholders) -> Projection {
        rendered(scope, &[], out)
    }

    /// Leaves of an opened item that was read as a whole what the store would return: of attributes that paths lead into,
    /// the members at these paths.
    pub fn narrow(&self, item: &mut Item) {
        narrow(item, &self.nested);
    }

    /// The requested top-level names, without duplicates, in the order of the fields.
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }
}

/// Renders a projection to `fields`, which are document paths, and to whole `attributes` of the model. Undeclared
/// attributes are faults if the model rejects them on writes, and so are those that a global index does not contain. It
/// is a fault if there are no fields. Faults are at `{root}[2]`.
///
/// # Errors
///
/// All faults.
pub fn projection(
    scope: &ReadScope<'_>,
    fields: &[String],
    attributes: &[String],
    root: &str,
    out: &mut Placeholders,
) -> Result<Projection, Faults> {
    let root_path = fault::Path::Root(root);
    if fields.is_empty() || fields.len() > MAX_FIELDS {
        return Err(Fault::new(root_path, format_args!("must list 1 to {MAX_FIELDS} attributes")).into());
    }
    let mut faults = Faults::new();
    let mut paths = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        match field_path(scope, field) {
            Ok(path) => paths.push((index, path)),
            Err(description) => faults.push(fault::Path::Index(&root_path, index), description),
        }
    }
    check_conflicts(&paths, &root_path, &mut faults);
    faults.into_result()?;
    let mut paths: Vec<_> = paths.into_iter().map(|(_, path)| path).collect();
    for attribute in attributes {
        if !paths.iter().any(|path| path.attribute == *attribute) {
            paths.push(FieldPath::whole(attribute));
        }
    }
    let projection = rendered(scope, &paths, out);
    if projection.text.len() > MAX_EXPRESSION_BYTES {
        return Err(Fault::new(
            root_path,
            format_args!("are longer than {MAX_EXPRESSION_BYTES} bytes in total"),
        )
        .into());
    }
    Ok(projection)
}

/// Parses one field. The name of a declared attribute need not be quoted if it is unambiguous.
fn field_path<'a>(scope: &ReadScope<'_>, field: &'a str) -> Result<FieldPath<'a>, String> {
    if field.len() > MAX_EXPRESSION_BYTES {
        return Err(format!("is longer than {MAX_EXPRESSION_BYTES} bytes"));
    }
    let model = scope.model;
    let read = FieldPath::read(field);
    let is_known = |path: &FieldPath<'_>| model.attribute(&path.attribute).is_some();
    if !read.as_ref().is_ok_and(is_known) && model.attribute(field).is_some() {
        let whole = FieldPath::whole(field);
        return index_refusal(scope, &whole).map_or(Ok(whole), Err);
    }
    let path = read?;
    match refusal(model, &path).or_else(|| index_refusal(scope, &path)) {
        Some(refusal) => Err(refusal),
        None => Ok(path),
    }
}

/// Why the index does not allow to read a path, if it does not. Of a local index, DynamoDB reads whole items from the
/// table for attributes that the index does not contain.
fn index_refusal(scope: &ReadScope<'_>, path: &FieldPath<'_>) -> Option<String> {
    let index = scope.index?;
    if scope.model.index_contains(index, &path.attribute) {
        return None;
    }
    let (name, index_name) = (quoted(&path.attribute), quoted(&index.name));
    if !index.local {
        return Some(format!(
            "{name} is not in the projection of the index {index_name}; read it from the table"
        ));
    }
    let is_nested = !path.steps.is_empty();
    is_nested.then(|| {
        format!("{name} is not in the projection of the index {index_name}: it can only be read as a whole")
    })
}

/// Why a path cannot be read, if it cannot.
fn refusal(model: &Model, path: &FieldPath<'_>) -> Option<String> {
    let Some(attribute) = model.attribute(&path.attribute) else {
        return undeclared(model, &path.attribute);
    };
    let step = match path.steps.first()? {
        Part::Index(index) => Step::Index(*index),
        Part::Name(name) => Step::Name(Name {
            text: name,
            is_placeholder: false,
            column: 1,
        }),
    };
    let name = quoted(&attribute.name);
    if attribute.encrypted.is_some() {
        return Some(format!("{name} is encrypted: it can only be read as a whole"));
    }
    if attribute.kind == AttributeType::Object {
        return Some(format!("{name} is an object: it can only be read as a whole"));
    }
    let steps = path.steps.iter().map(|step| match step {
        Part::Index(_) => None,
        Part::Name(name) => Some(name.as_ref()),
    });
    step_refusal(attribute, Some(&step)).or_else(|| undeclared_field(model, attribute, steps))
}

fn rendered(scope: &ReadScope<'_>, paths: &[FieldPath<'_>], out: &mut Placeholders) -> Projection {
    let model = scope.model;
    let mut texts: Vec<_> = paths.iter().map(|path| path_text(model, path, out)).collect();
    let mut attributes: Vec<String> = Vec::new();
    let mut stored_names: Vec<&str> = Vec::new();
    for path in paths {
        if !attributes.iter().any(|name| *name == path.attribute) {
            attributes.push(path.attribute.clone().into_owned());
        }
        stored_names.push(model.stored_name(&path.attribute));
    }
    let keys = model.key_names().map(|name| model.stored_name(name));
    let index_keys = scope.index.into_iter().flat_map(Index::key_names);
    let index_keys = index_keys.map(|name| model.stored_name(name));
    let needed = scope.needed.iter().map(String::as_str);
    for name in keys.chain(index_keys).chain(needed) {
        if !stored_names.contains(&name) {
            stored_names.push(name);
            texts.push(out.name(name));
        }
    }
    let nested = paths.iter().filter(|path| !path.steps.is_empty());
    let nested = nested.map(|path| {
        let steps = path.steps.iter().map(Part::to_static);
        (path.attribute.clone().into_owned(), steps.collect())
    });
    Projection {
        text: texts.join(","),
        attributes,
        nested: nested.collect(),
    }
}

/// The path by stored names, nested ones too.
fn path_text(model: &Model, path: &FieldPath<'_>, out: &mut Placeholders) -> String {
    let mut attribute: Option<&Attribute> = model.attribute(&path.attribute);
    let mut text = out.name(model.stored_name(&path.attribute));
    for step in &path.steps {
        match step {
            Part::Index(index) => {
                write!(text, "[{index}]").expect("writing to a string never fails");
                attribute = attribute.and_then(|list| list.items.as_deref());
            }
            Part::Name(name) => {
                attribute = attribute.and_then(|map| map.attribute(name));
                text.push('.');
                text.push_str(&out.name(attribute.map_or(name.as_ref(), |field| &field.stored_name)));
            }
        }
    }
    text
}

/// Reports fields that overlap, and fields that use the same place both as a list and as a map. DynamoDB refuses both.
fn check_conflicts(paths: &[(usize, FieldPath<'_>)], root: &fault::Path<'_>, faults: &mut Faults) {
    let mut sorted: Vec<_> = paths.iter().map(|(index, path)| (path, *index)).collect();
    sorted.sort_by(|(one, first), (other, second)| {
        (&one.attribute, &one.steps, first).cmp(&(&other.attribute, &other.steps, second))
    });
    let Some((mut previous, rest)) = sorted.split_first() else {
        return;
    };
    for next in rest {
        let (earlier, later) = (previous.1.min(next.1), previous.1.max(next.1));
        let at = fault::Path::Index(root, later);
        let other = fault::Path::Index(root, earlier);
        let is_same_attribute = next.0.attribute == previous.0.attribute;
        if is_same_attribute && next.0.steps.starts_with(&previous.0.steps) {
            faults.push(at, format_args!("overlaps with {other}"));
            continue;
        }
        let mut steps = previous.0.steps.iter().zip(&next.0.steps);
        let difference = steps.find(|(one, other)| one.cmp(other) != Ordering::Equal);
        if let Some((Part::Index(_), Part::Name(_))) = difference.filter(|_| is_same_attribute) {
            faults.push(
                at,
                format_args!("uses as a map what {other} uses as a list, or the reverse"),
            );
        }
        previous = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{model, open_model, texts};
    use super::*;
    use crate::model::testing::attribute;

    fn project(fields: &[&str]) -> Result<Projection, Vec<String>> {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        projection(
            &ReadScope::table(&open_model()),
            &fields,
            &[],
            "fields",
            &mut Placeholders::new(),
        )
        .map_err(texts)
    }

    #[test]
    fn includes_the_keys() {
        let mut out = Placeholders::new();
        let fields = ["ssn", "address.city", "address.lines[0]", "active"].map(str::to_owned);
        let projection = projection(&ReadScope::table(&model()), &fields, &[], "fields", &mut out).unwrap();
        assert_eq!(projection.text, "#n0,#n1.#n2,#n1.#n3[0],#n4,#n5,#n6");
        assert_eq!(projection.attributes(), ["ssn", "address", "active"]);
        let (names, _) = out.into_parts();
        assert_eq!((names["#n5"].as_str(), names["#n6"].as_str()), ("pk", "sk"));
    }

    #[test]
    fn includes_requested_keys_once() {
        let projection = project(&["sk", "name"]).unwrap();
        assert_eq!(projection.attributes(), ["sk", "name"]);
        assert_eq!(projection.text, "#n0,#n1,#n2");
    }

    #[test]
    fn refuses_undeclared_names_only_if_the_model_rejects_them() {
        let fields = ["unknown.a[1]", "first-name", "and", "not.in", "photo"];
        assert_eq!(project(&fields).unwrap().attributes().len(), 5);
        let fields = fields.map(str::to_owned);
        let refused = projection(
            &ReadScope::table(&model()),
            &fields,
            &[],
            "fields",
            &mut Placeholders::new(),
        )
        .map_err(texts);
        assert_eq!(
            refused.unwrap_err(),
            [
                r#"fields[0]: User has no attribute "unknown""#,
                r#"fields[2]: User has no attribute "and""#,
                r#"fields[3]: User has no attribute "not""#,
            ]
        );
        let near = ["nmae".to_owned(), "adress.city".to_owned()];
        let refused = projection(
            &ReadScope::table(&model()),
            &near,
            &[],
            "fields",
            &mut Placeholders::new(),
        )
        .map_err(texts);
        assert_eq!(
            refused.unwrap_err(),
            [
                r#"fields[0]: User has no attribute "nmae" (did you mean `name`?)"#,
                r#"fields[1]: User has no attribute "adress" (did you mean `address`?)"#,
            ]
        );
    }

    #[test]
    fn accepts_any_map_key() {
        let mut out = Placeholders::new();
        let fields = ["address.2024-05-01", r#"address."a.b"[0]"#, r#"address."a\"b""#].map(str::to_owned);
        let projection = projection(&ReadScope::table(&model()), &fields, &[], "fields", &mut out).unwrap();
        assert_eq!(projection.text, "#n0.#n1,#n0.#n2[0],#n0.#n3,#n4,#n5");
        let (names, _) = out.into_parts();
        let keys = ["#n1", "#n2", "#n3"].map(|placeholder| names[placeholder].as_str());
        assert_eq!(keys, ["2024-05-01", "a.b", "a\"b"]);
    }

    #[test]
    fn a_declared_name_need_not_be_quoted() {
        let mut dotted = model();
        dotted.attributes.push(attribute("a.b", AttributeType::Map));
        dotted
            .attributes
            .push(attribute("address.city", AttributeType::Map));
        let fields = ["a.b", "address.city", r#""address.city".zip"#].map(str::to_owned);
        let mut out = Placeholders::new();
        let projection = projection(&ReadScope::table(&dotted), &fields, &[], "fields", &mut out).unwrap();
        assert_eq!(projection.attributes(), ["a.b", "address", "address.city"]);
    }

    #[test]
    fn adds_whole_attributes_once() {
        let mut out = Placeholders::new();
        let fields = ["photo", "name"].map(str::to_owned);
        let attributes = ["photo", "tags"].map(str::to_owned);
        let projection = projection(
            &ReadScope::table(&model()),
            &fields,
            &attributes,
            "fields",
            &mut out,
        )
        .unwrap();
        assert_eq!(projection.attributes(), ["photo", "name", "tags"]);
    }

    #[test]
    fn reports_the_fault_of_each_field() {
        let wrong = [
            ("", "column 1: expected a name, found the end"),
            ("a..b", "column 3: expected a name, found `.`"),
            ("a[", "column 3: expected an index such as 0, found the end"),
            ("ssn.part", "\"ssn\" is encrypted: it can only be read as a whole"),
            (
                "photo.bucket",
                "\"photo\" is an object: it can only be read as a whole",
            ),
            ("name.first", "\"name\" is a string: it has no members"),
            ("tags.first", "\"tags\" is a list: use [index] for its members"),
        ];
        let actual = project(&wrong.map(|(field, _)| field)).unwrap_err();
        let expected = wrong
            .iter()
            .enumerate()
            .map(|(index, (_, fault))| format!("fields[{index}]: {fault}"));
        assert_eq!(actual, expected.collect::<Vec<_>>());
    }

    #[test]
    fn refuses_overlapping_and_conflicting_paths() {
        assert_eq!(
            project(&["a", "b", "a"]).unwrap_err(),
            ["fields[2]: overlaps with fields[0]"]
        );
        assert_eq!(
            project(&["a.b.c", "ab", "a.b"]).unwrap_err(),
            ["fields[2]: overlaps with fields[0]"]
        );
        let all = project(&["a.x", "a", "a[0]", "a.y.z"]).unwrap_err();
        assert_eq!(
            all,
            [
                "fields[2]: overlaps with fields[1]",
                "fields[1]: overlaps with fields[0]",
                "fields[3]: overlaps with fields[1]"
            ]
        );
        let conflict = project(&["a.b[1].c", "a.b.c"]).unwrap_err();
        assert_eq!(
            conflict,
            ["fields[1]: uses as a map what fields[0] uses as a list, or the reverse"]
        );
        assert!(project(&["a.b[1].c", "a.b[1].d", "a.b[10]", "a.bb", "ab"]).is_ok());
    }

    #[test]
    fn requires_at_least_one_field() {
        assert_eq!(
            project(&[]).unwrap_err(),
            ["fields: must list 1 to 1024 attributes"]
        );
    }
}
