//! Checks that models of the same table agree on the keys, on every encrypted attribute and on every object attribute.
//! Otherwise one model could read as plaintext, decrypt under other keys, or replace the objects of an attribute that
//! another model protects.
//!
//! `required`, `default`, the checks and the `mode` of the encryption may differ: a model that only writes an attribute and
//! one that only reads it can share a table.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::attribute::Attribute;
use super::declared::{Declared, Parsed, Table};
use super::encryption::Encryption;
use super::offload::Offload;
use super::schema::Model;
use crate::yaml::Report;

/// Reports where models of the same table disagree, with both places. Each model comes with the index of the report of its
/// file.
pub(super) fn check(parsed: &[(usize, Parsed)], reports: &mut [Report]) {
    let mut first = HashMap::new();
    let mut protected: HashMap<&str, BTreeMap<&str, Protected<'_>>> = HashMap::new();
    for (index, model) in parsed {
        let Some(table) = &model.table else { continue };
        let place = format!("{}:{}", reports[*index].file(), table.line);
        let (keys, place) = first.entry(table.name.as_str()).or_insert((&table.keys, place));
        if **keys != table.keys {
            let text = format!("the model at {place} has different keys for the same table");
            reports[*index].add_at(table.line, "partition_key", text);
        }
        let of_table = protected.entry(&table.name).or_default();
        for declared in &table.declared {
            if let Some(found) = Protected::new(declared, model, reports[*index].file()) {
                of_table.entry(declared.stored_name()).or_insert(found);
            }
        }
    }
    for (index, model) in parsed {
        let Some(table) = &model.table else { continue };
        let Some(of_table) = protected.get(table.name.as_str()) else {
            continue;
        };
        check_protected(table, of_table, &mut reports[*index]);
    }
}

/// Sets in each model the attributes that it does not declare but another model of its table encrypts.
pub(super) fn set_sealed_by_others(models: &mut [Model]) {
    let mut sealed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for model in models.iter() {
        let encrypted = model
            .attributes
            .iter()
            .filter(|attribute| attribute.encrypted.is_some())
            .map(|attribute| attribute.stored_name.clone());
        sealed.entry(model.table.clone()).or_default().extend(encrypted);
    }
    for model in models {
        let declared: BTreeSet<&str> = model
            .attributes
            .iter()
            .map(|attribute| attribute.stored_name.as_str())
            .collect();
        let of_table = sealed.get(&model.table).into_iter().flatten();
        model.sealed_by_others = of_table
            .filter(|name| !declared.contains(name.as_str()))
            .cloned()
            .collect();
    }
}

/// The first declaration of an attribute that a model of the table encrypts or keeps in S3.
struct Protected<'a> {
    attribute: &'a Attribute,
    /// The model that declares it, and its place.
    by: String,
}

impl<'a> Protected<'a> {
    fn new(declared: &'a Declared, model: &Parsed, file: &str) -> Option<Protected<'a>> {
        let attribute = declared.attribute.as_ref()?;
        if attribute.encrypted.is_none() && attribute.s3.is_none() {
            return None;
        }
        let by = model.place(file, declared.line);
        Some(Protected { attribute, by })
    }

    fn verb(&self) -> &'static str {
        match self.attribute.encrypted {
            Some(_) => "encrypts it",
            None => "keeps it in S3",
        }
    }
}

fn check_protected(table: &Table, of_table: &BTreeMap<&str, Protected<'_>>, report: &mut Report) {
    let mut declared_names = BTreeSet::new();
    for declared in &table.declared {
        declared_names.insert(declared.stored_name());
        let (Some(attribute), Some(protected)) = (&declared.attribute, of_table.get(declared.stored_name()))
        else {
            continue;
        };
        if let Some(difference) = difference(attribute, protected) {
            report.add_at(declared.line, &declared.path, difference);
        }
    }
    let Some(keep_line) = table.keep_line else {
        return;
    };
    for (name, protected) in of_table
        .iter()
        .filter(|(name, _)| !declared_names.contains(*name))
    {
        let text = format!(
            "`keep` requires the attribute {name:?} declared: {} {}, in the same table",
            protected.by,
            protected.verb()
        );
        report.add_at(keep_line, "unknown_attributes", text);
    }
}

