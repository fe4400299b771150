//! Page tokens that were edited, or that belong to another request.

use tollgate_proto::v1;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{expression, query, s, save, scan, secure_user, user};

use super::goes_on;

async fn with_items() -> Gateway {
    let gateway = Gateway::start().await;
    for number in 0..6 {
        let mut written = user("A", "1");
        written.insert("sk".to_owned(), s(format!("S#{number}")));
        gateway.save(save("User", written)).await.ok();
        gateway
            .save(save("SecureUser", secure_user("A", &format!("S#{number}"))))
            .await
            .ok();
    }
    gateway
}

async fn token(gateway: &Gateway, request: v1::QueryRequest) -> String {
    let pages = gateway.query(request).await.ok();
    pages.last().expect("a page").next_page_token.clone()
}

#[tokio::test]
async fn edited_tokens_are_refused() {
    let gateway = with_items().await;
    let request = v1::QueryRequest {
        limit: 2,
        ..query("User", "A")
    };
    let token = token(&gateway, request.clone()).await;
    assert!(!token.is_empty());
    let mut edited: Vec<String> = (0..token.len())
        .map(|place| {
            let other = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
            format!("{}{other}{}", &token[..place], &token[place + 1..])
        })
        .collect();
    edited.extend([
        token[..token.len() - 1].to_owned(),
        token[1..].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!(" {token}"),
        "A".to_owned(),
        "not base64!".to_owned(),
        "é".to_owned(),
        "A".repeat(3 * 1024 * 1024),
    ]);
    for page_token in edited {
        let refusal = Refusal::of(
            gateway
                .query(v1::QueryRequest {
                    page_token,
                    ..request.clone()
                })
                .await,
        );
        refusal.is("INVALID_PAGE_TOKEN", &["page_token"]);
        refusal.cost_nothing();
    }
    gateway
        .query(v1::QueryRequest {
            page_token: token,
            ..request
        })
        .await
        .ok();
    goes_on(&gateway).await;
}

fn filter(text: &str) -> Option<v1::Expression> {
    expression(text, [(":n", s("Ada"))])
}

/// A Query that resumes after its first page.
async fn resumed_query(gateway: &Gateway) -> v1::QueryRequest {
    let request = v1::QueryRequest {
        limit: 2,
        filter: filter("name = :n"),
        ..query("User", "A")
    };
    let page_token = token(gateway, request.clone()).await;
    v1::QueryRequest {
        page_token,
        ..request
    }
}

/// A Scan that resumes after its first page, with the filter of the Query.
async fn resumed_scan(gateway: &Gateway) -> v1::ScanRequest {
    let request = v1::ScanRequest {
        limit: 2,
        filter: filter("name = :n"),
        ..scan("User")
    };
    let pages = gateway.scan(request.clone()).await.ok();
    v1::ScanRequest {
        page_token: pages.last().expect("a page").next_page_token.clone(),
        ..request
    }
}

/// Queries with the token of `same` that differ from it.
fn other_queries(same: &v1::QueryRequest) -> [v1::QueryRequest; 9] {
    let fields = vec!["name".to_owned()];
    [
        v1::QueryRequest {
            model: "SecureUser".to_owned(),
            filter: None,
            ..same.clone()
        },
        v1::QueryRequest {
            key_condition: query("User", "B").key_condition,
            ..same.clone()
        },
        v1::QueryRequest {
            filter: None,
            ..same.clone()
        },
        v1::QueryRequest {
            filter: filter("name <> :n"),
            ..same.clone()
        },
        v1::QueryRequest {
            filter: expression("name = :n", [(":n", s("Bob"))]),
            ..same.clone()
        },
        v1::QueryRequest {
            fields,
            ..same.clone()
        },
        v1::QueryRequest {
            descending: true,
            ..same.clone()
        },
        v1::QueryRequest {
            consistent_read: true,
            ..same.clone()
        },
        v1::QueryRequest {
            select: v1::Select::Count as i32,
            ..same.clone()
        },
    ]
}

#[tokio::test]
async fn refuses_tokens_of_other_queries() {
    let gateway = with_items().await;
    let same = resumed_query(&gateway).await;
    for other in other_queries(&same) {
        let refusal = Refusal::of(gateway.query(other).await);
        refusal.is("INVALID_PAGE_TOKEN", &["page_token"]);
        refusal.cost_nothing();
    }
    let other_server = with_items().await;
    Refusal::of(other_server.query(same).await).is("INVALID_PAGE_TOKEN", &["page_token"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn refuses_tokens_of_other_scans() {
    let gateway = with_items().await;
    let own = resumed_scan(&gateway).await;
    let of_query = v1::ScanRequest {
        page_token: resumed_query(&gateway).await.page_token,
        ..own.clone()
    };
    Refusal::of(gateway.scan(of_query).await).is("INVALID_PAGE_TOKEN", &["page_token"]);
    for (segment, total_segments, parallelism) in [(0, 2, 0), (1, 2, 0), (0, 0, 2)] {
        let other = v1::ScanRequest {
            segment,
            total_segments,
            parallelism,
            ..own.clone()
        };
        Refusal::of(gateway.scan(other).await).is("INVALID_PAGE_TOKEN", &["page_token"]);
    }
    goes_on(&gateway).await;
}

#[tokio::test]
async fn a_token_is_valid_with_another_limit_and_page_size() {
    let gateway = with_items().await;
    let same = resumed_query(&gateway).await;
    let own = resumed_scan(&gateway).await;
    for (limit, page_size) in [(0, 0), (1, 1), (100, 3)] {
        gateway
            .query(v1::QueryRequest {
                limit,
                page_size,
                ..same.clone()
            })
            .await
            .ok();
        gateway
            .scan(v1::ScanRequest {
                limit,
                page_size,
                ..own.clone()
            })
            .await
            .ok();
    }
}
