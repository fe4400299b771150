//! What the black-box tests and benchmarks share: a real gateway on a free port, the wire, and its bills.

pub mod gateway;
pub mod values;
pub mod wiretap;
