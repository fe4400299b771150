//! `tollgate call …`: one RPC from the shell. Talks to a server as any client does and knows nothing of its inside.

mod commands;
mod connection;
mod input;
mod items;
mod json;
mod output;
mod placeholders;
mod report;
mod save;
mod table;
mod typed;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use super::exit;

use commands::execute;
use output::{Form, Output};

/// The call failed, or some of its items; the server is not serving.
const FAILED: u8 = 1;
/// The arguments are wrong, or a file that they name.
const MISUSED: u8 = 2;

const HELP: &str = "\
Attributes are typed by the model, which the server is asked for:
  name=Ada age=36         text, as the attribute's type; base64 for binary
  'tags:=[\"a\", 1]'        JSON, for anything else
  content=@report.pdf     the bytes of a file, for binary and object attributes

The response goes to standard output, the bill to standard error.

Exit codes:
  0  done
  1  the call failed, or some of its items
  2  wrong arguments, or a file that they name

Environment:
  TOLLGATE_ADDRESS  where the server listens, if --address does not say it";

/// Call a running tollgate: prints what it answers, then what it cost.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Where the server listens [default: TOLLGATE_ADDRESS, or http://127.0.0.1:50051]
    #[arg(long, global = true, value_name = "URL")]
    address: Option<String>,
    /// The session that the call is billed to; for `metrics`: the one whose totals are wanted
    #[arg(long, global = true, value_name = "NAME")]
    session: Option<String>,
    /// Print one JSON object with `response` and `metrics`
    #[arg(long, global = true)]
    json: bool,
    /// How the response is printed
    #[arg(long, global = true, value_name = "FORM")]
    output: Option<Printed>,
    /// Print no bill
    #[arg(long, global = true)]
    quiet: bool,
    /// How long the call may take, such as 5s; by default what the server allows
    #[arg(long, global = true, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    #[command(subcommand)]
    command: Command,
}

/// How a response is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Printed {
    /// One JSON document: the item, or an array of items
    Json,
    /// A line of JSON per item
    Jsonl,
    /// A table
    Table,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write items whole: one, or those of a file
    Save(Save),
    /// Read one item by its key
    Get(Get),
    /// Remove one item and the objects that it owns
    Delete(Delete),
    /// Read the items of one partition, in the order of their sort key
    Query(Query),
    /// Read all items of a model
    Scan(Scan),
    /// What calls cost: of a session, a model, the server, or of one finished call
    Metrics(Metrics),
    /// The models being served, or one with its attributes
    Models(Models),
    /// Whether the server is serving
    Health(Health),
}

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
struct Save {
    /// The model's name
    model: String,
    /// The item's attributes; they override those of every item of --file
    #[arg(value_name = "ATTRIBUTE", required_unless_present = "file")]
    attributes: Vec<String>,
    /// JSON: an item, several as JSON lines or an array, or what --json printed; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    condition: Condition,
    /// Check everything, write nothing
    #[arg(long)]
    validate_only: bool,
}

#[derive(Debug, clap::Args)]
struct Get {
    /// The model's name
    model: String,
    /// The key attributes, as name=value
    #[arg(value_name = "KEY", required = true)]
    key: Vec<String>,
    /// The attributes to read, as paths; by default all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    fields: Vec<String>,
    /// An object attribute whose content is to come along
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    include_object: Vec<String>,
    /// Write the content of the object to this file instead of printing it
    #[arg(long, value_name = "FILE", requires = "include_object")]
    object_file: Option<PathBuf>,
    /// Read what every earlier write left, for twice the capacity
    #[arg(long)]
    consistent: bool,
    /// Check everything, read nothing
    #[arg(long)]
    validate_only: bool,
}

#[derive(Debug, clap::Args)]
struct Delete {
    /// The model's name
    model: String,
    /// The key attributes, as name=value
    #[arg(value_name = "KEY", required = true)]
    key: Vec<String>,
    #[command(flatten)]
    condition: Condition,
    /// Check everything, delete nothing
    #[arg(long)]
    validate_only: bool,
}

#[derive(Debug, clap::Args)]
struct Query {
    /// The model's name
    model: String,
    /// Key attributes that have to be equal, as name=value
    #[arg(value_name = "KEY", required_unless_present = "key_condition")]
    key: Vec<String>,
    /// What else the key has to be, such as 'begins_with(sk, :start)'
    #[arg(long = "where", value_name = "EXPRESSION")]
    key_condition: Option<String>,
    /// From high sort keys to low
    #[arg(long)]
    descending: bool,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, clap::Args)]
struct Scan {
    /// The model's name
    model: String,
    /// Segments that the server reads in parallel
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    parallelism: u32,
    #[command(flatten)]
    listing: Listing,
}

