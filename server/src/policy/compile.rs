//! Parses policies and checks them against the schema, and prepares them for decisions: for each action those that may
//! apply to it.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    ActionConstraint, Entity, EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationError,
    ValidationMode, Validator,
};

use super::access::Accesses;
use super::action::Action;
use super::complexity;
use super::entities::{self, TYPES};
use super::literals::Ids;
use super::reads::Reads;
use super::schema::{Known, schema};
use super::source::{Fault, Source, Sources};
use crate::model::Models;

/// Policies of all files.
pub const MAX_POLICIES: usize = 10_000;
/// The stack of the thread that checks policies.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// The annotation that names a policy.
const NAME: &str = "id";
/// The policy that every caller has, and its name.
const BUILT_IN: (&str, &str) = (
    "built-in: own sessions and bills",
    r#"permit(principal, action in Tollgate::Action::"metrics", resource is Tollgate::Session)
       when { resource.owner == principal };"#,
);

/// Policies that passed all checks, for one set of models.
pub struct Compiled {
    pub(super) models: Models,
    pub(super) known: Known,
    /// By the position of the action.
    pub(super) actions: Vec<OfAction>,
    /// The models and fields that policies name.
    pub(super) named: Vec<Entity>,
    /// Decisions that were made.
    pub(super) accesses: Accesses,
    sources: Sources,
    count: usize,
    warnings: Vec<Fault>,
}

/// The policies that may apply to an action.
pub(super) struct OfAction {
    pub(super) policies: PolicySet,
    /// The attributes of the context that they read.
    pub(super) reads: Reads,
}

/// A policy and where it is.
struct Placed {
    policy: Policy,
    source: usize,
    offset: usize,
}

impl Compiled {
    /// Checks policies and prepares them.
    ///
    /// # Errors
    ///
    /// All faults, in the order of files and lines.
    pub fn new(sources: &Sources, models: &Models, known: &Known) -> Result<Compiled, Vec<Fault>> {
        // the checks of Cedar recurse as deeply as a policy is nested
        let compiled = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            let thread = thread.spawn_scoped(scope, || Compiled::checked(sources, models, known));
            thread.ok().and_then(|thread| thread.join().ok())
        });
        compiled.unwrap_or_else(|| Err(vec![Fault::of_file("policies", "cannot be checked")]))
    }

    fn checked(sources: &Sources, models: &Models, known: &Known) -> Result<Compiled, Vec<Fault>> {
        let (mut placed, mut faults) = (Vec::new(), Vec::new());
        for (index, source) in sources.0.iter().enumerate() {
            match parse(source, index) {
                Ok(policies) => placed.extend(policies),
                Err(found) => faults.extend(found),
            }
        }
        if placed.len() > MAX_POLICIES {
            let file = sources.0.last().map_or("policies", |source| source.file.as_str());
            faults.push(Fault::of_file(
                file,
                format_args!("there are more than {MAX_POLICIES} policies"),
            ));
            return Err(faults);
        }
        faults.extend(unknown_ids(sources, &placed, &Ids::new(models, known)));
        let (invalid, warnings) = validate(sources, &placed, models, known);
        faults.extend(invalid);
        if !faults.is_empty() {
            let position = |file: &str| sources.0.iter().position(|source| source.file == file);
            faults.sort_by_key(|fault| (position(&fault.file), fault.line));
            return Err(faults);
        }
        let count = placed.len();
        let policies: Vec<Policy> = placed.into_iter().map(|placed| placed.policy).collect();
        prepare(policies, models).map_or_else(
            || Err(vec![Fault::of_file("policies", "cannot be prepared")]),
            |(actions, named)| {
                Ok(Compiled {
                    models: models.clone(),
                    known: known.clone(),
                    actions,
                    named,
                    accesses: Accesses::new(),
                    sources: sources.clone(),
                    count,
                    warnings,
                })
            },
        )
    }

    /// The number of policies, without the built-in one.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What may surprise, such as policies that can never apply.
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// The texts that they were compiled from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}

/// The policies of a file, each named after its annotation `@id` and its line.
fn parse(source: &Source, index: usize) -> Result<Vec<Placed>, Vec<Fault>> {
    complexity::check(source).map_err(|fault| vec![fault])?;
    let parsed = PolicySet::from_str(&source.text).map_err(|errors| {
        let errors = errors.iter();
        let faults = errors.map(|error| fault_of(source, &DetailedError::from(error), &error.to_string()));
        faults.collect::<Vec<_>>()
    })?;
    if let Some(template) = parsed.templates().next() {
        let offset = source.text.find(&template.to_cedar()).unwrap_or_default();
        let text = "is a template with ?principal or ?resource, which is not supported by this version";
        return Err(vec![source.fault(offset, text)]);
    }
    // Cedar numbers them in the order of the file: policy0, policy1 …
    let by_number: BTreeMap<usize, &Policy> = parsed
        .policies()
        .filter_map(|policy| {
            let number = policy.id().to_string();
            Some((number.strip_prefix("policy")?.parse().ok()?, policy))
        })
        .collect();
    let mut from = 0;
    let mut lines: BTreeMap<usize, usize> = BTreeMap::new();
    let mut placed = Vec::with_capacity(by_number.len());
    for policy in by_number.into_values() {
        let text = policy.to_cedar().unwrap_or_default();
        let rest = source.text.get(from..).unwrap_or_default();
        let offset = from + rest.find(&text).unwrap_or_default();
        from = offset + text.len();
        let line = source.line(offset);
        let of_line = lines.entry(line).or_default();
        *of_line += 1;
        placed.push(Placed {
            policy: policy.new_id(PolicyId::new(name(policy, source, line, *of_line))),
            source: index,
            offset,
        });
    }
    Ok(placed)
}

