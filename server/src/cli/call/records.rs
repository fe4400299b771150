//! The items of a JSON or CSV file, and the items to save of them. Sends nothing.

use std::path::Path;

use tollgate_client::Model;

use super::args::Format;
use super::csv_items::CsvItems;
use super::failure::Failure;
use super::items::{Found, Items};

/// The items of a file or of standard input.
pub(super) enum Records<'a> {
    Json(Box<Items<'a>>),
    Csv(CsvItems<'a>),
}

impl<'a> Records<'a> {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(
        model: &'a Model,
        path: &Path,
        format: Option<Format>,
    ) -> Result<Records<'a>, Failure> {
        let is_csv = || {
            path.extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
        };
        match format.unwrap_or(if is_csv() { Format::Csv } else { Format::Json }) {
            Format::Json => Ok(Records::Json(Box::new(Items::open(model, path)?))),
            Format::Csv => Ok(Records::Csv(CsvItems::open(model, path)?)),
        }
    }

    /// The name of the source for messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Records::Json(items) => items.name(),
            Records::Csv(items) => items.name(),
        }
    }

    /// The bytes that were read so far.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Records::Json(items) => items.bytes(),
            Records::Csv(items) => items.bytes(),
        }
    }

    /// The next item; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, Failure> {
        match self {
            Records::Json(items) => items.next().await,
            Records::Csv(items) => items.next().await,
        }
    }
}
