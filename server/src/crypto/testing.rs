//! Keyrings for tests, over the embedded KMS.

use super::Keyring;
use crate::aws::testing::FaultyStores;
use crate::model::testing::{encrypted, model};
use crate::model::{AttributeType, Models};

/// A KMS key that only [`two_keys`] creates.
pub(crate) const OTHER_KEY_ID: &str = "alias/other";

/// A keyring over a KMS with the key [`KEY_ID`](crate::model::testing::KEY_ID).
pub(crate) async fn keyring() -> Keyring {
    keyring_for(&[]).await
}

/// A keyring over a KMS with the keys [`KEY_ID`](crate::model::testing::KEY_ID) and [`OTHER_KEY_ID`].
pub(crate) async fn two_keys() -> Keyring {
    keyring_for(&[OTHER_KEY_ID]).await
}

async fn keyring_for(further_key_ids: &[&str]) -> Keyring {
    let mut attributes = vec![encrypted("ssn", AttributeType::String)];
    for key_id in further_key_ids {
        let mut other = encrypted("phone", AttributeType::String);
        if let Some(encryption) = &mut other.encrypted {
            encryption.key_id = (*key_id).to_owned();
        }
        attributes.push(other);
    }
    let stores = FaultyStores::new(&Models::new([model(attributes)])).await.stores;
    Keyring::new(stores.kms, 4)
}
