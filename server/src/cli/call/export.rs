//! `export`: writes all items of a model as JSON lines, which `batch-write` reads.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use futures::StreamExt as _;
use tollgate_client::{Client, Error, Item, Model, Page, Partial, Scan};

use super::args::Export;
use super::checkpoint::{Checkpoint, Position};
use super::failure::{Failure, Outcome};
use super::output::{Form, Listed, Output};
use super::progress::Progress;
use super::rejects::{cannot_write, private};
use super::{connection, input, json, typed};

impl Export {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<'_>,
        (form, is_quiet): (Form, bool),
    ) -> Result<Outcome, Failure> {
        if self.file.is_none() && !matches!(form, Form::Plain | Form::JsonLines) {
            let what = "export prints JSON lines: use --file together with --json or --output";
            return Err(Failure::Arguments(what.to_owned()));
        }
        input::check_placeholders(&[self.filter.as_deref()], &self.values)?;
        let model = connection::model(plain, &self.model).await?;
        input::check_names(&model, self.include_object.iter().map(String::as_str))?;
        let filter = input::expression(&model, self.filter.as_deref(), &self.values)?;
        let file = self.file.as_deref().map(Path::display);
        let of = format!(
            "export {} {}",
            model.name,
            file.map(|file| file.to_string()).unwrap_or_default()
        );
        let (checkpoint, position) = Checkpoint::open(self.checkpoint.clone(), of)?;
        let scan = Scan {
            index: self.index,
            filter,
            fields: self.fields,
            page_token: position.page_token.clone(),
            consistent_read: self.consistent,
            include_objects: self.include_object,
            parallelism: self.parallelism,
            ..Scan::new(self.model)
        };
        let mut exporter = Exporter {
            model: &model,
            target: Target::open(self.file.as_deref(), &position)?,
            checkpoint,
            bytes: position.bytes,
            position,
            items: 0,
            failed: 0,
            withheld: BTreeSet::new(),
            unverified: 0,
            unreadable: BTreeSet::new(),
            progress: Progress::without_end(is_quiet),
        };
        exporter.items = exporter.position.items;
        exporter.failed = exporter.position.failed;
        let mut pages = client.scan::<Partial<Item>>(scan).pages();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| exporter.broken(error))?;
            exporter.page(page, output)?;
        }
        exporter.end(output)?;
        let response = Item::from([
            ("exported".to_owned(), exporter.items.into()),
            ("failed".to_owned(), exporter.failed.into()),
        ]);
        match self.file {
            Some(_) => {
                let text = format!("{} exported, {} failed\n", exporter.items, exporter.failed);
                output.message(&text, response, Some(pages.metrics()))?;
            }
            None => output.nothing(pages.metrics())?,
        }
        Ok(match exporter.failed == 0 && exporter.unreadable.is_empty() {
            true => Outcome::Done,
            false => Outcome::ItemsFailed,
        })
    }
}

/// What is written, and how far it has come.
struct Exporter<'a> {
    model: &'a Model,
    target: Target,
    checkpoint: Checkpoint,
    /// After the last page that ended with a token.
    position: Position,
    bytes: u64,
    items: u64,
    failed: u64,
    withheld: BTreeSet<String>,
    /// Items that the server could not verify.
    unverified: u64,
    /// Attributes whose stored values could not be read.
    unreadable: BTreeSet<String>,
    progress: Progress,
}

impl Exporter<'_> {
    fn page(&mut self, page: Page<Partial<Item>>, output: &mut Output<'_>) -> Result<(), Failure> {
        for result in page.items {
            match result {
                Ok(found) => {
                    self.withheld.extend(found.withheld().iter().cloned());
                    self.unverified += u64::from(found.is_unverified());
                    let unreadable = found.unreadable().iter();
                    self.unreadable
                        .extend(unreadable.map(|one| one.attribute.clone()));
                    let item = typed::write_item(self.model, found.into_incomplete());
                    let line = json::compact(&item) + "\n";
                    self.target.write(line.as_bytes())?;
                    self.bytes += line.len() as u64;
                    self.items += 1;
                }
                Err(error) => {
                    self.failed += 1;
                    self.progress
                        .suspend(|| output.bad_item(&error, &mut Listed::default()))?;
                }
            }
        }
        self.progress
            .show(0, format!("{} items, {} bytes", self.items, self.bytes));
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        self.position = Position {
            of: self.position.of.clone(),
            items: self.items,
            failed: self.failed,
            bytes: self.bytes,
            page_token: page.next_page_token,
        };
        if self.checkpoint.is_due() {
            self.keep()?;
        }
        Ok(())
    }

    /// Keeps the position. The items before it are written first.
    fn keep(&mut self) -> Result<(), Failure> {
        self.target.flush()?;
        self.checkpoint.keep(&self.position)
    }

    /// The failure of a stream that broke.
    fn broken(&mut self, error: Error) -> Failure {
        self.progress.end();
        match self.keep() {
            Ok(()) => Failure::Placed(error, format!("items exported before it: {}", self.items)),
            Err(failure) => failure,
        }
    }

    fn end(&mut self, output: &mut Output<'_>) -> Result<(), Failure> {
        self.target.flush()?;
        self.progress.end();
        self.checkpoint.end()?;
        output.withheld(self.withheld.iter().map(String::as_str))?;
        output.unverified(self.unverified)?;
        if !self.unreadable.is_empty() {
            let names: Vec<&str> = self.unreadable.iter().map(String::as_str).collect();
            output.remark(&format!(
                "left out, because they cannot be read: {}",
                names.join(", ")
            ))?;
        }
        Ok(())
    }
}

/// Where the lines go.
enum Target {
    File(std::path::PathBuf, BufWriter<File>),
    Output(BufWriter<io::Stdout>),
}

impl Target {
    /// A file, of which only the part before the position is kept, or standard output.
    fn open(path: Option<&Path>, position: &Position) -> Result<Target, Failure> {
        let Some(path) = path else {
            return Ok(Target::Output(BufWriter::new(io::stdout())));
        };
        let is_continued = !position.page_token.is_empty();
        let file = private(path, is_continued)?;
        if is_continued {
            let size = file.metadata().map_err(|error| cannot_write(path, &error))?.len();
            if size < position.bytes {
                let what = format!("{}: is shorter than its checkpoint says", path.display());
                return Err(Failure::Arguments(what));
            }
            file.set_len(position.bytes)
                .map_err(|error| cannot_write(path, &error))?;
        }
        Ok(Target::File(path.to_owned(), BufWriter::new(file)))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Target::File(path, file) => file.write_all(bytes).map_err(|error| cannot_write(path, &error)),
            Target::Output(out) => Ok(out.write_all(bytes)?),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        match self {
            Target::File(path, file) => file.flush().map_err(|error| cannot_write(path, &error)),
            Target::Output(out) => Ok(out.flush()?),
        }
    }
}
