//! The rows of `tollgate policy test`: who does what, and what is expected.

use std::collections::{BTreeMap, BTreeSet};

use super::explain::source;
use crate::caller::{Caller, Claim, Source};
use crate::policy::{Context, KeyParts};
use crate::yaml::{Cursor, Fields, Keys, Report, View};

/// Rows of one file.
const MAX_ROWS: usize = 100_000;

const ROW: Keys = Keys {
    known: &[
        "caller", "source", "issuer", "groups", "tenant", "claims", "action", "model", "field", "session",
        "context", "expect",
    ],
    later: &[],
};
const CONTEXT: Keys = Keys {
    known: &["partition_key", "key", "consistent", "session", "tls", "time"],
    later: &[],
};

/// One row.
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) caller: Caller,
    pub(super) action: String,
    pub(super) model: Option<String>,
    pub(super) field: Option<String>,
    pub(super) session: Option<String>,
    pub(super) context: Context,
    pub(super) is_allowed: bool,
}

/// Reads the rows of a document.
pub(super) fn read(cursor: &Cursor<'_>, report: &mut Report) -> Vec<Row> {
    let rows = cursor.items(report).unwrap_or_default();
    if rows.len() > MAX_ROWS {
        report.add(cursor, format!("must have at most {MAX_ROWS} rows"));
        return Vec::new();
    }
    rows.iter().filter_map(|row| row_of(row, report)).collect()
}

fn row_of(cursor: &Cursor<'_>, report: &mut Report) -> Option<Row> {
    let fields = cursor.fields(&ROW, report)?;
    let before = report.count();
    let name = fields.require("caller", report).cloned();
    let name = name.and_then(|name| text(&name, report));
    let action = fields.require("action", report).cloned();
    let action = action.and_then(|action| text(&action, report));
    let choices = [("allow", true), ("deny", false)];
    let expect = fields.require("expect", report).cloned();
    let expect = expect.and_then(|expect| expect.choice(&choices, report));
    let source = fields.get("source").map_or(Some(Source::Jwt), |cursor| {
        let text = text(cursor, report)?;
        source(&text)
            .map_err(|description| report.add(cursor, description))
            .ok()
    });
    let issuer = optional(&fields, "issuer", report).unwrap_or_default();
    let tenant = optional(&fields, "tenant", report);
    let groups = fields.get("groups").map(|groups| texts(groups, report));
    let claims = fields.get("claims").map(|claims| claims_of(claims, report));
    let [model, field, session] = ["model", "field", "session"].map(|key| optional(&fields, key, report));
    let context = fields.get("context").map(|context| context_of(context, report));
    if report.count() > before {
        return None;
    }
    let mut caller = Caller::new(source?, &issuer, name?, tenant);
    caller.groups = groups.unwrap_or_default();
    caller.claims = claims.unwrap_or_default();
    Some(Row {
        line: cursor.line(),
        caller,
        action: action?,
        model,
        field,
        session,
        context: context.unwrap_or_default(),
        is_allowed: expect?,
    })
}

fn text(cursor: &Cursor<'_>, report: &mut Report) -> Option<String> {
    cursor.text(report).map(str::to_owned)
}

fn optional(fields: &Fields<'_>, key: &str, report: &mut Report) -> Option<String> {
    fields.get(key).and_then(|cursor| text(cursor, report))
}

fn texts(cursor: &Cursor<'_>, report: &mut Report) -> BTreeSet<String> {
    let items = cursor.items(report).unwrap_or_default();
    items.iter().filter_map(|item| text(item, report)).collect()
}

fn claims_of(cursor: &Cursor<'_>, report: &mut Report) -> BTreeMap<String, Claim> {
    let entries = cursor.entries(report).unwrap_or_default();
    let claims = entries.into_iter().filter_map(|(name, cursor)| {
        let claim = match cursor.view(report)? {
            View::Text(text) => Claim::Text(text.to_owned()),
            View::Boolean(boolean) => Claim::Boolean(boolean),
            View::Number(_) => Claim::Long(long(&cursor, report)?),
            View::List(_) => Claim::Texts(texts(&cursor, report)),
            other => return cursor.expected("text, a number, a boolean or a list of texts", &other, report),
        };
        Some((name.to_owned(), claim))
    });
    claims.collect()
}

fn long(cursor: &Cursor<'_>, report: &mut Report) -> Option<i64> {
    let number = cursor.number(report)?.parse().ok();
    if number.is_none() {
        report.add(cursor, "expected a whole number of 64 bits");
    }
    number
}

fn context_of(cursor: &Cursor<'_>, report: &mut Report) -> Context {
    let Some(fields) = cursor.fields(&CONTEXT, report) else {
        return Context::default();
    };
    let mut flag = |key| {
        let value = fields.get(key).and_then(|cursor| cursor.boolean(report));
        value.unwrap_or_default()
    };
    let (consistent, tls) = (flag("consistent"), flag("tls"));
    let time = fields.get("time").and_then(|cursor| long(cursor, report));
    let key = fields.get("key").and_then(|cursor| cursor.entries(report));
    let parts = key.unwrap_or_default().into_iter();
    let parts = parts.filter_map(|(name, cursor)| Some((name.to_owned(), text(&cursor, report)?)));
    Context {
        key: KeyParts {
            parts: parts.collect(),
            partition_key: optional(&fields, "partition_key", report),
        },
        consistent,
        session: optional(&fields, "session", report),
        tls,
        time: time.unwrap_or_default(),
    }
}
