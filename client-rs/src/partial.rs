//! What items are read as. An item that was not read completely has another type, which cannot be saved by mistake.

use std::fmt;
use std::ops::Deref;

use serde::de::DeserializeOwned;
use tollgate_proto::{Reason, v1};
use tonic::Code;

use crate::value::{from_item, item_from_wire};
use crate::{Error, Item, Value};

/// An item of which attributes may be left out: by `fields`, by the projection of an index, because this caller may not see
/// them, or because their stored values cannot be read.
///
/// It dereferences to the item, but it is not a serde type: [`Client::save`](crate::Client::save), which would remove the
/// attributes that are left out, does not accept it. Calls that return a `T` return only complete items as a plain `T`.
/// Change an incomplete item with [`Client::update`](crate::Client::update).
///
/// ```compile_fail,E0277
/// # async fn example(client: tollgate_client::Client, key: tollgate_client::Key) -> Result<(), tollgate_client::Error> {
/// use tollgate_client::{Item, Partial};
///
/// let partial = client.get::<Partial<Item>>("User", key).await?.value;
/// client.save("User", &partial).await?; // does not compile
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Partial<T> {
    item: T,
    model: String,
    withheld: Vec<String>,
    unreadable: Vec<Unreadable>,
    is_cut: bool,
    is_unverified: bool,
}

/// An attribute that is left out because its stored value cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// The attribute.
    pub attribute: String,
    /// The status code, usually `DataLoss`.
    pub code: Code,
    /// Tollgate's reason.
    pub reason: Option<Reason>,
    /// A message for people.
    pub message: String,
}

/// An item of a collection, as a variant of your enum with the name of its model:
///
/// ```no_run
/// # use serde::Deserialize;
/// # use tollgate_client::{ByModel, Client, Error, Key, Query};
/// # #[derive(Deserialize)] struct Project { goal: String }
/// # #[derive(Deserialize)] struct Task { status: String }
/// use futures::StreamExt as _;
///
/// #[derive(Deserialize)]
/// enum Part {
///     Project(Project),
///     Task(Task),
/// }
///
/// # async fn example(client: Client) -> Result<(), Error> {
/// let mut parts = client.query::<ByModel<Part>>(Query {
///     models: vec!["Task".to_owned()],
///     ..Query::new("Project", Key::new("project", "atlas"))
/// });
/// while let Some(part) = parts.next().await {
///     match part?.0 {
///         Part::Project(project) => println!("{}", project.goal),
///         Part::Task(task) => println!("{}", task.status),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByModel<T>(pub T);

mod sealed {
    use serde::de::DeserializeOwned;

    pub trait Sealed {}

    impl<T: DeserializeOwned> Sealed for T {}
    impl<T> Sealed for super::Partial<T> {}
    impl<T> Sealed for super::ByModel<T> {}
}

/// What items can be read as: any serde type if the item is complete, [`Partial`] if it may be incomplete, and [`ByModel`]
/// in a collection.
pub trait Readable: sealed::Sealed + Sized {
    #[doc(hidden)]
    const ACCEPTS_PARTIAL: bool;

    #[doc(hidden)]
    fn read(found: Partial<Item>) -> Result<Self, Error>;
}

impl<T: DeserializeOwned> Readable for T {
    const ACCEPTS_PARTIAL: bool = false;

    fn read(found: Partial<Item>) -> Result<T, Error> {
        found
            .complete()
            .and_then(|item| from_item(item).map_err(Error::type_mismatch))
    }
}

impl<T: Readable> Readable for Partial<T> {
    const ACCEPTS_PARTIAL: bool = true;

    fn read(found: Partial<Item>) -> Result<Partial<T>, Error> {
        let whole = Partial {
            item: found.item,
            model: found.model.clone(),
            ..Partial::default()
        };
        Ok(Partial {
            item: T::read(whole)?,
            model: found.model,
            withheld: found.withheld,
            unreadable: found.unreadable,
            is_cut: found.is_cut,
            is_unverified: found.is_unverified,
        })
    }
}

impl<T: DeserializeOwned> Readable for ByModel<T> {
    const ACCEPTS_PARTIAL: bool = false;

    fn read(found: Partial<Item>) -> Result<ByModel<T>, Error> {
        let model = found.model.clone();
        let variant = Item::from([(model, Value::Map(found.complete()?))]);
        from_item(variant).map(ByModel).map_err(Error::type_mismatch)
    }
}

impl<T> Partial<T> {
    /// An item of which these attributes are withheld, for tests. If there are none it is complete.
    pub fn new(item: T, withheld: Vec<String>) -> Partial<T> {
        Partial {
            item,
            model: String::new(),
            withheld,
            unreadable: Vec::new(),
            is_cut: false,
            is_unverified: false,
        }
    }

    /// The name of the item's model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Names of attributes that are left out because this caller may not see them in plaintext.
    pub fn withheld(&self) -> &[String] {
        &self.withheld
    }

    /// Attributes that are left out because their stored values cannot be read.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// Whether the model protects items as a whole, but the server could not verify this one: the index does not contain all
    /// of it, or it has no seal and the model allows that.
    pub fn is_unverified(&self) -> bool {
        self.is_unverified
    }

    pub(crate) fn with_unverified(self, is_unverified: bool) -> Partial<T> {
        Partial {
            is_unverified,
            ..self
        }
    }

