//! The keys and aliases, and the file that stores them (0600). The file contains key material only wrapped by the root
//! key, and a change is on disk before it takes effect.
//!
//! `kms.json`: `format` 1; `keys`, each with `id`, `created_at_s`, `description`, `enabled` and `wrapped`; `aliases`,
//! from name to key id. `wrapped` is the base64 of: format id `0x01`, 24-byte nonce, XAES-256-GCM ciphertext of the 32
//! bytes and 16-byte tag, with purpose and key id as associated data.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::error::Error;
use super::super::keys::{Key, random_bytes};
use super::super::layout::KMS_FILE;
use super::super::place::Place;
use super::super::private_file::{read_private, replace_file};
use super::blob::length_prefixed;
use super::cipher;
use super::error::Fault;
use super::names::{KeyId, KeyName, alias_arn, check_alias};

/// The format of the file that this program writes, and the only one so far.
const FILE_FORMAT: u32 = 1;
/// The format of the `wrapped` bytes.
const WRAP_FORMAT: u8 = 1;
const PURPOSE: &[u8] = b"tollgate kms key";
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
const MAX_KEYS: usize = 10_000;
const MAX_ALIASES: usize = 10_000;

/// A KMS key.
#[derive(Clone)]
pub(super) struct MasterKey {
    pub(super) id: KeyId,
    pub(super) created_at_s: u64,
    pub(super) description: String,
    pub(super) enabled: bool,
    material: Key,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MasterKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl MasterKey {
    /// The key bytes, unless the key is disabled.
    pub(super) fn material(&self) -> Result<&Key, Fault> {
        if self.enabled {
            Ok(&self.material)
        } else {
            Err(Fault::Disabled(self.id.arn()))
        }
    }
}

/// A snapshot of all keys and aliases.
#[derive(Clone, Default)]
pub(super) struct State {
    keys: HashMap<KeyId, Arc<MasterKey>>,
    pub(super) aliases: BTreeMap<String, KeyId>,
}

impl State {
    /// Finds a key by id, ARN, alias name or alias ARN.
    pub(super) fn find(&self, name: &str) -> Result<&Arc<MasterKey>, Fault> {
        let id = match KeyName::parse(name)? {
            KeyName::Id(id) => id,
            KeyName::Alias(alias) => *self
                .aliases
                .get(alias)
                .ok_or_else(|| Fault::NotFound(format!("Alias {} is not found.", alias_arn(alias))))?,
        };
        self.get(id)
            .ok_or_else(|| Fault::NotFound(format!("Key '{}' does not exist", id.arn())))
    }

    /// The number of keys.
    pub(super) fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Finds a key by id.
    pub(super) fn get(&self, id: KeyId) -> Option<&Arc<MasterKey>> {
        self.keys.get(&id)
    }
}

/// The current state and its file.
pub(super) struct Store {
    path: Option<PathBuf>,
    root_key: Key,
    state: RwLock<Arc<State>>,
    /// Held while a change is made, so that changes follow one another.
    changing: Mutex<()>,
}

impl Store {
    /// Reads the file and unwraps every key in it.
    pub(super) fn open(place: &Place, root_key: &Key) -> Result<Self, Error> {
        let path = match place {
            Place::Memory => None,
            Place::Folder(folder) => Some(folder.join(KMS_FILE)),
        };
        let state = path
            .as_deref()
            .map_or_else(|| Ok(State::default()), |path| read_or_create(path, root_key))?;
        Ok(Self {
            path,
            root_key: root_key.clone(),
            state: RwLock::new(Arc::new(state)),
            changing: Mutex::new(()),
        })
    }

    /// The current keys and aliases.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    /// Creates a key.
    pub(super) fn create_key(&self, description: String) -> Result<Arc<MasterKey>, Fault> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let key = Arc::new(MasterKey {
            id: KeyId::from_bytes(random_bytes()?),
            created_at_s: since_epoch.as_secs(),
            description,
            enabled: true,
            material: Zeroizing::new(random_bytes()?),
        });
        self.change(|state| {
            if state.keys.len() >= MAX_KEYS {
                return Err(Fault::LimitExceeded);
            }
            state.keys.insert(key.id, Arc::clone(&key));
            Ok(())
        })?;
        Ok(key)
    }

    /// Creates an alias for an existing key.
    pub(super) fn create_alias(&self, name: &str, target: &str) -> Result<(), Fault> {
        check_alias(name)?;
        let KeyName::Id(_) = KeyName::parse(target)? else {
            return Err(Fault::Validation(
                "TargetKeyId must be a key id or key ARN".to_owned(),
            ));
        };
        self.change(|state| {
            let id = state.find(target)?.id;
            if state.aliases.contains_key(name) {
                return Err(Fault::AlreadyExists(alias_arn(name)));
            }
            if state.aliases.len() >= MAX_ALIASES {
                return Err(Fault::LimitExceeded);
            }
            state.aliases.insert(name.to_owned(), id);
            Ok(())
        })
    }

