//! What a call prints: items as JSON and the bill as a table, or all of it as one JSON object. Sends nothing.

use std::io::{self, Write};

use tollgate_client::{CallMetrics, Error, Item, Page, Value, code_name, to_value};

use super::json;

/// Bad items that the JSON object tells one by one; beyond, it has their number.
const MAX_ERRORS: usize = 1000;

/// Where a call's answer goes, and in which form.
pub(super) struct Output<W> {
    writer: W,
    is_json: bool,
    /// What the JSON object has so far is the beginning of a list of items.
    is_listing: bool,
}

/// The pages of a Query or Scan so far.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) items: u64,
    pub(super) failed: u64,
    matched: u64,
    scanned: u64,
    next_page_token: String,
    errors: Vec<Value>,
}

impl<W: Write> Output<W> {
    pub(super) fn new(writer: W, is_json: bool) -> Output<W> {
        Output {
            writer,
            is_json,
            is_listing: false,
        }
    }

    /// An answer of one piece: `text` for people, or `response` as JSON.
    pub(super) fn answer(
        &mut self,
        text: &str,
        response: Item,
        metrics: Option<&CallMetrics>,
    ) -> io::Result<()> {
        if self.is_json {
            let metrics = metrics.map(|metrics| format!(",\"metrics\":{}", json::compact(&bill(metrics))));
            let response = json::compact(&response.into());
            return self.write(&format!(
                "{{\"response\":{response}{}}}\n",
                metrics.unwrap_or_default()
            ));
        }
        let gap = if text.is_empty() || metrics.is_none() {
            ""
        } else {
            "\n"
        };
        let table = metrics.map(|metrics| json::printable(&format!("{metrics}\n")));
        self.write(&format!("{text}{gap}{}", table.unwrap_or_default()))
    }

    /// One item, then the bill.
    pub(super) fn item(
        &mut self,
        item: Item,
        first: &[String],
        response: Item,
        metrics: &CallMetrics,
    ) -> io::Result<()> {
        let text = if self.is_json {
            String::new()
        } else {
            format!("{}\n", json::pretty(&item.into(), first))
        };
        self.answer(&text, response, Some(metrics))
    }

    /// One more page of a list.
    pub(super) fn page(&mut self, page: Page<Item>, first: &[String], listed: &mut Listed) -> io::Result<()> {
        listed.matched += u64::from(page.count);
        listed.scanned += u64::from(page.scanned_count);
        listed.next_page_token = page.next_page_token;
        self.open_list()?;
        for result in page.items {
            match result {
                Ok(found) => self.listed_item(found.item, first, listed)?,
                Err(error) => listed.bad_item(&error)?,
            }
        }
        self.writer.flush()
    }

    /// The end of a list, and the bill.
    pub(super) fn end(&mut self, listed: Listed, metrics: &CallMetrics) -> io::Result<()> {
        if !self.is_json {
            let gap = if listed.items > 0 { "\n" } else { "" };
            let more = match listed.next_page_token.as_str() {
                "" => String::new(),
                token => format!("more: --page-token {token}\n"),
            };
            return self.write(&json::printable(&format!("{gap}{metrics}\n{more}")));
        }
        self.open_list()?;
        self.is_listing = false;
        let rest = listed.into_fields();
        let names = [
            "count",
            "scanned_count",
            "next_page_token",
            "errors",
            "failed_count",
        ];
        let fields = names.map(|name| format!(",\"{name}\":{}", json::compact(&rest[name])));
        self.write(&format!(
            "]{}}},\"metrics\":{}}}\n",
            fields.concat(),
            json::compact(&bill(metrics))
        ))
    }

    /// A failed call, for scripts; people read standard error.
    pub(super) fn failure(&mut self, error: &Error) -> io::Result<()> {
        if !self.is_json {
            return Ok(());
        }
        let fault = json::compact(&described(error));
        let metrics = json::compact(&bill(error.metrics()));
        let response = if self.is_listing {
            "]}"
        } else {
            "{\"response\":null"
        };
        self.is_listing = false;
        self.write(&format!("{response},\"error\":{fault},\"metrics\":{metrics}}}\n"))
    }

