//! Support for the black-box tests and benchmarks: a real gateway on a free port, raw requests, bills, and the stores
//! under it.

pub mod aged;
pub mod authority;
pub mod callers;
pub mod collector;
pub mod counted;
pub mod external;
pub mod figures;
pub mod gateway;
pub mod issuer;
pub mod operation;
pub mod polling;
pub mod random;
pub mod raw;
pub mod refusal;
pub mod scripted;
pub mod sdk;
mod signing;
pub mod stores;
pub mod streams;
pub mod urls;
pub mod values;
pub mod versions;
pub mod wiretap;
