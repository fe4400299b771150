//! Pages of Query and Scan, cut as DynamoDB cuts them: a page ends with the item that brings it to 1 MB, and both
//! counts and the capacity are those of the items up to it. Never holds more rows than one step.
//!
//! dynoxide reads every row that a request may return before it cuts, leaves the item at the boundary out, and still
//! counts it. So a request that may be longer than one step is run as several, each with a `Limit`: the items without
//! filter and projection say where the page ends, the caller's request returns what is asked of them.

use std::collections::HashMap;
use std::future::Future;

use dynoxide::actions::query::{self, QueryRequest, QueryResponse};
use dynoxide::actions::scan::{self, ScanRequest, ScanResponse};
use dynoxide::storage::Storage;
use dynoxide::types::{self, ConsumedCapacity};
use dynoxide::{AttributeValue, DynoxideError, Item};

/// DynamoDB's limit to the items that one page evaluates.
const PAGE_BYTES: usize = 1024 * 1024;
/// DynamoDB's limit to one item.
const MAX_ITEM_BYTES: usize = 400 * 1024;
/// Rows that are read at once: a step holds 50 MiB at most.
const STEP_ROWS: usize = 128;
/// A read unit covers this much of a consistent read, and twice as much of another.
const UNIT_BYTES: f64 = 4096.0;
const COUNT: &str = "COUNT";
const ALL_ATTRIBUTES: &str = "ALL_ATTRIBUTES";
/// The form of the capacity that shows whose it is.
const BY_INDEX: &str = "INDEXES";

type Key = HashMap<String, AttributeValue>;

/// The part that responses of Query and Scan share.
pub(super) struct Page {
    items: Option<Vec<Item>>,
    count: usize,
    scanned_count: usize,
    last_key: Option<Key>,
    capacity: Option<ConsumedCapacity>,
}

/// A Query or a Scan.
pub(super) trait Paged: Sized {
    type Response;

    /// What all of them have.
    fn common(&self) -> Common<'_>;

    /// The same request from another start, for at most `limit` items, with its capacity by index.
    fn step(&self, start: Option<&Key>, limit: usize) -> Self;

    /// The same items, whole and unfiltered.
    fn whole(&self) -> Self;

    /// Runs it as dynoxide does.
    fn run(self, storage: &Storage) -> impl Future<Output = Result<Page, DynoxideError>>;

    /// Makes a page the response.
    fn response(page: Page) -> Self::Response;
}

/// Options that decide how a page is put together.
pub(super) struct Common<'a> {
    table: &'a str,
    index: Option<&'a str>,
    limit: Option<usize>,
    select: Option<&'a str>,
    is_consistent: bool,
    is_filtered: bool,
    is_projected: bool,
    /// `ReturnConsumedCapacity`
    mode: &'a Option<String>,
}

impl Common<'_> {
    fn selects(&self, what: &str) -> bool {
        self.select
            .is_some_and(|select| select.eq_ignore_ascii_case(what))
    }
}

/// Runs a request and cuts its page where DynamoDB would.
pub(super) async fn execute<R: Paged>(storage: &Storage, request: R) -> Result<R::Response, DynoxideError> {
    let common = request.common();
    let fetches_from_table = common.index.is_some() && common.selects(ALL_ATTRIBUTES);
    if common.limit == Some(0) || fetches_from_table {
        // refused, or an index read with its own arithmetic, which no call here makes
        return request.run(storage).await.map(R::response);
    }
    let rows = common.limit.unwrap_or(STEP_ROWS).min(STEP_ROWS);
    let mut first = request.step(None, rows).run(storage).await?;
    // only a page that was cut, or has as many items as it may, says where it ended
    let is_done = first.last_key.is_none() || (common.limit == Some(rows) && !may_be_cut(&first, &common));
    if !is_done {
        first = Walk::of(&request).run(storage).await?;
    }
    first.capacity = first
        .capacity
        .and_then(|capacity| in_mode(capacity, common.mode.as_deref()));
    Ok(R::response(first))
}

/// Whether one more item might have brought the page to its limit: capacity says its bytes only in units.
fn may_be_cut(page: &Page, common: &Common<'_>) -> bool {
    let units = page
        .capacity
        .as_ref()
        .map_or(0.0, |capacity| capacity.capacity_units);
    let unit_bytes = if common.is_consistent {
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
        _ => None,
    }
}

/// A page that is put together from steps.
struct Walk<'a, R> {
    request: &'a R,
    common: Common<'a>,
    items: Vec<Item>,
    count: usize,
    scanned_count: usize,
    bytes: usize,
    /// Whose units they are; none before the first step.
    capacity: Option<ConsumedCapacity>,
}

