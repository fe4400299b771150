//! Moments in time: read from RFC 3339 (strictly, from callers), from ISO 8601 and numbers (leniently, from the store),
//! and written in the forms that tables use. Exact to the nanosecond.

use time::{Date, Duration, OffsetDateTime, Time, UtcOffset};

use super::iso8601::Reader;
use crate::model::number::Number;
use crate::model::stored_form::{Compat, DatetimeStore};

/// What a caller's text must be.
pub(in crate::model) const EXPECTED: &str = "must be RFC 3339 with an offset, such as 2026-01-31T12:00:00Z";

const NANOS: i128 = 1_000_000_000;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// A moment in the years 1 to 9999, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::model) struct Moment {
    utc: OffsetDateTime,
}

impl Moment {
    /// The moment of a number of nanoseconds since 1970.
    pub(in crate::model) fn from_unix_nanos(nanos: i128) -> Option<Moment> {
        Moment::valid(OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?)
    }

    /// Parses RFC 3339.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub(in crate::model) fn from_rfc3339(text: &str) -> Result<Moment, &'static str> {
        let mut reader = Reader::new(text);
        let parsed = (|| {
            let date = reader.extended_date()?;
            reader.any_of(b"Tt ")?;
            let time = reader.extended_time()?;
            let offset = reader.extended_offset()?;
            reader.is_done().then_some((date, time, offset))
        })();
        let (date, (time, nanos, finer), offset) = parsed.ok_or(EXPECTED)?;
        if finer {
            return Err("must have at most 9 fractional digits");
        }
        moment(date, time, nanos, offset).ok_or(EXPECTED)
    }

    /// Parses any ISO 8601 date, or date and time. Without an offset it is UTC. `None` if it is something else, or finer
    /// than a nanosecond.
    pub(in crate::model) fn from_iso8601(text: &str) -> Option<Moment> {
        let mut reader = Reader::new(text);
        let date = reader.date()?;
        if reader.is_done() {
            return moment(date, (0, 0, 0), 0, UtcOffset::UTC);
        }
        reader.any_of(b"Tt ")?;
        let (time, nanos, finer) = reader.time()?;
        let offset = if reader.is_done() {
            UtcOffset::UTC
        } else {
            reader.offset()?
        };
        (reader.is_done() && !finer).then_some(())?;
        match time {
            (24, 0, 0) if nanos == 0 => moment(date.next_day()?, (0, 0, 0), 0, offset),
            _ => moment(date, time, nanos, offset),
        }
    }

    /// The moment of a number of seconds or milliseconds since 1970; `None` if it is finer than a nanosecond.
    pub(in crate::model) fn from_number(number: &Number, store: DatetimeStore) -> Option<Moment> {
        let unit = match store {
            DatetimeStore::Epoch => NANOS,
            DatetimeStore::EpochMs => NANOS_PER_MILLI,
            DatetimeStore::Iso8601 | DatetimeStore::ZuluMs | DatetimeStore::Pynamodb => return None,
        };
        let text = number.as_str();
        let digits = text.trim_start_matches('-');
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= 9)?;
        let scale = 10_i128.pow(places);
        let whole: i128 = whole
            .parse()
            .ok()
            .filter(|whole| *whole < 1_000_000_000_000_000)?;
        let fraction: i128 = if fraction.is_empty() {
            0
        } else {
            fraction.parse().ok()?
        };
        let scaled = (whole * scale + fraction) * unit;
        (scaled % scale == 0).then_some(())?;
        let nanos = scaled / scale;
        Moment::from_unix_nanos(if text.starts_with('-') { -nanos } else { nanos })
    }

    /// Nanoseconds since 1970.
    pub(in crate::model) fn unix_nanos(self) -> i128 {
        self.utc.unix_timestamp_nanos()
    }

    /// Whole seconds since 1970, rounded down.
    pub(in crate::model) fn unix_seconds(self) -> i64 {
        self.utc.unix_timestamp()
    }

    /// ISO 8601 with `+00:00` and 0, 6 or 9 fractional digits, whichever is exact.
    pub(in crate::model) fn iso8601(self) -> String {
        let digits = match self.utc.nanosecond() {
            0 => 0,
            nanos if nanos.is_multiple_of(1_000) => 6,
            _ => 9,
        };
        self.text(digits, "+00:00")
    }

    /// ISO 8601 in whole seconds, with `Z`; a fraction is cut off.
    pub(in crate::model) fn zulu_seconds(self) -> String {
        self.text(0, "Z")
    }

    /// The moment, cut to what `store` can hold.
    pub(in crate::model) fn cut(self, store: DatetimeStore) -> Moment {
        let unit = match store {
            DatetimeStore::Iso8601 => 1,
            DatetimeStore::Pynamodb => 1_000,
            DatetimeStore::ZuluMs | DatetimeStore::EpochMs => NANOS_PER_MILLI,
            DatetimeStore::Epoch => NANOS,
        };
        let nanos = self.unix_nanos();
        Moment::from_unix_nanos(nanos - nanos.rem_euclid(unit)).unwrap_or(self)
    }

    /// Whether `store` can hold it exactly.
    ///
    /// # Errors
    ///
    /// What would be right.
    pub(in crate::model) fn check_precision(
        self,
        store: DatetimeStore,
        compat: Compat,
    ) -> Result<(), &'static str> {
        let python = store == DatetimeStore::Iso8601 && compat == Compat::Pydynox;
        if python && !self.utc.nanosecond().is_multiple_of(1_000) {
            return Err("must have at most 6 fractional digits: `compat: pydynox` stores microseconds");
        }
        if self.cut(store) == self {
            return Ok(());
        }
        Err(match store {
            DatetimeStore::Iso8601 | DatetimeStore::Pynamodb => {
                "must have at most 6 fractional digits: the attribute stores microseconds"
            }
            DatetimeStore::ZuluMs | DatetimeStore::EpochMs => {
                "must have at most 3 fractional digits: the attribute stores milliseconds"
            }
            DatetimeStore::Epoch => "must not have a fraction: the attribute stores seconds",
        })
    }

    /// The text or the digits that `store` holds.
    pub(in crate::model) fn stored(self, store: DatetimeStore) -> Result<String, i128> {
        match store {
            DatetimeStore::Iso8601 => Ok(self.iso8601()),
            DatetimeStore::ZuluMs => Ok(self.text(3, "Z")),
            DatetimeStore::Pynamodb => Ok(self.text(6, "+0000")),
            DatetimeStore::Epoch => Err(i128::from(self.unix_seconds())),
            DatetimeStore::EpochMs => Err(self.unix_nanos().div_euclid(NANOS_PER_MILLI)),
        }
    }

    fn text(self, digits: usize, offset: &str) -> String {
        let utc = self.utc;
        let fraction = format!("{:09}", utc.nanosecond());
        let point = if digits == 0 { "" } else { "." };
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{point}{}{offset}",
            utc.year(),
            u8::from(utc.month()),
            utc.day(),
            utc.hour(),
            utc.minute(),
            utc.second(),
            &fraction[..digits]
        )
    }

    fn valid(utc: OffsetDateTime) -> Option<Moment> {
        (1..=9999).contains(&utc.year()).then_some(Moment { utc })
    }
}

