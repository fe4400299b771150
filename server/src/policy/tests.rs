//! Decisions of policies about the example models.

mod check;
mod decisions;
mod forms;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Access, Action, Asked, ClaimType, Compiled, Context, Known, Resource, Sources};
use crate::caller::{Caller, Claim, Source};
use crate::model::{Model, Models};

const MODELS: &str = "
name: User
table: users
partition_key: pk
sort_key: sk
unknown_attributes: keep
attributes:
  pk: { type: string, template: 'USER#{name}' }
  sk: { type: string }
  name: { type: string }
  email: { type: string }
  ssn: { type: string, encrypted: { key_id: alias/a } }
---
name: Order
table: orders
partition_key: id
attributes:
  id: { type: string }
  total: { type: number }
";

fn models() -> Models {
    Models::parse("models.yaml", MODELS.as_bytes()).expect("valid models")
}

fn model(name: &str) -> Arc<Model> {
    Arc::clone(models().get(name).expect("a model"))
}

fn known() -> Known {
    Known {
        claims: BTreeMap::from([
            ("dept".to_owned(), ClaimType::Text),
            ("level".to_owned(), ClaimType::Long),
        ]),
        groups: None,
    }
}

fn compile(text: &str) -> Result<Compiled, Vec<String>> {
    Compiled::new(&Sources::of(text), &models(), &known())
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn compiled(text: &str) -> Compiled {
    compile(text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn caller(name: &str, groups: &[&str]) -> Caller {
    let mut caller = Caller::new(
        Source::Jwt,
        "https://issuer",
        name.to_owned(),
        Some("acme".to_owned()),
    );
    caller.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    caller.with_claim("dept", Claim::Text("hr".to_owned()))
}

fn access(compiled: &Compiled, caller: &Caller, action: Action, model: &Arc<Model>) -> Option<Access> {
    let asked = Asked {
        caller: Some(caller),
        action,
        context: &Context::default(),
    };
    compiled.access(asked, model).ok()
}

fn is_allowed(
    compiled: &Compiled,
    caller: &Caller,
    action: Action,
    resource: &Resource<'_>,
    context: &Context,
) -> bool {
    let asked = Asked {
        caller: Some(caller),
        action,
        context,
    };
    compiled.authorize(asked, resource).is_ok()
}

/// Tests change one thing of a caller.
impl Caller {
    fn with_claim(mut self, name: &str, claim: Claim) -> Caller {
        self.claims.insert(name.to_owned(), claim);
        self
    }

    fn without_claims(mut self) -> Caller {
        self.claims.clear();
        self
    }
}
