//! Commits that take classes and their parameters from under Ingresses that git still holds.

use albsync::{converge::PassEnd, daemon::schedule::Trigger, id::Revision};
use serde_json::json;

use super::classes::{cart, class, no_deletes, of_cluster};
use crate::{
    golden::world::World,
    tree::{CLASS, NOTHING, SHOP, Tree, ingress, paths},
};

const DEFAULT_CLASS: &str = "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: aws, annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}}
spec: {controller: ingress.k8s.aws/alb}
";

const TEAM_PARAMS: &str = "apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {name: team}
spec: {ipAddressType: ipv4}
";

/// Nobody names a class.
fn unclassed() -> Tree {
    let unclassed = |name: &str, group: &str, path: &str| {
        ingress(name, group, name, &[path], "").replace("  ingressClassName: aws\n", "")
    };
    Tree::new()
        .with("class.yaml", DEFAULT_CLASS.to_owned())
        .with("shop/cart.yaml", unclassed("cart", "shop", "/cart"))
        .with("shop/pay.yaml", unclassed("pay", "shop", "/pay"))
        .with("blog.yaml", unclassed("blog", "blog", "/blog"))
}

fn applied(world: &World, tree: &Tree) -> Revision {
    let tip = tree.commit(world);
    let end = world.pass(Trigger::Start, &tip);
    let status = world.cx.reporter.status();
    assert_eq!(end, PassEnd::Complete, "{status:#?}");
    assert_eq!(paths(world, "shop"), SHOP);
    world.forget_writes();
    tip
}

/// The commit changes nothing; what is said of it, by place.
fn refused(world: &World, tree: &Tree, in_force: &Revision) -> Vec<String> {
    world.pass(Trigger::Commit, &tree.commit(world));
    let status = world.cx.reporter.status();
    let revision = status.in_force.map(|it| it.revision);
    assert_eq!(revision.as_ref(), Some(in_force), "{:#?}", world.writes());
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(paths(world, "shop"), SHOP);
    let problems = status.problems.iter();
    problems
        .map(|it| format!("{} {}: {}", it.origin, it.code, it.message))
        .collect()
}

/// `albsync.dev/prune: disabled`: what git drops then stays in the cluster.
fn keeping(document: &str) -> String {
    let kept = document.replacen(
        "annotations: {",
        "annotations: {albsync.dev/prune: disabled, ",
        1,
    );
    if kept == document {
        document.replacen("}", ", annotations: {albsync.dev/prune: disabled}}", 1)
    } else {
        kept
    }
}

#[test]
fn a_commit_that_drops_the_default_class_of_its_own_ingresses_is_refused() {
    let world = World::new();
    let tree = unclassed();
    let first = applied(&world, &tree);
    let problems = refused(&world, &tree.without("class.yaml"), &first);
    assert_eq!(problems.len(), 3, "each Ingress: {problems:#?}");
    for (problem, place) in problems
        .iter()
        .zip(["blog.yaml:", "shop/cart.yaml:", "shop/pay.yaml:"])
    {
        assert!(problem.starts_with(place), "{problem}");
        assert!(
            problem.contains(
                "unknown-ingress-class: IngressClass `aws`, the default one, is no longer in git"
            ),
            "{problem}"
        );
    }
    assert_eq!(world.pass(Trigger::Cluster, &first), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);

    // With its Ingresses it may go.
    let none = tree
        .without("class.yaml")
        .without("shop/cart.yaml")
        .without("shop/pay.yaml")
        .without("blog.yaml");
    let none = none.commit(&world);
    let end = world.pass(Trigger::Commit, &none);
    assert_eq!(end, PassEnd::Complete, "{:#?}", world.cx.reporter.status());
}

