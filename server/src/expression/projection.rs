//! Which attributes a read asks for, and the text that asks DynamoDB for them and for the keys.

use std::cmp::Ordering;

use super::ast::{Name, Path, Step};
use super::check::step_refusal;
use super::definitions::Definitions;
use super::{Expression, MAX_FAULTS, MAX_TEXT_BYTES, Placeholders, lexer, parser, quoted, render};
use crate::fault;
use crate::fault::Fault;
use crate::model::{AttributeType, Model};

/// Fields of one projection: as many as its text has room for, three bytes each and a comma.
const MAX_FIELDS: usize = MAX_TEXT_BYTES / 4;

/// What a read asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// The text to send: what was asked for and the key attributes, always. Keys open what is encrypted, resume pages,
    /// and tell an item without the asked attributes from none at all; they cost no capacity.
    pub text: String,
    attributes: Vec<String>,
}

impl Projection {
    /// The top-level names that were asked for, each once, in the order of the fields.
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }
}

/// The projection to `fields`, document paths of attributes that the model may or may not know: reads keep what they
/// do not know. Without fields nothing is projected, so that is a fault. Faults lie at `{root}[2]`.
pub fn projection(
    model: &Model,
    fields: &[String],
    root: &str,
    out: &mut Placeholders,
) -> Result<Projection, Vec<Fault>> {
    let root_path = fault::Path::Root(root);
    if fields.is_empty() || fields.len() > MAX_FIELDS {
        return Err(vec![Fault::new(
            root_path,
            format!("must name 1 to {MAX_FIELDS} attributes"),
        )]);
    }
    let mut faults = Vec::new();
    let mut paths = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        match field_path(model, field) {
            Ok(path) => paths.push((index, path)),
            Err(description) => faults.push(Fault::new(fault::Path::Index(&root_path, index), description)),
        }
    }
    faults.extend(clashes(&paths, &root_path));
    if !faults.is_empty() {
        faults.truncate(MAX_FAULTS);
        return Err(faults);
    }
    let projection = rendered(model, &paths, out);
    if projection.text.len() > MAX_TEXT_BYTES {
        return Err(vec![Fault::new(
            root_path,
            format!("together are longer than {MAX_TEXT_BYTES} bytes"),
        )]);
    }
    Ok(projection)
}

/// Reads one field. A declared attribute may be named whatever its characters are.
fn field_path<'a>(model: &Model, field: &'a str) -> Result<Path<'a>, String> {
    if model.attribute(field).is_some() {
        return Ok(Path {
            attribute: Name {
                text: field,
                is_placeholder: false,
                column: 1,
            },
            steps: Vec::new(),
        });
    }
    if field.len() > MAX_TEXT_BYTES {
        return Err(format!("is longer than {MAX_TEXT_BYTES} bytes"));
    }
    let path = parser::path(&lexer::tokens(field))
        .map_err(|error| format!("column {}: {}", error.column, error.description))?;
    if let Some(name) = names(&path).find(|name| name.is_placeholder) {
        return Err(format!(
            "column {}: a field has no {}: names stand for themselves",
            name.column,
            quoted(name.text)
        ));
    }
    if let Some(refusal) = refusal(model, &path) {
        return Err(refusal);
    }
    Ok(path)
}

/// Why nothing can be read at a path into an attribute that the model knows, if so.
fn refusal(model: &Model, path: &Path<'_>) -> Option<String> {
    let step = path.steps.first()?;
    let attribute = model.attribute(path.attribute.text)?;
    let name = quoted(&attribute.name);
    if attribute.encrypted.is_some() {
        return Some(format!(
            "{name} is encrypted: it can only be asked for as a whole"
        ));
    }
    if attribute.kind == AttributeType::Object {
        return Some(format!(
            "{name} is an object: it can only be asked for as a whole"
        ));
    }
    step_refusal(attribute, Some(step))
}

fn names<'p, 'a>(path: &'p Path<'a>) -> impl Iterator<Item = &'p Name<'a>> {
    let below = path.steps.iter().filter_map(|step| match step {
        Step::Name(name) => Some(name),
        Step::Index(_) => None,
    });
    std::iter::once(&path.attribute).chain(below)
}

