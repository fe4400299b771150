//! Connects to the server and reads its models, as every command does first.

use std::time::Duration;

use tollgate_client::{Client, Code, Error, Model, Options, Reason};

use super::args::Args;
use super::failure::Failure;
use crate::config::environment;
use crate::fault::did_you_mean;

/// The variable to use without `--address`.
const VARIABLE: &str = "TOLLGATE_ADDRESS";
const DEFAULT_ADDRESS: &str = "http://127.0.0.1:50051";
/// The timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to the address of the arguments, else of the environment.
pub(super) async fn connect(args: &Args) -> Result<Client, Failure> {
    let (address, origin) = address(args.address.as_deref(), environment());
    let options = Options {
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

/// The address and its source. An empty variable counts as unset.
fn address(
    flag: Option<&str>,
    environment: impl IntoIterator<Item = (String, String)>,
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
    let scheme = if address.contains("://") { "" } else { "http://" };
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
            (None, "", (DEFAULT_ADDRESS, "--address")),
            (None, "host:1", ("http://host:1", VARIABLE)),
            (Some("https://host:2"), "host:1", ("https://host:2", "--address")),
        ] {
            let (address, origin) = address(flag, set(variable));
            assert_eq!((address.as_str(), origin), expected);
        }
    }
}
