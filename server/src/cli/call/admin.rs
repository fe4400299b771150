//! `tollgate call admin …`: maintenance that runs in the server.

use std::collections::HashMap;
use std::io::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_types::Duration as ProtoDuration;
use serde_json::json;
use tollgate_client::Client;
use tollgate_proto::v1;
use tollgate_proto::v1::admin_service_client::AdminServiceClient;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::sweep_response::Event;

use super::args::{Admin, Sweep};
use super::failure::{Failure, Outcome};
use crate::cli::sweep::{Form, Line, Progress, Spool, print};
use crate::sweep::Counts;

impl Admin {
    pub(super) async fn run(
        self,
        client: &Client,
        is_json: bool,
        is_quiet: bool,
    ) -> Result<Outcome, Failure> {
        match self {
            Admin::Sweep(sweep) => sweep.run(client, is_json, is_quiet).await,
            Admin::FlushKeys => flush_keys(client, is_json).await,
        }
    }
}

async fn flush_keys(client: &Client, is_json: bool) -> Result<Outcome, Failure> {
    let mut request = tonic::Request::new(v1::FlushKeysRequest {});
    if let Some(timeout) = client.options().timeout {
        request.set_timeout(timeout);
    }
    let mut service = AdminServiceClient::new(client.channel());
    let flushed = service.flush_keys(request).await;
    let keys = flushed
        .map_err(|status| Failure::Call(status.into()))?
        .into_inner()
        .keys;
    let line = match is_json {
        true => json!({ "keys": keys }).to_string(),
        false => format!("{keys} data keys dropped"),
    };
    writeln!(io::stdout().lock(), "{line}").map_err(Failure::Output)?;
    Ok(Outcome::Done)
}

impl Sweep {
    async fn run(self, client: &Client, is_json: bool, is_quiet: bool) -> Result<Outcome, Failure> {
        let grace = self.grace.map(ProtoDuration::try_from).transpose();
        let request = v1::SweepRequest {
            dry_run: self.dry_run,
            grace: grace.map_err(|_| Failure::Arguments("--grace is too long".to_owned()))?,
            force: self.force,
            adopt: self.adopt,
        };
        let mut request = tonic::Request::new(request);
        if let Some(timeout) = client.options().timeout {
            request.set_timeout(timeout);
        }
        let called = |status: tonic::Status| Failure::Call(status.into());
        let mut service = AdminServiceClient::new(client.channel());
        let mut events = service.sweep(request).await.map_err(called)?.into_inner();
        let (mut spool, _) = Spool::open(None).map_err(Failure::Arguments)?;
        let progress = (!is_quiet).then(Progress::new);
        let mut counts = Counts::default();
        while let Some(message) = events.message().await.map_err(called)? {
            match message.event {
                Some(Event::Progress(sums) | Event::Finished(sums)) => {
                    counts = counts_of(&sums);
                    if let Some(progress) = &progress {
                        progress.show(&counts);
                    }
                }
                Some(found) => spool.add_line(&line(found).ok_or_else(other_version)?)?,
                // an event of a later version
                None => {}
            }
        }
        drop(progress);
        let form = if is_json { Form::Json } else { Form::Table };
        print(&mut spool, &counts, form, self.dry_run)?;
        let found = counts.orphans + counts.stray_uploads + counts.dangling;
        match self.dry_run && found > 0 {
            true => Ok(Outcome::Found),
            false => Ok(Outcome::Done),
        }
    }
}

fn other_version() -> Failure {
    Failure::Output(io::Error::other("the server is of another version"))
}

fn counts_of(sums: &v1::SweepProgress) -> Counts {
    Counts {
        objects: sums.objects,
        orphans: sums.orphans,
        // one sum for both
        orphan_bytes: sums.bytes,
        deleted: sums.deleted,
        stray_uploads: sums.stray_uploads,
        aborted: sums.aborted,
        pointers: sums.pointers,
        dangling: sums.dangling,
        adopted: sums.adopted,
        foreign: sums.foreign,
        ..Counts::default()
    }
}

fn line(found: Event) -> Option<Line> {
    match found {
        Event::Orphan(v1::OrphanObject { bucket, key, bytes }) => Some(Line::Orphan { bucket, key, bytes }),
        Event::Dangling(v1::DanglingPointer {
            table,
            item_key,
            attribute,
            bucket,
            key,
        }) => Some(Line::Dangling {
            table,
            item_key: dynamodb_json(item_key)?,
            attribute,
            bucket,
            key,
        }),
        Event::StrayUpload(v1::StrayUpload {
            bucket,
            key,
            upload_id,
            bytes,
        }) => Some(Line::StrayUpload {
            bucket,
            key,
            upload_id,
            bytes,
        }),
        Event::Progress(_) | Event::Finished(_) => None,
    }
}

/// `None` if it is not a key.
fn dynamodb_json(key: HashMap<String, v1::AttributeValue>) -> Option<serde_json::Value> {
    let value = |value: v1::AttributeValue| match value.kind? {
        Kind::S(text) => Some(json!({ "S": text })),
        Kind::N(text) => Some(json!({ "N": text })),
        Kind::B(bytes) => Some(json!({ "B": STANDARD.encode(bytes) })),
        Kind::Bool(_)
        | Kind::Null(_)
        | Kind::L(_)
        | Kind::M(_)
        | Kind::Ss(_)
        | Kind::Ns(_)
        | Kind::Bs(_)
        | Kind::Object(_) => None,
    };
    let attributes = key.into_iter().map(|(name, stored)| Some((name, value(stored)?)));
    attributes.collect::<Option<_>>().map(serde_json::Value::Object)
}
