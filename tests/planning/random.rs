//! Rules that hold for every sequence of commits.

use std::collections::BTreeMap;

use albsync::{id::StackId, plan::op::Action};
use proptest::prelude::*;

use crate::{fixture::Wish, world::World};

fn paths() -> impl Strategy<Value = Vec<(String, String)>> {
    let path = prop::sample::select(vec!["/a", "/b", "/c", "/d", "/e", "/f", "/g"]);
    let service = prop::sample::select(vec!["one", "two", "three", "four"]);
    prop::collection::vec((path, service), 1..7).prop_map(|list| {
        let mut seen = std::collections::BTreeSet::new();
        list.into_iter()
            .filter(|(path, _)| seen.insert(*path))
            .map(|(path, service)| (path.to_owned(), service.to_owned()))
            .collect()
    })
}

pub fn wish() -> impl Strategy<Value = Wish> {
    let attribute = prop::option::of(prop::sample::select(vec!["30", "90"]));
    let tag = prop::option::of(prop::sample::select(vec!["blue", "red"]));
    let role = prop::option::of(prop::sample::select(vec!["s3:GetObject", "s3:PutObject"]));
    (
        prop::collection::btree_map(prop::sample::select(vec!["shop", "blog"]), paths(), 0..3),
        (attribute, tag, role),
        1usize..=3,
        prop::sample::select(vec![30_000u16, 31_000]),
        prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), "[a-c]", 0..3),
    )
        .prop_map(
            |(ingresses, (attribute, tag, role), nodes, port_base, config_maps)| Wish {
                ingresses: ingresses
                    .into_iter()
                    .map(|(name, paths)| (name.to_owned(), paths))
                    .collect(),
                attributes: attribute
                    .map(|value| ("idle_timeout.timeout_seconds".to_owned(), value.to_owned()))
                    .into_iter()
                    .collect(),
                tags: tag
                    .map(|value| ("team".to_owned(), value.to_owned()))
                    .into_iter()
                    .collect(),
                roles: role
                    .map(|value| ("reader".to_owned(), value.to_owned()))
                    .into_iter()
                    .collect(),
                nodes,
                port_base,
                scheme: None,
                protocol_version: None,
                config_maps: config_maps
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            },
        )
}

