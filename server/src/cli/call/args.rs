//! The arguments of `tollgate call`, as clap reads them. Their documentation is the help text.

mod admin;
mod bulk;
mod condition;
mod objects;
mod update;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use super::failure::Failure;
use super::output::Form;

pub(super) use admin::{Admin, Sweep};
pub(super) use bulk::{BatchGet, BatchWrite, Count, Export, Format, Transact};
pub(super) use condition::Condition;
pub(super) use objects::{Download, Presign, Upload};
pub(super) use update::{Returned, Update};

const HELP: &str = "\
Attributes are typed by the model, which is read from the server:
  name=Ada age=36         text, as the attribute's type; base64 for binary
  'tags:=[\"a\", 1]'        JSON, for anything else
  content=@report.pdf     the bytes of a file, for binary and object attributes

The response goes to standard output, the bill to standard error.

Exit codes:
  0  done
  1  the call failed, or some of its items
  2  wrong arguments, or a file that they name
  3  `admin sweep --dry-run` found something

Environment:
  TOLLGATE_ADDRESS  where the server listens, unless --address is given";

/// Call a running tollgate: prints the response, then its bill.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(in crate::cli) struct Args {
    /// Where the server listens [default: TOLLGATE_ADDRESS, or http://127.0.0.1:50051]
    #[arg(long, global = true, value_name = "URL")]
    pub(super) address: Option<String>,
    /// The authority of the server's certificate, in PEM, beside those of the system
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// The certificate of this caller, in PEM
    #[arg(long, global = true, value_name = "FILE", requires = "key_file")]
    pub(super) cert: Option<PathBuf>,
    /// The private key of --cert, in PEM
    // another id than that of the subcommands' `key`, which a global argument would replace
    #[arg(
        id = "key_file",
        long = "key",
        global = true,
        value_name = "FILE",
        requires = "cert"
    )]
    pub(super) key: Option<PathBuf>,
    /// A file with the bearer token of this caller
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// The session that the call is billed to; for `metrics`: the one whose totals to print
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) session: Option<String>,
    /// Print one JSON object with `response` and `metrics`
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// How the response is printed
    #[arg(long, global = true, value_name = "FORM")]
    pub(super) output: Option<Printed>,
    /// Print no bill
    #[arg(long, global = true)]
    pub(super) quiet: bool,
    /// The deadline of the call, such as 5s; by default the maximum of the server
    #[arg(long, global = true, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) timeout: Option<Duration>,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// How a response is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Printed {
    /// One JSON document: the item, or an array of items
    Json,
    /// A line of JSON per item
    Jsonl,
    /// A table
    Table,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write items whole: one, or those of a file
    Save(Save),
    /// Read one item by its key
    Get(Get),
    /// Write one item whose object contents are streamed from files
    Upload(Upload),
    /// Write the content of an object to a file
    Download(Download),
    /// Print a time-limited URL to read an object or to upload one
    Presign(Presign),
    /// Change attributes of one item in place
    Update(Update),
    /// Remove one item and the objects that it owns
    Delete(Delete),
    /// Read the items of one partition, in the order of their sort key
    Query(Query),
    /// Read all items of a model
    Scan(Scan),
    /// Count the items of one partition, or all items of a model
    Count(Count),
    /// Read the items whose keys a file lists
    BatchGet(BatchGet),
    /// Write or delete the items of a file, concurrently
    BatchWrite(BatchWrite),
    /// Apply the operations of a file together or not at all
    Transact(Transact),
    /// Write all items of a model as JSON lines
    Export(Export),
    /// Show what calls cost: of a session, a model, the server, or one finished call
    Metrics(Metrics),
    /// List the models, or show one with its attributes
    Models(Models),
    /// Show whether the server is serving
    Health(Health),
    /// Maintain what the server stores
    #[command(subcommand)]
    Admin(Admin),
}

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Save {
    /// The model's name
    pub(super) model: String,
    /// The item's attributes; they override those of every item of --file
    #[arg(value_name = "ATTRIBUTE", required_unless_present = "file")]
    pub(super) attributes: Vec<String>,
    /// JSON: an item, several as JSON lines or an array, or what --json printed; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) condition: Condition,
    /// Check everything, write nothing
    #[arg(long)]
    pub(super) validate_only: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// The model's name
    pub(super) model: String,
    /// The key attributes, as name=value
    #[arg(value_name = "KEY", required = true)]
    pub(super) key: Vec<String>,
    /// The attributes to read, as paths; by default all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) fields: Vec<String>,
    /// An object attribute whose content is returned too
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) include_object: Vec<String>,
    /// Write the content of the object to this file instead of printing it
    #[arg(long, value_name = "FILE", requires = "include_object")]
    pub(super) object_file: Option<PathBuf>,
    /// Read with strong consistency, for twice the capacity
    #[arg(long)]
    pub(super) consistent: bool,
    /// Check everything, read nothing
    #[arg(long)]
    pub(super) validate_only: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The model's name
    pub(super) model: String,
    /// The key attributes, as name=value
    #[arg(value_name = "KEY", required = true)]
    pub(super) key: Vec<String>,
    #[command(flatten)]
    pub(super) condition: Condition,
    /// Check everything, delete nothing
    #[arg(long)]
    pub(super) validate_only: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Query {
    /// The model's name
    pub(super) model: String,
    /// Key attributes to match, as name=value
    #[arg(value_name = "KEY", required_unless_present = "key_condition")]
    pub(super) key: Vec<String>,
    /// A further condition on the key, such as 'begins_with(sk, :start)'
    #[arg(long = "where", value_name = "EXPRESSION")]
    pub(super) key_condition: Option<String>,
    /// Return items in descending order of the sort key
    #[arg(long)]
    pub(super) descending: bool,
    #[command(flatten)]
    pub(super) listing: Listing,
}

