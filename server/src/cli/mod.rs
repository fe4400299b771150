//! The command line: parses arguments and runs commands, one file each. Exit codes are in `exit`.

mod audit;
mod call;
mod check;
mod exit;
mod for_aws;
#[cfg(feature = "embedded")]
mod fsck;
mod iam;
pub mod log;
mod log_format;
mod log_writer;
mod policy;
mod provision;
mod reload;
mod serve;
mod sweep;
#[cfg(test)]
mod testing;
mod token;
mod variables;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Flags;

/// A gRPC gateway to DynamoDB, KMS and S3 that returns the exact bill of every call.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    Serve(Flags),
    /// Check model files and report every fault
    Check(check::Args),
    /// Call a running tollgate: print the response, then its bill
    Call(Box<call::Args>),
    /// Create the tables, buckets and keys that the models need, and show what differs
    Provision(provision::Args),
    /// Remove objects that no item points to, and report pointers to nothing
    Sweep(sweep::Args),
    /// Print the least-privilege IAM policy that the models need on AWS
    Iam(iam::Args),
    /// Make the opaque tokens of callers
    Token(token::Args),
    /// Verify an audit log
    Audit(audit::Args),
    /// Check and test what callers may do
    Policy(policy::Args),
    /// Check a data folder of the embedded backend
    #[cfg(feature = "embedded")]
    Fsck(fsck::Args),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    if let Some(code) = variables::without_empty_ones() {
        return code;
    }
    match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) => {
            // help and version are reported as errors too; a closed pipe is ignored
            let _ = error.print();
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn run(command: Command) -> ExitCode {
    match command {
        Command::Serve(flags) => serve::run(&flags),
        Command::Check(args) => check::run(&args),
        Command::Call(args) => call::run(*args),
        Command::Provision(args) => provision::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Iam(args) => iam::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Policy(args) => policy::run(&args),
        #[cfg(feature = "embedded")]
        Command::Fsck(args) => fsck::run(&args),
        Command::Completions { shell } => exit::print(&completions(shell)),
    }
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tollgate", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_takes_the_documented_flags() {
        let documented = "tollgate serve --listen h:1 --insecure --models m --backend aws --data d --memory --log json \
            --config f.yaml --print-config";
        let Ok(Cli {
            command: Command::Serve(flags),
        }) = Cli::try_parse_from(documented.split_whitespace())
        else {
            panic!("not parsed")
        };
        assert!(flags.memory && flags.insecure && flags.print_config);
        assert_eq!(flags.backend.as_deref(), Some("aws"));
        assert!(Cli::try_parse_from(["tollgate", "serve", "--unknown"]).is_err());
    }

    #[test]
    fn calls_take_keys_of_items_and_of_certificates() {
        let certificate = ["--cert", "c.crt", "--key", "c.key"];
        for verb in ["get", "delete", "query"] {
            let plain = ["tollgate", "call", verb, "User", "pk=u#1"];
            assert!(Cli::try_parse_from(plain).is_ok(), "{verb}");
            let with_certificate = plain.into_iter().chain(certificate);
            assert!(Cli::try_parse_from(with_certificate).is_ok(), "{verb}");
        }
        assert!(Cli::try_parse_from(["tollgate", "call", "--cert", "c.crt", "models"]).is_err());
    }

    #[test]
    fn every_shell_has_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(completions(shell).contains("print-config"), "{shell}");
        }
    }
}
