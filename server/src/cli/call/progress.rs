//! The progress bar of commands that handle many items: on a terminal only, on standard error.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

const KNOWN: &str = "{bar:30} {percent:>3} %  {msg}  {eta} left";
const UNKNOWN: &str = "{spinner} {msg}  {elapsed}";

/// A progress bar.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// The bar of a file that is read; its size is unknown for standard input.
    pub(super) fn of_file(path: &Path, is_quiet: bool) -> Progress {
        let size = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
        match size {
            Some(file) if !is_quiet => Progress(ProgressBar::new(file.len()).with_style(style(KNOWN))),
            _ => Progress::without_end(is_quiet),
        }
    }

    /// A bar for an unknown number of items.
    pub(super) fn without_end(is_quiet: bool) -> Progress {
        match is_quiet {
            true => Progress(ProgressBar::hidden()),
            false => Progress(ProgressBar::new_spinner().with_style(style(UNKNOWN))),
        }
    }

    /// Shows the bytes that were read and a text.
    pub(super) fn show(&self, bytes: u64, text: String) {
        self.0.set_position(bytes);
        self.0.set_message(text);
    }

    /// Prints something else while the bar is hidden.
    pub(super) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
