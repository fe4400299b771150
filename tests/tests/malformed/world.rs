//! The program with all that secures it: TLS, every kind of caller, policies, tenants and an audit log.

use std::sync::Arc;

use rustls::ClientConfig;
use serde_json::{Value, json};
use tollgate_tests::authority::{Authority, Files};
use tollgate_tests::callers::Setting;
use tollgate_tests::issuer::{KeyServer, Signer, claims, jwks};

use super::client::{self, Sent, chain, der};
use super::ending::{Ending, Expected};
use super::process::Process;
use super::requests;

const MODELS: &str = r#"
name: Invoice
table: invoices
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string, template: "TENANT#{tenant}#{customer}" }
  sk: { type: string }
  tenant: { type: string }
  customer: { type: string }
  amount: { type: number }
  iban: { type: string, encrypted: { key_id: "alias/tenant-{tenant}" } }
  lines: { type: list }
  tags: { type: string_set }
  scan: { type: object, s3: { bucket: my-bucket, prefix: invoices/ }, encrypted: { key_id: "alias/tenant-{tenant}" } }
tenant: { prefix: "TENANT#{tenant}#" }
protect: sealed
"#;

const POLICIES: &str = r#"
permit(principal, action, resource);
forbid(principal == Tollgate::Caller::"blind", action == Tollgate::Action::"ReadField", resource == Tollgate::Field::"Invoice.iban");
"#;

/// The caller with a certificate.
const CERTIFIED: &str = "api.example";
/// The limit on messages: small, so that what is too large is made fast.
pub(crate) const MESSAGE_BYTES: usize = 1 << 20;

/// Everything that a case needs.
pub(crate) struct World {
    pub(crate) process: Process,
    pub(crate) authority: Authority,
    pub(crate) signer: Signer,
    pub(crate) keys: KeyServer,
    /// The files of the callers and policies.
    pub(crate) setting: Setting,
    /// Only one case at a time replaces files.
    pub(crate) files: tokio::sync::Mutex<()>,
    pub(crate) root: String,
    /// Without a certificate.
    pub(crate) anyone: Arc<ClientConfig>,
    certified: Arc<ClientConfig>,
    opaque: String,
    _tls: Files,
}

/// The ways to prove who one is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    /// A client certificate.
    Certificate,
    /// A JWT.
    Jwt,
    /// An opaque token.
    Opaque,
}

impl World {
    /// Starts it.
    pub(crate) async fn start() -> World {
        let authority = Authority::new("root");
        let (server, signer) = (authority.server(), Signer::p256("k1"));
        let keys = KeyServer::start(&server, jwks(&[&signer])).await;
        let tls = Files::new(&server);
        tls.write("callers.pem", &authority.pem());
        let mut setting = Setting::default();
        let opaque = setting.token("alice", ", tenant: acme");
        for folder in ["models", "policies", "data"] {
            std::fs::create_dir(setting.path(folder)).expect("a folder");
        }
        setting.write("models/a.yaml", MODELS);
        setting.write("policies/a.cedar", POLICIES);
        setting.write("root.pem", &authority.pem());
        let variables = [tls.settings(), variables(&setting, &keys)].concat();
        let process = Process::serve(setting.path("").as_ref(), &variables);
        let root = authority.pem();
        let pair = authority.sign(
            "caller",
            vec![rcgen::SanType::DnsName(CERTIFIED.try_into().expect("a name"))],
        );
        World {
            anyone: client::config(&root, None),
            certified: client::config(&root, Some(chain(vec![der(&pair.certificate)], &pair))),
            process,
            authority,
            signer,
            keys,
            setting,
            files: tokio::sync::Mutex::default(),
            root,
            opaque,
            _tls: tls,
        }
    }

    /// A valid token of a caller of the tenant, with other claims.
    pub(crate) fn jwt(&self, changed: &Value) -> String {
        let mut all = json!({ "tenant": "acme" });
        for (name, value) in changed.as_object().expect("a map") {
            all[name] = value.clone();
        }
        self.signer.sign("ES256", &claims("bob", &all))
    }

    /// Makes a call as this caller.
    pub(crate) async fn call_by(&self, proof: Proof, sent: Sent) -> Ending {
        match proof {
            Proof::Certificate => self.call(&self.certified, sent).await,
            Proof::Jwt => {
                let token = self.jwt(&json!({}));
                self.call(&self.anyone, sent.bearing(token.as_bytes())).await
            }
            Proof::Opaque => {
                self.call(&self.anyone, sent.bearing(self.opaque.as_bytes()))
                    .await
            }
        }
    }

    /// Makes a call.
    pub(crate) async fn call(&self, config: &Arc<ClientConfig>, sent: Sent) -> Ending {
        client::call(self.process.address, config, sent).await
    }

    /// A valid write and a valid read must succeed.
    pub(crate) async fn probe(&self, proof: Proof) -> Result<(), String> {
        for sent in [requests::save(), requests::get()] {
            let path = sent.path.clone();
            let ending = self.call_by(proof, sent).await;
            ending
                .check(Expected::Served)
                .map_err(|what| format!("a valid {path} by {proof:?}: {what}"))?;
        }
        Ok(())
    }

    /// The token of the valid opaque caller.
    pub(crate) fn opaque(&self) -> &str {
        &self.opaque
    }
}

fn variables(setting: &Setting, keys: &KeyServer) -> Vec<(&'static str, String)> {
    let issuer = json!([{
        "issuer": "https://id.example", "audience": "tollgate", "jwks": keys.url(), "jwks_ca": setting.path("root.pem"),
        "tenant_claim": "tenant", "groups_claim": "groups", "name_prefix": "jwt-", "claims": { "dept": "String" },
    }]);
    let tokens = json!({ "file": setting.path("tokens.yaml"), "name_prefix": "token-" });
    let callers = json!({ CERTIFIED: { "tenant": "acme" } });
    let text = str::to_owned;
    vec![
        ("TOLLGATE_TLS__CLIENT_CERTIFICATES", text("request")),
        ("TOLLGATE_AUTH__CERTIFICATES", text("true")),
        ("TOLLGATE_AUTH__CERTIFICATE_CALLERS", callers.to_string()),
        ("TOLLGATE_AUTH__JWT", issuer.to_string()),
        ("TOLLGATE_AUTH__TOKENS", tokens.to_string()),
        ("TOLLGATE_POLICIES", setting.path("policies")),
        ("TOLLGATE_MODELS", setting.path("models")),
        ("TOLLGATE_EMBEDDED__DATA", setting.path("data")),
        ("TOLLGATE_EMBEDDED__SYNCHRONOUS", text("normal")),
        ("TOLLGATE_AUDIT__FILE", setting.path("audit.jsonl")),
        ("TOLLGATE_AUDIT__KEY", format!("{:0>42}A=", 7)),
        ("TOLLGATE_AUDIT__CHAIN", text("true")),
        ("TOLLGATE_METRICS__LISTEN", text("off")),
        ("TOLLGATE_LIMITS__MESSAGE_BYTES", format!("{MESSAGE_BYTES} B")),
        // what is kept on purpose fills up during the first cases
        ("TOLLGATE_FINISHED_CALLS", text("100")),
        ("TOLLGATE_SESSIONS__MAX", text("100")),
    ]
}
