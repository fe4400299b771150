//! The KMS operations: JSON requests and responses, and their limits. Never accesses the disk itself.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::error::Error;
use super::blob::{self, Blob, Context};
use super::error::Fault;
use super::names::{ACCOUNT, alias_arn};
use super::store::{MasterKey, State, Store};

const TARGET_PREFIX: &str = "TrentService.";
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";
const USAGE: &str = "ENCRYPT_DECRYPT";
/// Plaintext sizes that `Encrypt` accepts.
const PLAINTEXT_BYTES: RangeInclusive<usize> = 1..=4096;
/// Ciphertext sizes that `Decrypt` accepts.
const CIPHERTEXT_BYTES: RangeInclusive<usize> = 1..=6144;
/// Data key sizes that `GenerateDataKey` accepts.
const DATA_KEY_BYTES: RangeInclusive<usize> = 1..=1024;
/// The total size of all names and values in an encryption context.
const MAX_CONTEXT_BYTES: usize = 8192;
const MAX_DESCRIPTION_BYTES: usize = 8192;
const ALIASES_PER_PAGE: RangeInclusive<usize> = 1..=100;
const DEFAULT_ALIASES_PER_PAGE: usize = 50;

/// An operation of the KMS API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    CreateAlias,
    CreateKey,
    Decrypt,
    DescribeKey,
    DisableKey,
    EnableKey,
    Encrypt,
    GenerateDataKey,
    ListAliases,
    ReEncrypt,
}

impl Operation {
    /// Parses the `x-amz-target` header.
    pub(super) fn from_target(target: &str) -> Option<Self> {
        Some(match target.strip_prefix(TARGET_PREFIX)? {
            "CreateAlias" => Self::CreateAlias,
            "CreateKey" => Self::CreateKey,
            "Decrypt" => Self::Decrypt,
            "DescribeKey" => Self::DescribeKey,
            "DisableKey" => Self::DisableKey,
            "EnableKey" => Self::EnableKey,
            "Encrypt" => Self::Encrypt,
            "GenerateDataKey" => Self::GenerateDataKey,
            "ListAliases" => Self::ListAliases,
            "ReEncrypt" => Self::ReEncrypt,
            _ => return None,
        })
    }

    /// Whether the operation writes the key file.
    pub(super) fn changes_keys(self) -> bool {
        matches!(
            self,
            Self::CreateAlias | Self::CreateKey | Self::DisableKey | Self::EnableKey
        )
    }
}

/// Handles one request and returns the JSON body, which is zeroized on drop and empty for some operations.
pub(super) fn handle(store: &Store, operation: Operation, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let response = match operation {
        Operation::CreateAlias => {
            let request: CreateAlias = parse(body)?;
            store.create_alias(&request.alias_name, &request.target_key_id)?;
            None
        }
        Operation::CreateKey => Some(create_key(store, parse(body)?)?),
        Operation::Decrypt => return decrypt(&store.state(), &parse(body)?),
        Operation::DescribeKey => {
            let request: OneKey = parse(body)?;
            Some(json!({ "KeyMetadata": metadata(store.state().find(&request.key_id)?) }))
        }
        Operation::DisableKey | Operation::EnableKey => {
            let request: OneKey = parse(body)?;
            store.set_enabled(&request.key_id, operation == Operation::EnableKey)?;
            None
        }
        Operation::Encrypt => Some(encrypt(&store.state(), &parse(body)?)?),
        Operation::GenerateDataKey => return generate_data_key(&store.state(), &parse(body)?),
        Operation::ListAliases => Some(list_aliases(&store.state(), &parse(body)?)?),
        Operation::ReEncrypt => Some(re_encrypt(&store.state(), &parse(body)?)?),
    };
    let body = response.map_or_else(Vec::new, |response| response.to_string().into_bytes());
    Ok(Zeroizing::new(body))
}

