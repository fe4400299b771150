//! Any text is either valid or has faults; none ends the process.

use proptest::prelude::*;

use super::*;

const TOKENS: [&str; 36] = [
    "permit",
    "forbid",
    "(",
    ")",
    "principal",
    "action",
    "resource",
    ",",
    ";",
    "when",
    "unless",
    "{",
    "}",
    "==",
    "in",
    "Tollgate::Action::\"Get\"",
    "Tollgate::Model::\"User\"",
    "Tollgate::Field::\"User.ssn\"",
    "context",
    ".",
    "time",
    "has",
    "like",
    "\"a*\"",
    "1",
    "-",
    "+",
    "!",
    "&&",
    "||",
    "if",
    "then",
    "else",
    "[",
    "]",
    "@id(\"x\")",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_checked(text in "\\PC{0,200}") {
        let _ = compile(&text);
    }

    #[test]
    fn any_tokens_are_checked(tokens in proptest::collection::vec(proptest::sample::select(&TOKENS[..]), 0..60)) {
        let _ = compile(&tokens.join(" "));
    }

    #[test]
    fn any_name_of_a_model_is_decided(name in "\\PC{0,300}") {
        let (compiled, ann) = (compiled(""), caller("ann", &[]));
        let resource = Resource::UnknownModel(&name);
        prop_assert!(!is_allowed(&compiled, &ann, Action::Get, &resource, &Context::default()));
    }
}

#[test]
fn chains_and_nests_at_the_limits_do_not_overflow_the_stack() {
    let condition = |text: &str| {
        format!("permit(principal, action == Tollgate::Action::\"Get\", resource) when {{ {text} }};")
    };
    for text in [
        format!("true{}", " && true".repeat(199)),
        format!("{}true{}", "(".repeat(45), ")".repeat(45)),
        format!("{}1 == 1{}", "if true then ".repeat(60), " else false".repeat(60)),
        format!("1{} == 1", " + 1".repeat(198)),
        format!("{}true", "!".repeat(200)),
        format!("context{}", ".tls".repeat(200)),
    ] {
        if let Ok(compiled) = compile(&condition(&text)) {
            let (ann, user) = (caller("ann", &[]), model("User"));
            is_allowed(
                &compiled,
                &ann,
                Action::Get,
                &Resource::Model(&user),
                &Context::default(),
            );
        }
    }
}
