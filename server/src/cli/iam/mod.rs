//! `tollgate iam`: prints the IAM policy that the models need. Sends no requests to AWS.

mod policy;
mod provision;
mod scope;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use self::policy::Policy;
use self::scope::{ACCOUNT_PLACEHOLDER, Scope};
use super::{check, exit};

/// The maximum size of a managed policy, without white space.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const MAX_MANAGED_CHARACTERS: usize = 6144;

/// The arguments of `iam`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the model files [default: the one that `serve` reads]
    #[arg(long = "models", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print the policy that `tollgate provision` needs instead of that of `tollgate serve`
    #[arg(long)]
    provision: bool,
    #[command(flatten)]
    scope: Scope,
}

/// Prints the policy, and on stderr whether it is too large for a managed one.
pub(super) fn run(args: &Args) -> ExitCode {
    let models = match check::models(args.folder.as_deref()) {
        Ok(models) => models,
        Err(code) => return code,
    };
    let policy = match args.provision {
        true => provision::policy(&models, &args.scope),
        false => Policy::new(&models, &args.scope),
    };
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
             split its statements into several policies, or put fewer models in a folder"
        )
    })
}
