//! Streams and retries against a server with canned pages, behind a proxy that cuts connections.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tollgate_client::{Client, Code, Error, Item, Key, Options, Partial, Query, Reason, Retry, Scan, Value};
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_server::{DataService, DataServiceServer};
use tollgate_proto::{reason::DOMAIN, v1};
use tonic::{Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const PAGES: u32 = 6;

/// Serves pages of two items. Tokens are page numbers: the token after page 2 is `3`.
#[derive(Default)]
struct Canned {
    calls: AtomicU32,
    /// The number of pages after which the first call breaks.
    breaks_after: Option<u32>,
    /// Whether it stays silent until the proxy cuts the connection, instead of returning a status.
    breaks_silently: bool,
    requests: Mutex<Vec<v1::QueryRequest>>,
    silent: Arc<Notify>,
}

type Pages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn refused(reason: Reason) -> Status {
    let details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, []);
    let mut status = Status::with_error_details(reason.code(), "refused", details);
    status
        .metadata_mut()
        .insert("tollgate-dynamodb-calls", "1".parse().expect("a number"));
    status
}

fn result(number: u32) -> v1::ItemResult {
    let value = v1::AttributeValue {
        kind: Some(Kind::N(number.to_string())),
    };
    let item = [("number".to_owned(), value)].into();
    let error = (number == 5).then(|| tonic_types::Status {
        code: Code::DataLoss as i32,
        ..Default::default()
    });
    v1::ItemResult {
        item,
        error,
        ..v1::ItemResult::default()
    }
}

fn page(number: u32) -> v1::QueryResponse {
    let next_page_token = if number + 1 < PAGES {
        (number + 1).to_string()
    } else {
        String::new()
    };
    let results = vec![result(2 * number), result(2 * number + 1)];
    v1::QueryResponse {
        results,
        next_page_token,
        count: 2,
        scanned_count: 3,
        ..v1::QueryResponse::default()
    }
}

#[tonic::async_trait]
impl DataService for Canned {
    async fn save(&self, _: Request<v1::SaveRequest>) -> Result<Response<v1::SaveResponse>, Status> {
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(refused(Reason::Throttled)),
            1 => Err(refused(Reason::OutcomeUnknown)),
            _ => Ok(Response::new(v1::SaveResponse::default())),
        }
    }

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(refused(Reason::OutcomeUnknown)),
            _ => Ok(Response::new(v1::GetResponse {
                item: result(7).item,
                withheld: vec!["ssn".to_owned()],
                ..v1::GetResponse::default()
            })),
        }
    }

    async fn delete(&self, _: Request<v1::DeleteRequest>) -> Result<Response<v1::DeleteResponse>, Status> {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok(Response::new(v1::DeleteResponse::default()))
    }

    async fn update(&self, _: Request<v1::UpdateRequest>) -> Result<Response<v1::UpdateResponse>, Status> {
        Ok(Response::new(v1::UpdateResponse::default()))
    }

    type QueryStream = Pages<v1::QueryResponse>;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let request = request.into_inner();
        let first: u32 = request.page_token.parse().unwrap_or(0);
        let messages = if request.limit > 0 {
            request.limit.div_ceil(2)
        } else {
            PAGES
        };
        self.requests
            .lock()
            .expect("no test panics while it holds the lock")
            .push(request);
        let breaks_after = self
            .breaks_after
            .filter(|_| self.calls.fetch_add(1, Ordering::SeqCst) == 0);
        let last = PAGES.min(first + messages);
        let pages = futures::stream::iter(
            (first..breaks_after.map_or(last, |pages| last.min(pages)))
                .map(page)
                .map(Ok),
        );
        if breaks_after.is_none() {
            return Ok(Response::new(pages.boxed()));
        }
        let (silently, silent) = (self.breaks_silently, Arc::clone(&self.silent));
        let end = futures::stream::once(async move {
            if silently {
                silent.notify_one();
                std::future::pending::<()>().await;
            }
            Err(refused(Reason::ShuttingDown))
        });
        Ok(Response::new(pages.chain(end).boxed()))
    }

    type ScanStream = Pages<v1::ScanResponse>;

    async fn scan(&self, _: Request<v1::ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Err(refused(Reason::Throttled))
    }

    type BatchGetStream = Pages<v1::BatchGetResponse>;

    async fn batch_get(
        &self,
        _: Request<v1::BatchGetRequest>,
    ) -> Result<Response<Self::BatchGetStream>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    type BatchWriteStream = Pages<v1::BatchWriteResponse>;

    async fn batch_write(
        &self,
        _: Request<tonic::Streaming<v1::BatchWriteRequest>>,
    ) -> Result<Response<Self::BatchWriteStream>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    async fn transact_get(
        &self,
        _: Request<v1::TransactGetRequest>,
    ) -> Result<Response<v1::TransactGetResponse>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    async fn transact_write(
        &self,
        _: Request<v1::TransactWriteRequest>,
    ) -> Result<Response<v1::TransactWriteResponse>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    async fn upload(
        &self,
        _: Request<tonic::Streaming<v1::UploadRequest>>,
    ) -> Result<Response<v1::UploadResponse>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    async fn presign(&self, _: Request<v1::PresignRequest>) -> Result<Response<v1::PresignResponse>, Status> {
        Err(refused(Reason::Unimplemented))
    }

    type DownloadStream = Pages<v1::DownloadResponse>;

    async fn download(
        &self,
        _: Request<v1::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        Err(refused(Reason::Unimplemented))
    }
}

