//! `protect`: its forms, its default key, and what it is refused with.

use super::read;
use crate::model::{Coverage, Model};

const KEYS: &str = "name: M\ntable: table\npartition_key: pk\nattributes:\n  pk: { type: string }\n";
const TWO: &str = "  a: { type: string, encrypted: { key_id: alias/a } }\n  \
                   b: { type: string, encrypted: { key_id: alias/b, accepts: [alias/old] } }\n";

fn model(text: &str) -> Result<Model, Vec<String>> {
    let models = read(&[("m.yaml", &format!("{KEYS}{text}"))])?;
    Ok(Model::clone(models.get("M").unwrap()))
}

fn faults(text: &str) -> Vec<String> {
    let texts = model(text).err().unwrap_or_default();
    texts
        .iter()
        .map(|text| text.split_once(": ").unwrap().1.to_owned())
        .collect()
}

#[test]
fn the_key_is_that_of_the_first_encrypted_attribute() {
    let protection = model(&format!("{TWO}protect: sealed\n"))
        .unwrap()
        .protection
        .unwrap();
    assert_eq!(
        (protection.coverage, protection.allow_unsealed),
        (Coverage::Sealed, false)
    );
    let keys: Vec<_> = protection.encryption.key_ids().collect();
    assert_eq!(keys, ["alias/a", "alias/b", "alias/old"]);
    assert!(protection.encryption.context.is_empty());
    assert!(model(TWO).unwrap().protection.is_none());
}

#[test]
fn a_map_names_the_key() {
    let text = "protect: { mode: all, key_id: alias/k, accepts: [alias/l], context: { app: x }, allow_unsealed: true }\n";
    let protection = model(text).unwrap().protection.unwrap();
    assert_eq!(
        (protection.coverage, protection.allow_unsealed),
        (Coverage::All, true)
    );
    let keys: Vec<_> = protection.encryption.key_ids().collect();
    assert_eq!(keys, ["alias/k", "alias/l"]);
    assert_eq!(protection.encryption.context["app"], "x");
    let beside = model(&format!("{TWO}protect: sealed\nallow_unsealed: true\n")).unwrap();
    assert!(beside.protection.unwrap().allow_unsealed);
}

#[test]
fn what_is_wrong_is_reported() {
    for (text, expected) in [
        (
            "protect: all\n",
            "protect: must be `{ mode: MODE, key_id: KEY }`: no attribute is encrypted, which would name the key",
        ),
        ("allow_unsealed: true\n", "allow_unsealed: requires `protect`"),
        (
            "  a: { type: string, encrypted: { key_id: alias/a, format: pydynox } }\nprotect: sealed\n",
            "protect: requires format sealed, but `a` has or accepts format pydynox",
        ),
        (
            "  a: { type: string, encrypted: { key_id: alias/a, accept_formats: [pydynox] } }\nprotect: all\n",
            "protect: requires format sealed, but `a` has or accepts format pydynox",
        ),
        (
            "protect: { mode: all, accepts: [alias/k] }\n",
            "protect.accepts: requires `key_id`",
        ),
    ] {
        assert!(
            faults(text).iter().any(|fault| fault == expected),
            "{text}: {:?}",
            faults(text)
        );
    }
    for text in [
        "protect: 7\n",
        "protect: most\n",
        "protect: { key_id: alias/k }\n",
        "protect: [all]\n",
    ] {
        assert_eq!(faults(text).len(), 1, "{text}: {:?}", faults(text));
    }
    let reserved = "  a: { type: string, alias: 'tollgate:seal' }\n";
    assert!(
        faults(reserved)[0].contains("is reserved"),
        "{:?}",
        faults(reserved)
    );
}

#[test]
fn models_of_one_table_agree() {
    let other = |text: &str| format!("---\n{}{TWO}{text}", KEYS.replace("name: M", "name: N"));
    let both = |one: &str, two: &str| {
        let source = format!("{KEYS}{TWO}{one}{}", other(two));
        read(&[("m.yaml", &source)]).err().unwrap_or_default()
    };
    assert_eq!(both("protect: sealed\n", "protect: sealed\n"), [""; 0]);
    assert_eq!(
        both(
            "protect: sealed\n",
            "protect: { mode: sealed, key_id: alias/a }\n"
        ),
        [""; 0]
    );
    for two in [
        "",
        "protect: all\n",
        "protect: { mode: sealed, key_id: alias/b }\n",
    ] {
        let faults = both("protect: sealed\n", two);
        assert!(
            faults[0].contains("protect: must be the same as in the model M"),
            "{faults:?}"
        );
    }
}
