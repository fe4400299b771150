//! What a sweep reports while it runs.

use super::counts::Counts;
use super::position::Mark;
use crate::model::Item;

/// S3 Standard storage in us-east-1, in dollars a month for a GiB.
const USD_PER_GIB_MONTH: f64 = 0.023;
const GIB: f64 = (1_u64 << 30) as f64;

/// What a sweep reports while it runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something that nobody needs, or that is missing.
    Found(Finding),
    /// How far it is. A sweep that begins at the mark reports again what was found after it, and nothing that was found
    /// before it.
    Progress {
        /// The sums so far.
        counts: Counts,
        /// Where another sweep can go on, if nothing is pending.
        mark: Option<Box<Mark>>,
    },
}

/// Something that nobody needs, or that is missing.
#[derive(Clone, PartialEq)]
pub enum Finding {
    /// An object that no item points to.
    Orphan {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
        /// Its size.
        bytes: u64,
    },
    /// A pointer to an object that does not exist.
    Dangling {
        /// The table of the item.
        table: String,
        /// The key of the item, as stored.
        item_key: Item,
        /// The attribute that holds the pointer.
        attribute: String,
        /// The bucket that it names.
        bucket: String,
        /// The key that it names.
        key: String,
    },
    /// A multipart upload that nobody completes.
    StrayUpload {
        /// Its bucket.
        bucket: String,
        /// The key of the object that it would become.
        key: String,
        /// S3's id of the upload.
        upload_id: String,
        /// The bytes of its parts.
        bytes: u64,
    },
}

impl std::fmt::Debug for Finding {
    /// Without keys, which hold data of callers.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Finding::Orphan { .. } => "Orphan",
            Finding::Dangling { .. } => "Dangling",
            Finding::StrayUpload { .. } => "StrayUpload",
        })
    }
}

/// What bytes in S3 cost a month, in dollars: S3 Standard in us-east-1.
pub fn monthly_cost_usd(bytes: u64) -> f64 {
    bytes as f64 / GIB * USD_PER_GIB_MONTH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_by_the_gib() {
        assert!((monthly_cost_usd(1 << 40) - 23.552).abs() < 1e-9);
        assert!(monthly_cost_usd(0) == 0.0);
    }

    #[test]
    fn debug_shows_no_keys() {
        let finding = Finding::Orphan {
            bucket: "b".to_owned(),
            key: "secret".to_owned(),
            bytes: 1,
        };
        assert_eq!(format!("{finding:?}"), "Orphan");
    }
}