#[test]
fn a_class_that_git_gave_to_the_cluster_is_remembered_by_its_ingresses_at_once() {
    let world = World::new();
    let tree = unclassed().with("class.yaml", keeping(DEFAULT_CLASS));
    applied(&world, &tree);
    let tip = tree.without("class.yaml").commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    world.forget_writes();

    world.cluster.remove(&of_cluster("IngressClass", "aws"));
    assert_eq!(world.pass(Trigger::Cluster, &tip), PassEnd::Incomplete);
    assert_eq!(paths(&world, "shop"), SHOP);
    no_deletes(&world);
    assert_eq!(world.cx.reporter.status().waits.len(), 3, "three members");
}

#[test]
fn parameters_in_git_of_a_class_of_the_cluster_do_not_leave_in_silence() {
    let world = World::new();
    world.cluster.put("kubectl", class("team", false));
    let tree = Tree::new()
        .with("params.yaml", TEAM_PARAMS.to_owned())
        .with("shop/cart.yaml", cart(Some("shop"), &["/cart"]));
    let first = applied(&world, &tree);
    let problems = refused(&world, &tree.without("params.yaml"), &first);
    let [problem] = &problems[..] else {
        panic!("{problems:#?}");
    };
    assert!(problem.starts_with("shop/cart.yaml:"), "{problem}");
    assert!(
        problem.contains("bad-class: IngressClassParams `team` are no longer in git"),
        "{problem}"
    );

    // Left to the cluster, they are remembered at once.
    let kept = tree.with("params.yaml", keeping(TEAM_PARAMS));
    assert_eq!(
        world.pass(Trigger::Commit, &kept.commit(&world)),
        PassEnd::Complete
    );
    let tip = kept.without("params.yaml").commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    world.forget_writes();
    world
        .cluster
        .remove(&of_cluster("IngressClassParams", "team"));
    assert_eq!(world.pass(Trigger::Cluster, &tip), PassEnd::Incomplete);
    assert_eq!(paths(&world, "shop"), SHOP);
    no_deletes(&world);
}

#[test]
fn a_class_that_is_the_default_no_more_does_not_take_its_ingresses_balancers_down() {
    let world = World::new();
    let tree = unclassed();
    let first = applied(&world, &tree);
    let misspelt = DEFAULT_CLASS.replace("is-default-class: 'true'", "is-default-class: 'yes'");
    for class in [CLASS.to_owned(), misspelt] {
        let problems = refused(&world, &tree.with("class.yaml", class), &first);
        assert_eq!(problems.len(), 3, "{problems:#?}");
        assert!(
            problems[1].starts_with("shop/cart.yaml:")
                && problems[1].contains(
                    "class-lost: no class is given, and this commit leaves no default one"
                ),
            "{problems:#?}"
        );
    }

    // Whoever names it needs no default.
    let named = Tree::new();
    let end = world.pass(Trigger::Commit, &named.commit(&world));
    assert_eq!(end, PassEnd::Complete, "{:#?}", world.cx.reporter.status());
    assert_eq!(paths(&world, "shop"), SHOP);
    no_deletes(&world);
}

#[test]
fn a_class_that_goes_to_another_controller_does_not_take_its_ingresses_along_in_silence() {
    let world = World::new();
    let foreign = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "nginx"},
        "spec": {"controller": "k8s.io/ingress-nginx"},
    });
    world.cluster.put("kubectl", foreign);
    let tree = Tree::new();
    let first = applied(&world, &tree);
    let given = CLASS.replace("ingress.k8s.aws/alb", "k8s.io/ingress-nginx");
    let problems = refused(&world, &tree.with("class.yaml", given), &first);
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(
        problems[1].starts_with(
            "shop/cart.yaml:9:21 class-lost: IngressClass `aws` is another controller's now"
        ),
        "{problems:#?}"
    );

    // An Ingress that says so itself is let go.
    let text = ingress("cart", "shop", "cart", &["/cart"], "")
        .replace("ingressClassName: aws", "ingressClassName: nginx");
    let tip = tree.with("shop/cart.yaml", text).commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), ["/pay", "/pay/*"]);
}
