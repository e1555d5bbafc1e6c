//! Limits of the account: what a plan would have too much of on its way is held, or makes room first.

use std::collections::{BTreeMap, BTreeSet};

use albsync::{
    id::{Arn, StackId},
    model::{
        desired::{Desired, Ref},
        elb::{Target, TlsSpec},
        quota::Limit,
    },
    plan::{
        diff::elb::forwarded,
        op::{Action, Held, Plan},
        route,
    },
};
use proptest::prelude::*;

use crate::{
    fixture::{Wish, shop},
    random::wish,
    world::{Pass, World},
};

fn limit(world: &mut World, limit: Limit, most: u64) {
    world.options.limits.insert(limit.name().to_owned(), most);
}

/// Groups `default/blog` with one target group and `default/shop` with two.
fn two_groups() -> Wish {
    let mut wish = shop(&[("/a", "one"), ("/b", "two")]);
    let posts = vec![("/posts".to_owned(), "posts".to_owned())];
    wish.ingresses.insert("blog".to_owned(), posts);
    wish
}

fn group(name: &str) -> StackId {
    StackId::Group(format!("default/{name}"))
}

fn held(plan: &Plan) -> Vec<(&StackId, &str)> {
    let held = plan.held.iter();
    held.map(|held: &Held| (&held.stack, held.code.as_str()))
        .collect()
}

fn rules_by(pass: &Pass, is: fn(&Action) -> bool) -> usize {
    pass.actions()
        .into_iter()
        .filter(|action| is(action))
        .count()
}

#[test]
fn a_group_that_the_account_has_no_room_for_on_the_way_is_held_and_the_others_go_on() {
    let mut world = World::new();
    limit(&mut world, Limit::TargetGroups, 4);
    let mut wish = two_groups();
    assert!(world.pass(&wish).codes().is_empty());
    // Every target group is replaced: three new ones beside three old ones.
    wish.protocol_version = Some("GRPC".to_owned());
    let pass = world.pass(&wish);
    let shop = group("shop");
    assert_eq!(held(&pass.route), [(&shop, "Quota")]);
    let told = &pass.route.held[0];
    assert_eq!(
        told.message,
        "this repository would have up to 6 target groups while this is carried out, and 4 are allowed; 3 in the end \
         (target-groups)"
    );
    assert!(
        told.release.contains("a commit of its own"),
        "{}",
        told.release
    );
    assert!(pass.route.ops.iter().all(|op| op.stack != shop));
    assert!(pass.route.ops.iter().any(|op| op.stack == group("blog")));
    let versions = |world: &World| {
        let state = world.aws.state();
        let groups = state.target_groups.values();
        let mut versions: Vec<_> = groups.map(|it| it.protocol_version.clone()).collect();
        versions.sort();
        versions
    };
    assert_eq!(versions(&world), ["GRPC", "HTTP1", "HTTP1"]);

    // It waits with what it has, and goes on by itself once there is room.
    assert_eq!(world.pass(&wish).codes(), ["Quota"]);
    limit(&mut world, Limit::TargetGroups, 5);
    assert!(world.pass(&wish).codes().is_empty());
    assert_eq!(versions(&world), ["GRPC", "GRPC", "GRPC"]);
    assert!(world.pass(&wish).is_quiet());
}

#[test]
fn groups_that_this_pass_does_not_look_at_count_as_the_store_has_them() {
    let mut world = World::new();
    limit(&mut world, Limit::TargetGroups, 4);
    let mut wish = two_groups();
    world.pass(&wish);
    wish.ingresses.remove("shop");
    wish.protocol_version = Some("GRPC".to_owned());
    let desired = wish.desired();
    let mut observed = world.observe(&desired);
    let plan = world.plan_seen(&desired, &observed, route);
    assert_eq!(held(&plan), []);
    // Not looked at, and there all the same: two and two of the blog's are four, with a third of its own five.
    observed.groups.remove("default/shop");
    limit(&mut world, Limit::TargetGroups, 3);
    let plan = world.plan_seen(&desired, &observed, route);
    let blog = group("blog");
    assert!(held(&plan).contains(&(&blog, "Quota")), "{:#?}", plan.held);
    assert!(
        plan.held
            .iter()
            .any(|held| held.message.contains("up to 4 target groups"))
    );
}

#[test]
fn balancers_beyond_what_the_account_may_have_are_not_begun() {
    let mut world = World::new();
    limit(&mut world, Limit::Balancers, 1);
    let pass = world.pass(&two_groups());
    let shop = group("shop");
    assert_eq!(held(&pass.route), [(&shop, "Quota")]);
    let told = &pass.route.held[0];
    assert!(
        told.message
            .contains("would have 2 application load balancers, and 1 are allowed"),
        "{}",
        told.message
    );
    assert_eq!(told.release, "ask for less, or have the limit raised");
    assert_eq!(world.aws.state().load_balancers.len(), 1);
    assert_eq!(world.aws.state().target_groups.len(), 1);
}