/// Describes how an attribute differs from its first declaration that is encrypted or in S3.
fn difference(attribute: &Attribute, protected: &Protected<'_>) -> Option<String> {
    let Protected { attribute: first, by } = protected;
    if attribute.kind != first.kind {
        return Some(format!(
            "must have type {}, as in {by}, which uses the same table",
            first.kind.as_str()
        ));
    }
    match (&attribute.encrypted, &first.encrypted) {
        (Some(own), Some(other)) => {
            if let Some(option) = encryption_difference(own, other) {
                return Some(format!(
                    "`{option}` must be the same as in {by}, which uses the same table"
                ));
            }
        }
        (None, Some(_)) => {
            return Some(format!("must be encrypted as in {by}, which uses the same table"));
        }
        (Some(_), None) => {
            return Some(format!(
                "must not be encrypted: {by} does not encrypt it for the same table"
            ));
        }
        (None, None) => {}
    }
    let option = offload_difference(attribute.s3.as_ref()?, first.s3.as_ref()?)?;
    Some(format!(
        "`{option}` must be the same as in {by}, which uses the same table"
    ))
}

/// The first option that differs. `mode` may differ.
fn encryption_difference(own: &Encryption, other: &Encryption) -> Option<&'static str> {
    let Encryption {
        key_id,
        accepts,
        context,
        mode: _,
        format,
        accept_formats,
        allow_plaintext,
    } = own;
    first_true(&[
        ("encrypted.key_id", *key_id != other.key_id),
        ("encrypted.accepts", *accepts != other.accepts),
        ("encrypted.context", *context != other.context),
        ("encrypted.format", *format != other.format),
        (
            "encrypted.accept_formats",
            *accept_formats != other.accept_formats,
        ),
        (
            "encrypted.allow_plaintext",
            *allow_plaintext != other.allow_plaintext,
        ),
    ])
}

fn offload_difference(own: &Offload, other: &Offload) -> Option<&'static str> {
    first_true(&[
        ("s3.bucket", own.bucket != other.bucket),
        ("s3.prefix", own.prefix != other.prefix),
        ("s3.region", own.region != other.region),
        (
            "s3.foreign_pointers",
            own.foreign_pointers != other.foreign_pointers,
        ),
        ("s3.offload_above", own.offload_above != other.offload_above),
        ("s3.max_size", own.max_bytes != other.max_bytes),
        ("s3.content_types", own.content_types != other.content_types),
        ("s3.purge_versions", own.purge_versions != other.purge_versions),
        ("s3", own != other),
    ])
}

