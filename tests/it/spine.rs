//! What a pass owes to the next one, and what is said of a commit that is not let in; on a world in memory.

use albsync::{converge::PassEnd, daemon::schedule::Trigger, id::StackId};

use crate::{
    golden::world::World,
    tree::{BLOG, FEED, SHOP, Tree, ingress, paths},
};

fn tutorial() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tutorial")
}

#[test]
fn what_a_sweep_could_not_put_back_is_looked_at_again_by_the_retry() {
    let world = World::new();
    let tip = world.commit("tutorial", &[], &tutorial());
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);

    world.aws.edit(|state| state.rules.clear());
    world.aws.refuse_next("CreateRule", "AccessDenied");
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Incomplete);
    assert!(!world.cx.reporter.status().failures.is_empty());

    assert_eq!(world.pass(Trigger::Retry, &tip), PassEnd::Complete);
    assert_eq!(
        world.aws.state().rules.len(),
        2,
        "git has not changed, AWS had"
    );
    assert_eq!(world.cx.reporter.status().failures, [] as [String; 0]);
}

#[test]
fn a_held_commit_says_how_to_release_it_in_status_and_plan_while_the_one_in_force_is_defended() {
    let world = World::new();
    let first = world.commit("tutorial", &[], &tutorial());
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    let less = tempfile::tempdir().expect("a directory");
    std::fs::copy(
        tutorial().join("ingress-class.yaml"),
        less.path().join("ingress-class.yaml"),
    )
    .expect("a copy");
    let tip = world.commit("nearly all goes", &[], less.path());

    let preview = world.preview(&tip);
    assert_eq!(preview.held.len(), 1);
    assert!(preview.text(false).contains("Albsync-Allow-Prune"));

    world.aws.forget_calls();
    world.pass(Trigger::Commit, &tip);
    let status = world.cx.reporter.status();
    assert!(
        status
            .held
            .iter()
            .any(|held| held.release.contains("Albsync-Allow-Prune")),
        "{:?}",
        status.held
    );
    assert_eq!(status.in_force.map(|it| it.revision), Some(first));
    assert_eq!(world.aws.writes(), [] as [String; 0]);
}

#[test]
fn the_plan_of_an_emptied_repository_is_a_refusal_and_not_a_list_of_deletes() {
    let world = World::new();
    let first = world.commit("tutorial", &[], &tutorial());
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    let empty = tempfile::tempdir().expect("a directory");
    let tip = world.commit("all goes", &[], empty.path());

    let preview = world.preview(&tip);
    let codes: Vec<&str> = preview.problems.iter().map(|it| &*it.code).collect();
    assert_eq!(codes, ["empty-desired-state"]);
    assert!(!preview.has_changes());
}

#[test]
fn what_is_not_served_yet_is_not_tried_again_before_another_commit() {
    let world = World::new();
    let tree = Tree::new();
    let first = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    let acl = "    alb.ingress.kubernetes.io/wafv2-acl-arn: \
               arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/a/b\n";
    let held = tree.with(
        "blog.yaml",
        ingress("blog", "blog", "blog", &["/blog", "/new"], acl),
    );
    let tip = held.commit(&world);
    world.forget_writes();
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), BLOG, "it keeps what it has");
    let status = world.cx.reporter.status();
    let blog = StackId::Group("blog".to_owned());
    assert!(
        status
            .waits
            .iter()
            .any(|it| it.stack == blog && it.reason.contains("not served yet")),
        "{:#?}",
        status.waits
    );
    assert_eq!(
        status.in_force.map(|it| it.state.to_string()),
        Some("Degraded".to_owned()),
        "nobody takes it for done"
    );

    // What may end by itself beside it is tried again.
    world.aws.edit(|state| state.rules.clear());
    world.aws.refuse_next("CreateRule", "AccessDenied");
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Incomplete);
    assert_eq!(world.pass(Trigger::Retry, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);

    let served = tree.with_feed().commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &served), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), FEED);
    assert_eq!(world.cx.reporter.status().waits, []);
}
