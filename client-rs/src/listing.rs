//! The arguments of Query and Scan. Sends nothing.

use tollgate_proto::v1;

use crate::requests::check_fields;
use crate::{Error, Expression, Readable};

/// The items of one partition, in the order of their sort key. Set only what differs from the default:
///
/// ```
/// # use tollgate_client::{attr, Key, Query};
/// let query = Query {
///     filter: attr("age").ge(18),
///     descending: true,
///     ..Query::new("User", Key::new("pk", "USER#1"))
/// };
/// ```
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Name of a served model.
    pub model: String,
    /// Names of further models of the same table whose items are returned too. [`ByModel`](crate::ByModel) reads them.
    pub models: Vec<String>,
    /// Name of one of the model's indexes; empty: the table itself. If the index does not contain all attributes, items are
    /// read as [`Partial`](crate::Partial).
    pub index: String,
    /// The partition key's value, and optionally a range of the sort key: a [`Key`](crate::Key),
    /// [`KeyCondition`](crate::KeyCondition) or text.
    pub key_condition: Expression,
    /// Return only items that meet this condition. All evaluated items are billed.
    pub filter: Expression,
    /// Attributes to return. Empty: all. With fields, items are read as [`Partial`](crate::Partial).
    pub fields: Vec<String>,
    /// Maximum number of items in total. 0: no limit.
    pub limit: u32,
    /// Maximum number of evaluated items per page. 0: up to 1 MB.
    pub page_size: u32,
    /// Resume after the page that returned this token. Empty: start at the beginning.
    pub page_token: String,
    /// Return the items in descending order of the sort key.
    pub descending: bool,
    /// Use strongly consistent reads, which cost twice the capacity.
    pub consistent_read: bool,
    /// Names of object attributes whose content is returned.
    pub include_objects: Vec<String>,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

impl Query {
    /// Creates a query for a [`Key`](crate::Key) (a whole partition, or one item) or for any key condition:
    /// `key("pk").eq("USER#1").and_sort(key("sk").begins_with("ORDER#"))`.
    pub fn new(model: impl Into<String>, key_condition: impl Into<Expression>) -> Query {
        Query {
            model: model.into(),
            key_condition: key_condition.into(),
            ..Query::default()
        }
    }
}

/// All items of a model. Set only what differs from the default: `Scan { parallelism: 4, ..Scan::new("User") }`.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// Name of a served model.
    pub model: String,
    /// Names of further models of the same table whose items are returned too. [`ByModel`](crate::ByModel) reads them.
    pub models: Vec<String>,
    /// Name of one of the model's indexes; empty: the table itself. If the index does not contain all attributes, items are
    /// read as [`Partial`](crate::Partial).
    pub index: String,
    /// Return only items that meet this condition. All evaluated items are billed.
    pub filter: Expression,
    /// Attributes to return. Empty: all. With fields, items are read as [`Partial`](crate::Partial).
    pub fields: Vec<String>,
    /// Maximum number of items in total. 0: no limit.
    pub limit: u32,
    /// Maximum number of evaluated items per page. 0: up to 1 MB.
    pub page_size: u32,
    /// Resume after the page that returned this token. Empty: start at the beginning.
    pub page_token: String,
    /// Use strongly consistent reads, which cost twice the capacity.
    pub consistent_read: bool,
    /// Names of object attributes whose content is returned.
    pub include_objects: Vec<String>,
    /// The one segment to read, of `total_segments`.
    pub segment: u32,
    /// The number of segments that callers read in parallel. 0: one.
    pub total_segments: u32,
    /// The number of segments that the server reads in parallel and merges. 0 or 1: one pass in order.
    pub parallelism: u32,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

impl Scan {
    /// Creates a scan of a whole model.
    pub fn new(model: impl Into<String>) -> Scan {
        Scan {
            model: model.into(),
            ..Scan::default()
        }
    }
}

/// A request that returns pages.
#[derive(Clone)]
pub(crate) enum Listing {
    Query(v1::QueryRequest),
    Scan(v1::ScanRequest),
}

impl Listing {
    pub(crate) fn query(query: Query, select: v1::Select) -> Result<Listing, Error> {
        Ok(Listing::Query(v1::QueryRequest {
            model: query.model,
            models: query.models,
            index: query.index,
            key_condition: query.key_condition.into_key_wire("key_condition")?,
            filter: query.filter.into_wire("filter")?,
            fields: query.fields,
            limit: query.limit,
            page_size: query.page_size,
            page_token: query.page_token,
            descending: query.descending,
            consistent_read: query.consistent_read,
            include_objects: query.include_objects,
            select: select.into(),
            validate_only: query.validate_only,
        }))
    }

    pub(crate) fn scan(scan: Scan, select: v1::Select) -> Result<Listing, Error> {
        Ok(Listing::Scan(v1::ScanRequest {
            model: scan.model,
            models: scan.models,
            index: scan.index,
            filter: scan.filter.into_wire("filter")?,
            fields: scan.fields,
            limit: scan.limit,
            page_size: scan.page_size,
            page_token: scan.page_token,
            consistent_read: scan.consistent_read,
            include_objects: scan.include_objects,
            select: select.into(),
            segment: scan.segment,
            total_segments: scan.total_segments,
            parallelism: scan.parallelism,
            validate_only: scan.validate_only,
        }))
    }

    /// The model that the request names first.
    pub(crate) fn model(&self) -> &str {
        match self {
            Listing::Query(request) => &request.model,
            Listing::Scan(request) => &request.model,
        }
    }

    /// The request, if its items can be read as a type.
    pub(crate) fn accepted<T: Readable>(self) -> Result<Listing, Error> {
        let fields = match &self {
            Listing::Query(request) => &request.fields,
            Listing::Scan(request) => &request.fields,
        };
        check_fields::<T>(fields).map(|()| self)
    }

    /// Whether the same request returns the items in the same order. Merged segments have no order.
    pub(crate) fn is_in_order(&self) -> bool {
        match self {
            Listing::Query(_) => true,
            Listing::Scan(request) => request.parallelism <= 1,
        }
    }

    /// Changes the request to that for the next page. Returns false if there is none.
    pub(crate) fn advance(&mut self, next_page_token: &str, count: u32) -> bool {
        let (page_token, limit) = match self {
            Listing::Query(request) => (&mut request.page_token, &mut request.limit),
            Listing::Scan(request) => (&mut request.page_token, &mut request.limit),
        };
        // a limit of 0 would mean no limit
        let is_limit_reached = *limit > 0 && count >= *limit;
        next_page_token.clone_into(page_token);
        *limit = limit.saturating_sub(count);
        !next_page_token.is_empty() && !is_limit_reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(listing: &Listing) -> (&str, u32) {
        match listing {
            Listing::Query(request) => (&request.page_token, request.limit),
            Listing::Scan(request) => (&request.page_token, request.limit),
        }
    }

    #[test]
    fn the_next_request_has_the_token_and_the_remaining_limit() {
        let scan = Scan {
            limit: 10,
            ..Scan::new("User")
        };
        let mut listing = Listing::scan(scan, v1::Select::Items).unwrap();
        assert!(listing.advance("a", 4));
        assert_eq!(limits(&listing), ("a", 6));
        assert!(listing.advance("b", 0));
        assert!(!listing.advance("c", 6));
    }

    #[test]
    fn ends_without_a_token_and_keeps_an_unset_limit() {
        let mut listing = Listing::query(Query::new("User", "pk = :pk"), v1::Select::Items).unwrap();
        assert!(listing.advance("a", 1000));
        assert_eq!(limits(&listing), ("a", 0));
        assert!(!listing.advance("", 1));
    }
}
