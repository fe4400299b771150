//! Region, account and partition of the ARNs in a policy.

/// Stands for the account if none was given; AWS refuses a policy that contains it.
pub(super) const ACCOUNT_PLACEHOLDER: &str = "ACCOUNT_ID";

/// Where the tables and keys are. ARNs of buckets name neither region nor account.
#[derive(Debug, clap::Args)]
pub(super) struct Scope {
    /// Region of the tables and keys; `*`: any
    #[arg(long, default_value = "*", value_parser = region)]
    pub(super) region: String,
    /// Account of the tables and keys, 12 digits; without it the policy has the placeholder ACCOUNT_ID
    #[arg(long, default_value = ACCOUNT_PLACEHOLDER, hide_default_value = true, value_parser = account)]
    pub(super) account: String,
    /// Partition of all ARNs: aws, aws-cn, aws-us-gov …
    #[arg(long, default_value = "aws", value_parser = partition)]
    pub(super) partition: String,
}

pub(super) fn region(text: &str) -> Result<String, &'static str> {
    let valid = text == "*" || is_name(text);
    valid
        .then(|| text.to_owned())
        .ok_or("must be a region such as eu-central-1, or *")
}

pub(super) fn account(text: &str) -> Result<String, &'static str> {
    let valid =
        text == ACCOUNT_PLACEHOLDER || (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()));
    valid.then(|| text.to_owned()).ok_or("must be 12 digits")
}

pub(super) fn partition(text: &str) -> Result<String, &'static str> {
    let valid = text.starts_with("aws") && is_name(text);
    valid
        .then(|| text.to_owned())
        .ok_or("must be a partition such as aws or aws-cn")
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner)
}
