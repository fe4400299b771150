//! The Cedar schema of the models being served, and what is known beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::action::{Action, AppliesTo};
use crate::model::{Model, Models};

/// The type of a claim that policies may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimType {
    /// Text.
    Text,
    /// A whole number.
    Long,
    /// A boolean.
    Boolean,
    /// A set of texts.
    Texts,
}

/// What policies may name beside the models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The declared claims.
    pub claims: BTreeMap<String, ClaimType>,
    /// All groups that callers can have. `None`: issuers of tokens decide that.
    pub groups: Option<BTreeSet<String>>,
}

impl ClaimType {
    /// All types, by their names in Cedar.
    pub const CHOICES: [(&str, ClaimType); 4] = [
        ("String", ClaimType::Text),
        ("Long", ClaimType::Long),
        ("Bool", ClaimType::Boolean),
        ("Set<String>", ClaimType::Texts),
    ];

    /// The name in Cedar.
    pub fn as_str(self) -> &'static str {
        match self {
            ClaimType::Text => "String",
            ClaimType::Long => "Long",
            ClaimType::Boolean => "Bool",
            ClaimType::Texts => "Set<String>",
        }
    }
}

/// The schema, in Cedar's syntax.
pub fn schema(models: &Models, known: &Known) -> String {
    let claims = known.claims.iter();
    let claims = record(claims.map(|(name, kind)| (name.as_str(), kind.as_str())));
    let parts = record(key_parts(models).iter().map(|name| (name.as_str(), "String")));
    let mut text = format!(
        r#"namespace Tollgate {{
  entity Group;
  entity Caller in [Group] {{
    name: String,
    source: String,
    issuer: String,
    tenant?: String,
    claims: {claims},
  }};
  entity Server;
  entity Model {{ table: String, name: String }};
  entity Field in [Model] {{ encrypted: Bool, type: String }};
  entity Session {{ owner: Caller }};
  type Request = {{
    partition_key?: String,
    key?: {parts},
    consistent: Bool,
    session?: String,
    tls: Bool,
    time: Long,
  }};
"#
    );
    for group in Action::GROUPS {
        // a String takes all that is written
        let _ = writeln!(text, "  action {group:?};");
    }
    for action in Action::ALL {
        let group = action.group().map(|group| format!(" in [{group:?}]"));
        let _ = writeln!(
            text,
            "  action {:?}{} appliesTo {{ principal: [Caller], resource: [{}], context: Request }};",
            action.name(),
            group.unwrap_or_default(),
            resources(action),
        );
    }
    text.push_str("}\n");
    text
}

fn resources(action: Action) -> &'static str {
    match action.applies_to() {
        AppliesTo::Model => "Model",
        AppliesTo::Field => "Field",
        AppliesTo::Server => "Server",
        AppliesTo::Session => "Session",
        AppliesTo::Totals => "Session, Server",
    }
}

/// A record of optional attributes.
fn record<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let attributes: Vec<String> = attributes
        .map(|(name, kind)| format!("{}?: {kind}", quoted(name)))
        .collect();
    match attributes.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", attributes.join(", ")),
    }
}

/// A name as a string of Cedar.
fn quoted(name: &str) -> String {
    let mut text = String::from("\"");
    for character in name.chars() {
        match character {
            '"' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            // a String takes all that is written
            control if control.is_control() => {
                let _ = write!(text, "\\u{{{:x}}}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// The parts of the templates of all table keys.
fn key_parts(models: &Models) -> BTreeSet<String> {
    let parts = models.iter().flat_map(|model| parts_of(model));
    parts.map(str::to_owned).collect()
}

fn parts_of(model: &Model) -> impl Iterator<Item = &str> {
    let keys = model.key_names().filter_map(|name| model.attribute(name));
    let templates = keys.filter_map(|key| key.template.as_ref());
    templates.flat_map(|template| template.parts().map(|part| part.attribute()))
}