/// The addresses of the server and of a proxy that cuts its connections at every notification.
async fn serve(canned: &Arc<Canned>) -> (SocketAddr, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let service = DataServiceServer::from_arc(Arc::clone(canned));
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, proxy(address, Arc::clone(&canned.silent)).await)
}

async fn proxy(server: SocketAddr, cut: Arc<Notify>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let cut = Arc::clone(&cut);
            tokio::spawn(async move {
                let mut onward = TcpStream::connect(server).await.expect("the server listens");
                let copied = tokio::io::copy_bidirectional(&mut caller, &mut onward);
                // lets data in transit arrive before the cut
                let cut = async {
                    cut.notified().await;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                };
                futures::future::select(std::pin::pin!(copied), std::pin::pin!(cut)).await;
            });
        }
    });
    address
}

async fn connect(address: SocketAddr) -> Client {
    let retry = Retry {
        attempts: 3,
        initial_backoff: Duration::from_millis(1),
        ..Retry::default()
    };
    Client::connect_with(
        format!("http://{address}"),
        Options {
            retry,
            ..Options::default()
        },
    )
    .await
    .expect("the server listens")
}

fn query() -> Query {
    Query::new("User", Key::new("pk", "USER#1"))
}

fn numbers(items: &[Result<Item, Error>]) -> Vec<Option<Value>> {
    items
        .iter()
        .map(|item| item.as_ref().ok().map(|item| item["number"].clone()))
        .collect()
}

fn expected(numbers: std::ops::Range<u32>) -> Vec<Option<Value>> {
    numbers
        .map(|number| (number != 5).then(|| number.into()))
        .collect()
}

#[tokio::test]
async fn reads_all_pages_and_an_invalid_item_is_one_error() {
    let canned = Arc::new(Canned::default());
    let (address, _) = serve(&canned).await;
    let items: Vec<_> = connect(address).await.query::<Item>(query()).collect().await;
    assert_eq!(numbers(&items), expected(0..12));
    let error = items[5].as_ref().unwrap_err();
    assert_eq!(error.code(), Code::DataLoss);
    assert_eq!(error.key().unwrap()["number"], 5.into());
}

#[tokio::test]
async fn a_broken_stream_resumes_after_its_last_page() {
    for pages in [0, 1, 4] {
        let canned = Arc::new(Canned {
            breaks_after: Some(pages),
            ..Canned::default()
        });
        let (address, _) = serve(&canned).await;
        let mut stream = connect(address).await.query::<Item>(query());
        let items: Vec<_> = stream.by_ref().collect().await;
        assert_eq!(numbers(&items), expected(0..12));
        assert_eq!(stream.metrics().dynamodb_calls, 1, "the bill of the broken call");
        let requests = canned.requests.lock().unwrap();
        let resumed_at = &requests.last().expect("a second call").page_token;
        assert_eq!(
            *resumed_at,
            if pages == 0 {
                String::new()
            } else {
                pages.to_string()
            }
        );
    }
}

