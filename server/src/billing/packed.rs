//! A bill in few bytes: which figures are not zero, and those. For the many sessions that the server keeps; a bill of a
//! handful of calls takes some 50 bytes where [`Bill`] takes 296.
//!
//! Layout: a bit per figure in the order of [`Bill`]'s fields, then the figures whose bit is set; all as LEB128. Kept in
//! memory only.

use super::Bill;
use super::bill::FIGURES;

/// Bytes of one number in LEB128.
const MAX_NUMBER_BYTES: usize = 10;
const LOW_BITS: u64 = 0x7f;
const MORE: u8 = 0x80;

/// A bill, packed; no bytes stand for an empty one.
#[derive(Debug, Default)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Adds a bill.
    pub(super) fn add(&mut self, bill: &Bill) {
        let mut sum = self.bill();
        sum += bill;
        self.set(&sum);
    }

    /// Takes a bill away.
    pub(super) fn take_away(&mut self, bill: &Bill) {
        let mut rest = self.bill();
        rest -= bill;
        self.set(&rest);
    }

    /// The bill.
    pub(super) fn bill(&self) -> Bill {
        let mut rest = &self.0[..];
        let present = number(&mut rest);
        let mut figures = [0; FIGURES];
        for (index, figure) in figures.iter_mut().enumerate() {
            if present >> index & 1 == 1 {
                *figure = number(&mut rest);
            }
        }
        Bill::from_figures(figures)
    }

    fn set(&mut self, bill: &Bill) {
        let figures = bill.figures();
        let mut bytes = [0; MAX_NUMBER_BYTES * (FIGURES + 1)];
        let mut present = 0;
        for (index, figure) in figures.iter().enumerate() {
            present |= u64::from(*figure != 0) << index;
        }
        let mut length = put(&mut bytes, 0, present);
        for figure in figures.into_iter().filter(|figure| *figure != 0) {
            length = put(&mut bytes, length, figure);
        }
        if self.0.len() == length {
            self.0.copy_from_slice(&bytes[..length]);
        } else {
            self.0 = bytes[..length].into();
        }
    }
}

/// Writes a number; where the next one goes.
fn put(bytes: &mut [u8], mut at: usize, mut number: u64) -> usize {
    while number > LOW_BITS {
        bytes[at] = (number & LOW_BITS) as u8 | MORE;
        number >>= 7;
        at += 1;
    }
    bytes[at] = number as u8;
    at + 1
}

/// Takes a number off the front; zero where nothing is left.
fn number(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= (u64::from(*byte) & LOW_BITS) << shift;
        shift += 7;
        if byte & MORE == 0 {
            break;
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_bills() {
        let bills = [
            Bill::default(),
            Bill {
                dynamodb_us: 127,
                calls: 128,
                s3_picodollars: u64::MAX,
                ..Bill::default()
            },
            Bill {
                dynamodb_us: 1 << 63,
                wall_us: 300,
                s3_picodollars: 2,
                ..Bill::default()
            },
        ];
        let (mut packed, mut sum) = (Packed::default(), Bill::default());
        assert_eq!(packed.bill(), sum);
        for bill in &bills {
            packed.add(bill);
            sum += bill;
            assert_eq!(packed.bill(), sum);
        }
        for bill in &bills {
            packed.take_away(bill);
            sum -= bill;
            assert_eq!(packed.bill(), sum);
        }
        assert_eq!((packed.bill(), packed.0.len()), (Bill::default(), 1));
    }

    #[test]
    fn less_than_nothing_is_kept() {
        let one = Bill {
            dynamodb_calls: 1,
            ..Bill::default()
        };
        let mut packed = Packed::default();
        packed.take_away(&one);
        assert_eq!(packed.bill().dynamodb_calls, u64::MAX);
        packed.add(&one);
        assert_eq!(packed.bill(), Bill::default());
    }

    #[test]
    fn the_bill_of_a_call_takes_few_bytes() {
        let mut packed = Packed::default();
        packed.add(&Bill {
            dynamodb_us: 3_210,
            dynamodb_calls: 1,
            read_milliunits: 500,
            get_count: 1,
            items: 1,
            kms_us: 1_500,
            kms_calls: 1,
            calls: 1,
            wall_us: 5_000,
            gateway_us: 300,
            dynamodb_picodollars: 62_500,
            kms_picodollars: 3_000_000,
            ..Bill::default()
        });
        assert!(packed.0.len() <= 40, "{}", packed.0.len());
    }
}
