//! The arguments of `update`.

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Update {
    /// The model's name
    pub(in crate::cli::call) model: String,
    /// The key attributes, and further attributes to set, as name=value
    #[arg(value_name = "ATTRIBUTE", required = true)]
    pub(in crate::cli::call) attributes: Vec<String>,
    /// Assign: 'age = age + :years', 'address.city = :city'
    #[arg(long, value_name = "PATH = VALUE")]
    pub(in crate::cli::call) set: Vec<String>,
    /// Remove these attributes, as paths
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    pub(in crate::cli::call) remove: Vec<String>,
    /// Add to a number or a set: 'visits :n', 'roles :new'
    #[arg(long, value_name = "PATH VALUE")]
    pub(in crate::cli::call) add: Vec<String>,
    /// Delete members of a set: 'roles :old'
    #[arg(long, value_name = "PATH VALUE")]
    pub(in crate::cli::call) delete: Vec<String>,
    /// Update only if the stored item meets this condition, such as 'age < :limit'
    #[arg(long, value_name = "EXPRESSION")]
    pub(in crate::cli::call) condition: Option<String>,
    /// A placeholder of the expressions, typed by the attribute that is changed or compared: :name=text, or :name:=JSON
    #[arg(long = "value", value_name = ":NAME=VALUE")]
    pub(in crate::cli::call) values: Vec<String>,
    /// Update only this version of the item
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(in crate::cli::call) version: u64,
    /// Fail if there is no such item; by default it is created
    #[arg(long)]
    pub(in crate::cli::call) must_exist: bool,
    /// What to print of the item
    #[arg(long = "return", value_name = "WHAT", default_value = "all-new")]
    pub(in crate::cli::call) returned: Returned,
    /// Makes the call idempotent, if the model says `idempotency`
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(in crate::cli::call) request_id: String,
    /// Check everything, write nothing
    #[arg(long)]
    pub(in crate::cli::call) validate_only: bool,
}

/// What an update prints of the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli::call) enum Returned {
    /// Nothing
    None,
    /// The item as it was
    AllOld,
    /// The item as it is
    AllNew,
    /// The changed attributes as they were
    UpdatedOld,
    /// The changed attributes as they are
    UpdatedNew,
}
