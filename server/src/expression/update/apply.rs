//! What an update makes of a stored item, as DynamoDB computes it: all operands have the values before the update, and the
//! positions in lists are those before it.

use super::changes::{Action, Assigned, Operand, Step, Target, Update};
use crate::model::{InvalidNumber, Item, Model, Value};

/// Why an update cannot be applied to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It reads an attribute that the item does not have.
    MissingAttribute,
    /// A value has a type that an operator or function does not take.
    WrongType,
    /// It changes something within an attribute that the item does not have, or that is neither a map nor a list.
    MissingPath,
    /// A result is a number that DynamoDB cannot hold.
    Number,
}

impl From<InvalidNumber> for Unfit {
    fn from(error: InvalidNumber) -> Unfit {
        match error {
            InvalidNumber::Syntax | InvalidNumber::Precision | InvalidNumber::Range => Unfit::Number,
        }
    }
}

/// A path by stored names.
type Place = Vec<Step>;

impl Update {
    /// The item after the update. `stored` has stored names, and is empty but for its key if there is no item.
    ///
    /// # Errors
    ///
    /// Why DynamoDB would refuse the update.
    pub fn applied(&self, model: &Model, stored: &Item) -> Result<Item, Unfit> {
        let before = Before { model, stored };
        let mut assigned = Vec::new();
        let mut members: Vec<Place> = Vec::new();
        let mut item = stored.clone();
        for action in &self.actions {
            let place = before.place(action.target());
            match action {
                Action::Set(_, value) => assigned.push((place, before.assigned(value)?)),
                Action::Remove(_) if matches!(place.last(), Some(Step::Index(_))) => members.push(place),
                Action::Remove(_) => {}
                Action::Add(target, value) => assigned.push((place, before.added(target, value)?)),
                Action::Delete(target, value) => match before.without(target, value)? {
                    Deleted::Left(value) => assigned.push((place, value)),
                    Deleted::Nothing => remove(&mut item, &place)?,
                    Deleted::Absent => {}
                },
            }
        }
        // members beyond the end of a list are appended in the order of their indexes
        assigned.sort_by(|(one, _), (other, _)| order(one, other));
        for (place, value) in assigned {
            set(&mut item, &place, value)?;
        }
        let is_named = |place: &Place| !matches!(place.last(), Some(Step::Index(_)));
        let removed = self
            .actions
            .iter()
            .filter(|action| matches!(action, Action::Remove(_)));
        for place in removed
            .map(|action| before.place(action.target()))
            .filter(is_named)
        {
            remove(&mut item, &place)?;
        }
        // from the last one on, so that the others keep their positions
        members.sort_by(|one, other| order(other, one));
        for place in members {
            remove(&mut item, &place)?;
        }
        Ok(item)
    }
}

/// What DELETE leaves of a set.
enum Deleted {
    /// These members.
    Left(Value),
    /// No member, so that the attribute is removed.
    Nothing,
    /// There is no set.
    Absent,
}

/// The item before the update.
struct Before<'a> {
    model: &'a Model,
    stored: &'a Item,
}

