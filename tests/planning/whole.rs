//! Rules with more values than AWS's pages allow: new ones come in parts, and one that stands stays.

use albsync::{
    model::{
        desired::{Desired, OrderedRule},
        elb::{Condition, Patterns},
    },
    plan::op::Action,
};

use crate::{fixture::shop, world::World};

fn paths(values: &[&str]) -> Condition {
    let values = values.iter().map(|value| (*value).to_owned());
    Condition::PathPattern {
        values: Patterns::Values(values.collect()),
    }
}

fn rules(desired: &mut Desired) -> &mut Vec<OrderedRule> {
    let group = desired.groups.values_mut().next().unwrap();
    &mut group.listeners.get_mut(&80).unwrap().rules
}

/// One rule with these paths, in pieces of two.
fn in_parts(values: &[&str], service: &str) -> Desired {
    let mut desired = shop(&[("/x", service)]).desired();
    let rules = rules(&mut desired);
    let rule = rules.pop().unwrap();
    for piece in values.chunks(2) {
        let mut part = rule.clone();
        part.spec.conditions = vec![paths(piece)];
        part.whole = Some(vec![paths(values)]);
        rules.push(part);
    }
    desired
}

/// As another controller would send it.
fn in_one(values: &[&str]) -> Desired {
    let mut desired = in_parts(values, "one");
    let rules = rules(&mut desired);
    rules.truncate(1);
    rules[0].spec.conditions = rules[0].whole.take().unwrap();
    desired
}

const FOUR: [&str; 4] = ["/a", "/b", "/c", "/d"];

#[test]
fn a_rule_that_stands_whole_stays_whole_until_it_matches_something_else() {
    let mut world = World::new();
    world.pass_desired(&in_one(&FOUR));
    world.applied = Default::default();
    let before = world.aws.state().rules;
    let wanted = in_parts(&FOUR, "one");
    let pass = world.pass_desired(&wanted);
    assert!(pass.actions().is_empty(), "{:#?}", pass.route.ops);
    assert_eq!(world.aws.state().rules, before);
    assert!(world.pass_desired(&wanted).is_quiet());

    // Another target: the same rule, modified.
    let wanted = in_parts(&FOUR, "two");
    let pass = world.pass_desired(&wanted);
    let modified = pass
        .actions()
        .into_iter()
        .filter(|action| matches!(action, Action::ModifyRule { .. }));
    assert_eq!(modified.count(), 1);
    assert!(world.aws.state().rules.keys().eq(before.keys()));
    assert!(world.pass_desired(&wanted).is_quiet());

    let wanted = in_parts(&["/a", "/b", "/c", "/e"], "two");
    world.pass_desired(&wanted);
    assert_eq!(world.paths(), ["/a", "/c"]);
    assert!(world.pass_desired(&wanted).is_quiet());
}

#[test]
fn a_new_rule_comes_in_parts_and_stays_so() {
    let mut world = World::new();
    let wanted = in_parts(&FOUR, "one");
    world.pass_desired(&wanted);
    assert_eq!(world.paths(), ["/a", "/c"]);
    assert!(world.pass_desired(&wanted).is_quiet());
}

#[test]
fn somebody_elses_whole_rule_is_not_ours() {
    let mut world = World::new();
    world.pass_desired(&in_one(&FOUR));
    world.applied = Default::default();
    world
        .aws
        .edit(|state| state.rules.values_mut().for_each(|rule| rule.tags.clear()));
    world.pass_desired(&in_parts(&FOUR, "one"));
    assert_eq!(world.paths(), ["/a", "/a", "/c"]);
}

/// Two rules that match the same, one behind the other: the second never matches, and is there all the same.
fn twice(desired: Desired, other: Desired) -> Desired {
    let (mut desired, mut other) = (desired, other);
    let mut second = rules(&mut other).clone();
    second.iter_mut().for_each(|rule| rule.origin.line += 1);
    rules(&mut desired).extend(second);
    desired
}

#[test]
fn two_whole_rules_that_match_the_same_stay_two() {
    for other in ["one", "two"] {
        let mut world = World::new();
        let mut second = in_parts(&FOUR, other);
        let only = rules(&mut second);
        only.truncate(1);
        only[0].spec.conditions = only[0].whole.take().unwrap();
        let live = twice(in_one(&FOUR), second);
        let live = with_targets_of(live, other);
        world.pass_desired(&live);
        world.applied = Default::default();
        let before = world.aws.state().rules;
        assert_eq!(before.len(), 2);
        let wanted = twice(in_parts(&FOUR, "one"), in_parts(&FOUR, other));
        let wanted = with_targets_of(wanted, other);
        let pass = world.pass_desired(&wanted);
        assert!(pass.actions().is_empty(), "{:#?}", pass.route.ops);
        assert_eq!(world.aws.state().rules, before);
        assert!(world.pass_desired(&wanted).is_quiet());
    }
}

#[test]
fn one_whole_rule_stands_for_one_of_two_that_match_the_same() {
    let mut world = World::new();
    world.pass_desired(&in_one(&FOUR));
    world.applied = Default::default();
    let before = world.aws.state().rules;
    let wanted = twice(in_parts(&FOUR, "one"), in_parts(&FOUR, "one"));
    world.pass_desired(&wanted);
    let after = world.aws.state().rules;
    assert!(
        before
            .iter()
            .all(|(arn, rule)| after.get(arn) == Some(rule))
    );
    // What is new comes in parts that AWS takes.
    assert_eq!(world.paths(), ["/a", "/a", "/c"]);
    assert!(world.pass_desired(&wanted).is_quiet());
}

/// With the target group of another service beside its own.
fn with_targets_of(mut desired: Desired, service: &str) -> Desired {
    let mut other = in_parts(&FOUR, service);
    let other = other.groups.values_mut().next().unwrap();
    let group = desired.groups.values_mut().next().unwrap();
    group.target_groups.append(&mut other.target_groups);
    desired
}
