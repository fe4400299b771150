//! What writes return.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_proto::v1;

use crate::partial::WireItem;
use crate::value::{from_item, item_from_wire, to_item};
use crate::{Error, Item, Partial};

/// The result of a Save.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// What the server set: ids, defaults, the version, timestamps, and references to uploaded objects.
    pub generated: Item,
    /// With `ReturnValues::AllOld`: the item that was replaced, if there was one.
    pub old_item: Option<Partial<Item>>,
    /// With `ReturnValues::AllNew`: the item as written.
    pub item: Option<Item>,
}

/// The result of an Update.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Updated {
    /// What the server set: the version, timestamps, and references to uploaded objects.
    pub generated: Item,
    /// With `ReturnValues::AllOld` the item as it was, with `UpdatedOld` the updated attributes as they were.
    pub old_item: Option<Partial<Item>>,
    /// With `ReturnValues::AllNew` the item as it is, with `UpdatedNew` the updated attributes as they are.
    pub item: Option<Partial<Item>>,
}

/// The result of one write of a batch or transaction.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Written {
    /// A Save.
    Saved(Saved),
    /// An Update.
    Updated(Updated),
    /// A Delete, with the removed item if `ReturnValues::AllOld` was requested and there was one.
    Deleted(Option<Partial<Item>>),
    /// A check of a transaction, whose condition was met.
    Checked,
}

impl Saved {
    /// Sets in an item that was saved what the server set: afterwards it is the item as it is stored, with its version, and
    /// can be changed and saved again. Fields that serde skips get their defaults.
    ///
    /// # Errors
    ///
    /// If the type does not accept what the server set. The item is unchanged then.
    pub fn apply_to<T: Serialize + DeserializeOwned>(&self, item: &mut T) -> Result<(), Error> {
        let mut attributes = to_item(item).map_err(|error| Error::invalid_value("item", error))?;
        attributes.extend(self.generated.clone());
        *item = from_item(attributes).map_err(Error::type_mismatch)?;
        Ok(())
    }

    pub(crate) fn from_wire(model: &str, response: v1::SaveResponse) -> Result<Saved, Error> {
        Ok(Saved {
            generated: item_from_wire(response.generated).map_err(Error::type_mismatch)?,
            old_item: returned(model, response.old_item, response.withheld, false)?,
            item: returned(model, response.item, Vec::new(), false)?.map(Partial::into_incomplete),
        })
    }
}

impl Updated {
    /// `is_cut`: only the updated attributes were requested.
    pub(crate) fn from_wire(
        model: &str,
        response: v1::UpdateResponse,
        is_cut: bool,
    ) -> Result<Updated, Error> {
        let withheld = response.withheld;
        Ok(Updated {
            generated: item_from_wire(response.generated).map_err(Error::type_mismatch)?,
            old_item: returned(model, response.old_item, withheld.clone(), is_cut)?,
            item: returned(model, response.item, withheld, is_cut)?,
        })
    }
}

/// The item that a Delete removed.
pub(crate) fn deleted(model: &str, response: v1::DeleteResponse) -> Result<Option<Partial<Item>>, Error> {
    returned(model, response.old_item, response.withheld, false)
}

/// Whether a write returns only some attributes of the item.
pub(crate) fn is_cut(return_values: i32) -> bool {
    use v1::ReturnValues::{UpdatedNew, UpdatedOld};
    [UpdatedOld as i32, UpdatedNew as i32].contains(&return_values)
}

/// `None` if the item is empty: an item contains at least its key.
fn returned(
    model: &str,
    item: WireItem,
    withheld: Vec<String>,
    is_cut: bool,
) -> Result<Option<Partial<Item>>, Error> {
    match item.is_empty() {
        true => Ok(None),
        false => Partial::from_wire(model, item, withheld, Vec::new(), is_cut).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Page {
        text: String,
        rev: Option<u64>,
    }

    #[test]
    fn what_the_server_set_is_applied_to_the_item() {
        let mut page = Page {
            text: "a".to_owned(),
            rev: None,
        };
        let saved = Saved {
            generated: Item::from([("rev".to_owned(), 1.into())]),
            ..Saved::default()
        };
        saved.apply_to(&mut page).unwrap();
        assert_eq!((page.text.as_str(), page.rev), ("a", Some(1)));
        let wrong = Saved {
            generated: Item::from([("rev".to_owned(), "x".into())]),
            ..Saved::default()
        };
        assert!(wrong.apply_to(&mut page).is_err());
        assert_eq!(page.rev, Some(1));
    }
}
