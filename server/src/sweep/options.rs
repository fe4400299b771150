//! What a sweep does.

use std::time::Duration;

use super::error::Error;

/// How many orphans a sweep holds in memory until all objects are counted; with more, it lists the objects again.
pub const MAX_HELD: usize = 20_000;
/// How long an upload by a presigned URL may wait to be taken up, before the grace period.
pub(super) const UPLOAD_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a sweep does.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only reports; deletes and changes nothing.
    pub dry_run: bool,
    /// Objects and uploads that are younger are left alone.
    pub grace: Duration,
    /// The shortest grace period with which anything is deleted: twice the longest call.
    pub least_grace: Duration,
    /// Deletes even if a table is not active, or more than a tenth of the objects are orphans.
    pub force: bool,
    /// Copies the objects of pointers that were copied from other items, so that each item owns its objects.
    pub adopt: bool,
    /// Deletes a second, at most.
    pub rate: u32,
    /// Orphans to hold, [`MAX_HELD`] except in tests.
    pub held: usize,
}

impl Options {
    /// Checks the grace period.
    ///
    /// # Errors
    ///
    /// [`Error::Grace`] if it is too short to delete.
    pub fn check(&self) -> Result<(), Error> {
        if !self.dry_run && self.grace < self.least_grace {
            return Err(Error::Grace {
                least: self.least_grace,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dry_run_accepts_a_short_grace() {
        let options = |dry_run, seconds| Options {
            dry_run,
            grace: Duration::from_secs(seconds),
            least_grace: Duration::from_secs(7200),
            force: true,
            adopt: false,
            rate: 100,
            held: MAX_HELD,
        };
        assert!(options(true, 0).check().is_ok());
        assert!(options(false, 7200).check().is_ok());
        let refused = options(false, 7199).check().unwrap_err().to_string();
        assert_eq!(
            refused,
            "grace: must be at least 2h, twice limits.stream_deadline_max, to delete"
        );
    }
}
