//! Tables for people: aligned columns, safe for a terminal. Sends nothing.

use std::collections::BTreeSet;

use tollgate_client::{Item, Model, Value};

use super::json::{compact, printable};
use super::typed;

/// The maximum width of a value in a table.
const MAX_CELL_CHARS: usize = 60;

/// The model's attributes in its own order, the key first.
pub(super) fn names(model: &Model) -> Vec<String> {
    let keys = [model.partition_key.clone(), model.sort_key.clone()];
    keys.into_iter()
        .chain(model.attributes.iter().map(|attribute| attribute.name.clone()))
        .collect()
}

/// Items, a line each, with a column for every attribute that one of them has.
pub(super) fn item_table(model: &Model, items: &[Item]) -> String {
    let mut others: BTreeSet<&String> = items.iter().flat_map(Item::keys).collect();
    let declared = names(model);
    let mut columns: Vec<&String> = Vec::new();
    for name in &declared {
        // the key is also among the attributes; each is removed once it has a column
        if others.remove(name) {
            columns.push(name);
        }
    }
    columns.extend(others);
    let mut rows = vec![columns.iter().map(|name| (*name).clone()).collect()];
    for item in items {
        let cells = columns.iter().map(|name| match item.get(*name) {
            Some(value) => cell(value, typed::kind_of(model, name)),
            None => String::new(),
        });
        rows.push(cells.collect());
    }
    table(&rows, false)
}

/// A value on one line, truncated if it is long.
fn cell(value: &Value, kind: &str) -> String {
    let text = match value {
        Value::String(text) => text.replace('\n', "\\n").replace('\t', "\\t"),
        other => compact(&typed::write(other.clone(), kind)),
    };
    match text.char_indices().nth(MAX_CELL_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Aligns columns; numbers are aligned to the right.
pub(super) fn table(rows: &[Vec<String>], is_numeric: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| printable(cell).chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                let cell = printable(cell);
                match is_numeric && column > 0 {
                    true => format!("{cell:>width$}"),
                    false => format!("{cell:<width$}"),
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use tollgate_client::Attribute;

    use super::*;

    #[test]
    fn an_item_table_has_the_columns_of_the_model_and_other_attributes() {
        let attribute = |name: &str, kind: &str| Attribute {
            name: name.into(),
            r#type: kind.into(),
            ..Attribute::default()
        };
        let model = Model {
            partition_key: "pk".into(),
            attributes: vec![
                attribute("n", "number"),
                attribute("pk", "string"),
                attribute("x", "list"),
            ],
            ..Model::default()
        };
        let items = [
            Item::from([("pk".into(), "a\nb\u{1b}".into()), ("n".into(), 5.into())]),
            Item::from([
                ("pk".into(), "c".into()),
                ("extra".into(), vec![Value::Null].into()),
            ]),
        ];
        let expected = "pk          n  extra\na\\nb\\u{1b}  5\nc              [null]\n";
        assert_eq!(item_table(&model, &items), expected);
        let long = [Item::from([("pk".into(), "é".repeat(61).into())])];
        assert!(item_table(&model, &long).ends_with(&format!("{}…\n", "é".repeat(60))));
    }
}
