//! YAML that people write for this program: model files and settings. Keeps the line of every node and checks maps key by
//! key, so that all faults of a file are reported at once. Never guesses: anything unknown is a fault.

mod cursor;
mod report;
mod tree;

pub use crate::fault::did_you_mean;
pub use cursor::{Cursor, Fields, Keys, View};
pub use report::{Fault, Report};
pub use tree::{MAX_DEPTH, MAX_FILE_BYTES, Node, documents};
