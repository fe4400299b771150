//! What callers may do: decisions of policies over the wire, by caller, action, field and tenant.

mod audited;
mod changes;
mod leaks;
mod matrix;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tollgate_proto::v1;
use tollgate_tests::callers::bearing;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, item, n, s, save};
use tonic::{Code, Request, Status};

const MODELS: &str = "
name: User
table: users
partition_key: pk
attributes:
  pk: { type: string, template: 'TENANT#{tenant}#{name}' }
  tenant: { type: string }
  name: { type: string }
  email: { type: string }
  age: { type: number }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key } }
indexes:
  by_age: { partition_key: email, sort_key: age }
";

/// Of each group, what it may do with the items of its tenant.
const POLICIES: &str = r#"
@id("admins")
permit(principal in Tollgate::Group::"admins", action, resource is Tollgate::Model) when {
  principal has tenant && context has key && context.key has tenant && context.key.tenant == principal.tenant };
permit(principal in Tollgate::Group::"admins",
       action in [Tollgate::Action::"ReadField", Tollgate::Action::"WriteField"], resource);
permit(principal in Tollgate::Group::"admins", action == Tollgate::Action::"Scan", resource);
@id("readers")
permit(principal in Tollgate::Group::"readers", action in Tollgate::Action::"read", resource is Tollgate::Model) when {
  principal has tenant && context has key && context.key has tenant && context.key.tenant == principal.tenant };
permit(principal in Tollgate::Group::"readers", action == Tollgate::Action::"ReadField", resource)
  unless { resource.encrypted };
@id("clerks")
permit(principal in Tollgate::Group::"clerks", action == Tollgate::Action::"Update", resource is Tollgate::Model) when {
  principal has tenant && context has key && context.key has tenant && context.key.tenant == principal.tenant };
permit(principal in Tollgate::Group::"clerks",
       action in [Tollgate::Action::"ReadField", Tollgate::Action::"WriteField"],
       resource == Tollgate::Field::"User.email");
"#;

const GROUPS: [&str; 4] = ["admins", "readers", "clerks", "guests"];
const TENANTS: [&str; 2] = ["acme", "globex"];

/// A gateway with policies and tokens: the token of `admins` of `acme` is `admins-acme`.
struct Guarded {
    gateway: Gateway,
    folder: TempDir,
}

impl Guarded {
    async fn start(policies: &str) -> Guarded {
        Guarded::with(policies, Vec::new()).await
    }

    /// With further settings.
    async fn with(policies: &str, mut settings: Vec<(&'static str, String)>) -> Guarded {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["models", "policies"] {
            fs::create_dir(folder.path().join(name)).expect("an empty folder");
        }
        let write =
            |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("it is written");
        write("models/a.yaml", MODELS);
        write("policies/a.cedar", policies);
        write("tokens.yaml", &tokens());
        let secret = fs::Permissions::from_mode(0o600);
        fs::set_permissions(folder.path().join("tokens.yaml"), secret).expect("it is there");
        let path = |name: &str| folder.path().join(name);
        let shown = |path: PathBuf| path.display().to_string();
        settings.extend([
            ("TOLLGATE_POLICIES", shown(path("policies"))),
            ("TOLLGATE_AUTH__TOKENS", shown(path("tokens.yaml"))),
        ]);
        let gateway = Gateway::with(Setup {
            models: Some(path("models")),
            settings,
            ..Setup::default()
        })
        .await;
        Guarded { gateway, folder }
    }

    /// Replaces the policies and reloads them.
    async fn replace(&self, policies: &str) {
        fs::write(self.folder.path().join("policies/a.cedar"), policies).expect("it is written");
        self.gateway
            .reloader()
            .reload_policies()
            .await
            .expect("there are policies");
    }

    /// Saves a user, as an admin of its tenant.
    async fn add(&self, tenant: &str, name: &str) {
        let request = as_caller("admins", tenant, save("User", user(tenant, name)));
        self.gateway.save(request).await.ok();
    }
}

fn tokens() -> String {
    let mut text = String::new();
    for group in GROUPS {
        for tenant in TENANTS {
            let hash: String =
                Sha256::digest(token(group, tenant))
                    .iter()
                    .fold(String::new(), |mut hex, byte| {
                        write!(hex, "{byte:02x}").expect("a String takes all");
                        hex
                    });
            writeln!(
                text,
                "- {{ name: {group}-{tenant}, sha256: \"{hash}\", groups: [{group}], tenant: {tenant} }}"
            )
            .expect("a String takes all");
        }
    }
    text
}

fn token(group: &str, tenant: &str) -> String {
    format!("{group}-{tenant}-0123456789abcdef0123456789abcdef")
}

fn as_caller<T>(group: &str, tenant: &str, message: T) -> Request<T> {
    bearing(message, &token(group, tenant))
}

fn user_key(tenant: &str, name: &str) -> Item {
    item([("tenant", s(tenant)), ("name", s(name))])
}

fn user(tenant: &str, name: &str) -> Item {
    let mut user = user_key(tenant, name);
    user.extend(item([("email", s("a@b")), ("age", n(42)), ("ssn", s("secret"))]));
    user
}

/// The action, the resource and the field of a refusal.
fn denied(status: &Status) -> (String, String, String) {
    let refusal = Refusal::of_status(status);
    assert_eq!(refusal.code, Code::PermissionDenied, "{status:?}");
    let metadata = &refusal.details.error_info().expect("ErrorInfo").metadata;
    let of = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    (of("action"), of("resource"), of("field"))
}

fn refusal(action: &str, resource: &str, field: &str) -> (String, String, String) {
    (action.to_owned(), resource.to_owned(), field.to_owned())
}

fn get_user(tenant: &str, name: &str) -> v1::GetRequest {
    v1::GetRequest {
        model: "User".to_owned(),
        key: user_key(tenant, name),
        ..v1::GetRequest::default()
    }
}
