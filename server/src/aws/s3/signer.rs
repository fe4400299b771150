//! What signs URLs: a client, and the time until its credentials expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    self, ProvideCredentials, SharedCredentialsProvider, future::ProvideCredentials as Provided,
};
use parking_lot::Mutex;

/// Signs URLs with the credentials of its client.
#[derive(Clone, Debug)]
pub(in crate::aws) struct Signer {
    pub(super) client: aws_sdk_s3::Client,
    pub(super) expiry: CredentialExpiry,
}

/// When the credentials of a signer expire, as far as its provider has returned any.
#[derive(Clone, Debug, Default)]
pub(in crate::aws) struct CredentialExpiry(Arc<Mutex<Option<SystemTime>>>);

/// Passes on credentials, and remembers when they expire.
#[derive(Debug)]
struct Watched {
    provider: SharedCredentialsProvider,
    expiry: CredentialExpiry,
}

impl Signer {
    /// A signer whose credentials never expire, or are watched by `expiry`.
    pub(in crate::aws) fn new(client: aws_sdk_s3::Client, expiry: CredentialExpiry) -> Signer {
        Signer { client, expiry }
    }
}

impl CredentialExpiry {
    /// A provider of the same credentials, which records when they expire.
    pub(in crate::aws) fn watch(&self, provider: SharedCredentialsProvider) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Watched {
            provider,
            expiry: self.clone(),
        })
    }

    /// The time that is left from `start`, in whole seconds; `None`: any.
    pub(super) fn rest(&self, start: SystemTime) -> Option<Duration> {
        let expiry = (*self.0.lock())?;
        let rest = expiry.duration_since(start).unwrap_or_default();
        Some(Duration::from_secs(rest.as_secs()))
    }
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(async move {
            let provided: provider::Result = self.provider.provide_credentials().await;
            let credentials: Credentials = provided?;
            *self.expiry.0.lock() = credentials.expiry();
            Ok(credentials)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[tokio::test]
    async fn the_life_of_credentials_is_watched() {
        let expiry = CredentialExpiry::default();
        let start = UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(expiry.rest(start), None);
        let until = |seconds: u64| Some(start + Duration::from_millis(seconds * 1000 + 900));
        for (expires, rest) in [
            (until(7), Some(Duration::from_secs(7))),
            (Some(UNIX_EPOCH), Some(Duration::ZERO)),
            (None, None),
        ] {
            let credentials = Credentials::new("id", "secret", None, expires, "test");
            let watched = expiry.watch(SharedCredentialsProvider::new(credentials));
            watched.provide_credentials().await.unwrap();
            assert_eq!(expiry.rest(start), rest);
        }
    }
}
