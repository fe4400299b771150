//! Where the items of a Query or Scan come from: a partition, or the segments of a table.

/// Where the items come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The items of one partition.
    Query {
        /// The key condition expression, with placeholders.
        key_condition: String,
        /// From the highest sort key down.
        descending: bool,
    },
    /// The items of the table, or of some of its segments.
    Scan(Segments),
}

/// The segments of the table that a stream reads in parallel: `merged` of `total`, from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The first segment.
    pub first: u32,
    /// How many segments the table is divided into; 0 or 1: it is not.
    pub total: u32,
    /// How many segments the stream merges, one at least.
    pub merged: u32,
}

impl Source {
    /// How many segments are read, each with its own position.
    pub fn segments(&self) -> usize {
        match self {
            Source::Query { .. } => 1,
            Source::Scan(segments) => segments.merged as usize,
        }
    }
}

impl Segments {
    /// The number of a merged segment in the table, and the total; `None` if the table is not divided.
    pub(super) fn in_table(self, index: usize) -> Option<(u32, u32)> {
        (self.total > 1).then(|| (self.first + index as u32, self.total))
    }
}
