//! `tollgate call download`: the content of an object, in a file or on standard output.

use std::error::Error as _;
use std::io::{self, Write as _};
use std::path::Path;

use futures::StreamExt as _;
use indicatif::BinaryBytes;
use tollgate_client::{CallMetrics, Client, Item, Model, Object, Value};

use super::args::Download;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress_bar::ProgressBar;
use super::{connection, input, typed};

/// The argument that stands for standard output.
const STDOUT: &str = "-";

impl Download {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        is_quiet: bool,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let model = connection::model(plain, &self.model).await?;
        let key = input::key(&model, &self.key).await?;
        let attribute = attribute(&model, self.attribute)?;
        let download = tollgate_client::Download {
            offset: self.offset,
            length: self.length,
            if_match: self.if_match,
            consistent_read: self.consistent,
            validate_only: self.validate_only,
            ..tollgate_client::Download::new(self.model, key, attribute)
        };
        let mut content = client.download(download);
        if self.validate_only {
            while let Some(piece) = content.next().await {
                piece?;
            }
            output.remark("valid: nothing was read")?;
            output.nothing(content.metrics())?;
            return Ok(Outcome::Done);
        }
        let bar = ProgressBar::new(is_quiet);
        let content = content.on_progress(move |progress| bar.show(progress));
        match self.to {
            path if path.as_os_str() == STDOUT => {
                let metrics = print(content).await?;
                output.nothing(&metrics)?;
            }
            path => {
                let downloaded = content.into_file(&path).await;
                let downloaded = downloaded.map_err(|error| not_written(error, &path))?;
                describe(&path, downloaded.value, &downloaded.metrics, output)?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// The attribute of this name, or the only object attribute of the model.
pub(super) fn attribute(model: &Model, name: Option<String>) -> Result<String, Failure> {
    if let Some(name) = name {
        input::check_names(model, [name.as_str()])?;
        return Ok(name);
    }
    let is_object = |attribute: &&tollgate_client::Attribute| attribute.r#type == "object";
    let objects: Vec<&str> = model
        .attributes
        .iter()
        .filter(is_object)
        .map(|attribute| attribute.name.as_str())
        .collect();
    match objects.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Failure::Arguments(format!(
            "{} has no object attributes",
            model.name
        ))),
        several => Err(Failure::Arguments(format!(
            "--attribute is required: {} has {}",
            model.name,
            several.join(", ")
        ))),
    }
}

/// Writes the content to standard output, and returns the bill.
async fn print(mut content: tollgate_client::Content) -> Result<CallMetrics, Failure> {
    while let Some(piece) = content.next().await {
        io::stdout().lock().write_all(&piece?)?;
    }
    io::stdout().lock().flush()?;
    Ok(content.metrics().clone())
}

/// Prints what the file has.
fn describe(path: &Path, object: Object, metrics: &CallMetrics, output: &mut Output<'_>) -> io::Result<()> {
    let text = format!("{}: an object of {}\n", path.display(), BinaryBytes(object.size));
    let response = Item::from([(
        "object".to_owned(),
        typed::write(Value::Object(Box::new(object)), "object"),
    )]);
    output.message(&text, response, Some(metrics))
}

/// A file that cannot be written is a wrong argument.
fn not_written(error: tollgate_client::Error, path: &Path) -> Failure {
    match error.source().is_some_and(|cause| cause.is::<io::Error>()) {
        true => Failure::Arguments(format!("{}: {}", path.display(), error.message())),
        false => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(attributes: &[(&str, &str)]) -> Model {
        let attributes = attributes.iter().map(|(name, kind)| tollgate_client::Attribute {
            name: (*name).to_owned(),
            r#type: (*kind).to_owned(),
            ..Default::default()
        });
        Model {
            name: "Document".to_owned(),
            attributes: attributes.collect(),
            unknown_attributes: "reject".to_owned(),
            ..Model::default()
        }
    }

    #[test]
    fn the_only_object_attribute_needs_no_name() {
        let one = model(&[("pk", "string"), ("content", "object")]);
        assert_eq!(attribute(&one, None).unwrap(), "content");
        assert_eq!(attribute(&one, Some("content".to_owned())).unwrap(), "content");
        assert!(attribute(&one, Some("contents".to_owned())).is_err());
        for (model, says) in [
            (model(&[("pk", "string")]), "Document has no object attributes"),
            (
                model(&[("a", "object"), ("b", "object")]),
                "--attribute is required: Document has a, b",
            ),
        ] {
            let Err(Failure::Arguments(text)) = attribute(&model, None) else {
                panic!("it is refused")
            };
            assert_eq!(text, says);
        }
    }
}
