//! `AdminService`: maintenance of what the server stores.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc;
use tollgate_proto::v1::admin_service_server::AdminService;
use tollgate_proto::v1::sweep_response::Event as Reported;
use tollgate_proto::{Reason, v1};
use tonic::{Request, Response, Status};

use super::authorized::{authorize, caller};
use super::encode;
use super::failure;
use super::status::{self, precondition, retry_later};
use crate::crypto::Keyring;
use crate::fault::Fault;
use crate::operation::Gateway;
use crate::policy::{Action, Resource};
use crate::sweep::{Counts, Error, Event, Finding, Options, Sweeper, monthly_cost_usd};

/// Maintains what the server stores.
pub struct Admin {
    sweeper: Sweeper,
    gateway: Arc<Gateway>,
    keyring: Keyring,
}

impl Admin {
    /// The service over this sweeper and gateway, and the keyring whose data keys outlive their calls.
    pub fn new(sweeper: Sweeper, gateway: Arc<Gateway>, keyring: Keyring) -> Admin {
        Admin {
            sweeper,
            gateway,
            keyring,
        }
    }

    fn options(&self, request: &v1::SweepRequest) -> Result<Options, Status> {
        let settings = self.sweeper.options();
        let grace = match request.grace {
            Some(grace) => duration(grace)?,
            None => settings.grace,
        };
        let options = Options {
            dry_run: request.dry_run,
            force: request.force,
            adopt: request.adopt,
            grace,
            ..settings.clone()
        };
        options.check().map_err(|error| sweep_status(&error))?;
        Ok(options)
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    type SweepStream = BoxStream<'static, Result<v1::SweepResponse, Status>>;

    async fn sweep(&self, request: Request<v1::SweepRequest>) -> Result<Response<Self::SweepStream>, Status> {
        authorize(&self.gateway, caller(&request), Action::Sweep, &Resource::Server)?;
        let options = self.options(request.get_ref())?;
        let Some(begun) = self.sweeper.begin(options) else {
            let text = "a sweep is in progress; try again when it has ended";
            return Err(retry_later(Reason::RequestInFlight, text));
        };
        let (events, sweep) = begun.split(None);
        // a caller that is slow or gone must not hold the sweep up in the middle of a request
        let (send_end, end) = mpsc::channel(1);
        tokio::spawn(async move {
            let outcome = sweep.await;
            // nobody waits for it if the caller is gone
            let _ = send_end.send(outcome).await;
        });
        let events = receive(events).map(|event| Ok(response(event)));
        let end = receive(end).map(|outcome| match outcome {
            Ok(counts) => Ok(message(Reported::Finished(progress(counts)))),
            Err(error) => Err(sweep_status(&error)),
        });
        Ok(Response::new(events.chain(end).boxed()))
    }

    async fn flush_keys(
        &self,
        request: Request<v1::FlushKeysRequest>,
    ) -> Result<Response<v1::FlushKeysResponse>, Status> {
        authorize(
            &self.gateway,
            caller(&request),
            Action::FlushKeys,
            &Resource::Server,
        )?;
        let keys = self.keyring.flush() as u64;
        tracing::info!(keys, "data keys dropped");
        Ok(Response::new(v1::FlushKeysResponse { keys }))
    }
}

fn receive<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> BoxStream<'static, T> {
    stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|received| (received, receiver))
    })
    .boxed()
}

fn duration(grace: prost_types::Duration) -> Result<Duration, Status> {
    Duration::try_from(grace).map_err(|_| {
        let fault = Fault::new("grace", "must not be negative");
        status::invalid(Reason::InvalidField, fault)
    })
}

fn response(event: Event) -> v1::SweepResponse {
    message(match event {
        Event::Found(Finding::Orphan { bucket, key, bytes }) => {
            Reported::Orphan(v1::OrphanObject { bucket, key, bytes })
        }
        Event::Found(Finding::Dangling {
            table,
            item_key,
            attribute,
            bucket,
            key,
        }) => Reported::Dangling(v1::DanglingPointer {
            table,
            item_key: encode::item(item_key),
            attribute,
            bucket,
            key,
        }),
        Event::Found(Finding::StrayUpload {
            bucket,
            key,
            upload_id,
            bytes,
        }) => Reported::StrayUpload(v1::StrayUpload {
            bucket,
            key,
            upload_id,
            bytes,
        }),
        Event::Progress { counts, mark: _ } => Reported::Progress(progress(counts)),
    })
}

fn message(event: Reported) -> v1::SweepResponse {
    v1::SweepResponse { event: Some(event) }
}

fn progress(counts: Counts) -> v1::SweepProgress {
    let Counts {
        objects,
        orphans,
        abandoned: _,
        orphan_bytes: _,
        deleted,
        stray_uploads,
        stray_bytes: _,
        aborted,
        pointers,
        dangling,
        adopted,
        foreign,
    } = counts;
    v1::SweepProgress {
        objects,
        orphans,
        bytes: counts.bytes(),
        deleted,
        stray_uploads,
        aborted,
        pointers,
        dangling,
        adopted,
        foreign,
        monthly_cost_usd: monthly_cost_usd(counts.bytes()),
    }
}

fn sweep_status(error: &Error) -> Status {
    let text = error.to_string();
    match error {
        Error::Grace { .. } => {
            let (_, what) = text.split_once(": ").unwrap_or_default();
            status::invalid(Reason::InvalidField, Fault::new("grace", what))
        }
        Error::NotActive { table, .. } => {
            precondition(Reason::SweepStopped, "TABLE", table, "is not ACTIVE", &text)
        }
        Error::TooManyOrphans { .. } => precondition(
            Reason::SweepStopped,
            "ORPHANS",
            "force",
            "more than a tenth",
            &text,
        ),
        // there are no positions in requests
        Error::OtherSweep | Error::Stopped => status::status(Reason::Cancelled, text),
        Error::Store(cause) => failure::store_status("sweep", cause),
    }
}
