//! The schema language from outside: files in a folder, and what is said about them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::attribute::ATTRIBUTE;
use super::encryption::ENCRYPTED;
use super::offload::S3;
use super::parse::MODEL;

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

/// A model with these attributes beside `pk`.
fn model_with(attributes: &str) -> String {
    format!("name: M\ntable: table\npartition_key: pk\nattributes:\n  pk: {{ type: string }}\n{attributes}\n")
}

fn one(attributes: &str) -> Model {
    let models = read(&[("m.yaml", &model_with(attributes))]).unwrap();
    models.get("M").unwrap().as_ref().clone()
}

/// The faults of the one attribute `a`, which stands on line 6.
fn faults_of(attribute: &str) -> Vec<String> {
    let faults = read(&[("m.yaml", &model_with(&format!("  a: {attribute}")))]).map(|_| Vec::new());
    let texts: Vec<String> = faults.unwrap_or_else(|faults| faults);
    texts
        .iter()
        .map(|text| {
            text.strip_prefix("m.yaml:6: attributes.a")
                .unwrap_or(text)
                .to_owned()
        })
        .collect()
}

#[test]
fn the_examples_are_those_of_the_repository() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let read = format!("{:?}", Models::read(&folder).unwrap());
    let built_in = Models::examples();
    assert_eq!(format!("{built_in:?}"), read);
    let names: Vec<&str> = built_in.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["Document", "SecureUser", "User"]);
}

#[test]
fn the_examples_say_what_the_documentation_says() {
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
        bucket: "my-bucket".into(),
        prefix: "docs/".into(),
        region: None,
        foreign_pointers: crate::model::ForeignPointers::Refuse,
    };
    assert_eq!(
        (content.kind, content.s3.as_ref()),
        (AttributeType::Object, Some(&expected))
    );
}

