//! `tollgate call` under TLS: the authority of the server, and the certificate of the caller.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::process::{Process, ended, free_folder};

const CALLER: &[&str] = &["--cert", "caller.pem", "--key", "caller.key"];

/// Writes `ca.pem`, and a certificate and a key of that authority for the server and for a caller.
fn write_certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let write = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::write(&path, content).expect("as the test made it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("as the test made it");
    };
    write("ca.pem", &authority.pem());
    for (name, host) in [("server", "localhost"), ("caller", "somebody")] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        write(&format!("{name}.pem"), &certificate.pem());
        write(&format!("{name}.key"), &key.serialize_pem());
    }
}

#[test]
fn calls_present_their_certificate() {
    let folder = free_folder();
    write_certificates(folder.path());
    let settings = "tls: { certificate: server.pem, key: server.key, client_ca: ca.pem }\n";
    fs::write(folder.path().join("tollgate.yaml"), settings).expect("as the test made it");
    let process = Process::serve(folder.path(), &["--memory", "--metrics-listen", "off"]);
    let port = process.address().rsplit(':').next().expect("a port");
    let address = format!("localhost:{port}");
    let call = |arguments: &[&str]| {
        let health = ["call", "health", "--address", &address, "--ca", "ca.pem"];
        ended(folder.path(), &[&health, arguments].concat(), &[])
    };
    call(CALLER).ok();
    call(&["--timeout", "5s"]).fails(1, &[]);
    fs::set_permissions(
        folder.path().join("caller.key"),
        fs::Permissions::from_mode(0o644),
    )
    .expect("as the test made it");
    call(CALLER).fails(2, &["--key: caller.key is secret, but any user may read it"]);
    call(&["--cert", "caller.pem"]).fails(2, &["--key"]);
    call(&["--token-file", "missing"]).fails(2, &["--token-file: missing cannot be read"]);
}
