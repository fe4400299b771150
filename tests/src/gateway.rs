//! A real gateway on a free port, its raw client, and bills from trailers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollgate::app::{App, Reloader};
use tollgate::capacity::Capacity;
use tollgate::config::{Config, Flags};
use tollgate::telemetry::Telemetry;
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::metrics_service_client::MetricsServiceClient;
use tollgate_proto::v1::schema_service_client::SchemaServiceClient;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::external::{Account, Store, store};
use crate::wiretap::Wiretap;

const MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// The setup of a gateway; the default is in memory.
#[derive(Default)]
pub struct Setup {
    /// The data folder; in memory if `None`.
    pub data: Option<PathBuf>,
    /// A folder of models; the examples if `None`.
    pub models: Option<PathBuf>,
    /// Settings as `TOLLGATE_…` variables.
    pub settings: Vec<(&'static str, String)>,
    /// Between the clients and the engines.
    pub wiretap: Option<Wiretap>,
    /// How callers connect; in plaintext if `None`.
    pub tls: Option<ClientTlsConfig>,
}

/// A running gateway.
pub struct Gateway {
    address: SocketAddr,
    side_port: Option<SocketAddr>,
    channel: Channel,
    capacity: Arc<Capacity>,
    reloader: Arc<Reloader>,
    account: Account,
    config: Config,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<(), tollgate::app::Error>>,
}

/// A response, or an error, and its bill.
pub struct CallResult<T> {
    /// The response or the error.
    pub outcome: Result<T, Status>,
    /// Its trailers.
    pub bill: Bill,
}

/// The trailers of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill(BTreeMap<String, String>);

impl Gateway {
    /// In memory, with the example models.
    pub async fn start() -> Gateway {
        Gateway::with(Setup::default()).await
    }

    /// In memory, behind a wiretap.
    pub async fn tapped(wiretap: &Wiretap) -> Gateway {
        Gateway::with(Setup::tapped(wiretap)).await
    }

    /// A gateway with these models, the text of one file, and with the rest of this setup.
    pub async fn of_models(models: &str, setup: Setup) -> Gateway {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("models.yaml"), models).expect("the models are written");
        Gateway::with(Setup {
            models: Some(folder.path().to_owned()),
            ..setup
        })
        .await
    }

    /// A gateway with this setup.
    pub async fn with(setup: Setup) -> Gateway {
        let telemetry = Telemetry::open(&setup.config()).0;
        Box::pin(Gateway::with_telemetry(setup, telemetry)).await
    }