fn rendered(model: &Model, paths: &[(usize, Path<'_>)], out: &mut Placeholders) -> Projection {
    let expression = Expression::default();
    let definitions = Definitions::new(&expression, "");
    let mut texts: Vec<_> = paths
        .iter()
        .map(|(_, path)| render::path(model, path, definitions, out))
        .collect();
    let mut attributes: Vec<String> = Vec::new();
    for (_, path) in paths {
        if !attributes.iter().any(|name| name == path.attribute.text) {
            attributes.push(path.attribute.text.to_owned());
        }
    }
    let unasked = model
        .key_names()
        .filter(|key| !attributes.iter().any(|name| name == key));
    texts.extend(unasked.map(|key| out.name(super::stored_name(model, key))));
    Projection {
        text: texts.join(","),
        attributes,
    }
}

/// Fields of which one holds the other, or that go on in different ways from one place: DynamoDB takes neither.
fn clashes(paths: &[(usize, Path<'_>)], root: &fault::Path<'_>) -> Vec<Fault> {
    let mut sorted: Vec<_> = paths.iter().map(|(index, path)| (steps(path), *index)).collect();
    sorted.sort();
    let mut faults = Vec::new();
    let Some((mut holder, rest)) = sorted.split_first() else {
        return faults;
    };
    for next in rest {
        let (earlier, later) = (holder.1.min(next.1), holder.1.max(next.1));
        let at = fault::Path::Index(root, later);
        if next.0.starts_with(&holder.0) {
            faults.push(Fault::new(
                at,
                format!("overlaps with {}", fault::Path::Index(root, earlier)),
            ));
            continue;
        }
        let parting = holder
            .0
            .iter()
            .zip(&next.0)
            .find(|(one, other)| one.cmp(other) != Ordering::Equal);
        if let Some((Part::Index(_), Part::Name(_))) = parting {
            let other = fault::Path::Index(root, earlier);
            faults.push(Fault::new(
                at,
                format!("asks for a map where {other} asks for a list, or the other way round"),
            ));
        }
        holder = next;
    }
    faults
}

/// One element of a path, in the order in which paths are sorted: indexes before names.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Index(u32),
    Name(&'a str),
}

fn steps<'a>(path: &Path<'a>) -> Vec<Part<'a>> {
    let below = path.steps.iter().map(|step| match step {
        Step::Index(index) => Part::Index(*index),
        Step::Name(name) => Part::Name(name.text),
    });
    std::iter::once(Part::Name(path.attribute.text))
        .chain(below)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{model, told};
    use super::*;

    fn project(fields: &[&str]) -> Result<Projection, Vec<String>> {
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        projection(&model(), &fields, "fields", &mut Placeholders::new()).map_err(told)
    }

    #[test]
    fn asks_for_the_keys_too() {
        let mut out = Placeholders::new();
        let fields = ["ssn", "address.city", "address.lines[0]", "status"].map(str::to_owned);
        let projection = projection(&model(), &fields, "fields", &mut out).unwrap();
        assert_eq!(projection.text, "#n0,#n1.#n2,#n1.#n3[0],#n4,#n5,#n6");
        assert_eq!(projection.attributes(), ["ssn", "address", "status"]);
        let (names, _) = out.into_parts();
        assert_eq!((names["#n5"].as_str(), names["#n6"].as_str()), ("pk", "sk"));
    }

    #[test]
    fn asks_once_for_keys_that_were_asked_for() {
        let projection = project(&["sk", "name"]).unwrap();
        assert_eq!(projection.attributes(), ["sk", "name"]);
        assert_eq!(projection.text, "#n0,#n1,#n2");
    }

    #[test]
    fn names_need_not_be_known_nor_plain_where_they_are_declared() {
        assert_eq!(
            project(&["unknown.a[1]", "first-name", "and", "not.in", "photo"])
                .unwrap()
                .attributes()
                .len(),
            5
        );
    }

    #[test]
    fn tells_what_is_wrong_with_each_field() {
        let wrong = [
            ("", "column 1: expected an attribute, found the end"),
            ("a..b", "column 3: expected a name, found `.`"),
            ("a[", "column 3: expected an index such as 0, found the end"),
            ("a b", "column 3: expected `.`, `[` or the end, found \"b\""),
            (
                "last-name",
                "column 5: expected `.`, `[` or the end, found a character that no expression has: values are written as :name, other names as #name",
            ),
            ("c,d", "column 2: expected `.`, `[` or the end, found `,`"),
            (":x", "column 1: expected an attribute, found \":x\""),
            (
                "x.#y",
                "column 3: a field has no \"#y\": names stand for themselves",
            ),
            ("size(x)", "column 5: expected `.`, `[` or the end, found `(`"),
            (
                "ssn.part",
                "\"ssn\" is encrypted: it can only be asked for as a whole",
            ),
            (
                "photo.bucket",
                "\"photo\" is an object: it can only be asked for as a whole",
            ),
            ("name.first", "\"name\" is a string: there is nothing within it"),
            (
                "tags.first",
                "\"tags\" is a list: its members are asked for by [index]",
            ),
        ];
        let told = project(&wrong.map(|(field, _)| field)).unwrap_err();
        let expected = wrong
            .iter()
            .enumerate()
            .map(|(index, (_, told))| format!("fields[{index}]: {told}"));
        assert_eq!(told, expected.collect::<Vec<_>>());
    }

    #[test]
    fn paths_do_not_overlap_or_clash() {
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
        let clash = project(&["a.b[1].c", "a.b.c"]).unwrap_err();
        assert_eq!(
            clash,
            ["fields[1]: asks for a map where fields[0] asks for a list, or the other way round"]
        );
        assert!(project(&["a.b[1].c", "a.b[1].d", "a.b[10]", "a.bb", "ab"]).is_ok());
    }

    #[test]
    fn no_fields_are_no_projection() {
        assert_eq!(
            project(&[]).unwrap_err(),
            ["fields: must name 1 to 1024 attributes"]
        );
    }
}
