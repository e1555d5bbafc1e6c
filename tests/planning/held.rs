//! What is wanted and not done, and that nothing around it is touched.

use std::collections::BTreeSet;

use albsync::{
    id::{Arn, RoleName, StackId},
    model::{
        desired::Waiting,
        elb::{LoadBalancer, Scheme},
        observed::Gap,
    },
    plan::{Plane, ReadOnly, op::Action, prepare, route},
};
use serde_json::json;

use crate::{
    fixture::{Wish, origin, shop, tutorial},
    world::World,
};

fn empty() -> Wish {
    let mut wish = shop(&[]);
    wish.ingresses.clear();
    wish
}

fn foreign_balancer(name: &str) -> LoadBalancer {
    LoadBalancer {
        arn: Arn::from("arn:aws:elasticloadbalancing:r:1:loadbalancer/app/x/1"),
        name: name.to_owned(),
        dns_name: "x".to_owned(),
        kind: "application".to_owned(),
        scheme: Some(Scheme::InternetFacing),
        ip_address_type: "ipv4".to_owned(),
        vpc_id: "vpc-0a0a0a0a0a0a0a0a0".to_owned(),
        state: "active".to_owned(),
        subnets: BTreeSet::new(),
        security_groups: Vec::new(),
        attributes: Default::default(),
        tags: [("team".to_owned(), "red".to_owned())].into(),
    }
}

#[test]
fn a_name_that_somebody_else_bears_holds_the_group_and_names_the_owner() {
    let mut world = World::new();
    let live = foreign_balancer("k8s-default-shop-pub");
    world
        .aws
        .edit(|state| state.load_balancers.insert(live.arn.clone(), live.clone()));
    let pass = world.pass(&shop(&[("/a", "one")]));
    assert_eq!(pass.codes(), ["NameTaken"]);
    assert!(pass.route.held[0].message.contains("team=red"));
    let state = world.aws.state();
    assert_eq!(state.load_balancers.len(), 1);
    assert!(state.target_groups.is_empty());
}

#[test]
fn a_protected_balancer_stops_the_whole_teardown() {
    let mut world = World::new();
    world.pass(&tutorial());
    world.aws.edit(|state| {
        let balancer = state.load_balancers.values_mut().next().unwrap();
        balancer
            .attributes
            .insert("deletion_protection.enabled".to_owned(), "true".to_owned());
    });
    world.aws.forget_calls();
    world.cluster.clear_calls();
    let pass = world.pass(&empty());
    assert!(
        pass.codes().contains(&"DeletionProtection"),
        "{:?}",
        pass.codes()
    );
    assert_eq!(world.aws.writes(), Vec::<String>::new());
    // Neither the Ingress nor what it routes to goes while the balancer stays.
    assert_eq!(world.cluster.writes(), Vec::<String>::new());
    assert!(pass.codes().contains(&"StillInUse"));
    world.aws.edit(|state| {
        let balancer = state.load_balancers.values_mut().next().unwrap();
        balancer
            .attributes
            .insert("deletion_protection.enabled".to_owned(), "false".to_owned());
    });
    world.pass(&empty());
    assert!(world.aws.state().load_balancers.is_empty());
    assert_eq!(world.aws.state().security_groups.len(), 1);
}

#[test]
fn what_could_not_be_read_is_neither_created_nor_deleted() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one")]));
    for wish in [shop(&[("/b", "two")]), empty()] {
        let desired = wish.desired();
        let mut observed = world.observe(&desired);
        observed.gaps.push(Gap {
            stack: StackId::Group("default/shop".to_owned()),
            what: "elasticloadbalancing:DescribeRules".to_owned(),
            message: "denied".to_owned(),
            denied: true,
        });
        let plan = world.plan_seen(&desired, &observed, route);
        assert!(plan.held.iter().any(|held| held.code == "ReadFailed"));
        let stack = StackId::Group("default/shop".to_owned());
        assert!(
            plan.ops.iter().all(|op| op.stack != stack),
            "{:#?}",
            plan.ops
        );
        // Its ports must stay open and its shared group must stay.
        assert!(!plan.ops.iter().any(|op| matches!(
            op.action,
            Action::RevokeIngress { .. } | Action::DeleteSecurityGroup { .. }
        )));
        assert!(plan.settled.iter().all(|settled| settled.stack != stack));
    }
}

