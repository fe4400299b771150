//! The values that the server generates: ids and times. The clock is a parameter.

use std::time::SystemTime;

use parking_lot::Mutex;
use ulid::{Generator, Ulid};

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::conversion::datetime::Moment;
use super::generate::Generate;
use super::value::Value;

/// The ULIDs of this process increase, whatever the clock does.
static ULIDS: Mutex<Generator> = Mutex::new(Generator::new());

/// 2014-05-13T16:53:20Z, where KSUIDs begin to count.
const KSUID_EPOCH: u64 = 1_400_000_000;

/// The digits of a KSUID.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The characters of a KSUID.
const KSUID_LENGTH: usize = 27;

impl Generate {
    /// Whether every write sets the value, an Update too, whatever the caller sends.
    pub const fn is_on_write(self) -> bool {
        match self {
            Generate::UtcNowOnWrite => true,
            Generate::Uuid4
            | Generate::Ulid
            | Generate::Ksuid
            | Generate::Epoch
            | Generate::EpochMs
            | Generate::Iso8601
            | Generate::UtcNow => false,
        }
    }

    /// A new value, as a caller would send it. Ids are random; times are that of `now`.
    pub fn value(self, now: SystemTime) -> Value {
        let nanos = unix_nanos(now);
        let moment = Moment::from_unix_nanos(nanos - nanos % 1_000);
        match self {
            Generate::Uuid4 => Value::S(uuid4(random())),
            Generate::Ulid => Value::S(next_ulid(now).to_string()),
            Generate::Ksuid => Value::S(ksuid(nanos / 1_000_000_000, random())),
            Generate::Epoch => integer(nanos / 1_000_000_000),
            Generate::EpochMs => integer(nanos / 1_000_000),
            Generate::Iso8601 => Value::S(moment.map(Moment::zulu_seconds).unwrap_or_default()),
            Generate::UtcNow | Generate::UtcNowOnWrite => {
                Value::S(moment.map(Moment::iso8601).unwrap_or_default())
            }
        }
    }
}

impl Attribute {
    /// The value that the option `generate` makes, as a caller would send it and no finer than the attribute stores;
    /// `None` without the option.
    pub fn generated(&self, now: SystemTime) -> Option<Value> {
        let value = self.generate?.value(now);
        let Value::S(text) = &value else {
            return Some(value);
        };
        if self.kind != AttributeType::Datetime {
            return Some(value);
        }
        let cut = Moment::from_rfc3339(text).map(|moment| moment.cut(self.datetime_store).iso8601());
        Some(cut.map_or(value, Value::S))
    }
}

/// Nanoseconds since 1970; a clock before that reads as 1970.
fn unix_nanos(now: SystemTime) -> i128 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

fn integer(number: i128) -> Value {
    Value::N(
        number
            .to_string()
            .parse()
            .expect("a clock's time has at most 29 digits"),
    )
}

/// A ULID that is greater than all before it.
fn next_ulid(now: SystemTime) -> Ulid {
    let mut ulids = ULIDS.lock();
    match ulids.generate_from_datetime(now) {
        Ok(ulid) => ulid,
        Err(overflow) => overflow.commit_overflow_increment(),
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

/// The UUID of version 4 with these random bytes.
fn uuid4(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    groups.join("-")
}

/// The KSUID of a time with these random bytes: 4 bytes of seconds and the payload, in base 62.
fn ksuid(seconds: i128, payload: [u8; 16]) -> String {
    let seconds = u64::try_from(seconds)
        .unwrap_or_default()
        .saturating_sub(KSUID_EPOCH);
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    let mut bytes = Vec::from(seconds.to_be_bytes());
    bytes.extend(payload);
    let mut text = [b'0'; KSUID_LENGTH];
    for place in text.iter_mut().rev() {
        let mut remainder = 0_u16;
        for byte in &mut bytes {
            let dividend = remainder << 8 | u16::from(*byte);
            *byte = (dividend / 62) as u8;
            remainder = dividend % 62;
        }
        *place = BASE62[usize::from(remainder)];
    }
    text.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::stored_form::DatetimeStore;
    use crate::model::testing::attribute;

    fn at(nanos: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
    }

    fn text(value: Value) -> String {
        match value {
            Value::S(text) => text,
            Value::N(number) => number.as_str().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn times_are_those_of_the_clock() {
        let now = at(1_769_860_800_123_456_789);
        let cases = [
            (Generate::Epoch, "1769860800"),
            (Generate::EpochMs, "1769860800123"),
            (Generate::Iso8601, "2026-01-31T12:00:00Z"),
            (Generate::UtcNow, "2026-01-31T12:00:00.123456+00:00"),
            (Generate::UtcNowOnWrite, "2026-01-31T12:00:00.123456+00:00"),
        ];
        for (generate, expected) in cases {
            assert_eq!(text(generate.value(now)), expected);
        }
    }

    #[test]
    fn times_are_no_finer_than_the_attribute_stores() {
        let created = Attribute {
            generate: Some(Generate::UtcNow),
            datetime_store: DatetimeStore::ZuluMs,
            ..attribute("created", AttributeType::Datetime)
        };
        let value = created.generated(at(1_123_456_789)).unwrap();
        assert_eq!(text(value.clone()), "1970-01-01T00:00:01.123000+00:00");
        assert!(created.to_stored(value, at(0)) == Ok(Value::S("1970-01-01T00:00:01.123Z".into())));
        assert!(attribute("a", AttributeType::String).generated(at(0)).is_none());
    }

    #[test]
    fn ulids_increase_even_if_the_clock_goes_back() {
        let mut last = Ulid::nil();
        for step in 0..10_000_u64 {
            let ulid = next_ulid(at((20_000 - step) * 1_000_000));
            assert!(ulid > last);
            last = ulid;
        }
    }

    #[test]
    fn uuids_are_of_version_4() {
        assert_eq!(uuid4([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid4([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_ne!(Generate::Uuid4.value(at(0)), Generate::Uuid4.value(at(0)));
    }

    #[test]
    fn ksuids_are_those_of_segment() {
        assert_eq!(ksuid(0, [0; 16]), "000000000000000000000000000");
        assert_eq!(ksuid(i128::MAX, [0; 16]), "000000000000000000000000000");
        assert_eq!(
            ksuid(1_400_000_000 + i128::from(u32::MAX), [0xff; 16]),
            "aWgEPTl1tmebfsQzFP4bxwgy80V"
        );
        let payload = 0xb5a1_cd34_b5f9_9d11_54fb_6853_345c_9735_u128.to_be_bytes();
        assert_eq!(
            ksuid(1_400_000_000 + 107_608_047, payload),
            "0ujtsYcgvSTl8PAuAdqWYSMnLOv"
        );
        let (early, late) = (
            Generate::Ksuid.value(at(1_500_000_000_000_000_000)),
            Generate::Ksuid.value(at(1_600_000_000_000_000_000)),
        );
        assert!(text(early) < text(late));
    }
}
