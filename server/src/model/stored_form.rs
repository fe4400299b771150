//! The forms in which DynamoDB stores sets and datetimes, and the program whose forms a model follows: the options
//! `set_encoding`, `store` and `compat`. Reads accept every form.

/// How a set is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetEncoding {
    /// As DynamoDB's SS, NS or BS.
    #[default]
    Native,
    /// As a list; the members of a number set are strings.
    List,
}

/// How a datetime is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DatetimeStore {
    /// ISO 8601 in UTC, with `+00:00` and 0, 6 or 9 fractional digits.
    #[default]
    Iso8601,
    /// `2024-01-31T12:00:00.123Z`, as JavaScript writes it.
    ZuluMs,
    /// `2024-01-31T12:00:00.123456+0000`, as PynamoDB writes it.
    Pynamodb,
    /// A number: seconds since 1970.
    Epoch,
    /// A number: milliseconds since 1970.
    EpochMs,
}

/// The program whose stored forms a model follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// None other.
    #[default]
    Native,
    /// pydynox: JSON with Python's spacing, sets as lists, datetimes as `isoformat` writes them.
    Pydynox,
}

impl SetEncoding {
    /// All of them, by their names in model files.
    pub(super) const CHOICES: &[(&str, SetEncoding)] = &[
        (SetEncoding::Native.as_str(), SetEncoding::Native),
        (SetEncoding::List.as_str(), SetEncoding::List),
    ];

    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            SetEncoding::Native => "native",
            SetEncoding::List => "list",
        }
    }
}

impl DatetimeStore {
    /// All of them, by their names in model files.
    pub(super) const CHOICES: &[(&str, DatetimeStore)] = &[
        (DatetimeStore::Iso8601.as_str(), DatetimeStore::Iso8601),
        (DatetimeStore::ZuluMs.as_str(), DatetimeStore::ZuluMs),
        (DatetimeStore::Pynamodb.as_str(), DatetimeStore::Pynamodb),
        (DatetimeStore::Epoch.as_str(), DatetimeStore::Epoch),
        (DatetimeStore::EpochMs.as_str(), DatetimeStore::EpochMs),
    ];

    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            DatetimeStore::Iso8601 => "iso8601",
            DatetimeStore::ZuluMs => "zulu_ms",
            DatetimeStore::Pynamodb => "pynamodb",
            DatetimeStore::Epoch => "epoch",
            DatetimeStore::EpochMs => "epoch_ms",
        }
    }

    /// Whether it is stored as a number.
    pub const fn is_number(self) -> bool {
        matches!(self, DatetimeStore::Epoch | DatetimeStore::EpochMs)
    }
}

impl Compat {
    /// All that model files name.
    pub(super) const CHOICES: &[(&str, Compat)] = &[("pydynox", Compat::Pydynox)];

    /// The name in model files; empty for [`Compat::Native`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Compat::Native => "",
            Compat::Pydynox => "pydynox",
        }
    }
}
