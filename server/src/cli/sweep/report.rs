//! What a sweep found, for people and for programs.

use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};

use super::spool::{Line, Spool};
use crate::sweep::{Counts, monthly_cost_usd};

/// Findings of a kind that people see; `--json` has all.
const SHOWN: u64 = 20;

/// How a report is printed.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) enum Form {
    Table,
    Json,
}

/// Prints what was found.
pub(in crate::cli) fn print(
    spool: &mut Spool,
    counts: &Counts,
    form: Form,
    is_dry_run: bool,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match form {
        Form::Table => table(spool, counts, is_dry_run, &mut out)?,
        Form::Json => json_report(spool, counts, &mut out)?,
    }
    out.flush()
}

fn json_report(spool: &mut Spool, counts: &Counts, out: &mut impl Write) -> io::Result<()> {
    for (number, kind) in ["orphans", "dangling", "stray_uploads"].into_iter().enumerate() {
        let opening = if number == 0 { "{" } else { "," };
        write!(out, "{opening}\"{kind}\":[")?;
        let mut is_first = true;
        spool.for_each(&mut |line| {
            let Some((of, object)) = object(line) else {
                return Ok(());
            };
            if of == kind {
                let separator = if is_first { "" } else { "," };
                is_first = false;
                write!(out, "{separator}{object}")?;
            }
            Ok(())
        })?;
        write!(out, "]")?;
    }
    let bytes = counts.bytes();
    writeln!(
        out,
        ",\"bytes\":{bytes},\"monthly_cost_usd\":{}}}",
        monthly_cost_usd(bytes)
    )
}

/// A finding with the name of its list.
fn object(line: Line) -> Option<(&'static str, Value)> {
    match line {
        Line::Orphan { bucket, key, bytes } => {
            Some(("orphans", json!({ "bucket": bucket, "key": key, "bytes": bytes })))
        }
        Line::Dangling {
            table,
            item_key,
            attribute,
            bucket,
            key,
        } => Some((
            "dangling",
            json!({ "table": table, "item_key": item_key, "attribute": attribute, "bucket": bucket, "key": key }),
        )),
        Line::StrayUpload {
            bucket,
            key,
            upload_id,
            bytes,
        } => Some((
            "stray_uploads",
            json!({ "bucket": bucket, "key": key, "upload_id": upload_id, "bytes": bytes }),
        )),
        Line::Mark(_) => None,
    }
}

fn table(spool: &mut Spool, counts: &Counts, is_dry_run: bool, out: &mut impl Write) -> io::Result<()> {
    let (mut orphans, mut dangling, mut strays) = (0, 0, 0);
    spool.for_each(&mut |line| {
        let (count, text) = match line {
            Line::Orphan { bucket, key, bytes } => (
                &mut orphans,
                format!("orphan        {} ({bytes} bytes)", uri(&bucket, &key)),
            ),
            Line::Dangling {
                table,
                item_key,
                attribute,
                bucket,
                key,
            } => {
                let place = format!("{table} {item_key} {attribute}");
                (
                    &mut dangling,
                    format!("dangling      {place} -> {}", uri(&bucket, &key)),
                )
            }
            Line::StrayUpload {
                bucket,
                key,
                upload_id,
                bytes,
            } => {
                let upload = format!("{} {upload_id} ({bytes} bytes)", uri(&bucket, &key));
                (&mut strays, format!("stray upload  {upload}"))
            }
            Line::Mark(_) => return Ok(()),
        };
        *count += 1;
        match *count <= SHOWN {
            true => writeln!(out, "{}", printable(&text)),
            false => Ok(()),
        }
    })?;
    let hidden: u64 = [orphans, dangling, strays]
        .iter()
        .map(|count: &u64| count.saturating_sub(SHOWN))
        .sum();
    if hidden > 0 {
        writeln!(out, "and {hidden} more (--json prints all)")?;
    }
    if orphans + dangling + strays > 0 {
        writeln!(out)?;
    }
    write!(out, "{}", sums(counts, is_dry_run))
}

fn sums(counts: &Counts, is_dry_run: bool) -> String {
    let done = |count: u64, what: &str| match is_dry_run {
        true => String::new(),
        false => format!(", {count} {what}"),
    };
    let bytes = counts.bytes();
    let mut text = format!(
        "objects        {}\norphans        {}{}\nstray uploads  {}{}\npointers       {}\ndangling       {}\n\
         foreign        {}\n",
        counts.objects,
        counts.orphans,
        done(counts.deleted, "deleted"),
        counts.stray_uploads,
        done(counts.aborted, "aborted"),
        counts.pointers,
        counts.dangling,
        counts.foreign,
    );
    if counts.adopted > 0 {
        text.push_str(&format!("adopted        {}\n", counts.adopted));
    }
    text.push_str(&format!(
        "bytes          {bytes}, {:.2} USD a month in S3 Standard\n",
        monthly_cost_usd(bytes)
    ));
    text
}

fn uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

/// Without control characters, which keys of S3 may hold.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Item, Value as Stored};
    use crate::sweep::Finding;

    fn spool() -> Spool {
        let (mut spool, _) = Spool::open(None).unwrap_or_else(|text| panic!("{text}"));
        for number in 0..25 {
            let orphan = Finding::Orphan {
                bucket: "b".to_owned(),
                key: format!("k{number}"),
                bytes: 10,
            };
            spool.add(&orphan).unwrap();
        }
        let dangling = Finding::Dangling {
            table: "documents".to_owned(),
            item_key: Item::from([("pk".to_owned(), Stored::S("A".to_owned()))]),
            attribute: "content".to_owned(),
            bucket: "b".to_owned(),
            key: "gone\n".to_owned(),
        };
        spool.add(&dangling).unwrap();
        spool
    }

    fn counts() -> Counts {
        Counts {
            objects: 1000,
            orphans: 25,
            orphan_bytes: 1 << 30,
            deleted: 24,
            pointers: 9,
            dangling: 1,
            ..Counts::default()
        }
    }

    #[test]
    fn people_see_the_first_of_each_kind_and_the_sums() {
        let mut out = Vec::new();
        table(&mut spool(), &counts(), false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("orphan    ").count(), 20);
        let line = "dangling      documents {\"pk\":{\"S\":\"A\"}} content -> s3://b/gone\u{fffd}\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("and 5 more (--json prints all)\n"), "{text}");
        assert!(text.contains("orphans        25, 24 deleted\n"), "{text}");
        assert!(
            text.ends_with("bytes          1073741824, 0.02 USD a month in S3 Standard\n"),
            "{text}"
        );
        assert!(sums(&counts(), true).contains("orphans        25\n"));
    }

    #[test]
    fn programs_see_everything() {
        let mut out = Vec::new();
        json_report(&mut spool(), &counts(), &mut out).unwrap();
        let report: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(report["orphans"].as_array().map(Vec::len), Some(25));
        assert_eq!(
            report["orphans"][3],
            json!({ "bucket": "b", "key": "k3", "bytes": 10 })
        );
        assert_eq!(report["dangling"][0]["item_key"], json!({ "pk": { "S": "A" } }));
        assert_eq!(report["stray_uploads"], json!([]));
        assert_eq!(
            (&report["bytes"], &report["monthly_cost_usd"]),
            (&json!(1 << 30), &json!(0.023))
        );
        assert_eq!(report.as_object().map(serde_json::Map::len), Some(5));
    }
}
