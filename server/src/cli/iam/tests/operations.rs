//! The actions of the policy against the operations that `aws` calls, as its sources name them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value as Json;

use super::super::policy::Policy;
use super::super::provision;
use super::{ACCOUNT, NEEDED, PROVISIONING, REGION, json, model, scope};
use crate::model::Models;

#[test]
fn the_policy_allows_the_operations_that_the_code_calls() {
    let known: BTreeSet<String> = NEEDED
        .iter()
        .map(|(operation, _)| (*operation).to_owned())
        .collect();
    assert_eq!(called_operations(), known);
    let mut needed: BTreeSet<&str> = NEEDED.iter().filter_map(|(_, action)| *action).collect();
    // of GetObject and DeleteObject with a version
    needed.extend(["s3:DeleteObjectVersion", "s3:GetObjectVersion"]);
    assert_eq!(actions(&json(&Models::examples())), owned(needed));
}

#[test]
fn the_policy_of_provision_allows_what_it_calls() {
    let policy = |policy: Policy| serde_json::from_str::<Json>(&policy.to_json()).unwrap();
    let provisioning = policy(provision::policy(&Models::examples(), &scope()));
    let needed = PROVISIONING.iter().map(|(_, action)| *action).collect();
    assert_eq!(actions(&provisioning), owned(needed));
    // whatever `serve` does not call
    let called: BTreeSet<&str> = PROVISIONING.iter().map(|(operation, _)| *operation).collect();
    for (operation, action) in NEEDED {
        assert!(action.is_some() || called.contains(operation), "{operation}");
    }
    let aliases = format!("arn:aws:kms:{REGION}:{ACCOUNT}:alias/my-app-key");
    assert!(provisioning.to_string().contains(&aliases), "{provisioning}");
    let plain = Models::new([model("users", Vec::new())]);
    let sids = policy(provision::policy(&plain, &scope()));
    assert_eq!(
        sids["Statement"].as_array().unwrap().len(),
        1,
        "no keys, no buckets"
    );
}

fn actions(policy: &Json) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    actions
        .map(|action| action.as_str().unwrap().to_owned())
        .collect()
}

fn owned(actions: BTreeSet<&str>) -> BTreeSet<String> {
    actions.into_iter().map(str::to_owned).collect()
}

/// Names of all operations that the sources of `aws` ask an SDK client for.
fn called_operations() -> BTreeSet<String> {
    let call = Regex::new(r"\bclient\b(?:\([^()]*\))?\s*\.([a-z0-9_]+)\(\)").unwrap();
    let mut names = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_of_tests = ["tests", "tests.rs", "testing.rs"]
                .iter()
                .any(|name| path.ends_with(name));
            if is_of_tests {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let called: Vec<&str> = call
                .captures_iter(&source)
                .map(|captures| captures.get(1).unwrap().as_str())
                .filter(|method| !["clone", "config"].contains(method))
                .collect();
            // requests that are assembled once are sent elsewhere, by one that is customized
            let sent = match source.contains("macro_rules! operations") {
                true => called.len(),
                false => source.matches(".send()").count(),
            };
            // a request that is customized may be one of those that are sent as they are too
            let customized = source.matches(".customize()").count();
            assert!(
                called.len() <= sent && sent <= called.len() + customized,
                "{}: a call that is not seen",
                path.display()
            );
            names.extend(called.into_iter().map(pascal_case));
        }
    }
    names
}

fn pascal_case(name: &str) -> String {
    let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capitalised).collect()
}
