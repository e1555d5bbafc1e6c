//! What a repository does over time: build, edit, revert, take down.

use albsync::{
    id::{ResourceKind, StackId},
    plan::op::{Action, Cause, Plan},
};
use serde_json::json;

use crate::{
    fixture::{shop, tutorial},
    world::World,
};

fn place(plan: &Plan, fits: impl Fn(&Action) -> bool) -> usize {
    plan.ops
        .iter()
        .position(|op| fits(&op.action))
        .expect("such an operation")
}

#[test]
fn the_first_pass_builds_everything_and_the_second_does_nothing() {
    let mut world = World::new();
    let first = world.pass(&tutorial());
    assert!(first.codes().is_empty(), "{:?}", first.codes());
    let state = world.aws.state();
    assert_eq!(state.load_balancers.len(), 1);
    assert_eq!(state.rules.len(), 2);
    assert_eq!(state.target_groups.len(), 2);
    assert!(
        state
            .target_groups
            .values()
            .all(|group| group.targets.len() == 3)
    );
    assert_eq!(state.roles.len(), 1);
    assert_eq!(world.paths(), ["/app1", "/app2"]);
    assert!(
        first
            .prepare
            .ops
            .iter()
            .all(|op| op.reason.cause == Cause::Added)
    );
    let tags = |rule: &albsync::model::elb::Rule| rule.tags["ingress.k8s.aws/resource"].clone();
    assert!(
        state
            .rules
            .values()
            .all(|rule| tags(rule) == format!("80:{}", rule.priority))
    );
    let second = world.pass(&tutorial());
    assert!(
        second.is_quiet(),
        "{:#?} {:#?}",
        second.prepare,
        second.route
    );
}

#[test]
fn a_balancer_is_named_on_its_ingress_after_its_rules() {
    let mut world = World::new();
    let pass = world.pass(&tutorial());
    let status = place(&pass.route, |action| {
        matches!(action, Action::SetIngressStatus { .. })
    });
    let rule = place(&pass.route, |action| {
        matches!(action, Action::CreateRule { .. })
    });
    assert!(status > rule);
    let desired = tutorial().desired();
    let ingress = desired
        .objects
        .iter()
        .find(|object| object.reference.kind == "Ingress")
        .unwrap();
    let live = world.cluster.object(&ingress.reference).unwrap();
    let hostname = live["status"]["loadBalancer"]["ingress"][0]["hostname"]
        .as_str()
        .unwrap();
    let balancer = world.arn_of(ResourceKind::LoadBalancer, "LoadBalancer");
    assert_eq!(
        hostname,
        world.aws.state().load_balancers[&balancer]
            .dns_name
            .to_lowercase()
    );
}

#[test]
fn targets_are_registered_before_a_rule_forwards_to_them() {
    let mut world = World::new();
    let route = world.pass(&shop(&[("/a", "one")])).route;
    let register = place(&route, |action| {
        matches!(action, Action::RegisterTargets { .. })
    });
    let admit = place(&route, |action| {
        matches!(action, Action::AuthorizeIngress { .. })
    });
    let rule = place(&route, |action| matches!(action, Action::CreateRule { .. }));
    assert!(register < rule && admit < rule);
}

#[test]
fn a_third_path_that_sorts_first_costs_its_own_calls_only() {
    let mut world = World::new();
    world.pass(&shop(&[("/b", "one"), ("/c", "two")]));
    let wider = shop(&[("/a", "one"), ("/b", "one"), ("/c", "two")]);
    let pass = world.pass(&wider);
    assert_eq!(pass.actions().len(), 1, "{:#?}", pass.route);
    assert!(matches!(pass.actions()[0], Action::CreateRule { .. }));
    assert_eq!(world.paths(), ["/a", "/b", "/c"]);
    assert!(world.pass(&wider).is_quiet());
}

