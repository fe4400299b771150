//! The commands: each sends one call and prints its response. The larger ones are in files of their names.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use tollgate_client::{
    Client, DeleteOptions, Expression, GetOptions, Item, Items, Model, Object, Partial, Scope, Value,
};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::args::{Args, Command, Condition, Delete, Get, Health, Listing, Metrics, Models, Query, Scan};
use super::failure::{Failure, Outcome};
use super::output::{Listed, Output};
use super::{connection, input, report, typed};

/// The timeout of a health check.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects, sends the call of the arguments, prints its response.
pub(super) async fn execute(args: Args, output: &mut Output<'_>) -> Result<Outcome, Failure> {
    let plain = connection::connect(&args).await?;
    let (is_json, is_quiet) = (args.json, args.quiet);
    let client = match &args.session {
        Some(session) => Client::clone(&plain.session(session)),
        None => plain.clone(),
    };
    let form = args.form()?;
    match args.command {
        Command::Save(save) => save.run(&plain, &client, output).await,
        Command::Update(update) => update.run(&plain, &client, output).await,
        Command::Count(count) => count.run(&plain, &client, output).await,
        Command::BatchGet(get) => get.run(&plain, &client, output, is_quiet).await,
        Command::BatchWrite(write) => write.run(&plain, &client, output, is_quiet).await,
        Command::Transact(transact) => transact.run(&plain, &client, output).await,
        Command::Export(export) => export.run(&plain, &client, output, (form, is_quiet)).await,
        Command::Get(get) => get.run(&plain, &client, output).await,
        Command::Upload(upload) => upload.run(&plain, &client, is_quiet, output).await,
        Command::Download(download) => download.run(&plain, &client, is_quiet, output).await,
        Command::Presign(presign) => presign.run(&plain, &client, output).await,
        Command::Delete(delete) => delete.run(&plain, &client, output).await,
        Command::Query(query) => query.run(&plain, &client, output).await,
        Command::Scan(scan) => scan.run(&plain, &client, output).await,
        Command::Metrics(metrics) => metrics.run(&plain, args.session, output).await,
        Command::Models(models) => models.run(&plain, output).await,
        Command::Admin(admin) => admin.run(&plain, is_json, is_quiet).await,
        Command::Health(health) => health.run(&plain, args.timeout, output).await,
    }
}

impl Get {
    async fn run(self, plain: &Client, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        if self.object_file.is_some() && self.include_object.len() != 1 {
            return Err(Failure::Arguments(
                "--object-file requires exactly one --include-object".to_owned(),
            ));
        }
        let model = connection::model(plain, &self.model).await?;
        let key = input::key(&model, &self.key).await?;
        input::check_names(&model, self.include_object.iter().map(String::as_str))?;
        let options = GetOptions {
            fields: self.fields,
            consistent_read: self.consistent,
            include_objects: self.include_object.clone(),
            validate_only: self.validate_only,
        };
        let result = client
            .get_with::<Partial<Item>>(&self.model, key, options)
            .await?;
        if self.validate_only {
            output.remark("valid: nothing was read")?;
            output.nothing(&result.metrics)?;
            return Ok(Outcome::Done);
        }
        let withheld = result.value.withheld().to_vec();
        let is_unverified = result.value.is_unverified();
        let mut item = result.value.into_incomplete();
        if let Some(path) = &self.object_file {
            write_content(&mut item, &self.include_object[0], path).await?;
        }
        output.withheld(withheld.iter().map(String::as_str))?;
        output.unverified(u64::from(is_unverified))?;
        let withheld: Vec<Value> = withheld.into_iter().map(Value::String).collect();
        let response = Item::from([
            ("item".to_owned(), typed::write_item(&model, item.clone())),
            ("withheld".to_owned(), withheld.into()),
            ("unverified".to_owned(), is_unverified.into()),
        ]);
        output.item(&model, item, response, &result.metrics)?;
        Ok(Outcome::Done)
    }
}

impl Delete {
    async fn run(self, plain: &Client, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let model = connection::model(plain, &self.model).await?;
        let key = input::key(&model, &self.key).await?;
        let options = DeleteOptions {
            condition: self.condition.expression(&model)?,
            validate_only: self.validate_only,
            ..DeleteOptions::default()
        };
        let result = client.delete_with(&self.model, key, options).await?;
        if self.validate_only {
            output.remark("valid: nothing was deleted")?;
        }
        output.nothing(&result.metrics)?;
        Ok(Outcome::Done)
    }
}