#[test]
fn where_the_check_is_lowered_the_group_is_tried() {
    let mut world = World::new();
    limit(&mut world, Limit::Balancers, 1);
    world.options.hold_over_limits = false;
    assert!(world.pass(&two_groups()).codes().is_empty());
    assert_eq!(world.aws.state().load_balancers.len(), 2);
}

#[test]
fn a_limit_that_is_passed_already_holds_nothing_that_makes_no_more() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one"), ("/b", "two"), ("/c", "one")]));
    limit(&mut world, Limit::Rules, 1);
    limit(&mut world, Limit::BalancerTargetGroups, 1);
    limit(&mut world, Limit::TargetGroups, 1);
    let pass = world.pass(&shop(&[("/a", "one"), ("/b", "two")]));
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    assert_eq!(world.paths(), ["/a", "/b"]);
}

#[test]
fn rules_that_made_room_are_not_moved_out_of_the_way_any_more() {
    let mut world = World::new();
    limit(&mut world, Limit::Rules, 4);
    world.aws.edit(|state| state.rule_limit = 4);
    world.pass(&shop(&[("/c", "one"), ("/d", "one"), ("/b", "one")]));
    // `/b` passes `/c`, while two come and one goes.
    let swapped = shop(&[("/g", "one"), ("/b", "one"), ("/e", "one"), ("/c", "one")]);
    let pass = world.pass(&swapped);
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    assert_eq!(world.paths(), ["/g", "/b", "/e", "/c"]);
}

/// A second listener like the first, and what each answers.
fn two_listeners(first: &[&str], second: &[&str]) -> Desired {
    let mut all: Vec<(&str, &str)> = first.iter().map(|path| (*path, "one")).collect();
    all.extend(second.iter().map(|path| (*path, "one")));
    let mut desired = shop(&all).desired();
    let group = desired.groups.values_mut().next().unwrap();
    let mut other = group.listeners[&80].clone();
    let listener = group.listeners.get_mut(&80).unwrap();
    other.rules = listener.rules.split_off(first.len());
    other.spec.port = 8080;
    group.listeners.insert(8080, other);
    desired
}

#[test]
fn at_the_limit_of_rules_the_surplus_goes_first() {
    let mut world = World::new();
    limit(&mut world, Limit::Rules, 4);
    world.aws.edit(|state| state.rule_limit = 4);
    world.pass(&shop(&[
        ("/a", "one"),
        ("/b", "one"),
        ("/c", "one"),
        ("/d", "one"),
    ]));
    let swapped = shop(&[("/a", "one"), ("/x", "one"), ("/y", "one"), ("/z", "one")]);
    let pass = world.pass(&swapped);
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    assert_eq!(world.paths(), ["/a", "/x", "/y", "/z"]);
}

#[test]
fn rules_that_have_no_room_beside_those_of_another_listener_are_held() {
    let mut world = World::new();
    limit(&mut world, Limit::Rules, 5);
    world.pass_desired(&two_listeners(&["/a"], &["/w", "/x", "/y", "/z"]));
    let pass = world.pass_desired(&two_listeners(&["/a", "/b", "/c", "/d"], &["/w"]));
    let shop = group("shop");
    assert_eq!(held(&pass.route), [(&shop, "Quota")]);
    assert_eq!(
        pass.route.held[0].message,
        "the balancer of group default/shop would have up to 8 rules while this is carried out, and 5 are allowed; 5 in \
         the end (rules-per-application-load-balancer)"
    );
    assert_eq!(
        rules_by(&pass, |action| matches!(action, Action::CreateRule { .. })),
        0
    );

    // As it is told: what goes in a commit of its own, what comes in the next.
    world.pass_desired(&two_listeners(&["/a"], &["/w"]));
    let pass = world.pass_desired(&two_listeners(&["/a", "/b", "/c", "/d"], &["/w"]));
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
}

#[test]
fn what_made_room_for_one_listener_is_not_made_again_for_the_next() {
    let mut world = World::new();
    limit(&mut world, Limit::Rules, 4);
    world.aws.edit(|state| state.rule_limit = 4);
    world.pass_desired(&two_listeners(&["/a", "/b"], &["/w", "/x"]));
    let pass = world.pass_desired(&two_listeners(&["/c", "/d"], &["/y"]));
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    let actions = pass.actions().into_iter();
    let steps = actions.filter_map(|action| match action {
        Action::CreateRule { .. } => Some("create"),
        Action::DeleteRule { .. } => Some("delete"),
        _ => None,
    });
    // Full, the first has to give up two for its two; of the second's two one stays until the new one is there.
    let first = ["delete", "delete", "create", "create"];
    let second = ["delete", "create", "delete"];
    assert!(steps.eq(first.into_iter().chain(second)));
}