impl<'a, R: Paged> Walk<'a, R> {
    fn of(request: &'a R) -> Self {
        Self {
            request,
            common: request.common(),
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
                .common
                .limit
                .map_or(STEP_ROWS, |limit| limit - self.scanned_count);
            let whole = self.request.whole();
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
            if self.common.limit == Some(self.scanned_count) {
                break end;
            }
            if self.bytes >= PAGE_BYTES {
                let goes_on = has_more_rows || self.goes_on_after(storage, end.as_ref()).await?;
                break end.filter(|_| goes_on);
            }
            match end {
                None => break None,
                end => start = end,
            }
        };
        Ok(self.page(last_key))
    }

    /// Adds the sizes of the rows up to the one that fills the page; how many those are.
    fn measure(&mut self, rows: &[Item]) -> usize {
        for (index, row) in rows.iter().enumerate() {
            self.bytes += types::item_size(row);
            if self.bytes >= PAGE_BYTES {
                return index + 1;
            }
        }
        rows.len()
    }

    /// Adds what the caller asks of the first `taken` rows after `start`.
    async fn take(
        &mut self,
        storage: &Storage,
        start: Option<&Key>,
        mut rows: Vec<Item>,
        taken: usize,
    ) -> Result<(), DynoxideError> {
        self.scanned_count += taken;
        let is_count = self.common.selects(COUNT);
        if self.common.is_filtered || (self.common.is_projected && !is_count) {
            return self.ask(storage, start, taken).await;
        }
        self.count += taken;
        if !is_count {
            rows.truncate(taken);
            self.items.append(&mut rows);
        }
        Ok(())
    }

    /// Runs the caller's request over `taken` rows. dynoxide would leave out the last one if it passes the limit, so
    /// that one is asked for alone.
    async fn ask(
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

    /// The key of a row; `known` is one of the same read.
    async fn key_of(
        &self,
        storage: &Storage,
        row: &Item,
        known: Option<&Key>,
    ) -> Result<Option<Key>, DynoxideError> {
        let names = match known {
            Some(key) => key.clone(),
            // a page of one item always says where it ended
            None => {
                let one = self.request.whole().step(None, 1).run(storage).await?;
                one.last_key.unwrap_or_default()
            }
        };
        let value = |name: String| row.get(&name).cloned().map(|value| (name, value));
        Ok(Some(names.into_keys().filter_map(value).collect()))
    }

    async fn goes_on_after(&self, storage: &Storage, end: Option<&Key>) -> Result<bool, DynoxideError> {
        if end.is_none() {
            return Ok(false);
        }
        let next = self.request.whole().step(end, 1).run(storage).await?;
        Ok(next.scanned_count > 0)
    }

    fn page(self, last_key: Option<Key>) -> Page {
        let units = types::read_capacity_units_with_consistency(self.bytes, self.common.is_consistent);
        let is_count = self.common.selects(COUNT);
        Page {
            items: (!is_count).then_some(self.items),
            count: self.count,
            scanned_count: self.scanned_count,
            last_key,
            capacity: self
                .capacity
                .and_then(|capacity| with_units(&capacity, &self.common, units)),
        }
    }
}

/// The same shape of capacity with other units.
fn with_units(shape: &ConsumedCapacity, common: &Common<'_>, units: f64) -> Option<ConsumedCapacity> {
    let mode = Some(BY_INDEX.to_owned());
    let of_index = || HashMap::from([(common.index.unwrap_or_default().to_owned(), units)]);
    if shape.global_secondary_indexes.is_some() {
        return types::consumed_capacity_with_indexes(common.table, 0.0, &of_index(), &mode);
    }
    if shape.local_secondary_indexes.is_some() {
        let none = HashMap::new();
        return types::consumed_capacity_with_secondary_indexes(common.table, 0.0, &none, &of_index(), &mode);
    }
    types::consumed_capacity(common.table, units, &mode)
}

impl Paged for QueryRequest {
    type Response = QueryResponse;

    fn common(&self) -> Common<'_> {
        Common {
            table: &self.table_name,
            index: self.index_name.as_deref(),
            limit: self.limit,
            select: self.select.as_deref(),
            is_consistent: self.consistent_read.unwrap_or(false),
            is_filtered: self.filter_expression.is_some() || self.query_filter.is_some(),
            is_projected: self.projection_expression.is_some() || self.attributes_to_get.is_some(),
            mode: &self.return_consumed_capacity,
        }
    }

    fn step(&self, start: Option<&Key>, limit: usize) -> Self {
        Self {
            filter_expression: self.filter_expression.clone(),
            projection_expression: self.projection_expression.clone(),
            expression_attribute_names: self.expression_attribute_names.clone(),
            expression_attribute_values: self.expression_attribute_values.clone(),
            limit: Some(limit),
            exclusive_start_key: start.or(self.exclusive_start_key.as_ref()).cloned(),
            exclusive_start_key_raw: self.exclusive_start_key_raw.clone().filter(|_| start.is_none()),
            select: self.select.clone(),
            return_consumed_capacity: Some(BY_INDEX.to_owned()),
            attributes_to_get: self.attributes_to_get.clone(),
            query_filter: self.query_filter.clone(),
            conditional_operator: self.conditional_operator.clone(),
            ..self.whole()
        }
    }

