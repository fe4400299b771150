//! What one call did, until its line is written: which items, which fields, and which policies decided. Bounded.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::key::hex;
use super::line::{Decision, DeniedPart, DeniedParts, Keys, Line, Models};
use super::log::{Audit, Unavailable};
use crate::caller::Caller;

/// Items whose HMACs a line lists.
const MAX_KEYS: usize = 100;
/// Names of fields or policies in one list of a line.
const MAX_NAMES: usize = 256;
/// Takes the place of further names.
const MORE: &str = "…";

/// What one call did.
pub struct Record {
    audit: Audit,
    facts: Mutex<Facts>,
}

#[derive(Default)]
struct Facts {
    keys: Vec<String>,
    keys_count: u64,
    decrypted: BTreeSet<String>,
    withheld: BTreeSet<String>,
    policies: BTreeSet<String>,
    models: BTreeSet<String>,
    denied: Vec<DeniedPart>,
    denied_count: u64,
    is_denied: bool,
}

/// How a call ended.
pub struct Ended<'a> {
    /// Who called.
    pub caller: Option<&'a Arc<Caller>>,
    /// The RPC.
    pub rpc: &'a str,
    /// The model.
    pub model: Option<&'a str>,
    /// The id of the call.
    pub request_id: &'a str,
    /// What was decided, unless a part of the call was denied.
    pub decision: Decision,
    /// The status code.
    pub code: &'static str,
}

impl Audit {
    /// Begins a call.
    ///
    /// # Errors
    ///
    /// Its line could not be written.
    pub fn begin(&self) -> Result<Arc<Record>, Unavailable> {
        if !self.admits() {
            return Err(Unavailable);
        }
        Ok(Arc::new(Record {
            audit: self.clone(),
            facts: Mutex::default(),
        }))
    }
}

impl Record {
    /// Adds an item by its identity.
    pub fn add_item(&self, identity: &[u8]) {
        let mut facts = self.facts.lock();
        facts.keys_count += 1;
        if facts.keys.len() < MAX_KEYS {
            let key = hex(&self.audit.key().item(identity));
            facts.keys.push(key);
        }
    }

    /// Adds the model of a part of a batch or transaction.
    pub fn add_model(&self, model: &str) {
        add(&mut self.facts.lock().models, [model]);
    }

    /// Adds a part of a batch or transaction that was not permitted, with the identity of its item, and the policies that
    /// denied it; none: nothing permitted it.
    pub fn denied_part<'n>(
        &self,
        model: &str,
        identity: Option<&[u8]>,
        policies: impl IntoIterator<Item = &'n str>,
    ) {
        self.denied(policies);
        let mut facts = self.facts.lock();
        facts.denied_count += 1;
        if facts.denied.len() < MAX_KEYS {
            let key = identity.map(|identity| hex(&self.audit.key().item(identity)));
            let model = model.to_owned();
            facts.denied.push(DeniedPart { model, key });
        }
    }

    /// Adds fields that were decrypted.
    pub fn add_decrypted<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        add(&mut self.facts.lock().decrypted, names);
    }

    /// Adds fields that the caller may not read.
    pub fn add_withheld<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        add(&mut self.facts.lock().withheld, names);
    }

    /// Adds policies that permitted something.
    pub fn permitted<'n>(&self, policies: impl IntoIterator<Item = &'n str>) {
        add(&mut self.facts.lock().policies, policies);
    }

    /// Adds policies that denied something; none: nothing permitted it.
    pub fn denied<'n>(&self, policies: impl IntoIterator<Item = &'n str>) {
        let mut facts = self.facts.lock();
        facts.is_denied = true;
        add(&mut facts.policies, policies);
    }

    /// Writes the line.
    pub fn end(&self, ended: &Ended<'_>) {
        let Facts {
            keys,
            keys_count,
            decrypted,
            withheld,
            policies,
            models,
            denied,
            denied_count,
            is_denied,
        } = std::mem::take(&mut *self.facts.lock());
        let decision = match ended.decision {
            Decision::Allow if is_denied => Decision::Deny,
            decision => decision,
        };
        let line = Line {
            time: SystemTime::now(),
            caller: ended.caller.map(|caller| caller.name.as_str()),
            tenant: ended.caller.and_then(|caller| caller.tenant.as_deref()),
            rpc: ended.rpc,
            model: of_models(ended.model, &models),
            key: of_items(&keys, keys_count),
            decrypted: &decrypted,
            withheld: &withheld,
            decision,
            policies: &policies,
            denied: (denied_count > 0).then_some(DeniedParts {
                first: &denied,
                count: denied_count,
            }),
            code: ended.code,
            request_id: Some(ended.request_id),
        };
        self.audit.write(line.unnumbered());
    }
}

fn of_items(keys: &[String], count: u64) -> Option<Keys<'_>> {
    match (count, keys) {
        (0, _) => None,
        (1, [key]) => Some(Keys::One(key)),
        (count, first) => Some(Keys::Several { first, count }),
    }
}

fn of_models<'a>(of_call: Option<&'a str>, of_parts: &'a BTreeSet<String>) -> Option<Models<'a>> {
    match of_parts.first() {
        None => of_call.map(Models::One),
        Some(only) if of_parts.len() == 1 => Some(Models::One(only)),
        Some(_) => Some(Models::Several(of_parts)),
    }
}

fn add<'n>(set: &mut BTreeSet<String>, names: impl IntoIterator<Item = &'n str>) {
    for name in names {
        if set.contains(name) {
            continue;
        }
        if set.len() >= MAX_NAMES {
            set.insert(MORE.to_owned());
            return;
        }
        set.insert(name.to_owned());
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Record")
    }
}
