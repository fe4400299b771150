//! Connects to the server and reads its models, as every command does first.

use std::path::PathBuf;
use std::time::Duration;

use tollgate_client::{Client, ClientIdentity, Code, Error, Model, Options, Reason};

use super::args::Args;
use super::failure::Failure;
use crate::config::environment;
use crate::fault::did_you_mean;
use crate::trusted_file::{self, Readers};

/// The variable to use without `--address`.
const VARIABLE: &str = "TOLLGATE_ADDRESS";
const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";
/// Larger files are not what the flags ask for.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the address of the arguments, else of the environment.
pub(super) async fn connect(args: &Args) -> Result<Client, Failure> {
    let credentials = Credentials::read(args)?;
    let scheme = if credentials.uses_tls() {
        "https://"
    } else {
        "http://"
    };
    let (address, origin) = address(args.address.as_deref(), environment(), scheme);
    let options = Options {
        ca_certificate_pem: credentials.ca,
        identity: credentials.identity,
        bearer: credentials.token,
        timeout: args.timeout,
        connect_timeout: args.timeout.unwrap_or(CONNECT_TIMEOUT).min(CONNECT_TIMEOUT),
        ..Options::default()
    };
    let client = Client::connect_with(&address, options).await;
    client.map_err(|error| match error.code() {
        Code::InvalidArgument => Failure::Arguments(format!("{origin}: {}", error.message())),
        _ => {
            let hint = format!("is tollgate running? Set its address with --address or {VARIABLE}");
            Failure::Placed(error, hint)
        }
    })
}

/// The files that the arguments name.
struct Credentials {
    ca: Option<String>,
    identity: Option<ClientIdentity>,
    token: Option<String>,
}

impl Credentials {
    fn read(args: &Args) -> Result<Credentials, Failure> {
        let read = |flag: &str, path: &Option<PathBuf>, readers| {
            let Some(path) = path else { return Ok(None) };
            let content = trusted_file::read(path, readers, MAX_FILE_BYTES);
            let content = content.map_err(|error| error.to_string()).and_then(|content| {
                let text = std::str::from_utf8(&content).map(str::to_owned);
                text.map_err(|_| "is not text".to_owned())
            });
            let placed = |text| Failure::Arguments(format!("{flag}: {} {text}", path.display()));
            content.map(Some).map_err(placed)
        };
        let certificate = read("--cert", &args.cert, Readers::Anyone)?;
        let key = read("--key", &args.key, Readers::OwnerAndGroup)?;
        let token = read("--token-file", &args.token_file, Readers::OwnerAndGroup)?;
        Ok(Credentials {
            ca: read("--ca", &args.ca, Readers::Anyone)?,
            identity: certificate
                .zip(key)
                .map(|(certificate_pem, key_pem)| ClientIdentity {
                    certificate_pem,
                    key_pem,
                }),
            token: token.map(|token| token.trim().to_owned()),
        })
    }

    fn uses_tls(&self) -> bool {
        self.ca.is_some() || self.identity.is_some()
    }
}

/// The address and its source; `scheme` is that of an address without one. An empty variable counts as unset.
fn address(
    flag: Option<&str>,
    environment: impl IntoIterator<Item = (String, String)>,
    scheme: &str,
) -> (String, &'static str) {
    let from_environment = || {
        let mut variables = environment.into_iter();
        let found = variables.find(|(name, value)| name == VARIABLE && !value.is_empty());
        found.map(|(_, value)| (value, VARIABLE))
    };
    let flag = flag.map(|flag| (flag.to_owned(), "--address"));
    let (address, origin) = flag
        .or_else(from_environment)
        .unwrap_or_else(|| (DEFAULT_ADDRESS.to_owned(), "--address"));
    let scheme = if address.contains("://") { "" } else { scheme };
    (format!("{scheme}{address}"), origin)
}

/// The model of this name; if there is none, the error suggests the nearest name.
pub(super) async fn model(client: &Client, name: &str) -> Result<Model, Failure> {
    match client.model(name).await {
        Ok(model) => Ok(model),
        Err(error) => Err(nearest_model(client, name, error).await),
    }
}

/// The failure of a call with a model name, with a hint if the name is nearly right.
pub(super) async fn nearest_model(client: &Client, name: &str, error: Error) -> Failure {
    let is_hinted = error.message().contains("did you mean");
    if error.reason() != Some(Reason::UnknownModel) || is_hinted {
        return error.into();
    }
    // without the list there is no hint
    let models = client.models().await.unwrap_or_default();
    let names = models.iter().map(|model| model.name.as_str());
    match did_you_mean(name, names).trim() {
        "" => error.into(),
        near => Failure::Placed(error, near.trim_matches(['(', ')']).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_overrides_the_variable() {
        let set = |value: &str| [(VARIABLE.to_owned(), value.to_owned())];
        for (flag, variable, expected) in [
            (None, "", ("http://127.0.0.1:50051", "--address")),
            (None, "host:1", ("http://host:1", VARIABLE)),
            (Some("https://host:2"), "host:1", ("https://host:2", "--address")),
        ] {
            let (address, origin) = address(flag, set(variable), "http://");
            assert_eq!((address.as_str(), origin), expected);
        }
    }
}
