//! Values of every type through the wire: what is stored, what comes back, and what is refused, with its path.

mod foreign;
mod keys;
mod nested;
mod types;

use tempfile::TempDir;
use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::stores::Stored;
use tollgate_tests::values::{Item, get, key, save};
use tollgate_tests::wiretap::Wiretap;

/// A gateway with one model, `Thing`, in the table `things` with the keys `pk` and `sk`.
struct Things {
    gateway: Gateway,
    wiretap: Wiretap,
    _models: TempDir,
}

impl Things {
    /// `attributes` are those beside the keys; `options` are options of the model.
    async fn with(attributes: &str, options: &str) -> Things {
        Things::of(&format!(
            "name: Thing\ntable: things\npartition_key: pk\nsort_key: sk\n{options}\nattributes:\n  pk: {{ type: string }}\n  sk: {{ type: string }}\n{attributes}\n"
        ))
        .await
    }

    async fn of(model: &str) -> Things {
        let models = tempfile::tempdir().expect("a folder");
        std::fs::write(models.path().join("thing.yaml"), model).expect("a file");
        let wiretap = Wiretap::counting();
        let gateway = Gateway::with(Setup {
            models: Some(models.path().to_owned()),
            wiretap: Some(wiretap.clone()),
            ..Setup::default()
        })
        .await;
        Things {
            gateway,
            wiretap,
            _models: models,
        }
    }

    async fn save(&self, item: Item) -> v1::SaveResponse {
        self.gateway.save(save("Thing", item)).await.ok()
    }

    /// The item `A`, `1`.
    async fn get(&self) -> v1::GetResponse {
        self.gateway.get(get("Thing", key("A", "1"))).await.ok()
    }

    /// The item `A`, `1` as it is stored.
    async fn stored(&self) -> Stored {
        let stored = self.wiretap.stores().item("things", "A", "1").await;
        stored.expect("the item is stored")
    }

    /// The paths and descriptions of the faults of a Save.
    async fn faults(&self, item: Item) -> Vec<String> {
        faults(&self.gateway.save(save("Thing", item)).await.status())
    }
}

/// The faults in a status.
fn faults(status: &tonic::Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    let details = status.get_error_details();
    let request = details.bad_request().unwrap_or_else(|| panic!("{status:?}"));
    request
        .field_violations
        .iter()
        .map(|fault| format!("{}: {}", fault.field, fault.description))
        .collect()
}

/// The item `A`, `1` with these attributes.
fn thing<const N: usize>(attributes: [(&str, v1::AttributeValue); N]) -> Item {
    let mut thing = key("A", "1");
    thing.extend(tollgate_tests::values::item(attributes));
    thing
}