#[test]
fn a_changed_backend_modifies_the_rule_in_place() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one"), ("/b", "two")]));
    let before: Vec<_> = world.aws.state().rules.into_keys().collect();
    let route = world.pass(&shop(&[("/a", "three"), ("/b", "two")])).route;
    let modify = place(&route, |action| matches!(action, Action::ModifyRule { .. }));
    let drop = place(&route, |action| {
        matches!(action, Action::DeleteTargetGroup { .. })
    });
    assert!(modify < drop);
    assert_eq!(route.ops[modify].reason.cause, Cause::Changed);
    assert_eq!(
        before,
        world.aws.state().rules.into_keys().collect::<Vec<_>>()
    );
    assert!(
        !route
            .ops
            .iter()
            .any(|op| matches!(op.action, Action::SetRulePriorities { .. }))
    );
}

#[test]
fn attributes_that_git_no_longer_declares_go_back_to_their_defaults() {
    let mut world = World::new();
    let mut wish = shop(&[("/a", "one")]);
    world.pass(&wish);
    let before = world.aws.state().load_balancers;
    for (key, value) in [("enabled", "true"), ("bucket", "logs"), ("prefix", "shop")] {
        wish.attributes
            .insert(format!("access_logs.s3.{key}"), value.to_owned());
    }
    let pass = world.pass(&wish);
    assert_eq!(pass.actions().len(), 1);
    assert_ne!(world.aws.state().load_balancers, before);
    world.pass(&shop(&[("/a", "one")]));
    assert_eq!(world.aws.state().load_balancers, before);
    assert!(world.pass(&shop(&[("/a", "one")])).is_quiet());
}

#[test]
fn a_revert_brings_back_the_state_and_keeps_what_both_commits_hold() {
    let mut world = World::new();
    let before = tutorial();
    world.pass(&before);
    let balancer = world.arn_of(ResourceKind::LoadBalancer, "LoadBalancer");
    let role = world.aws.state().roles;
    let mut after = shop(&[("/app1", "other"), ("/app3", "app2")]);
    after
        .roles
        .insert("reader".to_owned(), "s3:PutObject".to_owned());
    after.tags.insert("team".to_owned(), "blue".to_owned());
    world.pass(&after);
    assert_eq!(world.paths(), ["/app1", "/app3"]);
    world.pass(&before);
    assert_eq!(world.paths(), ["/app1", "/app2"]);
    assert_eq!(
        world.arn_of(ResourceKind::LoadBalancer, "LoadBalancer"),
        balancer
    );
    assert_eq!(world.aws.state().roles, role);
    let tags = world.aws.state().load_balancers[&balancer].tags.clone();
    assert!(!tags.contains_key("team"));
    assert!(world.pass(&before).is_quiet());
}

#[test]
fn a_replaced_target_group_is_made_filled_and_attached_before_the_old_one_goes() {
    let mut world = World::new();
    let mut wish = shop(&[("/a", "one")]);
    world.pass(&wish);
    let old = world.arn_of(ResourceKind::TargetGroup, "default/shop-one:80");
    wish.protocol_version = Some("HTTP2".to_owned());
    let route = world.pass(&wish).route;
    let kinds: Vec<usize> = [
        place(&route, |action| {
            matches!(action, Action::CreateTargetGroup { .. })
        }),
        place(&route, |action| {
            matches!(action, Action::RegisterTargets { .. })
        }),
        place(&route, |action| matches!(action, Action::ModifyRule { .. })),
        place(
            &route,
            |action| matches!(action, Action::DeleteTargetGroup { arn } if *arn == old),
        ),
    ]
    .into();
    assert!(kinds.is_sorted());
    assert_ne!(
        world.arn_of(ResourceKind::TargetGroup, "default/shop-one:80"),
        old
    );
    assert!(world.pass(&wish).is_quiet());
}

#[test]
fn a_new_node_port_moves_targets_and_widens_before_it_narrows() {
    let mut world = World::new();
    let mut wish = shop(&[("/a", "one")]);
    world.pass(&wish);
    wish.port_base = 31_000;
    let route = world.pass(&wish).route;
    let order = [
        place(&route, |action| {
            matches!(action, Action::AuthorizeIngress { .. })
        }),
        place(&route, |action| {
            matches!(action, Action::RegisterTargets { .. })
        }),
        place(&route, |action| {
            matches!(action, Action::DeregisterTargets { .. })
        }),
        place(&route, |action| {
            matches!(action, Action::RevokeIngress { .. })
        }),
    ];
    assert!(order.is_sorted());
    assert!(
        route
            .ops
            .iter()
            .all(|op| op.reason.cause == Cause::Followed),
        "{route:#?}"
    );
    assert_eq!(world.aws.state().target_groups.len(), 1);
    assert!(world.pass(&wish).is_quiet());
}

