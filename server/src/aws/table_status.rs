//! DescribeTable, for the state of a table.

use super::dynamodb::DynamoDb;
use super::error::Error;
use super::meter;
use super::request::Request;
use crate::call::Call;
use crate::figure::AwsOperation;

/// The status of a table that is neither created, restored, deleted nor archived.
pub const ACTIVE: &str = "ACTIVE";

impl DynamoDb {
    /// Returns the status of a table, such as [`ACTIVE`].
    ///
    /// # Errors
    ///
    /// `Missing` if the table does not exist, and the errors of any request.
    pub async fn table_status(&self, call: &Call, table: &str) -> Result<String, Error> {
        let request = Request::new(AwsOperation::DescribeTable, table);
        let sent = self.client.describe_table().table_name(table).send();
        let output = meter::send(call, &request, Box::pin(sent))
            .await
            .map_err(|failure| request.error(&failure))?;
        let status = output.table.and_then(|table| table.table_status);
        Ok(status.map_or_else(String::new, |status| status.as_str().to_owned()))
    }
}
