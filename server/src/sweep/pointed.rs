//! The objects that an item points to. More is taken for a pointer than what this program writes, also inside of lists and
//! maps and in attributes that no model declares: what may be a pointer protects its object.

use crate::model::{Item, Value};

/// Whether an item points to an object.
pub(super) fn points_to(item: &Item, bucket: &str, key: &str) -> bool {
    let mut found = false;
    for_each(item, &mut |in_bucket, object_key| {
        found |= in_bucket == bucket && object_key == key;
    });
    found
}

/// Calls `visit` with the bucket and the key of everything that may be a pointer.
pub(super) fn for_each(item: &Item, visit: &mut dyn FnMut(&str, &str)) {
    for value in item.values() {
        in_value(value, visit);
    }
}

/// Items are at most 32 levels deep.
fn in_value(value: &Value, visit: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::M(fields) => {
            if let (Some(Value::S(bucket)), Some(Value::S(key))) = (fields.get("bucket"), fields.get("key")) {
                visit(bucket, key);
            }
            for field in fields.values() {
                in_value(field, visit);
            }
        }
        Value::L(values) => {
            for element in values {
                in_value(element, visit);
            }
        }
        Value::S(_)
        | Value::N(_)
        | Value::B(_)
        | Value::Bool(_)
        | Value::Null
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(bucket: &str, key: &str) -> Value {
        let text = |text: &str| Value::S(text.to_owned());
        Value::M([("bucket".to_owned(), text(bucket)), ("key".to_owned(), text(key))].into())
    }

    #[test]
    fn pointers_are_found_at_any_depth() {
        let inner = Value::L(vec![Value::Null, pointer("b", "deep")]);
        let item = Item::from([
            ("content".to_owned(), pointer("b", "k")),
            ("list".to_owned(), Value::M([("x".to_owned(), inner)].into())),
            ("text".to_owned(), Value::S("b/other".to_owned())),
        ]);
        assert!(points_to(&item, "b", "k") && points_to(&item, "b", "deep"));
        assert!(!points_to(&item, "c", "k") && !points_to(&item, "b", "other"));
    }
}
