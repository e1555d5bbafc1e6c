//! Balancers that change between a security group of their own and named ones.

use albsync::{
    id::{ResourceKind, SecurityGroupId},
    model::{
        desired::{Desired, Ref},
        net::SecurityGroup,
    },
    plan::op::Action,
};

use crate::{
    fixture::{VPC, shop},
    world::World,
};

fn managed() -> Desired {
    shop(&[("/a", "one")]).desired()
}

fn named(ids: &[&str]) -> Desired {
    let mut desired = managed();
    let group = desired.groups.values_mut().next().unwrap();
    group.security_group = None;
    group.load_balancer.security_groups = ids
        .iter()
        .map(|id| Ref::Known(SecurityGroupId::from(*id)))
        .collect();
    desired
}

/// A world with two groups that somebody else made.
fn world() -> World {
    let world = World::new();
    world.aws.edit(|state| {
        for name in ["sg-mine", "sg-other"] {
            let id = SecurityGroupId::from(name);
            state.security_groups.insert(
                id.clone(),
                SecurityGroup {
                    id,
                    name: name.to_owned(),
                    description: "by hand".to_owned(),
                    vpc_id: VPC.to_owned(),
                    tags: Default::default(),
                    ingress: Default::default(),
                },
            );
        }
        state.lingering = 0;
    });
    world
}

fn attached(world: &World) -> Vec<String> {
    let state = world.aws.state();
    let balancer = state.load_balancers.values().next().unwrap();
    let mut ids: Vec<String> = balancer
        .security_groups
        .iter()
        .map(|id| state.security_groups[id].name.clone())
        .collect();
    ids.sort();
    ids
}

const MANAGED: &str = "k8s-default-shop-sg";

#[test]
fn named_groups_take_over_before_the_managed_one_goes() {
    let mut world = world();
    world.pass_desired(&managed());
    let before = world.aws.state();
    let desired = named(&["sg-mine", "sg-other"]);
    let pass = world.pass_desired(&desired);
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    let actions = pass.actions();
    assert!(
        matches!(
            actions[..],
            [
                Action::SetSecurityGroups { .. },
                Action::DeleteSecurityGroup { .. }
            ]
        ),
        "{actions:#?}"
    );
    assert_eq!(attached(&world), ["sg-mine", "sg-other"]);
    let after = world.aws.state();
    let gone: Vec<_> = before
        .security_groups
        .values()
        .filter(|group| !after.security_groups.contains_key(&group.id))
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(gone, [MANAGED], "nothing foreign is deleted");
    assert!(
        !world
            .applied
            .resources
            .keys()
            .any(|id| id.name == "ManagedLBSecurityGroup"),
        "the store forgets it"
    );
    assert!(world.pass_desired(&desired).is_quiet());
}

#[test]
fn back_again_makes_a_managed_group_and_leaves_the_named_ones() {
    let mut world = world();
    world.pass_desired(&managed());
    let first = world.aws.state();
    world.pass_desired(&named(&["sg-mine"]));
    let pass = world.pass_desired(&managed());
    let kinds: Vec<&Action> = pass.actions();
    assert!(
        matches!(
            kinds[..],
            [
                Action::CreateSecurityGroup { .. },
                Action::AuthorizeIngress { .. },
                Action::SetSecurityGroups { .. },
            ]
        ),
        "{kinds:#?}"
    );
    let names = |state: &albsync::aws::fake::State| -> Vec<(String, usize)> {
        let mut names: Vec<_> = state
            .security_groups
            .values()
            .map(|group| (group.name.clone(), group.ingress.len()))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&world.aws.state()), names(&first));
    world.arn_of(ResourceKind::SecurityGroup, "ManagedLBSecurityGroup");
    assert!(world.pass_desired(&managed()).is_quiet());
}

#[test]
fn a_named_group_is_never_touched_when_its_balancer_goes() {
    let mut world = world();
    world.pass_desired(&named(&["sg-mine"]));
    let mut nothing = shop(&[]);
    nothing.ingresses.clear();
    world.pass(&nothing);
    let state = world.aws.state();
    assert!(state.load_balancers.is_empty());
    assert!(
        state
            .security_groups
            .contains_key(&SecurityGroupId::from("sg-mine"))
    );
}

#[test]
fn a_managed_group_that_could_not_be_deleted_is_deleted_later() {
    let mut world = world();
    world.pass_desired(&managed());
    let desired = named(&["sg-mine"]);
    let plan = world.plan(&desired, albsync::plan::route);
    let last = plan.ops.len() - 1;
    for index in 0..last {
        world.step(&plan, index);
    }
    // The delete failed; the next pass still knows the group as ours.
    let pass = world.pass_desired(&desired);
    let actions = pass.actions();
    assert!(
        matches!(actions[..], [Action::DeleteSecurityGroup { .. }]),
        "{actions:#?}"
    );
    assert!(world.pass_desired(&desired).is_quiet());
}
