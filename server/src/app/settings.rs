//! Translates the settings into those of each part.

use super::error::Error;
use crate::aws;
use crate::billing::{Bounds, TrailerChoice};
use crate::capacity::{CallerEntry, CallerLimits};
use crate::config::{self, Backend, ClientCertificates, Config, Trailer};
use crate::crypto::{CacheLimits, Keyring};
use crate::listener;
use crate::model::Models;
use crate::policy::{ClaimType, Known, Policies};
use crate::serve::Missing;
use crate::sweep;
use crate::tls::{self, Certificates};
use crate::transport::layer;

pub(super) fn aws(config: &Config) -> aws::Settings {
    aws::Settings {
        region: config.aws.region.clone(),
        endpoint_url: config.aws.endpoint_url.clone(),
        s3_in_flight: config.s3.in_flight,
        s3_public_url: config.s3.public_url.clone(),
        ..aws::Settings::default()
    }
}

pub(super) fn keyring(config: &Config, stores: &aws::Stores) -> Keyring {
    let keyring = Keyring::new(stores.kms.clone(), config.kms.in_flight).with_rate(config.kms.rate);
    match &config.kms.cache {
        None => keyring,
        Some(cache) => keyring.with_cache(CacheLimits {
            max_age: cache.max_age,
            max_uses: cache.max_uses as u64,
            max_bytes: cache.max_bytes as u64,
            max_entries: cache.max_entries,
        }),
    }
}

pub(super) fn accounting(config: &Config) -> Bounds {
    Bounds {
        session_idle: config.sessions.idle,
        session_max: config.sessions.max,
        finished_calls: config.finished_calls,
    }
}

pub(super) fn connections(config: &Config) -> listener::Limits {
    let limits = &config.limits;
    listener::Limits {
        connections: limits.connections,
        connections_per_peer: limits.connections_per_peer,
        streams_per_connection: u32::try_from(limits.streams_per_connection).unwrap_or(u32::MAX),
        handshake: limits.handshake,
        idle: limits.idle,
        age: limits.connection_age,
    }
}

/// The files of TLS; `None`: no TLS.
pub(super) fn tls(config: &Config) -> Option<tls::Settings> {
    let tls = &config.tls;
    let (certificate, key) = tls.certificate.clone().zip(tls.key.clone())?;
    Some(tls::Settings {
        certificate,
        key,
        client_ca: tls.client_ca.clone(),
        requires_client_certificate: tls.client_certificates != Some(ClientCertificates::Request),
    })
}

/// What the listener lacks to be reachable from other machines; `None` if nothing, or if `insecure` is set.
pub(super) fn missing_protection(config: &Config, tls: Option<&Certificates>) -> Option<Missing> {
    let has_auth = config.auth.is_configured();
    match tls {
        _ if config.insecure => None,
        None if has_auth => Some(Missing::TlsOfCredentials),
        None => Some(Missing::Tls),
        Some(tls) if has_auth || tls.requires_client_certificate() => None,
        Some(_) => Some(Missing::Authentication),
    }
}

/// The policies of the settings; none if there is no folder.
pub(super) fn policies(config: &Config, models: &Models) -> Result<Policies, Error> {
    let Some(folder) = config.policies.clone() else {
        return Ok(Policies::default());
    };
    if !config.auth.is_configured() {
        return Err(Error::PoliciesWithoutAuth);
    }
    let settings = config.clone();
    let known = move || known_to_policies(&settings);
    Policies::open(folder, models, known).map_err(Error::Policies)
}

/// What policies may name beside the models: claims that issuers declare, and groups, unless issuers or the file of tokens
/// decide which there are.
pub fn known_to_policies(config: &Config) -> Known {
    let auth = &config.auth;
    let claims = auth.jwt.iter().flat_map(|issuer| &issuer.claims);
    let claims = claims.map(|(name, kind)| (name.clone(), claim_type(*kind)));
    let is_open = auth.tokens.is_some() || auth.jwt.iter().any(|issuer| issuer.groups_claim.is_some());
    let groups = auth.certificate_callers.values();
    let groups = groups.flat_map(|member| member.groups.iter().cloned());
    Known {
        claims: claims.collect(),
        groups: (!is_open && auth.is_configured()).then(|| groups.collect()),
    }
}

fn claim_type(kind: config::ClaimType) -> ClaimType {
    match kind {
        config::ClaimType::String => ClaimType::Text,
        config::ClaimType::Long => ClaimType::Long,
        config::ClaimType::Bool => ClaimType::Boolean,
        config::ClaimType::StringSet => ClaimType::Texts,
    }
}

/// The limits of each caller.
fn callers(limits: &config::Limits) -> CallerLimits {
    let entry = |limits: &config::CallerLimits| CallerEntry {
        in_flight: limits.in_flight.map(f64::from),
        calls_per_second: limits.calls_per_second,
        rcu_per_second: limits.rcu_per_second,
        wcu_per_second: limits.wcu_per_second,
        cost_usd_per_hour: limits.cost_usd_per_hour,
    };
    let named = limits.callers.iter();
    CallerLimits {
        per_caller: entry(&limits.per_caller),
        callers: named
            .map(|(name, limits)| (name.clone(), entry(limits)))
            .collect(),
    }
}

pub(super) fn calls(config: &Config) -> layer::Settings {
    let has = |trailer| config.trailers.contains(&trailer);
    layer::Settings {
        in_flight: config.limits.in_flight,
        adaptive: config.limits.adaptive,
        callers: callers(&config.limits),
        in_flight_per_connection: config.limits.in_flight_per_connection(),
        memory: config.limits.memory(),
        message_bytes: config.limits.message_bytes,
        deadline: config.limits.deadline,
        deadline_max: config.limits.deadline_max,
        stream_deadline_max: config.limits.stream_deadline_max,
        receive: config.limits.receive,
        slow: config.log.slow,
        trailers: TrailerChoice {
            call: has(Trailer::Call),
            session: has(Trailer::Session),
            orca: has(Trailer::Orca),
            server_timing: has(Trailer::ServerTiming),
        },
    }
}

pub(super) fn sweep(config: &Config) -> sweep::Options {
    sweep::Options {
        dry_run: false,
        grace: config.sweep.grace,
        least_grace: config.limits.stream_deadline_max * 2,
        force: false,
        adopt: false,
        rate: u32::try_from(config.sweep.rate).unwrap_or(u32::MAX),
        held: sweep::MAX_HELD,
    }
}

/// Describes the backend for the log and the banner.
pub(super) fn backend(config: &Config) -> String {
    match config.backend {
        Backend::Aws => "aws".to_owned(),
        Backend::Embedded if config.embedded.memory => "embedded, in memory".to_owned(),
        Backend::Embedded => format!("embedded, in {}", config.embedded.data.display()),
    }
}

/// Whether all processes that serve the same tables have the same token key.
pub(super) fn has_lasting_token_key(config: &Config) -> bool {
    config.token_key.is_some() || config.backend == Backend::Embedded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    #[test]
    fn only_aws_needs_a_token_key_of_the_settings() {
        let load = |variables: &[(&str, &str)]| {
            let variables = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Config::load(&Flags::default(), variables).expect("valid settings")
        };
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let aws = ("TOLLGATE_BACKEND", "aws");
        assert!(has_lasting_token_key(&load(&[])));
        assert!(!has_lasting_token_key(&load(&[aws])));
        assert!(has_lasting_token_key(&load(&[aws, ("TOLLGATE_TOKEN_KEY", key)])));
    }
}
