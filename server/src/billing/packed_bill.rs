//! A bill in few bytes: a bitmap of the figures that are not zero, then those figures. For sessions, of which the server
//! keeps many; the bill of a handful of calls takes some 50 bytes instead of the 296 of [`Bill`].
//!
//! Layout: one bit per figure in the order of [`Bill`]'s fields, then the figures whose bit is set; all as LEB128. Kept in
//! memory only.

use crate::figure::{Bill, COUNTED};

/// Bytes of one number in LEB128.
const MAX_NUMBER_BYTES: usize = 10;
const LOW_BITS: u64 = 0x7f;
const MORE: u8 = 0x80;

/// A packed bill; an empty bill takes no bytes.
#[derive(Debug, Default)]
pub(super) struct PackedBill(Box<[u8]>);

impl PackedBill {
    /// Adds a bill.
    pub(super) fn add(&mut self, bill: &Bill) {
        let mut sum = self.bill();
        sum += bill;
        self.set(&sum);
    }

    /// Subtracts a bill.
    pub(super) fn subtract(&mut self, bill: &Bill) {
        let mut rest = self.bill();
        rest -= bill;
        self.set(&rest);
    }

    /// The bill.
    pub(super) fn bill(&self) -> Bill {
        let mut rest = &self.0[..];
        let present = number(&mut rest);
        let mut figures = [0; COUNTED];
        for (index, figure) in figures.iter_mut().enumerate() {
            if present >> index & 1 == 1 {
                *figure = number(&mut rest);
            }
        }
        Bill::from_counted(figures)
    }

    fn set(&mut self, bill: &Bill) {
        let figures = bill.counted();
        let mut bytes = [0; MAX_NUMBER_BYTES * (COUNTED + 1)];
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

/// Writes a number; returns the position after it.
fn put(bytes: &mut [u8], mut at: usize, mut number: u64) -> usize {
    while number > LOW_BITS {
        bytes[at] = (number & LOW_BITS) as u8 | MORE;
        number >>= 7;
        at += 1;
    }
    bytes[at] = number as u8;
    at + 1
}

/// Reads a number off the front; zero if nothing is left.
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
    fn sums_equal_those_of_bills() {
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
        let (mut packed, mut sum) = (PackedBill::default(), Bill::default());
        assert_eq!(packed.bill(), sum);
        for bill in &bills {
            packed.add(bill);
            sum += bill;
            assert_eq!(packed.bill(), sum);
        }
        for bill in &bills {
            packed.subtract(bill);
            sum -= bill;
            assert_eq!(packed.bill(), sum);
        }
        assert_eq!((packed.bill(), packed.0.len()), (Bill::default(), 1));
    }

    #[test]
    fn negative_figures_are_kept() {
        let one = Bill {
            dynamodb_calls: 1,
            ..Bill::default()
        };
        let mut packed = PackedBill::default();
        packed.subtract(&one);
        assert_eq!(packed.bill().dynamodb_calls, u64::MAX);
        packed.add(&one);
        assert_eq!(packed.bill(), Bill::default());
    }

    #[test]
    fn the_bill_of_a_call_takes_few_bytes() {
        let mut packed = PackedBill::default();
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
