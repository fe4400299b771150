//! The parts of ISO 8601 texts: dates, times of day and offsets. Rejects everything else.

use time::{Date, Month, UtcOffset};

/// A time of day: hour, minute and second, nanoseconds, and whether it is finer than a nanosecond.
pub(super) type Clock = ((u8, u8, u8), u32, bool);

/// Reads a text from left to right. Every method returns `None` if the text has something else.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader {
            rest: text.as_bytes(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn any_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        bytes.contains(first).then_some(())?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn digits(&mut self, count: usize) -> Option<u16> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let value = digits.iter().try_fold(0_u16, |value, digit| {
            let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
            value.checked_mul(10)?.checked_add(digit)
        })?;
        self.rest = rest;
        Some(value)
    }

    pub(super) fn two(&mut self) -> Option<u8> {
        u8::try_from(self.digits(2)?).ok()
    }

    /// How many digits come next.
    pub(super) fn run(&self) -> usize {
        self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    pub(super) fn extended_date(&mut self) -> Option<Date> {
        let year = self.digits(4)?;
        self.any_of(b"-")?;
        let month = self.two()?;
        self.any_of(b"-")?;
        calendar(year, month, self.two()?)
    }

    pub(super) fn extended_time(&mut self) -> Option<Clock> {
        let hour = self.two()?;
        self.any_of(b":")?;
        let minute = self.two()?;
        self.any_of(b":")?;
        let second = self.two()?;
        let (nanos, finer) = self.fraction(b".")?;
        Some(((hour, minute, second), nanos, finer))
    }

    pub(super) fn extended_offset(&mut self) -> Option<UtcOffset> {
        if self.any_of(b"Zz").is_some() {
            return Some(UtcOffset::UTC);
        }
        let sign = self.any_of(b"+-")?;
        let hours = self.two()?;
        self.any_of(b":")?;
        offset(sign, hours, self.two()?)
    }

    /// A date as calendar, ordinal or week date, basic or extended.
    pub(super) fn date(&mut self) -> Option<Date> {
        if self.run() == 8 {
            let (year, month) = (self.digits(4)?, self.two()?);
            return calendar(year, month, self.two()?);
        }
        if self.run() == 7 {
            let year = i32::from(self.digits(4)?);
            return Date::from_ordinal_date(year, self.digits(3)?).ok();
        }
        let year = self.digits(4)?;
        let extended = self.any_of(b"-").is_some();
        if self.any_of(b"Ww").is_some() {
            let week = self.two()?;
            if extended {
                self.any_of(b"-")?;
            }
            let day = u8::try_from(self.digits(1)?).ok()?;
            let weekday = time::Weekday::Monday.nth_next(day.checked_sub(1).filter(|day| *day < 7)?);
            return Date::from_iso_week_date(i32::from(year), week, weekday).ok();
        }
        extended.then_some(())?;
        if self.run() == 3 {
            return Date::from_ordinal_date(i32::from(year), self.digits(3)?).ok();
        }
        let month = self.two()?;
        let day = match self.any_of(b"-") {
            Some(_) => self.two()?,
            None => 1,
        };
        calendar(year, month, day)
    }

    /// A time, basic or extended, with or without minutes and seconds.
    pub(super) fn time(&mut self) -> Option<Clock> {
        let hour = self.two()?;
        let extended = self.any_of(b":").is_some();
        if !extended && self.run() == 0 {
            return Some(((hour, 0, 0), 0, false));
        }
        let minute = self.two()?;
        let more = if extended {
            self.any_of(b":").is_some()
        } else {
            self.run() > 0
        };
        if !more {
            return Some(((hour, minute, 0), 0, false));
        }
        let second = self.two()?;
        let (nanos, finer) = self.fraction(b".,")?;
        Some(((hour, minute, second), nanos, finer))
    }

    pub(super) fn offset(&mut self) -> Option<UtcOffset> {
        if self.any_of(b"Zz").is_some() {
            return Some(UtcOffset::UTC);
        }
        let sign = self.any_of(b"+-")?;
        let hours = self.two()?;
        let minutes = match (self.any_of(b":").is_some(), self.run()) {
            (false, 0) => 0,
            (_, _) => self.two()?,
        };
        offset(sign, hours, minutes)
    }

    /// A fraction of a second, if there is one: its nanoseconds, and whether more is left.
    pub(super) fn fraction(&mut self, points: &[u8]) -> Option<(u32, bool)> {
        if self.any_of(points).is_none() {
            return Some((0, false));
        }
        let run = self.run();
        let (digits, rest) = self.rest.split_at_checked(run).filter(|_| run > 0)?;
        self.rest = rest;
        let (kept, cut) = digits.split_at(run.min(9));
        let nanos = kept
            .iter()
            .chain(std::iter::repeat(&b'0'))
            .take(9)
            .fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
        Some((nanos, cut.iter().any(|digit| *digit != b'0')))
    }
}

fn calendar(year: u16, month: u8, day: u8) -> Option<Date> {
    Date::from_calendar_date(i32::from(year), Month::try_from(month).ok()?, day).ok()
}

fn offset(sign: u8, hours: u8, minutes: u8) -> Option<UtcOffset> {
    (hours <= 23 && minutes <= 59).then_some(())?;
    let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
    UtcOffset::from_whole_seconds(if sign == b'-' { -seconds } else { seconds }).ok()
}
