//! Makes the calls of a step, and records what each reports. A call that is left has the events of before.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::batch_write_response::Result as BatchResult;
use tollgate_proto::{Reason, v1};
use tollgate_tests::values::{Item, delete, get, key, save};
use tonic::Status;
use tonic_types::{RpcStatusExt as _, StatusExt as _};

use super::content::{Slot, Written};
use super::faults::Weather;
use super::plan::{Call, Model};
use super::process::{Calls, Process};
use super::requests::{Request, Target, uploading};
use super::state::{Condition, Effect, Event, State, Verdict, Write};
use super::store::write_of;

type Client = v1::data_service_client::DataServiceClient<Calls>;

/// The error of a content that ended early in all attempts.
const TRUNCATED: &str = "content ends before its announced length";
/// Repeats of a call with a request id that may not have been applied.
const ATTEMPTS: usize = 3;

/// One call of a step, and what is known of it.
pub(crate) struct Caller<'a> {
    pub(crate) call: &'a Call,
    pub(crate) model: Model,
    /// The partition keys of all items.
    pub(crate) partitions: &'a [String],
    pub(crate) request_id: String,
    pub(crate) known: Mutex<Known>,
    /// No other call of the step may overwrite what an item remembers of this one.
    is_alone: bool,
    /// A Save is sent as an Upload.
    streams: bool,
    /// Contents may end early again and again, as those of objects that are truncated in S3.
    may_truncate: bool,
    was_sent: AtomicBool,
}