fn certificate(name: &str) -> Arn {
    Arn(format!(
        "arn:aws:acm:eu-central-1:123456789012:certificate/{name}"
    ))
}

fn encrypted(certificates: &[&str]) -> Desired {
    let mut desired = shop(&[("/a", "one")]).desired();
    let group = desired.groups.values_mut().next().unwrap();
    let listener = group.listeners.get_mut(&80).unwrap();
    listener.spec.protocol = "HTTPS".to_owned();
    listener.spec.tls = Some(TlsSpec {
        default_certificate: certificate("default"),
        certificates: certificates.iter().map(|name| certificate(name)).collect(),
        ssl_policy: None,
        mutual_authentication: None,
    });
    desired
}

#[test]
fn certificates_at_the_limit_make_room_for_as_many_as_come_too_many() {
    let names = ["default", "a", "b", "c", "d", "e"];
    let changed = |most: u64| {
        let mut world = World::new();
        limit(&mut world, Limit::Certificates, most);
        world.aws.edit(|state| {
            state.certificates = names.iter().map(|name| certificate(name)).collect();
        });
        world.pass_desired(&encrypted(&["a", "b", "c"]));
        let pass = world.pass_desired(&encrypted(&["c", "d", "e"]));
        assert!(pass.codes().is_empty(), "{:?}", pass.codes());
        let steps: Vec<String> = pass
            .actions()
            .into_iter()
            .filter_map(|action| match action {
                Action::AddListenerCertificates { certificates, .. } => {
                    Some(format!("add {}", certificates.len()))
                }
                Action::RemoveListenerCertificates { certificates, .. } => {
                    Some(format!("remove {}", certificates.len()))
                }
                _ => None,
            })
            .collect();
        let state = world.aws.state();
        let listener = state.listeners.values().next().unwrap();
        let wanted: BTreeSet<Arn> = ["c", "d", "e"].map(certificate).into();
        assert_eq!(listener.tls.certificates, wanted);
        steps
    };
    // No name is without its certificate where there is room.
    assert_eq!(changed(5), ["add 2", "remove 2"]);
    assert_eq!(changed(4), ["remove 1", "add 2", "remove 1"]);
    assert_eq!(changed(3), ["remove 2", "add 2"]);
}

#[test]
fn certificates_that_made_room_for_one_listener_are_counted_for_the_next() {
    let both = |first: &[&str], second: &[&str]| {
        let mut desired = encrypted(first);
        let other = encrypted(second).groups.into_values().next().unwrap();
        let mut other = other.listeners[&80].clone();
        other.spec.port = 8443;
        let group = desired.groups.values_mut().next().unwrap();
        group.listeners.insert(8443, other);
        desired
    };
    let steps = |first: [&[&str]; 2], second: [&[&str]; 2]| -> Vec<String> {
        let mut world = World::new();
        limit(&mut world, Limit::Certificates, 4);
        world.aws.edit(|state| {
            let names = ["default", "a", "b", "c", "d", "e", "f", "g"];
            state.certificates = names.iter().map(|name| certificate(name)).collect();
        });
        world.pass_desired(&both(first[0], second[0]));
        let pass = world.pass_desired(&both(first[1], second[1]));
        assert!(pass.codes().is_empty(), "{:?}", pass.codes());
        let actions = pass.actions().into_iter();
        let steps = actions.filter_map(|action| match action {
            Action::AddListenerCertificates { certificates, .. } => {
                Some(format!("add {}", certificates.len()))
            }
            Action::RemoveListenerCertificates { certificates, .. } => {
                Some(format!("remove {}", certificates.len()))
            }
            _ => None,
        });
        steps.collect()
    };
    assert_eq!(
        steps([&["a", "b"], &["c", "d"]], [&["e", "f"], &["g"]]),
        ["remove 2", "add 2", "remove 1", "add 1", "remove 1"]
    );
    // One that the other listener offers already is no more than it was.
    assert_eq!(
        steps([&["a", "b"], &["a", "c"]], [&["c", "d"], &["c", "d"]]),
        ["add 1", "remove 1"]
    );
}

