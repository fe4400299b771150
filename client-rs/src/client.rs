//! The connection, and how calls are sent: metadata, deadline, attempts. Independent of items.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_proto::metadata;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::metrics_service_client::MetricsServiceClient;
use tollgate_proto::v1::schema_service_client::SchemaServiceClient;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::retry::{Attempts, Effect, Next};
use crate::{CallMetrics, Error, Options};

/// A connection to a tollgate server. Clones are cheap, share the connection, and can be used concurrently.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    options: Arc<Options>,
    request_id: Option<Arc<str>>,
}

/// A [`Client`] whose calls are billed to one session.
#[derive(Clone, Debug)]
pub struct Session {
    client: Client,
    name: String,
}

/// The result of a call, and its bill.
#[derive(Clone, Debug, PartialEq)]
pub struct Response<T> {
    /// The result.
    pub value: T,
    /// The bill.
    pub metrics: CallMetrics,
}

impl<T> Response<T> {
    /// The response after attempts with this bill.
    pub(crate) fn after(self, mut metrics: CallMetrics) -> Response<T> {
        metrics.add(self.metrics);
        Response {
            value: self.value,
            metrics,
        }
    }

    /// Maps the result and keeps the bill.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        Response {
            value: change(self.value),
            metrics: self.metrics,
        }
    }

    pub(crate) fn try_map<U>(self, change: impl FnOnce(T) -> Result<U, Error>) -> Result<Response<U>, Error> {
        match change(self.value) {
            Ok(value) => Ok(Response {
                value,
                metrics: self.metrics,
            }),
            Err(error) => Err(error.with_metrics(self.metrics)),
        }
    }
}

impl Client {
    /// Connects to `http://host:port` or, with the feature `tls`, `https://host:port`.
    ///
    /// # Errors
    ///
    /// If the address is invalid or the server does not respond. A connection that is lost later is re-established by the
    /// next call.
    pub async fn connect(address: impl AsRef<str>) -> Result<Client, Error> {
        Client::connect_with(address, Options::default()).await
    }

    /// Connects with options other than the defaults.
    ///
    /// # Errors
    ///
    /// Like [`Client::connect`].
    pub async fn connect_with(address: impl AsRef<str>, options: Options) -> Result<Client, Error> {
        let channel = options
            .endpoint(address.as_ref())?
            .connect()
            .await
            .map_err(|error| Error::connection_failed(address.as_ref(), error))?;
        Ok(Client::from_channel(channel, options))
    }

    /// Creates a client from your own channel, for example for another TLS setup, a Unix socket or a load balancer.
    pub fn from_channel(channel: Channel, options: Options) -> Client {
        Client {
            channel,
            options: Arc::new(options),
            request_id: None,
        }
    }

    /// Shares the connection. Calls are billed to this session.
    pub fn session(&self, name: impl Into<String>) -> Session {
        let name = name.into();
        let client = self.with(Options {
            session: Some(name.clone()),
            ..self.options().clone()
        });
        Session { client, name }
    }

    /// Shares the connection, with other options. Options for connecting have no effect.
    pub fn with(&self, options: Options) -> Client {
        Client {
            options: Arc::new(options),
            ..self.clone()
        }
    }

    /// Shares the connection, with this timeout for calls.
    pub fn with_timeout(&self, timeout: Duration) -> Client {
        self.with(Options {
            timeout: Some(timeout),
            ..self.options().clone()
        })
    }

    /// Shares the connection, with this request id. Use it for one call only, because bills are looked up by it.
    pub fn with_request_id(&self, request_id: impl Into<Arc<str>>) -> Client {
        Client {
            request_id: Some(request_id.into()),
            ..self.clone()
        }
    }

