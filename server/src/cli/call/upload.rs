//! `tollgate call upload`: saves an item whose object contents are streamed from files or from standard input.

use std::error::Error as _;
use std::io;

use tollgate_client::{Client, Item, Model, Object, ReturnValues, SaveOptions, Source};

use super::args::Upload;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress_bar::ProgressBar;
use super::{connection, input, typed};

/// Object attributes, each with the path of its content.
type Files = Vec<(String, String)>;

/// The path that stands for standard input.
const STDIN: &str = "-";

impl Upload {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        is_quiet: bool,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let model = connection::model(plain, &self.model).await?;
        let (contents, attributes) = split(&model, self.attributes)?;
        let item = input::attributes(&model, &attributes).await?;
        let options = SaveOptions {
            condition: self.condition.expression(&model)?,
            return_values: ReturnValues::AllNew,
            validate_only: self.validate_only,
            ..SaveOptions::default()
        };
        let mut upload = client.upload_with(&model.name, &item, options);
        for (attribute, path) in contents {
            let source = match path.as_str() {
                STDIN => Source::reader(stdin().await?),
                path => Source::file(path),
            };
            let object = Object {
                name: file_name(&path),
                content_type: self.content_type.clone(),
                ..Object::default()
            };
            upload = upload.object(attribute, object, source);
        }
        let bar = ProgressBar::new(is_quiet);
        let sent = upload
            .on_progress(move |progress| bar.show(progress))
            .send()
            .await;
        let saved = sent.map_err(not_read)?;
        if self.validate_only {
            output.remark("valid: nothing was written")?;
            output.nothing(&saved.metrics)?;
            return Ok(Outcome::Done);
        }
        let written = saved.value.item.unwrap_or_default();
        let response = Item::from([
            (
                "generated".to_owned(),
                typed::write_item(&model, saved.value.generated),
            ),
            ("item".to_owned(), typed::write_item(&model, written.clone())),
        ]);
        output.item(&model, written, response, &saved.metrics)?;
        Ok(Outcome::Done)
    }
}

async fn stdin() -> Result<tokio::fs::File, Failure> {
    let opened = tokio::fs::File::open("/dev/stdin").await;
    opened.map_err(|error| Failure::Arguments(format!("standard input cannot be read: {error}")))
}

/// The object attributes with their files, and the other arguments.
fn split(model: &Model, arguments: Vec<String>) -> Result<(Files, Vec<String>), Failure> {
    let is_object = |name: &str| {
        let mut attributes = model.attributes.iter();
        attributes.any(|attribute| attribute.name == name && attribute.r#type == "object")
    };
    let (mut contents, mut others) = (Vec::new(), Vec::new());
    for argument in arguments {
        match argument.split_once("=@") {
            Some((name, path)) if is_object(name) => contents.push((name.to_owned(), path.to_owned())),
            _ => others.push(argument),
        }
    }
    let from_stdin = contents.iter().filter(|(_, path)| path == STDIN).count();
    match (contents.is_empty(), from_stdin) {
        (true, _) => Err(Failure::Arguments(
            "an object attribute is required, as name=@FILE; without one, use save".to_owned(),
        )),
        (false, 0 | 1) => Ok((contents, others)),
        (false, _) => Err(Failure::Arguments(
            "only one content can come from standard input".to_owned(),
        )),
    }
}

/// The last part of a path; none for standard input.
fn file_name(path: &str) -> String {
    let name = std::path::Path::new(path).file_name();
    name.filter(|_| path != STDIN)
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// A file that cannot be read is a wrong argument.
fn not_read(error: tollgate_client::Error) -> Failure {
    match error.source().is_some_and(|cause| cause.is::<io::Error>()) {
        true => Failure::Arguments(error.message().to_owned()),
        false => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let attributes = [("pk", "string"), ("text", "string"), ("content", "object")];
        let attributes = attributes.iter().map(|(name, kind)| tollgate_client::Attribute {
            name: (*name).to_owned(),
            r#type: (*kind).to_owned(),
            ..Default::default()
        });
        Model {
            name: "Document".to_owned(),
            attributes: attributes.collect(),
            ..Model::default()
        }
    }

    fn arguments(all: &[&str]) -> Vec<String> {
        all.iter().map(|&argument| argument.to_owned()).collect()
    }

    #[test]
    fn contents_are_the_files_of_object_attributes() {
        let all = arguments(&["pk=A", "content=@a/b.pdf", "text=@x"]);
        let (contents, others) = split(&model(), all).unwrap();
        assert_eq!(contents, [("content".to_owned(), "a/b.pdf".to_owned())]);
        assert_eq!(others, ["pk=A", "text=@x"]);
        assert_eq!([file_name("a/b.pdf"), file_name("-")], ["b.pdf", ""]);
        assert!(split(&model(), arguments(&["pk=A"])).is_err());
        assert!(split(&model(), arguments(&["content=@-", "content=@-"])).is_err());
    }
}