impl Before<'_> {
    fn place(&self, target: &Target) -> Place {
        let mut attribute = self.model.attribute(&target.attribute);
        let mut place = vec![Step::Name(self.model.stored_name(&target.attribute).to_owned())];
        for step in &target.steps {
            place.push(match step {
                Step::Index(index) => {
                    attribute = attribute.and_then(|list| list.items.as_deref());
                    Step::Index(*index)
                }
                Step::Name(name) => {
                    attribute = attribute.and_then(|map| map.attribute(name));
                    let stored_name = attribute.map_or(name.as_str(), |field| field.stored_name.as_str());
                    Step::Name(stored_name.to_owned())
                }
            });
        }
        place
    }

    fn find(&self, target: &Target) -> Option<&Value> {
        let place = self.place(target);
        let (first, rest) = place.split_first()?;
        let Step::Name(name) = first else { return None };
        rest.iter()
            .try_fold(self.stored.get(name)?, |value, step| match (step, value) {
                (Step::Name(name), Value::M(fields)) => fields.get(name),
                (Step::Index(index), Value::L(members)) => members.get(*index as usize),
                (Step::Name(_) | Step::Index(_), _) => None,
            })
    }

    fn assigned(&self, assigned: &Assigned) -> Result<Value, Unfit> {
        match assigned {
            Assigned::Operand(operand) => self.operand(operand),
            Assigned::Sum(left, right) => sum(&self.operand(left)?, &self.operand(right)?),
            Assigned::Difference(left, right) => {
                let Value::N(right) = self.operand(right)? else {
                    return Err(Unfit::WrongType);
                };
                sum(&self.operand(left)?, &Value::N(right.negated()))
            }
        }
    }

    fn operand(&self, operand: &Operand) -> Result<Value, Unfit> {
        match operand {
            Operand::Value(value) => Ok(value.clone()),
            Operand::Path(target) => self.find(target).cloned().ok_or(Unfit::MissingAttribute),
            Operand::IfNotExists(target, value) => match self.find(target) {
                Some(stored) => Ok(stored.clone()),
                None => self.operand(value),
            },
            Operand::ListAppend(first, second) => match (self.operand(first)?, self.operand(second)?) {
                (Value::L(mut first), Value::L(second)) => {
                    first.extend(second);
                    Ok(Value::L(first))
                }
                _ => Err(Unfit::WrongType),
            },
        }
    }

    fn added(&self, target: &Target, value: &Value) -> Result<Value, Unfit> {
        let Some(stored) = self.find(target) else {
            return Ok(value.clone());
        };
        match (stored, value) {
            (Value::N(_), Value::N(_)) => sum(stored, value),
            (Value::SS(stored), Value::SS(added)) => Ok(Value::SS(stored | added)),
            (Value::NS(stored), Value::NS(added)) => Ok(Value::NS(stored | added)),
            (Value::BS(stored), Value::BS(added)) => Ok(Value::BS(stored | added)),
            _ => Err(Unfit::WrongType),
        }
    }

    fn without(&self, target: &Target, value: &Value) -> Result<Deleted, Unfit> {
        let Some(stored) = self.find(target) else {
            return Ok(Deleted::Absent);
        };
        let (left, is_empty) = match (stored, value) {
            (Value::SS(stored), Value::SS(deleted)) => {
                let left = stored - deleted;
                (Value::SS(left.clone()), left.is_empty())
            }
            (Value::NS(stored), Value::NS(deleted)) => {
                let left = stored - deleted;
                (Value::NS(left.clone()), left.is_empty())
            }
            (Value::BS(stored), Value::BS(deleted)) => {
                let left = stored - deleted;
                (Value::BS(left.clone()), left.is_empty())
            }
            _ => return Err(Unfit::WrongType),
        };
        Ok(match is_empty {
            true => Deleted::Nothing,
            false => Deleted::Left(left),
        })
    }
}

fn sum(left: &Value, right: &Value) -> Result<Value, Unfit> {
    match (left, right) {
        (Value::N(left), Value::N(right)) => Ok(Value::N(left.plus(right)?)),
        _ => Err(Unfit::WrongType),
    }
}

/// The order of places: indexes by number, those of a list before what is in them.
fn order(one: &Place, other: &Place) -> std::cmp::Ordering {
    let key = |step: &Step| match step {
        Step::Index(index) => (*index, String::new()),
        Step::Name(name) => (0, name.clone()),
    };
    one.iter().map(key).cmp(other.iter().map(key))
}

fn set(item: &mut Item, place: &[Step], value: Value) -> Result<(), Unfit> {
    match (parent(item, place)?, place.last()) {
        (None, Some(Step::Name(name))) => {
            item.insert(name.clone(), value);
        }
        (Some(Value::M(fields)), Some(Step::Name(name))) => {
            fields.insert(name.clone(), value);
        }
        (Some(Value::L(members)), Some(Step::Index(index))) => match members.get_mut(*index as usize) {
            Some(member) => *member = value,
            None => members.push(value),
        },
        (Some(_) | None, _) => return Err(Unfit::MissingPath),
    }
    Ok(())
}

fn remove(item: &mut Item, place: &[Step]) -> Result<(), Unfit> {
    match (parent(item, place)?, place.last()) {
        (None, Some(Step::Name(name))) => {
            item.remove(name);
        }
        (Some(Value::M(fields)), Some(Step::Name(name))) => {
            fields.remove(name);
        }
        (Some(Value::L(members)), Some(Step::Index(index))) => {
            let index = *index as usize;
            if index < members.len() {
                members.remove(index);
            }
        }
        (Some(_) | None, _) => return Err(Unfit::MissingPath),
    }
    Ok(())
}

