//! The arguments of the commands that handle many items.

use std::path::PathBuf;

use clap::ValueEnum;

/// The form of a file of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli::call) enum Format {
    /// JSON objects: lines, formatted, or an array
    Json,
    /// CSV with the names of the attributes in its first line; an empty cell is an absent attribute
    Csv,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Count {
    /// The model's name
    pub(in crate::cli::call) model: String,
    /// Key attributes to match, as name=value; without them, all items are counted
    #[arg(value_name = "KEY")]
    pub(in crate::cli::call) key: Vec<String>,
    /// A further condition on the key, such as 'begins_with(sk, :start)'
    #[arg(long = "where", value_name = "EXPRESSION")]
    pub(in crate::cli::call) key_condition: Option<String>,
    /// Only items that meet this condition, such as 'age >= :least'
    #[arg(long, value_name = "EXPRESSION")]
    pub(in crate::cli::call) filter: Option<String>,
    /// A placeholder of the expressions, typed by the attribute it is compared with: :name=text, or :name:=JSON
    #[arg(long = "value", value_name = ":NAME=VALUE")]
    pub(in crate::cli::call) values: Vec<String>,
    /// The index to read; by default the table
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(in crate::cli::call) index: String,
    /// Segments that the server reads in parallel, if all items are counted
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(in crate::cli::call) parallelism: u32,
    /// Read with strong consistency, for twice the capacity
    #[arg(long)]
    pub(in crate::cli::call) consistent: bool,
    /// Check everything, read nothing
    #[arg(long)]
    pub(in crate::cli::call) validate_only: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct BatchGet {
    /// The model's name
    pub(in crate::cli::call) model: String,
    /// The keys: JSON, or CSV; `-` is standard input. Attributes that are not part of the key are ignored
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli::call) file: PathBuf,
    /// The form of the file [default: csv if its name ends with .csv, else json]
    #[arg(long, value_name = "FORMAT")]
    pub(in crate::cli::call) format: Option<Format>,
    /// The attributes to read, as paths; by default all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(in crate::cli::call) fields: Vec<String>,
    /// An object attribute whose content is returned too
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(in crate::cli::call) include_object: Vec<String>,
    /// Read with strong consistency, for twice the capacity
    #[arg(long)]
    pub(in crate::cli::call) consistent: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct BatchWrite {
    /// The model's name
    pub(in crate::cli::call) model: String,
    /// Attributes that override those of every item
    #[arg(value_name = "ATTRIBUTE")]
    pub(in crate::cli::call) attributes: Vec<String>,
    /// The items: JSON, or CSV; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli::call) file: PathBuf,
    /// The form of the file [default: csv if its name ends with .csv, else json]
    #[arg(long, value_name = "FORMAT")]
    pub(in crate::cli::call) format: Option<Format>,
    /// Delete the items instead; only their keys are sent
    #[arg(long)]
    pub(in crate::cli::call) delete: bool,
    /// Attributes of the file that are not sent, such as the version of items that are to be created
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(in crate::cli::call) omit: Vec<String>,
    /// Write the items that fail to this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli::call) rejects: Option<PathBuf>,
    /// Keep the position in this file, continue from it if it exists, and remove it at the end
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli::call) checkpoint: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Transact {
    /// The operations: JSON objects such as {"save": {"model": "User", "item": {…}}}; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli::call) file: PathBuf,
    /// For 10 minutes, a repeat with this id and the same operations changes nothing
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(in crate::cli::call) request_id: String,
    /// Check everything, write nothing
    #[arg(long)]
    pub(in crate::cli::call) validate_only: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Export {
    /// The model's name
    pub(in crate::cli::call) model: String,
    /// Write to this file instead of standard output; only its owner may read it
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli::call) file: Option<PathBuf>,
    /// Keep the position in this file, continue from it if it exists, and remove it at the end
    #[arg(long, value_name = "FILE", requires = "file")]
    pub(in crate::cli::call) checkpoint: Option<PathBuf>,
    /// Segments that the server reads in parallel
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    pub(in crate::cli::call) parallelism: u32,
    /// The index to read; by default the table
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(in crate::cli::call) index: String,
    /// Only items that meet this condition, such as 'age >= :least'
    #[arg(long, value_name = "EXPRESSION")]
    pub(in crate::cli::call) filter: Option<String>,
    /// A placeholder of the filter, typed by the attribute it is compared with: :name=text, or :name:=JSON
    #[arg(long = "value", value_name = ":NAME=VALUE", requires = "filter")]
    pub(in crate::cli::call) values: Vec<String>,
    /// The attributes to read, as paths; by default all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(in crate::cli::call) fields: Vec<String>,
    /// An object attribute whose content is exported too
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(in crate::cli::call) include_object: Vec<String>,
    /// Read with strong consistency, for twice the capacity
    #[arg(long)]
    pub(in crate::cli::call) consistent: bool,
}
