//! The types and options that this version reads and checks but does not support yet. A model that uses one is refused.

use crate::yaml::{Cursor, Report, View};

/// Values of `type` that are not supported yet.
const TYPES: &[&str] = &[];

/// Options of an attribute that are not supported yet.
const ATTRIBUTE_OPTIONS: &[&str] = &["null_sets"];

/// Reports each use of them in a document.
pub(super) fn refuse(document: &Cursor<'_>, report: &mut Report) {
    let mut quiet = Report::new("");
    let Some(View::Map(entries)) = document.view(&mut quiet) else {
        return;
    };
    for (key, at) in entries {
        if key == "attributes"
            && let Some(View::Map(attributes)) = at.view(&mut quiet)
        {
            for (_, attribute) in attributes {
                refuse_in_attribute(&attribute, report);
            }
        }
    }
}

fn refuse_in_attribute(at: &Cursor<'_>, report: &mut Report) {
    let mut quiet = Report::new("");
    let Some(View::Map(options)) = at.view(&mut quiet) else {
        return;
    };
    let is_object = options
        .iter()
        .any(|(option, at)| *option == "type" && matches!(at.view(&mut quiet), Some(View::Text("object"))));
    for (option, at) in options {
        if option == "alias" && is_object {
            report.add(&at, "is not supported for objects by this version");
        }
        if ATTRIBUTE_OPTIONS.contains(&option) {
            report.add(&at, "is not supported by this version");
        }
        if let (true, Some(View::Text(kind))) = (option == "type", at.view(&mut quiet))
            && TYPES.contains(&kind)
        {
            report.add(&at, format!("type `{kind}` is not supported by this version"));
        }
    }
}
