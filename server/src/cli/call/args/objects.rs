//! The arguments of the commands that move objects.

use std::path::PathBuf;
use std::time::Duration;

use super::condition::Condition;

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Upload {
    /// The model's name
    pub(in crate::cli::call) model: String,
    /// The item's attributes; the content of an object as name=@FILE, where `-` is standard input
    #[arg(value_name = "ATTRIBUTE", required = true)]
    pub(in crate::cli::call) attributes: Vec<String>,
    /// The media type of the contents
    #[arg(long, value_name = "TYPE", default_value = "", hide_default_value = true)]
    pub(in crate::cli::call) content_type: String,
    #[command(flatten)]
    pub(in crate::cli::call) condition: Condition,
    /// Check everything, write nothing
    #[arg(long)]
    pub(in crate::cli::call) validate_only: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Download {
    /// The model's name
    pub(in crate::cli::call) model: String,
    /// The key attributes, as name=value
    #[arg(value_name = "KEY", required = true)]
    pub(in crate::cli::call) key: Vec<String>,
    /// The file to write, which appears once the content is verified; `-` is standard output
    #[arg(long, value_name = "FILE", value_parser = target)]
    pub(in crate::cli::call) to: PathBuf,
    /// The object attribute; by default the only one of the model
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli::call) attribute: Option<String>,
    /// The first byte to read
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(in crate::cli::call) offset: u64,
    /// The number of bytes to read; by default to the end
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(in crate::cli::call) length: u64,
    /// Read only an object with this etag
    #[arg(long, value_name = "ETAG", default_value = "", hide_default_value = true)]
    pub(in crate::cli::call) if_match: String,
    /// Read the item with strong consistency, for twice the capacity
    #[arg(long)]
    pub(in crate::cli::call) consistent: bool,
    /// Check everything, read nothing
    #[arg(long)]
    pub(in crate::cli::call) validate_only: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Presign {
    /// The model's name
    pub(in crate::cli::call) model: String,
    /// The key attributes, as name=value
    #[arg(value_name = "KEY", required = true)]
    pub(in crate::cli::call) key: Vec<String>,
    /// The object attribute; by default the only one of the model
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli::call) attribute: Option<String>,
    /// How long the URL is valid, such as `1h`; by default 15 minutes
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(in crate::cli::call) expires: Option<Duration>,
    /// Print a URL to upload this file, and the token with which a save takes it up
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli::call) put: Option<PathBuf>,
    /// The media type of the file
    #[arg(
        long,
        value_name = "TYPE",
        default_value = "",
        hide_default_value = true,
        requires = "put"
    )]
    pub(in crate::cli::call) content_type: String,
    /// Check everything, sign nothing
    #[arg(long)]
    pub(in crate::cli::call) validate_only: bool,
}

/// The file of `--to`, or `-`.
fn target(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    match path.file_name() {
        Some(_) => Ok(path),
        None => Err("is not the name of a file"),
    }
}
