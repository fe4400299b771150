//! SET: which forms an attribute accepts, and under which condition the result stays within its bounds.

use super::super::ast::Path;
use super::super::names::quoted;
use super::ast;
use super::bounds::Bound;
use super::changes::Assigned;
use super::checker::{Checker, within_refusal};
use crate::model::{Attribute, AttributeType, Value};

impl<'a> Checker<'a> {
    /// Checks an assignment; none if a placeholder is not defined.
    pub(super) fn assigned(
        &mut self,
        path: &Path<'a>,
        attribute: Option<&'a Attribute>,
        standard: Option<&'a Attribute>,
        assigned: ast::Assigned<'a>,
    ) -> Option<Assigned> {
        let whole = attribute.filter(|_| path.steps.is_empty());
        if let Some(attribute) = whole {
            self.assigned_form(attribute, path, &assigned);
        }
        match assigned {
            ast::Assigned::Operand(operand) => {
                let kind = self.operand_type(&operand);
                if let Some(attribute) = whole.or(standard) {
                    self.fits(attribute, &operand, kind);
                }
                Some(Assigned::Operand(self.operand(operand, standard)?))
            }
            ast::Assigned::Sum(left, right) => {
                self.arithmetic(whole, path, &left, &right, "+");
                Some(Assigned::Sum(
                    self.operand(left, None)?,
                    self.operand(right, None)?,
                ))
            }
            ast::Assigned::Difference(left, right) => {
                self.arithmetic(whole, path, &left, &right, "-");
                Some(Assigned::Difference(
                    self.operand(left, None)?,
                    self.operand(right, None)?,
                ))
            }
        }
    }

    /// Attributes whose value is changed before it is stored, or that have checks, take only forms whose result is known
    /// or bounded by a condition.
    fn assigned_form(&mut self, attribute: &Attribute, path: &Path<'a>, assigned: &ast::Assigned<'a>) {
        let name = quoted(&attribute.name);
        let column = path.attribute.column;
        if let ast::Assigned::Operand(ast::Operand::Value(_)) = assigned {
            return;
        }
        if let Some(refusal) = within_refusal(attribute) {
            return self.fault_at(column, refusal);
        }
        let is_own = |other: &Path<'a>| self.is_same_attribute(path, other);
        let is_known = match assigned {
            ast::Assigned::Operand(ast::Operand::IfNotExists(other, value)) => {
                is_own(other) && matches!(**value, ast::Operand::Value(_))
            }
            ast::Assigned::Operand(_) => false,
            ast::Assigned::Sum(..) | ast::Assigned::Difference(..) => true,
        };
        let is_literal = is_known && matches!(assigned, ast::Assigned::Operand(_));
        if let Some(refusal) = self.part_refusal(attribute).filter(|_| !is_literal) {
            return self.fault_at(column, refusal);
        }
        let checks = &attribute.checks;
        let is_checked = checks.pattern.is_some() || !checks.one_of.is_empty();
        let is_sized = checks.min_length.is_some() || checks.max_length.is_some();
        let is_ranged = checks.min.is_some() || checks.max.is_some();
        match assigned {
            _ if is_literal => {}
            ast::Assigned::Operand(ast::Operand::ListAppend(first, second)) if !is_checked => {
                self.append_bound(attribute, path, first, second);
            }
            ast::Assigned::Sum(..) | ast::Assigned::Difference(..) if !is_checked => {}
            _ if is_checked || is_sized || is_ranged => {
                let description = format!(
                    "{name} has checks (min, max, length, pattern or enum): set it to a :value, or change it by \
                     {name} + :value, {name} - :value or list_append"
                );
                self.fault_at(column, description);
            }
            _ => {}
        }
    }

    /// The length of a list that members are appended to must stay within its bounds.
    fn append_bound(
        &mut self,
        attribute: &Attribute,
        path: &Path<'a>,
        first: &ast::Operand<'a>,
        second: &ast::Operand<'a>,
    ) {
        let members = match (first, second) {
            (ast::Operand::Path(own), ast::Operand::Value(value))
            | (ast::Operand::Value(value), ast::Operand::Path(own))
                if self.is_same_attribute(path, own) =>
            {
                match self.definitions.value(value) {
                    Some(Value::L(members)) => members.len(),
                    Some(_) | None => return,
                }
            }
            _ if attribute.checks.min_length.is_none() && attribute.checks.max_length.is_none() => return,
            _ => {
                let name = quoted(&attribute.name);
                let description = format!(
                    "{name} has a bounded length: append to it by list_append of {name} and a :value"
                );
                return self.fault_at(path.attribute.column, description);
            }
        };
        let bound = Bound::of_append(&attribute.name, &attribute.checks, members);
        self.keep_bound(attribute, path.attribute.column, bound);
    }

    /// Both sides must be numbers, and the result must stay within the bounds of the attribute.
    fn arithmetic(
        &mut self,
        whole: Option<&'a Attribute>,
        path: &Path<'a>,
        left: &ast::Operand<'a>,
        right: &ast::Operand<'a>,
        operator: &str,
    ) {
        for operand in [left, right] {
            self.takes_only(operand, "N", &format!("{operator} takes numbers only"));
        }
        let Some(attribute) = whole else { return };
        if attribute.kind != AttributeType::Number {
            let (name, kind) = (quoted(&attribute.name), attribute.kind.as_str());
            return self.fault_at(
                path.attribute.column,
                format!("{name} is a {kind}, but the result of {operator} is a number"),
            );
        }
        let checks = &attribute.checks;
        if checks.min.is_none() && checks.max.is_none() {
            return;
        }
        let added = match (left, right) {
            (ast::Operand::Path(own), ast::Operand::Value(value)) if self.is_same_attribute(path, own) => {
                self.definitions.value(value)
            }
            (ast::Operand::Value(value), ast::Operand::Path(own))
                if operator == "+" && self.is_same_attribute(path, own) =>
            {
                self.definitions.value(value)
            }
            _ => {
                let name = quoted(&attribute.name);
                let description = format!(
                    "{name} has min or max: it can only be changed by {name} + :value or {name} - :value"
                );
                return self.fault_at(path.attribute.column, description);
            }
        };
        let Some(Value::N(added)) = added else { return };
        let added = if operator == "-" {
            added.negated()
        } else {
            added.clone()
        };
        let bound = Bound::of_sum(&attribute.name, checks, &added, false);
        self.keep_bound(attribute, path.attribute.column, bound);
    }
}
