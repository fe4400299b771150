//! The seven commands: arguments to one call, its answer to the output.

use std::io::Write;
use std::path::Path;

use futures::StreamExt as _;
use tollgate_client::{
    Client, Code, DeleteOptions, Expression, Found, GetOptions, Item, Items, Model, Object, Options,
    ReturnValues, SaveOptions, Scope, Value,
};

use super::output::{Listed, Output};
use super::{
    Args, Command, Condition, Delete, Failure, Get, Listing, Metrics, Models, Outcome, Query, Save, Scan,
};
use super::{input, report};

/// Connects, sends the call of the arguments, prints its answer.
pub(super) async fn execute<W: Write>(args: Args, output: &mut Output<W>) -> Result<Outcome, Failure> {
    let plain = connect(&args).await?;
    let client = match &args.session {
        Some(session) => Client::clone(&plain.session(session)),
        None => plain.clone(),
    };
    match args.command {
        Command::Save(save) => save.run(&plain, &client, output).await,
        Command::Get(get) => get.run(&plain, &client, output).await,
        Command::Delete(delete) => delete.run(&plain, &client, output).await,
        Command::Query(query) => query.run(&plain, &client, output).await,
        Command::Scan(scan) => scan.run(&plain, &client, output).await,
        Command::Metrics(metrics) => metrics.run(&plain, args.session, output).await,
        Command::Models(models) => models.run(&plain, output).await,
    }
}

async fn connect(args: &Args) -> Result<Client, Failure> {
    let scheme = if args.address.contains("://") {
        ""
    } else {
        "http://"
    };
    let options = Options {
        timeout: args.timeout,
        ..Options::default()
    };
    let client = Client::connect_with(format!("{scheme}{}", args.address), options).await;
    client.map_err(|error| match error.code() {
        Code::InvalidArgument => Failure::Arguments(format!("--address: {}", error.message())),
        _ => Failure::Call(error),
    })
}

impl Save {
    async fn run<W: Write>(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<W>,
    ) -> Result<Outcome, Failure> {
        let model = plain.model(&self.model).await?;
        let item = input::item(&model, self.file.as_deref(), &self.attributes).await?;
        let options = SaveOptions {
            condition: self.condition.expression()?,
            return_values: ReturnValues::AllNew,
            ..SaveOptions::default()
        };
        let answer = client.save_with(&self.model, &item, options).await?;
        let written = answer.value.item.unwrap_or_default();
        let response = Item::from([
            ("generated".to_owned(), answer.value.generated.into()),
            ("item".to_owned(), written.clone().into()),
        ]);
        output.item(written, &names(&model), response, &answer.metrics)?;
        Ok(Outcome::Done)
    }
}

impl Get {
    async fn run<W: Write>(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<W>,
    ) -> Result<Outcome, Failure> {
        if self.output.is_some() && self.include_object.len() != 1 {
            return Err(Failure::Arguments(
                "--output takes the content of one --include-object".to_owned(),
            ));
        }
        let model = plain.model(&self.model).await?;
        let key = input::key(&model, &self.key).await?;
        let options = GetOptions {
            fields: self.fields,
            consistent_read: self.consistent,
            include_objects: self.include_object.clone(),
            ..GetOptions::default()
        };
        let answer = client.get_with::<Item>(&self.model, key, options).await?;
        let Found { mut item, withheld } = answer.value;
        if let Some(path) = &self.output {
            write_content(&mut item, &self.include_object[0], path).await?;
        }
        let withheld: Vec<Value> = withheld.into_iter().map(Value::String).collect();
        let response = Item::from([
            ("item".to_owned(), item.clone().into()),
            ("withheld".to_owned(), withheld.into()),
        ]);
        output.item(item, &names(&model), response, &answer.metrics)?;
        Ok(Outcome::Done)
    }
}

impl Delete {
    async fn run<W: Write>(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<W>,
    ) -> Result<Outcome, Failure> {
        let model = plain.model(&self.model).await?;
        let key = input::key(&model, &self.key).await?;
        let options = DeleteOptions {
            condition: self.condition.expression()?,
            ..DeleteOptions::default()
        };
        let answer = client.delete_with(&self.model, key, options).await?;
        output.answer("", Item::new(), Some(&answer.metrics))?;
        Ok(Outcome::Done)
    }
}

