//! Answers that are lost, what is there already or in use, and what follows from a failure.

use super::*;

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_found_and_never_repeated() {
    for fault in [Fault::Lost, Fault::Hang] {
        for operation in CREATES {
            let world = World::new();
            world.account.fail(operation, 1, fault.clone());
            let outcome = world.apply(&world.create_plan()).await;
            assert!(outcome.is_complete(), "{operation}: {outcome:?}");
            let repeats = if operation == "RegisterTargets" { 2 } else { 1 };
            let wanted = CREATES.iter().filter(|call| **call == operation).count();
            assert_eq!(
                world.account.count(operation),
                wanted + repeats - 1,
                "{operation} {fault:?}"
            );
            assert!(world.create_plan().is_empty());
        }
    }
}

#[tokio::test]
async fn what_is_hidden_for_a_while_is_created_once() {
    let world = World::new();
    world.account.hide_for(Duration::from_secs(20));
    for operation in ["CreateSecurityGroup", "CreateLoadBalancer", "CreateRule"] {
        world.account.fail(operation, 1, Fault::Lost);
    }
    let outcome = world.apply(&world.create_plan()).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let straight = World::new();
    straight.apply(&straight.create_plan()).await;
    assert_eq!(world.account.dump(), straight.account.dump());
}

#[tokio::test]
async fn a_foreign_twin_blocks_and_is_named() {
    let world = World::new();
    let setup = world.create_plan();
    world.apply(&setup).await;
    world.account.forget_tags_of_balancer();
    // The same plan again, from an empty memory: everything exists already.
    let again = World {
        account: world.account.clone(),
        cluster: world.cluster.clone(),
        store: Store::ephemeral().unwrap(),
        options: world.options.clone(),
    };
    let outcome = again.apply(&setup).await;
    let failed = &outcome.failed[0];
    assert!(failed.blocked);
    assert!(failed.error.message.contains("not our tags"), "{failed:?}");
    assert_eq!(outcome.done, 5);
    assert_eq!(outcome.skipped, 3);
}

#[tokio::test]
async fn what_exists_with_our_tags_is_taken_as_done() {
    let world = World::new();
    let setup = world.create_plan();
    world.apply(&setup).await;
    let dump = world.account.dump();
    let again = World {
        account: world.account.clone(),
        cluster: world.cluster.clone(),
        store: Store::ephemeral().unwrap(),
        options: world.options.clone(),
    };
    let outcome = again.apply(&setup).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(world.account.dump(), dump);
    assert_eq!(again.store.applied().resources.len(), 6);
}

#[tokio::test]
async fn half_of_the_permissions_being_there_adds_the_other_half() {
    let world = World::new();
    let mut first = world.create_plan();
    first.ops.truncate(3);
    if let Action::AuthorizeIngress { permissions, .. } = &mut first.ops[2].action {
        permissions.truncate(1);
    }
    first.settled.clear();
    assert!(world.apply(&first).await.is_complete());
    let outcome = world.apply(&world.create_plan()).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(world.account.group("sg").unwrap().ingress.len(), 2);
}

#[tokio::test]
async fn a_security_group_in_use_goes_later_and_holds_up_nothing() {
    let world = World::new();
    world.apply(&world.create_plan()).await;
    world.account.busy_for(Duration::from_secs(120));
    let start = world.seconds();
    let order = Mutex::new(Vec::new());
    let plan = world.delete_plan();
    let outcome = apply(
        &plan,
        "test",
        world.ports(),
        &world.store,
        &Stop::never(),
        &world.options,
        &|progress| {
            if let Progress::Done { op, .. } = progress {
                order.lock().unwrap().push(op.resource.kind);
            }
        },
    )
    .await
    .unwrap();
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(world.seconds() - start >= 120);
    // The object went although it stands behind the group in the plan.
    assert_eq!(
        *order.lock().unwrap(),
        [
            ResourceKind::LoadBalancer,
            ResourceKind::TargetGroup,
            ResourceKind::Object,
            ResourceKind::SecurityGroup
        ]
    );
    assert_eq!(world.account.dump(), [""; 0]);
    let applied = world.store.applied();
    // Listener and rules went with the balancer.
    assert!(applied.resources.is_empty(), "{:?}", applied.resources);
    assert!(applied.inventory.is_empty());
    assert!(applied.stacks.is_empty());
}

