//! Why an update cannot be applied to the stored item.

/// Why an update cannot be applied to the stored item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It reads an attribute that the item does not have.
    #[error("it reads an attribute that the item does not have; use if_not_exists(attribute, :value)")]
    MissingAttribute,
    /// A stored value has a type that an operator or function does not take.
    #[error(
        "a stored value has another type than the update expects: it may be NULL or written by another program; SET \
         it to a :value first, or declare a set with `null_sets: repair`"
    )]
    WrongType,
    /// It changes something within an attribute that the item does not have, or that is not a map or list.
    #[error("it changes a value inside an attribute that the item does not have, or that is no map or list")]
    MissingPath,
    /// A result is a number that DynamoDB cannot hold.
    #[error("a result has more than 38 digits, or is out of the range of DynamoDB's numbers")]
    Number,
}

impl Misfit {
    /// The misfit that a message of DynamoDB is about: there are no codes for them.
    pub(super) fn of_text(text: &str) -> Option<Misfit> {
        let known = [
            (
                "refers to an attribute that does not exist",
                Misfit::MissingAttribute,
            ),
            ("incorrect data type", Misfit::WrongType),
            ("invalid for update", Misfit::MissingPath),
        ];
        let mut misfits = known.into_iter();
        misfits.find_map(|(part, misfit)| text.contains(part).then_some(misfit))
    }
}