fn moment(date: Date, (hour, minute, second): (u8, u8, u8), nanos: u32, offset: UtcOffset) -> Option<Moment> {
    let time = Time::from_hms_nano(hour, minute, second, nanos).ok()?;
    let utc = date
        .with_time(time)
        .assume_utc()
        .checked_sub(Duration::seconds(i64::from(offset.whole_seconds())))?;
    Moment::valid(utc)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> Option<String> {
        Moment::from_iso8601(text).map(Moment::iso8601)
    }

    #[test]
    fn normalises_rfc3339_to_utc() {
        let cases = [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00+00:00"),
            ("2026-01-31t12:00:00z", "2026-01-31T12:00:00+00:00"),
            ("2026-01-31 12:00:00+00:00", "2026-01-31T12:00:00+00:00"),
            ("2026-01-31T23:30:00-01:30", "2026-02-01T01:00:00+00:00"),
            ("2026-01-01T00:00:00+14:00", "2025-12-31T10:00:00+00:00"),
            ("2024-02-29T12:00:00.5Z", "2024-02-29T12:00:00.500000+00:00"),
            ("2026-01-31T12:00:00.1234560Z", "2026-01-31T12:00:00.123456+00:00"),
            (
                "2026-01-31T12:00:00.1234567Z",
                "2026-01-31T12:00:00.123456700+00:00",
            ),
            (
                "2026-01-31T12:00:00.1234567890000Z",
                "2026-01-31T12:00:00.123456789+00:00",
            ),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
        ];
        for (text, expected) in cases {
            let moment = Moment::from_rfc3339(text).map(Moment::iso8601);
            assert_eq!(moment.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_rfc3339() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00Z",
            "2026-1-31T12:00:00Z",
            "2026-02-30T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:00:60Z",
            "2026-01-31T12:00:00+0000",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00Z ",
            "0001-01-01T00:00:00+01:00",
            "９026-01-31T12:00:00Z",
            "1769860800",
        ] {
            assert_eq!(Moment::from_rfc3339(text), Err(EXPECTED), "{text}");
        }
        let finer = Moment::from_rfc3339("2026-01-31T12:00:00.0000000001Z");
        assert_eq!(finer, Err("must have at most 9 fractional digits"));
    }

    #[test]
    fn reads_any_iso8601() {
        let noon = "2026-01-31T12:00:00+00:00";
        for text in [
            "2026-01-31T12:00:00",
            "2026-01-31T12:00",
            "2026-01-31T12",
            "20260131T120000Z",
            "2026-01-31T12:00:00+0000",
            "2026-01-31T13:00:00+01",
            "2026-031T12:00:00Z",
            "2026031T120000Z",
            "2026-W05-6T12:00:00Z",
            "2026W056T12Z",
            "2026-01-31 12:00:00,000Z",
        ] {
            assert_eq!(normal(text).as_deref(), Some(noon), "{text}");
        }
        assert_eq!(normal("2026-01-31").as_deref(), Some("2026-01-31T00:00:00+00:00"));
        assert_eq!(normal("2026-01").as_deref(), Some("2026-01-01T00:00:00+00:00"));
        assert_eq!(
            normal("2026-01-31T24:00").as_deref(),
            Some("2026-02-01T00:00:00+00:00")
        );
        for text in [
            "",
            "soon",
            "2026",
            "2026-W54-1",
            "2026-366",
            "2026-01-31T",
            "2026-01-31T12:00:00.0000000001",
        ] {
            assert_eq!(normal(text), None, "{text}");
        }
    }

    #[test]
    fn writes_the_forms_of_other_programs() {
        let moment = Moment::from_rfc3339("2026-01-31T12:00:00.123Z").unwrap();
        let stored = |store| moment.stored(store);
        assert_eq!(
            stored(DatetimeStore::ZuluMs),
            Ok("2026-01-31T12:00:00.123Z".into())
        );
        assert_eq!(
            stored(DatetimeStore::Pynamodb),
            Ok("2026-01-31T12:00:00.123000+0000".into())
        );
        assert_eq!(stored(DatetimeStore::Epoch), Err(1_769_860_800));
        assert_eq!(stored(DatetimeStore::EpochMs), Err(1_769_860_800_123));
        let old = Moment::from_rfc3339("1969-12-31T23:59:59.9995Z").unwrap();
        assert_eq!(old.stored(DatetimeStore::EpochMs), Err(-1));
        assert_eq!(old.stored(DatetimeStore::Epoch), Err(-1));
    }

    #[test]
    fn reads_numbers_exactly() {
        let read =
            |text: &str, store| Moment::from_number(&text.parse().unwrap(), store).map(Moment::iso8601);
        use DatetimeStore::{Epoch, EpochMs, Iso8601};
        assert_eq!(read("0", Epoch).as_deref(), Some("1970-01-01T00:00:00+00:00"));
        assert_eq!(
            read("1.5", Epoch).as_deref(),
            Some("1970-01-01T00:00:01.500000+00:00")
        );
        assert_eq!(
            read("-1.5", Epoch).as_deref(),
            Some("1969-12-31T23:59:58.500000+00:00")
        );
        assert_eq!(
            read("1.000001", EpochMs).as_deref(),
            Some("1970-01-01T00:00:00.001000001+00:00")
        );
        for (text, store) in [
            ("1e30", Epoch),
            ("0.0000000001", Epoch),
            ("0.0000001", EpochMs),
            ("1", Iso8601),
        ] {
            assert_eq!(read(text, store), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in ".{0,40}") {
            let _ = (Moment::from_rfc3339(&text), Moment::from_iso8601(&text));
        }

        #[test]
        fn texts_near_iso8601_do_not_panic(text in "[0-9TWZ:+., -]{0,40}") {
            let _ = (Moment::from_rfc3339(&text), Moment::from_iso8601(&text));
        }

        #[test]
        fn stored_forms_read_back(nanos in -62_135_596_800_000_000_000_i128..253_402_300_799_999_999_999) {
            let moment = Moment::from_unix_nanos(nanos).unwrap();
            for store in [DatetimeStore::Iso8601, DatetimeStore::ZuluMs, DatetimeStore::Pynamodb, DatetimeStore::Epoch, DatetimeStore::EpochMs] {
                let cut = moment.cut(store);
                prop_assert_eq!(cut.check_precision(store, Compat::Native), Ok(()));
                let read = match cut.stored(store) {
                    Ok(text) => Moment::from_iso8601(&text),
                    Err(number) => Moment::from_number(&number.to_string().parse().unwrap(), store),
                };
                prop_assert_eq!(read, Some(cut));
            }
            prop_assert_eq!(Moment::from_rfc3339(&moment.iso8601()), Ok(moment));
        }

        #[test]
        fn texts_sort_like_moments(left in -10_i128.pow(19)..10_i128.pow(19), right in -10_i128.pow(19)..10_i128.pow(19)) {
            let (left, right) = (Moment::from_unix_nanos(left).unwrap(), Moment::from_unix_nanos(right).unwrap());
            prop_assert_eq!(left.iso8601().cmp(&right.iso8601()), left.cmp(&right));
        }
    }
}