    /// Whether no attribute is left out.
    pub fn is_complete(&self) -> bool {
        !self.is_cut && self.withheld.is_empty() && self.unreadable.is_empty()
    }

    /// The item, if no attribute is left out.
    ///
    /// # Errors
    ///
    /// Names what is left out.
    pub fn complete(self) -> Result<T, Error> {
        if self.is_complete() {
            return Ok(self.item);
        }
        let unreadable = self.unreadable.iter().map(|one| one.attribute.as_str());
        let names: Vec<&str> = self
            .withheld
            .iter()
            .map(String::as_str)
            .chain(unreadable)
            .collect();
        Err(Error::incomplete(&names))
    }

    /// The item, even if attributes are left out. A Save of it removes them.
    pub fn into_incomplete(self) -> T {
        self.item
    }
}

impl Partial<Item> {
    /// The item as another type: your own if it is complete, or `Partial` of it.
    ///
    /// # Errors
    ///
    /// If the item does not match the type, or is not complete.
    pub fn read<T: Readable>(self) -> Result<T, Error> {
        T::read(self)
    }

    pub(crate) fn from_wire(
        model: &str,
        item: WireItem,
        withheld: Vec<String>,
        unreadable: Vec<v1::UnreadableAttribute>,
        is_cut: bool,
    ) -> Result<Partial<Item>, Error> {
        Ok(Partial {
            item: item_from_wire(item).map_err(Error::type_mismatch)?,
            model: model.to_owned(),
            withheld,
            unreadable: unreadable.into_iter().map(Unreadable::from).collect(),
            is_cut,
            is_unverified: false,
        })
    }
}

/// An item of the contract.
pub(crate) type WireItem = std::collections::HashMap<String, v1::AttributeValue>;

impl<T: Default> Default for Partial<T> {
    fn default() -> Partial<T> {
        Partial::new(T::default(), Vec::new())
    }
}

impl<T> Deref for Partial<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T: fmt::Debug> fmt::Debug for Partial<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Partial")
            .field("item", &self.item)
            .field("is_complete", &self.is_complete())
            .field("withheld", &self.withheld)
            .field("unreadable", &self.unreadable)
            .field("is_unverified", &self.is_unverified)
            .finish_non_exhaustive()
    }
}

impl From<v1::UnreadableAttribute> for Unreadable {
    fn from(unreadable: v1::UnreadableAttribute) -> Unreadable {
        let error = unreadable.error.map(|status| Error::from_message(&status));
        Unreadable {
            attribute: unreadable.attribute,
            code: error.as_ref().map_or(Code::DataLoss, Error::code),
            reason: error.as_ref().and_then(Error::reason),
            message: error.map(|error| error.message().to_owned()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct User {
        name: Option<String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Part {
        User(User),
    }

    fn found() -> Partial<Item> {
        Partial {
            item: Item::from([("name".to_owned(), "Ada".into())]),
            model: "User".to_owned(),
            ..Partial::default()
        }
    }

    fn ada() -> User {
        User {
            name: Some("Ada".to_owned()),
        }
    }

    #[test]
    fn complete_items_are_read_as_any_type() {
        assert_eq!(found().read::<User>().unwrap(), ada());
        assert_eq!(
            found().read::<ByModel<Part>>().unwrap(),
            ByModel(Part::User(ada()))
        );
        let partial = found().read::<Partial<ByModel<Part>>>().unwrap();
        assert!(partial.is_complete() && partial.model() == "User");
        assert_eq!(partial.complete().unwrap().0, Part::User(ada()));
    }

    #[test]
    fn unreadable_attributes_make_an_item_partial() {
        let status = tonic_types::Status {
            code: Code::DataLoss as i32,
            message: "does not decompress".to_owned(),
            ..Default::default()
        };
        let unreadable = v1::UnreadableAttribute {
            attribute: "notes".to_owned(),
            error: Some(status),
        };
        let found = Partial::from_wire("User", WireItem::new(), Vec::new(), vec![unreadable], false).unwrap();
        assert!(!found.is_complete() && found.unreadable()[0].attribute == "notes");
        let (code, message) = (found.unreadable()[0].code, &found.unreadable()[0].message);
        assert_eq!((code, message.as_str()), (Code::DataLoss, "does not decompress"));
        assert!(found.read::<Item>().unwrap_err().message().contains("notes"));
    }

    #[test]
    fn an_unverified_item_may_be_complete() {
        let found = found().with_unverified(true);
        assert!(found.is_complete() && found.is_unverified());
        let partial = found.read::<Partial<User>>().unwrap();
        assert!(partial.is_unverified());
        assert_eq!(partial.complete().unwrap(), ada());
    }

    #[test]
    fn incomplete_items_are_only_partial() {
        let withheld = Partial {
            withheld: vec!["ssn".to_owned()],
            ..found()
        };
        let error = withheld.clone().read::<User>().unwrap_err();
        assert!(
            error.message().contains("ssn") && error.message().contains("Partial"),
            "{error}"
        );
        assert!(withheld.clone().read::<Item>().is_err());
        let partial = withheld.read::<Partial<User>>().unwrap();
        assert_eq!(
            (partial.withheld(), partial.name.as_deref()),
            (&["ssn".to_owned()][..], Some("Ada"))
        );
        assert_eq!(partial.into_incomplete(), ada());
        let cut = Partial {
            is_cut: true,
            ..found()
        };
        assert!(cut.complete().is_err());
    }
}
