//! What hands change comes back and is called drift; what is foreign is left.

use std::collections::BTreeMap;

use albsync::{
    aws::fake::State,
    id::SecurityGroupId,
    model::{
        elb::{Condition, RuleAction, Target},
        net::{Permission, PermissionSource},
    },
    plan::op::{Action, Cause},
};

use crate::{
    fixture::{shop, tutorial},
    world::World,
};

/// Breaks one thing, heals it, and compares what matters.
fn heals(name: &str, hand: impl Fn(&mut State)) {
    let mut world = World::new();
    world.pass(&tutorial());
    let before = world.aws.state();
    world.aws.edit(hand);
    let pass = world.pass(&tutorial());
    let ops: Vec<_> = pass.prepare.ops.iter().chain(&pass.route.ops).collect();
    assert!(!ops.is_empty(), "{name}: nothing was planned");
    let causes: Vec<_> = ops
        .iter()
        .filter(|op| !matches!(op.action, Action::SetIngressStatus { .. }))
        .map(|op| op.reason.cause)
        .collect();
    assert!(
        causes.iter().all(|cause| *cause == Cause::Drift),
        "{name}: {causes:?} {ops:#?}"
    );
    let after = world.aws.state();
    let view = |state: &State| {
        let rules: Vec<_> = state
            .rules
            .values()
            .map(|rule| {
                (
                    rule.priority,
                    rule.conditions.clone(),
                    rule.tags["ingress.k8s.aws/stack"].clone(),
                )
            })
            .collect();
        let groups: Vec<_> = state
            .security_groups
            .values()
            .map(|group| (group.name.clone(), group.ingress.len(), group.tags.clone()))
            .collect();
        let targets: Vec<_> = state
            .target_groups
            .values()
            .map(|group| {
                (
                    group.name.clone(),
                    group.targets.clone(),
                    group.health_check.clone(),
                    group.tags.clone(),
                )
            })
            .collect();
        let balancers: Vec<_> = state
            .load_balancers
            .values()
            .map(|live| {
                (
                    live.name.clone(),
                    live.attributes.clone(),
                    live.tags.clone(),
                    live.subnets.clone(),
                )
            })
            .collect();
        let roles: Vec<_> = state
            .roles
            .values()
            .map(|role| {
                (
                    role.trust.clone(),
                    role.attached.clone(),
                    role.inline.clone(),
                    role.permissions_boundary.clone(),
                )
            })
            .collect();
        let policies: Vec<_> = state
            .policies
            .values()
            .map(|policy| policy.document.clone())
            .collect();
        let listeners: Vec<_> = state
            .listeners
            .values()
            .map(|live| (live.port, live.default_actions.clone(), live.tags.clone()))
            .collect();
        format!(
            "{rules:?}\n{groups:?}\n{targets:?}\n{balancers:?}\n{roles:?}\n{policies:?}\n{listeners:?}"
        )
    };
    assert_eq!(view(&after), view(&before), "{name}");
    let again = world.pass(&tutorial());
    assert!(
        again.is_quiet(),
        "{name}: {:#?}{:#?}",
        again.prepare,
        again.route
    );
}

#[test]
fn a_rules_conditions() {
    heals("conditions", |state| {
        let rule = state.rules.values_mut().next().unwrap();
        rule.conditions = vec![Condition::PathPattern {
            values: vec!["/hand".to_owned()].into(),
        }];
    });
}

#[test]
fn a_rules_action() {
    heals("action", |state| {
        let rule = state.rules.values_mut().next().unwrap();
        rule.actions = vec![RuleAction::FixedResponse {
            status_code: "503".to_owned(),
            content_type: None,
            message_body: None,
        }];
    });
}

#[test]
fn a_deleted_listener_with_its_rules() {
    heals("listener", |state| {
        state.listeners.clear();
        state.rules.clear();
    });
}

#[test]
fn a_default_action() {
    heals("default action", |state| {
        let listener = state.listeners.values_mut().next().unwrap();
        listener.default_actions = vec![RuleAction::FixedResponse {
            status_code: "200".to_owned(),
            content_type: None,
            message_body: Some("hand".to_owned()),
        }];
    });
}

#[test]
fn a_tag_of_ownership() {
    heals("tag", |state| {
        let balancer = state.load_balancers.values_mut().next().unwrap();
        balancer.tags.remove("ingress.k8s.aws/stack");
        let rule = state.rules.values_mut().next().unwrap();
        rule.tags.remove("elbv2.k8s.aws/cluster");
    });
}

#[test]
fn all_tags_of_a_target_group() {
    heals("tags", |state| {
        state
            .target_groups
            .values_mut()
            .next()
            .unwrap()
            .tags
            .clear();
    });
}

