//! `tollgate policy explain`: one decision, and the policies that made it.

use std::process::ExitCode;

use super::super::exit;
use super::folders::Folders;
use super::target::{Names, action};
use crate::caller::{Caller, Claim, Source};
use crate::model::Models;
use crate::policy::{Asked, Compiled, Context, Explained, KeyParts};

/// The arguments of `policy explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The caller's name, with the prefix of its source
    #[arg(long, value_name = "NAME")]
    caller: String,
    /// A group of the caller
    #[arg(long = "group", value_name = "G")]
    groups: Vec<String>,
    /// The caller's tenant
    #[arg(long, value_name = "T")]
    tenant: Option<String>,
    /// What identified the caller: certificate, jwt or token
    #[arg(long, value_name = "SOURCE", default_value = "jwt", value_parser = source)]
    source: Source,
    /// The issuer of its JWT
    #[arg(long, value_name = "ISSUER", default_value = "")]
    issuer: String,
    /// A claim of its JWT, as text
    #[arg(long = "claim", value_name = "NAME=TEXT", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// The action, such as Get or ReadField
    #[arg(long, value_name = "A")]
    action: String,
    /// The model
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// The field, with its model
    #[arg(long, value_name = "M.f", conflicts_with = "model")]
    field: Option<String>,
    /// The session
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "field"])]
    session: Option<String>,
    /// The partition key of the request
    #[arg(long, value_name = "TEXT")]
    partition_key: Option<String>,
    #[command(flatten)]
    pub(super) folders: Folders,
}

/// The source of this name.
pub(super) fn source(name: &str) -> Result<Source, String> {
    [Source::Certificate, Source::Jwt, Source::Token]
        .into_iter()
        .find(|source| source.as_str() == name)
        .ok_or_else(|| "must be certificate, jwt or token".to_owned())
}

fn claim(text: &str) -> Result<(String, String), String> {
    let claim = text.split_once('=').ok_or("must be NAME=TEXT")?;
    Ok((claim.0.to_owned(), claim.1.to_owned()))
}

/// Prints the decision.
pub(super) fn run(args: &Args, compiled: &Compiled, models: &Models) -> Result<ExitCode, ExitCode> {
    let wrong = |text: String| exit::faults("arguments", &[text]);
    let action = action(&args.action).map_err(wrong)?;
    let names = Names {
        model: args.model.as_deref(),
        field: args.field.as_deref(),
        session: args.session.as_deref(),
    };
    let target = names.resolve(action, models).map_err(wrong)?;
    let claims = args.claims.iter();
    let claims = claims.map(|(name, text)| (name.clone(), Claim::Text(text.clone())));
    let mut caller = Caller::new(
        args.source,
        &args.issuer,
        args.caller.clone(),
        args.tenant.clone(),
    );
    caller.groups = args.groups.iter().cloned().collect();
    caller.claims = claims.collect();
    let context = Context {
        key: KeyParts {
            partition_key: args.partition_key.clone(),
            parts: Vec::new(),
        },
        ..Context::default()
    };
    let asked = Asked {
        caller: Some(&caller),
        action,
        context: &context,
    };
    Ok(exit::print(&text(&compiled.explain(asked, &target.resource()))))
}

/// The decision in one line, and one line per policy.
fn text(explained: &Explained) -> String {
    let decision = if explained.is_allowed { "allow" } else { "deny" };
    let mut text = format!("{decision}\n");
    for policy in &explained.failed {
        text.push_str(&format!("  {policy}: cannot be evaluated, which denies\n"));
    }
    for policy in &explained.policies {
        text.push_str(&format!("  {policy}\n"));
    }
    if explained.failed.is_empty() && explained.policies.is_empty() {
        text.push_str("  no policy permits it\n");
    }
    text
}
