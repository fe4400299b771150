//! Client certificates: the caller's name, and credentials beside each other.

use rcgen::{CertificateParams, DnType, SanType};
use tollgate_tests::authority::{Authority, Files, Pair};
use tollgate_tests::gateway::connect_securely;
use tonic::transport::{Channel, ClientTlsConfig};

use super::*;

/// A gateway that accepts certificates and tokens.
struct Certified {
    authority: Authority,
    gateway: Gateway,
    token: String,
}

impl Certified {
    async fn start() -> Certified {
        let (authority, mut setting) = (Authority::new("root"), Setting::default());
        let token = setting.token("alice", "");
        let files = Files::new(&authority.server());
        files.write("callers.pem", &authority.pem());
        let mut settings = [files.settings(), setting.settings()].concat();
        settings.push(("TOLLGATE_AUTH__CERTIFICATES", "true".to_owned()));
        settings.push(("TOLLGATE_TLS__CLIENT_CERTIFICATES", "request".to_owned()));
        let gateway = Gateway::with(Setup {
            settings,
            tls: Some(authority.caller()),
            ..Setup::default()
        });
        Certified {
            gateway: gateway.await,
            authority,
            token,
        }
    }

    /// A connection with this certificate, if any.
    async fn connect(&self, pair: Option<&Pair>) -> Channel {
        let caller: ClientTlsConfig = self.authority.caller();
        let caller = match pair {
            Some(pair) => caller.identity(pair.identity()),
            None => caller,
        };
        connect_securely(self.gateway.address(), caller)
            .await
            .expect("a connection")
    }

    async fn ask(&self, pair: Option<&Pair>, token: Option<&str>) -> Status {
        let mut data = v1::data_service_client::DataServiceClient::new(self.connect(pair).await);
        let request = get("User", key("a", "b"));
        let request = match token {
            Some(token) => bearing(request, token),
            None => Request::new(request),
        };
        data.get(request).await.expect_err("there is no such item")
    }

    /// Bills a call to the session of this certificate's caller.
    async fn bill(&self, pair: &Pair) {
        let mut data = v1::data_service_client::DataServiceClient::new(self.connect(Some(pair)).await);
        let request = tollgate_tests::gateway::in_session(get("User", key("a", "b")), "mine");
        let status = data.get(request).await.expect_err("there is no such item");
        assert_eq!(status.code(), Code::NotFound);
    }

    /// The calls in the session of this certificate's caller.
    async fn billed(&self, pair: &Pair) -> u64 {
        let channel = self.connect(Some(pair)).await;
        let mut metrics = v1::metrics_service_client::MetricsServiceClient::new(channel);
        match metrics.get_total_metrics(totals("mine")).await {
            Ok(totals) => totals.into_inner().total.expect("a total").call_count,
            Err(status) => {
                Refusal::of_status(&status).is("UNKNOWN_SESSION", &[]);
                0
            }
        }
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("ASCII"))
}

#[tokio::test]
async fn the_name_is_the_spiffe_uri_else_the_dns_name_else_the_common_name() {
    let certified = Certified::start().await;
    let sign = |name: &str, names| certified.authority.sign(name, names);
    let spiffe = || uri("spiffe://example.org/api");
    for (one, same, other) in [
        (
            sign("a", vec![spiffe()]),
            sign("b", vec![dns("x.example"), spiffe()]),
            sign("a", vec![uri("spiffe://example.org/x")]),
        ),
        (
            sign("a", vec![dns("x.example")]),
            sign("b", vec![dns("x.example"), dns("y.example")]),
            sign("a", vec![dns("y.example")]),
        ),
        (sign("c", vec![]), sign("c", vec![]), sign("d", vec![])),
    ] {
        let before = certified.billed(&same).await;
        certified.bill(&one).await;
        assert_eq!(certified.billed(&same).await, before + 1, "one caller");
        assert_eq!(certified.billed(&other).await, 0, "another caller");
    }
}

#[tokio::test]
async fn a_bearer_token_takes_the_place_of_a_certificate() {
    let certified = Certified::start().await;
    let pair = certified.authority.sign("caller", Vec::new());
    assert_eq!(certified.ask(Some(&pair), None).await.code(), Code::NotFound);
    assert_eq!(
        certified.ask(None, Some(&certified.token)).await.code(),
        Code::NotFound
    );
    assert_eq!(
        certified.ask(Some(&pair), Some(&certified.token)).await.code(),
        Code::NotFound
    );
    assert_eq!(
        refused(&certified.ask(None, None).await),
        "authentication is required: present a client certificate, or send `authorization: Bearer TOKEN`"
    );
}

#[tokio::test]
async fn a_bad_credential_beside_a_good_one_is_refused() {
    let certified = Certified::start().await;
    let pair = certified.authority.sign("caller", Vec::new());
    assert_eq!(
        refused(&certified.ask(Some(&pair), Some("wrong")).await),
        "authorization: the token is invalid"
    );
    let two = certified
        .authority
        .sign("caller", vec![uri("spiffe://a/x"), uri("spiffe://a/y")]);
    let expected = "the client certificate names no caller: it must have exactly one SPIFFE URI, or a DNS name, or a common name";
    assert_eq!(refused(&certified.ask(Some(&two), None).await), expected);
    assert_eq!(
        refused(&certified.ask(Some(&two), Some(&certified.token)).await),
        expected
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let certified = Certified::start().await;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "caller");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let expired = certified.authority.sign_params(&params);
    let caller = certified.authority.caller().identity(expired.identity());
    // under TLS 1.3 a refusal arrives after the caller's part of the handshake
    if let Ok(channel) = connect_securely(certified.gateway.address(), caller).await {
        let mut data = v1::data_service_client::DataServiceClient::new(channel);
        let status = data.get(get("User", key("a", "b"))).await.unwrap_err();
        assert_ne!(status.code(), Code::NotFound, "{status:?}");
    }
}
