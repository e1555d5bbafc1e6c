//! Plans that no planner should make are refused before their first operation.

use std::collections::BTreeSet;

use albsync::{
    id::{Arn, Generation, OpId, StackId},
    model::desired::Ref,
    plan::{
        Inputs, PlanOptions, Plane, ReadOnly,
        audit::audit,
        op::{Action, Op, Plan},
        route,
    },
};

use crate::{
    fixture::{Wish, shop},
    world::World,
};

/// Audits a plan after `spoil`; gives what is wrong with it.
fn faults(
    world: &World,
    wish: &Wish,
    spoil: impl FnOnce(&mut Plan, &mut BTreeSet<StackId>, &mut PlanOptions),
) -> Vec<String> {
    let desired = wish.desired();
    let observed = world.observe(&desired);
    let mut scope = world.scope(&desired);
    let mut options = world.options.clone();
    let mut plan = world.plan_seen(&desired, &observed, route);
    spoil(&mut plan, &mut scope, &mut options);
    let inputs = Inputs {
        desired: &desired,
        observed: &observed,
        applied: &world.applied,
        revision: Some(&world.revision),
        base: Generation(1),
        scope: &scope,
        options: &options,
    };
    match audit(&plan, &inputs) {
        Ok(()) => Vec::new(),
        Err(unfit) => unfit.faults,
    }
}

fn find(plan: &mut Plan, fits: impl Fn(&Action) -> bool) -> &mut Op {
    plan.ops
        .iter_mut()
        .find(|op| fits(&op.action))
        .expect("such an operation")
}

fn says(faults: &[String], expected: &str) {
    assert!(
        faults
            .iter()
            .any(|fault| fault.starts_with("BUG: ") && fault.contains(expected)),
        "{expected:?} is not in {faults:#?}"
    );
}

#[test]
fn a_good_plan_passes() {
    assert!(faults(&World::new(), &shop(&[("/a", "one")]), |_, _, _| {}).is_empty());
}

#[test]
fn a_need_that_comes_later() {
    let found = faults(&World::new(), &shop(&[("/a", "one")]), |plan, _, _| {
        plan.ops[0].needs.insert(OpId(3));
    });
    says(&found, "needs an operation that does not come earlier");
}

#[test]
fn a_reference_without_its_creation() {
    let found = faults(&World::new(), &shop(&[("/a", "one")]), |plan, _, _| {
        find(plan, |action| {
            matches!(action, Action::CreateLoadBalancer { .. })
        })
        .needs
        .clear();
    });
    says(&found, "without needing its creation");
}

#[test]
fn a_rule_before_its_targets() {
    let found = faults(&World::new(), &shop(&[("/a", "one")]), |plan, _, _| {
        let register = find(plan, |action| {
            matches!(action, Action::RegisterTargets { .. })
        })
        .id;
        find(plan, |action| matches!(action, Action::CreateRule { .. }))
            .needs
            .remove(&register);
    });
    says(&found, "forwards to a target group without needing");
}

#[test]
fn a_delete_of_something_foreign() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one"), ("/b", "two")]));
    let wish = shop(&[("/a", "one")]);
    for (what, spoil) in [
        (
            "rule",
            (|action| {
                if let Action::DeleteRule { arn } = action {
                    *arn = Arn::from("arn:foreign");
                }
            }) as fn(&mut Action),
        ),
        ("target group", |action| {
            if let Action::DeleteTargetGroup { arn } = action {
                *arn = Arn::from("arn:foreign");
            }
        }),
    ] {
        let found = faults(&world, &wish, |plan, _, _| {
            plan.ops.iter_mut().for_each(|op| spoil(&mut op.action));
        });
        says(&found, "deletes something that is not proven ours");
        assert_eq!(found.len(), 1, "{what}: {found:?}");
    }
}

#[test]
fn a_revoke_before_its_authorize_or_of_what_is_not_ours() {
    let mut world = World::new();
    let mut wish = shop(&[("/a", "one")]);
    world.pass(&wish);
    wish.port_base = 31_000;
    let found = faults(&world, &wish, |plan, _, _| {
        find(plan, |action| {
            matches!(action, Action::RevokeIngress { .. })
        })
        .needs
        .clear();
    });
    says(&found, "revokes without needing");
    let found = faults(&world, &wish, |plan, _, _| {
        let op = find(plan, |action| {
            matches!(action, Action::RevokeIngress { .. })
        });
        if let Action::RevokeIngress { permissions, .. } = &mut op.action {
            permissions[0].description = "by hand".to_owned();
        }
    });
    says(&found, "that do not bear our mark");
}

#[test]
fn a_stack_that_nobody_asked_for() {
    let found = faults(&World::new(), &shop(&[("/a", "one")]), |_, scope, _| {
        scope.remove(&StackId::Network);
    });
    says(&found, "is out of scope");
}

#[test]
fn a_second_move_of_one_listeners_rules() {
    let mut world = World::new();
    world.pass(&shop(&[("/a", "one"), ("/b", "two")]));
    let found = faults(
        &world,
        &shop(&[("/b", "two"), ("/a", "one")]),
        |plan, _, _| {
            let mut again = find(plan, |action| {
                matches!(action, Action::SetRulePriorities { .. })
            })
            .clone();
            again.id = OpId(plan.ops.len() as u32);
            plan.ops.push(again);
        },
    );
    says(&found, "moves the rules of one listener a second time");
}

#[test]
fn a_write_to_a_plane_that_is_read_only() {
    let found = faults(&World::new(), &shop(&[("/a", "one")]), |_, _, options| {
        options.read_only = Some(ReadOnly {
            plane: Plane::Aws,
            why: "LBC runs".to_owned(),
        });
    });
    says(&found, "writes to a plane that is read-only");
}

#[test]
fn a_reference_that_nothing_creates() {
    let found = faults(&World::new(), &shop(&[("/a", "one")]), |plan, _, _| {
        let op = find(plan, |action| {
            matches!(action, Action::RegisterTargets { .. })
        });
        if let Action::RegisterTargets {
            target_group: Ref::Output(id),
            ..
        } = &mut op.action
        {
            id.name = "default/nothing:80".to_owned();
        }
    });
    says(&found, "which nothing creates");
}
