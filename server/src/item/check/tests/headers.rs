//! Metadata, media types and file names, which are sent to S3 as headers.

use super::*;

#[test]
fn rejects_invalid_header_names_and_values() {
    let with = |name: &str, value: &str| {
        object(|object| drop(object.metadata.insert(name.to_owned(), value.to_owned())))
    };
    assert!(checked(&[("content", with("Author", "J. Doe <j@d.example>"))]).is_ok());
    for (name, value) in [
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("ñ", "x"),
        ("a", "ñ"),
        ("a", "x\r\ny: z"),
        ("a", " x"),
        ("a", "x "),
        ("tollgate-table", "x"),
        ("Tollgate-x", "x"),
    ] {
        assert_eq!(
            faults(&[("content", with(name, value))]).len(),
            1,
            "{name:?} {value:?}"
        );
    }
    let content_type = |text: &str| object(|object| object.content_type = text.to_owned());
    assert!(checked(&[("content", content_type("text/plain; charset=utf-8"))]).is_ok());
    assert_eq!(
        faults(&[("content", content_type("text/plain\r\nx: y"))]).len(),
        1
    );
    assert_eq!(faults(&[("content", content_type(&"x".repeat(513)))]).len(), 1);
}

#[test]
fn limits_metadata_and_file_names() {
    let with_size =
        |bytes: usize| object(|object| drop(object.metadata.insert("k".to_owned(), "v".repeat(bytes - 1))));
    // S3 allows 2048 bytes, of which the owner's metadata may use 258
    assert!(checked(&[("content", with_size(1790))]).is_ok());
    assert_eq!(
        faults(&[("content", with_size(1791))]),
        ["item.content.metadata: must have at most 1790 bytes in all"]
    );
    let twice = object(|object| {
        object.metadata = HashMap::from([("A".to_owned(), String::new()), ("a".to_owned(), String::new())]);
    });
    assert_eq!(
        faults(&[("content", twice)]),
        [
            "item.content.metadata.a: must differ from other names by more than case, because names are stored in lower case"
        ]
    );
    let named = |name: String| object(|object| object.name = name);
    assert!(checked(&[("content", named(format!("{}x", "ñ".repeat(127))))]).is_ok());
    assert_eq!(
        faults(&[("content", named("ñ".repeat(128)))]),
        ["item.content.name: must have at most 255 bytes"]
    );
}
