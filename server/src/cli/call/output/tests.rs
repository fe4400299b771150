//! What every form of the output prints.

#![expect(
    clippy::disallowed_methods,
    reason = "builds the status that a server returns"
)]

use tonic_types::StatusExt as _;

use super::*;

fn page(numbers: &[u32], next_page_token: &str) -> Page<Partial<Item>> {
    let found = |number: &u32| {
        let item = Item::from([("n".into(), (*number).into())]);
        Ok(Partial::new(item, vec!["ssn".to_owned()]))
    };
    let count = numbers.len() as u32;
    Page {
        items: numbers.iter().map(found).collect(),
        next_page_token: next_page_token.to_owned(),
        count,
        scanned_count: count,
        unmatched_count: 0,
    }
}

/// What goes to standard output and to standard error.
fn printed(form: Form, is_quiet: bool, print: impl FnOnce(&mut Output<'_>)) -> (String, String) {
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    print(&mut Output::new(&mut out, &mut notes, form, is_quiet));
    (String::from_utf8(out).unwrap(), String::from_utf8(notes).unwrap())
}

fn list(output: &mut Output<'_>, pages: Vec<Page<Partial<Item>>>) -> Listed {
    let mut listed = Listed::default();
    for page in pages {
        output.page(&Model::default(), page, &mut listed).unwrap();
    }
    listed
}

fn end(output: &mut Output<'_>, pages: Vec<Page<Partial<Item>>>) {
    let listed = list(output, pages);
    let metrics = CallMetrics {
        kms_calls: 3,
        ..CallMetrics::default()
    };
    output.end(&Model::default(), listed, &metrics).unwrap();
}

fn lists() -> [Vec<Page<Partial<Item>>>; 3] {
    [
        vec![],
        vec![page(&[], "")],
        vec![page(&[1, 2], "a"), page(&[], "b"), page(&[3], "c")],
    ]
}

#[test]
fn a_list_is_one_json_document_for_any_number_of_pages() {
    for pages in lists() {
        let count: u64 = pages.iter().map(|page| u64::from(page.count)).sum();
        let (text, notes) = printed(Form::Envelope, false, |output| end(output, pages));
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            object["response"]["items"].as_array().unwrap().len() as u64,
            count
        );
        assert_eq!(object["response"]["count"], count);
        assert_eq!((&object["metrics"]["kms_calls"], notes.as_str()), (&3.into(), ""));
    }
    for pages in lists() {
        let count = pages.iter().map(|page| page.count).sum::<u32>() as usize;
        let (text, _) = printed(Form::Json, false, |output| end(output, pages));
        let array: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(array.len(), count, "{text}");
    }
    for pages in lists() {
        let count = pages.iter().map(|page| page.count).sum::<u32>() as usize;
        let (text, _) = printed(Form::JsonLines, true, |output| end(output, pages));
        assert_eq!(text.lines().count(), count, "{text}");
    }
}

#[test]
fn an_interrupted_list_is_still_json() {
    let error: Error = tonic::Status::unavailable("gone").into();
    for pages in [vec![], vec![page(&[1], "a")]] {
        let (text, notes) = printed(Form::Envelope, false, |output| {
            list(output, pages);
            output.failure(&error, None).unwrap();
        });
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["error"]["code"], "UNAVAILABLE");
        assert!(notes.starts_with("error: UNAVAILABLE: gone\n"), "{notes}");
    }
    let (text, _) = printed(Form::Json, false, |output| {
        list(output, vec![page(&[1], "a")]);
        output.failure(&error, None).unwrap();
    });
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
}

#[test]
fn the_bill_goes_to_standard_error() {
    let (text, notes) = printed(Form::Plain, false, |output| end(output, vec![page(&[1], "next")]));
    assert_eq!(text, "{\n  \"n\": 1\n}\n");
    assert!(
        notes
            .lines()
            .any(|line| line.starts_with("KMS calls") && line.ends_with('3')),
        "{notes}"
    );
    assert!(
        notes.starts_with("withheld: ssn\nmore: --page-token next\n"),
        "{notes}"
    );
    let (text, notes) = printed(Form::Plain, true, |output| end(output, vec![page(&[1], "next")]));
    assert_eq!(
        (text.as_str(), notes.as_str()),
        ("{\n  \"n\": 1\n}\n", "more: --page-token next\n")
    );
}

#[test]
fn tables_have_a_row_per_item() {
    let (text, _) = printed(Form::Table, true, |output| {
        end(output, vec![page(&[1, 22], "a"), page(&[3], "")]);
    });
    assert_eq!(text, "n\n1\n22\n3\n");
    let many: Vec<u32> = (0..MAX_ROWS as u32 + 1).collect();
    let (text, _) = printed(Form::Table, true, |output| end(output, vec![page(&many, "")]));
    assert_eq!(
        text.lines().filter(|line| *line == "n").count(),
        2,
        "in two tables"
    );
}

#[test]
fn invalid_fields_are_printed_once() {
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
fn errors_contain_no_terminal_control_characters() {
    let error: Error = tonic::Status::not_found("\u{1b}]0;owned\u{7}").into();
    let text = fault_lines(&error);
    assert!(text.starts_with("error: NOT_FOUND: "));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));
}