impl Query {
    async fn run(self, plain: &Client, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let listing = self.listing;
        let texts = [self.key_condition.as_deref(), listing.filter.as_deref()];
        input::check_placeholders(&texts, &listing.values)?;
        let model = connection::model(plain, &self.model).await?;
        let rest = input::expression(&model, self.key_condition.as_deref(), &listing.values)?;
        let filter = listing.filter(&model)?;
        let key = input::key(&model, &self.key).await?;
        let items = client.query::<Partial<Item>>(tollgate_client::Query {
            index: listing.index,
            filter,
            fields: listing.fields,
            limit: listing.limit,
            page_size: listing.page_size,
            page_token: listing.page_token,
            descending: self.descending,
            consistent_read: listing.consistent,
            validate_only: listing.validate_only,
            ..tollgate_client::Query::new(self.model, Expression::from(key).and(rest))
        });
        list(items, &model, listing.validate_only, output).await
    }
}

impl Scan {
    async fn run(self, plain: &Client, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let listing = self.listing;
        input::check_placeholders(&[listing.filter.as_deref()], &listing.values)?;
        let model = connection::model(plain, &self.model).await?;
        let filter = listing.filter(&model)?;
        let items = client.scan::<Partial<Item>>(tollgate_client::Scan {
            index: listing.index,
            filter,
            fields: listing.fields,
            limit: listing.limit,
            page_size: listing.page_size,
            page_token: listing.page_token,
            consistent_read: listing.consistent,
            validate_only: listing.validate_only,
            parallelism: self.parallelism,
            ..tollgate_client::Scan::new(self.model)
        });
        list(items, &model, listing.validate_only, output).await
    }
}

impl Metrics {
    async fn run(
        self,
        client: &Client,
        session: Option<String>,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let model = self.model.clone().unwrap_or_default();
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
                let cleared = match client.reset_totals(scope).await {
                    Ok(cleared) => cleared,
                    Err(error) => return Err(connection::nearest_model(client, &model, error).await),
                };
                let response = Item::from([("cleared".to_owned(), report::fields(&cleared).into())]);
                (
                    report::metrics_table(&[("cleared".to_owned(), &cleared)]),
                    response,
                )
            }
            None => {
                let totals = match client.totals(scope).await {
                    Ok(totals) => totals,
                    Err(error) => return Err(connection::nearest_model(client, &model, error).await),
                };
                (report::total_table(&totals), report::total_fields(&totals))
            }
        };
        output.message(&text, response, None)?;
        Ok(Outcome::Done)
    }
}

impl Models {
    async fn run(self, client: &Client, output: &mut Output<'_>) -> Result<Outcome, Failure> {
        let (text, response) = match self.name {
            Some(name) => {
                let model = connection::model(client, &name).await?;
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
        output.message(&text, response, None)?;
        Ok(Outcome::Done)
    }
}

impl Health {
    async fn run(
        self,
        client: &Client,
        timeout: Option<Duration>,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let mut request = tonic::Request::new(HealthCheckRequest {
            service: self.service,
        });
        request.set_timeout(timeout.unwrap_or(HEALTH_TIMEOUT));
        let checked = HealthClient::new(client.channel()).check(request).await;
        let checked = checked.map_err(|status| Failure::Call(status.into()))?;
        let status = checked.into_inner().status();
        let name = status.as_str_name();
        let response = Item::from([("status".to_owned(), name.into())]);
        output.message(&format!("{name}\n"), response, None)?;
        match status {
            ServingStatus::Serving => Ok(Outcome::Done),
            ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown => {
                Ok(Outcome::NotServing)
            }
        }
    }
}

impl Condition {
    pub(super) fn expression(&self, model: &Model) -> Result<Expression, Failure> {
        input::check_placeholders(&[self.condition.as_deref()], &self.values)?;
        input::expression(model, self.condition.as_deref(), &self.values)
    }
}

impl Listing {
    fn filter(&self, model: &Model) -> Result<Expression, Failure> {
        input::expression(model, self.filter.as_deref(), &self.values)
    }
}

async fn list(
    items: Items<Partial<Item>>,
    model: &Model,
    validate_only: bool,
    output: &mut Output<'_>,
) -> Result<Outcome, Failure> {
    let mut pages = items.pages();
    let mut listed = Listed::default();
    while let Some(page) = pages.next().await {
        output.page(model, page?, &mut listed)?;
    }
    if validate_only {
        output.remark("valid: nothing was read")?;
    }
    let outcome = if listed.failed == 0 {
        Outcome::Done
    } else {
        Outcome::ItemsFailed
    };
    output.end(model, listed, pages.metrics())?;
    Ok(outcome)
}

/// Moves the content of an object from the item to a file.
async fn write_content(item: &mut Item, name: &str, path: &Path) -> Result<(), Failure> {
    let object: Option<&mut Object> = match item.get_mut(name) {
        Some(Value::Object(object)) => Some(object),
        _ => None,
    };
    let Some(content) = object.and_then(|object| object.data.take()) else {
        return Err(Failure::Arguments(format!("{name}: not an object of the item")));
    };
    let written = tokio::fs::write(path, &*content).await;
    written.map_err(|error| Failure::Arguments(format!("cannot write {}: {error}", path.display())))
}
