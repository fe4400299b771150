//! Expressions that are nearly always valid: texts in DynamoDB's syntax over the attributes of a model, with the
//! definitions of their placeholders.

use tollgate::expression::Expression;
use tollgate::model::{Attribute, AttributeType, Index, Model, Value};

use super::input::Input;
use super::{mutation, values};

/// Words and marks that mutations insert.
const DICTIONARY: [&str; 40] = [
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "attribute_exists(",
    "begins_with(",
    "attribute_not_exists(",
    "attribute_type(",
    "contains(",
    "size(",
    "if_not_exists(",
    "list_append(",
    "(",
    ")",
    "[",
    "]",
    "[0]",
    "[4294967295]",
    "[99999999999]",
    ".",
    ",",
    "=",
    "<>",
    "<=",
    ">",
    "+",
    "-",
    ":v0",
    ":v1",
    ":undefined",
    "#n0",
    "#undefined",
    "size",
    "pk",
    "status",
];

const COMPARATORS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];

/// Deepest nesting of conditions and functions.
const DEPTH: usize = 4;

/// An expression that is being written.
struct Draft<'i, 'm> {
    input: &'i mut Input,
    model: &'m Model,
    expression: Expression,
    /// Whether it avoids what is certainly refused.
    is_careful: bool,
}

/// A condition or filter.
pub(crate) fn condition(input: &mut Input, model: &Model) -> Expression {
    whole(input, model, |draft| draft.condition(0))
}

/// An update.
pub(crate) fn update(input: &mut Input, model: &Model) -> Expression {
    whole(input, model, |draft| draft.update())
}

/// A key condition of the table or of an index.
pub(crate) fn key_condition(input: &mut Input, model: &Model, index: Option<&Index>) -> Expression {
    whole(input, model, |draft| draft.key_condition(index))
}

/// A path in `fields`, where names are quoted instead of having placeholders.
pub(crate) fn field(input: &mut Input, model: &Model) -> String {
    let mut expression = whole(input, model, |draft| draft.path().0);
    let quotes = input.once_in(3);
    let mut names: Vec<_> = std::mem::take(&mut expression.names).into_iter().collect();
    names.sort_unstable_by_key(|(placeholder, _)| std::cmp::Reverse(placeholder.len()));
    for (placeholder, name) in names {
        let name = if quotes { format!("{name:?}") } else { name };
        expression.text = expression.text.replace(&placeholder, &name);
    }
    expression.text
}

/// Whether hardly an expression can use an attribute.
fn is_special(model: &Model, attribute: &Attribute) -> bool {
    let is_part = |other: &Attribute| {
        let template = other.template.as_ref();
        template.is_some_and(|template| template.has_part(&attribute.name))
    };
    attribute.encrypted.is_some()
        || attribute.compressed.is_some()
        || attribute.s3.is_some()
        || attribute.template.is_some()
        || attribute.kind == AttributeType::Version
        || model.is_key(&attribute.name)
        || model.attributes.iter().any(is_part)
}

fn whole(input: &mut Input, model: &Model, write: impl FnOnce(&mut Draft<'_, '_>) -> String) -> Expression {
    let is_careful = !input.once_in(3);
    let mut draft = Draft {
        input,
        model,
        expression: Expression::default(),
        is_careful,
    };
    let text = write(&mut draft);
    let Draft {
        input,
        mut expression,
        ..
    } = draft;
    expression.text = match input.once_in(4) {
        true => mutation::text(input, text, &DICTIONARY),
        false => text,
    };
    if input.once_in(30) {
        let value = values::any(input, 0);
        expression
            .values
            .insert(input.pick(&[":v0", ":unused", "v", ":a-b", ""]).to_owned(), value);
        expression.names.insert(
            input.pick(&["#n0", "#unused", "n", "#", ""]).to_owned(),
            "total".to_owned(),
        );
    }
    expression
}

