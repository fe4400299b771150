//! Which value the server generates for an attribute: the option `generate`.

use super::attribute_type::AttributeType;

/// What the server generates if the caller sets no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generate {
    /// A random UUID.
    Uuid4,
    /// A ULID. Those of one server increase.
    Ulid,
    /// A KSUID.
    Ksuid,
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
    /// The time as text, in seconds, with `Z`.
    Iso8601,
    /// The time.
    UtcNow,
    /// The time, on every write, whatever the caller sets.
    UtcNowOnWrite,
}

impl Generate {
    /// All of them, by their names in model files.
    pub(super) const CHOICES: &[(&str, Generate)] = &[
        (Generate::Uuid4.as_str(), Generate::Uuid4),
        (Generate::Ulid.as_str(), Generate::Ulid),
        (Generate::Ksuid.as_str(), Generate::Ksuid),
        (Generate::Epoch.as_str(), Generate::Epoch),
        (Generate::EpochMs.as_str(), Generate::EpochMs),
        (Generate::Iso8601.as_str(), Generate::Iso8601),
        (Generate::UtcNow.as_str(), Generate::UtcNow),
        (Generate::UtcNowOnWrite.as_str(), Generate::UtcNowOnWrite),
    ];

    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Generate::Uuid4 => "uuid4",
            Generate::Ulid => "ulid",
            Generate::Ksuid => "ksuid",
            Generate::Epoch => "epoch",
            Generate::EpochMs => "epoch_ms",
            Generate::Iso8601 => "iso8601",
            Generate::UtcNow => "utc_now",
            Generate::UtcNowOnWrite => "utc_now_on_write",
        }
    }

    /// Whether no other call generates the same value.
    pub const fn is_random(self) -> bool {
        match self {
            Generate::Uuid4 | Generate::Ulid | Generate::Ksuid => true,
            Generate::Epoch
            | Generate::EpochMs
            | Generate::Iso8601
            | Generate::UtcNow
            | Generate::UtcNowOnWrite => false,
        }
    }

    /// The types of attributes that can have it.
    pub const fn types(self) -> &'static [AttributeType] {
        use AttributeType::{Datetime, Number, String, Ttl};
        match self {
            Generate::Uuid4 | Generate::Ulid | Generate::Ksuid | Generate::Iso8601 => &[String],
            Generate::Epoch => &[Number, Ttl],
            Generate::EpochMs => &[Number],
            Generate::UtcNow | Generate::UtcNowOnWrite => &[Datetime, String],
        }
    }
}