fn first_true(differs: &[(&'static str, bool)]) -> Option<&'static str> {
    differs
        .iter()
        .find(|(_, differs)| *differs)
        .map(|(option, _)| *option)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::model::Models;

    /// Reads files named `1.yaml` and so on. Faults do not contain the folder.
    fn read(files: &[&str]) -> Result<Models, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for (index, source) in files.iter().enumerate() {
            fs::write(folder.path().join(format!("{}.yaml", index + 1)), source).unwrap();
        }
        let prefix = format!("{}/", folder.path().display());
        Models::read(folder.path()).map_err(|faults| {
            faults
                .iter()
                .map(|fault| fault.to_string().replace(&prefix, ""))
                .collect()
        })
    }

    /// A model of the table `one` with an attribute `a` on line 6.
    fn model(name: &str, a: &str, unknown_attributes: &str) -> String {
        format!(
            "name: {name}\ntable: one\npartition_key: pk\nattributes:\n  pk: {{ type: string }}\n  {a}\n\
             unknown_attributes: {unknown_attributes}\n"
        )
    }

    const SEALED: &str = "a: { type: string, encrypted: { key_id: alias/k, context: { app: x } } }";
    const OBJECT: &str = "a: { type: object, s3: { bucket: my-bucket, prefix: a/ } }";

    fn faults(first: &str, second: &str) -> Vec<String> {
        let models = [model("A", first, "reject"), model("B", second, "reject")];
        read(&[&models[0], &models[1]]).err().unwrap_or_default()
    }

    #[test]
    fn refuses_differences_in_encryption_and_shows_both_places() {
        let cases = [
            (SEALED.replace("alias/k", "alias/l"), "`encrypted.key_id`"),
            (
                SEALED.replace("alias/k,", "alias/k, accepts: [alias/l],"),
                "`encrypted.accepts`",
            ),
            (SEALED.replace("app: x", "app: y"), "`encrypted.context`"),
            (
                SEALED.replace("alias/k,", "alias/k, format: pydynox,"),
                "`encrypted.format`",
            ),
            (
                SEALED.replace("alias/k,", "alias/k, accept_formats: [pydynox],"),
                "`encrypted.accept_formats`",
            ),
            (
                SEALED.replace("alias/k,", "alias/k, allow_plaintext: true,"),
                "`encrypted.allow_plaintext`",
            ),
        ];
        for (other, option) in cases {
            let expected = format!(
                "2.yaml:6: attributes.a: {option} must be the same as in the model A at 1.yaml:6, which uses the same table"
            );
            assert_eq!(faults(SEALED, &other), [expected], "{other}");
        }
        let plain = "a: { type: string }";
        assert_eq!(
            faults(SEALED, plain),
            [
                "2.yaml:6: attributes.a: must be encrypted as in the model A at 1.yaml:6, which uses the \
                 same table"
            ]
        );
        // also if the unencrypted declaration comes first
        assert_eq!(
            faults(plain, SEALED),
            [
                "1.yaml:6: attributes.a: must be encrypted as in the model B at 2.yaml:6, which uses the \
                 same table"
            ]
        );
        assert_eq!(
            faults(SEALED, &SEALED.replace("string", "number")),
            [
                "2.yaml:6: attributes.a: must have type string, as in the model A at 1.yaml:6, which uses the same table"
            ]
        );
    }

    #[test]
    fn refuses_differences_in_objects_and_shows_both_places() {
        for (other, option) in [
            (OBJECT.replace("my-bucket", "other-bucket"), "`s3.bucket`"),
            (OBJECT.replace("a/", "b/"), "`s3.prefix`"),
            (OBJECT.replace("a/ }", "a/, region: eu-west-1 }"), "`s3.region`"),
        ] {
            let expected = format!(
                "2.yaml:6: attributes.a: {option} must be the same as in the model A at 1.yaml:6, which uses the same table"
            );
            assert_eq!(faults(OBJECT, &other), [expected], "{other}");
        }
        for other in ["a: { type: map }", "a: { type: string }", SEALED] {
            assert_eq!(
                faults(other, OBJECT).len() + faults(OBJECT, other).len(),
                2,
                "{other}"
            );
        }
    }

    #[test]
    fn other_options_may_differ() {
        let own = "a: { type: string, required: true, max_length: 5, encrypted: { context: { app: x }, key_id: \
                   alias/k, mode: write_only } }";
        assert_eq!(faults(SEALED, own), [""; 0]);
        assert_eq!(
            faults(OBJECT, &OBJECT.replace("a/ }", "a }, required: true")),
            [""; 0]
        );
        assert_eq!(faults(SEALED, "b: { type: string }"), [""; 0]);
        let elsewhere = model("B", "a: { type: string }", "keep").replace("table: one", "table: two");
        assert!(read(&[&model("A", SEALED, "keep"), &elsewhere]).is_ok());
    }

    #[test]
    fn keep_requires_declaring_protected_attributes() {
        for (protected, verb) in [(SEALED, "encrypts it"), (OBJECT, "keeps it in S3")] {
            let keeping = model("A", "b: { type: string }", "keep");
            let protecting = model("B", protected, "reject");
            assert_eq!(
                read(&[&keeping, &protecting]).unwrap_err(),
                [format!(
                    "1.yaml:7: unknown_attributes: `keep` requires the attribute \"a\" declared: the model B at \
                     2.yaml:6 {verb}, in the same table"
                )]
            );
            assert_eq!(read(&[&protecting, &keeping]).unwrap_err().len(), 1);
            let declaring = model("A", protected, "keep");
            assert!(read(&[&declaring, &protecting]).is_ok());
        }
    }

    #[test]
    fn does_not_compare_attributes_with_faults() {
        let broken = SEALED.replace("alias/k", "a b");
        let found = faults(SEALED, &broken);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("2.yaml:6: attributes.a.encrypted.key_id"),
            "{found:?}"
        );
    }

    #[test]
    fn models_list_attributes_that_others_of_their_table_encrypt() {
        let two = SEALED.replace("a:", "z:");
        let models = read(&[
            &model("A", SEALED, "reject"),
            &model("B", &two, "drop"),
            &model("C", "c: { type: string }", "reject"),
            &model("D", "c: { type: string }", "keep").replace("table: one", "table: two"),
        ])
        .unwrap();
        let sealed = |name: &str| models.get(name).unwrap().sealed_by_others.clone();
        assert_eq!(sealed("A"), ["z"]);
        assert_eq!(sealed("B"), ["a"]);
        assert_eq!(sealed("C"), ["a", "z"]);
        assert_eq!(sealed("D"), [""; 0]);
    }
}
