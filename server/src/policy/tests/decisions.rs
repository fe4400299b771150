//! Who may do what.

use super::*;

fn context(partition_key: &str, parts: &[(&str, &str)]) -> Context {
    Context {
        key: crate::policy::KeyParts {
            partition_key: Some(partition_key.to_owned()),
            parts: parts
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
        },
        ..Context::default()
    }
}

#[test]
fn nothing_is_permitted_by_default() {
    let compiled = compiled("");
    let ann = caller("ann", &["admins"]);
    for action in [Action::Get, Action::Save, Action::CrossTenant, Action::GetModel] {
        assert!(
            access(&compiled, &ann, action, &model("User")).is_none(),
            "{action}"
        );
    }
    assert!(!is_allowed(
        &compiled,
        &ann,
        Action::ListModels,
        &Resource::Server,
        &Context::default()
    ));
}

#[test]
fn nobody_without_identity_may_do_anything() {
    let compiled = compiled("permit(principal, action, resource);");
    let asked = Asked {
        caller: None,
        action: Action::Get,
        context: &Context::default(),
    };
    assert!(compiled.access(asked, &model("User")).is_err());
    assert!(compiled.authorize(asked, &Resource::Server).is_err());
}

#[test]
fn forbid_wins() {
    let compiled = compiled(
        r#"permit(principal, action, resource);
           forbid(principal in Tollgate::Group::"guests", action in Tollgate::Action::"write", resource);"#,
    );
    let guest = caller("gus", &["guests", "admins"]);
    assert!(access(&compiled, &guest, Action::Get, &model("User")).is_some());
    assert!(access(&compiled, &guest, Action::Save, &model("User")).is_none());
    let fields = access(&compiled, &guest, Action::Get, &model("User")).unwrap();
    assert!(fields.can_read("ssn") && !fields.can_write("ssn"));
    assert!(
        access(
            &compiled,
            &caller("ann", &["admins"]),
            Action::Save,
            &model("User")
        )
        .is_some()
    );
}

#[test]
fn groups_of_actions_have_their_members() {
    let compiled = compiled(
        r#"permit(principal, action in Tollgate::Action::"read", resource in Tollgate::Model::"User");"#,
    );
    let ann = caller("ann", &[]);
    let user = access(&compiled, &ann, Action::Query, &model("User")).expect("read");
    assert!(user.can_read("ssn") && user.can_read("undeclared") && !user.can_write("ssn"));
    assert!(access(&compiled, &ann, Action::Update, &model("User")).is_none());
    assert!(access(&compiled, &ann, Action::CrossTenant, &model("User")).is_none());
    assert!(access(&compiled, &ann, Action::Get, &model("Order")).is_none());
}

#[test]
fn fields_are_decided_one_by_one() {
    let compiled = compiled(
        r#"permit(principal, action == Tollgate::Action::"Get", resource);
           permit(principal, action == Tollgate::Action::"ReadField", resource in Tollgate::Model::"User")
             unless { resource.encrypted || resource.type == "undeclared" };
           permit(principal == Tollgate::Caller::"hr", action == Tollgate::Action::"ReadField",
                  resource == Tollgate::Field::"User.ssn");"#,
    );
    let ann = access(&compiled, &caller("ann", &[]), Action::Get, &model("User")).unwrap();
    assert!(ann.can_read("email") && !ann.can_read("ssn") && !ann.can_read("undeclared"));
    let hr = access(&compiled, &caller("hr", &[]), Action::Get, &model("User")).unwrap();
    assert!(hr.can_read("ssn"));
    let order = access(&compiled, &caller("hr", &[]), Action::Get, &model("Order")).unwrap();
    assert!(!order.can_read("total"));
}

#[test]
fn a_templated_key_is_readable_only_if_its_parts_are() {
    let compiled = compiled(
        r#"permit(principal, action, resource);
           forbid(principal, action == Tollgate::Action::"ReadField", resource == Tollgate::Field::"User.name");"#,
    );
    let seen = access(&compiled, &caller("ann", &[]), Action::Get, &model("User")).unwrap();
    assert!(!seen.can_read("name") && !seen.can_read("pk") && seen.can_read("sk"));
}

