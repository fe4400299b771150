//! Pages of Query and Scan that end where DynamoDB ends them: with the item that brings the page to 1 MB. Counts and
//! capacity include the items up to it. Never holds more rows than one step.
//!
//! dynoxide reads every row that a request may return before it ends a page, drops the item at the boundary, and still
//! counts it. So a request that may exceed one step runs as several, each with a `Limit`: the items without filter and
//! projection determine where the page ends, and the caller's request returns what it asks for.

use std::collections::HashMap;

use dynoxide::storage::Storage;
use dynoxide::types::{self, ConsumedCapacity};
use dynoxide::{DynoxideError, Item};

use super::page::{ALL_ATTRIBUTES, BY_INDEX, Key, Page, PageOptions, PagedRequest};

/// DynamoDB's limit for the items that one page evaluates.
const PAGE_BYTES: usize = 1024 * 1024;
/// DynamoDB's limit for one item.
const MAX_ITEM_BYTES: usize = 400 * 1024;
/// Rows that are read at once: a step uses at most 50 MiB.
const STEP_ROWS: usize = 128;
/// Rows that a page without a limit can have at most: one takes more than a byte.
const MAX_ROWS: usize = PAGE_BYTES;
/// Bytes of a read unit in a consistent read; other reads get twice as much.
const UNIT_BYTES: f64 = 4096.0;
const COUNT: &str = "COUNT";

/// Runs a request and returns the page that DynamoDB would return.
pub(super) async fn execute<R: PagedRequest>(
    storage: &Storage,
    request: R,
) -> Result<R::Response, DynoxideError> {
    let options = request.options();
    if options.limit == Some(0) {
        // invalid
        return request.run(storage).await.map(R::response);
    }
    if options.index.is_some() && options.selects(ALL_ATTRIBUTES) {
        return fetch_from_table(storage, &request).await.map(R::response);
    }
    let rows = options.limit.unwrap_or(STEP_ROWS).min(STEP_ROWS);
    let mut first = request.step(None, rows).run(storage).await?;
    // a page without a last key, or with as many items as its limit, is complete
    let is_done = first.last_key.is_none() || (options.limit == Some(rows) && !may_be_full(&first, &options));
    if !is_done {
        first = PageBuilder::new(&request).run(storage).await?;
    }
    first.capacity = first
        .capacity
        .and_then(|capacity| in_mode(capacity, options.mode.as_deref()));
    Ok(R::response(first))
}

/// Runs a request of a local index that also reads each item from the table. DynamoDB rounds up the capacity of each of
/// these reads, dynoxide only their sum.
async fn fetch_from_table<R: PagedRequest>(storage: &Storage, request: &R) -> Result<Page, DynoxideError> {
    let options = request.options();
    let limit = options.limit.unwrap_or(MAX_ROWS);
    let mut page = request.step(None, limit).run(storage).await?;
    let whole = match page.scanned_count {
        0 => Vec::new(),
        rows => request
            .whole_items(rows)
            .run(storage)
            .await?
            .items
            .unwrap_or_default(),
    };
    let table_units = whole
        .iter()
        .map(|item| {
            types::read_capacity_units_with_consistency(types::item_size(item), options.is_consistent)
        })
        .sum();
    let of_index = page
        .capacity
        .take()
        .and_then(|capacity| capacity.local_secondary_indexes);
    let index_units = of_index
        .unwrap_or_default()
        .into_iter()
        .map(|(name, capacity)| (name, capacity.capacity_units))
        .collect();
    let mode = Some(BY_INDEX.to_owned());
    let none = HashMap::new();
    let capacity = types::consumed_capacity_with_secondary_indexes(
        options.table,
        table_units,
        &none,
        &index_units,
        &mode,
    );
    page.capacity = capacity.and_then(|capacity| in_mode(capacity, options.mode.as_deref()));
    Ok(page)
}

/// Whether one more item might have brought the page to its limit. The capacity gives the bytes only in units.
fn may_be_full(page: &Page, options: &PageOptions<'_>) -> bool {
    let units = page
        .capacity
        .as_ref()
        .map_or(0.0, |capacity| capacity.capacity_units);
    let unit_bytes = if options.is_consistent {
        UNIT_BYTES
    } else {
        2.0 * UNIT_BYTES
    };
    units * unit_bytes > (PAGE_BYTES - MAX_ITEM_BYTES) as f64
}

fn in_mode(capacity: ConsumedCapacity, mode: Option<&str>) -> Option<ConsumedCapacity> {
    match mode {
        Some(BY_INDEX) => Some(capacity),
        Some("TOTAL") => Some(ConsumedCapacity {
            table_name: capacity.table_name,
            capacity_units: capacity.capacity_units,
            ..Default::default()
        }),
        Some(_) | None => None,
    }
}

/// Builds a page from steps.
struct PageBuilder<'a, R> {
    request: &'a R,
    options: PageOptions<'a>,
    items: Vec<Item>,
    count: usize,
    scanned_count: usize,
    bytes: usize,
    /// The capacity of the first step; its shape is that of the page.
    capacity: Option<ConsumedCapacity>,
}

impl<'a, R: PagedRequest> PageBuilder<'a, R> {
    fn new(request: &'a R) -> Self {
        Self {
            request,
            options: request.options(),
            items: Vec::new(),
            count: 0,
            scanned_count: 0,
            bytes: 0,
            capacity: None,
        }
    }

