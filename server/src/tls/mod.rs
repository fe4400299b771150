//! TLS of the listeners: certificates, and how they are replaced while connections are served. Decides nothing about
//! what a caller may do.

mod certificates;
mod files;
mod server_config;

pub use self::certificates::{Certificates, Reloaded};
pub use self::files::{Error, Settings};