#[derive(Debug, clap::Args)]
struct Metrics {
    /// The model whose calls count; by default all
    #[arg(long, value_name = "NAME", conflicts_with = "call")]
    model: Option<String>,
    /// Reset the totals to zero and print what they were
    #[arg(long, conflicts_with = "call")]
    reset: bool,
    /// The request id of a finished call whose bill is wanted
    #[arg(long, value_name = "REQUEST_ID")]
    call: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Models {
    /// The model's name; by default all are listed
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Health {
    /// A service of the server, such as tollgate.v1.DataService; by default the whole server
    #[arg(value_name = "SERVICE", default_value = "", hide_default_value = true)]
    service: String,
}

#[derive(Debug, clap::Args)]
struct Condition {
    /// Write only if the stored item meets this condition, such as 'attribute_not_exists(pk)'
    #[arg(long, value_name = "EXPRESSION")]
    condition: Option<String>,
    /// A placeholder of the expression, typed by the attribute it is compared with: :name=text, or :name:=JSON
    #[arg(long = "value", value_name = ":NAME=VALUE", requires = "condition")]
    values: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Listing {
    /// Only items that meet this condition, such as 'age >= :least'
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// A placeholder of the expressions, typed by the attribute it is compared with: :name=text, or :name:=JSON
    #[arg(long = "value", value_name = ":NAME=VALUE")]
    values: Vec<String>,
    /// The attributes to read, as paths; by default all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    fields: Vec<String>,
    /// Items in all; by default every one
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    limit: u32,
    /// Items that are evaluated per page
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    page_size: u32,
    /// Resume after the page that gave this token; the other arguments as they were then
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    page_token: String,
    /// Read what every earlier write left, for twice the capacity
    #[arg(long)]
    consistent: bool,
    /// Check everything, read nothing
    #[arg(long)]
    validate_only: bool,
}

/// Why nothing, or not all, was printed.
#[derive(Debug)]
enum Failure {
    /// An argument, or a file that it names.
    Arguments(String),
    /// The call.
    Call(tollgate_client::Error),
    /// The call, and what to do or where it belongs: a line for people.
    Placed(tollgate_client::Error, String),
    /// Standard output.
    Output(io::Error),
}

impl From<tollgate_client::Error> for Failure {
    fn from(error: tollgate_client::Error) -> Failure {
        Failure::Call(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

/// How a command ended that was carried out.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Some items failed, each with its error on standard error.
    ItemsFailed,
    /// The server says that it is not serving.
    NotServing,
}

impl Args {
    fn form(&self) -> Result<Form, Failure> {
        match (self.json, self.output) {
            (true, Some(_)) => Err(Failure::Arguments(
                "--json and --output exclude each other".to_owned(),
            )),
            (true, None) => Ok(Form::Envelope),
            (false, Some(Printed::Json)) => Ok(Form::Json),
            (false, Some(Printed::Jsonl)) => Ok(Form::JsonLines),
            (false, Some(Printed::Table)) => Ok(Form::Table),
            (false, None) => Ok(Form::Plain),
        }
    }
}

/// Sends the call and prints its response: 0 if it succeeded, 1 if it failed, 2 for wrong arguments.
pub(super) fn run(args: Args) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(call(args));
            // a read of standard input that nobody waits for any more does not hold up the end
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
            // if nobody reads it, the exit code still says it
            let _ = output.failure(error, place);
        }
        FAILED.into()
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::ItemsFailed | Outcome::NotServing) => FAILED.into(),
        Err(Failure::Call(error)) => failed(&error, None),
        Err(Failure::Placed(error, place)) => failed(&error, Some(&place)),
        Err(Failure::Arguments(what)) => complain(&format!("error: {}\n", json::printable(&what)), MISUSED),
        // whoever read the output has seen enough
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Failure::Output(error)) => {
            complain(&format!("error: output cannot be written: {error}\n"), FAILED)
        }
    }
}

/// If standard error cannot be written either, the exit code has to say it all.
fn complain(text: &str, code: u8) -> ExitCode {
    let _ = io::stderr().lock().write_all(text.as_bytes());
    code.into()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        let words = std::iter::once("call").chain(line.split(' '));
        Program::try_parse_from(words).map(|program| program.args)
    }

    #[test]
    fn options_go_before_and_after_the_command() {
        let args = parse("--session run-7 save User pk=USER#1 age=-3 --json --timeout 5s").unwrap();
        assert_eq!((args.session.as_deref(), args.json), (Some("run-7"), true));
        assert_eq!(args.timeout, Some(Duration::from_secs(5)));
        let Command::Save(save) = args.command else {
            panic!("save was asked for")
        };
        assert_eq!(save.attributes, ["pk=USER#1", "age=-3"]);
    }

    #[test]
    fn lists_of_names_take_commas() {
        let Command::Get(get) = parse("get User pk=1 --fields a,b.c --fields d").unwrap().command else {
            panic!("get was asked for")
        };
        assert_eq!(get.fields, ["a", "b.c", "d"]);
    }

    #[test]
    fn what_is_missing_or_contradictory_is_refused() {
        for line in [
            "save User",
            "get User",
            "delete User",
            "query User",
            "get User pk=1 --object-file file",
            "get User pk=1 --output file",
            "delete User pk=1 --value :a=1",
            "metrics --call 01J --reset",
            "scan User --limit many",
            "save",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("save User --file -").is_ok());
        let both = parse("get User pk=1 --json --output table").unwrap();
        assert!(matches!(both.form(), Err(Failure::Arguments(_))));
        assert!(parse("query User --where pk=:pk --value :pk=1").is_ok());
    }
}