#[tokio::test]
async fn a_stream_resumes_after_a_cut_connection() {
    let canned = Arc::new(Canned {
        breaks_after: Some(3),
        breaks_silently: true,
        ..Canned::default()
    });
    let (_, proxied) = serve(&canned).await;
    let items: Vec<_> = connect(proxied).await.query::<Item>(query()).collect().await;
    assert_eq!(numbers(&items), expected(0..12));
    assert_eq!(canned.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_resumed_stream_keeps_its_limit() {
    let canned = Arc::new(Canned {
        breaks_after: Some(2),
        ..Canned::default()
    });
    let (address, _) = serve(&canned).await;
    let query = Query { limit: 10, ..query() };
    let items: Vec<_> = connect(address).await.query::<Item>(query).collect().await;
    assert_eq!(numbers(&items), expected(0..10));
    assert_eq!(canned.requests.lock().unwrap().last().unwrap().limit, 6);
}

#[tokio::test]
async fn a_stream_that_breaks_after_the_last_page_ends() {
    let canned = Arc::new(Canned {
        breaks_after: Some(PAGES),
        ..Canned::default()
    });
    let (address, _) = serve(&canned).await;
    let pages: Vec<_> = connect(address)
        .await
        .query::<Item>(query())
        .pages()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        (pages.len(), canned.calls.load(Ordering::SeqCst)),
        (PAGES as usize, 1)
    );
    assert_eq!(
        (
            pages[0].next_page_token.as_str(),
            pages[5].next_page_token.as_str()
        ),
        ("1", "")
    );
}

#[tokio::test]
async fn counts_add_up() {
    let (address, _) = serve(&Arc::new(Canned::default())).await;
    let count = connect(address).await.count_query(query()).await.unwrap().value;
    assert_eq!((count.count, count.scanned_count), (12, 18));
    let pages = connect(address).await.count_query_pages(query());
    let pages: Vec<u64> = pages.map(|count| count.unwrap().count).collect().await;
    assert_eq!(pages, [2; PAGES as usize]);
}

#[tokio::test]
async fn attempts_without_a_page_are_limited_and_billed() {
    let canned = Arc::new(Canned::default());
    let (address, _) = serve(&canned).await;
    let mut stream = connect(address).await.scan::<Item>(Scan::new("User"));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(
        (error.reason(), error.metrics().calls),
        (Some(Reason::Throttled), 3)
    );
    assert_eq!(
        (stream.metrics().calls, canned.calls.load(Ordering::SeqCst)),
        (3, 3)
    );
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn retries_reads_and_writes_that_changed_nothing() {
    let (address, _) = serve(&Arc::new(Canned::default())).await;
    let read = connect(address)
        .await
        .get::<Partial<Item>>("User", Key::new("pk", "USER#1"))
        .await
        .unwrap();
    assert_eq!((read.value["number"].clone(), read.metrics.calls), (7.into(), 1));

    let canned = Arc::new(Canned::default());
    let (address, _) = serve(&canned).await;
    let error = connect(address)
        .await
        .save("User", &Item::new())
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Some(Reason::OutcomeUnknown));
    assert_eq!(
        (
            error.metrics().dynamodb_calls,
            canned.calls.load(Ordering::SeqCst)
        ),
        (2, 2)
    );
}

#[tokio::test]
async fn a_deadline_ends_a_call() {
    let (address, _) = serve(&Arc::new(Canned::default())).await;
    let client = connect(address).await.with_timeout(Duration::from_millis(50));
    let error = client.delete("User", Key::new("pk", "USER#1")).await.unwrap_err();
    assert!(
        matches!(error.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{error:?}"
    );
    assert!(!error.nothing_changed());
}

#[tokio::test]
async fn an_invalid_value_is_the_first_item_of_the_stream() {
    let (address, _) = serve(&Arc::new(Canned::default())).await;
    let mut stream = connect(address)
        .await
        .query::<Item>(Query::new("User", Key::new("pk", f64::NAN)));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.violations()[0].field, "key_condition.values.pk");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn reports_an_unreachable_server() {
    let error = Client::connect("http://127.0.0.1:1").await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, None));
    assert!(error.nothing_changed());
}