#[test]
fn a_permission_of_our_own_group() {
    heals("permission", |state| {
        let group = state
            .security_groups
            .values_mut()
            .find(|group| group.name.contains("shop"))
            .unwrap();
        group.ingress = [Permission {
            protocol: "tcp".to_owned(),
            from_port: 22,
            to_port: 22,
            source: PermissionSource::Cidr("0.0.0.0/0".to_owned()),
            description: "hand".to_owned(),
        }]
        .into();
    });
}

#[test]
fn a_permission_of_the_nodes() {
    heals("node permission", |state| {
        let nodes = SecurityGroupId::from("sg-nodes");
        state
            .security_groups
            .get_mut(&nodes)
            .unwrap()
            .ingress
            .clear();
    });
}

#[test]
fn targets_taken_out_and_put_in() {
    heals("targets", |state| {
        let group = state.target_groups.values_mut().next().unwrap();
        let first = group.targets.pop_first().unwrap();
        group.targets.insert(Target {
            all_zones: false,
            id: first.id,
            port: 1,
        });
    });
}

#[test]
fn a_health_check() {
    heals("health check", |state| {
        let group = state.target_groups.values_mut().next().unwrap();
        group.health_check.path = "/hand".to_owned();
    });
}

#[test]
fn a_roles_trust_boundary_and_policies() {
    heals("role", |state| {
        let role = state.roles.values_mut().next().unwrap();
        role.trust = serde_json::json!({"Statement": []});
        role.permissions_boundary = None;
        role.attached.clear();
        role.inline.insert("hand".to_owned(), serde_json::json!({}));
    });
}

#[test]
fn a_policys_document() {
    heals("policy", |state| {
        let policy = state.policies.values_mut().next().unwrap();
        policy.document =
            serde_json::json!({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    });
}

#[test]
fn rules_that_a_hand_reordered_move_back_in_one_call() {
    let mut world = World::new();
    let wish = shop(&[("/a", "one"), ("/b", "two"), ("/c", "one")]);
    world.pass(&wish);
    world.aws.edit(|state| {
        let last = state
            .rules
            .values_mut()
            .max_by_key(|rule| rule.priority)
            .unwrap();
        last.priority = 7;
    });
    assert_eq!(world.paths(), ["/c", "/a", "/b"]);
    let pass = world.pass(&wish);
    assert_eq!(world.paths(), ["/a", "/b", "/c"]);
    match pass.actions()[..] {
        [Action::SetRulePriorities { priorities, .. }] => assert_eq!(priorities.len(), 1),
        ref other => panic!("{other:?}"),
    }
    assert_eq!(pass.route.ops[0].reason.cause, Cause::Drift);
}

#[test]
fn foreign_rules_tags_and_permissions_survive_everything() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one"), ("/b", "two")]));
    let nodes = SecurityGroupId::from("sg-nodes");
    let marked = Permission {
        protocol: "tcp".to_owned(),
        from_port: 1,
        to_port: 9,
        source: PermissionSource::Cidr("10.0.0.0/8".to_owned()),
        description: "elbv2.k8s.aws/targetGroupBinding=shared".to_owned(),
    };
    world.aws.edit(|state| {
        let mut rule = state.rules.values().next().unwrap().clone();
        rule.arn = albsync::id::Arn::from("arn:foreign-rule");
        rule.priority = 150;
        rule.tags = BTreeMap::from([("owner".to_owned(), "someone".to_owned())]);
        state.rules.insert(rule.arn.clone(), rule);
        let balancer = state.load_balancers.values_mut().next().unwrap();
        balancer.tags.insert("cost".to_owned(), "42".to_owned());
        state
            .security_groups
            .get_mut(&nodes)
            .unwrap()
            .ingress
            .insert(marked.clone());
    });
    let pass = world.pass(&shop(&[("/a", "one"), ("/ab", "one"), ("/b", "two")]));
    assert_eq!(pass.route.foreign.len(), 1);
    let state = world.aws.state();
    assert_eq!(
        state.rules[&albsync::id::Arn::from("arn:foreign-rule")].priority,
        150
    );
    assert!(
        state
            .rules
            .values()
            .filter(|rule| rule.priority == 150)
            .count()
            == 1
    );
    assert_eq!(
        state.load_balancers.values().next().unwrap().tags["cost"],
        "42"
    );
    assert!(state.security_groups[&nodes].ingress.contains(&marked));
    world.aws.edit(|state| {
        state
            .rules
            .remove(&albsync::id::Arn::from("arn:foreign-rule"));
    });
    let mut nothing = shop(&[]);
    nothing.ingresses.clear();
    world.pass(&nothing);
    assert!(
        world.aws.state().security_groups[&nodes]
            .ingress
            .contains(&marked)
    );
}
