//! `count`: how many items a Query or Scan would return.

use tollgate_client::{Client, Expression, Item, Query, Scan};

use super::args::Count;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::{connection, input};

impl Count {
    /// Counts with a Query if there is a condition on the key, otherwise with a Scan.
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let texts = [self.key_condition.as_deref(), self.filter.as_deref()];
        input::check_placeholders(&texts, &self.values)?;
        let model = connection::model(plain, &self.model).await?;
        let rest = input::expression(&model, self.key_condition.as_deref(), &self.values)?;
        let filter = input::expression(&model, self.filter.as_deref(), &self.values)?;
        let is_query = !self.key.is_empty() || self.key_condition.is_some();
        let result = match is_query {
            true => {
                let key = input::key(&model, &self.key).await?;
                let query = Query {
                    index: self.index,
                    filter,
                    consistent_read: self.consistent,
                    validate_only: self.validate_only,
                    ..Query::new(self.model, Expression::from(key).and(rest))
                };
                client.count_query(query).await?
            }
            false => {
                let scan = Scan {
                    index: self.index,
                    filter,
                    consistent_read: self.consistent,
                    validate_only: self.validate_only,
                    parallelism: self.parallelism,
                    ..Scan::new(self.model)
                };
                client.count_scan(scan).await?
            }
        };
        if self.validate_only {
            output.remark("valid: nothing was read")?;
            output.nothing(&result.metrics)?;
            return Ok(Outcome::Done);
        }
        let response = Item::from([
            ("count".to_owned(), result.value.count.into()),
            ("scanned_count".to_owned(), result.value.scanned_count.into()),
        ]);
        let text = format!("{}\n", result.value.count);
        output.message(&text, response, Some(&result.metrics))?;
        Ok(Outcome::Done)
    }
}