    /// Like [`Gateway::with`], but with existing telemetry.
    pub async fn with_telemetry(setup: Setup, telemetry: Telemetry) -> Gateway {
        let account = Account::of(setup.data.as_deref());
        let config = setup.config_for(account);
        account.provision(&config).await;
        let (wiretap, tls) = (setup.wiretap, setup.tls);
        let wrap = |connectors| match &wiretap {
            Some(wiretap) => wiretap.wrap(account.connect(connectors)),
            None => account.connect(connectors),
        };
        let app = Box::pin(App::build_with(&config, telemetry, wrap));
        let app = app.await.expect("the gateway builds");
        let side_port = app.summary().side_port;
        let capacity = app.capacity();
        let reloader = app.reloader();
        if let Some(wiretap) = &wiretap {
            wiretap.clear();
        }
        let (ready, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            // a dropped gateway stops too
            let _ = stopped.await;
        };
        let serving = tokio::spawn(app.serve(shutdown, move |address| {
            ready.send(address).expect("a test waits");
        }));
        let address = address.await.expect("the gateway serves");
        let channel = match tls {
            Some(tls) => connect_securely(address, tls).await.expect("a secure connection"),
            None => connect(address).await,
        };
        Gateway {
            address,
            side_port,
            channel,
            capacity,
            reloader,
            account,
            config,
            stop: Some(stop),
            serving,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of `/metrics` and the probes.
    pub fn side_port(&self) -> Option<SocketAddr> {
        self.side_port
    }

    /// The reloader of its models.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Creates what its models need by now; the embedded backend does that by itself.
    pub async fn provision(&self) {
        self.account.provision(&self.config).await;
    }

    /// The capacity that its calls use.
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// A connection to it; cheap to clone.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Stops it and waits for the drain.
    pub async fn stop(mut self) {
        self.begin_stop();
        self.serving.await.expect("no panic").expect("a clean drain");
    }

    /// Starts the shutdown.
    pub fn begin_stop(&mut self) {
        self.stop.take().map(|stop| stop.send(()));
    }

    /// The raw client of `DataService`.
    pub fn data(&self) -> DataServiceClient<Channel> {
        DataServiceClient::new(self.channel())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    }

    /// The raw client of `MetricsService`.
    pub fn metrics(&self) -> MetricsServiceClient<Channel> {
        MetricsServiceClient::new(self.channel())
    }

    /// The raw client of `SchemaService`.
    pub fn schema(&self) -> SchemaServiceClient<Channel> {
        SchemaServiceClient::new(self.channel())
    }

    /// Saves; a plain message or one with metadata.
    pub async fn save(
        &self,
        request: impl tonic::IntoRequest<v1::SaveRequest>,
    ) -> CallResult<v1::SaveResponse> {
        CallResult::from_response(self.data().save(request).await)
    }

    /// Gets.
    pub async fn get(&self, request: impl tonic::IntoRequest<v1::GetRequest>) -> CallResult<v1::GetResponse> {
        CallResult::from_response(self.data().get(request).await)
    }

    /// Updates.
    pub async fn update(
        &self,
        request: impl tonic::IntoRequest<v1::UpdateRequest>,
    ) -> CallResult<v1::UpdateResponse> {
        CallResult::from_response(self.data().update(request).await)
    }

    /// Deletes.
    pub async fn delete(
        &self,
        request: impl tonic::IntoRequest<v1::DeleteRequest>,
    ) -> CallResult<v1::DeleteResponse> {
        CallResult::from_response(self.data().delete(request).await)
    }

    /// Queries, to the end of the stream.
    pub async fn query(
        &self,
        request: impl tonic::IntoRequest<v1::QueryRequest>,
    ) -> CallResult<Vec<v1::QueryResponse>> {
        CallResult::read_stream(self.data().query(request).await).await
    }

    /// Scans, to the end of the stream.
    pub async fn scan(
        &self,
        request: impl tonic::IntoRequest<v1::ScanRequest>,
    ) -> CallResult<Vec<v1::ScanResponse>> {
        CallResult::read_stream(self.data().scan(request).await).await
    }

    /// The totals of a session, or of the server if the name is empty.
    pub async fn totals(&self, session: &str) -> v1::GetTotalMetricsResponse {
        let request = v1::GetTotalMetricsRequest {
            session: session.to_owned(),
            model: String::new(),
        };
        self.metrics()
            .get_total_metrics(request)
            .await
            .expect("totals")
            .into_inner()
    }
}

impl<T> CallResult<T> {
    /// The result of a unary call.
    pub fn from_response(outcome: Result<Response<T>, Status>) -> CallResult<T> {
        match outcome {
            Ok(response) => {
                let bill = Bill::from_metadata(response.metadata());
                CallResult {
                    outcome: Ok(response.into_inner()),
                    bill,
                }
            }
            Err(status) => {
                let bill = Bill::from_metadata(status.metadata());
                CallResult {
                    outcome: Err(status),
                    bill,
                }
            }
        }
    }

    /// The response of a call that must succeed.
    pub fn ok(self) -> T {
        self.outcome.unwrap_or_else(|status| panic!("{status:?}"))
    }

    /// The status of a call that must fail.
    pub fn status(self) -> Status {
        self.outcome.err().expect("the call fails")
    }
}

impl<T> CallResult<Vec<T>> {
    /// The result of a stream, read to its end.
    pub async fn read_stream(outcome: Result<Response<Streaming<T>>, Status>) -> CallResult<Vec<T>> {
        let mut stream = match outcome {
            Ok(response) => response.into_inner(),
            Err(status) => {
                return CallResult {
                    bill: Bill::from_metadata(status.metadata()),
                    outcome: Err(status),
                };
            }
        };
        let mut pages = Vec::new();
        loop {
            match stream.message().await {
                Ok(Some(page)) => pages.push(page),
                Ok(None) => break,
                Err(status) => {
                    return CallResult {
                        bill: Bill::from_metadata(status.metadata()),
                        outcome: Err(status),
                    };
                }
            }
        }
        let trailers = stream.trailers().await.expect("trailers").unwrap_or_default();
        CallResult {
            outcome: Ok(pages),
            bill: Bill::from_metadata(&trailers),
        }
    }
}

/// Trailers whose names are not the gateway's.
const OTHER_TRAILERS: [&str; 2] = ["server-timing", "grpc-retry-pushback-ms"];

impl Bill {
    /// The ASCII metadata of the contract.
    pub fn from_metadata(metadata: &MetadataMap) -> Bill {
        let ascii = metadata.iter().filter_map(|entry| match entry {
            tonic::metadata::KeyAndValueRef::Ascii(key, value) => {
                Some((key.to_string(), value.to_str().ok()?.to_owned()))
            }
            tonic::metadata::KeyAndValueRef::Binary(..) => None,
        });
        Bill(
            ascii
                .filter(|(key, _)| key.starts_with("tollgate-") || OTHER_TRAILERS.contains(&key.as_str()))
                .collect(),
        )
    }

    /// A figure as text.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether the trailers contain it.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A whole number.
    pub fn count(&self, name: &str) -> u64 {
        self.text(name)
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {:?} in {self:?}", self.text(name)))
    }

    /// A decimal.
    pub fn decimal(&self, name: &str) -> f64 {
        self.text(name)
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {:?} in {self:?}", self.text(name)))
    }
}

/// A message billed to a session.
pub fn in_session<T>(message: T, session: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("tollgate-session", session.parse().expect("an ASCII name"));
    request
}

/// A new connection.
pub async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("the gateway listens")
}

/// Connects under TLS, to `localhost`.
///
/// # Errors
///
/// The connection or its handshake failed.
pub async fn connect_securely(
    address: SocketAddr,
    tls: ClientTlsConfig,
) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Channel::from_shared(format!("https://localhost:{}", address.port()));
    let endpoint = endpoint.expect("an address").tls_config(tls)?;
    endpoint.connect().await
}

