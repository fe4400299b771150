//! A value that is built from other attributes: the option `template`.

/// A template, such as `USER#{user_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    delimiter: String,
}

impl Template {
    /// Parses the text of a model file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str, delimiter: &str) -> Result<Template, String> {
        Ok(Template {
            text: text.to_owned(),
            delimiter: delimiter.to_owned(),
        })
    }

    /// The text of the model file.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text that no part may contain.
    pub fn delimiter(&self) -> &str {
        &self.delimiter
    }
}
