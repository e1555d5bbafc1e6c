//! Waiting for a role, stopping, and calls that never end.

use super::*;

#[tokio::test]
async fn a_fresh_role_settles_while_others_go_on() {
    let world = World::new();
    let mut ops = Ops::default();
    let role = StackId::Role("default/r".to_owned());
    ops.add(role.clone(), ResourceKind::Role, "r", &[], |id| {
        Action::CreateRole {
            id,
            spec: RoleSpec {
                name: "r".into(),
                path: "/".to_owned(),
                arn: "arn:r".into(),
                description: String::new(),
                max_session_duration_seconds: 3_600,
                trust: json!({}),
                permissions_boundary: None,
                tags: [(tags::OWNER.to_owned(), "i".to_owned())].into(),
                attached: BTreeSet::new(),
                inline: BTreeMap::new(),
                additive: false,
                adopt_role_id: None,
                report_only: false,
            },
        }
    });
    ops.add(role, ResourceKind::Role, "r", &[0], |_| Action::Settle {
        role: "r".into(),
        seconds: 15,
    });
    let apply_object = |name: &'static str| {
        move |_| Action::ApplyObject {
            reference: object("ConfigMap", name),
            value: json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": "default"},
            }),
            force: false,
        }
    };
    ops.add(
        StackId::Cluster,
        ResourceKind::Object,
        "after",
        &[1],
        apply_object("after"),
    );
    ops.add(
        StackId::Cluster,
        ResourceKind::Object,
        "free",
        &[],
        apply_object("free"),
    );
    let outcome = world.apply(&ops.plan(&world.store)).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(world.seconds(), 15);
    assert_eq!(
        world.cluster.writes(),
        [
            "apply ConfigMap: ConfigMap default/free",
            "apply ConfigMap: ConfigMap default/after"
        ]
    );
    let applied = world.store.applied();
    assert!(
        applied
            .resources
            .values()
            .next()
            .unwrap()
            .unique_id
            .is_some()
    );
}

#[tokio::test]
async fn stopping_ends_after_the_running_operation_and_says_so() {
    for reason in [StopReason::Shutdown, StopReason::Superseded] {
        let world = World::new();
        let (stopper, stop) = Stop::pair();
        let plan = world.create_plan();
        let outcome = apply(
            &plan,
            "test",
            world.ports(),
            &world.store,
            &stop,
            &world.options,
            &|progress| {
                if let Progress::Begun { op, .. } = progress
                    && op.id == OpId(3)
                {
                    stopper.stop(reason);
                }
            },
        )
        .await
        .unwrap();
        assert!(outcome.interrupted);
        assert_eq!(outcome.done, 4);
        assert_eq!(outcome.skipped, 5);
        assert_eq!(world.account.calls(), CREATES[..3]);
        assert!(matches!(
            world.entries().last(),
            Some(Entry::Closed { outcome, .. }) if outcome.interrupted
        ));
        // The next pass does the rest.
        assert!(world.apply(&world.create_plan()).await.is_complete());
    }
}

#[tokio::test]
async fn a_call_that_outlives_the_grace_is_found_out_at_the_next_start() {
    let world = World::new();
    let (stopper, stop) = Stop::pair();
    world.account.fail("CreateTargetGroup", 1, Fault::Hang);
    let plan = world.create_plan();
    let outcome = apply(
        &plan,
        "test",
        world.ports(),
        &world.store,
        &stop,
        &world.options,
        &|progress| {
            if let Progress::Begun { op, .. } = progress
                && matches!(op.action, Action::CreateTargetGroup { .. })
            {
                stopper.stop(StopReason::Shutdown);
            }
        },
    )
    .await
    .unwrap();
    assert!(outcome.interrupted);
    assert_eq!(world.seconds(), 15);
    assert_eq!(world.store.unfinished().unwrap().len(), 1);

    let resumed = resume(world.ports(), &world.store, &world.options)
        .await
        .unwrap();
    assert_eq!((resumed.plans, resumed.happened, resumed.open), (1, 1, 0));
    assert!(resumed.stacks.contains(&stack()));
    assert!(world.store.unfinished().unwrap().is_empty());
    let id = ResourceId::new(stack(), ResourceKind::TargetGroup, "tg");
    assert!(world.store.applied().resources[&id].arn.is_some());
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let world = World::new();
    for nth in 1..=100 {
        world.account.fail("RegisterTargets", nth, Fault::Hang);
    }
    let outcome = world.apply(&world.create_plan()).await;
    assert_eq!(outcome.failed.len(), 1);
    assert!(!outcome.failed[0].blocked);
    assert_eq!(outcome.failed[0].error.effect, Effect::Unknown);
    assert_eq!(outcome.unknown, [stack()].into());
    assert!((120..300).contains(&world.seconds()), "{}", world.seconds());
    // Known to be in doubt after a restart as well.
    let resumed = resume(world.ports(), &world.store, &world.options)
        .await
        .unwrap();
    assert!(resumed.stacks.contains(&stack()));
}