#[test]
fn targets_that_follow_the_cluster_are_tried_and_those_that_git_asks_for_are_held() {
    let mut world = World::new();
    let mut wish = shop(&[("/a", "one")]);
    wish.nodes = 2;
    world.pass(&wish);
    limit(&mut world, Limit::BalancerTargets, 2);
    wish.nodes = 3;
    let pass = world.pass(&wish);
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    let state = world.aws.state();
    let live = state.target_groups.values().next().unwrap();
    let registered: &BTreeSet<Target> = &live.targets;
    assert_eq!(registered.len(), 3);

    wish.ingresses
        .get_mut("shop")
        .unwrap()
        .push(("/b".to_owned(), "two".to_owned()));
    let pass = world.pass(&wish);
    let shop = group("shop");
    assert!(
        held(&pass.route).contains(&(&shop, "Quota")),
        "{:?}",
        pass.codes()
    );
    let told = &pass.route.held[0].message;
    assert!(told.contains("6 targets, and 2 are allowed"), "{told}");
    assert!(
        told.contains("targets-per-application-load-balancer"),
        "{told}"
    );
}

/// What there is in the account, counted from what it holds and not from plans: of its fullest balancer.
fn there_is(world: &World) -> BTreeMap<Limit, u64> {
    let state = world.aws.state();
    let mut most: BTreeMap<Limit, u64> = BTreeMap::new();
    most.insert(Limit::Balancers, state.load_balancers.len() as u64);
    most.insert(Limit::TargetGroups, state.target_groups.len() as u64);
    for balancer in state.load_balancers.keys() {
        let listeners: Vec<_> = state
            .listeners
            .values()
            .filter(|listener| listener.load_balancer == *balancer)
            .collect();
        let rules: Vec<_> = state
            .rules
            .values()
            .filter(|rule| {
                listeners
                    .iter()
                    .any(|listener| listener.arn == rule.listener)
            })
            .collect();
        let used: BTreeSet<&Ref<Arn>> = rules
            .iter()
            .flat_map(|rule| forwarded(&rule.actions))
            .collect();
        let targets = used.iter().map(|arn| match arn {
            Ref::Known(arn) => &state.target_groups[arn].targets,
            Ref::Output(id) => panic!("{id} is no ARN"),
        });
        let targets: Vec<&Target> = targets.flatten().collect();
        let times = |id: &str| targets.iter().filter(|target| target.id == id).count();
        let times = targets.iter().map(|target| times(&target.id)).max();
        for (limit, count) in [
            (Limit::Listeners, listeners.len()),
            (Limit::Rules, rules.len()),
            (Limit::BalancerTargetGroups, used.len()),
            (Limit::BalancerTargets, targets.len()),
            (Limit::Registrations, times.unwrap_or_default()),
        ] {
            let known = most.entry(limit).or_default();
            *known = (*known).max(count as u64);
        }
    }
    most
}

const COUNTED: [Limit; 7] = [
    Limit::Balancers,
    Limit::TargetGroups,
    Limit::Listeners,
    Limit::Rules,
    Limit::BalancerTargetGroups,
    Limit::BalancerTargets,
    Limit::Registrations,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_step_of_a_plan_goes_over_a_limit_and_nothing_is_held_that_has_room(
        first in wish(),
        mut second in wish(),
        limits in prop::collection::btree_map(prop::sample::select(&COUNTED[..]), 1u64..9, 1..4),
    ) {
        // What comes up in the cluster is registered whatever the limits are.
        (second.nodes, second.port_base) = (first.nodes, first.port_base);
        let mut world = World::new();
        world.pass(&first);
        let before = there_is(&world);
        for (of, most) in &limits {
            limit(&mut world, *of, *most);
        }
        let desired = second.desired();
        let plan = world.plan(&desired, albsync::plan::prepare);
        world.realise(&plan);
        let plan = world.plan(&desired, route);
        let mut highest = before.clone();
        for done in 0..plan.ops.len() {
            world.step(&plan, done);
            for (of, count) in there_is(&world) {
                let known = highest.entry(of).or_default();
                *known = count.max(*known);
            }
        }
        for (of, most) in &limits {
            let (had, has) = (before.get(of), highest.get(of));
            let allowed = had.copied().unwrap_or_default().max(*most);
            prop_assert!(
                has.copied().unwrap_or_default() <= allowed,
                "{of:?} {most}: {had:?} {has:?}\n{:#?}", plan.held
            );
        }
        // The same without limits needs as much at most: had that fitted, nothing would have been held.
        let mut free = World::new();
        free.pass(&first);
        let plain = free.plan(&desired, albsync::plan::prepare);
        free.realise(&plain);
        let plain = free.plan(&desired, route);
        let mut needed = before;
        for done in 0..plain.ops.len() {
            free.step(&plain, done);
            for (of, count) in there_is(&free) {
                let known = needed.entry(of).or_default();
                *known = count.max(*known);
            }
        }
        let is_over = limits.iter().any(|(of, most)| needed.get(of).is_some_and(|count| count > most));
        let is_held = plan.held.iter().any(|held| held.code == "Quota");
        prop_assert!(is_over || !is_held, "{needed:?} {limits:?}\n{:#?}", plan.held);
    }
}