impl Setup {
    /// In memory, behind a wiretap.
    pub fn tapped(wiretap: &Wiretap) -> Setup {
        Setup {
            wiretap: Some(wiretap.clone()),
            ..Setup::default()
        }
    }

    /// The settings.
    pub fn config(&self) -> Config {
        self.config_for(Account::of(self.data.as_deref()))
    }

    fn config_for(&self, account: Account) -> Config {
        config(self, account)
    }
}

fn config(setup: &Setup, account: Account) -> Config {
    let mut settings: Vec<(String, String)> = vec![("TOLLGATE_LISTEN".to_owned(), "127.0.0.1:0".to_owned())];
    match (&setup.data, store()) {
        (_, Store::Moto | Store::DynamoDbLocal) => {
            let set = |name| setup.settings.iter().any(|(set, _)| *set == name);
            let unset = account.settings().into_iter().filter(|(name, _)| !set(*name));
            settings.extend(unset.map(|(name, value)| (name.to_owned(), value)));
        }
        (Some(data), Store::Embedded) => {
            settings.push(("TOLLGATE_EMBEDDED__DATA".to_owned(), data.display().to_string()));
        }
        (None, Store::Embedded) => settings.push(("TOLLGATE_EMBEDDED__MEMORY".to_owned(), "true".to_owned())),
    }
    if let Some(models) = &setup.models {
        settings.push(("TOLLGATE_MODELS".to_owned(), models.display().to_string()));
    }
    // tests run in parallel, which takes ports and processors: unless a test sets them, both are off
    for (name, value) in [
        ("TOLLGATE_METRICS__LISTEN", "off"),
        ("TOLLGATE_LIMITS__ADAPTIVE", "false"),
    ] {
        if !setup.settings.iter().any(|(set, _)| *set == name) {
            settings.push((name.to_owned(), value.to_owned()));
        }
    }
    settings.extend(
        setup
            .settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    Config::load(&Flags::default(), settings.into_iter()).unwrap_or_else(|faults| panic!("{faults:?}"))
}
