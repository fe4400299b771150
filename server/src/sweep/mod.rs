//! The sweeper: finds objects that no item points to, pointers to nothing and stray multipart uploads, and removes what
//! nobody needs. Runs beside live traffic, in bounded memory, and may be interrupted at any time.
//!
//! | phase | what |
//! |---|---|
//! | objects | lists all objects under the served prefixes, and reads the item that each belongs to by its key |
//! | deletion | deletes the orphans, each after a consistent read of its item |
//! | uploads | lists the multipart uploads in progress, and aborts the old ones |
//! | pointers | scans the tables, and looks for the object of every pointer |
//!
//! An object is an orphan only if its key has the form that this program writes, its metadata names the same table and item,
//! it is older than the grace period, the item does not point to it, and it is still there a moment later. Nothing is
//! deleted if more than a tenth of the objects are orphans, or if a table is not active, unless it is forced.

mod adoption;
mod claims;
mod context;
mod counts;
mod deletion;
mod error;
mod event;
mod hashed;
mod objects;
mod options;
mod pace;
mod places;
mod pointed;
mod pointers;
mod position;
mod run;
mod sweeper;
mod uploads;

pub use counts::Counts;
pub use error::Error;
pub use event::{Event, Finding, monthly_cost_usd};
pub use options::{MAX_HELD, Options};
pub use position::{Mark, Position};
pub use run::Sweep;
pub use sweeper::{Begun, History, Sweeper};

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;
