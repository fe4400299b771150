//! What arrived at the stores, compared with what the server billed.

use crate::figures::Figures;
use crate::wiretap::Wiretap;

/// The stores' own count against the server's totals.
///
/// # Errors
///
/// The figures that differ.
pub fn compare_with_stores(wiretap: &Wiretap, totals: &Figures) -> Result<(), String> {
    let mut counts = wiretap.counts();
    let mut take = |name: &str| counts.remove(name).unwrap_or_default() as i64;
    let by_kind = [
        ("get_count", take("GetItem")),
        ("put_count", take("PutItem")),
        ("delete_count", take("DeleteItem")),
        ("update_count", take("UpdateItem")),
        ("query_count", take("Query")),
        ("scan_count", take("Scan")),
        ("batch_get_count", take("BatchGetItem")),
        ("batch_write_count", take("BatchWriteItem")),
        ("transact_get_count", take("TransactGetItems")),
        ("transact_write_count", take("TransactWriteItems")),
    ];
    let dynamodb = by_kind.iter().map(|(_, count)| count).sum();
    let kms = take("GenerateDataKey") + take("Decrypt");
    let s3 = counts.values().sum::<u64>() as i64;
    let services = [
        ("operation_count", dynamodb),
        ("kms_calls", kms),
        ("s3_calls", s3),
    ];
    let (read, written) = wiretap.capacity();
    let capacity = [
        ("total_rcu", (read * 1e3).round() as i64),
        ("total_wcu", (written * 1e3).round() as i64),
    ];
    let arrived = by_kind.into_iter().chain(services).chain(capacity);
    let wrong: Vec<_> = arrived
        .filter(|(name, count)| totals.get(name) != *count)
        .collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the stores counted {wrong:?}, of these in S3 {counts:?}, where the totals are {totals:?}"
        )),
    }
}
