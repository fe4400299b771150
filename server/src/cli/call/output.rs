//! What a call prints: its response on standard output, in one of several forms, and its bill on standard error. Sends
//! nothing.

use std::collections::BTreeSet;
use std::io::{self, Write};

use tollgate_client::{CallMetrics, Error, Item, Model, Page, Partial, Value, to_value};

use super::error_text::{described, fault_lines};
use super::table::{item_table, names};
use super::{json, typed};

/// The maximum number of failed items in the JSON object; further ones are only counted.
const MAX_ERRORS: usize = 1000;
/// The maximum number of rows of a table; a longer list is printed as several tables.
const MAX_ROWS: usize = 1000;

/// How a response is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Items as JSON, one after the other; anything else as a table.
    Plain,
    /// One JSON document: the item, or an array of items.
    Json,
    /// A line of JSON per item.
    JsonLines,
    /// A table.
    Table,
    /// One JSON object with `response` and `metrics`.
    Envelope,
}

/// Writes a response and its bill in one form.
pub(super) struct Output<'a> {
    out: &'a mut dyn Write,
    notes: &'a mut dyn Write,
    form: Form,
    is_quiet: bool,
    /// Whether a list was begun and not ended.
    is_listing: bool,
}

/// The part of a list that was printed so far.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) items: u64,
    pub(super) failed: u64,
    matched: u64,
    scanned: u64,
    next_page_token: String,
    withheld: BTreeSet<String>,
    /// Items that the server could not verify.
    unverified: u64,
    errors: Vec<Value>,
    rows: Vec<Item>,
}

