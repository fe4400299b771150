//! What callers may do, over the embedded engines: what is refused, what is withheld, and what is never decrypted.

mod reads;
mod writes;

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::*;
use crate::aws::testing::FaultyStores;
use crate::call::Call;
use crate::caller::{Caller, Source};
use crate::crypto::Keyring;
use crate::expression::Expression;
use crate::fault::Faults;
use crate::model::{Item, Model, Models, ReturnValues, Served, Value};
use crate::policy::{Action, Known, Policies};
use crate::read::{self, PageTokens, Reader};
use crate::write::{Committer, RequestIds, TransactionTokens, UploadTokens};

const MODELS: &str = "
name: User
table: users
partition_key: pk
unknown_attributes: keep
attributes:
  pk: { type: string }
  email: { type: string }
  city: { type: string }
  age: { type: number, max: 150 }
  made: { type: datetime, generate: utc_now }
  ssn: { type: string, encrypted: { key_id: alias/a } }
indexes:
  by_email: { partition_key: email }
  by_city: { partition_key: city, sort_key: age }
---
name: Order
table: orders
partition_key: pk
attributes:
  pk: { type: string, template: 'O#{number}' }
  number: { type: string }
  total: { type: number }
---
name: Note
table: notes
partition_key: pk
attributes:
  pk: { type: string }
  title: { type: string }
  version: { type: version }
";

/// `admins` may do everything; `readers` read all but `ssn`, `age` and undeclared attributes of users; `clerks` write some
/// fields and read none; everyone may read the order that has its name.
const POLICIES: &str = r#"
permit(principal in Tollgate::Group::"admins", action, resource);
permit(principal in Tollgate::Group::"readers", action in Tollgate::Action::"read", resource)
  unless { resource is Tollgate::Field
           && [Tollgate::Field::"User.ssn", Tollgate::Field::"User.age", Tollgate::Field::"User.*"].contains(resource) };
permit(principal in Tollgate::Group::"clerks",
       action in [Tollgate::Action::"Save", Tollgate::Action::"Update", Tollgate::Action::"Delete",
                  Tollgate::Action::"BatchWrite", Tollgate::Action::"TransactWrite"],
       resource is Tollgate::Model);
permit(principal in Tollgate::Group::"clerks", action == Tollgate::Action::"WriteField", resource)
  when { [Tollgate::Field::"User.email", Tollgate::Field::"User.pk", Tollgate::Field::"Note.pk",
          Tollgate::Field::"Note.title", Tollgate::Field::"Note.version"].contains(resource) };
permit(principal, action in Tollgate::Action::"read", resource == Tollgate::Model::"Order")
  when { context has key && context.key has number && context.key.number == principal.name };
permit(principal, action == Tollgate::Action::"ReadField", resource in Tollgate::Model::"Order");
"#;

struct Harness {
    gateway: Arc<Gateway>,
    faulty: FaultyStores,
}

impl Harness {
    /// With an item of each model, which an admin wrote.
    async fn new() -> Harness {
        let models = Models::parse("models.yaml", MODELS.as_bytes()).expect("valid models");
        let faulty = FaultyStores::new(&models).await;
        let stores = faulty.stores.clone();
        let keyring = Keyring::new(stores.kms.clone(), 4);
        let key = [7; 32];
        let gateway = Arc::new(Gateway {
            models: Served::new(models.clone()),
            reader: Reader {
                stores: stores.clone(),
                keyring: keyring.clone(),
                page_tokens: PageTokens::new(&key),
                limits: read::Limits {
                    message_bytes: 1 << 20,
                    objects_in_flight: 4,
                },
            },
            committer: Committer::new(stores, keyring, TaskTracker::new()),
            transaction_tokens: Some(TransactionTokens::new(&key)),
            request_ids: Some(RequestIds::new(&key)),
            upload_tokens: UploadTokens::new(&key),
            attribute_depth: 32,
            policies: Policies::of(POLICIES, &models, Known::default()),
            has_tls: false,
        });
        let harness = Harness { gateway, faulty };
        let admin = caller("root", "admins");
        for (model, attributes) in [
            (
                "User",
                &[
                    ("pk", "A"),
                    ("email", "a@b"),
                    ("city", "Rome"),
                    ("ssn", "secret"),
                    ("extra", "x"),
                ][..],
            ),
            ("Order", &[("number", "ann"), ("pk", "O#ann")][..]),
        ] {
            let mut request = harness.save(model, attributes);
            if model == "User" {
                request.item.insert("age".to_owned(), number("42"));
            }
            save(&harness.gateway, &admin, request)
                .await
                .expect("an admin may");
        }
        harness.faulty.take_sent();
        harness
    }

