//! `tollgate iam`: prints the IAM policy that the models at hand need. Asks nothing of AWS.

mod policy;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use self::policy::Policy;
use super::{check, exit};

/// What a managed policy may have; white space is not counted.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const MAX_MANAGED_CHARACTERS: usize = 6144;

/// Stands for the account where none was given; AWS refuses a policy that still has it.
const ACCOUNT_PLACEHOLDER: &str = "ACCOUNT_ID";

/// The arguments of `iam`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the model files [default: the one that `serve` reads]
    #[arg(long = "models", value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    scope: Scope,
}

/// Where the tables and keys are. ARNs of buckets name neither region nor account.
#[derive(Debug, clap::Args)]
struct Scope {
    /// Region of the tables and keys; `*`: any
    #[arg(long, default_value = "*", value_parser = region)]
    region: String,
    /// Account of the tables and keys, 12 digits; without it the policy has the placeholder ACCOUNT_ID
    #[arg(long, default_value = ACCOUNT_PLACEHOLDER, hide_default_value = true, value_parser = account)]
    account: String,
    /// Partition of all ARNs: aws, aws-cn, aws-us-gov …
    #[arg(long, default_value = "aws", value_parser = partition)]
    partition: String,
}

/// Prints the policy, and on stderr whether it is too large for a managed one.
pub(super) fn run(args: &Args) -> ExitCode {
    let models = match check::models(args.folder.as_deref()) {
        Ok(models) => models,
        Err(code) => return code,
    };
    let policy = Policy::new(&models, &args.scope);
    if args.scope.account == ACCOUNT_PLACEHOLDER {
        exit::note(&format!(
            "replace {ACCOUNT_PLACEHOLDER} with the account of the tables and keys, or pass --account"
        ));
    }
    if let Some(note) = size_note(policy.characters()) {
        exit::note(&note);
    }
    exit::print(&policy.to_json())
}

fn size_note(characters: usize) -> Option<String> {
    (characters > MAX_MANAGED_CHARACTERS).then(|| {
        format!(
            "the policy has {characters} characters, a managed policy at most {MAX_MANAGED_CHARACTERS}: \
             make several of its statements, or put fewer models in a folder"
        )
    })
}

fn region(text: &str) -> Result<String, &'static str> {
    let valid = text == "*" || is_name(text);
    valid
        .then(|| text.to_owned())
        .ok_or("must be a region such as eu-central-1, or *")
}

fn account(text: &str) -> Result<String, &'static str> {
    let valid =
        text == ACCOUNT_PLACEHOLDER || (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()));
    valid.then(|| text.to_owned()).ok_or("must be 12 digits")
}

fn partition(text: &str) -> Result<String, &'static str> {
    let valid = text.starts_with("aws") && is_name(text);
    valid
        .then(|| text.to_owned())
        .ok_or("must be a partition such as aws or aws-cn")
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner)
}
