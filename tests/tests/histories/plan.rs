//! A history, decided before it begins: its items, its steps, the calls of each step, which run concurrently, and its faults.

use tollgate_tests::random::Random;

use super::content::{Slot, Written};
use super::faults::Weather;
use super::state::{Change, Condition, Effect, State, Write};

/// The bucket of all objects.
pub(crate) const BUCKET: &str = "histories";
/// Items of a history.
pub(crate) const ITEMS: usize = 3;
/// Sizes of objects; the largest has two parts.
const SIZES: [u32; 6] = [0, 1, 100, 5_000, 70_000, 300_000];
const LARGE_BYTES: u32 = 5 * 1024 * 1024 + 17;

/// The models of all histories.
pub(crate) const MODELS: &str = "
name: Plain
table: plains
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  note: { type: string }
  hits: { type: number }
  content: { type: object, s3: { bucket: histories, prefix: plains/ } }
  cover: { type: object, s3: { bucket: histories, prefix: plains/ } }
---
name: Remembered
table: remembered
partition_key: pk
sort_key: sk
idempotency: item
attributes:
  pk: { type: string }
  sk: { type: string }
  note: { type: string }
  hits: { type: number }
  content: { type: object, s3: { bucket: histories, prefix: remembered/ } }
  cover: { type: object, s3: { bucket: histories, prefix: remembered/ } }
---
name: Marked
table: marked
partition_key: pk
sort_key: sk
idempotency: { table: request-ids }
attributes:
  pk: { type: string }
  sk: { type: string }
  note: { type: string }
  hits: { type: number }
  content: { type: object, s3: { bucket: histories, prefix: marked/ } }
  cover: { type: object, s3: { bucket: histories, prefix: marked/ } }
---
name: Sealed
table: sealed
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  note: { type: string }
  hits: { type: number }
  content:
    type: object
    encrypted: { key_id: alias/my-app-key }
    s3: { bucket: histories, prefix: sealed/ }
  cover:
    type: object
    compressed: { algorithm: zstd }
    encrypted: { key_id: alias/my-app-key }
    s3: { bucket: histories, prefix: sealed/ }
---
name: Copied
table: copies
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  note: { type: string }
  content: { type: object, s3: { bucket: histories, prefix: plains/, foreign_pointers: read } }
  cover: { type: object, s3: { bucket: histories, prefix: plains/, foreign_pointers: read } }
";

/// A model of a history's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    Plain,
    /// Items remember the last request id.
    Remembered,
    /// A table remembers request ids.
    Marked,
    /// Objects are encrypted, and some compressed.
    Sealed,
    /// Holds pointers copied from `Plain`.
    Copied,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// A Save, Update or Delete.
    One(Write, i32),
    /// A BatchWrite of these.
    Batch(Vec<Write>),
    /// A TransactWrite of these.
    Transaction(Vec<Write>),
    /// A Get, then a Save with its objects and this note.
    Keep { item: usize, note: u32 },
    /// A Get with all objects.
    Get { item: usize },
    /// A Download, from this byte on.
    Download { item: usize, slot: Slot, offset: u64 },
    /// Pointers are copied into another table, and the copy is saved without them, or deleted.
    Copy { item: usize, saves: bool },
}

/// Calls that run concurrently, and their faults.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) calls: Vec<Call>,
    pub(crate) weather: Weather,
}

/// A whole history.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) model: Model,
    pub(crate) steps: Vec<Step>,
}

