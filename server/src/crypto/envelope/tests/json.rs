//! The canonical form of DynamoDB JSON.

use super::super::json;
use super::*;

#[test]
fn accepts_only_canonical_json() {
    let wrong = [
        "",
        "null",
        "true",
        r#"{"S":"x"}"#,
        r#"{"N":"1"}"#,
        r#"{"BOOL":"true"}"#,
        r#"{"NULL":false}"#,
        r#"{"BOOL":true} "#,
        r#"{"BOOL": true}"#,
        r#"{"BOOL":true,"BOOL":true}"#,
        r#"{"BOOL":true,"NULL":true}"#,
        r#"{"XX":[]}"#,
        r#"{"OBJECT":{}}"#,
        r#"{"L":[{"N":"1.0"}]}"#,
        r#"{"L":[{"N":1}]}"#,
        r#"{"L":[{"B":"AA"}]}"#,
        r#"{"L":[{"S":"\u0041"}]}"#,
        r#"{"M":{"b":{"NULL":true},"a":{"NULL":true}}}"#,
        r#"{"M":{"a":{"NULL":true},"a":{"NULL":true}}}"#,
        r#"{"SS":[]}"#,
        r#"{"SS":["a","a"]}"#,
        r#"{"SS":["b","a"]}"#,
        r#"{"NS":["10","2"]}"#,
        r#"{"BOOL":true}x"#,
    ];
    for json in wrong {
        assert_eq!(json::read(json.as_bytes()), Err(OpenError::Plaintext), "{json}");
    }
    assert_eq!(
        json::read(br#"{"NS":["2","10"]}"#),
        Ok(Value::NS(["2", "10"].map(|n| n.parse().unwrap()).into()))
    );
}