#[test]
fn taking_everything_out_of_git_leaves_the_account_as_it_was() {
    let mut world = World::new();
    let mut seed = world.aws.state();
    world.pass(&tutorial());
    world.aws.edit(|state| state.lingering = 0);
    let mut nothing = tutorial();
    nothing.ingresses.clear();
    nothing.roles.clear();
    nothing.config_maps.clear();
    let pass = world.pass(&nothing);
    let route = &pass.route;
    assert!(!route.ops.iter().any(|op| matches!(
        op.action,
        Action::DeleteRule { .. } | Action::DeleteListener { .. }
    )));
    let order = [
        place(route, |action| {
            matches!(action, Action::DeleteLoadBalancer { .. })
        }),
        place(route, |action| {
            matches!(action, Action::DeleteTargetGroup { .. })
        }),
        place(route, |action| {
            matches!(action, Action::RevokeIngress { .. })
        }),
        place(route, |action| {
            matches!(action, Action::DeleteSecurityGroup { .. })
        }),
    ];
    assert!(order.is_sorted());
    let account = place(
        route,
        |action| matches!(action, Action::DeleteObject { reference, .. } if reference.kind == "ServiceAccount"),
    );
    let detach = place(route, |action| {
        matches!(action, Action::DetachRolePolicy { .. })
    });
    let role = place(route, |action| matches!(action, Action::DeleteRole { .. }));
    let policy = place(route, |action| {
        matches!(action, Action::DeletePolicy { .. })
    });
    assert!([account, detach, role, policy].is_sorted());
    assert_eq!(route.irreversible.len(), 2, "{:?}", route.irreversible);
    let left = world.aws.state();
    // The provider is never deleted.
    seed.providers.clone_from(&left.providers);
    assert_eq!(left.providers.len(), 1);
    assert_eq!(
        (
            left.load_balancers,
            left.target_groups,
            left.security_groups,
            left.roles,
            left.policies
        ),
        (
            seed.load_balancers,
            seed.target_groups,
            seed.security_groups,
            seed.roles,
            seed.policies
        )
    );
    assert!(
        world.applied.resources.is_empty(),
        "{:?}",
        world.applied.resources
    );
    assert!(world.applied.inventory.is_empty() && world.applied.stacks.is_empty());
    assert!(world.pass(&nothing).is_quiet());
}

#[test]
fn the_shared_group_stays_until_its_last_user_goes() {
    let mut world = World::new();
    let mut two = shop(&[("/a", "one")]);
    two.ingresses
        .insert("blog".to_owned(), vec![("/b".to_owned(), "two".to_owned())]);
    world.pass(&two);
    assert_eq!(world.aws.state().load_balancers.len(), 2);
    let pass = world.pass(&shop(&[("/a", "one")]));
    let backend = StackId::Network;
    assert!(
        !pass.route.ops.iter().any(
            |op| op.stack == backend && matches!(op.action, Action::DeleteSecurityGroup { .. })
        )
    );
    assert_eq!(world.aws.state().load_balancers.len(), 1);
    assert!(world.pass(&shop(&[("/a", "one")])).is_quiet());
}

#[test]
fn a_role_keeps_its_unique_id_and_its_policy_makes_room_for_versions() {
    let mut world = World::new();
    let mut wish = tutorial();
    world.pass(&wish);
    let id = |world: &World| {
        world
            .aws
            .state()
            .roles
            .values()
            .next()
            .unwrap()
            .role_id
            .clone()
    };
    let first = id(&world);
    for action in 0..7 {
        wish.roles
            .insert("reader".to_owned(), format!("s3:Action{action}"));
        let pass = world.pass(&wish);
        assert!(pass.codes().is_empty());
        assert!(world.pass(&wish).is_quiet());
    }
    assert_eq!(id(&world), first);
    assert_eq!(
        world
            .aws
            .state()
            .policies
            .values()
            .next()
            .unwrap()
            .versions
            .len(),
        5
    );
}

