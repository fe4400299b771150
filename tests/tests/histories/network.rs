//! The way between a server and its stores. The engines run elsewhere, and the server's thread waits for each of their
//! responses, so that on its clock, which is stopped, they take no time.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tollgate::aws::Connectors;
use tollgate_tests::scripted;
use tollgate_tests::wiretap::{failure, operation, throttling};

use super::faults::{Course, Fate, Weather};

/// The network of one process.
#[derive(Clone)]
pub(crate) struct Network(Arc<Shared>);

struct Shared {
    engines: Handle,
    weather: Mutex<Weather>,
    is_dead: AtomicBool,
    died: Notify,
    left: Mutex<Arc<Notify>>,
    log: Mutex<Option<Vec<String>>>,
}

impl Network {
    /// A calm network to engines that run on this runtime; it logs every request if `log` is set.
    pub(crate) fn new(engines: Handle, log: bool) -> Network {
        Network(Arc::new(Shared {
            engines,
            weather: Mutex::new(Weather::calm(0)),
            is_dead: AtomicBool::new(false),
            died: Notify::new(),
            left: Mutex::default(),
            log: Mutex::new(log.then(Vec::new)),
        }))
    }

    /// The connectors, over this network.
    pub(crate) fn wrap(&self, connectors: &Connectors) -> Connectors {
        let wrap = |inner: &SharedHttpClient| {
            SharedHttpClient::new(Client {
                inner: inner.clone(),
                network: self.clone(),
            })
        };
        Connectors {
            dynamodb: wrap(&connectors.dynamodb),
            kms: wrap(&connectors.kms),
            s3: wrap(&connectors.s3),
            over_sockets: false,
        }
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        *self.0.weather.lock() = weather;
        // callers of an earlier step have left
        *self.0.left.lock() = Arc::default();
    }

    /// The process is killed.
    pub(crate) async fn death(&self) {
        self.0.died.notified().await;
    }

    /// Whether the process was killed: nothing of it arrives any more.
    pub(crate) fn is_dead(&self) -> bool {
        self.0.is_dead.load(Ordering::SeqCst)
    }

    /// The callers disconnect.
    pub(crate) async fn departure(&self) {
        let left = self.0.left.lock().clone();
        left.notified().await;
    }

    /// What was logged since the last time.
    pub(crate) fn take_log(&self) -> Vec<String> {
        self.0.log.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn kill(&self) {
        self.0.is_dead.store(true, Ordering::SeqCst);
        self.0.died.notify_one();
    }

    fn leave(&self) {
        self.0.left.lock().notify_one();
    }

    fn course(&self, operation: &str) -> Course {
        let course = self.0.weather.lock().course(operation);
        if let Some(log) = self.0.log.lock().as_mut() {
            log.push(format!("{operation} {}: {:?}", course.number, course.fate));
        }
        course
    }

    /// Lets the engine do a request, and waits for its whole response.
    fn execute(
        &self,
        connector: &SharedHttpConnector,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let (reply, response) = mpsc::channel();
        let connector = connector.clone();
        self.0.engines.spawn(async move {
            let whole = async {
                let response = connector.call(request).await?;
                Ok(scripted::buffered(response).await?.0)
            };
            // the thread waits for it
            let _ = reply.send(whole.await);
        });
        response.recv().expect("the engine replies")
    }

    async fn send(
        &self,
        connector: &SharedHttpConnector,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        let course = self.course(&operation(&request));
        let speaks_json = request.headers().get("x-amz-target").is_some();
        let response = self.meet(connector, request, course, speaks_json).await;
        tokio::time::sleep(course.back).await;
        response
    }

    async fn meet(
        &self,
        connector: &SharedHttpConnector,
        request: HttpRequest,
        course: Course,
        speaks_json: bool,
    ) -> Result<HttpResponse, ConnectorError> {
        if course.fate == Fate::Leave {
            self.leave();
        }
        tokio::time::sleep(course.there).await;
        match course.fate {
            Fate::Kill => self.kill(),
            Fate::Fail if !self.is_dead() => return Ok(failure(speaks_json)),
            Fate::Throttle if !self.is_dead() => return Ok(throttling(speaks_json)),
            Fate::Cut if !self.is_dead() => return Err(cut()),
            Fate::Hang => std::future::pending().await,
            _ => {}
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        let response = self.execute(connector, request)?;
        let middle = response.body().content_length().unwrap_or_default() / 2;
        let middle = usize::try_from(middle).unwrap_or_default();
        match course.fate {
            Fate::DoneFail => Ok(failure(speaks_json)),
            Fate::DoneCut => Err(cut()),
            Fate::DoneHang => std::future::pending().await,
            Fate::DoneKill => {
                self.kill();
                std::future::pending().await
            }
            Fate::DoneLeave => {
                self.leave();
                Ok(response)
            }
            Fate::BreakBody => scripted::broken(response, middle).await,
            Fate::ShortBody => scripted::cut(response, middle).await,
            Fate::Pass | Fate::Leave | Fate::Fail | Fate::Throttle | Fate::Cut | Fate::Hang | Fate::Kill => {
                Ok(response)
            }
        }
    }
}

fn cut() -> ConnectorError {
    ConnectorError::io("the connection was cut".into())
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Network")
    }
}

#[derive(Debug)]
struct Client {
    inner: SharedHttpClient,
    network: Network,
}

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            inner: self.inner.http_connector(settings, components),
            network: self.network.clone(),
        })
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    network: Network,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, network) = (self.inner.clone(), self.network.clone());
        HttpConnectorFuture::new(async move { network.send(&inner, request).await })
    }
}
