//! Balancers that change between a security group of their own and named ones, and a shared group that is given.

use albsync::{
    id::{ResourceId, ResourceKind, SecurityGroupId},
    model::{
        desired::{Desired, Ref},
        net::{PermissionSource, SecurityGroup},
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

/// The shop with this group in the place of the shared one that we make.
fn shared(given: &str) -> Desired {
    let mut desired = managed();
    let given = SecurityGroupId::from(given);
    let ours = ResourceId::backend_security_group();
    for group in desired.groups.values_mut() {
        for attached in &mut group.load_balancer.security_groups {
            if *attached == Ref::Output(ours.clone()) {
                *attached = Ref::Known(given.clone());
            }
        }
    }
    let network = desired.network.as_mut().unwrap();
    network.backend_group = None;
    network.given_group = Some(given.clone());
    for permission in network.node_permissions.values_mut().flatten() {
        permission.source = PermissionSource::SecurityGroup(Ref::Known(given.clone()));
    }
    desired
}

/// Whom the nodes let in, by name.
fn admitted(world: &World) -> Vec<String> {
    let state = world.aws.state();
    let nodes = &state.security_groups[&SecurityGroupId::from("sg-nodes")];
    nodes
        .ingress
        .iter()
        .filter_map(|permission| match &permission.source {
            PermissionSource::SecurityGroup(Ref::Known(id)) => Some(
                state
                    .security_groups
                    .get(id)
                    .map_or_else(|| id.to_string(), |group| group.name.clone()),
            ),
            _ => None,
        })
        .collect()
}

const SHARED: &str = "k8s-traffic-mzk8s-0276909bf6";

fn names(world: &World) -> Vec<String> {
    let state = world.aws.state();
    let mut names: Vec<String> = state
        .security_groups
        .values()
        .map(|group| group.name.clone())
        .collect();
    names.sort();
    names
}

#[test]
fn a_shared_group_that_is_given_is_attached_and_admitted_and_never_made() {
    let mut world = world();
    let before = names(&world);
    let pass = world.pass_desired(&shared("sg-mine"));
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    assert_eq!(attached(&world), [MANAGED, "sg-mine"]);
    assert_eq!(admitted(&world), ["sg-mine"]);
    let mut with_managed = before.clone();
    with_managed.push(MANAGED.to_owned());
    with_managed.sort();
    assert_eq!(names(&world), with_managed);
    assert!(world.pass_desired(&shared("sg-mine")).is_quiet());

    // With the last balancer the nodes close, and the group stays as it was.
    let mut nothing = shop(&[]);
    nothing.ingresses.clear();
    world.pass(&nothing);
    assert_eq!(admitted(&world), [""; 0]);
    assert_eq!(names(&world), before);
    assert!(world.pass(&nothing).is_quiet());
}

#[test]
fn a_given_group_takes_the_place_of_ours_and_gives_it_back() {
    let mut world = world();
    world.pass_desired(&managed());
    assert_eq!(admitted(&world), [SHARED]);
    let pass = world.pass_desired(&shared("sg-mine"));
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    assert_eq!(attached(&world), [MANAGED, "sg-mine"]);
    assert_eq!(admitted(&world), ["sg-mine"]);
    assert!(!names(&world).contains(&SHARED.to_owned()), "ours is gone");
    assert!(world.pass_desired(&shared("sg-mine")).is_quiet());

    let pass = world.pass_desired(&shared("sg-other"));
    assert!(pass.codes().is_empty(), "{:?}", pass.codes());
    assert_eq!(admitted(&world), ["sg-other"]);

    world.pass_desired(&managed());
    assert_eq!(attached(&world), [MANAGED, SHARED]);
    assert_eq!(admitted(&world), [SHARED]);
    for given in ["sg-mine", "sg-other"] {
        assert!(names(&world).contains(&given.to_owned()), "{given}");
    }
    assert!(world.pass_desired(&managed()).is_quiet());
}

#[test]
fn ours_given_by_its_id_is_kept_even_by_the_last_balancer() {
    let mut world = world();
    world.pass_desired(&managed());
    let state = world.aws.state();
    let ours = state
        .security_groups
        .values()
        .find(|group| group.name == SHARED)
        .unwrap();
    let desired = shared(ours.id.as_str());
    assert!(world.pass_desired(&desired).actions().is_empty());
    assert_eq!(admitted(&world), [SHARED]);
    assert!(world.pass_desired(&desired).is_quiet());
    let mut nothing = shop(&[]);
    nothing.ingresses.clear();
    world.pass(&nothing);
    assert_eq!(admitted(&world), [""; 0]);
    assert!(
        names(&world).contains(&SHARED.to_owned()),
        "it is the user's"
    );
}

#[test]
fn ours_stays_while_a_group_waits_that_still_has_it() {
    let mut world = world();
    world.pass_desired(&managed());
    let mut desired = shared("sg-mine");
    let network = desired.network.as_mut().unwrap();
    network
        .hold_revokes
        .insert("group default/other waits".to_owned());
    world.pass_desired(&desired);
    assert!(names(&world).contains(&SHARED.to_owned()));
    let mut sources = admitted(&world);
    sources.sort();
    assert_eq!(sources, [SHARED, "sg-mine"]);
}