    /// Enables or disables a key.
    pub(super) fn set_enabled(&self, name: &str, enabled: bool) -> Result<(), Fault> {
        self.change(|state| {
            let key = state.find(name)?;
            let changed = MasterKey {
                enabled,
                ..MasterKey::clone(key)
            };
            state.keys.insert(changed.id, Arc::new(changed));
            Ok(())
        })
    }

    /// Changes a copy of the state, writes it to the file, then makes it current.
    fn change(&self, edit: impl FnOnce(&mut State) -> Result<(), Fault>) -> Result<(), Fault> {
        let _one_at_a_time = self.changing.lock();
        let mut state = State::clone(&self.state());
        edit(&mut state)?;
        if let Some(path) = &self.path {
            replace_file(path, &render(&state, &self.root_key)?)?;
        }
        *self.state.write() = Arc::new(state);
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: u32,
    keys: Vec<KeyEntry>,
    aliases: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    id: String,
    created_at_s: u64,
    description: String,
    enabled: bool,
    wrapped: String,
}

/// Parsed first, because a newer format may have different fields.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// Reads the file. Creates an empty one if it is missing, so that its loss is noticed later.
fn read_or_create(path: &Path, root_key: &Key) -> Result<State, Error> {
    if let Some(state) = read(path, root_key)? {
        return Ok(state);
    }
    let state = State::default();
    let text = render(&state, root_key).map_err(|_| Error::unusable(path, "cannot be encoded"))?;
    replace_file(path, &text)?;
    Ok(state)
}

/// Reads the file and unwraps every key in it; `None` if the file does not exist.
pub(super) fn read(path: &Path, root_key: &Key) -> Result<Option<State>, Error> {
    let Some(bytes) = read_private(path, MAX_FILE_BYTES)? else {
        return Ok(None);
    };
    let damaged = |problem: String| Error::unusable(path, format!("{problem}: restore it from a backup"));
    let FormatOnly { format } =
        serde_json::from_slice(&bytes).map_err(|_| damaged("not a valid key file".to_owned()))?;
    if format != FILE_FORMAT {
        let problem =
            format!("has format {format}, but this tollgate supports {FILE_FORMAT}: use a newer tollgate");
        return Err(Error::unusable(path, problem));
    }
    let file: KeyFile =
        serde_json::from_slice(&bytes).map_err(|_| damaged("not a valid key file".to_owned()))?;
    let mut state = State::default();
    for entry in file.keys {
        let id = KeyId::parse(&entry.id).ok_or_else(|| damaged("a key id is not a UUID".to_owned()))?;
        let material = unwrap(root_key, id, &entry.wrapped).ok_or_else(|| {
            let problem = format!(
                "key {id} cannot be unwrapped with root.key: restore the root.key it was created with"
            );
            Error::unusable(path, problem)
        })?;
        let KeyEntry {
            created_at_s,
            description,
            enabled,
            ..
        } = entry;
        state.keys.insert(
            id,
            Arc::new(MasterKey {
                id,
                created_at_s,
                description,
                enabled,
                material,
            }),
        );
    }
    for (name, target) in file.aliases {
        let target = KeyId::parse(&target).filter(|id| state.keys.contains_key(id));
        let target = target.ok_or_else(|| damaged(format!("{name} refers to a key that does not exist")))?;
        state.aliases.insert(name, target);
    }
    Ok(Some(state))
}

fn render(state: &State, root_key: &Key) -> Result<Vec<u8>, Fault> {
    let mut keys = Vec::with_capacity(state.keys.len());
    for key in state.keys.values() {
        keys.push(KeyEntry {
            id: key.id.to_string(),
            created_at_s: key.created_at_s,
            description: key.description.clone(),
            enabled: key.enabled,
            wrapped: wrap(root_key, key)?,
        });
    }
    keys.sort_by(|one, other| (one.created_at_s, &one.id).cmp(&(other.created_at_s, &other.id)));
    let aliases = state
        .aliases
        .iter()
        .map(|(name, id)| (name.clone(), id.to_string()))
        .collect();
    serde_json::to_vec_pretty(&KeyFile {
        format: FILE_FORMAT,
        keys,
        aliases,
    })
    .map_err(|_| Fault::Internal)
}

fn wrap(root_key: &Key, key: &MasterKey) -> Result<String, Fault> {
    let sealed = cipher::seal(
        root_key,
        &associated(WRAP_FORMAT, key.id),
        key.material.as_slice(),
    )?;
    Ok(STANDARD.encode([&[WRAP_FORMAT], sealed.as_slice()].concat()))
}

fn unwrap(root_key: &Key, id: KeyId, wrapped: &str) -> Option<Key> {
    let bytes = STANDARD.decode(wrapped).ok()?;
    let (&WRAP_FORMAT, sealed) = bytes.split_first()? else {
        return None;
    };
    let material = cipher::open(root_key, &associated(WRAP_FORMAT, id), sealed)?;
    material.as_slice().try_into().ok().map(Zeroizing::new)
}

fn associated(format: u8, id: KeyId) -> Vec<u8> {
    length_prefixed(&[PURPOSE, &[format], id.bytes()])
}