/// The JSON object `rest` with a plaintext added. Uses one buffer of the exact size, so that no copy of the base64 text
/// stays in memory.
fn with_plaintext(rest: &Value, plaintext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    const START: &[u8] = b"{\"Plaintext\":\"";
    let rest = rest.to_string();
    let encoded_bytes = base64::encoded_len(plaintext.len(), true).ok_or(Fault::Internal)?;
    let encoded_end = START.len() + encoded_bytes;
    let mut body = Zeroizing::new(Vec::with_capacity(encoded_end + 2 + rest.len()));
    body.extend_from_slice(START);
    body.resize(encoded_end, 0);
    STANDARD
        .encode_slice(plaintext, &mut body[START.len()..])
        .map_err(|_| Fault::Internal)?;
    body.extend_from_slice(b"\",");
    body.extend(rest.bytes().skip(1));
    Ok(body)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateAlias {
    alias_name: String,
    target_key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneKey {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateKey {
    #[serde(default)]
    description: String,
    key_spec: Option<String>,
    key_usage: Option<String>,
    origin: Option<String>,
    multi_region: Option<bool>,
}

fn create_key(store: &Store, request: CreateKey) -> Result<Value, Fault> {
    let wanted = [
        (&request.key_spec, ALGORITHM),
        (&request.key_usage, USAGE),
        (&request.origin, "AWS_KMS"),
    ];
    let only = wanted
        .iter()
        .find(|(wanted, only)| wanted.as_deref().is_some_and(|wanted| wanted != *only));
    if let Some((_, only)) = only {
        return Err(Fault::Unsupported(format!(
            "the embedded KMS supports only {only} keys"
        )));
    }
    if request.multi_region == Some(true) {
        return Err(Fault::Unsupported(
            "the embedded KMS does not support multi-Region keys".to_owned(),
        ));
    }
    check_range(
        "Description",
        0..=MAX_DESCRIPTION_BYTES,
        request.description.len(),
    )?;
    Ok(json!({ "KeyMetadata": metadata(&*store.create_key(request.description)?) }))
}

fn metadata(key: &MasterKey) -> Value {
    json!({
        "AWSAccountId": ACCOUNT,
        "Arn": key.id.arn(),
        "CreationDate": key.created_at_s,
        "CustomerMasterKeySpec": ALGORITHM,
        "Description": key.description,
        "Enabled": key.enabled,
        "EncryptionAlgorithms": [ALGORITHM],
        "KeyId": key.id.to_string(),
        "KeyManager": "CUSTOMER",
        "KeySpec": ALGORITHM,
        "KeyState": if key.enabled { "Enabled" } else { "Disabled" },
        "KeyUsage": USAGE,
        "MultiRegion": false,
        "Origin": "AWS_KMS",
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateDataKey {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: Context,
}

fn generate_data_key(state: &State, request: &GenerateDataKey) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let length = match (request.key_spec.as_deref(), request.number_of_bytes) {
        (Some("AES_256"), None) => 32,
        (Some("AES_128"), None) => 16,
        (None, Some(bytes)) => check_range("NumberOfBytes", DATA_KEY_BYTES, bytes)?,
        (Some(_), None) => {
            return Err(Fault::Validation(
                "KeySpec must be one of AES_256, AES_128".to_owned(),
            ));
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(Fault::Validation(
                "Please specify either number of bytes or key spec, and not both.".to_owned(),
            ));
        }
    };
    let mut plaintext = Zeroizing::new(vec![0; length]);
    getrandom::fill(&mut plaintext).map_err(|failure| Error::System(failure.to_string()))?;
    let (key, blob) = seal(state, &request.key_id, &request.encryption_context, &plaintext)?;
    with_plaintext(
        &json!({ "CiphertextBlob": blob, "KeyId": key.id.arn() }),
        &plaintext,
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt {
    key_id: String,
    plaintext: Bytes,
    #[serde(default)]
    encryption_context: Context,
    encryption_algorithm: Option<String>,
}

fn encrypt(state: &State, request: &Encrypt) -> Result<Value, Fault> {
    check_algorithm(request.encryption_algorithm.as_deref())?;
    check_range("Plaintext", PLAINTEXT_BYTES, request.plaintext.0.len())?;
    let (key, blob) = seal(
        state,
        &request.key_id,
        &request.encryption_context,
        &request.plaintext.0,
    )?;
    Ok(json!({ "CiphertextBlob": blob, "KeyId": key.id.arn(), "EncryptionAlgorithm": ALGORITHM }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypt {
    ciphertext_blob: Bytes,
    key_id: Option<String>,
    #[serde(default)]
    encryption_context: Context,
    encryption_algorithm: Option<String>,
}

fn decrypt(state: &State, request: &Decrypt) -> Result<Zeroizing<Vec<u8>>, Fault> {
    check_algorithm(request.encryption_algorithm.as_deref())?;
    let blob = &request.ciphertext_blob.0;
    let (key, plaintext) = open(
        state,
        request.key_id.as_deref(),
        &request.encryption_context,
        blob,
    )?;
    with_plaintext(
        &json!({ "KeyId": key.id.arn(), "EncryptionAlgorithm": ALGORITHM }),
        &plaintext,
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReEncrypt {
    ciphertext_blob: Bytes,
    source_key_id: Option<String>,
    #[serde(default)]
    source_encryption_context: Context,
    source_encryption_algorithm: Option<String>,
    destination_key_id: String,
    #[serde(default)]
    destination_encryption_context: Context,
    destination_encryption_algorithm: Option<String>,
}

fn re_encrypt(state: &State, request: &ReEncrypt) -> Result<Value, Fault> {
    check_algorithm(request.source_encryption_algorithm.as_deref())?;
    check_algorithm(request.destination_encryption_algorithm.as_deref())?;
    let (source, plaintext) = open(
        state,
        request.source_key_id.as_deref(),
        &request.source_encryption_context,
        &request.ciphertext_blob.0,
    )?;
    let (destination, blob) = seal(
        state,
        &request.destination_key_id,
        &request.destination_encryption_context,
        &plaintext,
    )?;
    Ok(json!({
        "CiphertextBlob": blob,
        "SourceKeyId": source.id.arn(),
        "KeyId": destination.id.arn(),
        "SourceEncryptionAlgorithm": ALGORITHM,
        "DestinationEncryptionAlgorithm": ALGORITHM,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAliases {
    key_id: Option<String>,
    limit: Option<usize>,
    marker: Option<String>,
}

/// Returns pages ordered by name; the marker is the last name of the previous page.
fn list_aliases(state: &State, request: &ListAliases) -> Result<Value, Fault> {
    let limit = check_range(
        "Limit",
        ALIASES_PER_PAGE,
        request.limit.unwrap_or(DEFAULT_ALIASES_PER_PAGE),
    )?;
    let of_key = request
        .key_id
        .as_deref()
        .map(|name| state.find(name).map(|key| key.id))
        .transpose()?;
    let marker = request.marker.as_deref().unwrap_or_default();
    let mut rest = state
        .aliases
        .iter()
        .filter(|(name, id)| name.as_str() > marker && of_key.is_none_or(|key| key == **id))
        .peekable();
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let aliases: Vec<_> = page.iter().map(|(name, id)| {
        json!({ "AliasName": name, "AliasArn": alias_arn(name), "TargetKeyId": id.to_string() })
    }).collect();
    Ok(match (rest.peek(), page.last()) {
        (Some(_), Some((last, _))) => json!({ "Aliases": aliases, "Truncated": true, "NextMarker": last }),
        (None, _) | (_, None) => json!({ "Aliases": aliases, "Truncated": false }),
    })
}

fn seal<'a>(
    state: &'a State,
    key_name: &str,
    context: &Context,
    plaintext: &[u8],
) -> Result<(&'a MasterKey, String), Fault> {
    check_context(context)?;
    let key = state.find(key_name)?;
    let blob = blob::seal(key.id, key.material()?, context, plaintext)?;
    Ok((key, STANDARD.encode(blob)))
}

fn open<'a>(
    state: &'a State,
    key_name: Option<&str>,
    context: &Context,
    bytes: &[u8],
) -> Result<(&'a MasterKey, Zeroizing<Vec<u8>>), Fault> {
    check_context(context)?;
    check_range("CiphertextBlob", CIPHERTEXT_BYTES, bytes.len())?;
    let named = key_name.map(|name| state.find(name)).transpose()?;
    let blob = Blob::parse(bytes)?;
    let key = state.get(blob.id).ok_or(Fault::InvalidCiphertext)?;
    if named.is_some_and(|named| named.id != key.id) {
        return Err(Fault::IncorrectKey);
    }
    Ok((key, blob.open(key.material()?, context)?))
}

fn check_algorithm(wanted: Option<&str>) -> Result<(), Fault> {
    match wanted {
        None | Some(ALGORITHM) => Ok(()),
        Some(_) => Err(Fault::Validation(format!(
            "EncryptionAlgorithm must be {ALGORITHM}"
        ))),
    }
}

fn check_context(context: &Context) -> Result<(), Fault> {
    let bytes = context.iter().map(|(name, value)| name.len() + value.len()).sum();
    check_range("EncryptionContext", 0..=MAX_CONTEXT_BYTES, bytes).map(drop)
}

fn check_range(name: &str, bounds: RangeInclusive<usize>, value: usize) -> Result<usize, Fault> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (least, most) = bounds.into_inner();
    Err(Fault::Validation(format!(
        "{name} must be from {least} to {most}, got {value}"
    )))
}

fn parse<Request: DeserializeOwned>(body: &[u8]) -> Result<Request, Fault> {
    serde_json::from_slice(body).map_err(|failure| {
        // only serde's message for a missing field contains nothing from the request
        let message = failure.to_string();
        if message.starts_with("missing field") {
            Fault::Validation(message)
        } else {
            Fault::Serialization
        }
    })
}

/// Bytes from base64 text, zeroized on drop.
struct Bytes(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD
            .decode(text.as_bytes())
            .map_err(|_| D::Error::custom("not valid base64"))?;
        Ok(Self(Zeroizing::new(bytes)))
    }
}
