//! ADD and DELETE: which attributes and values they accept.

use super::super::ast::{Path, ValueRef};
use super::super::conversion::stored_type;
use super::super::names::quoted;
use super::bounds::Bound;
use super::checker::Checker;
use crate::model::{Attribute, SetEncoding, Value};

impl<'a> Checker<'a> {
    pub(super) fn add(
        &mut self,
        path: &Path<'a>,
        attribute: Option<&'a Attribute>,
        value: &ValueRef<'a>,
        given: &Value,
    ) {
        if !matches!(given, Value::N(_) | Value::SS(_) | Value::NS(_) | Value::BS(_)) {
            let description = format!("is {}, but ADD takes a number or a set", given.type_name());
            return self.push(self.definitions.value_fault(value.name, description));
        }
        let Some(attribute) = attribute.filter(|_| path.steps.is_empty()) else {
            return;
        };
        if self.is_changed_in_place(attribute, path, "ADD", value, given)
            && let Value::N(added) = given
        {
            let bound = Bound::of_sum(&attribute.name, &attribute.checks, added, true);
            self.keep_bound(attribute, path.attribute.column, bound);
        }
    }

    pub(super) fn delete(
        &mut self,
        path: &Path<'a>,
        attribute: Option<&'a Attribute>,
        value: &ValueRef<'a>,
        given: &Value,
    ) {
        if !matches!(given, Value::SS(_) | Value::NS(_) | Value::BS(_)) {
            let description = format!("is {}, but DELETE takes a set", given.type_name());
            return self.push(self.definitions.value_fault(value.name, description));
        }
        if let Some(attribute) = attribute.filter(|_| path.steps.is_empty()) {
            self.is_changed_in_place(attribute, path, "DELETE", value, given);
        }
    }

    /// Checks that ADD and DELETE fit the attribute.
    fn is_changed_in_place(
        &mut self,
        attribute: &Attribute,
        path: &Path<'a>,
        action: &str,
        value: &ValueRef<'a>,
        given: &Value,
    ) -> bool {
        let name = quoted(&attribute.name);
        if attribute.encrypted.is_some() {
            let description = format!("{name} is encrypted: it can only be set to a :value, as a whole");
            self.fault_at(path.attribute.column, description);
            return false;
        }
        let refusal = in_place_refusal(attribute, action).or_else(|| self.part_refusal(attribute));
        if let Some(refusal) = refusal {
            self.fault_at(path.attribute.column, refusal);
            return false;
        }
        match stored_type(attribute) {
            Some(kind) if kind == given.type_name() => true,
            Some(kind) => {
                let description = format!("is {}, but {action} to {name} takes {kind}", given.type_name());
                self.push(self.definitions.value_fault(value.name, description));
                false
            }
            None => {
                let kind = attribute.kind.as_str();
                let description = format!("{name} is of type {kind}: {action} does not apply to it");
                self.fault_at(path.attribute.column, description);
                false
            }
        }
    }
}

/// Why the result of ADD or DELETE could not be checked.
fn in_place_refusal(attribute: &Attribute, action: &str) -> Option<String> {
    let name = quoted(&attribute.name);
    if attribute.set_encoding == SetEncoding::List {
        return Some(format!(
            "{name} is stored as a list (`set_encoding: list`): {action} does not apply to it; SET it to a :value"
        ));
    }
    let checks = &attribute.checks;
    let is_checked = checks.min_length.is_some() || checks.max_length.is_some() || !checks.one_of.is_empty();
    is_checked.then(|| {
        format!("{name} has checks (length or enum): {action} does not apply to it; SET it to a :value")
    })
}