    fn open_list(&mut self) -> io::Result<()> {
        if self.is_json && !self.is_listing {
            self.is_listing = true;
            self.write("{\"response\":{\"items\":[")?;
        }
        Ok(())
    }

    fn listed_item(&mut self, item: Item, first: &[String], listed: &mut Listed) -> io::Result<()> {
        let comma = if listed.items > 0 { "," } else { "" };
        listed.items += 1;
        let item = item.into();
        match self.is_json {
            true => self
                .writer
                .write_all(format!("{comma}{}", json::compact(&item)).as_bytes()),
            false => self
                .writer
                .write_all(format!("{}\n", json::pretty(&item, first)).as_bytes()),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}

impl Listed {
    fn bad_item(&mut self, error: &Error) -> io::Result<()> {
        self.failed += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(described(error));
        }
        io::stderr().lock().write_all(fault_lines(error).as_bytes())
    }

    fn into_fields(self) -> Item {
        Item::from([
            ("count".to_owned(), self.matched.into()),
            ("scanned_count".to_owned(), self.scanned.into()),
            ("next_page_token".to_owned(), self.next_page_token.into()),
            ("errors".to_owned(), self.errors.into()),
            ("failed_count".to_owned(), self.failed.into()),
        ])
    }
}

/// Code, reason and message, a line per wrong field, and the cause where no server answered.
pub(super) fn fault_lines(error: &Error) -> String {
    let reason = error
        .reason()
        .map(|reason| format!(" {}", reason.as_str()))
        .unwrap_or_default();
    let fields: Vec<String> = error
        .violations()
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect();
    let mut lines = format!("error: {}{reason}", code_name(error.code()));
    // a message that only lists the fields would say all of it twice
    if error.message() != fields.join("; ") {
        lines.push_str(&format!(": {}", error.message()));
    }
    let key = error
        .key()
        .map(|key| format!("key {}", json::compact(&key.clone().into())));
    let cause = first_cause(error).filter(|_| fields.is_empty());
    for line in key.into_iter().chain(fields).chain(cause) {
        lines.push_str(&format!("\n  {line}"));
    }
    json::printable(&lines) + "\n"
}

/// The same with what the failed call cost.
pub(super) fn fault_and_bill(error: &Error) -> String {
    match error.metrics().calls {
        0 => fault_lines(error),
        _ => format!(
            "{}\n{}",
            fault_lines(error),
            json::printable(&format!("{}\n", error.metrics()))
        ),
    }
}

/// Where no server answered: what the connection says.
fn first_cause(error: &Error) -> Option<String> {
    let mut cause = std::error::Error::source(error).filter(|_| error.reason().is_none())?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string()).filter(|text| !text.contains(error.message()))
}

fn described(error: &Error) -> Value {
    let field = |violation: &tollgate_client::Violation| {
        let field = ("field".to_owned(), violation.field.as_str().into());
        Value::Map(Item::from([
            field,
            ("description".to_owned(), violation.description.as_str().into()),
        ]))
    };
    let fields: Vec<Value> = error.violations().iter().map(field).collect();
    let mut description = Item::from([
        ("code".to_owned(), code_name(error.code()).into()),
        (
            "reason".to_owned(),
            error
                .reason()
                .map_or(Value::Null, |reason| reason.as_str().into()),
        ),
        ("message".to_owned(), error.message().into()),
        ("fields".to_owned(), fields.into()),
    ]);
    if let Some(key) = error.key() {
        description.insert("key".to_owned(), key.clone().into());
    }
    description.into()
}

fn bill(metrics: &CallMetrics) -> Value {
    to_value(metrics).unwrap_or(Value::Null)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "stands for what a server answers")]
mod tests {
    use tollgate_client::Found;
    use tonic_types::StatusExt as _;

    use super::*;

