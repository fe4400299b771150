//! Pages end where DynamoDB ends them: the expected figures were measured on DynamoDB Local with the same tables.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, Select};

use super::{Item, add_index, client, create_table, in_folder, in_memory, key, put, text};

const KIB: usize = 1024;
/// Bytes of an item of [`sized`] without its note: the key, and the names.
const OVERHEAD_BYTES: usize = 1 + 2 + 4 + 2 + 4 + 5 + 1;

/// Both counts, capacity units, and the last sort key of the page.
type Figures = (i32, i32, f64, Option<String>);

/// The options of a test's read.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    limit: Option<i32>,
    filter: Option<&'static str>,
    projection: Option<&'static str>,
    count: bool,
    backward: bool,
    consistent: bool,
    by_group: bool,
}

/// An item of exactly `bytes` bytes.
fn sized(sort: usize, bytes: usize) -> Item {
    let mut item = key(sort);
    item.insert("group".to_owned(), text("g"));
    item.insert("note".to_owned(), text("x".repeat(bytes - OVERHEAD_BYTES)));
    item
}

async fn table(sizes: &[usize]) -> Client {
    let client = client(&in_memory());
    create_table(&client, "things").await;
    for (sort, bytes) in sizes.iter().enumerate() {
        put(&client, sized(sort, *bytes)).await;
    }
    client
}

fn sort(key: &Item) -> String {
    key["sk"].as_s().unwrap().clone()
}

/// All pages of a Query, and the sort keys that they returned.
async fn query(client: &Client, reading: Reading) -> (Vec<Figures>, Vec<String>) {
    let (mut pages, mut sorts) = (Vec::new(), Vec::new());
    let mut start: Option<Item> = None;
    loop {
        let attribute = if reading.by_group { "#g" } else { "pk" };
        let request = client
            .query()
            .table_name("things")
            .key_condition_expression(format!("{attribute} = :p"))
            .expression_attribute_values(":p", text(if reading.by_group { "g" } else { "p" }))
            .set_index_name(reading.by_group.then(|| "by-group".to_owned()))
            .set_filter_expression(reading.filter.map(str::to_owned))
            .set_projection_expression(reading.projection.map(str::to_owned))
            .set_limit(reading.limit)
            .set_select(reading.count.then_some(Select::Count))
            .scan_index_forward(!reading.backward)
            .consistent_read(reading.consistent)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .set_exclusive_start_key(start.take());
        let request = match reading.filter {
            Some(_) => request.expression_attribute_values(":pp", text("0003")),
            None => request,
        };
        let request = match reading.by_group {
            true => request.expression_attribute_names("#g", "group"),
            false => request,
        };
        let page = request.send().await.unwrap();
        sorts.extend(
            page.items()
                .iter()
                .filter(|item| item.contains_key("sk"))
                .map(sort),
        );
        let end = page.last_evaluated_key.as_ref().map(sort);
        let units = page.consumed_capacity.unwrap().capacity_units.unwrap();
        pages.push((page.count, page.scanned_count, units, end));
        start = page.last_evaluated_key;
        if start.is_none() {
            return (pages, sorts);
        }
        assert!(pages.len() < 50, "too many pages: {pages:?}");
    }
}

/// All pages of a Scan.
async fn scan(client: &Client, limit: Option<i32>, filter: Option<&str>) -> Vec<Figures> {
    let mut pages = Vec::new();
    let mut start = None;
    loop {
        let request = client
            .scan()
            .table_name("things")
            .set_filter_expression(filter.map(str::to_owned))
            .set_expression_attribute_values(filter.map(|_| [(":pp".to_owned(), text("0003"))].into()))
            .set_limit(limit)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .set_exclusive_start_key(start.take());
        let page = request.send().await.unwrap();
        let end = page.last_evaluated_key.as_ref().map(sort);
        let capacity = page.consumed_capacity.unwrap();
        assert!(capacity.table.is_none(), "only TOTAL was requested");
        pages.push((
            page.count,
            page.scanned_count,
            capacity.capacity_units.unwrap(),
            end,
        ));
        start = page.last_evaluated_key;
        if start.is_none() {
            return pages;
        }
        assert!(pages.len() < 50, "too many pages: {pages:?}");
    }
}

fn figures(pages: &[(i32, i32, f64, &str)]) -> Vec<Figures> {
    let end = |end: &str| (!end.is_empty()).then(|| end.to_owned());
    pages
        .iter()
        .map(|(count, scanned, units, last)| (*count, *scanned, *units, end(last)))
        .collect()
}

#[tokio::test]
async fn a_page_includes_the_item_that_fills_it() {
    let client = table(&[300 * KIB; 12]).await;
    let expected = figures(&[(4, 4, 150.0, "0003"), (4, 4, 150.0, "0007"), (4, 4, 150.0, "")]);
    let sorts: Vec<String> = (0..12).map(|sort| format!("{sort:04}")).collect();
    assert_eq!(
        query(&client, Reading::default()).await,
        (expected.clone(), sorts)
    );
    assert_eq!(scan(&client, None, None).await, expected);
    let limited = Reading {
        limit: Some(5),
        ..Reading::default()
    };
    assert_eq!(query(&client, limited).await.0, expected, "five items do not fit");
    assert_eq!(scan(&client, Some(5), None).await, expected);
    let projected = Reading {
        projection: Some("pk, sk"),
        ..Reading::default()
    };
    let (pages, sorts) = query(&client, projected).await;
    assert_eq!((pages, sorts.len()), (expected.clone(), 12));
    let counted = Reading {
        count: true,
        ..Reading::default()
    };
    assert_eq!(query(&client, counted).await, (expected, Vec::new()));
}

