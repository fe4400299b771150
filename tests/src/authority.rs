//! Certificates made for a test: authorities, servers and callers.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// The files of a server's TLS.
pub struct Files {
    folder: tempfile::TempDir,
}

impl Authority {
    /// An authority with this common name, and a new key.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate with these subject alternative names.
    pub fn sign(&self, common_name: &str, names: Vec<SanType>) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = names;
        self.sign_params(&params)
    }

    /// A certificate with these parameters, and a new key.
    pub fn sign_params(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for `localhost`.
    pub fn server(&self) -> Pair {
        let name = "localhost".try_into().expect("a name");
        self.sign("server", vec![SanType::DnsName(name)])
    }

    /// A caller that trusts this authority.
    pub fn caller(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.pem()))
    }
}

impl Pair {
    /// As the identity of a caller.
    pub fn identity(&self) -> Identity {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

impl Files {
    /// A folder with the certificate of a server.
    pub fn new(server: &Pair) -> Files {
        let files = Files {
            folder: tempfile::tempdir().expect("a folder"),
        };
        files.write_server(server);
        files
    }

    /// The path of a file of this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the certificate of the server.
    pub fn write_server(&self, pair: &Pair) {
        self.write("server.pem", &pair.certificate);
        self.write("server.key", &pair.key);
    }

    /// Writes a private file.
    pub fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::write(&path, content).expect("written");
        set_mode(&path, 0o600);
    }

    /// The settings that name the files, with authorities of callers if there are any.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("TOLLGATE_TLS__CERTIFICATE", self.text("server.pem")),
            ("TOLLGATE_TLS__KEY", self.text("server.key")),
        ];
        if self.path("callers.pem").exists() {
            settings.push(("TOLLGATE_TLS__CLIENT_CA", self.text("callers.pem")));
        }
        settings
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// Sets the permissions of a file.
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}
