//! Client certificates: bytes that are none, expired ones, those of strangers, and odd names.

use rcgen::{CertificateParams, CustomExtension, DnType, SanType, date_time_ymd};
use tollgate_tests::authority::{Authority, Pair};

use super::client::{self, chain, der};
use super::ending::Expected;
use super::input::Input;
use super::requests;
use super::world::World;

/// The object identifier of subject alternative names.
const NAMES: &[u64] = &[2, 5, 29, 17];

/// A Get by a caller with a certificate that is not valid, or odd.
pub(crate) async fn certificates(world: &World, input: &mut Input) -> Result<(), String> {
    let (certificates, pair, expected) = presented(world, input);
    let config = client::config(&world.root, Some(chain(certificates, &pair)));
    let ending = world.call(&config, requests::get()).await;
    ending.check(expected)
}

fn presented(world: &World, input: &mut Input) -> (Vec<Vec<u8>>, Pair, Expected) {
    let authority = &world.authority;
    let valid = authority.sign("valid", vec![dns("api.example")]);
    let (pair, expected) = match input.below(9) {
        0 => return (vec![input.noise(2000)], valid, Expected::Unauthenticated),
        1 => {
            let mut bytes = der(&valid.certificate);
            input.mutate(&mut bytes);
            return (vec![bytes], valid, Expected::Clear);
        }
        2 => {
            let own = der(&valid.certificate);
            let more = (0..input.below(20)).map(|_| input.noise(300));
            let chain = std::iter::once(own).chain(more).collect();
            return (chain, valid, Expected::Clear);
        }
        3 => {
            // the certificate of another key
            let other = authority.sign("other", vec![dns("api.example")]);
            return (vec![der(&other.certificate)], valid, Expected::Unauthenticated);
        }
        4 => (
            Authority::new("strangers").sign("a", vec![dns("api.example")]),
            Expected::Unauthenticated,
        ),
        5 => {
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![dns("api.example")];
            let (from, to) = input.pick(&[(2000, 2001), (2090, 2091), (2001, 2000)]);
            (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
            (authority.sign_params(&params), Expected::Unauthenticated)
        }
        6 => {
            let uris = ["spiffe://example.org/a", "spiffe://example.org/b"];
            let uris = uris.map(|uri| SanType::URI(uri.try_into().expect("ASCII")));
            (authority.sign("two", uris.to_vec()), Expected::Unauthenticated)
        }
        7 => (authority.sign_params(&names(input)), Expected::Clear),
        _ => (authority.sign_params(&extension(input)), Expected::Clear),
    };
    (vec![der(&pair.certificate)], pair, expected)
}

/// Odd names, and very many.
fn names(input: &mut Input) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, input.text());
    let most = input.pick(&[0, 1, 3, 100, 1000]);
    for number in 0..most {
        let name = match input.below(3) {
            0 => format!("{number}.example"),
            1 => format!("spiffe://{}", input.text()),
            _ => input.text(),
        };
        let name: String = name.chars().filter(char::is_ascii).take(300).collect();
        let name = name.as_str().try_into().expect("ASCII");
        params.subject_alt_names.push(match input.once_in(2) {
            true => SanType::DnsName(name),
            false => SanType::URI(name),
        });
    }
    params
}

/// Names whose encoding is not one, signed by the authority all the same.
fn extension(input: &mut Input) -> CertificateParams {
    let content = match input.below(3) {
        0 => input.noise(300),
        // a sequence of names whose lengths lie
        1 => [
            vec![
                0x30,
                input.byte(),
                input.pick(&[0x82, 0x86, 0x81, 0xa0]),
                input.byte(),
            ],
            input.noise(60),
        ]
        .concat(),
        _ => {
            let uri = b"spiffe://a/\xff\0b".to_vec();
            let length = u8::try_from(uri.len()).expect("short");
            [vec![0x30, length + 2, 0x86, length], uri].concat()
        }
    };
    let mut extension = CustomExtension::from_oid_content(NAMES, content);
    extension.set_criticality(input.once_in(2));
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "odd");
    params.custom_extensions = vec![extension];
    params
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("ASCII"))
}
