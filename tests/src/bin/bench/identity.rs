//! What it costs to know callers and to keep account of them: mTLS, a JWT, policies and the audit log, all of them and
//! each alone, beside none. Connections are established before the turns.

use std::fmt::Write as _;
use std::fs;

use rcgen::SanType;
use serde_json::json;
use tollgate_tests::authority::{Authority, Files, Pair};
use tollgate_tests::callers::{Setting, issuer};
use tollgate_tests::issuer::{Signer, claims, jwks, seconds_from_now};
use tonic::metadata::{Ascii, MetadataValue};

use super::Plan;
use super::load::Caller;
use super::pair::{Beside, Side, beside};
use super::table::Table;

/// CPU per call with everything on, of that with everything off.
const GOAL: f64 = 1.15;
/// Policies: those of other callers, and the one that permits.
const POLICIES: usize = 50;
/// The name of the caller, in its certificate and in its token.
const NAME: &str = "bench";
/// Base64 of the key of the audit log's HMACs.
const AUDIT_KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// How long the token is valid, in seconds: longer than any run.
const VALID: i64 = 24 * 3600;
/// Rounds of each part alone: the table shows what is dear, the first comparison is the one with a goal.
const ROUNDS_OF_PARTS: usize = 4;

/// What may be on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Tls,
    Jwt,
    Policies,
    Audit,
}

/// The parts of each row.
const ROWS: [(&str, &[Part]); 4] = [
    ("mTLS", &[Part::Tls]),
    ("JWT", &[Part::Jwt]),
    ("JWT, policies", &[Part::Jwt, Part::Policies]),
    ("audit", &[Part::Audit]),
];
const EVERYTHING: [Part; 4] = [Part::Tls, Part::Jwt, Part::Policies, Part::Audit];

/// The files of the gateways, and what their caller shows.
struct Credentials {
    authority: Authority,
    certificate: Pair,
    tls: Files,
    token: MetadataValue<Ascii>,
    setting: Setting,
}

pub(crate) async fn measure(plan: &Plan) {
    let credentials = Credentials::new();
    credentials.compare(plan, &EVERYTHING).await.print(
        &format!("mTLS, a JWT, {POLICIES} policies and a chained audit file, on beside off"),
        ["on", "off"],
        GOAL,
    );
    let plan = Plan {
        rounds: plan.rounds.min(ROUNDS_OF_PARTS),
        ..plan.clone()
    };
    let mut table = Table::new(&["on", "call", "µs of CPU: on", "off", "ratio"]);
    for (name, parts) in ROWS {
        for compared in credentials.compare(&plan, parts).await.compared() {
            let [on, off] = compared.cpu_us;
            table.row([
                name.to_owned(),
                compared.work.name().to_owned(),
                format!("{on:.1}"),
                format!("{off:.1}"),
                format!("{:.3}", compared.ratio),
            ]);
        }
    }
    table.print("The same, part by part");
}

impl Credentials {
    fn new() -> Credentials {
        let authority = Authority::new("bench");
        let tls = Files::new(&authority.server());
        tls.write("callers.pem", &authority.pem());
        let name = SanType::DnsName(NAME.try_into().expect("a name"));
        let certificate = authority.sign(NAME, vec![name]);
        let (setting, signer) = (Setting::default(), Signer::p256("bench"));
        setting.write("keys.json", &jwks(&[&signer]));
        fs::create_dir(setting.path("policies")).expect("an empty folder");
        setting.write("policies/bench.cedar", &policies());
        let claims = claims(NAME, &json!({ "exp": seconds_from_now(VALID) }));
        let token = format!("Bearer {}", signer.sign("ES256", &claims));
        Credentials {
            authority,
            certificate,
            tls,
            token: token.parse().expect("ASCII"),
            setting,
        }
    }

    /// These parts on, beside none.
    async fn compare(&self, plan: &Plan, parts: &[Part]) -> Beside {
        let settings: Vec<(&str, String)> = parts.iter().flat_map(|&part| self.settings(part)).collect();
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let on = Side {
            program: &plan.program,
            settings: &settings,
            caller: self.caller(parts),
        };
        let off = Side {
            program: &plan.program,
            settings: &[],
            caller: Caller::default(),
        };
        beside(plan, &on, &off).await
    }

    fn settings(&self, part: Part) -> Vec<(&'static str, String)> {
        match part {
            Part::Tls => {
                let identified = ("TOLLGATE_AUTH__CERTIFICATES", "true".to_owned());
                [self.tls.settings(), vec![identified]].concat()
            }
            Part::Jwt => vec![issuer(&self.setting.path("keys.json"), &json!({}))],
            Part::Policies => vec![("TOLLGATE_POLICIES", self.setting.path("policies"))],
            Part::Audit => vec![
                ("TOLLGATE_AUDIT__FILE", self.setting.path("audit.log")),
                ("TOLLGATE_AUDIT__KEY", AUDIT_KEY.to_owned()),
                ("TOLLGATE_AUDIT__CHAIN", "true".to_owned()),
            ],
        }
    }

    fn caller(&self, parts: &[Part]) -> Caller {
        let mutual = || self.authority.caller().identity(self.certificate.identity());
        Caller {
            session: None,
            tls: parts.contains(&Part::Tls).then(mutual),
            authorization: parts.contains(&Part::Jwt).then(|| self.token.clone()),
        }
    }
}

/// Policies as of a gateway with many callers: none reads the key, the session or the time of a call.
fn policies() -> String {
    let mut text = String::new();
    for number in 1..POLICIES {
        let permits = format!(
            "permit(principal == Tollgate::Caller::\"service-{number}\", action in Tollgate::Action::\"read\", resource);"
        );
        writeln!(text, "{permits}").expect("a String takes all");
    }
    text + &format!("permit(principal == Tollgate::Caller::\"{NAME}\", action, resource);\n")
}