impl Query {
    async fn run<W: Write>(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<W>,
    ) -> Result<Outcome, Failure> {
        let listing = self.listing;
        let texts = [self.key_condition.as_deref(), listing.filter.as_deref()];
        input::check_placeholders(&texts, &listing.values)?;
        let rest = input::expression(self.key_condition.as_deref(), &listing.values)?;
        let filter = listing.filter()?;
        let model = plain.model(&self.model).await?;
        let key = input::key(&model, &self.key).await?;
        let items = client.query::<Item>(tollgate_client::Query {
            filter,
            fields: listing.fields,
            limit: listing.limit,
            page_size: listing.page_size,
            page_token: listing.page_token,
            descending: self.descending,
            consistent_read: listing.consistent,
            ..tollgate_client::Query::new(self.model, Expression::from(key).and(rest))
        });
        list(items, &names(&model), output).await
    }
}

impl Scan {
    async fn run<W: Write>(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<W>,
    ) -> Result<Outcome, Failure> {
        let listing = self.listing;
        input::check_placeholders(&[listing.filter.as_deref()], &listing.values)?;
        let filter = listing.filter()?;
        let model = plain.model(&self.model).await?;
        let items = client.scan::<Item>(tollgate_client::Scan {
            filter,
            fields: listing.fields,
            limit: listing.limit,
            page_size: listing.page_size,
            page_token: listing.page_token,
            consistent_read: listing.consistent,
            parallelism: self.parallelism,
            ..tollgate_client::Scan::new(self.model)
        });
        list(items, &names(&model), output).await
    }
}

impl Metrics {
    async fn run<W: Write>(
        self,
        client: &Client,
        session: Option<String>,
        output: &mut Output<W>,
    ) -> Result<Outcome, Failure> {
        let scope = Scope {
            session,
            model: self.model,
        };
        let (text, response) = match self.call {
            Some(request_id) => {
                let call = client.call_metrics(request_id).await?;
                let metrics = call.metrics.unwrap_or_default();
                (
                    report::metrics_table(&[(call.rpc, &metrics)]),
                    report::fields(&metrics),
                )
            }
            None if self.reset => {
                let cleared = client.reset_totals(scope).await?;
                let response = Item::from([("cleared".to_owned(), report::fields(&cleared).into())]);
                (
                    report::metrics_table(&[("cleared".to_owned(), &cleared)]),
                    response,
                )
            }
            None => {
                let totals = client.totals(scope).await?;
                (report::total_table(&totals), report::total_fields(&totals))
            }
        };
        output.answer(&text, response, None)?;
        Ok(Outcome::Done)
    }
}

impl Models {
    async fn run<W: Write>(self, client: &Client, output: &mut Output<W>) -> Result<Outcome, Failure> {
        let (text, response) = match self.name {
            Some(name) => {
                let model = client.model(name).await?;
                let response = Item::from([("model".to_owned(), report::model_fields(&model).into())]);
                (report::attribute_table(&model), response)
            }
            None => {
                let models = client.models().await?;
                let fields: Vec<Value> = models
                    .iter()
                    .map(|model| report::model_fields(model).into())
                    .collect();
                (
                    report::model_table(&models),
                    Item::from([("models".to_owned(), fields.into())]),
                )
            }
        };
        output.answer(&text, response, None)?;
        Ok(Outcome::Done)
    }
}

impl Condition {
    fn expression(&self) -> Result<Expression, Failure> {
        input::check_placeholders(&[self.condition.as_deref()], &self.values)?;
        input::expression(self.condition.as_deref(), &self.values)
    }
}

impl Listing {
    fn filter(&self) -> Result<Expression, Failure> {
        input::expression(self.filter.as_deref(), &self.values)
    }
}

async fn list<W: Write>(
    items: Items<Item>,
    first: &[String],
    output: &mut Output<W>,
) -> Result<Outcome, Failure> {
    let mut pages = items.pages();
    let mut listed = Listed::default();
    while let Some(page) = pages.next().await {
        output.page(page?, first, &mut listed)?;
    }
    let outcome = if listed.failed == 0 {
        Outcome::Done
    } else {
        Outcome::ItemsFailed
    };
    output.end(listed, pages.metrics())?;
    Ok(outcome)
}

/// The model's attributes in its own order, the key first.
fn names(model: &Model) -> Vec<String> {
    let keys = [model.partition_key.clone(), model.sort_key.clone()];
    keys.into_iter()
        .chain(model.attributes.iter().map(|attribute| attribute.name.clone()))
        .collect()
}

/// Moves an object's content from the item to a file.
async fn write_content(item: &mut Item, name: &str, path: &Path) -> Result<(), Failure> {
    let object: Option<&mut Object> = match item.get_mut(name) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    };
    let Some(content) = object.and_then(|object| object.data.take()) else {
        return Err(Failure::Arguments(format!("{name}: the item has no such object")));
    };
    let written = tokio::fs::write(path, &*content).await;
    written.map_err(|error| Failure::Arguments(format!("cannot write {}: {error}", path.display())))
}