impl Model {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Model::Plain => "Plain",
            Model::Remembered => "Remembered",
            Model::Marked => "Marked",
            Model::Sealed => "Sealed",
            Model::Copied => "Copied",
        }
    }

    pub(crate) fn table(self) -> &'static str {
        match self {
            Model::Plain => "plains",
            Model::Remembered => "remembered",
            Model::Marked => "marked",
            Model::Sealed => "sealed",
            Model::Copied => "copies",
        }
    }

    /// The prefix of its objects.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Model::Plain | Model::Copied => "plains/",
            Model::Remembered => "remembered/",
            Model::Marked => "marked/",
            Model::Sealed => "sealed/",
        }
    }
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Plan {
        let mut maker = Maker {
            random: Random::new(seed),
            writes: 0,
            large: 0,
            model: Model::Plain,
        };
        maker.model = maker
            .random
            .pick(&[Model::Plain, Model::Plain, Model::Remembered, Model::Marked]);
        // the histories of other seeds stay what they were
        if seed % 5 == 4 {
            maker.model = Model::Sealed;
        }
        maker.large = u32::from(maker.random.once_in(12));
        let is_calm = maker.random.once_in(6);
        let steps = 3 + maker.random.below(7);
        Plan {
            seed,
            model: maker.model,
            steps: (0..steps).map(|_| maker.step(is_calm)).collect(),
        }
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.steps.iter().all(|step| step.weather.is_calm())
    }

    /// Whether every Save is sent as an Upload.
    pub(crate) fn streams(&self) -> bool {
        self.seed.is_multiple_of(2)
    }

    /// The partition key of an item.
    pub(crate) fn partition(&self, item: usize) -> String {
        format!("h{}-{item}", self.seed)
    }

    /// All items.
    pub(crate) fn items(&self) -> Vec<(Model, String)> {
        (0..ITEMS)
            .map(|item| (self.model, self.partition(item)))
            .collect()
    }
}

struct Maker {
    random: Random,
    writes: u32,
    /// Large objects that may still be written.
    large: u32,
    model: Model,
}

impl Maker {
    fn step(&mut self, is_calm: bool) -> Step {
        let calls: Vec<_> = match self.random.below(10) {
            0 => vec![self.batch()],
            1..3 => vec![self.transaction()],
            3..7 => vec![self.call()],
            7 => vec![self.call(), self.transaction()],
            8 => vec![self.call(), self.call(), self.call()],
            _ => vec![self.call(), self.call()],
        };
        let mut operations: Vec<_> = calls
            .iter()
            .flat_map(|call| call.operations(self.model))
            .collect();
        operations.sort_unstable();
        operations.dedup();
        let weather = match is_calm {
            true => Weather::calm(self.random.below(1 << 40)),
            false => Weather::random(&mut self.random, &operations),
        };
        Step { calls, weather }
    }

    fn call(&mut self) -> Call {
        let item = self.item();
        match self.random.below(20) {
            0..12 => {
                let write = self.write(item);
                let returned = match &write.effect {
                    Effect::Update(_) => self.random.below(6),
                    Effect::Save(_) | Effect::Keep { .. } => self.random.below(3),
                    Effect::Delete | Effect::Check => self.random.below(2),
                };
                Call::One(write, i32::try_from(returned).unwrap_or_default())
            }
            12..14 => Call::Keep {
                item,
                note: self.number(),
            },
            14..16 => Call::Get { item },
            16..19 => Call::Download {
                item,
                slot: self.random.pick(&Slot::ALL),
                offset: self.random.pick(&[0, 0, 1, 70]),
            },
            _ if self.model == Model::Plain => Call::Copy {
                item,
                saves: self.random.once_in(2),
            },
            _ => Call::Get { item },
        }
    }

    fn batch(&mut self) -> Call {
        let writes = 1 + self.random.below(3);
        let writes = (0..writes).map(|_| {
            let item = self.item();
            self.write(item)
        });
        Call::Batch(writes.collect())
    }

    fn transaction(&mut self) -> Call {
        let first = self.item();
        let count = 1 + usize::try_from(self.random.below(ITEMS as u64)).unwrap_or_default();
        let writes = (0..count).map(|number| {
            let item = (first + number) % ITEMS;
            match self.random.once_in(8) {
                true => Write {
                    item,
                    condition: self.random.pick(&[Condition::Exists, Condition::Missing]),
                    effect: Effect::Check,
                },
                false => self.write(item),
            }
        });
        Call::Transaction(writes.collect())
    }