/// What can be said of an account without ids.
fn view(world: &World) -> String {
    let state = world.aws.state();
    let mut rules: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
    for rule in state.rules.values() {
        let stack = rule.tags["ingress.k8s.aws/stack"].clone();
        let text = format!("{:?}", rule.conditions);
        rules.entry(stack).or_default().push((rule.priority, text));
    }
    let rules: Vec<(String, Vec<String>)> = rules
        .into_iter()
        .map(|(stack, mut rules)| {
            rules.sort();
            (stack, rules.into_iter().map(|(_, text)| text).collect())
        })
        .collect();
    let mut targets: Vec<_> = state
        .target_groups
        .values()
        .map(|group| {
            (
                group.tags.clone(),
                group.targets.clone(),
                group.health_check.clone(),
            )
        })
        .collect();
    targets.sort_by_key(|(tags, ..)| format!("{tags:?}"));
    let mut balancers: Vec<_> = state
        .load_balancers
        .values()
        .map(|live| {
            (
                live.name.clone(),
                live.attributes.clone(),
                live.tags.clone(),
            )
        })
        .collect();
    balancers.sort();
    let mut groups: Vec<_> = state
        .security_groups
        .values()
        .map(|group| {
            let ports: Vec<_> = group
                .ingress
                .iter()
                .map(|one| (one.from_port, one.to_port))
                .collect();
            (group.name.clone(), ports, group.tags.clone())
        })
        .collect();
    groups.sort();
    let roles: Vec<_> = state
        .roles
        .values()
        .map(|role| (role.name.clone(), role.attached.clone(), role.tags.clone()))
        .collect();
    let documents: Vec<_> = state
        .policies
        .values()
        .map(|policy| &policy.document)
        .collect();
    let objects = world.cluster.objects();
    format!(
        "{rules:?}\n{targets:?}\n{balancers:?}\n{groups:?}\n{roles:?}\n{documents:?}\n{objects:?}"
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn after_each_commit_all_is_as_wanted_and_a_second_look_finds_nothing(
        commits in prop::collection::vec(wish(), 1..5),
    ) {
        let mut world = World::new();
        for wish in &commits {
            let pass = world.pass(wish);
            prop_assert!(pass.codes().is_empty(), "{:?}", pass.codes());
            let desired = wish.desired();
            let state = world.aws.state();
            prop_assert_eq!(state.load_balancers.len(), desired.groups.len());
            for (id, group) in &desired.groups {
                let mut live: Vec<_> = state
                    .rules
                    .values()
                    .filter(|rule| rule.tags.get("ingress.k8s.aws/stack") == Some(id))
                    .collect();
                live.sort_by_key(|rule| rule.priority);
                let live: Vec<_> = live.into_iter().map(|rule| rule.conditions.clone()).collect();
                let wanted: Vec<_> =
                    group.listeners[&80].rules.iter().map(|rule| rule.spec.conditions.clone()).collect();
                prop_assert_eq!(live, wanted);
            }
            for plan in [&pass.prepare, &pass.route] {
                for op in &plan.ops {
                    if let Action::SetRulePriorities { .. } = op.action {
                        let same = plan.ops.iter().filter(|other| other.stack == op.stack
                            && matches!(other.action, Action::SetRulePriorities { .. }));
                        prop_assert_eq!(same.count(), 1);
                    }
                }
            }
            let again = world.pass(wish);
            prop_assert!(again.is_quiet(), "{:#?}\n{:#?}", again.prepare, again.route);
        }
    }

    #[test]
    fn a_commit_reached_by_any_way_is_the_same_as_built_afresh(
        commits in prop::collection::vec(wish(), 1..4),
        last in wish(),
    ) {
        let mut world = World::new();
        for wish in &commits {
            world.pass(wish);
        }
        world.pass(&last);
        let mut fresh = World::new();
        fresh.pass(&last);
        // Inactive things apart: a provider stays once it is there.
        prop_assert_eq!(view(&world), view(&fresh));
    }

    #[test]
    fn a_pass_that_stops_anywhere_is_finished_by_the_next(
        before in wish(),
        after in wish(),
        stop in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new();
        world.pass(&before);
        let desired = after.desired();
        let plan = world.plan(&desired, albsync::plan::prepare);
        let steps = plan.ops.len();
        let at = stop.index(steps + 1);
        (0..at).for_each(|index| world.step(&plan, index));
        if at == steps {
            let plan = world.plan(&desired, albsync::plan::route);
            let at = stop.index(plan.ops.len() + 1);
            (0..at).for_each(|index| world.step(&plan, index));
        }
        world.pass(&after);
        let mut fresh = World::new();
        fresh.pass(&after);
        prop_assert_eq!(view(&world), view(&fresh));
        let again = world.pass(&after);
        prop_assert!(again.is_quiet(), "{:#?}\n{:#?}", again.prepare, again.route);
    }

    #[test]
    fn the_json_of_a_plan_reads_back_equal(wish in wish()) {
        let world = World::new();
        let desired = wish.desired();
        for make in [albsync::plan::prepare, albsync::plan::route] {
            let plan = world.plan(&desired, make);
            let mut value = albsync::plan::render::json(&plan);
            value.as_object_mut().unwrap().remove("summary");
            prop_assert_eq!(serde_json::from_value::<albsync::plan::op::Plan>(value).unwrap(), plan);
        }
    }
}

#[test]
fn a_stack_out_of_scope_is_left_alone() {
    let mut wish = crate::fixture::shop(&[("/a", "one")]);
    wish.ingresses
        .insert("blog".to_owned(), vec![("/b".to_owned(), "two".to_owned())]);
    let world = World::new();
    let desired = wish.desired();
    let observed = world.observe(&desired);
    let scope = [StackId::Network, StackId::Group("default/shop".to_owned())].into();
    let inputs = albsync::plan::Inputs {
        desired: &desired,
        observed: &observed,
        applied: &world.applied,
        revision: None,
        base: albsync::id::Generation(0),
        scope: &scope,
        options: &world.options,
    };
    let plan = albsync::plan::route(&inputs);
    albsync::plan::audit::audit(&plan, &inputs).unwrap();
    assert!(!plan.ops.is_empty());
    assert!(plan.ops.iter().all(|op| scope.contains(&op.stack)));
}
