//! The library of the one binary. Its map:
//!
#![doc = include_str!("../ARCHITECTURE.md")]

pub mod app;
pub mod audit;
pub mod aws;
pub mod billing;
pub mod build;
pub mod call;
pub mod caller;
pub mod capacity;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod expression;
pub mod fault;
pub mod figure;
pub mod identity;
pub mod item;
mod listener;
pub mod model;
pub mod object;
pub mod operation;
pub mod policy;
pub mod read;
mod serve;
pub mod sweep;
pub mod telemetry;
pub mod tls;
pub mod transport;
pub mod trusted_file;
pub mod write;
pub mod yaml;

#[cfg(feature = "embedded")]
pub mod embedded;
