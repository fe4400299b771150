//! KMS keys: creates a key and its alias if asked to. Keys that exist are never changed.

use aws_sdk_kms::operation::describe_key::DescribeKeyError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use crate::figure::AwsOperation;

use super::super::cause;
use super::super::clients::Stores;
use super::super::request::{Request, SdkFailure};
use super::difference::{Difference, Step, Wait};

/// What aliases begin with.
const ALIAS: &str = "alias/";

/// What differs. `is_accepted`: the key only opens values.
pub(super) async fn inspect(
    stores: &Stores,
    id: &str,
    is_accepted: bool,
    may_create: bool,
) -> Result<Option<Difference>, String> {
    let client = &stores.kms.client;
    match client.describe_key().key_id(id).send().await {
        Ok(output) if output.key_metadata().is_some_and(|key| key.enabled) => Ok(None),
        Ok(_) => Ok(Some(Difference::manual(
            Some(format!("key {id}: disabled")),
            format!("key {id}: enabled"),
            "enable it, or cancel its deletion",
        ))),
        Err(error) => match error.as_service_error() {
            Some(DescribeKeyError::NotFoundException(_)) => Ok(Some(missing(id, is_accepted, may_create))),
            // any other error, and the SDK's enum is non-exhaustive: the state is unknown
            _ => Err(text(AwsOperation::DescribeKey, id, &error)),
        },
    }
}

fn missing(id: &str, is_accepted: bool, may_create: bool) -> Difference {
    let reason = match (is_accepted, id.starts_with(ALIAS)) {
        (true, _) => "values can be opened only with the key that sealed them: a new one cannot replace it",
        (false, false) => {
            "KMS assigns ids and ARNs: create a key and set its id in the models, or use an alias"
        }
        (false, true) if may_create => {
            return Difference::missing(format!("key {id}: symmetric, with this alias"), Step::CreateKey);
        }
        (false, true) => "use --keys to create it",
    };
    Difference::manual(None, format!("key {id}"), reason)
}

/// Creates the key, then its alias.
pub(super) async fn apply(stores: &Stores, alias: &str, wait: &Wait<'_>) -> Result<(), String> {
    wait.report(&format!("key {alias}: creating"));
    let client = &stores.kms.client;
    let created = client
        .create_key()
        .description(format!("made by tollgate provision for {alias}"))
        .send()
        .await
        .map_err(|error| text(AwsOperation::CreateKey, alias, &error))?;
    let id = created.key_metadata.map(|key| key.key_id).unwrap_or_default();
    let named = client
        .create_alias()
        .alias_name(alias)
        .target_key_id(&id)
        .send()
        .await;
    named.map(|_| ()).map_err(|error| {
        let cause = text(AwsOperation::CreateAlias, alias, &error);
        format!("{cause}; the new key {id} has no alias")
    })
}

fn text<E: SdkFailure>(operation: AwsOperation, id: &str, error: &SdkError<E, HttpResponse>) -> String {
    let cause = cause::text(&Request::new(operation, id), error);
    format!("{operation}: {cause}")
}