    /// The options in effect.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The channel, for other services of the same server, such as health.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn data(&self) -> DataServiceClient<Channel> {
        let service = DataServiceClient::new(self.channel.clone())
            .max_decoding_message_size(self.options.message_bytes)
            .max_encoding_message_size(self.options.message_bytes);
        match self.options.compress {
            Some(compression) => service
                .send_compressed(compression.encoding())
                .accept_compressed(compression.encoding()),
            None => service,
        }
    }

    pub(crate) fn totals_service(&self) -> MetricsServiceClient<Channel> {
        MetricsServiceClient::new(self.channel.clone())
    }

    pub(crate) fn schema(&self) -> SchemaServiceClient<Channel> {
        SchemaServiceClient::new(self.channel.clone()).max_decoding_message_size(self.options.message_bytes)
    }

    pub(crate) fn attempts(&self, effect: Effect) -> Attempts {
        // a timeout beyond the range of the clock is no timeout
        let deadline = self
            .options
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        Attempts::new(self.options.retry, effect, deadline)
    }

    /// A request with the metadata of this client and the remaining time.
    pub(crate) fn request<M>(&self, message: M, deadline: Option<Instant>) -> Result<Request<M>, Error> {
        let mut request = Request::new(message);
        if let Some(deadline) = deadline {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(Error::deadline());
            }
            request.set_timeout(remaining);
        }
        let options = &self.options;
        let bearer = options.bearer.as_ref().map(|token| format!("Bearer {token}"));
        let own = [
            (metadata::SESSION, options.session.as_deref()),
            (metadata::REQUEST_ID, self.request_id.as_deref()),
            ("authorization", bearer.as_deref()),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, text)| text.map(|text| (name, text)));
        let others = options
            .metadata
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in others.chain(own) {
            insert(&mut request, name, text)?;
        }
        Ok(request)
    }

    /// Sends a unary call until it succeeds or must not be retried. The bill includes all attempts.
    pub(crate) async fn unary<Q, R, F>(
        &self,
        effect: Effect,
        message: Q,
        send: impl Fn(Request<Q>) -> F,
    ) -> Result<Response<R>, Error>
    where
        Q: Clone,
        F: Future<Output = Result<tonic::Response<R>, Status>>,
    {
        let mut attempts = self.attempts(effect);
        let mut metrics = CallMetrics::default();
        loop {
            let error = match self.once(&attempts, message.clone(), &send).await {
                Ok(response) => return Ok(response.after(metrics)),
                Err(error) => error,
            };
            metrics.add(error.metrics().clone());
            match attempts.after(error) {
                Next::Retry(wait) => tokio::time::sleep(wait).await,
                Next::Fail(error) => return Err(error.with_metrics(metrics)),
            }
        }
    }

    /// Like [`Client::unary`], for a write whose `request_id` makes it idempotent if its model says so. The model is read
    /// only if that decides about a retry.
    pub(crate) async fn named_write<Q, R, F>(
        &self,
        model: &str,
        message: Q,
        send: impl Fn(Request<Q>) -> F,
    ) -> Result<Response<R>, Error>
    where
        Q: Clone,
        F: Future<Output = Result<tonic::Response<R>, Status>>,
    {
        let mut attempts = self.attempts(Effect::Write);
        let mut metrics = CallMetrics::default();
        loop {
            let error = match self.once(&attempts, message.clone(), &send).await {
                Ok(response) => return Ok(response.after(metrics)),
                Err(error) => error,
            };
            metrics.add(error.metrics().clone());
            if attempts.depends_on_idempotency(&error)
                && let Some(effect) = self.idempotency(model, attempts.deadline()).await
            {
                attempts.set_effect(effect);
            }
            match attempts.after(error) {
                Next::Retry(wait) => tokio::time::sleep(wait).await,
                Next::Fail(error) => return Err(error.with_metrics(metrics)),
            }
        }
    }

    async fn once<Q, R, F>(
        &self,
        attempts: &Attempts,
        message: Q,
        send: impl Fn(Request<Q>) -> F,
    ) -> Result<Response<R>, Error>
    where
        F: Future<Output = Result<tonic::Response<R>, Status>>,
    {
        let response = send(self.request(message, attempts.deadline())?).await?;
        let metrics = CallMetrics::from_metadata(response.metadata());
        Ok(Response {
            value: response.into_inner(),
            metrics,
        })
    }

    /// What the `request_id` of a write makes of it. `None` if the model does not remember it.
    async fn idempotency(&self, model: &str, deadline: Option<Instant>) -> Option<Effect> {
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let client = match remaining {
            Some(remaining) => self.with_timeout(remaining),
            None => self.clone(),
        };
        let idempotency = client.model(model).await.ok()?.idempotency?;
        match idempotency.kind.as_str() {
            "table" => Some(Effect::ExactlyOnce),
            // an item remembers only its newest write
            _ => Some(Effect::IdempotentWrite),
        }
    }
}

