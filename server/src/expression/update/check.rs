//! Checks an update against the model: which attributes it may change, whether types agree, and the model's checks.
//! Collects all errors; never looks beyond the model and the expression.

use std::time::SystemTime;

use super::super::conversion::declared;
use super::super::definitions::Definitions;
use super::super::names::quoted;
use super::ast;
use super::changes::{Action, Target, Update};
use super::checker::Checker;
use crate::fault::Faults;
use crate::model::{Model, UnknownAttributes};

/// The changes, if there are no errors. `faults` are those already found.
pub(super) fn check<'a>(
    model: &'a Model,
    definitions: Definitions<'a>,
    faults: Faults,
    actions: Vec<ast::Action<'a>>,
    now: SystemTime,
) -> Result<Update, Faults> {
    let mut checker = Checker {
        model,
        definitions,
        faults,
        now,
        bounds: Vec::new(),
    };
    let mut targets: Vec<(Target, String)> = Vec::new();
    let mut changes = Vec::new();
    for action in actions {
        let path = action.target();
        let (column, label) = (path.attribute.column, checker.label(path));
        let Some(change) = checker.action(action) else {
            continue;
        };
        let target = change.target();
        if let Some((_, other)) = targets.iter().find(|(known, _)| known.overlaps(target)) {
            checker.fault_at(
                column,
                format!("{label} overlaps with {other}, which is changed as well"),
            );
        }
        targets.push((target.clone(), label));
        changes.push(change);
    }
    checker.faults.into_result()?;
    changes
        .retain(|change| model.unknown_attributes != UnknownAttributes::Drop || is_declared(model, change));
    Ok(Update {
        actions: changes,
        bounds: checker.bounds,
    })
}

fn is_declared(model: &Model, change: &Action) -> bool {
    model.attribute(&change.target().attribute).is_some()
}

impl<'a> Checker<'a> {
    /// Checks one action; none if a placeholder is not defined.
    fn action(&mut self, action: ast::Action<'a>) -> Option<Action> {
        let target = self.target(action.target())?;
        let attribute = self.changed_attribute(action.target(), &target);
        let standard = declared(self.model, self.definitions, action.target());
        Some(match action {
            ast::Action::Set(path, assigned) => {
                let assigned = self.assigned(&path, attribute, standard, assigned)?;
                Action::Set(target, assigned)
            }
            ast::Action::Remove(path) => {
                if let Some(attribute) = attribute.filter(|attribute| attribute.required)
                    && target.steps.is_empty()
                {
                    let description =
                        format!("{} is required and cannot be removed", quoted(&attribute.name));
                    self.fault_at(path.attribute.column, description);
                }
                Action::Remove(target)
            }
            ast::Action::Add(path, value) => {
                let given = self.definitions.value(&value)?.clone();
                self.add(&path, attribute, &value, &given);
                Action::Add(target, given)
            }
            ast::Action::Delete(path, value) => {
                let given = self.definitions.value(&value)?.clone();
                self.delete(&path, attribute, &value, &given);
                Action::Delete(target, given)
            }
        })
    }
}