#[test]
fn what_another_controller_built_is_taken_over_without_a_write() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one"), ("/b", "two"), ("/c", "three")]));
    world.applied = Default::default();
    world.aws.edit(|state| {
        let mut rules: Vec<_> = state.rules.values_mut().collect();
        rules.sort_by_key(|rule| rule.priority);
        for (index, rule) in rules.into_iter().enumerate() {
            rule.priority = index as u32 + 1;
            let text = format!("80:{}", index + 1);
            rule.tags
                .insert("ingress.k8s.aws/resource".to_owned(), text);
        }
    });
    let before = world.aws.state();
    let wish = shop(&[("/a", "one"), ("/b", "two"), ("/c", "three")]);
    let pass = world.pass(&wish);
    assert!(pass.actions().is_empty(), "{:#?}", pass.route.ops);
    assert_eq!(world.aws.state().rules, before.rules);
    assert!(world.pass(&wish).is_quiet());
    // Between dense numbers there is no gap: one call renumbers, the order holds.
    let wider = shop(&[
        ("/a", "one"),
        ("/aa", "one"),
        ("/b", "two"),
        ("/c", "three"),
    ]);
    let pass = world.pass(&wider);
    let moves = pass
        .actions()
        .into_iter()
        .filter(|action| matches!(action, Action::SetRulePriorities { .. }));
    assert_eq!(moves.count(), 1);
    assert_eq!(world.paths(), ["/a", "/aa", "/b", "/c"]);
}

#[test]
fn no_write_is_made_that_is_not_needed() {
    let mut world = World::new();
    let writes = |world: &mut World, wish: &crate::fixture::Wish| {
        world.aws.forget_calls();
        world.pass(wish);
        world.aws.writes().len()
    };
    let two = shop(&[("/app1", "app1"), ("/app2", "app2")]);
    // Two security groups, a permission in one and in the nodes', two target groups filled, balancer, listener, rules.
    assert_eq!(writes(&mut world, &two), 12);
    assert_eq!(writes(&mut world, &two), 0);
    // A target group made and filled, the rule changed, the old one deleted, the nodes' ports widened and narrowed.
    assert_eq!(
        writes(&mut world, &shop(&[("/app1", "app3"), ("/app2", "app2")])),
        6
    );
    assert_eq!(writes(&mut world, &two), 6);
    let mut nothing = shop(&[]);
    nothing.ingresses.clear();
    assert_eq!(writes(&mut world, &nothing), 6);
}

#[test]
fn an_account_that_was_only_annotated_loses_what_was_set_before_its_role_goes() {
    let mut world = World::new();
    let mut desired = tutorial().desired();
    let account = desired
        .objects
        .iter_mut()
        .find(|object| object.reference.kind == "ServiceAccount")
        .unwrap();
    (account.keep, account.existing_only) = (true, true);
    account.value["metadata"]["annotations"] = json!({ "eks.amazonaws.com/role-arn": "arn" });
    let reference = account.reference.clone();
    let of_chart = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": reference.name,
            "namespace": reference.namespace,
            "annotations": { "chart": "yes" },
        },
    });
    let uid = world.cluster.put("helm", of_chart);
    world.pass_desired(&desired);
    let annotations = |world: &World| {
        world.cluster.object(&reference).unwrap()["metadata"]["annotations"].clone()
    };
    assert_eq!(annotations(&world)["eks.amazonaws.com/role-arn"], "arn");

    let mut without = tutorial();
    without.roles.clear();
    let pass = world.pass(&without);
    assert_eq!(annotations(&world), json!({ "chart": "yes" }));
    assert_eq!(
        world.cluster.object(&reference).unwrap()["metadata"]["uid"],
        uid
    );
    let strip = place(&pass.route, |action| {
        matches!(action, Action::ApplyObject { .. })
    });
    let detach = place(&pass.route, |action| {
        matches!(action, Action::DetachRolePolicy { .. })
    });
    assert!(strip < detach, "{:#?}", pass.route);
    assert!(!world.applied.inventory.contains_key(&reference.key()));
    assert!(world.pass(&without).is_quiet());
}
