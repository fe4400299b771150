//! Values in the form of callers and in the stored form: both ways for every type, and numbers.

use std::time::{Duration, SystemTime};

use tollgate::model::{Attribute, Number, Value};

use super::Outcome;
use super::input::Input;
use super::models::MODELS;
use super::values::{self, SECRET, SECRET_NUMBER, shown};

/// What a caller sends is refused without showing it, or stored; what is stored reads back and can be stored again.
pub(crate) fn conversions(input: &mut Input) -> Outcome {
    let model = &MODELS[input.below(MODELS.len())];
    let attribute = input.choose(&model.attributes);
    let value = values::of(input, Some(attribute));
    input.note(|| format!("{}.{}: {}", model.name, attribute.name, shown(&value)));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000);
    read(attribute, &value, now);
    let stored = match attribute.to_stored(value, now) {
        Ok(stored) => stored,
        Err(text) => {
            let is_secret = [SECRET, SECRET_NUMBER].iter().any(|secret| text.contains(secret));
            assert!(!is_secret && !text.is_empty(), "a value in an error: {text}");
            return Outcome::Refused;
        }
    };
    let is_typed = stored == Value::Null || attribute.holds(&stored);
    assert!(is_typed, "stored as {}", shown(&stored));
    read(attribute, &stored, now);
    let back = attribute.from_stored(stored.clone());
    let again = attribute.to_stored(back.clone(), now);
    let again = again.unwrap_or_else(|text| panic!("{} cannot be stored again: {text}", shown(&back)));
    assert!(
        again == stored || has_null(&stored),
        "{} was stored as {}",
        shown(&back),
        shown(&stored)
    );
    Outcome::Accepted
}

/// Whether a field is NULL, which reads as absent.
fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::L(values) => values.iter().any(has_null),
        Value::M(fields) => fields.values().any(has_null),
        _ => false,
    }
}

/// Reading what any program stored: twice is the same as once.
fn read(attribute: &Attribute, stored: &Value, now: SystemTime) {
    let once = attribute.from_stored(stored.clone());
    // maps have other names in their stored form
    if !matches!(once, Value::M(_) | Value::L(_)) {
        let twice = attribute.from_stored(once.clone());
        assert!(
            twice == once,
            "read as {}, then as {}",
            shown(&once),
            shown(&twice)
        );
    }
    // may be refused: reading is lenient, writing is not
    drop(attribute.to_stored(once, now));
}

/// Numbers have one text each, and are ordered by value.
pub(crate) fn numbers(input: &mut Input) -> Outcome {
    let texts = [values::number_text(input), values::number_text(input)];
    input.note(|| format!("{texts:?}"));
    let [first, second] = texts.map(|text| text.parse::<Number>());
    let Ok(first) = first else {
        return Outcome::Refused;
    };
    assert_eq!(first.as_str().parse().as_ref(), Ok(&first), "its own text");
    let again: Number = first.as_str().parse().expect("its own text");
    assert_eq!(again.as_str(), first.as_str());
    assert!(first.negated().negated() == first);
    if let Ok(second) = second {
        assert_eq!(first.cmp(&second), second.cmp(&first).reverse());
        assert_eq!(first.cmp(&second), second.negated().cmp(&first.negated()));
        assert_eq!(first == second, first.as_str() == second.as_str());
        let rough = |number: &Number| number.as_str().parse::<f64>().expect("a decimal");
        let (low, high) = (rough(&first), rough(&second));
        assert!(
            low >= high || first < second,
            "{} and {}",
            first.as_str(),
            second.as_str()
        );
    }
    Outcome::Accepted
}
