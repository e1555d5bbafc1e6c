//! Listeners that become encrypted, change their certificates and become plain again; rules that sign people in.

use std::collections::BTreeMap;

use albsync::{
    id::Arn,
    manifest::annotation::options::MutualMode,
    model::{
        desired::Desired,
        elb::{MutualAuthentication, OidcClient, RuleAction, Tls, TlsSpec},
        group::{SecretRef, Session},
    },
    plan::op::{Action, Cause},
};

use crate::{
    fixture::shop,
    world::{Pass, World},
};

fn certificate(name: &str) -> Arn {
    Arn(format!(
        "arn:aws:acm:eu-central-1:123456789012:certificate/{name}"
    ))
}

/// A world whose account has these certificates.
fn world_with(names: &[&str]) -> World {
    let world = World::new();
    world.aws.edit(|state| {
        state.certificates = names.iter().map(|name| certificate(name)).collect();
    });
    world
}

fn plain() -> Desired {
    shop(&[("/a", "one")]).desired()
}

/// The same with its listener encrypted; the first certificate is the default.
fn encrypted(certificates: &[&str]) -> Desired {
    let mut desired = plain();
    let group = desired.groups.values_mut().next().unwrap();
    let listener = group.listeners.values_mut().next().unwrap();
    listener.spec.protocol = "HTTPS".to_owned();
    listener.spec.tls = Some(TlsSpec {
        default_certificate: certificate(certificates[0]),
        certificates: certificates.iter().map(|name| certificate(name)).collect(),
        ssl_policy: Some("ELBSecurityPolicy-2016-08".to_owned()),
        mutual_authentication: None,
    });
    desired
}

/// The same with the rule behind a sign-in, whose Secret has this version.
fn signed_in(version: &str) -> Desired {
    let mut desired = encrypted(&["one"]);
    let group = desired.groups.values_mut().next().unwrap();
    let listener = group.listeners.values_mut().next().unwrap();
    let sign_in = RuleAction::AuthenticateOidc {
        issuer: "https://login.example".to_owned(),
        authorization_endpoint: "https://login.example/authorize".to_owned(),
        token_endpoint: "https://login.example/token".to_owned(),
        user_info_endpoint: "https://login.example/user".to_owned(),
        client: Some(OidcClient {
            secret: SecretRef {
                namespace: "default".to_owned(),
                name: "login".to_owned(),
            },
            version: Some(version.to_owned()),
        }),
        session: Session {
            on_unauthenticated_request: "authenticate".to_owned(),
            scope: "openid".to_owned(),
            session_cookie_name: "AWSELBAuthSessionCookie".to_owned(),
            session_timeout: 604_800,
            extra_params: BTreeMap::new(),
        },
    };
    listener.rules[0].spec.actions.insert(0, sign_in);
    desired
}

/// What is done to listeners and rules, in order.
fn steps(pass: &Pass) -> Vec<String> {
    let names = |arns: &std::collections::BTreeSet<Arn>| -> String {
        let names = arns
            .iter()
            .filter_map(|arn| arn.as_str().rsplit('/').next());
        names.collect::<Vec<_>>().join(" ")
    };
    let step = |action: &Action| match action {
        Action::CreateListener { spec, .. } | Action::ModifyListener { spec, .. } => {
            let default = spec.tls.as_ref().map(|tls| {
                let arn = tls.default_certificate.as_str();
                format!(" {}", arn.rsplit('/').next().unwrap_or_default())
            });
            let verb = match action {
                Action::CreateListener { .. } => "create",
                _ => "modify",
            };
            Some(format!(
                "{verb} {}{}",
                spec.protocol,
                default.unwrap_or_default()
            ))
        }
        Action::AddListenerCertificates { certificates, .. } => {
            Some(format!("add {}", names(certificates)))
        }
        Action::RemoveListenerCertificates { certificates, .. } => {
            Some(format!("remove {}", names(certificates)))
        }
        Action::CreateRule { .. } => Some("create rule".to_owned()),
        Action::ModifyRule { .. } => Some("modify rule".to_owned()),
        Action::DeleteListener { .. } | Action::DeleteRule { .. } => Some("delete".to_owned()),
        _ => None,
    };
    pass.route
        .ops
        .iter()
        .filter_map(|op| step(&op.action))
        .collect()
}

fn tls(world: &World) -> Tls {
    let state = world.aws.state();
    assert_eq!(state.listeners.len(), 1);
    state.listeners.values().next().unwrap().tls.clone()
}

/// Passes, and passes again for nothing.
fn settle(world: &mut World, desired: &Desired) -> Pass {
    let pass = world.pass_desired(desired);
    let again = world.pass_desired(desired);
    assert!(again.is_quiet(), "{:#?}", again.route);
    pass
}

#[test]
fn a_new_listener_has_its_default_certificate_first_and_then_the_others_in_one_call() {
    let mut world = world_with(&["one", "two", "three"]);
    let pass = settle(&mut world, &encrypted(&["two", "one", "three"]));
    let steps = steps(&pass);
    assert_eq!(steps[..2], ["create HTTPS two", "add one three"]);
    assert_eq!(tls(&world).default_certificate, Some(certificate("two")));
}

