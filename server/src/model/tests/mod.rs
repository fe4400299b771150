//! The schema language: the example models, the options of attributes, their checks, and the JSON schema.

mod attributes;
mod changes;
mod files;
mod indexes;
mod objects;
mod protection;
mod shared_tables;
mod tenants;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::attribute_reader::ATTRIBUTE;
use super::compression::COMPRESSED;
use super::encryption::ENCRYPTED;
use super::index_reader::INDEX;
use super::model_options::DISCRIMINATOR;
use super::offload::S3;
use super::parse::MODEL;
use super::protection::PROTECT;
use super::tenancy::TENANT;

use super::*;
use crate::yaml::Keys;

fn read(files: &[(&str, &str)]) -> Result<Models, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in files {
        fs::write(folder.path().join(name), source).unwrap();
    }
    let prefix = format!("{}/", folder.path().display());
    let texts = |faults: Vec<ModelFault>| {
        faults
            .iter()
            .map(|fault| fault.to_string().replace(&prefix, ""))
            .collect()
    };
    Models::read(folder.path()).map_err(texts)
}

/// A model with `pk` and these attributes.
fn model_with(attributes: &str) -> String {
    format!("name: M\ntable: table\npartition_key: pk\nattributes:\n  pk: {{ type: string }}\n{attributes}\n")
}

fn one(attributes: &str) -> Model {
    let models = read(&[("m.yaml", &model_with(attributes))]).unwrap();
    models.get("M").unwrap().as_ref().clone()
}

#[test]
fn the_built_in_examples_are_those_of_the_repository() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let read = format!("{:?}", Models::read(&folder).unwrap());
    let built_in = Models::examples();
    assert_eq!(format!("{built_in:?}"), read);
    let names: Vec<&str> = built_in.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["Document", "SecureUser", "User"]);
}

#[test]
fn the_examples_match_the_documentation() {
    let models = Models::examples();
    let encrypted = |model: &str| -> Vec<String> {
        let attributes = models.get(model).unwrap().attributes.iter();
        attributes
            .filter(|attribute| attribute.encrypted.is_some())
            .map(|attribute| attribute.name.clone())
            .collect()
    };
    assert_eq!(encrypted("User"), ["ssn"]);
    assert_eq!(encrypted("SecureUser"), ["ssn", "phone", "address"]);
    let user = models.get("User").unwrap();
    assert_eq!(
        (user.table.as_str(), user.partition_key.as_str()),
        ("users", "pk")
    );
    assert_eq!(user.attribute("age").unwrap().kind, AttributeType::Number);
    assert_eq!(
        user.attribute("ssn").unwrap().encrypted.as_ref().unwrap().key_id,
        "alias/my-app-key"
    );
    assert!(user.attribute("pk").unwrap().required && user.attribute("sk").unwrap().required);
    assert!(!user.attribute("name").unwrap().required);
    assert_eq!(user.unknown_attributes, UnknownAttributes::Reject);
    let document = models.get("Document").unwrap();
    let content = document.attribute("content").unwrap();
    let expected = Offload {
        max_bytes: None,
        content_types: Vec::new(),
        bucket: "my-bucket".into(),
        prefix: "docs/".into(),
        region: None,
        foreign_pointers: crate::model::ForeignPointers::Refuse,
        offload_above: None,
        purge_versions: false,
    };
    assert_eq!(
        (content.kind, content.s3.as_ref()),
        (AttributeType::Object, Some(&expected))
    );
}