impl<'m> Draft<'_, 'm> {
    /// A path, and the attribute that it leads to, if that is declared.
    fn path(&mut self) -> (String, Option<&'m Attribute>) {
        let model = self.model;
        if self.errs(12) {
            let name = self
                .input
                .pick(&["unknown", "a.b[0]", "not", "between", "e\u{301}", "customers"]);
            return (self.name(name), None);
        }
        let mut attribute = self.input.choose(&model.attributes);
        while self.is_careful && is_special(model, attribute) {
            attribute = self.input.choose(&model.attributes);
        }
        let mut text = self.name(&attribute.name);
        while self.input.once_in(2) {
            if let Some(items) = attribute.items.as_deref() {
                text.push_str(&format!("[{}]", self.input.below(3)));
                attribute = items;
            } else if !attribute.attributes.is_empty() {
                attribute = self.input.choose(&attribute.attributes);
                text.push('.');
                text.push_str(&self.name(&attribute.name));
            } else if self.errs(4) {
                let step = self.input.pick(&["[0]", "[17]", ".x", ".and", ".#n0"]);
                return (text + step, None);
            } else {
                break;
            }
        }
        (text, Some(attribute))
    }

    /// A name as the text has it: itself or a placeholder.
    fn name(&mut self, name: &str) -> String {
        let is_word = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_word && !self.input.once_in(6) {
            return name.to_owned();
        }
        let placeholder = format!("#n{}", self.expression.names.len());
        if !self.errs(20) {
            self.expression.names.insert(placeholder.clone(), name.to_owned());
        }
        placeholder
    }

    /// Whether to make a mistake, once in `bound` times.
    fn errs(&mut self, bound: u64) -> bool {
        !self.is_careful && self.input.once_in(bound)
    }

    fn value_of(&mut self, attribute: Option<&Attribute>) -> Value {
        match attribute {
            Some(attribute) if self.is_careful => values::fitting(self.input, attribute, 0),
            _ => values::of(self.input, attribute),
        }
    }

    fn value(&mut self, attribute: Option<&Attribute>) -> String {
        let count = self.expression.values.len();
        if count > 0 && self.errs(6) {
            return format!(":v{}", self.input.below(count));
        }
        let value = self.value_of(attribute);
        self.define(value)
    }

    fn define(&mut self, value: Value) -> String {
        let placeholder = format!(":v{}", self.expression.values.len());
        if !self.errs(20) {
            self.expression.values.insert(placeholder.clone(), value);
        }
        placeholder
    }

    /// A member of what the attribute holds.
    fn member(&mut self, attribute: Option<&Attribute>) -> String {
        let whole = self.value_of(attribute);
        let member = match whole {
            Value::SS(texts) => texts.into_iter().next().map(Value::S),
            Value::NS(numbers) => numbers.into_iter().next().map(Value::N),
            Value::BS(all) => all.into_iter().next().map(Value::B),
            Value::L(values) => values.into_iter().next(),
            other => Some(other),
        };
        self.define(member.unwrap_or(Value::Null))
    }

    fn operand(&mut self, attribute: Option<&Attribute>) -> String {
        match self.input.below(8) {
            0 if !self.is_careful => self.path().0,
            1 if !self.is_careful => format!("size({})", self.path().0),
            _ => self.value(attribute),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        let kinds = if depth < DEPTH { 15 } else { 10 };
        let kind = self.input.below(kinds);
        let (path, attribute) = self.path();
        match kind {
            0..=2 => {
                let comparator = self.input.pick(&COMPARATORS);
                let other = self.operand(attribute);
                match self.input.once_in(5) {
                    true => format!("{other} {comparator} {path}"),
                    false => format!("{path}{comparator}{other}"),
                }
            }
            3 => format!(
                "{path} BETWEEN {} and {}",
                self.operand(attribute),
                self.operand(attribute)
            ),
            4 => {
                let count = if self.input.once_in(40) {
                    102
                } else {
                    1 + self.input.below(4)
                };
                let all: Vec<_> = (0..count).map(|_| self.operand(attribute)).collect();
                format!("{path} IN ({})", all.join(", "))
            }
            5 => format!("attribute_exists({path})"),
            6 => format!("attribute_not_exists({path})"),
            7 => {
                let kind = self.input.pick(&["S", "N", "SS", "NULL", "X", values::SECRET]);
                let value = self.define(Value::S(kind.to_owned()));
                format!("attribute_type({path}, {value})")
            }
            8 => format!("begins_with({path},{})", self.operand(attribute)),
            9 => match self.input.once_in(2) {
                true => format!("contains({path}, {})", self.member(attribute)),
                false => {
                    let number = self.value(None);
                    format!("size({path}) {} {number}", self.input.pick(&COMPARATORS))
                }
            },
            10 => format!("NOT {}", self.condition(depth + 1)),
            11 => format!("({})", self.condition(depth + 1)),
            12 | 13 => format!("{} AND {}", self.condition(depth + 1), self.condition(depth + 1)),
            _ => format!("{} OR {}", self.condition(depth + 1), self.condition(depth + 1)),
        }
    }

    fn update(&mut self) -> String {
        let mut clauses = vec!["SET", "REMOVE", "ADD", "DELETE"];
        let mut text = String::new();
        while !clauses.is_empty() && (text.is_empty() || self.input.once_in(3)) {
            let clause = clauses.remove(self.input.below(clauses.len()));
            let actions: Vec<_> = (0..=self.input.below(3)).map(|_| self.action(clause)).collect();
            text.push_str(&format!("{clause} {} ", actions.join(", ")));
        }
        text
    }

    fn action(&mut self, clause: &str) -> String {
        let (path, attribute) = self.path();
        match clause {
            "SET" => format!("{path} = {}", self.assigned(&path, attribute)),
            "REMOVE" => path,
            _ => format!("{path} {}", self.value(attribute)),
        }
    }

    fn assigned(&mut self, path: &str, attribute: Option<&Attribute>) -> String {
        match self.input.below(8) {
            0 => format!("{path} + {}", self.value(attribute)),
            1 => format!("{} - {path}", self.value(attribute)),
            2 => format!(
                "if_not_exists({path}, {})",
                self.assigned_operand(path, attribute, 0)
            ),
            3 => format!(
                "list_append({path}, {})",
                self.assigned_operand(path, attribute, 0)
            ),
            4 => self.assigned_operand(path, attribute, 0),
            _ => self.value(attribute),
        }
    }

    fn assigned_operand(&mut self, path: &str, attribute: Option<&Attribute>, depth: usize) -> String {
        let deepest = if self.input.once_in(40) { 40 } else { DEPTH };
        match self.input.below(if depth < deepest { 5 } else { 3 }) {
            0 => path.to_owned(),
            1 => self.path().0,
            2 => self.value(attribute),
            3 => {
                let other = self.path().0;
                format!(
                    "if_not_exists({other}, {})",
                    self.assigned_operand(path, attribute, depth + 1)
                )
            }
            _ => {
                let value = self.value(attribute);
                format!(
                    "list_append({value}, {})",
                    self.assigned_operand(path, attribute, depth + 1)
                )
            }
        }
    }

    fn key_condition(&mut self, index: Option<&Index>) -> String {
        let model = self.model;
        let keys: Vec<&str> = match index {
            Some(index) => index.key_names().collect(),
            None => model.key_names().collect(),
        };
        let mut terms = Vec::new();
        for (position, key) in keys.iter().enumerate() {
            let key = model.attribute(key).expect("keys are declared");
            let is_last = position + 1 == keys.len();
            match &key.template {
                Some(template) if !self.input.once_in(4) => {
                    let parts: Vec<&str> = template.parts().map(|part| part.attribute()).collect();
                    let given = if self.input.once_in(3) {
                        self.input.below(parts.len() + 1)
                    } else {
                        parts.len()
                    };
                    for (number, part) in parts.iter().take(given).enumerate() {
                        let part = model.attribute(part).expect("parts are declared");
                        terms.push(self.term(part, is_last && number + 1 == given));
                    }
                }
                _ if is_last && self.input.once_in(3) => {}
                _ => terms.push(self.term(key, is_last)),
            }
        }
        if self.input.once_in(15) {
            terms.push(self.condition(DEPTH));
        }
        terms.join(" AND ")
    }

    /// A comparison of a key or part.
    fn term(&mut self, attribute: &Attribute, is_range: bool) -> String {
        let name = self.name(&attribute.name);
        match if is_range || self.errs(20) {
            self.input.below(6)
        } else {
            0
        } {
            1 => format!(
                "{name} BETWEEN {} AND {}",
                self.value(Some(attribute)),
                self.value(Some(attribute))
            ),
            2 => format!("begins_with({name}, {})", self.value(Some(attribute))),
            3 => format!(
                "{name} {} {}",
                self.input.pick(&COMPARATORS),
                self.value(Some(attribute))
            ),
            4 => format!(
                "{} {} {name}",
                self.value(Some(attribute)),
                self.input.pick(&COMPARATORS)
            ),
            _ => format!("{name} = {}", self.value(Some(attribute))),
        }
    }
}