#[test]
fn certificates_are_offered_before_the_default_changes_and_before_any_goes() {
    let mut world = world_with(&["one", "two", "three", "four"]);
    settle(&mut world, &encrypted(&["one", "two"]));
    let pass = settle(&mut world, &encrypted(&["three", "four"]));
    // The old default was never among the others, and goes with the change of the default.
    assert_eq!(
        steps(&pass),
        ["add four", "modify HTTPS three", "remove two"]
    );
    let live = tls(&world);
    assert_eq!(live.default_certificate, Some(certificate("three")));
    assert_eq!(live.certificates, [certificate("four")].into());
}

#[test]
fn a_certificate_that_becomes_the_default_is_served_all_the_while() {
    let mut world = world_with(&["one", "two"]);
    settle(&mut world, &encrypted(&["one", "two"]));
    let pass = settle(&mut world, &encrypted(&["two", "one"]));
    assert_eq!(steps(&pass), ["add one", "modify HTTPS two"]);
}

#[test]
fn a_rotated_certificate_is_added_before_the_old_one_is_removed() {
    let mut world = world_with(&["one", "old", "new"]);
    settle(&mut world, &encrypted(&["one", "old"]));
    let pass = settle(&mut world, &encrypted(&["one", "new"]));
    assert_eq!(steps(&pass), ["add new", "remove old"]);
    let remove = pass.route.ops.last().unwrap();
    assert_eq!(remove.needs.len(), 1, "a failed addition stops the removal");
}

#[test]
fn a_plain_listener_becomes_encrypted_in_place_and_keeps_its_rules() {
    let mut world = world_with(&["one", "two"]);
    settle(&mut world, &plain());
    let before = world.aws.state();
    let pass = settle(&mut world, &encrypted(&["one", "two"]));
    // Only an encrypted listener takes further certificates.
    assert_eq!(steps(&pass), ["modify HTTPS one", "add two"]);
    let after = world.aws.state();
    assert!(before.listeners.keys().eq(after.listeners.keys()));
    assert_eq!(before.rules, after.rules);

    let pass = settle(&mut world, &plain());
    assert_eq!(steps(&pass), ["modify HTTP"]);
    let back = world.aws.state();
    assert_eq!(back.listeners, before.listeners);
    assert_eq!(back.rules, before.rules);
}

#[test]
fn rules_sign_in_only_while_their_listener_is_encrypted() {
    let mut world = world_with(&["one"]);
    settle(&mut world, &plain());
    let pass = settle(&mut world, &signed_in("1"));
    assert_eq!(steps(&pass), ["modify HTTPS one", "modify rule"]);
    let rule = pass.route.ops.last().unwrap();
    assert!(!rule.needs.is_empty(), "it waits for the listener");
    let pass = settle(&mut world, &plain());
    assert_eq!(steps(&pass), ["modify rule", "modify HTTP"]);
    let listener = pass.route.ops.last().unwrap();
    assert!(!listener.needs.is_empty(), "it waits for the rule");
}

#[test]
fn a_new_version_of_a_secret_modifies_its_rule_once() {
    let mut world = world_with(&["one"]);
    settle(&mut world, &signed_in("7"));
    let pass = settle(&mut world, &signed_in("8"));
    assert_eq!(pass.actions().len(), 1, "{:#?}", pass.route);
    let op = &pass.route.ops[0];
    assert!(matches!(op.action, Action::ModifyRule { .. }));
    assert_eq!(op.reason.cause, Cause::Changed);
    let differences = format!("{:?}", op.reason.differences);
    assert!(
        differences.contains("Secret default/login")
            && differences.contains("version 7")
            && differences.contains("version 8"),
        "{differences}"
    );
}

#[test]
fn a_secret_whose_sent_version_is_unknown_is_taken_as_sent() {
    let mut world = world_with(&["one"]);
    settle(&mut world, &signed_in("7"));
    // The store is lost: what AWS has cannot be told, and nothing is written for it.
    world.applied = Default::default();
    let pass = settle(&mut world, &signed_in("7"));
    assert_eq!(steps(&pass), [""; 0]);
    let pass = settle(&mut world, &signed_in("8"));
    assert_eq!(steps(&pass), ["modify rule"]);
}

#[test]
fn client_certificates_stay_asked_for_until_they_are_switched_off() {
    let with = |mode: Option<MutualMode>| {
        let mut desired = encrypted(&["one"]);
        let group = desired.groups.values_mut().next().unwrap();
        let listener = group.listeners.values_mut().next().unwrap();
        let tls = listener.spec.tls.as_mut().unwrap();
        tls.mutual_authentication = mode.map(|mode| MutualAuthentication {
            mode,
            trust_store: None,
            ignore_client_certificate_expiry: None,
            advertise_trust_store_ca_names: None,
        });
        desired
    };
    let mode = |world: &World| tls(world).mutual_authentication.map(|it| it.mode);
    let mut world = world_with(&["one"]);
    settle(&mut world, &with(Some(MutualMode::Passthrough)));
    assert_eq!(mode(&world), Some(MutualMode::Passthrough));
    let pass = settle(&mut world, &with(None));
    assert_eq!(steps(&pass), [""; 0], "what nobody says is left");
    let pass = settle(&mut world, &with(Some(MutualMode::Off)));
    assert_eq!(steps(&pass), ["modify HTTPS one"]);
    assert_ne!(mode(&world), Some(MutualMode::Passthrough));
    assert_eq!(
        steps(&settle(&mut world, &with(None))),
        [""; 0],
        "off is off"
    );
}