#[test]
fn a_group_that_waits_for_a_fact_keeps_what_it_has() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one")]));
    let mut desired = empty().desired();
    desired.waiting.push(Waiting {
        stack: StackId::Group("default/shop".to_owned()),
        origin: origin("shop.yaml", 3),
        reason: "Service default/one has no node port yet".to_owned(),
        lasts: false,
    });
    world.aws.forget_calls();
    let before = world.applied.resources.clone();
    let pass = world.pass_desired(&desired);
    assert!(pass.codes().contains(&"WaitingForFacts"));
    assert_eq!(world.aws.writes(), Vec::<String>::new());
    assert_eq!(world.applied.resources, before);
}

#[test]
fn another_scheme_is_held_until_it_is_asked_for_in_two_commits() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one")]));
    let mut wish = shop(&[("/a", "one")]);
    wish.scheme = Some(Scheme::Internal);
    let pass = world.pass(&wish);
    assert_eq!(pass.codes(), ["ReplacementNeeded"]);
    assert!(pass.actions().is_empty());
}

#[test]
fn deletes_wait_when_pruning_is_not_allowed() {
    let mut world = World::new();
    world.pass(&tutorial());
    world.options.allow_prune = false;
    world.aws.forget_calls();
    world.cluster.clear_calls();
    let pass = world.pass(&empty());
    assert!(
        pass.codes()
            .iter()
            .filter(|code| **code == "PruneLimit")
            .count()
            >= 3
    );
    assert_eq!(world.aws.writes(), Vec::<String>::new());
    assert_eq!(world.cluster.writes(), Vec::<String>::new());
}

#[test]
fn a_read_only_aws_plane_shows_what_would_be_done_and_applies_what_does_not_need_it() {
    let mut world = World::new();
    world.options.read_only = Some(ReadOnly {
        plane: Plane::Aws,
        why: "LBC runs".to_owned(),
    });
    let pass = world.pass(&tutorial());
    assert!(world.aws.writes().is_empty());
    assert!(!pass.route.withheld.is_empty() && pass.route.ops.is_empty());
    let applied: Vec<&str> = pass
        .prepare
        .ops
        .iter()
        .map(|op| op.resource.name.split(' ').next().unwrap())
        .collect();
    // The ServiceAccount needs its role, which must not be made.
    assert_eq!(applied, ["ConfigMap", "Ingress.networking.k8s.io"]);
    assert!(pass.codes().iter().all(|code| *code == "ReadOnly"));
    assert!(world.applied.stacks.is_empty());
    world.options.read_only = None;
    world.pass(&tutorial());
    assert!(world.pass(&tutorial()).is_quiet());
}

#[test]
fn an_object_that_others_manage_waits_for_adoption() {
    let mut world = World::new();
    let live = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "default", "name": "page"}, "data": {"text": "theirs"}});
    world.cluster.put("helm", live);
    let mut desired = tutorial().desired();
    let pass = world.pass_desired(&desired);
    assert_eq!(pass.codes(), ["AdoptionRequired"]);
    assert!(pass.prepare.held[0].message.contains("helm"));
    let page = desired
        .objects
        .iter_mut()
        .find(|object| object.reference.name == "page")
        .unwrap();
    page.value["metadata"]["annotations"] = json!({"albsync.dev/adopt": "true"});
    let reference = page.reference.clone();
    let pass = world.pass_desired(&desired);
    assert!(pass.codes().is_empty());
    assert_eq!(
        world.cluster.object(&reference).unwrap()["data"]["text"],
        "hello"
    );
}

#[test]
fn an_object_made_anew_by_somebody_else_is_not_deleted() {
    let mut world = World::new();
    world.pass(&tutorial());
    let desired = tutorial().desired();
    let page = &desired.objects[0].reference;
    world.cluster.remove(page);
    world.cluster.put(
        "helm",
        json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "default", "name": "page"}}),
    );
    let mut wish = tutorial();
    wish.config_maps.clear();
    let pass = world.pass(&wish);
    assert!(world.cluster.object(page).is_some());
    assert_eq!(pass.route.foreign.len(), 1);
    assert!(world.pass(&wish).is_quiet());
}

