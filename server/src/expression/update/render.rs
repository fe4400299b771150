//! From checked changes to DynamoDB's text, every name and value behind a placeholder.

use std::fmt::Write as _;

use super::super::names::stored_name;
use super::super::placeholders::Placeholders;
use super::changes::{Action, Assigned, Operand, Step, Target, Update};
use crate::fault::{Fault, Faults, Path};
use crate::model::Model;
use crate::model::limits::{MAX_EXPRESSION_BYTES, MAX_SUBSTITUTED_BYTES};

impl Update {
    /// The text to send; its names and values go to `out`. `root` is the request's field.
    ///
    /// # Errors
    ///
    /// If text, names and values together are larger than DynamoDB accepts.
    pub fn render(&self, model: &Model, root: &str, out: &mut Placeholders) -> Result<String, Faults> {
        let mut renderer = Renderer {
            model,
            out,
            clauses: Default::default(),
        };
        for action in &self.actions {
            renderer.action(action);
        }
        let text = renderer.text();
        let field = Path::Root(root);
        if text.len() > MAX_EXPRESSION_BYTES {
            let description =
                format!("is longer than {MAX_EXPRESSION_BYTES} bytes when every name has a placeholder");
            return Err(Fault::new(Path::Name(&field, "text"), description).into());
        }
        if out.substituted_bytes() > MAX_SUBSTITUTED_BYTES {
            let description =
                format!("names and values have more than {MAX_SUBSTITUTED_BYTES} bytes together");
            return Err(Fault::new(Path::Name(&field, "values"), description).into());
        }
        Ok(text)
    }
}

const CLAUSES: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];

struct Renderer<'r> {
    model: &'r Model,
    out: &'r mut Placeholders,
    /// The actions of each clause.
    clauses: [Vec<String>; CLAUSES.len()],
}

impl Renderer<'_> {
    fn action(&mut self, action: &Action) {
        let target = self.path(action.target());
        let (clause, text) = match action {
            Action::Set(_, assigned) => (0, format!("{target}={}", self.assigned(assigned))),
            Action::Remove(_) => (1, target),
            Action::Add(_, value) => (2, format!("{target} {}", self.out.value(value.clone()))),
            Action::Delete(_, value) => (3, format!("{target} {}", self.out.value(value.clone()))),
        };
        self.clauses[clause].push(text);
    }

    fn assigned(&mut self, assigned: &Assigned) -> String {
        match assigned {
            Assigned::Operand(operand) => self.operand(operand),
            Assigned::Sum(left, right) => format!("{}+{}", self.operand(left), self.operand(right)),
            Assigned::Difference(left, right) => format!("{}-{}", self.operand(left), self.operand(right)),
        }
    }

    fn operand(&mut self, operand: &Operand) -> String {
        match operand {
            Operand::Path(target) => self.path(target),
            Operand::Value(value) => self.out.value(value.clone()),
            Operand::IfNotExists(target, value) => {
                format!("if_not_exists({},{})", self.path(target), self.operand(value))
            }
            Operand::ListAppend(first, second) => {
                format!("list_append({},{})", self.operand(first), self.operand(second))
            }
        }
    }

    fn path(&mut self, target: &Target) -> String {
        let mut attribute = self.model.attribute(&target.attribute);
        let mut text = self.out.name(stored_name(self.model, &target.attribute));
        for step in &target.steps {
            match step {
                Step::Index(index) => {
                    attribute = attribute.and_then(|list| list.items.as_deref());
                    write!(text, "[{index}]").expect("a string takes all text");
                }
                Step::Name(name) => {
                    attribute = attribute.and_then(|map| map.attribute(name));
                    let stored_name = attribute.map_or(name.as_str(), |field| field.stored_name.as_str());
                    text.push('.');
                    text.push_str(&self.out.name(stored_name));
                }
            }
        }
        text
    }

    fn text(&self) -> String {
        let clauses = CLAUSES.iter().zip(&self.clauses);
        let used = clauses.filter(|(_, actions)| !actions.is_empty());
        let texts: Vec<_> = used
            .map(|(clause, actions)| format!("{clause} {}", actions.join(",")))
            .collect();
        texts.join(" ")
    }
}
