//! The condition of a write.

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Condition {
    /// Write only if the stored item meets this condition, such as 'attribute_not_exists(pk)'
    #[arg(long, value_name = "EXPRESSION")]
    pub(in crate::cli::call) condition: Option<String>,
    /// A placeholder of the expression, typed by the attribute it is compared with: :name=text, or :name:=JSON
    #[arg(long = "value", value_name = ":NAME=VALUE", requires = "condition")]
    pub(in crate::cli::call) values: Vec<String>,
}
