//! `batch-get`: reads the items whose keys a file lists, and prints them in its order.

use futures::StreamExt as _;
use tollgate_client::{CallMetrics, Client, Error, Get, Item, Model, Partial};

use super::args::BatchGet;
use super::failure::{Failure, Outcome};
use super::output::{Listed, Output};
use super::progress::Progress;
use super::records::Records;
use super::{connection, input, keys};

/// Keys of one call, whose items are held in memory: as many as DynamoDB reads at once.
const CALL_KEYS: usize = 100;

/// The result of one read: the item, if there is one, or why it cannot be read.
type Read = Result<Option<Partial<Item>>, Error>;

impl BatchGet {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<'_>,
        is_quiet: bool,
    ) -> Result<Outcome, Failure> {
        let model = connection::model(plain, &self.model).await?;
        input::check_names(&model, self.include_object.iter().map(String::as_str))?;
        let mut records = Records::open(&model, &self.file, self.format)?;
        let progress = Progress::of_file(&self.file, is_quiet);
        let mut listed = Listed::default();
        let mut metrics = CallMetrics::default();
        loop {
            let (places, gets) = self.next(&model, &mut records).await?;
            if gets.is_empty() {
                break;
            }
            let results = read(client, gets, &mut metrics).await;
            let results = results.map_err(|error| Failure::Call(error.with_bill(metrics.clone())))?;
            for (place, result) in places.iter().zip(results) {
                progress.suspend(|| print(&model, place, result, &mut listed, output))?;
            }
            progress.show(records.bytes(), format!("{} items", listed.items));
        }
        progress.end();
        if metrics.calls == 0 {
            return Err(Failure::Arguments(format!("{}: has no key", records.name())));
        }
        let outcome = match listed.failed {
            0 => Outcome::Done,
            _ => Outcome::ItemsFailed,
        };
        output.end(&model, listed, &metrics)?;
        Ok(outcome)
    }

    /// The next keys, each with its place.
    async fn next(
        &self,
        model: &Model,
        records: &mut Records<'_>,
    ) -> Result<(Vec<String>, Vec<Get>), Failure> {
        let (mut places, mut gets) = (Vec::new(), Vec::new());
        while gets.len() < CALL_KEYS {
            let Some(found) = records.next().await? else { break };
            let (key, _) = keys::split(model, found.item);
            if key.is_empty() {
                return Err(Failure::Arguments(format!("{}: has no key", found.place)));
            }
            gets.push(Get {
                fields: self.fields.clone(),
                consistent_read: self.consistent,
                include_objects: self.include_object.clone(),
                ..Get::new(self.model.as_str(), key)
            });
            places.push(found.place);
        }
        Ok((places, gets))
    }
}

/// Reads the items of one call, in the order of the requests.
async fn read(client: &Client, gets: Vec<Get>, metrics: &mut CallMetrics) -> Result<Vec<Read>, Error> {
    let mut found: Vec<Read> = gets.iter().map(|_| Ok(None)).collect();
    let mut results = client.batch_get::<Partial<Item>>(gets);
    while let Some(result) = results.next().await {
        let (index, read) = match result {
            Ok(got) => (got.index, Ok(got.item)),
            Err(error) if error.is_of_item() => (error.index().unwrap_or(usize::MAX), Err(error)),
            Err(error) => {
                metrics.add(results.metrics().clone());
                return Err(error);
            }
        };
        if let Some(place) = found.get_mut(index) {
            *place = read;
        }
    }
    metrics.add(results.metrics().clone());
    Ok(found)
}

fn print(
    model: &Model,
    place: &str,
    result: Read,
    listed: &mut Listed,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match result {
        Ok(Some(item)) => {
            listed.add_remarks(&item);
            output.listed(model, item.into_incomplete(), listed)?;
        }
        Ok(None) => output.missing(place, listed)?,
        Err(error) => {
            output.bad_item(&error, listed)?;
            output.remark(&format!("  {place}"))?;
        }
    }
    Ok(())
}