#[derive(Debug, clap::Args)]
pub(super) struct Scan {
    /// The model's name
    pub(super) model: String,
    /// Segments that the server reads in parallel
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) parallelism: u32,
    #[command(flatten)]
    pub(super) listing: Listing,
}

#[derive(Debug, clap::Args)]
pub(super) struct Metrics {
    /// The model whose calls count; by default all
    #[arg(long, value_name = "NAME", conflicts_with = "call")]
    pub(super) model: Option<String>,
    /// Reset the totals to zero and print what they were
    #[arg(long, conflicts_with = "call")]
    pub(super) reset: bool,
    /// The request id of a finished call, to print its bill
    #[arg(long, value_name = "REQUEST_ID")]
    pub(super) call: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Models {
    /// The model's name; by default all are listed
    pub(super) name: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Health {
    /// A service of the server, such as tollgate.v1.DataService; by default the whole server
    #[arg(value_name = "SERVICE", default_value = "", hide_default_value = true)]
    pub(super) service: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Listing {
    /// The index to read; by default the table
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(super) index: String,
    /// Only items that meet this condition, such as 'age >= :least'
    #[arg(long, value_name = "EXPRESSION")]
    pub(super) filter: Option<String>,
    /// A placeholder of the expressions, typed by the attribute it is compared with: :name=text, or :name:=JSON
    #[arg(long = "value", value_name = ":NAME=VALUE")]
    pub(super) values: Vec<String>,
    /// The attributes to read, as paths; by default all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) fields: Vec<String>,
    /// The maximum number of items; by default all
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(super) limit: u32,
    /// Items that are evaluated per page
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(super) page_size: u32,
    /// Resume after the page that returned this token; the other arguments must be the same
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub(super) page_token: String,
    /// Read with strong consistency, for twice the capacity
    #[arg(long)]
    pub(super) consistent: bool,
    /// Check everything, read nothing
    #[arg(long)]
    pub(super) validate_only: bool,
}

impl Args {
    /// The form of the output.
    pub(super) fn form(&self) -> Result<Form, Failure> {
        let prints_content =
            matches!(&self.command, Command::Download(download) if download.to.as_os_str() == "-");
        if prints_content && (self.json || self.output.is_some()) {
            return Err(Failure::Arguments(
                "--to - prints the content: without --json and --output".to_owned(),
            ));
        }
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
    fn options_can_precede_and_follow_the_command() {
        let args = parse("--session run-7 save User pk=USER#1 age=-3 --json --timeout 5s").unwrap();
        assert_eq!((args.session.as_deref(), args.json), (Some("run-7"), true));
        assert_eq!(args.timeout, Some(Duration::from_secs(5)));
        let Command::Save(save) = args.command else {
            panic!("not a save")
        };
        assert_eq!(save.attributes, ["pk=USER#1", "age=-3"]);
    }

    #[test]
    fn lists_of_names_are_separated_by_commas() {
        let Command::Get(get) = parse("get User pk=1 --fields a,b.c --fields d").unwrap().command else {
            panic!("not a get")
        };
        assert_eq!(get.fields, ["a", "b.c", "d"]);
    }

    #[test]
    fn refuses_missing_and_contradictory_arguments() {
        for line in [
            "save User",
            "get User",
            "delete User",
            "query User",
            "get User pk=1 --object-file file",
            "get User pk=1 --output file",
            "download Document pk=1",
            "download Document --to file",
            "download Document pk=1 --to ..",
            "download Document pk=1 --to file --offset -1",
            "delete User pk=1 --value :a=1",
            "update User",
            "batch-get User",
            "batch-write User",
            "transact",
            "export User --checkpoint c",
            "metrics --call 01J --reset",
            "scan User --limit many",
            "save",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("save User --file -").is_ok());
        let both = parse("get User pk=1 --json --output table").unwrap();
        assert!(matches!(both.form(), Err(Failure::Arguments(_))));
        let content = parse("download Document pk=1 --to - --json").unwrap();
        assert!(matches!(content.form(), Err(Failure::Arguments(_))));
        assert!(parse("download Document pk=1 --to -").unwrap().form().is_ok());
        assert!(parse("query User --where pk=:pk --value :pk=1").is_ok());
    }
}