/// The map or list that contains a place; `None`: the item itself.
fn parent<'a>(item: &'a mut Item, place: &[Step]) -> Result<Option<&'a mut Value>, Unfit> {
    let [Step::Name(name), between @ .., _] = place else {
        return Ok(None);
    };
    let mut value = item.get_mut(name).ok_or(Unfit::MissingPath)?;
    for step in between {
        let next = match (step, value) {
            (Step::Name(name), Value::M(fields)) => fields.get_mut(name),
            (Step::Index(index), Value::L(members)) => members.get_mut(*index as usize),
            (Step::Name(_) | Step::Index(_), _) => None,
        };
        value = next.ok_or(Unfit::MissingPath)?;
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::super::tests::{expression, map, number, open_model, text};
    use super::super::update;
    use super::*;

    fn list(values: &[&str]) -> Value {
        Value::L(values.iter().map(|value| text(value)).collect())
    }

    fn set_of(members: &[&str]) -> Value {
        Value::SS(members.iter().map(|member| (*member).to_owned()).collect())
    }

    fn stored() -> Item {
        let fields = [
            ("pk", text("U#1")),
            ("n", number("5")),
            ("l", list(&["a", "b", "c", "d"])),
            ("m", map(&[("x", number("1")), ("in", list(&["p", "q"]))])),
            ("s", set_of(&["a", "b"])),
        ];
        fields.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn applied(update_text: &str, values: &[(&str, Value)]) -> Result<Item, Unfit> {
        let model = open_model();
        let parsed = update(
            &model,
            &expression(update_text, values, &[]),
            "update",
            SystemTime::UNIX_EPOCH,
        );
        let parsed = parsed.unwrap_or_else(|_| panic!("{update_text} is refused"));
        parsed.applied(&model, &stored())
    }

    fn becomes(update_text: &str, values: &[(&str, Value)], name: &str, expected: Option<Value>) {
        let mut item =
            applied(update_text, values).unwrap_or_else(|unfit| panic!("{update_text}: {unfit:?}"));
        let differing: Vec<_> = [item.remove(name), expected].into_iter().collect();
        assert_eq!(differing[0], differing[1], "{update_text}");
    }

    #[test]
    fn sets_and_removes_as_dynamodb_does() {
        let v = &[(":v", text("v"))][..];
        becomes("SET k = :v", v, "k", Some(text("v")));
        becomes("SET n = if_not_exists(n, :v)", v, "n", Some(number("5")));
        becomes("SET k = if_not_exists(k, :v)", v, "k", Some(text("v")));
        becomes("SET k = n", &[], "k", Some(number("5")));
        becomes("REMOVE n", &[], "n", None);
        becomes("REMOVE k", &[], "n", Some(number("5")));
        becomes(
            "SET m.y = :v",
            v,
            "m",
            Some(map(&[
                ("x", number("1")),
                ("in", list(&["p", "q"])),
                ("y", text("v")),
            ])),
        );
        becomes(
            "REMOVE m.x, m.in[0]",
            &[],
            "m",
            Some(map(&[("in", list(&["q"]))])),
        );
        // operands have the values before the update
        let swapped = applied("SET n = m.x, m.x = n", &[]).unwrap();
        assert_eq!(swapped["n"], number("1"));
    }

    #[test]
    fn computes_numbers_exactly() {
        let one = &[(":one", number("0.1"))][..];
        becomes("SET n = n + :one", one, "n", Some(number("5.1")));
        becomes("SET n = :one - n", one, "n", Some(number("-4.9")));
        becomes("ADD n :one", one, "n", Some(number("5.1")));
        becomes("ADD k :one", one, "k", Some(number("0.1")));
        assert_eq!(applied("SET k = k + :one", one), Err(Unfit::MissingAttribute));
        assert_eq!(applied("SET n = s + :one", one), Err(Unfit::WrongType));
        assert_eq!(applied("ADD s :one", one), Err(Unfit::WrongType));
        assert_eq!(
            applied("SET n = n + :big", &[(":big", number("1e100"))]),
            Err(Unfit::Number)
        );
    }

    #[test]
    fn lists_keep_their_positions_during_the_update() {
        let v = &[(":v", text("v")), (":w", text("w"))][..];
        becomes(
            "SET l[1] = :v REMOVE l[0], l[2]",
            &v[..1],
            "l",
            Some(list(&["v", "d"])),
        );
        becomes(
            "SET l[20] = :w, l[10] = :v",
            v,
            "l",
            Some(list(&["a", "b", "c", "d", "v", "w"])),
        );
        becomes("REMOVE l[9]", &[], "l", Some(list(&["a", "b", "c", "d"])));
        let more = [(":more", list(&["e"]))];
        becomes(
            "SET l = list_append(:more, l)",
            &more,
            "l",
            Some(list(&["e", "a", "b", "c", "d"])),
        );
        assert_eq!(
            applied("SET n = list_append(n, :more)", &more),
            Err(Unfit::WrongType)
        );
    }

    #[test]
    fn sets_are_joined_and_reduced() {
        let of = |members: &[&str]| vec![(":v", set_of(members))];
        becomes("ADD s :v", &of(&["c"]), "s", Some(set_of(&["a", "b", "c"])));
        becomes("ADD k :v", &of(&["c"]), "k", Some(set_of(&["c"])));
        becomes("DELETE s :v", &of(&["a", "z"]), "s", Some(set_of(&["b"])));
        becomes("DELETE s :v", &of(&["a", "b"]), "s", None);
        becomes("DELETE k :v", &of(&["a"]), "k", None);
        assert_eq!(applied("DELETE n :v", &of(&["a"])), Err(Unfit::WrongType));
    }

    #[test]
    fn paths_must_exist() {
        let v = &[(":v", text("v"))][..];
        for update_text in ["SET k.a = :v", "SET n.a = :v", "SET l[9].a = :v", "SET m[0] = :v"] {
            assert_eq!(applied(update_text, v), Err(Unfit::MissingPath), "{update_text}");
        }
        assert_eq!(applied("REMOVE k.a", &[]), Err(Unfit::MissingPath));
    }
}
