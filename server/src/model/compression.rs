//! How an attribute is compressed: the option `compressed`.

use crate::yaml::{Cursor, Keys, Report};

/// The keys of `compressed`.
pub(super) const COMPRESSED: Keys = Keys {
    known: &["algorithm", "level", "min_size", "threshold"],
    later: &[],
};

/// Values with fewer bytes stay plain, unless the model says otherwise.
const MIN_SIZE: u64 = 100;

/// Largest ratio of compressed to plain bytes, unless the model says otherwise.
const THRESHOLD: f64 = 0.9;

/// How an attribute is compressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compression {
    /// The algorithm that writes use. Reads accept all.
    pub algorithm: CompressionAlgorithm,
    /// The algorithm's level; `None`: its default.
    pub level: Option<i32>,
    /// Values with fewer bytes stay plain.
    pub min_size: u64,
    /// A value stays plain if compressed size ÷ plain size is at least this.
    pub threshold: f64,
}

/// Algorithms that compress attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionAlgorithm {
    /// Zstandard.
    #[default]
    Zstd,
    /// LZ4.
    Lz4,
    /// gzip.
    Gzip,
}

impl CompressionAlgorithm {
    const CHOICES: &[(&str, CompressionAlgorithm)] = &[
        (CompressionAlgorithm::Zstd.as_str(), CompressionAlgorithm::Zstd),
        (CompressionAlgorithm::Lz4.as_str(), CompressionAlgorithm::Lz4),
        (CompressionAlgorithm::Gzip.as_str(), CompressionAlgorithm::Gzip),
    ];

    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            CompressionAlgorithm::Zstd => "zstd",
            CompressionAlgorithm::Lz4 => "lz4",
            CompressionAlgorithm::Gzip => "gzip",
        }
    }

    /// The algorithm of this name.
    pub fn from_name(name: &str) -> Option<CompressionAlgorithm> {
        let found = Self::CHOICES.iter().find(|(known, _)| *known == name);
        found.map(|(_, algorithm)| *algorithm)
    }

    /// The lowest and the highest level, if the algorithm has levels.
    const fn levels(self) -> Option<(i32, i32)> {
        match self {
            CompressionAlgorithm::Zstd => Some((1, 22)),
            CompressionAlgorithm::Lz4 => None,
            CompressionAlgorithm::Gzip => Some((0, 9)),
        }
    }
}

/// Reads `compressed`, a map of its options.
pub(super) fn compression(at: &Cursor<'_>, report: &mut Report) -> Option<Compression> {
    let fields = at.fields(&COMPRESSED, report)?;
    let algorithm = fields
        .get("algorithm")
        .and_then(|at| at.choice(CompressionAlgorithm::CHOICES, report))
        .unwrap_or_default();
    Some(Compression {
        algorithm,
        level: fields.get("level").and_then(|at| level(at, algorithm, report)),
        min_size: fields
            .get("min_size")
            .and_then(|at| at.whole(report))
            .unwrap_or(MIN_SIZE),
        threshold: fields
            .get("threshold")
            .and_then(|at| threshold(at, report))
            .unwrap_or(THRESHOLD),
    })
}

fn level(at: &Cursor<'_>, algorithm: CompressionAlgorithm, report: &mut Report) -> Option<i32> {
    let text = at.number(report)?;
    let Some((lowest, highest)) = algorithm.levels() else {
        report.add(at, format!("{} has no levels", algorithm.as_str()));
        return None;
    };
    let level = text
        .parse()
        .ok()
        .filter(|level| (lowest..=highest).contains(level));
    if level.is_none() {
        report.add(at, format!("must be a whole number from {lowest} to {highest}"));
    }
    level
}

fn threshold(at: &Cursor<'_>, report: &mut Report) -> Option<f64> {
    let threshold = at
        .number(report)?
        .parse()
        .ok()
        .filter(|threshold| *threshold > 0.0 && *threshold <= 1.0);
    if threshold.is_none() {
        report.add(at, "must be greater than 0 and at most 1");
    }
    threshold
}