impl<'a> Output<'a> {
    pub(super) fn new(
        out: &'a mut dyn Write,
        notes: &'a mut dyn Write,
        form: Form,
        is_quiet: bool,
    ) -> Output<'a> {
        Output {
            out,
            notes,
            form,
            is_quiet,
            is_listing: false,
        }
    }

    /// Prints a response without items: `text` for people, or `response` as JSON.
    pub(super) fn message(
        &mut self,
        text: &str,
        response: Item,
        metrics: Option<&CallMetrics>,
    ) -> io::Result<()> {
        match self.form {
            Form::Plain | Form::Table => self.write(text)?,
            Form::Json => self.write(&format!("{}\n", json::pretty(&response.into(), &[])))?,
            Form::JsonLines => self.write(&format!("{}\n", json::compact(&response.into())))?,
            Form::Envelope => return self.envelope(response, metrics),
        }
        metrics.map_or(Ok(()), |metrics| self.bill(metrics))
    }

    /// Prints only the bill.
    pub(super) fn nothing(&mut self, metrics: &CallMetrics) -> io::Result<()> {
        match self.form {
            Form::Envelope => self.envelope(Item::new(), Some(metrics)),
            Form::Plain | Form::Json | Form::JsonLines | Form::Table => self.bill(metrics),
        }
    }

    /// Prints one item, then the bill. `response` is its form in the JSON object.
    pub(super) fn item(
        &mut self,
        model: &Model,
        item: Item,
        response: Item,
        metrics: &CallMetrics,
    ) -> io::Result<()> {
        if self.form == Form::Envelope {
            return self.envelope(response, Some(metrics));
        }
        let text = match self.form {
            Form::Table => item_table(model, &[item]),
            Form::JsonLines => format!("{}\n", json::compact(&typed::write_item(model, item))),
            Form::Plain | Form::Json | Form::Envelope => pretty(model, item),
        };
        self.write(&text)?;
        self.bill(metrics)
    }

    /// Prints a page of a list.
    pub(super) fn page(
        &mut self,
        model: &Model,
        page: Page<Partial<Item>>,
        listed: &mut Listed,
    ) -> io::Result<()> {
        listed.matched += u64::from(page.count);
        listed.scanned += u64::from(page.scanned_count);
        listed.next_page_token = page.next_page_token;
        self.open_list()?;
        for result in page.items {
            match result {
                Ok(found) => {
                    listed.add_remarks(&found);
                    self.listed_item(model, found.into_incomplete(), listed)?;
                }
                Err(error) => self.bad_item(&error, listed)?,
            }
        }
        self.out.flush()
    }

    /// Prints an item of a list without pages.
    pub(super) fn listed(&mut self, model: &Model, item: Item, listed: &mut Listed) -> io::Result<()> {
        listed.matched += 1;
        self.open_list()?;
        self.listed_item(model, item, listed)?;
        self.out.flush()
    }

    /// Reports a failed item of a list.
    pub(super) fn bad_item(&mut self, error: &Error, listed: &mut Listed) -> io::Result<()> {
        listed.failed += 1;
        if listed.errors.len() < MAX_ERRORS {
            listed.errors.push(described(error));
        }
        self.note(&fault_lines(error))
    }

    /// Reports that a list has no item for a key.
    pub(super) fn missing(&mut self, place: &str, listed: &mut Listed) -> io::Result<()> {
        listed.failed += 1;
        self.note(&format!("{}: no item has this key\n", json::printable(place)))
    }

    /// Prints the end of a list, and the bill.
    pub(super) fn end(&mut self, model: &Model, mut listed: Listed, metrics: &CallMetrics) -> io::Result<()> {
        self.open_list()?;
        self.is_listing = false;
        match self.form {
            Form::Plain | Form::JsonLines => {}
            Form::Json => self.write(if listed.items > 0 { "\n]\n" } else { "]\n" })?,
            Form::Table => self.rows(model, &mut listed)?,
            Form::Envelope => {
                let metrics = json::compact(&figures(metrics));
                let rest = listed.rest();
                return self.write(&format!("]{rest}}},\"metrics\":{metrics}}}\n"));
            }
        }
        self.withheld(listed.withheld.iter().map(String::as_str))?;
        self.unverified(listed.unverified)?;
        if !listed.next_page_token.is_empty() {
            self.note(&format!(
                "more: --page-token {}\n",
                json::printable(&listed.next_page_token)
            ))?;
        }
        self.bill(metrics)
    }

    /// Reports a failed call: on standard error, and in the JSON object if that is the form.
    pub(super) fn failure(&mut self, error: &Error, place: Option<&str>) -> io::Result<()> {
        let is_open = std::mem::take(&mut self.is_listing);
        match self.form {
            Form::Envelope => {
                let fault = json::compact(&described(error));
                let metrics = json::compact(&figures(error.metrics()));
                let response = if is_open { "]}" } else { "{\"response\":null" };
                self.write(&format!("{response},\"error\":{fault},\"metrics\":{metrics}}}\n"))?;
            }
            Form::Json if is_open => self.write("]\n")?,
            Form::Plain | Form::Json | Form::JsonLines | Form::Table => {}
        }
        let place = place.map(|place| format!("  {}\n", json::printable(place)));
        self.note(&format!("{}{}", fault_lines(error), place.unwrap_or_default()))?;
        match error.metrics().calls {
            0 => Ok(()),
            _ => self.bill(error.metrics()),
        }
    }

    /// Prints a line on standard error, unless quiet.
    pub(super) fn remark(&mut self, text: &str) -> io::Result<()> {
        match self.is_quiet {
            true => Ok(()),
            false => self.note(&format!("{}\n", json::printable(text))),
        }
    }

    /// Names the attributes that were withheld from this caller.
    pub(super) fn withheld<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> io::Result<()> {
        let names: Vec<&str> = names.collect();
        match names.is_empty() || self.form == Form::Envelope {
            true => Ok(()),
            false => self.remark(&format!("withheld: {}", names.join(", "))),
        }
    }

    /// Says how many items could not be verified as a whole.
    pub(super) fn unverified(&mut self, items: u64) -> io::Result<()> {
        match items == 0 || self.form == Form::Envelope {
            true => Ok(()),
            false => self.remark(&format!("unverified: {items}")),
        }
    }

    fn envelope(&mut self, response: Item, metrics: Option<&CallMetrics>) -> io::Result<()> {
        let metrics = metrics.map(|metrics| format!(",\"metrics\":{}", json::compact(&figures(metrics))));
        let response = json::compact(&response.into());
        self.write(&format!(
            "{{\"response\":{response}{}}}\n",
            metrics.unwrap_or_default()
        ))
    }

    /// Prints the bill on standard error, since the output may be piped into another program.
    fn bill(&mut self, metrics: &CallMetrics) -> io::Result<()> {
        match self.is_quiet || self.form == Form::Envelope {
            true => Ok(()),
            false => self.note(&json::printable(&format!("\n{metrics}\n"))),
        }
    }

    fn open_list(&mut self) -> io::Result<()> {
        if self.is_listing {
            return Ok(());
        }
        self.is_listing = true;
        match self.form {
            Form::Envelope => self.write("{\"response\":{\"items\":["),
            Form::Json => self.write("["),
            Form::Plain | Form::JsonLines | Form::Table => Ok(()),
        }
    }

    fn listed_item(&mut self, model: &Model, item: Item, listed: &mut Listed) -> io::Result<()> {
        let comma = if listed.items > 0 { "," } else { "" };
        listed.items += 1;
        let text = match self.form {
            Form::Plain => pretty(model, item),
            Form::JsonLines => format!("{}\n", json::compact(&typed::write_item(model, item))),
            Form::Json => format!("{comma}\n{}", pretty(model, item).trim_end()),
            Form::Envelope => format!("{comma}{}", json::compact(&typed::write_item(model, item))),
            Form::Table => {
                listed.rows.push(item);
                return match listed.rows.len() < MAX_ROWS {
                    true => Ok(()),
                    false => self.rows(model, listed),
                };
            }
        };
        self.out.write_all(text.as_bytes())
    }

    fn rows(&mut self, model: &Model, listed: &mut Listed) -> io::Result<()> {
        let rows = std::mem::take(&mut listed.rows);
        match rows.is_empty() {
            true => Ok(()),
            false => self.write(&item_table(model, &rows)),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        // if this cannot be written, the exit code still shows the outcome
        let _ = self.notes.write_all(text.as_bytes());
        Ok(())
    }
}

impl Listed {
    /// Adds what is said of an item at the end: the attributes that were withheld from it, and whether it is unverified.
    pub(super) fn add_remarks(&mut self, found: &Partial<Item>) {
        self.withheld.extend(found.withheld().iter().cloned());
        self.unverified += u64::from(found.is_unverified());
    }

    /// The fields that follow the items in the JSON object.
    fn rest(self) -> String {
        let withheld: Vec<Value> = self.withheld.into_iter().map(Value::String).collect();
        let fields = [
            ("count", self.matched.into()),
            ("scanned_count", self.scanned.into()),
            ("next_page_token", self.next_page_token.into()),
            ("withheld", withheld.into()),
            ("unverified_count", self.unverified.into()),
            ("errors", self.errors.into()),
            ("failed_count", self.failed.into()),
        ];
        let fields =
            fields.map(|(name, value): (&str, Value)| format!(",\"{name}\":{}", json::compact(&value)));
        fields.concat()
    }
}

/// An item on several lines, its attributes in the order of the model.
fn pretty(model: &Model, item: Item) -> String {
    let json = typed::write_item(model, item);
    format!("{}\n", json::pretty(&json, &names(model)))
}

fn figures(metrics: &CallMetrics) -> Value {
    to_value(metrics).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests;