#[test]
fn every_option_is_read() {
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
fn checks_say_what_would_be_right() {
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
fn all_faults_of_all_files_are_told_at_once() {
    let files = [
        (
            "b.yml",
            "name: B\ntable: b\npartition_key: pk\nattributes:\n  id: { type: text }\n  n: { type: number, minn: 1 }\n",
        ),
        (
            "a.yaml",
            "name: A\n---\ntable: t-able\nname: 1\npartition_key: id\nattributes: []\n",
        ),
        ("c.yaml", "name: [\n"),
        ("empty.yaml", "# nothing\n"),
        ("ignored.json", "{"),
        (".hidden.yaml", "{"),
    ];
    assert_eq!(
        read(&files).unwrap_err(),
        [
            "a.yaml:1: table: is required",
            "a.yaml:1: partition_key: is required",
            "a.yaml:1: attributes: is required",
            "a.yaml:4: name: expected text, found a number (put it in quotes)",
            "a.yaml:6: attributes: expected a map, found a list",
            "b.yml:2: table: must be 3 to 255 of A-Z, a-z, 0-9, `_`, `.` and `-`",
            "b.yml:3: partition_key: names no attribute of this model",
            "b.yml:5: attributes.id.type: must be one of string, number, binary, boolean, list, map, object",
            "b.yml:6: attributes.n.minn: unknown key (did you mean `min`?)",
            "c.yaml:2: not YAML: while parsing a node, did not find expected node content",
            "empty.yaml: has no model",
        ]
    );
}

#[test]
fn folders_without_models_are_faults() {
    let missing = Models::read(Path::new("/nowhere/models")).unwrap_err();
    assert_eq!(
        missing[0].to_string(),
        "/nowhere/models: no such folder; put model files there, or name another folder"
    );
    let faults = read(&[("models.txt", "")]).unwrap_err();
    assert!(
        faults[0].contains("no model file (*.yaml, *.yml) in this folder"),
        "{faults:?}"
    );
}

#[test]
fn models_are_unique_and_agree_about_tables() {
    let first = "name: A\ntable: one\npartition_key: pk\nattributes: { pk: { type: string } }\n";
    let other_type = "name: A\ntable: one\npartition_key: pk\nattributes: { pk: { type: number } }\n";
    let other_keys = "name: C\ntable: one\npartition_key: pk\nsort_key: sk\nattributes: { pk: { type: string }, sk: { type: string } }\n";
    let same = first.replace("name: A", "name: D");
    let second = format!("---\n{same}---\n{other_keys}");
    let keyless = "name: E\ntable: one\npartition_key: x\nattributes: {}\n";
    assert_eq!(
        read(&[("1.yaml", first), ("2.yaml", keyless)]).unwrap_err(),
        ["2.yaml:3: partition_key: names no attribute of this model"]
    );
    let faults = read(&[("1.yaml", first), ("2.yaml", other_type), ("3.yaml", &second)]).unwrap_err();
    assert_eq!(
        faults,
        [
            "2.yaml:1: name: another model has this name already, at 1.yaml:1",
            "2.yaml:3: partition_key: the model at 1.yaml:3 has other keys for the same table",
            "3.yaml:9: partition_key: the model at 1.yaml:3 has other keys for the same table",
        ]
    );
}

#[test]
fn faults_of_attributes() {
    let cases: &[(&str, &[&str])] = &[
        ("{}", &[".type: is required"]),
        ("string", &[": expected a map, found text"]),
        (
            "{ type: strnig }",
            &[
                ".type: must be one of string, number, binary, boolean, list, map, object (did you mean `string`?)",
            ],
        ),
        (
            "{ type: ttl }",
            &[".type: type `ttl` is not supported by this version"],
        ),
        (
            "{ type: string, alias: b }",
            &[".alias: is not supported by this version"],
        ),
        (
            "{ type: string, template: b, generate: ulid }",
            &[
                ".template: is not supported by this version",
                ".generate: is not supported by this version",
            ],
        ),
        (
            "{ type: string, required: yes }",
            &[".required: expected true or false, found text"],
        ),
        (
            "{ type: string, min: 1 }",
            &[".min: is only for number, not for string"],
        ),
        (
            "{ type: number, pattern: a, max_length: 1, enum: [1] }",
            &[
                ".max_length: is only for string, binary, list, map, not for number",
                ".pattern: is only for string, not for number",
            ],
        ),
        (
            "{ type: boolean, enum: [true] }",
            &[".enum: is only for string, number, not for boolean"],
        ),
        (
            "{ type: number, min: 2, max: 1 }",
            &[".max: must not be less than min"],
        ),
        (
            "{ type: string, min_length: 2, max_length: 1 }",
            &[".max_length: must not be less than min_length"],
        ),
        (
            "{ type: string, max_length: -1 }",
            &[".max_length: expected a whole number that is not negative"],
        ),
        (
            "{ type: number, min: 1e126 }",
            &[".min: magnitude outside 1e-130 to 9.9999999999999999999999999999999999999e125"],
        ),
        (
            "{ type: number, enum: [1, x, 1.0] }",
            &[
                ".enum[1]: expected a number, found text",
                ".enum[2]: is given twice",
            ],
        ),
        (
            "{ type: string, enum: [] }",
            &[".enum: must name at least one value"],
        ),
        (
            "{ type: string, max_length: 1, enum: [aa] }",
            &[".enum[0]: must have at most 1 characters"],
        ),
        (
            "{ type: string, pattern: '(' }",
            &[".pattern: is not a regular expression: unclosed group"],
        ),
        (
            "{ type: string, pattern: 'a)|(b' }",
            &[".pattern: is not a regular expression: unopened group"],
        ),
        (
            "{ type: string, pattern: '((a{1000}){1000}){1000}' }",
            &[".pattern: is too large when compiled: repeat less"],
        ),
        (
            "{ type: string, default: 5 }",
            &[".default: expected text, found a number (put it in quotes)"],
        ),
        (
            "{ type: string, default: x, enum: [a, b] }",
            &[".default: must be one of a, b"],
        ),
        (
            "{ type: number, default: 123456789012345678901234567890123456789 }",
            &[".default: more than 38 significant digits"],
        ),
        (
            "{ type: binary, default: '*' }",
            &[".default: expected bytes as standard base64"],
        ),
        (
            "{ type: map, default: { x: { '': 1 } } }",
            &[".default.x.: a name must not be empty"],
        ),
        (
            "{ type: string, encrypted: {} }",
            &[".encrypted.key_id: is required"],
        ),
        (
            "{ type: string, encrypted: { key_id: '', mode: rw, context: { 'tollgate:x': a, b: 1 } } }",
            &[
                ".encrypted.key_id: must be a KMS key's id, ARN or alias such as `alias/my-app-key`",
                ".encrypted.context.tollgate:x: a context's name must not be empty nor begin with `tollgate:`",
                ".encrypted.context.b: expected text, found a number (put it in quotes)",
                ".encrypted.mode: must be one of read_write, write_only, read_only",
            ],
        ),
        (
            "{ type: map, encrypted: { key_id: k, format: pydynox } }",
            &[".encrypted.format: pydynox is only for string, not for map"],
        ),
        (
            "{ type: number, encrypted: { key_id: k, accept_formats: [pydynox, pydynox, sealde] } }",
            &[
                ".encrypted.accept_formats[1]: is in the list already",
                ".encrypted.accept_formats[2]: must be one of sealed, pydynox",
                ".encrypted.accept_formats: pydynox is only for string, not for number",
            ],
        ),
        (
            "{ type: string, encrypted: { key_id: k, accepts: [k, a b, old, old] } }",
            &[
                ".encrypted.accepts[0]: is `key_id` already",
                ".encrypted.accepts[1]: must be a KMS key's id, ARN or alias such as `alias/my-app-key`",
                ".encrypted.accepts[3]: is in the list already",
            ],
        ),
        (
            "{ type: string, encrypted: { key_id: k, accepts: [a,b,c,d,e,f,g,h,i,j,l,m,n,o,p,q,r] } }",
            &[".encrypted.accepts: must have at most 16 keys"],
        ),
        (
            "{ type: string, required: true, default: a, encrypted: { key_id: k, mode: read_only } }",
            &[
                ".default: cannot go with `mode: read_only`: no write may set the attribute",
                ".required: cannot go with `mode: read_only`: no write may set the attribute",
            ],
        ),
        ("{ type: object }", &[": an object needs `s3` with a bucket"]),
        (
            "{ type: string, s3: { bucket: abc } }",
            &[".s3: is only for object, not for string"],
        ),
        ("{ type: object, s3: {} }", &[".s3.bucket: is required"]),
        (
            "{ type: object, s3: { bucket: A, prefix: /a, offload_above: 5, region: '' } }",
            &[
                ".s3.offload_above: is not supported by this version",
                ".s3.bucket: must be a bucket name: 3 to 63 of a-z, 0-9, `.` and `-`, a letter or digit at both ends, no address",
                ".s3.region: must be a region such as `eu-central-1`",
                ".s3.prefix: must be at most 256 bytes such as `docs/`, not beginning with `/`",
            ],
        ),
        (
            "{ type: object, s3: { bucket: abc }, encrypted: { key_id: k } }",
            &[".encrypted: on an object is not supported by this version"],
        ),
        (
            "{ type: object, s3: { bucket: abc }, default: x }",
            &[".default: an object cannot be written in a model"],
        ),
    ];
    for (attribute, expected) in cases {
        assert_eq!(faults_of(attribute), *expected, "{attribute}");
    }
}

#[test]
fn faults_of_keys() {
    let source = "name: K\ntable: keys\npartition_key: pk\nsort_key: sk\nattributes:\n  \
        pk: { type: boolean }\n  sk: { type: string, default: '', encrypted: { key_id: k } }\nindexes: {}\n";
    assert_eq!(
        read(&[("k.yaml", source)]).unwrap_err(),
        [
            "k.yaml:6: attributes.pk.type: the partition key must be string, number or binary, not boolean",
            "k.yaml:7: attributes.sk.encrypted: the sort key cannot be encrypted",
            "k.yaml:7: attributes.sk.default: the sort key must have 1 to 1024 bytes",
            "k.yaml:8: indexes: is not supported by this version",
        ]
    );
    let twice =
        "name: K\ntable: keys\npartition_key: pk\nsort_key: pk\nattributes: { pk: { type: string } }\n";
    assert_eq!(
        read(&[("k.yaml", twice)]).unwrap_err(),
        ["k.yaml:4: sort_key: must be another attribute than the partition key"]
    );
    let near = "name: K\ntable: keys\npartition_key: user_idd\nattributes: { user_id: { type: string } }\n";
    assert_eq!(
        read(&[("k.yaml", near)]).unwrap_err(),
        ["k.yaml:3: partition_key: names no attribute of this model (did you mean `user_id`?)"]
    );
}

#[test]
fn the_json_schema_knows_the_same_keys() {
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
    same("/$defs/s3", &S3);
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "type",
        "string",
        "number",
        "object",
        "name",
        "table",
        "partition_key",
        "attributes",
        "pk",
        "default",
        "enum",
        "min",
        "max",
        "pattern",
        "s3",
        "bucket",
        "encrypted",
        "key_id",
        "context",
        "1e999",
        "null",
        "[",
        "]",
        "{",
        "}",
        ": ",
        ", ",
        "\n",
        "\n  ",
        "- ",
        "---\n",
        "'",
        "\"",
        "*a",
        "&a ",
        "!t ",
        "| ",
        "(",
        "ä",
    ])
}

proptest! {
    #[test]
    fn anything_like_a_model_is_read_or_refused(words in prop::collection::vec(word(), 0..60)) {
        let mut report = crate::yaml::Report::new("f.yaml");
        for node in crate::yaml::documents(words.concat().as_bytes(), &mut report) {
            parse::read(&crate::yaml::Cursor::document(&node), &mut report);
        }
    }

    #[test]
    fn any_attribute_is_read_or_refused(words in prop::collection::vec(word(), 0..30)) {
        let source = model_with(&format!("  a: {{ type: string, {} }}", words.concat()));
        let mut report = crate::yaml::Report::new("f.yaml");
        for node in crate::yaml::documents(source.as_bytes(), &mut report) {
            parse::read(&crate::yaml::Cursor::document(&node), &mut report);
        }
    }
}