    fn write(&mut self, item: usize) -> Write {
        let condition = match self.random.below(8) {
            0 => Condition::Exists,
            1 => Condition::Missing,
            _ => Condition::None,
        };
        let effect = match self.random.below(8) {
            0..4 => self.save(),
            4..7 => self.update(),
            _ => Effect::Delete,
        };
        Write {
            item,
            condition,
            effect,
        }
    }

    fn save(&mut self) -> Effect {
        let write = self.number();
        let mut state = State {
            note: Some(write),
            ..State::default()
        };
        for slot in Slot::ALL {
            let object = self.random.below(4) > 0 || slot == Slot::Content;
            state.set_object(slot, object.then(|| self.object(write, slot)));
        }
        Effect::Save(state)
    }

    fn update(&mut self) -> Effect {
        let write = self.number();
        let mut change = Change {
            note: (!self.random.once_in(3)).then_some(write),
            count: self.random.once_in(3),
            ..Change::default()
        };
        for slot in Slot::ALL {
            match self.random.below(4) {
                0 => change.set.push(self.object(write, slot)),
                1 => change.remove.push(slot),
                _ => {}
            }
        }
        if change.set.is_empty() && change.remove.is_empty() && !change.count {
            change.note = Some(write);
        }
        Effect::Update(change)
    }

    fn object(&mut self, write: u32, slot: Slot) -> Written {
        let is_large = self.large > 0 && self.random.once_in(3);
        self.large -= u32::from(is_large);
        let bytes = match is_large {
            true => LARGE_BYTES,
            false => self.random.pick(&SIZES),
        };
        Written { write, slot, bytes }
    }

    fn item(&mut self) -> usize {
        usize::try_from(self.random.below(ITEMS as u64)).unwrap_or_default()
    }

    fn number(&mut self) -> u32 {
        self.writes += 1;
        self.writes
    }
}

impl Call {
    /// The writes of the call.
    fn writes(&self) -> &[Write] {
        match self {
            Call::One(write, _) => std::slice::from_ref(write),
            Call::Batch(writes) | Call::Transaction(writes) => writes,
            Call::Keep { .. } | Call::Get { .. } | Call::Download { .. } | Call::Copy { .. } => &[],
        }
    }

    /// The operations that the call may send.
    fn operations(&self, model: Model) -> Vec<&'static str> {
        let mut operations = vec!["GetItem", "DeleteObject"];
        if model == Model::Sealed {
            operations.extend(["GenerateDataKey", "Decrypt"]);
        }
        for write in self.writes() {
            let (commit, objects): (_, Vec<_>) = match &write.effect {
                Effect::Save(state) => ("PutItem", state.objects().collect()),
                Effect::Update(change) => ("UpdateItem", change.set.clone()),
                Effect::Delete => ("DeleteItem", Vec::new()),
                Effect::Keep { .. } | Effect::Check => ("TransactWriteItems", Vec::new()),
            };
            operations.push(match model {
                Model::Marked => "TransactWriteItems",
                Model::Plain | Model::Remembered | Model::Sealed | Model::Copied => commit,
            });
            operations.extend(objects.into_iter().flat_map(uploads));
        }
        operations.extend::<&[_]>(match self {
            Call::Transaction(_) => &["TransactWriteItems", "BatchGetItem"],
            Call::Keep { .. } => &["PutItem", "TransactWriteItems"],
            Call::Get { .. } | Call::Download { .. } => &["GetObject"],
            Call::Copy { .. } => &["PutItem", "DeleteItem"],
            Call::One(..) | Call::Batch(_) => &[],
        });
        operations
    }
}

/// The operations that upload an object.
fn uploads(object: Written) -> Vec<&'static str> {
    match object.bytes == LARGE_BYTES {
        true => vec![
            "CreateMultipartUpload",
            "UploadPart",
            "CompleteMultipartUpload",
            "AbortMultipartUpload",
        ],
        false => vec!["PutObject"],
    }
}
