//! The progress of an upload or a download on a terminal: a bar, bytes, rate and time left, in one line that is rewritten.
//! Writes nothing if standard error is not a terminal.

use indicatif::{ProgressBar as Bar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use tollgate_client::Progress;

const LINE: &str = "[{bar:24}] {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";

/// The line of one transfer. It is cleared when this is dropped.
pub(super) struct ProgressBar(Bar);

impl ProgressBar {
    /// A line on standard error, unless `is_quiet` forbids it.
    pub(super) fn new(is_quiet: bool) -> ProgressBar {
        let target = match is_quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let style = ProgressStyle::with_template(LINE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = Bar::with_draw_target(Some(0), target)
            .with_style(style.progress_chars("#--"))
            .with_finish(ProgressFinish::AndClear);
        ProgressBar(bar)
    }

    /// Shows how far the transfer is.
    pub(super) fn show(&self, progress: Progress) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_a_valid_template() {
        assert!(ProgressStyle::with_template(LINE).is_ok());
        let bar = ProgressBar::new(true);
        bar.show(Progress { bytes: 5, total: 10 });
        assert_eq!((bar.0.position(), bar.0.length()), (5, Some(10)));
    }
}
