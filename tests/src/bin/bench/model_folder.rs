//! Folders of any number of models.

use std::fmt::Write as _;

use tempfile::TempDir;

/// Attributes of each model that an index may have as its key.
pub(crate) const INDEX_KEYS: usize = 20;

/// A folder of so many models, `Model0` and so on, each in a file and on a table of its name.
pub(crate) fn models(count: usize) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..count {
        let path = folder.path().join(format!("model{number}.yaml"));
        std::fs::write(path, model(number, 0)).expect("a model is written");
    }
    folder
}

/// A folder of one model, `Model0`, with so many indexes.
pub(crate) fn indexed(indexes: usize) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("model.yaml"), model(0, indexes)).expect("a model is written");
    folder
}

/// The name of the attribute that is the key of an index.
pub(crate) fn index_key(number: usize) -> String {
    format!("key{number}")
}

fn model(number: usize, indexes: usize) -> String {
    let mut text = format!(
        "name: Model{number}\ntable: table{number}\npartition_key: pk\nsort_key: sk\nattributes:\n  \
         pk: {{ type: string }}\n  sk: {{ type: string }}\n  name: {{ type: string }}\n  email: {{ type: string }}\n  \
         age: {{ type: number }}\n  ssn: {{ type: string, encrypted: {{ key_id: alias/my-app-key }} }}\n"
    );
    for key in 0..INDEX_KEYS {
        writeln!(text, "  {}: {{ type: string }}", index_key(key)).expect("a text");
    }
    if indexes > 0 {
        text.push_str("indexes:\n");
    }
    for key in 0..indexes {
        writeln!(text, "  by_{key}: {{ partition_key: {} }}", index_key(key)).expect("a text");
    }
    text
}