#[test]
fn principals_have_source_issuer_tenant_and_claims() {
    let compiled = compiled(
        r#"permit(principal, action == Tollgate::Action::"Get", resource) when {
             principal.source == "jwt" && principal.issuer == "https://issuer" && principal has tenant
             && principal.tenant == "acme" && principal.claims has dept && principal.claims.dept == "hr"
             && principal.name == "ann" };"#,
    );
    let ann = caller("ann", &[]);
    assert!(access(&compiled, &ann, Action::Get, &model("User")).is_some());
    let token = Caller::new(Source::Token, "", "ann".to_owned(), Some("acme".to_owned()));
    let bare = || caller("ann", &[]).without_claims();
    for other in [
        caller("bob", &[]),
        bare(),
        bare().with_claim("dept", Claim::Long(3)),
        Caller::new(Source::Jwt, "https://issuer", "ann".to_owned(), None),
        token.with_claim("dept", Claim::Text("hr".to_owned())),
    ] {
        assert!(
            access(&compiled, &other, Action::Get, &model("User")).is_none(),
            "{other:?}"
        );
    }
}

#[test]
fn keys_decide_where_policies_read_them() {
    let compiled = compiled(
        r#"permit(principal, action == Tollgate::Action::"Get", resource) when {
             context has key && context.key has name && context.key.name == principal.name };
           permit(principal, action == Tollgate::Action::"Query", resource) when {
             context has partition_key && context.partition_key like "USER#a*" };
           permit(principal, action == Tollgate::Action::"Save", resource);"#,
    );
    assert!(compiled.reads_key(Action::Get) && compiled.reads_key(Action::Query));
    assert!(!compiled.reads_key(Action::Save) && !compiled.reads_time(Action::Get));
    let (ann, user) = (caller("ann", &[]), model("User"));
    let resource = Resource::Model(&user);
    let may = |action, context: &Context| is_allowed(&compiled, &ann, action, &resource, context);
    assert!(may(Action::Get, &context("USER#ann", &[("name", "ann")])));
    assert!(!may(Action::Get, &context("USER#bob", &[("name", "bob")])));
    assert!(!may(Action::Get, &Context::default()));
    assert!(may(Action::Query, &context("USER#ann", &[])));
    assert!(!may(Action::Query, &context("USER#bob", &[])));
    // what is kept of one key is not used for another
    let access_with = |context: &Context| {
        let asked = Asked {
            caller: Some(&ann),
            action: Action::Get,
            context,
        };
        compiled.access(asked, &user).is_ok()
    };
    for _ in 0..2 {
        assert!(access_with(&context("USER#ann", &[("name", "ann")])));
        assert!(!access_with(&context("USER#bob", &[("name", "bob")])));
    }
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    let compiled = compiled(
        r#"permit(principal, action, resource);
           forbid(principal, action == Tollgate::Action::"Get", resource)
             when { context.time + 9223372036854775807 == 0 };"#,
    );
    let (ann, user) = (caller("ann", &[]), model("User"));
    let at = |time| Context {
        time,
        ..Context::default()
    };
    let may = |context: &Context| is_allowed(&compiled, &ann, Action::Get, &Resource::Model(&user), context);
    assert!(may(&at(0)));
    assert!(!may(&at(1)), "Cedar alone would skip the policy");
    let context = at(1);
    let asked = Asked {
        caller: Some(&ann),
        action: Action::Get,
        context: &context,
    };
    let explained = compiled.explain(asked, &Resource::Model(&user));
    assert_eq!(
        (explained.is_allowed, explained.failed.as_slice()),
        (false, &["test.cedar:2".to_owned()][..])
    );
}

