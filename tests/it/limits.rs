//! Limits of the account, in `run`: nothing is written for a group whose own way would go over one; on a world in memory.

use albsync::{
    converge::PassEnd, daemon::schedule::Trigger, id::Revision, problem::Severity, report::Health,
};

use crate::{
    golden::world::World,
    tree::{NOTHING, SHOP, Tree, ingress, object, paths},
};

/// So many paths that the limits are read, all to one Service.
const MANY: [&str; 26] = [
    "/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h", "/i", "/j", "/k", "/l", "/m", "/n", "/o", "/p",
    "/q", "/r", "/s", "/t", "/u", "/v", "/w", "/x", "/y", "/z",
];
/// The Services behind it take another protocol: their target groups are replaced.
const GRPC: &str = "    alb.ingress.kubernetes.io/backend-protocol-version: GRPC\n";

/// Groups `shop` with two target groups and `blog` with one, in an account that takes so many.
fn world(config: &str, most: u64) -> (World, Tree) {
    let world = World::with(config);
    world.aws.edit(|state| {
        state
            .account_limits
            .insert("target-groups".to_owned(), most);
    });
    let blog = ingress("blog", "blog", "blog", &MANY, "");
    let tree = Tree::new().with("blog.yaml", blog);
    let first = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);
    world.forget_writes();
    (world, tree)
}

/// Both members of `shop` ask for other target groups, and `blog` drops a path.
fn changed(tree: &Tree) -> Tree {
    tree.with(
        "shop/cart.yaml",
        ingress("cart", "shop", "cart", &["/cart"], GRPC),
    )
    .with(
        "shop/pay.yaml",
        ingress("pay", "shop", "pay", &["/pay"], GRPC),
    )
    .with(
        "blog.yaml",
        ingress("blog", "blog", "blog", &MANY[..25], ""),
    )
}

fn versions(world: &World) -> Vec<String> {
    let state = world.aws.state();
    let groups = state.target_groups.values();
    let mut versions: Vec<_> = groups.map(|it| it.protocol_version.clone()).collect();
    versions.sort();
    versions
}

#[test]
fn no_write_is_sent_for_a_group_that_would_pass_a_limit_on_its_way() {
    let (world, tree) = world("", 4);
    let tip = changed(&tree).commit(&world);

    let preview = world.preview(&tip);
    let text = preview.text(false);
    let told = "this repository would have up to 5 target groups while this is carried out, and 4 are allowed; 3 in the \
                end (target-groups)";
    assert!(text.contains(told), "{text}");

    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Incomplete);
    let of_elb: Vec<String> = world.aws.writes();
    // One rule of `blog`.
    assert_eq!(of_elb.len(), 1, "{of_elb:#?}");
    assert!(of_elb[0].contains("DeleteRule"), "{of_elb:#?}");
    assert_eq!(versions(&world), ["HTTP1", "HTTP1", "HTTP1"]);
    assert_eq!(paths(&world, "shop"), SHOP);

    let status = world.cx.reporter.status();
    assert_ne!(status.health, Health::Healthy);
    let [held] = &status.held[..] else {
        panic!("{:#?}", status.held);
    };
    assert_eq!(
        (held.stack.to_string().as_str(), held.code.as_str()),
        ("group shop", "Quota")
    );
    assert_eq!(held.message, told);
    assert!(
        held.release.contains("have the limit raised"),
        "{}",
        held.release
    );
    let events = world.cluster.events();
    for name in ["cart", "pay"] {
        let held = events.iter().any(|event| {
            event.object == object("Ingress", name)
                && event.reason == "Held"
                && event.message.contains(told)
        });
        assert!(held, "{name}: {events:#?}");
    }

    // Nothing more as long as nothing changes, and all of it once the limit is raised.
    world.forget_writes();
    world.pass(Trigger::Sweep, &tip);
    assert_eq!(world.writes(), NOTHING);
    world.aws.edit(|state| {
        state.account_limits.insert("target-groups".to_owned(), 5);
    });
    assert_eq!(world.pass_after_restart(&tip), PassEnd::Complete);
    assert_eq!(versions(&world), ["GRPC", "GRPC", "HTTP1"]);
}

#[test]
fn what_the_account_never_takes_is_refused_before_anything_is_written() {
    let (world, tree) = world("", 3);
    let services = [("services/more.yaml", crate::tree::service("more", ""))];
    let mut tree =
        changed(&tree).with("more.yaml", ingress("more", "more", "more", &["/more"], ""));
    for (path, text) in services {
        tree = tree.with(path, text);
    }
    let tip: Revision = tree.commit(&world);
    world.pass(Trigger::Commit, &tip);
    assert_eq!(world.writes(), NOTHING);
    let status = world.cx.reporter.status();
    assert_eq!(status.health, Health::Rejected);
    assert_eq!(
        status.head.map(|head| head.reason),
        Some("Quota".to_owned())
    );
    let problems: Vec<String> = status.problems.iter().map(ToString::to_string).collect();
    let told = "this repository would have 4 target groups, and 3 are allowed; the account's limit target-groups is 3";
    assert!(
        problems.iter().any(|problem| problem.contains(told)),
        "{problems:#?}"
    );
}

/// LBC builds it and lets AWS refuse what it does not take.
#[test]
fn under_lbcs_checks_the_group_is_tried() {
    let (world, tree) = world("checks: {mode: lbc}\n", 4);
    let tip = changed(&tree).commit(&world);
    let preview = world.preview(&tip);
    let told = preview.problems.iter().find(|problem| {
        let text = "up to 5 target groups while this is carried out";
        problem.message.contains(text)
    });
    assert_eq!(
        told.map(|it| it.severity),
        Some(Severity::Warning),
        "{:#?}",
        preview.problems
    );
    assert!(preview.plans.iter().all(|plan| plan.held.is_empty()));
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(versions(&world), ["GRPC", "GRPC", "HTTP1"]);
}