/// The name of a policy, such as `a.cedar:12` or `a.cedar:12 (admins)`.
fn name(policy: &Policy, source: &Source, line: usize, of_line: usize) -> String {
    let place = match of_line {
        1 => format!("{}:{line}", source.file),
        further => format!("{}:{line}#{further}", source.file),
    };
    match policy.annotation(NAME).filter(|name| is_plain(name)) {
        Some(name) => format!("{place} ({name})"),
        None => place,
    }
}

/// Whether a name can be shown in a log.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 128 && !name.chars().any(char::is_control)
}

fn fault_of(source: &Source, details: &DetailedError, text: &str) -> Fault {
    let offset = details
        .source_locations
        .first()
        .map_or(0, |label| label.loc.start);
    let label = details
        .source_locations
        .first()
        .and_then(|label| label.label.as_deref());
    let more = [label, details.help.as_deref()];
    let more: String = more
        .into_iter()
        .flatten()
        .map(|text| format!(": {text}"))
        .collect();
    source.fault(offset, format_args!("{text}{more}"))
}

fn unknown_ids(sources: &Sources, placed: &[Placed], ids: &Ids) -> Vec<Fault> {
    let mut faults = Vec::new();
    for Placed {
        policy,
        source,
        offset,
    } in placed
    {
        let source = &sources.0[*source];
        let text = source.text.get(*offset..).unwrap_or_default();
        for (literal, problem) in ids.unknown(policy) {
            let id = format!("\"{}\"", literal.id().unescaped());
            let within = text.find(&literal.to_string()).or_else(|| text.find(&id));
            faults.push(source.fault(offset + within.unwrap_or_default(), problem));
        }
    }
    faults
}

/// Validates policies against the schema. Returns faults and warnings.
fn validate(
    sources: &Sources,
    placed: &[Placed],
    models: &Models,
    known: &Known,
) -> (Vec<Fault>, Vec<Fault>) {
    let schema = match Schema::from_cedarschema_str(&schema(models, known)) {
        Ok((schema, _)) => schema,
        Err(error) => {
            let text = format!("the schema of the models is invalid: {error}");
            return (vec![Fault::of_file("schema", text)], Vec::new());
        }
    };
    let policies = match PolicySet::from_policies(placed.iter().map(|placed| placed.policy.clone())) {
        Ok(policies) => policies,
        Err(error) => return (vec![Fault::of_file("policies", error)], Vec::new()),
    };
    let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
    let place = |id: &PolicyId| placed.iter().find(|placed| placed.policy.id() == id);
    let fault = |id: &PolicyId, details: &DetailedError, text: String| match place(id) {
        None => Fault::of_file("policies", text),
        Some(Placed { source, offset, .. }) => {
            let prefix = format!("for policy `{id}`, ");
            let text = text.strip_prefix(&prefix).unwrap_or(&text);
            let mut fault = fault_of(&sources.0[*source], details, text);
            if details.source_locations.is_empty() {
                fault.line = sources.0[*source].line(*offset);
            }
            fault
        }
    };
    let errors = result
        .validation_errors()
        // `unknown_ids` reports them
        .filter(|error| !matches!(error, ValidationError::UnrecognizedActionId(_)))
        .map(|error| fault(error.policy_id(), &DetailedError::from(error), error.to_string()));
    let warnings = result.validation_warnings().map(|warning| {
        fault(
            warning.policy_id(),
            &DetailedError::from(warning),
            warning.to_string(),
        )
    });
    (errors.collect(), warnings.collect())
}

/// The policies of each action, and the entities that they name. `None` is a bug in this program.
fn prepare(mut policies: Vec<Policy>, models: &Models) -> Option<(Vec<OfAction>, Vec<Entity>)> {
    let (name, text) = BUILT_IN;
    policies.push(Policy::parse(Some(PolicyId::new(name)), text).ok()?);
    let reads: Vec<Reads> = policies.iter().map(Reads::of).collect();
    let actions = Action::ALL.iter().map(|action| {
        let applicable = policies.iter().zip(&reads);
        let applicable: Vec<_> = applicable
            .filter(|(policy, _)| may_apply(policy, *action))
            .collect();
        let reads = applicable
            .iter()
            .fold(Reads::default(), |all, (_, reads)| all.and(**reads));
        let policies = PolicySet::from_policies(applicable.into_iter().map(|(policy, _)| policy.clone()));
        policies.ok().map(|policies| OfAction { policies, reads })
    });
    Some((actions.collect::<Option<_>>()?, named(&policies, models)?))
}

/// Whether the scope of a policy may include an action.
fn may_apply(policy: &Policy, action: Action) -> bool {
    let is_one = |uid: &EntityUid| {
        *uid == entities::action_uid(action) || Some(uid) == entities::action_group_uid(action).as_ref()
    };
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => is_one(&uid),
        ActionConstraint::In(uids) => uids.iter().any(is_one),
    }
}

/// The models and fields that policies name, which conditions may look at whatever the resource is.
fn named(policies: &[Policy], models: &Models) -> Option<Vec<Entity>> {
    let mut named = BTreeMap::new();
    for literal in policies.iter().flat_map(Policy::entity_literals) {
        let id = literal.id().unescaped();
        let is_named = |name: &str| match literal.type_name() {
            kind if *kind == TYPES.model => name == id,
            kind if *kind == TYPES.field => id.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')),
            _ => false,
        };
        for model in models.iter().filter(|model| is_named(&model.name)) {
            let model_entity = entities::model(model).ok()?;
            named.insert(model_entity.uid().to_string(), model_entity);
            if *literal.type_name() == TYPES.field {
                for field in entities::fields(model).ok()? {
                    named.insert(field.uid().to_string(), field);
                }
            }
        }
    }
    Some(named.into_values().collect())
}
