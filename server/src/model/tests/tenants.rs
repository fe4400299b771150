//! The option `tenant`.

use super::*;

/// A model with this partition key, and further lines.
fn faults(key: &str, lines: &str) -> Vec<String> {
    let source =
        format!("name: T\ntable: things\npartition_key: pk\nattributes:\n  pk: {{ {key} }}\n{lines}");
    read(&[("t.yaml", &source)]).err().unwrap_or_default()
}

#[test]
fn reports_faults_of_prefixes() {
    let text = "type: string";
    assert_eq!(faults(text, "tenant: { prefix: 'T#{tenant}#' }\n"), [""; 0]);
    for (prefix, fault) in [
        ("T#", "must contain `{tenant}` once, such as `TENANT#{tenant}#`"),
        (
            "{tenant}#{tenant}#",
            "must contain `{tenant}` once, such as `TENANT#{tenant}#`",
        ),
        (
            "T#{tenant}",
            "must end in a character that no tenant has, such as `#`: tenants consist of A-Z, a-z, 0-9, `.`, `_` and `-`",
        ),
        (
            "{x}{tenant}#",
            "must have at most 256 bytes, and no braces but those of `{tenant}`",
        ),
    ] {
        let found = faults(text, &format!("tenant: {{ prefix: '{prefix}' }}\n"));
        assert_eq!(found, [format!("t.yaml:6: tenant.prefix: {fault}")]);
    }
}

#[test]
fn reports_what_a_model_of_tenants_must_not_have() {
    let tenant = "tenant: { prefix: 'T#{tenant}#' }\n";
    assert_eq!(
        faults("type: number", tenant),
        ["t.yaml:6: tenant: requires a partition key of type string"]
    );
    assert_eq!(
        faults(
            "type: string, template: 'X#{id}'",
            &format!("  id: {{ type: string }}\n{tenant}")
        ),
        ["t.yaml:7: tenant: the template of the partition key must begin with `T#{tenant}#`"]
    );
    let pydynox = "  a: { type: string, encrypted: { key_id: alias/k, format: pydynox } }\n";
    assert_eq!(
        faults("type: string", &format!("{pydynox}{tenant}")),
        ["t.yaml:7: tenant: requires format sealed, but `a` has or accepts format pydynox"]
    );
    let foreign = "  a: { type: object, s3: { bucket: my-bucket, prefix: a/, foreign_pointers: read } }\n";
    assert_eq!(
        faults("type: string", &format!("{foreign}{tenant}")),
        ["t.yaml:7: tenant: does not allow `foreign_pointers: read`, which `a` has"]
    );
}

#[test]
fn keys_of_tenants_need_tenants() {
    let key = "  a: { type: string, encrypted: { key_id: 'alias/{tenant}' } }\n";
    assert_eq!(
        faults("type: string", key),
        ["t.yaml:4: attributes: the key `alias/{tenant}` requires `tenant: { prefix: … }`"]
    );
    let tenant = "tenant: { prefix: 'T#{tenant}#' }\n";
    assert_eq!(faults("type: string", &format!("{key}{tenant}")), [""; 0]);
}

#[test]
fn models_of_one_table_agree() {
    let model = |name: &str, more: &str| {
        format!(
            "name: {name}\ntable: things\npartition_key: pk\nattributes:\n  pk: {{ type: string }}\n{more}---\n"
        )
    };
    let source = model("A", "tenant: { prefix: 'T#{tenant}#' }\n") + &model("B", "");
    let found = read(&[("t.yaml", &source)]).unwrap_err();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("must be the same as in"), "{found:?}");
}