#[tokio::test]
async fn a_security_group_that_stays_in_use_is_given_up_for_this_pass() {
    let world = World::new();
    world.apply(&world.create_plan()).await;
    world.account.busy_for(Duration::from_secs(100_000));
    let outcome = world.apply(&world.delete_plan()).await;
    assert_eq!(outcome.failed.len(), 1);
    assert!(!outcome.failed[0].blocked);
    assert!(outcome.failed[0].error.has_code(&["DependencyViolation"]));
    // Not settled: its stack stays known.
    assert!(world.store.applied().stacks.contains_key(&stack()));
    assert_eq!(world.store.applied().resources.len(), 1);
}

#[tokio::test]
async fn what_needs_a_failed_operation_is_left_out() {
    let world = World::new();
    world.account.fail(
        "CreateLoadBalancer",
        1,
        Fault::Refused("TooManyLoadBalancers"),
    );
    let outcome = world.apply(&world.create_plan()).await;
    assert_eq!(outcome.failed.len(), 1);
    assert!(outcome.failed[0].blocked);
    assert_eq!(outcome.skipped, 3);
    assert_eq!(outcome.done, 5);
    assert_eq!(world.account.count("CreateListener"), 0);
    assert!(world.store.applied().stacks.is_empty());
    let skipped = world
        .entries()
        .iter()
        .filter(|entry| matches!(entry, Entry::Skipped { .. }))
        .count();
    assert_eq!(skipped, 3);
}

#[tokio::test]
async fn nothing_is_taken_away_where_something_could_not_be_made() {
    let world = World::new();
    let mut ops = Ops::default();
    let other = StackId::Group("default/other".to_owned());
    let revoke = |_| Action::RevokeIngress {
        group: "sg-9".into(),
        permissions: vec![permission(80)],
    };
    ops.add(stack(), ResourceKind::SecurityGroup, "sg", &[], |id| {
        Action::CreateSecurityGroup {
            id,
            spec: group_spec(),
        }
    });
    // No edge says so: the rule is the stack's (lessons C8).
    ops.add(stack(), ResourceKind::SecurityGroup, "old", &[], revoke);
    ops.add(other, ResourceKind::SecurityGroup, "old", &[], revoke);
    world.account.fail(
        "CreateSecurityGroup",
        1,
        Fault::Refused("SecurityGroupLimitExceeded"),
    );
    let outcome = world.apply(&ops.plan(&world.store)).await;
    assert_eq!(
        (outcome.failed.len(), outcome.skipped, outcome.done),
        (1, 1, 1)
    );
    assert_eq!(world.account.count("RevokeIngress"), 1);
}

#[tokio::test]
async fn a_world_that_moved_drops_the_rest_of_the_stack_only() {
    let world = World::new();
    let mut ops = Ops::default();
    let other = StackId::Group("default/other".to_owned());
    let modify = |_| Action::ModifyRule {
        arn: "arn:x".into(),
        spec: rule_spec(1, Ref::Known("arn:t".into())),
    };
    for stack in [stack(), stack(), other] {
        ops.add(stack, ResourceKind::Rule, "r", &[], modify);
    }
    world
        .account
        .fail("ModifyRule", 1, Fault::Refused("RuleNotFound"));
    let outcome = world.apply(&ops.plan(&world.store)).await;
    assert!(outcome.replan);
    assert_eq!(
        (outcome.failed.len(), outcome.skipped, outcome.done),
        (0, 1, 1)
    );
}