#[tokio::test]
async fn a_limit_below_the_page_size_ends_the_page() {
    let client = table(&[300 * KIB; 12]).await;
    for (limit, units, ends) in [
        (4, 150.0, &["0003", "0007", "0011"][..]),
        (3, 112.5, &["0002", "0005", "0008", "0011"]),
    ] {
        let mut expected: Vec<Figures> = ends
            .iter()
            .map(|end| (limit, limit, units, Some((*end).to_owned())))
            .collect();
        // as on AWS, an empty page costs the smallest unit
        expected.push((0, 0, 0.5, None));
        let reading = Reading {
            limit: Some(limit),
            ..Reading::default()
        };
        assert_eq!(query(&client, reading).await.0, expected);
        assert_eq!(scan(&client, Some(limit), None).await, expected);
    }
}

#[tokio::test]
async fn filters_change_only_the_count() {
    let client = table(&[300 * KIB; 12]).await;
    let expected = figures(&[(0, 4, 150.0, "0003"), (0, 4, 150.0, "0007"), (0, 4, 150.0, "")]);
    // :p belongs to the key condition, :pp to the filter
    let nothing = Reading {
        filter: Some("note = :pp"),
        ..Reading::default()
    };
    assert_eq!(query(&client, nothing).await.0, expected);
    assert_eq!(scan(&client, None, Some("note = :pp")).await, expected);
    let at_limit = figures(&[
        (0, 4, 150.0, "0003"),
        (0, 4, 150.0, "0007"),
        (0, 4, 150.0, "0011"),
        (0, 0, 0.5, ""),
    ]);
    assert_eq!(scan(&client, Some(4), Some("note = :pp")).await, at_limit);
    // the only matching item is the one at the boundary
    let passing = scan(&client, None, Some("sk = :pp")).await;
    let counts: Vec<i32> = passing.iter().map(|page| page.0).collect();
    assert_eq!(counts, [1, 0, 0]);
}

#[tokio::test]
async fn page_boundaries_are_exact_to_the_byte() {
    for (sizes, expected) in [
        (vec![256 * KIB; 4], figures(&[(4, 4, 128.0, "")])),
        (
            vec![256 * KIB; 8],
            figures(&[(4, 4, 128.0, "0003"), (4, 4, 128.0, "")]),
        ),
        (
            [vec![256 * KIB; 3], vec![256 * KIB - 1, 1000, 100]].concat(),
            figures(&[(5, 5, 128.5, "0004"), (1, 1, 0.5, "")]),
        ),
        (
            vec![100 * KIB; 12],
            figures(&[(11, 11, 137.5, "0010"), (1, 1, 12.5, "")]),
        ),
        // units are computed from the sum, not from each item
        (
            vec![300 * KIB + 1; 5],
            figures(&[(4, 4, 150.5, "0003"), (1, 1, 38.0, "")]),
        ),
    ] {
        let client = table(&sizes).await;
        assert_eq!(query(&client, Reading::default()).await.0, expected, "{sizes:?}");
        assert_eq!(scan(&client, None, None).await, expected, "{sizes:?}");
        let filtered = query(
            &client,
            Reading {
                filter: Some("note <> :pp"),
                ..Reading::default()
            },
        );
        assert_eq!(filtered.await.0, expected, "{sizes:?}");
    }
}

#[tokio::test]
async fn pages_backward_consistently_and_by_index() {
    let client = table(&[300 * KIB; 5]).await;
    let backward = Reading {
        backward: true,
        consistent: true,
        ..Reading::default()
    };
    let expected = figures(&[(4, 4, 300.0, "0001"), (1, 1, 75.0, "")]);
    assert_eq!(query(&client, backward).await.0, expected);
    add_index(&client).await;
    let by_group = Reading {
        by_group: true,
        ..Reading::default()
    };
    let (pages, sorts) = query(&client, by_group).await;
    assert_eq!(pages, figures(&[(4, 4, 150.0, "0003"), (1, 1, 37.5, "")]));
    assert_eq!(sorts.len(), 5);
}

#[tokio::test]
async fn many_small_items_form_one_page() {
    let folder = tempfile::tempdir().unwrap();
    let client = client(&in_folder(folder.path()));
    create_table(&client, "things").await;
    let count = 300;
    for sort in 0..count {
        put(&client, sized(sort, 100)).await;
    }
    let (pages, sorts) = query(&client, Reading::default()).await;
    // 30,000 bytes are 7.3 units of 4 KiB, half of them for an eventually consistent read
    assert_eq!(pages, figures(&[(300, 300, 4.0, "")]));
    assert!(sorts.is_sorted() && sorts.len() == count, "{}", sorts.len());
    assert_eq!(scan(&client, None, None).await, pages);
    let limited = Reading {
        limit: Some(200),
        ..Reading::default()
    };
    let (pages, sorts) = query(&client, limited).await;
    assert_eq!(pages, figures(&[(200, 200, 2.5, "0199"), (100, 100, 1.5, "")]));
    assert_eq!(sorts.len(), count);
    let filtered = Reading {
        filter: Some("note <> :pp"),
        projection: Some("sk"),
        limit: Some(129),
        ..Reading::default()
    };
    let (pages, sorts) = query(&client, filtered).await;
    let counts: Vec<(i32, i32)> = pages.iter().map(|page| (page.0, page.1)).collect();
    assert_eq!(
        (counts, sorts.len()),
        (vec![(129, 129), (129, 129), (42, 42)], count)
    );
}
