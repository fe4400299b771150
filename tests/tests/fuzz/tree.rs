//! A document as a tree, which can be written as JSON or in YAML's block style.

/// A document.
pub(crate) enum Tree {
    /// A number, a boolean or null.
    Plain(&'static str),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A map.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// As JSON, in one line.
    pub(crate) fn json(&self) -> String {
        match self {
            Tree::Plain(text) => (*text).to_owned(),
            Tree::Text(text) => quoted(text),
            Tree::List(items) => {
                let items: Vec<String> = items.iter().map(Tree::json).collect();
                format!("[{}]", items.join(", "))
            }
            Tree::Map(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}: {}", quoted(name), value.json()))
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }

    /// In block style, a line for each field and item.
    pub(crate) fn block(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, indent: usize) {
        let blanks = "  ".repeat(indent);
        match self {
            Tree::List(items) if !items.is_empty() => {
                for item in items {
                    out.push_str(&format!("\n{blanks}- {}", item.json()));
                }
            }
            Tree::Map(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    out.push_str(&format!("\n{blanks}{name}:"));
                    value.write(out, indent + 1);
                }
            }
            Tree::Text(text) if is_word(text) => out.push_str(&format!(" {text}")),
            other => out.push_str(&format!(" {}", other.json())),
        }
    }
}

/// Whether a text needs no quotes.
fn is_word(text: &str) -> bool {
    let is_text = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let has_marks = text.contains(|char: char| !char.is_ascii_alphanumeric() && !"_/-".contains(char));
    is_text && !has_marks && !["true", "false", "null", "no", "yes"].contains(&text)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
