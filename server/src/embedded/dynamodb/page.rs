//! What Query and Scan have in common: the options and pages of their requests. Never reads the database itself.

use std::collections::HashMap;
use std::future::Future;

use dynoxide::actions::query::{self, QueryRequest, QueryResponse};
use dynoxide::actions::scan::{self, ScanRequest, ScanResponse};
use dynoxide::storage::Storage;
use dynoxide::types::ConsumedCapacity;
use dynoxide::{AttributeValue, DynoxideError, Item};

/// The value of `ReturnConsumedCapacity` that returns the capacity of table and indexes separately.
pub(super) const BY_INDEX: &str = "INDEXES";

/// The value of `Select` for all attributes of the table's items.
pub(super) const ALL_ATTRIBUTES: &str = "ALL_ATTRIBUTES";

/// A primary key.
pub(super) type Key = HashMap<String, AttributeValue>;

/// A page: the fields that the responses of Query and Scan share.
pub(super) struct Page {
    pub(super) items: Option<Vec<Item>>,
    pub(super) count: usize,
    pub(super) scanned_count: usize,
    pub(super) last_key: Option<Key>,
    pub(super) capacity: Option<ConsumedCapacity>,
}

/// The request of a Query or a Scan.
pub(super) trait PagedRequest: Sized {
    /// The response of the operation.
    type Response;

    /// The options of the request.
    fn options(&self) -> PageOptions<'_>;

    /// Like this request, but with another start and for at most `limit` items. Returns its capacity by index.
    fn step(&self, start: Option<&Key>, limit: usize) -> Self;

    /// The first `limit` of the same items with all their attributes, whether they pass the filter or not.
    fn whole_items(&self, limit: usize) -> Self;

    /// A request for the same items without filter and projection.
    fn unfiltered(&self) -> Self;

    /// Runs the request on dynoxide.
    fn run(self, storage: &Storage) -> impl Future<Output = Result<Page, DynoxideError>>;

    /// Converts a page to the response.
    fn response(page: Page) -> Self::Response;
}

/// Options that determine how a page is built.
pub(super) struct PageOptions<'a> {
    pub(super) table: &'a str,
    pub(super) index: Option<&'a str>,
    pub(super) limit: Option<usize>,
    pub(super) select: Option<&'a str>,
    pub(super) is_consistent: bool,
    pub(super) is_filtered: bool,
    pub(super) is_projected: bool,
    /// `ReturnConsumedCapacity`.
    pub(super) mode: &'a Option<String>,
}

impl PageOptions<'_> {
    /// Whether `Select` has this value.
    pub(super) fn selects(&self, value: &str) -> bool {
        self.select
            .is_some_and(|select| select.eq_ignore_ascii_case(value))
    }
}

impl PagedRequest for QueryRequest {
    type Response = QueryResponse;

    fn options(&self) -> PageOptions<'_> {
        PageOptions {
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
            ..self.unfiltered()
        }
    }

    fn whole_items(&self, limit: usize) -> Self {
        Self {
            limit: Some(limit),
            select: Some(ALL_ATTRIBUTES.to_owned()),
            ..self.unfiltered()
        }
    }

    fn unfiltered(&self) -> Self {
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

impl PagedRequest for ScanRequest {
    type Response = ScanResponse;

    fn options(&self) -> PageOptions<'_> {
        PageOptions {
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
            ..self.unfiltered()
        }
    }

    fn whole_items(&self, limit: usize) -> Self {
        Self {
            limit: Some(limit),
            select: Some(ALL_ATTRIBUTES.to_owned()),
            ..self.unfiltered()
        }
    }

    fn unfiltered(&self) -> Self {
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

/// The placeholders that a key condition uses: DynamoDB rejects placeholders that no expression uses.
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
