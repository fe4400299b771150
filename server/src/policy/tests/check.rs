//! Faults of policies, with file and line.

use super::*;

fn faults(text: &str) -> Vec<String> {
    compile(text).err().unwrap_or_default()
}

fn has(faults: &[String], line: usize, text: &str) {
    let found = faults
        .iter()
        .any(|fault| fault.starts_with(&format!("test.cedar:{line}: ")) && fault.contains(text));
    assert!(found, "line {line}, {text:?}: {faults:#?}");
}

#[test]
fn syntax_errors_have_a_line() {
    let found = faults("permit(principal, action, resource);\n\npermit(principal, action);\n");
    has(&found, 3, "resource");
    has(&faults("\n\"abc"), 2, "");
}

#[test]
fn literals_are_looked_up() {
    let text = r#"
permit(principal, action == Tollgate::Action::"Get", resource == Tollgate::Model::"Usr");

permit(principal, action == Tollgate::Action::"ReadField",
    resource == Tollgate::Field::"User.snn");
permit(principal, action == Tollgate::Action::"Gett", resource);
permit(principal, action in [Tollgate::Action::"read"], resource)
  when { resource is Tollgate::Model && resource == Tollgate::Model::"Nope" };
permit(principal, action == Tollgate::Action::"ReadField", resource == Tollgate::Field::"User.*");
"#;
    let found = faults(text);
    has(&found, 2, "there is no model \"Usr\" (did you mean");
    has(&found, 5, "there is no field \"User.snn\"");
    has(&found, 6, "there is no action \"Gett\"");
    has(&found, 8, "there is no model \"Nope\"");
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn groups_are_looked_up_if_all_are_known() {
    let text = r#"permit(principal in Tollgate::Group::"admin", action, resource);"#;
    assert!(faults(text).is_empty());
    let known = Known {
        groups: Some(["admins".to_owned()].into()),
        ..known()
    };
    let found = Compiled::new(&Sources::of(text), &models(), &known)
        .err()
        .unwrap();
    assert_eq!(
        found[0].to_string(),
        "test.cedar:1: there is no group \"admin\" (did you mean `admins`?)"
    );
}

#[test]
fn conditions_are_checked_against_the_schema() {
    for (condition, text) in [
        ("principal.tennant == \"a\"", "tennant"),
        ("principal.tenant == \"a\"", "tenant"),
        ("principal.claims.dept == 3", ""),
        ("principal has claims && principal.claims.level > 3", "level"),
        ("context.key.name == \"a\"", "key"),
        ("context.hour > 3", "hour"),
    ] {
        let policy = format!(
            "\npermit(principal, action == Tollgate::Action::\"Get\", resource)\nwhen {{ {condition} }};"
        );
        has(&faults(&policy), 3, text);
    }
    let valid = r#"permit(principal, action == Tollgate::Action::"Get", resource)
when { principal has tenant && context has key && context.key has name && context.key.name == principal.tenant
       && principal.claims has level && principal.claims.level > 3 && context.time > 0 && resource.table == "users" };"#;
    assert_eq!(faults(valid), Vec::<String>::new());
}

#[test]
fn templates_are_refused() {
    let found = faults("\npermit(principal == ?principal, action, resource);");
    has(&found, 2, "is not supported by this version");
}

#[test]
fn faults_of_all_files_are_reported_in_their_order() {
    let sources = Sources(
        [
            (
                "a.cedar",
                "permit(principal, action, resource) when { 1 };\npermit(;",
            ),
            ("b.cedar", "x"),
        ]
        .map(|(file, text)| crate::policy::source::Source {
            file: file.to_owned(),
            text: text.to_owned(),
        })
        .into(),
    );
    let found = Compiled::new(&sources, &models(), &known()).err().unwrap();
    assert_eq!((found[0].file.as_str(), found[0].line), ("a.cedar", 2));
    assert_eq!(found.last().unwrap().file, "b.cedar");
}

#[test]
fn the_schema_names_models_claims_and_parts_of_keys() {
    let text = crate::policy::schema(&models(), &known());
    for part in [
        "claims: { \"dept\"?: String, \"level\"?: Long }",
        "key?: { \"name\"?: String }",
        "action \"Get\" in [\"read\"] appliesTo { principal: [Caller], resource: [Model], context: Request };",
        "action \"CrossTenant\" appliesTo",
        "action \"GetTotalMetrics\" in [\"metrics\"] appliesTo { principal: [Caller], resource: [Session, Server]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn policies_are_named_after_their_file_line_and_id() {
    let text = "@id(\"admins\")\npermit(principal, action, resource); permit(principal, action, resource);\n\
                permit(principal, action, resource);";
    let compiled = compiled(text);
    let caller = caller("ann", &[]);
    let asked = Asked {
        caller: Some(&caller),
        action: Action::ListModels,
        context: &Context::default(),
    };
    let explained = compiled.explain(asked, &Resource::Server);
    assert_eq!(
        explained.policies,
        ["test.cedar:1 (admins)", "test.cedar:2", "test.cedar:3"]
    );
}