#[test]
fn reads_every_option() {
    let model = one(r#"
  sk: { type: number, default: 7, min: 1, max: 1e2 }
  s: { type: string, required: true, min_length: 1, max_length: 5, pattern: "a|ab", enum: [a, ab] }
  b: { type: binary, default: AAEC, max_length: 3 }
  l: { type: list, default: [1, x, null, { y: true }] }
  m: { type: map, default: {} }
  o: { type: object, s3: { bucket: my-bucket, prefix: docs, region: eu-central-1 } }
  e:
    type: string
    encrypted:
      { key_id: alias/k, context: { app: x }, mode: write_only, format: pydynox, allow_plaintext: true }
  f: { type: string, encrypted: { key_id: alias/k, accepts: [alias/old, 1a2b], accept_formats: [pydynox] } }
sort_key: sk
unknown_attributes: keep"#);
    let attribute = |name: &str| model.attribute(name).unwrap();
    assert_eq!(model.sort_key.as_deref(), Some("sk"));
    assert_eq!(model.unknown_attributes, UnknownAttributes::Keep);
    assert!(attribute("pk").required && !attribute("sk").required && attribute("s").required);
    assert_eq!(attribute("sk").default, Some(Value::N("7".parse().unwrap())));
    assert_eq!(attribute("sk").checks.max, Some("100".parse().unwrap()));
    assert_eq!(
        attribute("s").checks.one_of,
        [Value::S("a".into()), Value::S("ab".into())]
    );
    assert_eq!(attribute("b").default, Some(Value::B(vec![0, 1, 2].into())));
    let Some(Value::L(list)) = &attribute("l").default else {
        panic!("no list")
    };
    assert_eq!(list[2], Value::Null);
    assert_eq!(attribute("o").s3.as_ref().unwrap().prefix, "docs/");
    let encryption = attribute("e").encrypted.as_ref().unwrap();
    assert_eq!(
        encryption.context,
        BTreeMap::from([("app".to_owned(), "x".to_owned())])
    );
    assert_eq!(encryption.mode, EncryptionMode::WriteOnly);
    assert_eq!(encryption.format, EncryptionFormat::Pydynox);
    assert!(encryption.allow_plaintext);
    assert!(encryption.reads(EncryptionFormat::Pydynox) && encryption.reads(EncryptionFormat::Sealed));
    let encryption = attribute("f").encrypted.as_ref().unwrap();
    assert_eq!(
        encryption.key_ids().collect::<Vec<_>>(),
        ["alias/k", "alias/old", "1a2b"]
    );
    assert!(encryption.reads(EncryptionFormat::Pydynox));
    assert_eq!(encryption.format, EncryptionFormat::Sealed);
}

#[test]
fn reads_every_stored_form() {
    let model = one(r#"
  u: { type: string, alias: uu, generate: uuid4, hidden: true }
  t: { type: string, template: "USER:{u}", delimiter: ":" }
  z: { type: json, default: '{"a":1}', compressed: { algorithm: gzip, level: 9, min_size: 5, threshold: 0.5 } }
  c: { type: string, compressed: {} }
  ss: { type: string_set, default: [a, b], enum: [a, b], max_length: 2, null_sets: repair }
  ns: { type: number_set, default: [1, 2.0], set_encoding: list }
  d: { type: datetime, generate: utc_now_on_write, store: zulu_ms }
  x: { type: ttl, default: +3600s, hide_expired: true }
  v: { type: version }"#);
    let attribute = |name: &str| model.attribute(name).unwrap();
    let u = attribute("u");
    assert_eq!(
        (u.stored_name.as_str(), u.generate, u.hidden),
        ("uu", Some(Generate::Uuid4), true)
    );
    assert_eq!(model.stored_attribute("uu").unwrap().name, "u");
    assert_eq!(
        (model.stored_name("u"), model.stored_name("other")),
        ("uu", "other")
    );
    let template = attribute("t").template.as_ref().unwrap();
    assert_eq!((template.as_str(), template.delimiter()), ("USER:{u}", ":"));
    let compressed = attribute("z").compressed.unwrap();
    let by_default = attribute("c").compressed.unwrap();
    assert_eq!(
        (
            compressed.algorithm,
            compressed.level,
            compressed.min_size,
            compressed.threshold
        ),
        (CompressionAlgorithm::Gzip, Some(9), 5, 0.5)
    );
    assert_eq!(
        (
            by_default.algorithm,
            by_default.level,
            by_default.min_size,
            by_default.threshold
        ),
        (CompressionAlgorithm::Zstd, None, 100, 0.9)
    );
    assert!(matches!(&attribute("ss").default, Some(Value::SS(texts)) if texts.len() == 2));
    assert!(attribute("ss").null_sets_repair);
    assert!(matches!(&attribute("ns").default, Some(Value::NS(numbers)) if numbers.len() == 2));
    assert_eq!(attribute("ns").set_encoding, SetEncoding::List);
    assert_eq!(attribute("d").datetime_store, DatetimeStore::ZuluMs);
    assert_eq!(attribute("x").default, Some(Value::S("+3600s".to_owned())));
    assert!(attribute("x").hide_expired);
    assert_eq!(model.version().unwrap().name, "v");
    assert_eq!(model.ttl().unwrap().name, "x");
}

#[test]
fn reads_nested_attributes() {
    let model = one(r#"
  m:
    type: map
    unknown_attributes: drop
    attributes:
      city: { type: string, alias: c, required: true }
      lines: { type: list, items: { type: map, attributes: { n: { type: number, min: 1 } } } }"#);
    let map = model.attribute("m").unwrap();
    assert_eq!(map.nested_unknown, Some(UnknownAttributes::Drop));
    assert!(map.attribute("city").unwrap().required);
    assert_eq!(map.stored_attribute("c").unwrap().name, "city");
    let line = map.attribute("lines").unwrap().items.as_ref().unwrap();
    assert_eq!((line.name.as_str(), line.kind), ("", AttributeType::Map));
    assert!(line.attribute("n").unwrap().checks.min.is_some());
}

#[test]
fn patterns_match_whole_strings() {
    let model = one("  s: { type: string, pattern: \"a|ab\" }");
    let checks = &model.attribute("s").unwrap().checks;
    assert_eq!(checks.pattern_text(), Some("a|ab"));
    for (text, expected) in [
        ("a", true),
        ("ab", true),
        ("abc", false),
        ("xa", false),
        ("a\n", false),
        ("", false),
    ] {
        assert_eq!(
            checks.violations(&Value::S(text.into())).is_empty(),
            expected,
            "{text:?}"
        );
    }
}

#[test]
fn violations_say_what_is_expected() {
    let model = one(
        "  n: { type: number, min: -1.5, max: 10 }\n  s: { type: string, min_length: 2, max_length: 3, enum: [äö, abc] }",
    );
    let violations = |name: &str, value: &Value| model.attribute(name).unwrap().checks.violations(value);
    let number = |text: &str| Value::N(text.parse().unwrap());
    assert_eq!(violations("n", &number("-1.50")), [""; 0]);
    assert_eq!(violations("n", &number("-1.51")), ["must be at least -1.5"]);
    assert_eq!(violations("n", &number("1e1")), [""; 0]);
    assert_eq!(violations("n", &number("10.01")), ["must be at most 10"]);
    assert_eq!(violations("s", &Value::S("äö".into())), [""; 0]);
    assert_eq!(
        violations("s", &Value::S("x".into())),
        ["must have at least 2 characters", "must be one of äö, abc"]
    );
}

#[test]
fn the_json_schema_has_the_same_keys() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/model.schema.json");
    let schema: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let same = |pointer: &str, keys: &Keys| {
        let object = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer}"));
        assert_eq!(object["additionalProperties"], false, "{pointer}");
        let mut known: Vec<&str> = object["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut expected = keys.known.to_vec();
        known.sort_unstable();
        expected.sort_unstable();
        assert_eq!(known, expected, "{pointer}");
    };
    same("", &MODEL);
    same("/$defs/attribute", &ATTRIBUTE);
    same("/$defs/encrypted", &ENCRYPTED);
    same("/$defs/compressed", &COMPRESSED);
    same("/$defs/index", &INDEX);
    same("/properties/discriminator", &DISCRIMINATOR);
    same("/$defs/s3", &S3);
    same("/$defs/protect", &PROTECT);
    same("/properties/tenant", &TENANT);
}

#[test]
fn the_examples_of_the_documentation_are_valid() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/models.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1);
    let mut pieces = 0;
    for block in blocks.map(|rest| rest.split("```").next().unwrap_or_default()) {
        let is_model = block.lines().any(|line| line.starts_with("partition_key:"));
        let source = match is_model {
            true => block.to_owned(),
            false => format!("name: M\ntable: table\npartition_key: pk\n{block}"),
        };
        pieces += usize::from(!is_model);
        let faults = read(&[("model.yaml", &source)]).err();
        assert_eq!(faults, None, "{source}");
    }
    assert!(pieces >= 8, "{pieces} pieces");
}

#[test]
fn the_tracker_has_six_entities_and_three_indexes_in_one_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/examples/tracker.yaml");
    let models = read(&[("tracker.yaml", &fs::read_to_string(path).unwrap())]).unwrap();
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(
        names,
        ["Comment", "Employee", "Office", "Project", "Task", "Team"]
    );
    let mut indexes: Vec<&str> = models
        .iter()
        .flat_map(|model| &model.indexes)
        .map(|index| index.stored_name.as_str())
        .collect();
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes, ["gsi1", "gsi2", "gsi3"]);
    assert!(
        models
            .iter()
            .all(|model| model.table == "tracker" && model.discriminator.is_some())
    );
    assert_eq!(models.warnings(), [""; 0]);
}
