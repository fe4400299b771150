//! `tollgate call …`: RPCs from the shell. Talks to a server through the client library; uses nothing of the server.

mod admin;
mod args;
mod batch_get;
mod batch_write;
mod checkpoint;
mod commands;
mod connection;
mod count;
mod csv_items;
mod download;
mod error_text;
mod export;
mod failure;
mod input;
mod items;
mod json;
mod keys;
mod operation_fields;
mod output;
mod placeholders;
mod presign;
mod progress;
mod progress_bar;
mod records;
mod rejects;
mod report;
mod save;
mod table;
mod text;
mod texts;
mod transact;
mod typed;
mod update;
mod upload;

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::exit;

pub(super) use args::Args;
use commands::execute;
use failure::{Failure, Outcome};
use output::Output;

/// The call failed, or some of its items; the server is not serving.
const FAILED: u8 = 1;
/// An argument is invalid, or a file that it names.
const MISUSED: u8 = 2;

/// Sends the call and prints its response: 0 if it succeeded, 1 if it failed, 2 for wrong arguments.
pub(super) fn run(args: Args) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(call(args));
            // a pending read of standard input must not delay the exit
            runtime.shutdown_background();
            code
        }
        Err(error) => exit::failure(&format!("cannot start: {error}")),
    }
}

async fn call(args: Args) -> ExitCode {
    let form = match args.form() {
        Ok(form) => form,
        Err(failure) => return ended(Err(failure), None),
    };
    let (mut out, mut notes) = (io::stdout(), io::stderr());
    let mut output = Output::new(&mut out, &mut notes, form, args.quiet);
    let outcome = execute(args, &mut output).await;
    ended(outcome, Some(&mut output))
}

fn ended(outcome: Result<Outcome, Failure>, output: Option<&mut Output<'_>>) -> ExitCode {
    let failed = |error: &tollgate_client::Error, place: Option<&str>| {
        if let Some(output) = output {
            // if it cannot be written, the exit code still shows the failure
            let _ = output.failure(error, place);
        }
        FAILED.into()
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::ItemsFailed | Outcome::NotServing) => FAILED.into(),
        Ok(Outcome::Found) => exit::found(""),
        Err(Failure::Call(error)) => failed(&error, None),
        Err(Failure::Placed(error, place)) => failed(&error, Some(&place)),
        Err(Failure::Arguments(what)) => {
            print_error(&format!("error: {}\n", json::printable(&what)), MISUSED)
        }
        // the reader closed the pipe
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            print_error(&format!("error: cannot write the output: {error}\n"), FAILED)
        }
    }
}

/// Prints an error; if standard error cannot be written, the exit code is all there is.
fn print_error(text: &str, code: u8) -> ExitCode {
    let _ = io::stderr().lock().write_all(text.as_bytes());
    code.into()
}
