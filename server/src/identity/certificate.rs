//! The caller of a client certificate. TLS has verified its chain; its names and validity are read here.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::refused::Refused;
use crate::caller::{Caller, Source, is_name};
use crate::config::Membership;

/// The scheme of SPIFFE ids (SPIFFE-ID, 2).
const SPIFFE: &str = "spiffe://";

/// What a client certificate says; parsed once per connection.
#[derive(Debug)]
pub struct PeerCertificate {
    /// The caller's name; `None` if there is none, or several.
    name: Option<String>,
    not_before: SystemTime,
    not_after: SystemTime,
    /// The caller, once a call has asked for it.
    caller: OnceLock<Arc<Caller>>,
}

impl PeerCertificate {
    /// Parses a certificate in DER. One that is malformed names no caller.
    pub fn from_der(der: &[u8]) -> PeerCertificate {
        match X509Certificate::from_der(der) {
            Ok((_, certificate)) => PeerCertificate {
                name: name(&certificate).filter(|name| is_name(name)),
                not_before: time(certificate.validity().not_before.timestamp()),
                not_after: time(certificate.validity().not_after.timestamp()),
                caller: OnceLock::new(),
            },
            Err(_) => PeerCertificate {
                name: None,
                not_before: UNIX_EPOCH,
                not_after: UNIX_EPOCH,
                caller: OnceLock::new(),
            },
        }
    }

    /// The caller, if the certificate is valid now. The memberships of one certificate never change.
    pub(super) fn caller(
        &self,
        memberships: &BTreeMap<String, Membership>,
        now: SystemTime,
    ) -> Result<&Arc<Caller>, Refused> {
        let name = self.name.as_ref().ok_or(Refused::UnnamedCertificate)?;
        if now < self.not_before || now >= self.not_after {
            return Err(Refused::ExpiredCertificate);
        }
        Ok(self.caller.get_or_init(|| {
            let membership = memberships.get(name).cloned().unwrap_or_default();
            let mut caller = Caller::new(Source::Certificate, "", name.clone(), membership.tenant);
            caller.groups = membership.groups;
            caller.expires = Some(self.not_after);
            Arc::new(caller)
        }))
    }
}

/// The SPIFFE id, else the first DNS name, else the common name.
fn name(certificate: &X509Certificate<'_>) -> Option<String> {
    let alternative = certificate.subject_alternative_name().ok()?;
    let names = alternative.map_or(&[][..], |extension| &extension.value.general_names);
    // a name that cannot be read may be a second SPIFFE id
    if names.iter().any(|name| matches!(name, GeneralName::Invalid(..))) {
        return None;
    }
    let mut spiffe = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => is_spiffe(uri).then_some(*uri),
        _ => None,
    });
    match (spiffe.next(), spiffe.next()) {
        (Some(_), Some(_)) => return None,
        // the scheme and the trust domain are in lower case (SPIFFE-ID, 2.1)
        (Some(only), None) => return only.starts_with(SPIFFE).then(|| only.to_owned()),
        (None, _) => {}
    }
    let mut dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(dns) => Some(*dns),
        _ => None,
    });
    if let Some(first) = dns.next() {
        return Some(first.to_owned());
    }
    let common_name = certificate.subject().iter_common_name().next()?;
    common_name.as_str().ok().map(str::to_owned)
}

/// Whether a URI has the scheme of SPIFFE ids, in any case.
fn is_spiffe(uri: &str) -> bool {
    uri.get(..SPIFFE.len())
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SPIFFE))
}

fn time(seconds: i64) -> SystemTime {
    let since = u64::try_from(seconds)
        .map(Duration::from_secs)
        .unwrap_or_default();
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common_name: &str, names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    fn caller_of(common_name: &str, names: Vec<SanType>) -> Result<String, Refused> {
        let certificate = PeerCertificate::from_der(&certificate(common_name, names));
        let caller = certificate.caller(&BTreeMap::new(), SystemTime::now());
        caller.map(|caller| caller.name.clone())
    }

    #[test]
    fn the_name_is_the_spiffe_uri_else_the_dns_name_else_the_common_name() {
        let spiffe = "spiffe://example.org/ns/prod/sa/api";
        let all = vec![dns("a.example"), uri("https://a.example"), uri(spiffe)];
        assert_eq!(caller_of("cn", all).as_deref(), Ok(spiffe));
        assert_eq!(
            caller_of("cn", vec![dns("a.example"), dns("b.example")]).as_deref(),
            Ok("a.example")
        );
        assert_eq!(
            caller_of("cn", vec![uri("https://a.example")]).as_deref(),
            Ok("cn")
        );
        assert_eq!(caller_of("cn", Vec::new()).as_deref(), Ok("cn"));
    }

    #[test]
    fn a_certificate_with_two_spiffe_uris_names_nobody() {
        let refused = Err(Refused::UnnamedCertificate);
        assert_eq!(
            caller_of("cn", vec![uri("spiffe://a/x"), uri("spiffe://a/y")]),
            refused
        );
        assert_eq!(
            caller_of("cn", vec![uri("spiffe://a/x"), uri("SPIFFE://a/y")]),
            refused
        );
        assert_eq!(
            caller_of("cn", vec![uri("Spiffe://a/x"), dns("a.example")]),
            refused
        );
        assert_eq!(caller_of("a\nb", Vec::new()), refused);
    }

    #[test]
    fn validity_is_checked_for_every_call() {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "cn");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = PeerCertificate::from_der(params.self_signed(&key).unwrap().der());
        let at = |year_days: u64| UNIX_EPOCH + Duration::from_secs((50 * 365 + 12 + year_days) * 86_400);
        let caller = |now| {
            certificate
                .caller(&BTreeMap::new(), now)
                .map(|caller| caller.expires)
        };
        assert_eq!(caller(at(100)), Ok(Some(certificate.not_after)));
        assert_eq!(
            caller(at(0) - Duration::from_secs(1)),
            Err(Refused::ExpiredCertificate)
        );
        assert_eq!(caller(certificate.not_after), Err(Refused::ExpiredCertificate));
    }

    #[test]
    fn memberships_give_groups_and_tenant() {
        let membership = Membership {
            groups: ["g".to_owned()].into(),
            tenant: Some("t".to_owned()),
        };
        let certificate = PeerCertificate::from_der(&certificate("cn", Vec::new()));
        let memberships = BTreeMap::from([("cn".to_owned(), membership)]);
        let caller = certificate.caller(&memberships, SystemTime::now()).unwrap();
        assert_eq!((caller.groups.len(), caller.tenant.as_deref()), (1, Some("t")));
    }

    proptest! {
        #[test]
        fn bytes_that_are_no_certificate_name_nobody(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let certificate = PeerCertificate::from_der(&bytes);
            prop_assert!(certificate.caller(&BTreeMap::new(), SystemTime::now()).is_err());
        }

        #[test]
        fn damaged_certificates_do_not_panic(at in 0usize..2000, value in any::<u8>()) {
            let mut der = certificate("cn", vec![uri("spiffe://a/x"), dns("a.example")]);
            let length = der.len();
            der[at % length] = value;
            let certificate = PeerCertificate::from_der(&der);
            let _ = certificate.caller(&BTreeMap::new(), SystemTime::now());
        }
    }
}