    fn model(&self, name: &str) -> Arc<Model> {
        self.gateway.models.get(name).expect("it is served")
    }

    fn save(&self, model: &str, attributes: &[(&str, &str)]) -> Save {
        Save {
            model: self.model(model),
            item: item(attributes),
            condition: None,
            must_create: false,
            return_values: ReturnValues::None,
            request_id: String::new(),
            validate_only: false,
            faults: Faults::new(),
        }
    }

    fn update(&self, text: &str, values: &[(&str, Value)]) -> Update {
        Update {
            model: self.model("User"),
            key: item(&[("pk", "A")]),
            version: 0,
            update: Some(expression(text, values)),
            condition: None,
            return_values: ReturnValues::None,
            must_exist: false,
            request_id: String::new(),
            validate_only: false,
            faults: Faults::new(),
        }
    }

    fn get(&self, model: &str, key: &[(&str, &str)]) -> Get {
        Get {
            model: self.model(model),
            key: item(key),
            fields: Vec::new(),
            consistent_read: true,
            include_objects: Vec::new(),
            validate_only: false,
            faults: Faults::new(),
        }
    }

    fn delete(&self, key: &str) -> Delete {
        Delete {
            model: self.model("User"),
            key: item(&[("pk", key)]),
            version: 0,
            condition: None,
            return_old: true,
            request_id: String::new(),
            validate_only: false,
            faults: Faults::new(),
        }
    }

    fn selection(&self, model: &str) -> Selection {
        Selection {
            model: self.model(model),
            models: Vec::new(),
            index: String::new(),
            filter: None,
            fields: Vec::new(),
            limit: None,
            page_size: None,
            page_token: String::new(),
            consistent_read: false,
            include_objects: Vec::new(),
            count_only: false,
            validate_only: false,
        }
    }

    fn scan(&self, selection: Selection) -> Scan {
        Scan {
            selection,
            segment: 0,
            total_segments: 0,
            parallelism: 0,
            faults: Faults::new(),
        }
    }

    fn query(&self, selection: Selection, condition: Expression) -> Query {
        Query {
            key_condition: Some(condition),
            descending: false,
            selection,
            faults: Faults::new(),
        }
    }
}

fn caller(name: &str, group: &str) -> Call {
    caller_in(name, &[group])
}

fn caller_in(name: &str, groups: &[&str]) -> Call {
    let mut caller = Caller::new(Source::Token, "", name.to_owned(), None);
    caller.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Call::for_test().with_caller(Arc::new(caller))
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn number(text: &str) -> Value {
    Value::N(text.parse().expect("a number"))
}

fn item(attributes: &[(&str, &str)]) -> Item {
    let attributes = attributes.iter();
    attributes
        .map(|(name, value)| ((*name).to_owned(), text(value)))
        .collect()
}

fn expression(text: &str, values: &[(&str, Value)]) -> Expression {
    Expression {
        text: text.to_owned(),
        values: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..Expression::default()
    }
}

/// Action, resource and field of a refusal.
fn denied<T>(outcome: Result<T, Error>) -> (Action, String, String) {
    match outcome {
        Err(Error::Denied { path, denied }) => (denied.action, denied.resource, path),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it is permitted"),
    }
}

fn refusal(action: Action, resource: &str, path: &str) -> (Action, String, String) {
    (action, resource.to_owned(), path.to_owned())
}

fn names(item: &Item) -> Vec<&str> {
    let mut names: Vec<&str> = item.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