#[test]
fn sessions_of_the_caller_are_permitted_unless_forbidden() {
    let ann = caller("ann", &[]);
    let of_session = |policies: &str, action| {
        let compiled = compiled(policies);
        is_allowed(
            &compiled,
            &ann,
            action,
            &Resource::Session("s"),
            &Context::default(),
        )
    };
    for action in [
        Action::GetTotalMetrics,
        Action::ResetMetrics,
        Action::GetCallMetrics,
    ] {
        assert!(of_session("", action), "{action}");
    }
    let forbid = r#"forbid(principal, action == Tollgate::Action::"ResetMetrics", resource == Tollgate::Session::"s");"#;
    assert!(!of_session(forbid, Action::ResetMetrics));
    assert!(of_session(forbid, Action::GetTotalMetrics));
    let totals = |policies: &str| {
        let compiled = compiled(policies);
        is_allowed(
            &compiled,
            &ann,
            Action::GetTotalMetrics,
            &Resource::Server,
            &Context::default(),
        )
    };
    assert!(!totals(""));
    assert!(totals(
        r#"permit(principal, action in Tollgate::Action::"metrics", resource == Tollgate::Server::"self");"#
    ));
}

#[test]
fn a_name_that_is_no_model_is_denied_like_one_that_is() {
    let policies = compiled(
        r#"permit(principal, action, resource == Tollgate::Model::"User");
           permit(principal, action == Tollgate::Action::"Scan", resource);
           permit(principal, action == Tollgate::Action::"Query", resource) when { resource.table == "users" };"#,
    );
    let ann = caller("ann", &[]);
    let may = |action, name| {
        is_allowed(
            &policies,
            &ann,
            action,
            &Resource::UnknownModel(name),
            &Context::default(),
        )
    };
    assert!(!may(Action::Get, "Nope") && may(Action::Scan, "Nope") && !may(Action::Query, "Nope"));
}

#[test]
fn denials_name_action_and_resource_and_nothing_else() {
    let (compiled, ann, order) = (compiled(""), caller("ann", &[]), model("Order"));
    let asked = Asked {
        caller: Some(&ann),
        action: Action::Save,
        context: &Context::default(),
    };
    let denied = compiled.access(asked, &order).unwrap_err();
    assert_eq!(denied.resource, "Model::\"Order\"");
    assert_eq!(
        denied.to_string(),
        "the caller is not authorized to perform Save on Model::\"Order\""
    );
    let long = "é\n".repeat(500);
    let denied = compiled
        .authorize(asked, &Resource::UnknownModel(&long))
        .unwrap_err();
    assert!(denied.resource.chars().count() <= 201 && !denied.resource.contains('\n'));
}

#[test]
fn decisions_are_kept_and_bounded() {
    let compiled = compiled("permit(principal, action, resource);");
    let user = model("User");
    for number in 0..100 {
        let caller = caller(&format!("caller-{number}"), &[]);
        for _ in 0..3 {
            assert!(access(&compiled, &caller, Action::Get, &user).is_some());
        }
    }
    assert_eq!(compiled.accesses.decisions.len(), 100);
    assert_eq!(compiled.accesses.fields.len(), 100);
    // a model that a reload replaced is decided anew
    let replaced = Arc::new(Model::clone(&user));
    let seen = access(&compiled, &caller("caller-1", &[]), Action::Get, &replaced).unwrap();
    assert!(Arc::ptr_eq(seen.model(), &replaced));
}

#[test]
fn callers_with_other_groups_and_claims_share_no_decision() {
    let compiled = compiled(
        r#"permit(principal in Tollgate::Group::"admins", action, resource);
           permit(principal, action, resource) when { principal.claims has level && principal.claims.level > 3 };"#,
    );
    let user = model("User");
    let ann = caller("ann", &[]);
    let level = |level| ann.clone().with_claim("level", Claim::Long(level));
    for _ in 0..2 {
        assert!(access(&compiled, &ann, Action::Get, &user).is_none());
        assert!(access(&compiled, &caller("ann", &["admins"]), Action::Get, &user).is_some());
        assert!(access(&compiled, &level(3), Action::Get, &user).is_none());
        assert!(access(&compiled, &level(4), Action::Get, &user).is_some());
    }
}