    async fn run(mut self, storage: &Storage) -> Result<Page, DynoxideError> {
        let mut start: Option<Key> = None;
        let last_key = loop {
            let left = self
                .options
                .limit
                .map_or(STEP_ROWS, |limit| limit - self.scanned_count);
            let whole = self.request.unfiltered();
            let step = whole
                .step(start.as_ref(), left.min(STEP_ROWS))
                .run(storage)
                .await?;
            let rows = step.items.unwrap_or_default();
            let taken = self.measure(&rows);
            self.capacity = self.capacity.take().or(step.capacity);
            let end = match rows.get(taken) {
                None => step.last_key.clone(),
                Some(_) => {
                    self.key_of(storage, &rows[taken - 1], step.last_key.as_ref())
                        .await?
                }
            };
            let has_more_rows = taken < rows.len();
            self.take(storage, start.as_ref(), rows, taken).await?;
            if self.options.limit == Some(self.scanned_count) {
                break end;
            }
            if self.bytes >= PAGE_BYTES {
                let has_more = has_more_rows || self.has_more_after(storage, end.as_ref()).await?;
                break end.filter(|_| has_more);
            }
            match end {
                None => break None,
                end => start = end,
            }
        };
        Ok(self.page(last_key))
    }

    /// Adds the sizes of the rows up to the one that fills the page, and returns their number.
    fn measure(&mut self, rows: &[Item]) -> usize {
        for (index, row) in rows.iter().enumerate() {
            self.bytes += types::item_size(row);
            if self.bytes >= PAGE_BYTES {
                return index + 1;
            }
        }
        rows.len()
    }

    /// Adds the requested part of the first `taken` rows after `start`.
    async fn take(
        &mut self,
        storage: &Storage,
        start: Option<&Key>,
        mut rows: Vec<Item>,
        taken: usize,
    ) -> Result<(), DynoxideError> {
        self.scanned_count += taken;
        let is_count = self.options.selects(COUNT);
        if self.options.is_filtered || (self.options.is_projected && !is_count) {
            return self.take_filtered(storage, start, taken).await;
        }
        self.count += taken;
        if !is_count {
            rows.truncate(taken);
            self.items.append(&mut rows);
        }
        Ok(())
    }

    /// Runs the caller's request over `taken` rows. dynoxide would drop the last row if it exceeds the limit of a page,
    /// so that row is requested separately.
    async fn take_filtered(
        &mut self,
        storage: &Storage,
        start: Option<&Key>,
        taken: usize,
    ) -> Result<(), DynoxideError> {
        let fills_the_page = self.bytes >= PAGE_BYTES && taken > 1;
        let parts = if fills_the_page {
            [taken - 1, 1]
        } else {
            [taken, 0]
        };
        let mut start = start.cloned();
        for rows in parts.into_iter().filter(|rows| *rows > 0) {
            let part = self.request.step(start.as_ref(), rows).run(storage).await?;
            self.count += part.count;
            self.items.extend(part.items.unwrap_or_default());
            start = part.last_key;
        }
        Ok(())
    }

    /// The key of a row; `known` is another key of the same read.
    async fn key_of(
        &self,
        storage: &Storage,
        row: &Item,
        known: Option<&Key>,
    ) -> Result<Option<Key>, DynoxideError> {
        let names = match known {
            Some(key) => key.clone(),
            // a page with one item always has a last key
            None => {
                let one = self.request.unfiltered().step(None, 1).run(storage).await?;
                one.last_key.unwrap_or_default()
            }
        };
        let value = |name: String| row.get(&name).cloned().map(|value| (name, value));
        Ok(Some(names.into_keys().filter_map(value).collect()))
    }

    async fn has_more_after(&self, storage: &Storage, end: Option<&Key>) -> Result<bool, DynoxideError> {
        if end.is_none() {
            return Ok(false);
        }
        let next = self.request.unfiltered().step(end, 1).run(storage).await?;
        Ok(next.scanned_count > 0)
    }

    fn page(self, last_key: Option<Key>) -> Page {
        let units = types::read_capacity_units_with_consistency(self.bytes, self.options.is_consistent);
        let is_count = self.options.selects(COUNT);
        Page {
            items: (!is_count).then_some(self.items),
            count: self.count,
            scanned_count: self.scanned_count,
            last_key,
            capacity: self
                .capacity
                .and_then(|capacity| with_units(&capacity, &self.options, units)),
        }
    }
}

/// A capacity of the same shape with other units.
fn with_units(shape: &ConsumedCapacity, options: &PageOptions<'_>, units: f64) -> Option<ConsumedCapacity> {
    let mode = Some(BY_INDEX.to_owned());
    let of_index = || HashMap::from([(options.index.unwrap_or_default().to_owned(), units)]);
    if shape.global_secondary_indexes.is_some() {
        return types::consumed_capacity_with_indexes(options.table, 0.0, &of_index(), &mode);
    }
    if shape.local_secondary_indexes.is_some() {
        let none = HashMap::new();
        return types::consumed_capacity_with_secondary_indexes(
            options.table,
            0.0,
            &none,
            &of_index(),
            &mode,
        );
    }
    types::consumed_capacity(options.table, units, &mode)
}
