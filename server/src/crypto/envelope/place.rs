//! The item and attribute that a ciphertext is bound to: the associated data of format `sealed`. Only encodes it.
//!
//! Each part is its length (u32 big-endian) and its bytes, in this order:
//!
//! | part | bytes |
//! |---|---|
//! | format id | 1 |
//! | kind | 1 |
//! | table | UTF-8 |
//! | partition key | type tag (`S`, `N` or `B`) and canonical bytes: UTF-8, canonical decimal text, the bytes |
//! | sort key | like the partition key; length 0 if the table has no sort key (an empty one still has its tag) |
//! | attribute | its stored name, UTF-8 |

use crate::model::Value;

/// The place of an item: its table and key.
pub struct Place {
    /// The encoded parts from the table to the sort key, which all attributes share.
    encoded: Vec<u8>,
}

impl Place {
    /// The place of the item with this key; `None` if a key is not S, N or B.
    pub fn new(table: &str, partition: &Value, sort: Option<&Value>) -> Option<Place> {
        let mut encoded = Vec::new();
        push_part(&mut encoded, &[table.as_bytes()]);
        push_key(&mut encoded, partition)?;
        match sort {
            Some(sort) => push_key(&mut encoded, sort)?,
            None => push_part(&mut encoded, &[]),
        }
        Some(Place { encoded })
    }

    /// The beginning of what the seal of the item covers.
    pub(in crate::crypto) fn item_text(&self, format_id: u8, coverage: u8) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.encoded.len() + 10);
        push_part(&mut whole, &[&[format_id]]);
        push_part(&mut whole, &[&[coverage]]);
        whole.extend_from_slice(&self.encoded);
        whole
    }

    /// The associated data of the ciphertext of one attribute.
    pub(in crate::crypto) fn associated_data(&self, format_id: u8, kind: u8, attribute: &str) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.encoded.len() + attribute.len() + 14);
        push_part(&mut whole, &[&[format_id]]);
        push_part(&mut whole, &[&[kind]]);
        whole.extend_from_slice(&self.encoded);
        push_part(&mut whole, &[attribute.as_bytes()]);
        whole
    }
}

fn push_key(out: &mut Vec<u8>, key: &Value) -> Option<()> {
    match key {
        Value::S(text) => push_part(out, &[b"S", text.as_bytes()]),
        Value::N(number) => push_part(out, &[b"N", number.as_str().as_bytes()]),
        Value::B(bytes) => push_part(out, &[b"B", bytes]),
        Value::Bool(_)
        | Value::Null
        | Value::L(_)
        | Value::M(_)
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => return None,
    }
    Some(())
}

fn push_part(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let length = u32::try_from(length).expect("names and keys are far below 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn associated(table: &str, partition: &Value, sort: Option<&Value>, attribute: &str) -> Vec<u8> {
        Place::new(table, partition, sort)
            .unwrap()
            .associated_data(2, 1, attribute)
    }

    fn text(text: &str) -> Value {
        Value::S(text.to_owned())
    }

    #[test]
    fn encodes_the_documented_bytes() {
        let sort = Value::N("7".parse().unwrap());
        let expected = b"\0\0\0\x01\x02\0\0\0\x01\x01\0\0\0\x05users\0\0\0\x04SU#1\0\0\0\x02N7\0\0\0\x03ssn";
        assert_eq!(associated("users", &text("U#1"), Some(&sort), "ssn"), expected);
    }

    #[test]
    fn every_part_makes_a_difference() {
        let number = Value::N("1".parse().unwrap());
        let binary = Value::B(Bytes::from_static(b"1"));
        let places = [
            associated("t", &text("1"), None, "a"),
            associated("t", &number, None, "a"),
            associated("t", &binary, None, "a"),
            associated("t", &text("1"), Some(&text("")), "a"),
            associated("t", &text("1"), Some(&text("a")), ""),
            associated("t", &text("1"), Some(&number), ""),
            associated("t1", &text(""), None, "a"),
            associated("t", &text("1"), None, "b"),
        ];
        for (index, place) in places.iter().enumerate() {
            assert!(!places[..index].contains(place), "place {index} equals another");
        }
    }

    #[test]
    fn keys_are_strings_numbers_or_binaries() {
        assert!(Place::new("t", &Value::Bool(true), None).is_none());
        assert!(Place::new("t", &text("1"), Some(&Value::Null)).is_none());
    }
}