#[test]
fn a_role_of_that_name_that_is_not_ours_is_never_written() {
    let mut world = World::new();
    world.pass(&tutorial());
    let role = RoleName::from("mz-k8s-default-reader");
    for (code, tags, id) in [
        ("OwnershipConflict", false, false),
        ("ReplacedOutOfBand", true, true),
    ] {
        let mut fresh = World::new();
        fresh.applied = world.applied.clone();
        fresh.aws.edit(|state| *state = world.aws.state());
        fresh.aws.edit(|state| {
            let live = state.roles.get_mut(&role).unwrap();
            if !tags {
                live.tags.clear();
            }
            if id {
                live.role_id = "AROAOTHER".to_owned();
            }
            live.trust = json!({});
        });
        let desired = tutorial().desired();
        let plan = fresh.plan(&desired, prepare);
        let stack = StackId::Role("default/reader".to_owned());
        assert!(
            plan.held
                .iter()
                .any(|held| held.code == code && held.stack == stack),
            "{:?}",
            plan.held
        );
        assert!(plan.ops.iter().all(|op| op.stack != stack));
        // Nor deleted when git drops it.
        let plan = fresh.plan(&empty().desired(), route);
        assert!(
            !plan
                .ops
                .iter()
                .any(|op| matches!(op.action, Action::DeleteRole { .. }))
        );
    }
}

#[test]
fn a_retained_role_stays_in_aws_when_git_drops_it() {
    let mut world = World::new();
    let mut desired = tutorial().desired();
    desired.roles.get_mut("default/reader").unwrap().retain = true;
    world.pass_desired(&desired);
    let mut wish = tutorial();
    wish.roles.clear();
    world.aws.forget_calls();
    world.pass(&wish);
    assert_eq!(world.aws.state().roles.len(), 1);
    assert_eq!(world.aws.state().policies.len(), 1);
    assert!(
        world
            .applied
            .resources
            .keys()
            .all(|id| !matches!(id.stack, StackId::Role(_)))
    );
    assert!(world.pass(&wish).is_quiet());
}

#[test]
fn a_suspended_role_gets_no_writes() {
    let mut world = World::new();
    world.pass(&tutorial());
    world
        .aws
        .edit(|state| state.roles.values_mut().next().unwrap().attached.clear());
    let mut desired = tutorial().desired();
    desired.roles.get_mut("default/reader").unwrap().suspended = true;
    world.aws.forget_calls();
    let pass = world.pass_desired(&desired);
    assert_eq!(pass.codes(), ["Suspended"]);
    assert!(world.aws.writes().is_empty());
}

#[test]
fn a_target_group_is_emptied_at_the_second_sight_only() {
    let mut world = World::new();
    let mut wish = shop(&[("/a", "one")]);
    world.pass(&wish);
    wish.nodes = 0;
    let pass = world.pass(&wish);
    assert_eq!(pass.codes(), ["EmptyTargets"]);
    assert_eq!(
        world
            .aws
            .state()
            .target_groups
            .values()
            .next()
            .unwrap()
            .targets
            .len(),
        3
    );
    world.pass(&wish);
    assert!(
        world
            .aws
            .state()
            .target_groups
            .values()
            .next()
            .unwrap()
            .targets
            .is_empty()
    );
    assert!(world.pass(&wish).is_quiet());
}

#[test]
fn foreign_members_hold_their_balancer() {
    let mut world = World::new();
    world
        .options
        .foreign_members
        .insert("default/shop".to_owned(), ["other/x".to_owned()].into());
    let pass = world.pass(&shop(&[("/a", "one")]));
    assert_eq!(pass.codes(), ["ForeignMembers"]);
    assert!(world.aws.state().load_balancers.is_empty());
}

#[test]
fn finalizers_of_the_other_controller_go_last() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one")]));
    let ingress = shop(&[("/a", "one")]).desired().objects[0]
        .reference
        .clone();
    world.cluster.edit(&ingress, |value| {
        value["metadata"]["finalizers"] = json!(["ingress.k8s.aws/resources"]);
    });
    let pass = world.pass(&empty());
    let kinds: Vec<bool> = pass
        .route
        .ops
        .iter()
        .map(|op| {
            matches!(
                op.action,
                Action::RemoveFinalizer { .. } | Action::DeleteObject { .. }
            )
        })
        .collect();
    assert!(kinds.is_sorted() && kinds.iter().filter(|last| **last).count() == 2);
    assert!(world.cluster.object(&ingress).is_none());
    assert!(world.pass(&empty()).is_quiet());
}