    fn page(numbers: &[u32], next_page_token: &str) -> Page<Item> {
        let found = |number: &u32| {
            Ok(Found {
                item: Item::from([("n".into(), (*number).into())]),
                withheld: Vec::new(),
            })
        };
        let count = numbers.len() as u32;
        let items = numbers.iter().map(found).collect();
        Page {
            items,
            next_page_token: next_page_token.to_owned(),
            count,
            scanned_count: count,
        }
    }

    fn printed(is_json: bool, print: impl FnOnce(&mut Output<&mut Vec<u8>>)) -> String {
        let mut bytes = Vec::new();
        print(&mut Output::new(&mut bytes, is_json));
        String::from_utf8(bytes).unwrap()
    }

    fn list(output: &mut Output<&mut Vec<u8>>, pages: &[Page<Item>]) -> Listed {
        let mut listed = Listed::default();
        for page in pages {
            let items = page
                .items
                .iter()
                .map(|item| Ok(item.as_ref().unwrap().clone()))
                .collect();
            let page = Page {
                items,
                next_page_token: page.next_page_token.clone(),
                ..*page
            };
            output.page(page, &[], &mut listed).unwrap();
        }
        listed
    }

    #[test]
    fn lists_are_one_json_object_however_many_pages() {
        for pages in [
            vec![],
            vec![page(&[], "")],
            vec![page(&[1, 2], "a"), page(&[], "b"), page(&[3], "c")],
        ] {
            let text = printed(true, |output| {
                let listed = list(output, &pages);
                output.end(listed, &CallMetrics::default()).unwrap();
            });
            let object: serde_json::Value = serde_json::from_str(&text).unwrap();
            let count: u64 = pages.iter().map(|page| u64::from(page.count)).sum();
            assert_eq!(
                object["response"]["items"].as_array().unwrap().len() as u64,
                count
            );
            assert_eq!(object["response"]["count"], count);
            assert_eq!(object["metrics"]["kms_calls"], 0);
        }
    }

    #[test]
    fn a_list_that_breaks_is_json_too() {
        let error: Error = tonic::Status::unavailable("gone").into();
        for pages in [vec![], vec![page(&[1], "a")]] {
            let text = printed(true, |output| {
                list(output, &pages);
                output.failure(&error).unwrap();
            });
            let object: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(object["error"]["code"], "UNAVAILABLE");
        }
    }

    #[test]
    fn people_get_items_then_the_bill() {
        let text = printed(false, |output| {
            let listed = list(output, &[page(&[1], "next")]);
            output
                .end(
                    listed,
                    &CallMetrics {
                        kms_calls: 3,
                        ..CallMetrics::default()
                    },
                )
                .unwrap();
        });
        assert!(text.starts_with("{\n  \"n\": 1\n}\n\n"), "{text}");
        assert!(
            text.lines()
                .any(|line| line.starts_with("KMS calls") && line.ends_with('3')),
            "{text}"
        );
        assert!(text.ends_with("more: --page-token next\n"), "{text}");
    }

    #[test]
    fn wrong_fields_are_told_once() {
        let mut details = tonic_types::ErrorDetails::new();
        details.add_bad_request_violation("item.age", "less than 0");
        details.add_bad_request_violation("item.sk", "is required");
        for (message, expected) in [
            (
                "item.age: less than 0; item.sk: is required",
                "error: INVALID_ARGUMENT\n",
            ),
            ("two faults", "error: INVALID_ARGUMENT: two faults\n"),
        ] {
            let status =
                tonic::Status::with_error_details(tonic::Code::InvalidArgument, message, details.clone());
            let text = fault_lines(&status.into());
            assert_eq!(
                text,
                format!("{expected}  item.age: less than 0\n  item.sk: is required\n")
            );
        }
    }

    #[test]
    fn errors_cannot_steer_the_terminal() {
        let error: Error = tonic::Status::not_found("\u{1b}]0;owned\u{7}").into();
        let text = fault_lines(&error);
        assert!(text.starts_with("error: NOT_FOUND: "));
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
    }
}