    fn whole(&self) -> Self {
        let condition = self.key_condition_expression.as_deref().unwrap_or_default();
        Self {
            table_name: self.table_name.clone(),
            key_condition_expression: self.key_condition_expression.clone(),
            expression_attribute_names: named_in(condition, &self.expression_attribute_names),
            expression_attribute_values: named_in(condition, &self.expression_attribute_values),
            scan_index_forward: self.scan_index_forward,
            exclusive_start_key: self.exclusive_start_key.clone(),
            exclusive_start_key_raw: self.exclusive_start_key_raw.clone(),
            consistent_read: self.consistent_read,
            index_name: self.index_name.clone(),
            key_conditions: self.key_conditions.clone(),
            ..Self::default()
        }
    }

    async fn run(self, storage: &Storage) -> Result<Page, DynoxideError> {
        query::execute(storage, self).await.map(|response| Page {
            items: response.items,
            count: response.count,
            scanned_count: response.scanned_count,
            last_key: response.last_evaluated_key,
            capacity: response.consumed_capacity,
        })
    }

    fn response(page: Page) -> QueryResponse {
        QueryResponse {
            items: page.items,
            count: page.count,
            scanned_count: page.scanned_count,
            last_evaluated_key: page.last_key,
            consumed_capacity: page.capacity,
        }
    }
}

impl Paged for ScanRequest {
    type Response = ScanResponse;

    fn common(&self) -> Common<'_> {
        Common {
            table: &self.table_name,
            index: self.index_name.as_deref(),
            limit: self.limit,
            select: self.select.as_deref(),
            is_consistent: self.consistent_read.unwrap_or(false),
            is_filtered: self.filter_expression.is_some() || self.scan_filter.is_some(),
            is_projected: self.projection_expression.is_some() || self.attributes_to_get.is_some(),
            mode: &self.return_consumed_capacity,
        }
    }

    fn step(&self, start: Option<&Key>, limit: usize) -> Self {
        Self {
            filter_expression: self.filter_expression.clone(),
            projection_expression: self.projection_expression.clone(),
            expression_attribute_names: self.expression_attribute_names.clone(),
            expression_attribute_values: self.expression_attribute_values.clone(),
            limit: Some(limit),
            exclusive_start_key: start.or(self.exclusive_start_key.as_ref()).cloned(),
            exclusive_start_key_raw: self.exclusive_start_key_raw.clone().filter(|_| start.is_none()),
            select: self.select.clone(),
            return_consumed_capacity: Some(BY_INDEX.to_owned()),
            attributes_to_get: self.attributes_to_get.clone(),
            scan_filter: self.scan_filter.clone(),
            conditional_operator: self.conditional_operator.clone(),
            ..self.whole()
        }
    }

    fn whole(&self) -> Self {
        Self {
            table_name: self.table_name.clone(),
            exclusive_start_key: self.exclusive_start_key.clone(),
            exclusive_start_key_raw: self.exclusive_start_key_raw.clone(),
            consistent_read: self.consistent_read,
            index_name: self.index_name.clone(),
            segment: self.segment,
            total_segments: self.total_segments,
            ..Self::default()
        }
    }

    async fn run(self, storage: &Storage) -> Result<Page, DynoxideError> {
        scan::execute(storage, self).await.map(|response| Page {
            items: response.items,
            count: response.count,
            scanned_count: response.scanned_count,
            last_key: response.last_evaluated_key,
            capacity: response.consumed_capacity,
        })
    }

    fn response(page: Page) -> ScanResponse {
        ScanResponse {
            items: page.items,
            count: page.count,
            scanned_count: page.scanned_count,
            last_evaluated_key: page.last_key,
            consumed_capacity: page.capacity,
        }
    }
}

/// The placeholders that a key condition uses: DynamoDB refuses any that no expression uses.
fn named_in<V: Clone>(condition: &str, all: &Option<HashMap<String, V>>) -> Option<HashMap<String, V>> {
    let is_in_a_name = |character: char| character.is_alphanumeric() || character == '_';
    let uses = |placeholder: &str| {
        condition.match_indices(placeholder).any(|(at, _)| {
            let rest = &condition[at + placeholder.len()..];
            !rest.starts_with(is_in_a_name)
        })
    };
    let used = all.iter().flatten().filter(|(name, _)| uses(name));
    let used: HashMap<String, V> = used.map(|(name, value)| (name.clone(), value.clone())).collect();
    (!used.is_empty()).then_some(used)
}
