//! Stores outside the process in place of the embedded backend: moto, or DynamoDB Local for items, MinIO for objects and
//! moto for keys.
//!
//! `TOLLGATE_TEST_STORES` names them; the SDK's environment has their endpoints, the region and credentials. Each
//! gateway has a separate account there, so that tests that run in parallel do not see each other's items:
//! DynamoDB Local keeps a database per access key, moto an account per `x-moto-account-id`. The names of buckets are
//! unique across accounts and therefore carry a prefix; requests for them are signed again with it.
//!
//! A test that cannot pass on one of them says so with [`differs_on!`](crate::differs_on); `tests/stores.md` has the
//! reasons.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use parking_lot::Mutex;
use tollgate::aws::{self, Connectors, Stores};
use tollgate::config::Config;
use tollgate::model::Models;

use crate::signing::sign_s3;

/// Where a test run keeps its items, objects and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The engines inside the process.
    Embedded,
    /// moto, for all three services.
    Moto,
    /// DynamoDB Local for items, MinIO for objects, moto for keys.
    DynamoDbLocal,
}

/// Ends a test on stores that differ, and prints the id of the difference in `tests/stores.md`:
/// `differs_on!(Moto | DynamoDbLocal, "capacity");`.
#[macro_export]
macro_rules! differs_on {
    ($($store:ident)|+, $difference:literal) => {
        if $crate::external::differs(&[$($crate::external::Store::$store),+], $difference) {
            return;
        }
    };
}

/// The stores of this test run: `TOLLGATE_TEST_STORES`, or else the embedded backend.
///
/// # Panics
///
/// If the variable names unknown stores.
pub fn store() -> Store {
    static STORE: LazyLock<Store> =
        LazyLock::new(|| match std::env::var("TOLLGATE_TEST_STORES").as_deref() {
            Err(_) => Store::Embedded,
            Ok("moto") => Store::Moto,
            Ok("dynamodb-local") => Store::DynamoDbLocal,
            Ok(other) => panic!("TOLLGATE_TEST_STORES must be moto or dynamodb-local, not {other:?}"),
        });
    *STORE
}

/// The endpoint of a service in the SDK's environment.
pub(crate) fn endpoint(service: &str) -> String {
    let variable = |name: &str| std::env::var(name).ok();
    match store() {
        Store::Embedded => "http://embedded.localhost".to_owned(),
        Store::Moto | Store::DynamoDbLocal => variable(&format!("AWS_ENDPOINT_URL_{service}"))
            .or_else(|| variable("AWS_ENDPOINT_URL"))
            .expect("AWS_ENDPOINT_URL is set for external stores"),
    }
}

/// Whether the stores of this run are among those that differ; prints the difference if they are.
pub fn differs(on: &[Store], difference: &str) -> bool {
    let differs = on.contains(&store());
    if differs {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        // not captured, unlike what a test prints; a run without a standard error loses the line alone
        let _ = writeln!(io::stderr(), "skipped on {:?}: {test}: {difference}", store());
    }
    differs
}

/// The account of a gateway in external stores.
#[derive(Clone, Copy, Debug)]
pub struct Account(u64);

impl Account {
    /// A new account; gateways with the same data folder share one, as they share their data.
    pub fn of(data: Option<&Path>) -> Account {
        static SHARED: LazyLock<Mutex<HashMap<PathBuf, Account>>> = LazyLock::new(Mutex::default);
        match data {
            None => Account::next(),
            Some(folder) => *SHARED
                .lock()
                .entry(folder.to_owned())
                .or_insert_with(Account::next),
        }
    }

    /// Numbers of up to twelve digits, other ones in each process.
    fn next() -> Account {
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let seconds = now.map_or(0, |since| since.as_millis() as u64 / 100);
            AtomicU64::new(seconds % 90_000_000 * 10_000)
        });
        Account(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The connectors of this account; those of the embedded engines are returned as they are.
    pub fn connect(self, connectors: Connectors) -> Connectors {
        if store() == Store::Embedded {
            return connectors;
        }
        let connect = |inner| SharedHttpClient::new(AccountClient { inner, account: self });
        Connectors {
            dynamodb: connect(connectors.dynamodb),
            kms: connect(connectors.kms),
            s3: connect(connectors.s3),
            over_sockets: connectors.over_sockets,
        }
    }

    /// The settings of a gateway over external stores, unless a test sets them: a token key that all gateways of the
    /// account share, and a deadline for slow stores.
    pub fn settings(self) -> [(&'static str, String); 3] {
        [
            ("TOLLGATE_BACKEND", "aws".to_owned()),
            ("TOLLGATE_TOKEN_KEY", format!("{:0>42}A=", self.0)),
            ("TOLLGATE_LIMITS__DEADLINE", "4m".to_owned()),
        ]
    }

    /// Creates what the models of a gateway need; the embedded backend does that by itself.
    pub async fn provision(self, config: &Config) {
        if store() == Store::Embedded {
            return;
        }
        let models = match config.models_set || config.models.exists() {
            true => Models::read(&config.models).unwrap_or_else(|faults| panic!("{faults:?}")),
            false => Models::examples(),
        };
        let wrap = |connectors| self.connect(connectors);
        let stores = Stores::from_environment(&aws::Settings::default(), wrap).await;
        let stores = stores.expect("the environment has endpoints, a region and credentials");
        let warnings = aws::provision(&stores, &models).await;
        warnings.expect("the stores create what the models need");
    }

    /// Only MinIO verifies signatures.
    fn adapt(self, request: &mut HttpRequest) {
        let headers = request.headers_mut();
        headers.insert("x-moto-account-id", format!("{:012}", self.0));
        let service = match headers.get("x-amz-target") {
            Some(target) if target.starts_with("DynamoDB") => "dynamodb",
            Some(_) => "kms",
            None => "s3",
        };
        let scope = format!("TEST{}/20260101/us-east-1/{service}/aws4_request", self.0);
        let signature = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        headers.insert("authorization", signature);
        if service == "s3" {
            let uri = self.with_prefix(request.uri());
            request.set_uri(uri).expect("a bucket with a prefix");
            let source = request.headers().get("x-amz-copy-source").map(str::to_owned);
            if let Some(source) = source {
                let prefixed = format!("t{}-{}", self.0, source.trim_start_matches('/'));
                request.headers_mut().insert("x-amz-copy-source", prefixed);
            }
            sign_s3(request);
        }
    }

    /// The URI with the account's prefix before the name of the bucket.
    fn with_prefix(self, uri: &str) -> String {
        let host = uri.find("://").map_or(0, |scheme| scheme + 3);
        let path = uri[host..].find('/').map_or(uri.len(), |path| host + path + 1);
        format!("{}t{}-{}", &uri[..path], self.0, &uri[path..])
    }
}

#[derive(Debug)]
struct AccountClient {
    inner: SharedHttpClient,
    account: Account,
}

impl HttpClient for AccountClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(AccountConnector {
            inner,
            account: self.account,
        })
    }
}

#[derive(Debug)]
struct AccountConnector {
    inner: SharedHttpConnector,
    account: Account,
}

impl HttpConnector for AccountConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        self.account.adapt(&mut request);
        self.inner.call(request)
    }
}
