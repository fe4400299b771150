//! `tollgate policy`: what each command prints, and how it ends.

mod process;

use std::fs;

use process::{Ended, ended, free_folder};
use tempfile::TempDir;

const MODELS: &str = "
name: User
table: users
partition_key: pk
attributes:
  pk: { type: string, template: 'USER#{name}' }
  name: { type: string }
  ssn: { type: string, encrypted: { key_id: alias/a } }
";

const POLICIES: &str = r#"@id("analysts")
permit(principal in Tollgate::Group::"analysts", action in Tollgate::Action::"read", resource in Tollgate::Model::"User")
  unless { resource is Tollgate::Field && resource.encrypted };

permit(principal, action == Tollgate::Action::"Get", resource == Tollgate::Model::"User")
  when { context has key && context.key has name && context.key.name == principal.name };
"#;

fn folder(policies: &str) -> TempDir {
    let folder = free_folder();
    for (name, text) in [("models/a.yaml", MODELS), ("policies/a.cedar", policies)] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("an empty folder");
        fs::write(path, text).expect("an empty folder");
    }
    folder
}

fn run(folder: &TempDir, arguments: &[&str]) -> Ended {
    let mut all = vec!["policy"];
    all.extend(arguments);
    ended(folder.path(), &all, &[])
}

#[test]
fn check_counts_good_policies_and_lists_the_faults_of_others() {
    let good = run(&folder(POLICIES), &["check", "policies"]);
    assert_eq!(
        (good.code, good.stdout.as_str()),
        (0, "2 policies, no faults\n"),
        "{good:?}"
    );
    let wrong = "permit(principal, action, resource == Tollgate::Model::\"Usr\");\n\nallow(principal);";
    let ended = run(&folder(wrong), &["check", "policies"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.contains("a.cedar:3: "), "{ended:?}");
    let unknown = run(
        &folder("\npermit(principal, action, resource == Tollgate::Model::\"Usr\");"),
        &["check", "policies"],
    );
    assert!(
        unknown
            .stderr
            .starts_with("a.cedar:2: there is no model \"Usr\" (did you mean `User`?)\n"),
        "{unknown:?}"
    );
    assert!(
        unknown.stderr.ends_with("tollgate: 1 fault in the policies\n"),
        "{unknown:?}"
    );
    let none = run(&folder(""), &["check"]);
    assert_eq!(none.code, 2, "no folder is named");
    let missing = run(&folder(""), &["check", "nowhere"]);
    assert_eq!(missing.code, 2);
}

#[test]
fn schema_is_that_of_the_models() {
    let ended = run(&folder(POLICIES), &["schema", "--models", "models"]);
    assert_eq!(ended.code, 0);
    for part in [
        "entity Caller in [Group]",
        "key?: { \"name\"?: String }",
        "action \"ReadField\" in [\"read\"]",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

#[test]
fn test_names_the_rows_that_differ() {
    let folder = folder(POLICIES);
    let rows = "
- { caller: ann, groups: [analysts], action: Query, model: User, expect: allow }
- { caller: ann, groups: [analysts], action: ReadField, field: User.ssn, expect: deny }
- { caller: bob, action: Get, model: User, context: { key: { name: bob } }, expect: allow }
- { caller: bob, action: Get, model: User, context: { key: { name: ann } }, expect: deny }
- { caller: bob, source: token, tenant: acme, claims: { dept: hr }, action: GetTotalMetrics, session: s, expect: allow }
- { caller: bob, action: GetTotalMetrics, expect: deny }
";
    fs::write(folder.path().join("rows.yaml"), rows).expect("written");
    let arguments = [
        "test",
        "rows.yaml",
        "--policies",
        "policies",
        "--models",
        "models",
    ];
    let ended = run(&folder, &arguments);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "6 rows, all as expected\n"),
        "{ended:?}"
    );
    let wrong = rows.replace("field: User.ssn, expect: deny", "field: User.ssn, expect: allow");
    fs::write(folder.path().join("rows.yaml"), wrong).expect("written");
    let ended = run(&folder, &arguments);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(ended.stdout, "row 2 (line 3): expected allow, is deny\n");
    assert_eq!(ended.stderr, "tollgate: 1 of 6 rows differ\n");
    let invalid = "
- { caller: ann, action: Gett, model: User, expect: allow }
- { caller: ann, action: Get, field: User.ssn, expect: allow }
- { caller: ann, action: Get, model: User, expect: maybe }
- { action: Get, model: User, expect: deny, row: 1 }
";
    fs::write(folder.path().join("rows.yaml"), invalid).expect("written");
    let ended = run(&folder, &arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    for part in [
        "rows.yaml:2: [0]: there is no action \"Gett\" (did you mean `Get`?)",
        "rows.yaml:3: [1]: Get applies to a model",
        "rows.yaml:4: [2].expect: must be one of allow, deny",
        "rows.yaml:5: [3].caller: is required",
        "rows.yaml:5: [3].row: unknown key",
    ] {
        let line = part.split(": ").last().unwrap_or_default();
        assert!(ended.stderr.contains(part), "{part} ({line}): {}", ended.stderr);
    }
}

#[test]
fn explain_names_the_policies_that_decided() {
    let folder = folder(POLICIES);
    let explain = |arguments: &[&str]| {
        let mut all = vec!["explain", "--policies", "policies", "--models", "models"];
        all.extend(arguments);
        run(&folder, &all)
    };
    let ann = ["--caller", "ann", "--group", "analysts"];
    let allowed = explain(&[&ann[..], &["--action", "Query", "--model", "User"]].concat());
    assert_eq!(
        (allowed.code, allowed.stdout.as_str()),
        (0, "allow\n  a.cedar:1 (analysts)\n"),
        "{allowed:?}"
    );
    let denied = explain(&[&ann[..], &["--action", "ReadField", "--field", "User.ssn"]].concat());
    assert_eq!(
        (denied.code, denied.stdout.as_str()),
        (0, "deny\n  no policy permits it\n")
    );
    let own = explain(&["--caller", "bob", "--action", "ResetMetrics", "--session", "s"]);
    assert_eq!(own.stdout, "allow\n  built-in: own sessions and bills\n");
    for wrong in [
        &["--caller", "bob", "--action", "Gett", "--model", "User"][..],
        &["--caller", "bob", "--action", "Get", "--model", "Usr"],
        &["--caller", "bob", "--action", "ReadField", "--field", "User.sn"],
        &["--caller", "bob", "--action", "Get"],
    ] {
        assert_eq!(explain(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn policies_need_authentication() {
    let folder = folder(POLICIES);
    let variables = [("TOLLGATE_POLICIES", "policies"), ("TOLLGATE_MODELS", "models")];
    let ended = ended(
        folder.path(),
        &["serve", "--memory", "--listen", "127.0.0.1:0"],
        &variables,
    );
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains("policies requires auth, which is not set"),
        "{ended:?}"
    );
}