/// What is known of a call.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) events: Vec<Event>,
    /// Reports that are wrong whatever happened.
    pub(crate) wrong: Vec<String>,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(
        call: &'a Call,
        model: Model,
        partitions: &'a [String],
        request_id: String,
        is_alone: bool,
        streams: bool,
    ) -> Caller<'a> {
        let caller = Caller {
            call,
            model,
            partitions,
            request_id,
            known: Mutex::default(),
            is_alone,
            streams,
            may_truncate: false,
            was_sent: AtomicBool::new(false),
        };
        caller.report(caller.unknown());
        caller
    }

    /// A caller who knows the faults of the step.
    pub(crate) fn in_weather(self, weather: &Weather) -> Caller<'a> {
        Caller {
            may_truncate: weather.may_truncate(),
            ..self
        }
    }

    /// The events of a call that reported nothing.
    fn unknown(&self) -> Vec<Event> {
        match self.call {
            Call::One(write, _) => vec![Event::Write(vec![write.clone()], Verdict::Unknown)],
            Call::Batch(writes) => {
                let each = writes.iter().cloned();
                each.map(|write| Event::Write(vec![write], Verdict::Unknown))
                    .collect()
            }
            Call::Transaction(writes) => vec![Event::Write(writes.clone(), Verdict::Unknown)],
            Call::Keep { .. } | Call::Get { .. } | Call::Download { .. } | Call::Copy { .. } => Vec::new(),
        }
    }

    /// Whether the call may be repeated with its id, and is applied once.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self.call {
            Call::Transaction(_) => self.model == Model::Marked,
            Call::One(write, _) => match self.model {
                Model::Marked => true,
                Model::Remembered => self.is_alone && !matches!(write.effect, Effect::Delete),
                Model::Plain | Model::Sealed | Model::Copied => false,
            },
            Call::Batch(_)
            | Call::Keep { .. }
            | Call::Get { .. }
            | Call::Download { .. }
            | Call::Copy { .. } => false,
        }
    }

    /// Whether it is not known what became of the call.
    pub(crate) fn is_open(&self) -> bool {
        let known = self.known.lock();
        known
            .events
            .iter()
            .any(|event| matches!(event, Event::Write(_, Verdict::Unknown)))
    }

    /// Makes the call.
    pub(crate) async fn run(&self, process: &Process) {
        let mut client = process.data();
        match self.call {
            Call::One(write, returned) => {
                let verdict = self.repeat(async || self.one(&mut process.data(), write, *returned).await);
                let verdict = verdict.await;
                self.report(vec![Event::Write(vec![write.clone()], verdict)]);
            }
            Call::Transaction(writes) => {
                let verdict = self.repeat(async || self.transaction(&mut process.data(), writes).await);
                let verdict = verdict.await;
                self.report(vec![Event::Write(writes.clone(), verdict)]);
            }
            Call::Batch(writes) => self.batch(&mut client, writes).await,
            Call::Keep { item, note } => self.keep(&mut client, *item, *note).await,
            Call::Get { item } => {
                let found = self.get(&mut client, *item).await;
                self.report(
                    found
                        .map(|(state, _)| Event::Read(*item, state))
                        .into_iter()
                        .collect(),
                );
            }
            Call::Download { item, slot, offset } => self.download(&mut client, *item, *slot, *offset).await,
            Call::Copy { item, saves } => self.copy(&mut client, *item, *saves).await,
        }
    }

    fn report(&self, events: Vec<Event>) {
        self.known.lock().events = events;
    }

    fn wrong(&self, what: impl Into<String>) {
        self.known.lock().wrong.push(what.into());
    }

    fn target(&self, item: usize) -> Target<'_> {
        Target {
            model: self.model,
            partition: &self.partitions[item],
            request_id: &self.request_id,
        }
    }

    async fn repeat(&self, call: impl AsyncFn() -> Verdict) -> Verdict {
        let attempts = if self.is_repeatable() { ATTEMPTS } else { 1 };
        for _ in 0..attempts {
            let is_first = !self.was_sent.swap(true, Ordering::Relaxed);
            match call().await {
                Verdict::Applied => return Verdict::Applied,
                // an error of a repeat says nothing about the attempts before it
                verdict @ (Verdict::Unmet | Verdict::Refused(_)) if is_first => return verdict,
                Verdict::Unmet => break,
                Verdict::Refused(_) | Verdict::Unknown => {}
            }
        }
        Verdict::Unknown
    }

    async fn one(&self, client: &mut Client, write: &Write, returned: i32) -> Verdict {
        let request = self.target(write.item).request(write, returned);
        let outcome = match request {
            Request::Save(save) if self.streams => {
                client.upload(stream::iter(uploading(save))).await.map(drop)
            }
            Request::Save(save) => client.save(save).await.map(drop),
            Request::Update(update) => client.update(update).await.map(drop),
            Request::Delete(delete) => client.delete(delete).await.map(drop),
            Request::Check(_) => return Verdict::Refused("not a call".to_owned()),
        };
        self.verdict(outcome)
    }

    async fn transaction(&self, client: &mut Client, writes: &[Write]) -> Verdict {
        let operations = writes.iter().map(|write| {
            let request = self.target(write.item).request(write, 0);
            request.in_transaction()
        });
        let request_id = match self.is_repeatable() {
            true => self.request_id.clone(),
            false => String::new(),
        };
        let request = v1::TransactWriteRequest {
            operations: operations.collect(),
            request_id,
            ..v1::TransactWriteRequest::default()
        };
        self.verdict(client.transact_write(request).await.map(drop))
    }

    async fn batch(&self, client: &mut Client, writes: &[Write]) {
        let requests = writes.iter().enumerate().map(|(index, write)| {
            let request_id = format!("{}-{index}", self.request_id);
            let target = Target {
                request_id: &request_id,
                ..self.target(write.item)
            };
            target.request(write, 0).in_batch()
        });
        let requests: Vec<_> = requests.collect();
        let mut responses = match client.batch_write(stream::iter(requests)).await {
            Ok(responses) => responses.into_inner(),
            Err(status) => {
                let verdict = self.verdict::<()>(Err(status));
                let refused = writes
                    .iter()
                    .map(|write| Event::Write(vec![write.clone()], verdict.clone()));
                return self.report(refused.collect());
            }
        };
        while let Some(Ok(response)) = responses.next().await {
            let index = response.index as usize;
            let verdict = match response.result {
                Some(BatchResult::Error(error)) => {
                    let reason = error.get_details_error_info().map(|info| info.reason);
                    self.verdict_of(reason.as_deref(), &error.message)
                }
                _ => Verdict::Applied,
            };
            if let Some(event) = self.known.lock().events.get_mut(index) {
                *event = Event::Write(vec![writes[index].clone()], verdict);
            }
        }
    }

    async fn keep(&self, client: &mut Client, item: usize, note: u32) {
        let Some((Some(seen), found)) = self.get(client, item).await else {
            return;
        };
        let write = Write {
            item,
            condition: Condition::None,
            effect: Effect::Keep { note, seen },
        };
        self.report(vec![Event::Write(vec![write.clone()], Verdict::Unknown)]);
        let outcome = client.save(self.target(item).keep(found, note)).await;
        let verdict = self.verdict(outcome.map(drop));
        self.report(vec![Event::Write(vec![write], verdict)]);
    }

    /// The item with its objects as the caller sees it; none if the call fails.
    async fn get(&self, client: &mut Client, item: usize) -> Option<(Option<State>, Item)> {
        let request = v1::GetRequest {
            include_objects: Slot::ALL.map(|slot| slot.name().to_owned()).into(),
            consistent_read: true,
            ..get(self.model.name(), self.target(item).key())
        };
        match client.get(request).await {
            Ok(response) => {
                let response = response.into_inner();
                if !response.unreadable.is_empty() {
                    self.wrong(format!("unreadable: {:?}", response.unreadable));
                }
                match state(&response.item) {
                    Ok(state) => Some((Some(state), response.item)),
                    Err(what) => {
                        self.wrong(format!("a Get of item {item} returned {what}"));
                        None
                    }
                }
            }
            Err(status) => match reason(&status).as_deref() {
                Some("ITEM_NOT_FOUND") => Some((None, Item::new())),
                _ => {
                    self.verdict::<()>(Err(status));
                    None
                }
            },
        }
    }

    async fn download(&self, client: &mut Client, item: usize, slot: Slot, offset: u64) {
        let request = v1::DownloadRequest {
            model: self.model.name().to_owned(),
            key: self.target(item).key(),
            attribute: slot.name().to_owned(),
            offset,
            consistent_read: true,
            ..v1::DownloadRequest::default()
        };
        match receive(client, request).await {
            Ok((object, content)) => {
                let written = Written::from_name(&object.name);
                let expected = written.map(|written| written.content().slice(offset as usize..));
                match written {
                    Some(written) if expected.as_deref() == Some(&content) && written.slot == slot => {
                        self.report(vec![Event::ReadObject(item, slot, Some(written))]);
                    }
                    _ => self.wrong(format!(
                        "a Download of item {item} returned another content: {object:?}"
                    )),
                }
            }
            Err(status) => match reason(&status).as_deref() {
                Some("ITEM_NOT_FOUND") => self.report(vec![Event::ReadObject(item, slot, None)]),
                // beyond its end
                Some("INVALID_FIELD") if offset > 0 => {}
                _ => _ = self.verdict::<()>(Err(status)),
            },
        }
    }

    async fn copy(&self, client: &mut Client, item: usize, saves: bool) {
        let copy = key(&self.partitions[item], "V1");
        let name = Model::Copied.name();
        let outcome = match saves {
            true => client.save(save(name, copy)).await.map(drop),
            false => client.delete(delete(name, copy)).await.map(drop),
        };
        self.verdict(outcome);
    }

    fn verdict<T>(&self, outcome: Result<T, Status>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Applied,
            Err(status) => self.verdict_of(reason(&status).as_deref(), &status.to_string()),
        }
    }

    fn verdict_of(&self, reason: Option<&str>, text: &str) -> Verdict {
        let Some(known) = reason.and_then(Reason::from_text) else {
            self.wrong(format!("an error without a reason: {text}"));
            return Verdict::Unknown;
        };
        match known {
            Reason::ConditionFailed | Reason::TransactionCancelled | Reason::AlreadyExists => Verdict::Unmet,
            Reason::Throttled
            | Reason::StoreUnavailable
            | Reason::TransactionConflict
            | Reason::ObjectChanged
            // an error whose body ends too early
            | Reason::StoreRefused
            | Reason::RequestInFlight => Verdict::Refused(known.as_str().to_owned()),
            Reason::ObjectInvalid if self.may_truncate && text.contains(TRUNCATED) => {
                Verdict::Refused(known.as_str().to_owned())
            }
            Reason::OutcomeUnknown | Reason::DeadlineExceeded | Reason::Cancelled => Verdict::Unknown,
            _ => {
                self.wrong(format!("an unexpected error: {text}"));
                Verdict::Unknown
            }
        }
    }
}

fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// The object and the bytes of a Download.
async fn receive(client: &mut Client, request: v1::DownloadRequest) -> Result<(v1::Object, Vec<u8>), Status> {
    let mut messages = client.download(request).await?.into_inner();
    let (mut object, mut content) = (v1::Object::default(), Vec::new());
    while let Some(message) = messages.next().await {
        let message = message?;
        if let Some(described) = message.object {
            object = described;
        }
        content.extend_from_slice(&message.data);
    }
    Ok((object, content))
}

/// The state of an item of the contract, each of its objects with its content.
fn state(found: &Item) -> Result<State, String> {
    let mut state = State::default();
    for (name, value) in found {
        match (
            &value.kind,
            Slot::ALL.into_iter().find(|slot| slot.name() == name),
        ) {
            (Some(Kind::Object(object)), Some(slot)) => {
                let written = Written::from_name(&object.name).filter(|written| written.slot == slot);
                let written = written.ok_or_else(|| format!("an object named {:?}", object.name))?;
                if object.data.as_deref() != Some(&written.content()) {
                    return Err(format!("another content of {}", object.name));
                }
                state.set_object(slot, Some(written));
            }
            (Some(Kind::S(note)), _) if name == "note" => state.note = write_of(note),
            (Some(Kind::N(hits)), _) if name == "hits" => state.hits = hits.parse().unwrap_or_default(),
            _ => {}
        }
    }
    Ok(state)
}
