//! `tollgate token new NAME`: a new opaque token. Writes no file, and keeps nothing.

use std::process::ExitCode;

use clap::Subcommand;

use super::exit;
use crate::identity::NewToken;

/// The arguments of `token`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a new token once, and its entry for the file of `auth.tokens`
    New {
        /// Name of the caller
        name: String,
    },
}

/// Runs the command.
pub(super) fn run(args: &Args) -> ExitCode {
    let Command::New { name } = &args.command;
    match NewToken::generate(name) {
        Ok(Some(token)) => {
            exit::note(
                "the token is not shown again; add the second line to the file of auth.tokens, with groups, tenant or \
                 expires if needed",
            );
            exit::print(&format!("{}\n{}\n", token.token(), token.line()))
        }
        Ok(None) => exit::wrong_to(
            &mut std::io::stderr().lock(),
            "NAME must be 1 to 512 bytes without control characters",
        ),
        Err(_) => exit::failure("the system random source failed"),
    }
}
