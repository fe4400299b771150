//! The operations whose requests are assembled once.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::endpoint::Params;
use aws_sdk_dynamodb::operation::batch_get_item::{
    BatchGetItem, BatchGetItemError, BatchGetItemInput, BatchGetItemOutput,
};
use aws_sdk_dynamodb::operation::batch_write_item::{
    BatchWriteItem, BatchWriteItemError, BatchWriteItemInput, BatchWriteItemOutput,
};
use aws_sdk_dynamodb::operation::delete_item::{
    DeleteItem, DeleteItemError, DeleteItemInput, DeleteItemOutput,
};
use aws_sdk_dynamodb::operation::get_item::{GetItem, GetItemError, GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItem, PutItemError, PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{Query, QueryError, QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::scan::{Scan, ScanError, ScanInput, ScanOutput};
use aws_sdk_dynamodb::operation::update_item::{
    UpdateItem, UpdateItemError, UpdateItemInput, UpdateItemOutput,
};

use super::reads::{GotItem, GotItems, ReadPage};
use crate::aws::assembled::{Assembled, Operation, Rehearsal};

/// The table of a request that is not sent.
const ANY: &str = "table";

macro_rules! operations {
    ($($field:ident: $operation:ident($input:ident, $sdk_output:ident, $error:ident)
        $(-> $output:ident)?, $request:expr;)*) => {
        /// The requests of one client.
        #[derive(Debug, Default)]
        pub(in crate::aws) struct Operations {
            $(pub(super) $field: Assembled<$operation>,)*
        }

        $(impl Operation for $operation {
            const SERVICE: &'static str = "DynamoDB";
            const NAME: &'static str = stringify!($operation);
            type Input = $input;
            type SdkOutput = $sdk_output;
            operations!(@read $sdk_output $($output)?);
            type Error = $error;
            type Endpoint = Params;
            type Client = Client;

            async fn rehearse(client: &Client, rehearsal: Rehearsal<$operation>) {
                let request = $request(client).customize();
                // the rehearsal ends it with an error
                let _ = request.interceptor(rehearsal).send().await;
            }
        })*
    };
    (@read $sdk_output:ident) => {
        type Output = $sdk_output;
    };
    (@read $sdk_output:ident $output:ident) => {
        type Output = $output;

        fn read(body: &[u8]) -> Option<$output> {
            // UTF-8 is checked once for the whole body, not for each text in it
            serde_json::from_str(std::str::from_utf8(body).ok()?).ok()
        }
    };
}

operations! {
    batch_get_item: BatchGetItem(BatchGetItemInput, BatchGetItemOutput, BatchGetItemError) -> GotItems,
        |client: &Client| client.batch_get_item();
    batch_write_item: BatchWriteItem(BatchWriteItemInput, BatchWriteItemOutput, BatchWriteItemError),
        |client: &Client| client.batch_write_item();
    delete_item: DeleteItem(DeleteItemInput, DeleteItemOutput, DeleteItemError),
        |client: &Client| client.delete_item().table_name(ANY);
    get_item: GetItem(GetItemInput, GetItemOutput, GetItemError) -> GotItem,
        |client: &Client| client.get_item().table_name(ANY);
    put_item: PutItem(PutItemInput, PutItemOutput, PutItemError),
        |client: &Client| client.put_item().table_name(ANY);
    query: Query(QueryInput, QueryOutput, QueryError) -> ReadPage,
        |client: &Client| client.query().table_name(ANY);
    scan: Scan(ScanInput, ScanOutput, ScanError) -> ReadPage,
        |client: &Client| client.scan().table_name(ANY);
    update_item: UpdateItem(UpdateItemInput, UpdateItemOutput, UpdateItemError),
        |client: &Client| client.update_item().table_name(ANY);
}
