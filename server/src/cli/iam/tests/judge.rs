//! Evaluates a request as IAM does, for the features of these policies: any statement that allows it, with patterns,
//! escapes and the operators that the generator uses. Nothing is denied explicitly.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// One request as IAM sees it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) action: &'static str,
    pub(super) resource: String,
    /// Condition keys with their values; not there: the request has none.
    pub(super) keys: BTreeMap<String, Vec<String>>,
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>
pub(super) fn allows(policy: &Json, request: &Request) -> bool {
    policy["Statement"].as_array().unwrap().iter().any(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        strings(&statement["Action"]).contains(&request.action)
            && strings(&statement["Resource"])
                .iter()
                .any(|pattern| matches(pattern, &request.resource))
            && conditions_hold(&statement["Condition"], &request.keys)
    })
}

fn conditions_hold(conditions: &Json, keys: &BTreeMap<String, Vec<String>>) -> bool {
    let Some(conditions) = conditions.as_object() else {
        return true;
    };
    conditions.iter().all(|(operator, comparisons)| {
        comparisons.as_object().unwrap().iter().all(|(key, allowed)| {
            let allowed: Vec<String> = strings(allowed).into_iter().map(filled_in).collect();
            let has = keys
                .get(key)
                .map(|values| values.iter().any(|value| allowed.contains(value)));
            match operator.as_str() {
                "StringEquals" | "ForAnyValue:StringEquals" => has == Some(true),
                "StringEqualsIfExists" => has != Some(false),
                other => panic!("{other} is not known here"),
            }
        })
    })
}

/// A character of a pattern, or what stands for any one or any number of them.
#[derive(Clone, Copy, PartialEq)]
enum Token {
    Itself(char),
    One,
    Many,
}

/// `*` and `?` are patterns, unless they are escaped.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
fn matches(pattern: &str, text: &str) -> bool {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars();
    while let Some(first) = rest.next() {
        let mut after = rest.clone();
        let escaped = match (first, after.next(), after.next(), after.next()) {
            ('$', Some('{'), Some(escaped), Some('}')) => Some(escaped),
            _ => None,
        };
        tokens.push(match (escaped, first) {
            (Some(escaped), _) => Token::Itself(escaped),
            (None, '*') => Token::Many,
            (None, '?') => Token::One,
            (None, other) => Token::Itself(other),
        });
        if escaped.is_some() {
            rest = after;
        }
    }
    tokens_match(&tokens, &text.chars().collect::<Vec<char>>())
}

fn tokens_match(tokens: &[Token], text: &[char]) -> bool {
    match (tokens.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((Token::Many, others)), _) => {
            (0..=text.len()).any(|skipped| tokens_match(others, &text[skipped..]))
        }
        (Some((Token::One, others)), Some((_, left))) => tokens_match(others, left),
        (Some((Token::Itself(wanted), others)), Some((first, left))) => {
            wanted == first && tokens_match(others, left)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// A condition's value after its variables were filled in; only the escaped `$` is one that we know.
fn filled_in(value: &str) -> String {
    let unescaped = value.replace("${$}", "\0");
    assert!(!unescaped.contains("${"), "{value} has a variable");
    unescaped.replace('\0', "$")
}

fn strings(list: &Json) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|text| text.as_str().unwrap()).collect()
}
