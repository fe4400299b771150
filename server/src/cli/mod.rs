//! The command line: arguments to commands, a file each; outcomes to exit codes.

mod check;
mod serve;

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Flags;

/// The gate in front of DynamoDB, KMS and S3: gRPC in, the exact bill of every call out.
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
    /// Check model files: tell every fault of every file
    Check(check::Args),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// All is well.
    Success,
    /// Something failed on the way.
    Failure,
    /// The arguments, settings or models are wrong.
    Wrong,
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(&cli.command).into(),
        Err(error) => {
            // help and version come this way too; a closed pipe changes nothing
            let _ = error.print();
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn run(command: &Command) -> Exit {
    match command {
        Command::Serve(flags) => serve::run(flags),
        Command::Check(args) => check::run(args, &mut stdout(), &mut stderr()),
        Command::Completions { shell } => completions(*shell, &mut stdout()),
    }
}

fn completions(shell: Shell, out: &mut impl Write) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tollgate", &mut script);
    out.write_all(&script).map_or(Exit::Failure, |()| Exit::Success)
}

/// Tells what is wrong with arguments, settings or models, a line each.
fn tell_faults(faults: &[impl Display], err: &mut impl Write) -> Exit {
    for fault in faults {
        // whoever closed the pipe does not want to know
        let _ = writeln!(err, "{fault}");
    }
    Exit::Wrong
}

/// Tells in one line why a command failed.
fn fail(error: &impl Display, err: &mut impl Write) -> Exit {
    // whoever closed the pipe does not want to know
    let _ = writeln!(err, "tollgate: {error}");
    Exit::Failure
}

impl From<Exit> for ExitCode {
    /// The codes of `running.md`.
    fn from(exit: Exit) -> ExitCode {
        match exit {
            Exit::Success => ExitCode::SUCCESS,
            Exit::Failure => ExitCode::from(1),
            Exit::Wrong => ExitCode::from(2),
        }
    }
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
        let documented = "tollgate serve --listen h:1 --models m --backend aws --data d --memory --log json \
            --config f.yaml --print-config";
        let Ok(Cli {
            command: Command::Serve(flags),
        }) = Cli::try_parse_from(documented.split_whitespace())
        else {
            panic!("not parsed")
        };
        assert!(flags.memory && flags.print_config);
        assert_eq!(flags.backend.as_deref(), Some("aws"));
        assert!(Cli::try_parse_from(["tollgate", "serve", "--unknown"]).is_err());
    }

    #[test]
    fn every_shell_has_completions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            assert_eq!(completions(shell, &mut script), Exit::Success);
            assert!(String::from_utf8(script).unwrap().contains("print-config"));
        }
    }
}