impl Session {
    /// The session's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn insert<M>(request: &mut Request<M>, name: &str, text: &str) -> Result<(), Error> {
    let invalid = || Error::local(Code::InvalidArgument, format!("invalid metadata `{name}`"));
    let key = MetadataKey::from_str(name).map_err(|_| invalid())?;
    let mut value = MetadataValue::try_from(text).map_err(|_| invalid())?;
    value.set_sensitive(name == "authorization");
    request.metadata_mut().insert(key, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;

    use super::*;

    fn client(options: Options) -> Client {
        Client::from_channel(
            Endpoint::from_static("http://127.0.0.1:1").connect_lazy(),
            options,
        )
    }

    #[tokio::test]
    async fn calls_carry_session_id_token_and_timeout() {
        let options = Options {
            bearer: Some("t".into()),
            metadata: vec![("traceparent".into(), "00-1".into())],
            ..Options::default()
        };
        let session = client(options).session("run-7");
        let caller = session
            .with_timeout(Duration::from_secs(2))
            .with_request_id("01J");
        let request = caller
            .request((), caller.attempts(Effect::Read).deadline())
            .unwrap();
        let sent = |name: &str| {
            request
                .metadata()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(sent("tollgate-session").as_deref(), Some("run-7"));
        assert_eq!(sent("tollgate-request-id").as_deref(), Some("01J"));
        assert_eq!(sent("authorization").as_deref(), Some("Bearer t"));
        assert_eq!(sent("traceparent").as_deref(), Some("00-1"));
        assert!(sent("grpc-timeout").is_some());
        assert_eq!(session.name(), "run-7");
    }

    #[tokio::test]
    async fn refuses_invalid_names() {
        let error = client(Options::default())
            .session("zwölf\n")
            .request((), None)
            .unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        let options = Options {
            metadata: vec![("not a name".into(), "x".into())],
            ..Options::default()
        };
        assert!(client(options).request((), None).is_err());
    }

    #[tokio::test]
    async fn attempts_are_limited_and_their_bills_add_up() {
        let retry = crate::Retry {
            attempts: 3,
            initial_backoff: Duration::from_millis(1),
            ..Default::default()
        };
        let client = client(Options {
            retry,
            ..Options::default()
        });
        let send = |_request: Request<()>| async {
            let mut status = Status::unavailable("gone");
            status
                .metadata_mut()
                .insert(metadata::DYNAMODB_CALLS, "2".parse().unwrap());
            Err::<tonic::Response<()>, Status>(status)
        };
        let error = client.unary(Effect::Read, (), send).await.unwrap_err();
        assert_eq!((error.metrics().calls, error.metrics().dynamodb_calls), (3, 6));
        let error = client.unary(Effect::Write, (), send).await.unwrap_err();
        assert_eq!((error.metrics().calls, error.code()), (1, Code::Unavailable));
    }

    #[tokio::test]
    async fn sends_nothing_after_the_deadline() {
        let client = client(Options {
            timeout: Some(Duration::ZERO),
            ..Options::default()
        });
        let send =
            |_request: Request<()>| async { Ok::<tonic::Response<()>, Status>(tonic::Response::new(())) };
        let error = client.unary(Effect::Read, (), send).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
    }
}
