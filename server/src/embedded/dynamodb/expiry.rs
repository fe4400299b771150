//! Removes items that have expired by the time to live of their table: a few at a time between other jobs, as DynamoDB does
//! some time after they expire. Only in tables without indexes and streams, which a removal would have to maintain.

use std::time::SystemTime;

use dynoxide::storage::{ScanParams, Storage, TableMetadata};
use dynoxide::{AttributeValue, DynoxideError, Item};

/// Jobs between two steps. A job adds few items, so that a step looks at more than are added meanwhile.
const JOBS_PER_STEP: u32 = 16;
/// Items that one step looks at.
const PAGE_ITEMS: usize = 64;

/// How far the tables have been looked at.
#[derive(Default)]
pub(super) struct Expiry {
    jobs: u32,
    /// The table that is next.
    table: String,
    /// The key after which its next page begins.
    after: Option<(String, String)>,
}

impl Expiry {
    /// Counts a job; after some of them, removes expired items of the next page.
    ///
    /// # Errors
    ///
    /// Those of the database, which may be left within a transaction.
    pub(super) fn step(&mut self, storage: &Storage) -> Result<(), DynoxideError> {
        self.jobs += 1;
        if self.jobs < JOBS_PER_STEP {
            return Ok(());
        }
        self.jobs = 0;
        let tables = storage.list_ttl_enabled_tables()?;
        let mut tables: Vec<_> = tables.into_iter().filter(is_plain).collect();
        tables.sort_by(|one, other| one.table_name.cmp(&other.table_name));
        let next = tables.iter().find(|table| table.table_name >= self.table);
        let Some(table) = next.or(tables.first()) else {
            return Ok(());
        };
        if table.table_name != self.table {
            self.after = None;
        }
        let rows = storage.scan_items(
            &table.table_name,
            &ScanParams {
                limit: Some(PAGE_ITEMS),
                exclusive_start_pk: self.after.as_ref().map(|(partition, _)| partition.as_str()),
                exclusive_start_sk: self.after.as_ref().map(|(_, sort)| sort.as_str()),
                ..ScanParams::default()
            },
        )?;
        remove(storage, table, &rows)?;
        (self.table, self.after) = match rows.into_iter().nth(PAGE_ITEMS - 1) {
            Some((partition, sort, _)) => (table.table_name.clone(), Some((partition, sort))),
            // the name that follows this one
            None => (format!("{}\0", table.table_name), None),
        };
        Ok(())
    }
}

fn is_plain(table: &TableMetadata) -> bool {
    let has_none = |definitions: &Option<String>| {
        definitions
            .as_deref()
            .is_none_or(|definitions| matches!(definitions, "" | "[]" | "null"))
    };
    has_none(&table.gsi_definitions) && has_none(&table.lsi_definitions) && !table.stream_enabled
}

/// Removes the expired ones of these items, in one transaction.
fn remove(
    storage: &Storage,
    table: &TableMetadata,
    rows: &[(String, String, String)],
) -> Result<(), DynoxideError> {
    let Some(attribute) = &table.ttl_attribute else {
        return Ok(());
    };
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = since.unwrap_or_default().as_secs();
    let expired: Vec<_> = rows
        .iter()
        .filter(|(_, _, item)| is_expired(item, attribute, now))
        .collect();
    if expired.is_empty() {
        return Ok(());
    }
    storage.begin_transaction()?;
    for (partition, sort, _) in expired {
        storage.delete_item(&table.table_name, partition, sort)?;
    }
    storage.commit()
}

fn is_expired(item: &str, attribute: &str, now: u64) -> bool {
    let Ok(item) = serde_json::from_str::<Item>(item) else {
        return false;
    };
    match item.get(attribute) {
        Some(AttributeValue::N(number)) => number.parse::<u64>().is_ok_and(|expires| expires < now),
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_past_times_expire() {
        let item = |value: &str| format!(r#"{{"expires":{value}}}"#);
        for (value, expected) in [
            (r#"{"N":"99"}"#, true),
            (r#"{"N":"100"}"#, false),
            (r#"{"N":"-5"}"#, false),
            (r#"{"N":"1.5"}"#, false),
            (r#"{"S":"1"}"#, false),
            (r#"{"NULL":true}"#, false),
        ] {
            assert_eq!(is_expired(&item(value), "expires", 100), expected, "{value}");
            assert!(!is_expired(&item(value), "other", 100));
        }
        assert!(!is_expired("damaged", "expires", 100));
    }
}
