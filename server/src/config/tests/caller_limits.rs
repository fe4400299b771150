//! The limits of callers: their forms, and what is refused.

use super::{from_file, from_variables};
use crate::config::CallerLimits;

const AUTH: &str = "auth: { tokens: t.yaml }\n";

#[test]
fn entries_are_read_and_shown() {
    let file = "limits:\n  per_caller: { in_flight: 64, rcu_per_second: 0.5 }\n  callers:\n    batch: { cost_usd_per_hour: 2 }\n";
    let config = from_file(&format!("{AUTH}{file}")).unwrap();
    assert_eq!(
        config.limits.per_caller,
        CallerLimits {
            in_flight: Some(64),
            rcu_per_second: Some(0.5),
            ..CallerLimits::default()
        }
    );
    assert_eq!(config.limits.callers["batch"].cost_usd_per_hour, Some(2.0));
    let shown = config.to_yaml();
    assert!(
        shown.contains("  per_caller: {\"in_flight\":64,\"rcu_per_second\":0.5}"),
        "{shown}"
    );
    assert!(
        shown.contains("  callers: {\"batch\":{\"cost_usd_per_hour\":2.0}}"),
        "{shown}"
    );
    assert!(
        from_variables(&[])
            .unwrap()
            .to_yaml()
            .contains("  per_caller: {}\n")
    );
}

#[test]
fn faults_name_the_place_and_what_would_be_right() {
    for (limits, expected) in [
        (
            "per_caller: { in_flight: 0 }",
            "in_flight: must be a whole number from 1 to 1000000",
        ),
        (
            "per_caller: { in_flight: 1.5 }",
            "in_flight: must be a whole number from 1 to 1000000",
        ),
        (
            "per_caller: { calls_per_second: -1 }",
            "calls_per_second: must be a number above 0, at most 1000000000",
        ),
        (
            "per_caller: { rcu_per_second: 0 }",
            "rcu_per_second: must be a number above 0, at most 1000000000",
        ),
        (
            "per_caller: { wcu_per_second: x }",
            "wcu_per_second: must be a number above 0, at most 1000000000",
        ),
        (
            "callers: { job: { cost_usd_per_hour: .inf } }",
            "[\"job\"].cost_usd_per_hour: must be a number above 0",
        ),
        (
            "callers: { job: { calls: 1 } }",
            "[\"job\"].calls: no such limit; the limits are in_flight, calls_per_second",
        ),
        (
            "callers: { job: 1 }",
            "[\"job\"]: must be a map of in_flight, calls_per_second",
        ),
        (
            "callers: { '': { in_flight: 1 } }",
            "[\"\"]: must be a name of 1 to 512 bytes",
        ),
    ] {
        let faults = from_file(&format!("{AUTH}limits: {{ {limits} }}")).unwrap_err();
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains(expected), "{limits}: {texts:?}");
    }
}

#[test]
fn they_require_callers_with_an_identity() {
    let faults = from_file("limits: { per_caller: { in_flight: 1 }, callers: { job: { in_flight: 1 } } }")
        .unwrap_err();
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts
            .iter()
            .all(|text| text.contains("requires auth, which is not set")),
        "{texts:?}"
    );
    assert!(
        texts[0].contains("limits.per_caller") && texts[1].contains("limits.callers"),
        "{texts:?}"
    );
}
