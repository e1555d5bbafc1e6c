//! Classes and their parameters that only the cluster holds, and that are deleted there.

use serde_json::{Value, json};

use super::{MORE, numbers, waits, with_refund};
use crate::{
    golden::world::World,
    tree::{NOTHING, SHOP, Tree, ingress, object, paths},
};
use albsync::{
    converge::PassEnd,
    daemon::schedule::Trigger,
    id::{ObjectRef, StackId},
};

/// A class of ours of the cluster, with parameters.
pub fn class(name: &str, is_default: bool) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {
            "name": name,
            "annotations": {"ingressclass.kubernetes.io/is-default-class": is_default.to_string()},
        },
        "spec": {
            "controller": "ingress.k8s.aws/alb",
            "parameters": {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "team"},
        },
    })
}

fn params(spec: Value) -> Value {
    json!({
        "apiVersion": "elbv2.k8s.aws/v1beta1",
        "kind": "IngressClassParams",
        "metadata": {"name": "team"},
        "spec": spec,
    })
}

pub fn of_cluster(kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: match kind {
            "IngressClass" => "networking.k8s.io/v1".to_owned(),
            _ => "elbv2.k8s.aws/v1beta1".to_owned(),
        },
        namespace: None,
        ..object(kind, name)
    }
}

/// Of git, naming parameters that git does not hold.
const TEAM_CLASS: &str = "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: team}
spec:
  controller: ingress.k8s.aws/alb
  parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: team}
";

/// `cart` is of the class with parameters; of the group that its annotation names, if any.
pub fn cart(group: Option<&str>, path: &[&str]) -> String {
    let text = ingress("cart", group.unwrap_or_default(), "cart", path, "");
    let text = text.replace("ingressClassName: aws", "ingressClassName: team");
    match group {
        Some(_) => text,
        None => text.replace(
            "  annotations:\n    alb.ingress.kubernetes.io/group.name: \n",
            "",
        ),
    }
}

/// What the balancers' attributes say of idle connections.
fn idle(world: &World) -> Vec<Option<String>> {
    let state = world.aws.state();
    let balancers = state.load_balancers.values();
    let of_shop = balancers
        .filter(|it| it.tags.get("ingress.k8s.aws/stack").map(String::as_str) == Some("shop"));
    of_shop
        .map(|it| it.attributes.get("idle_timeout.timeout_seconds").cloned())
        .collect()
}

pub fn no_deletes(world: &World) {
    let writes = world.writes();
    let deletes = |write: &String| write.contains("Delete") || write.contains("Deregister");
    assert!(!writes.iter().any(deletes), "{writes:#?}");
}

#[test]
fn a_group_stays_when_its_class_is_gone_from_the_cluster() {
    let world = World::new();
    let class = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "aws"},
        "spec": {"controller": "ingress.k8s.aws/alb"},
    });
    world.cluster.put("kubectl", class.clone());
    let tree = Tree::new().without("class.yaml");
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    let rules = numbers(&world);

    world.cluster.remove(&of_cluster("IngressClass", "aws"));
    world.aws.edit(|state| state.rules.clear());
    world.forget_writes();
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Incomplete);
    let orders = |rules: Vec<(u32, String)>| rules.into_iter().map(|(_, rule)| rule);
    assert!(orders(numbers(&world)).eq(orders(rules)), "put back");
    let writes = world.writes();
    assert!(
        !writes.iter().any(|write| write.contains("Delete")),
        "{writes:#?}"
    );
    assert_eq!(world.cx.reporter.status().waits.len(), 3, "three members");

    world.cluster.put("kubectl", class);
    assert_eq!(world.pass(Trigger::Cluster, &tip), PassEnd::Complete);
    assert_eq!(world.cx.reporter.status().waits, []);
}

/// All well with a group of which one member's class has parameters, which the cluster alone holds.
fn world_of(spec: Value, group: Option<&str>) -> (World, Tree) {
    let world = World::new();
    world.cluster.put("kubectl", params(spec));
    let tree = Tree::new()
        .with("team.yaml", TEAM_CLASS.to_owned())
        .with("shop/cart.yaml", cart(group, &["/cart"]));
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);
    world.forget_writes();
    (world, tree)
}

#[test]
fn a_member_whose_class_lost_its_parameters_is_kept_while_the_others_go_on() {
    let idle_90 = json!({
        "loadBalancerAttributes": [{"key": "idle_timeout.timeout_seconds", "value": "90"}],
    });
    let (world, tree) = world_of(idle_90.clone(), Some("shop"));
    assert_eq!(idle(&world), [Some("90".to_owned())]);
    world
        .cluster
        .remove(&of_cluster("IngressClassParams", "team"));
    let tip = with_refund(&tree).commit(&world);

    let preview = world.preview(&tip);
    assert!(!preview.is_refused(), "{:#?}", preview.problems);
    let text = preview.text(false);
    assert!(text.contains("Ingress default/cart keeps"), "{text}");

    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Incomplete);
    assert_eq!(paths(&world, "shop"), MORE);
    assert_eq!(idle(&world), [Some("90".to_owned())]);
    no_deletes(&world);
    assert_eq!(
        waits(&world.cx.reporter.status()),
        "Ingress default/cart keeps the rules and targets that were applied last: team.yaml:6:15: \
         IngressClassParams `team`, which IngressClass `team` names, does not exist"
    );
    // Whoever comes later still knows: what is kept is remembered on.
    world.aws.edit(|state| state.rules.clear());
    world.pass_after_restart(&tip);
    assert_eq!(paths(&world, "shop"), MORE);
    assert_eq!(idle(&world), [Some("90".to_owned())]);

    // A commit that changes the member itself asks anew.
    let changed = with_refund(&tree).with("shop/cart.yaml", cart(Some("shop"), &["/new"]));
    let refused = changed.commit(&world);
    world.pass(Trigger::Commit, &refused);
    let status = world.cx.reporter.status();
    assert_eq!(status.in_force.map(|it| it.revision), Some(tip));
    let codes: Vec<&str> = status.problems.iter().map(|it| &*it.code).collect();
    assert_eq!(codes, ["bad-class"]);
    assert_eq!(paths(&world, "shop"), MORE);

    world.cluster.put("kubectl", params(idle_90));
    assert_eq!(world.pass(Trigger::Cluster, &refused), PassEnd::Complete);
    assert_eq!(world.cx.reporter.status().waits, []);
}

#[test]
fn a_member_that_its_class_put_into_the_group_is_not_lost_to_it() {
    let (world, tree) = world_of(json!({"group": {"name": "shop"}}), None);
    let before = numbers(&world);
    world
        .cluster
        .remove(&of_cluster("IngressClassParams", "team"));
    let tip = with_refund(&tree).commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Incomplete);
    assert_eq!(paths(&world, "shop"), MORE);
    no_deletes(&world);
    waits(&world.cx.reporter.status());

    // With the class gone too.
    world.cluster.put("kubectl", class("team", false));
    let less = with_refund(&tree).without("team.yaml");
    let tip = less.commit(&world);
    world.pass(Trigger::Commit, &tip);
    assert_eq!(paths(&world, "shop"), MORE);
    no_deletes(&world);

    // And git drops it when it means to.
    let none = tree.without("shop/cart.yaml").without("team.yaml");
    assert_eq!(
        world.pass(Trigger::Commit, &none.commit(&world)),
        PassEnd::Complete
    );
    assert_eq!(paths(&world, "shop"), ["/pay", "/pay/*"]);
    assert!(before.len() > numbers(&world).len());
}

#[test]
fn ingresses_without_a_class_stay_when_the_default_one_is_gone_with_its_parameters() {
    let world = World::new();
    world.cluster.put("kubectl", class("usual", true));
    let spec = json!({"targetType": "instance", "ipAddressType": "ipv4"});
    world.cluster.put("kubectl", params(spec.clone()));
    let unclassed = |name: &str, group: &str, path: &str| {
        ingress(name, group, name, &[path], "").replace("  ingressClassName: aws\n", "")
    };
    let tree = Tree::new()
        .without("class.yaml")
        .with("shop/cart.yaml", unclassed("cart", "shop", "/cart"))
        .with("shop/pay.yaml", unclassed("pay", "shop", "/pay"))
        .with("blog.yaml", unclassed("blog", "blog", "/blog"));
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);
    world.forget_writes();

    world.cluster.remove(&of_cluster("IngressClass", "usual"));
    world
        .cluster
        .remove(&of_cluster("IngressClassParams", "team"));
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Incomplete);
    world.pass_after_restart(&tip);
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(world.aws.writes(), NOTHING);
    let waits = world.cx.reporter.status().waits;
    let stacks: Vec<&StackId> = waits.iter().map(|it| &it.stack).collect();
    let group = |id: &str| StackId::Group(id.to_owned());
    assert_eq!(stacks, [&group("blog"), &group("shop"), &group("shop")]);
    assert!(
        waits[0]
            .reason
            .contains("IngressClass `usual`, the default one, is gone"),
        "{}",
        waits[0].reason
    );

    world.cluster.put("kubectl", class("usual", true));
    world.cluster.put("kubectl", params(spec));
    assert_eq!(world.pass(Trigger::Cluster, &tip), PassEnd::Complete);
    assert_eq!(world.cx.reporter.status().waits, []);
}

#[test]
fn a_commit_that_drops_a_class_or_its_parameters_under_its_own_ingress_is_refused() {
    let world = World::new();
    let params = "apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {name: team}
spec: {ipAddressType: ipv4}
";
    let tree = Tree::new()
        .with("team.yaml", TEAM_CLASS.to_owned())
        .with("params.yaml", params.to_owned())
        .with("shop/cart.yaml", cart(Some("shop"), &["/cart"]));
    let first = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    world.forget_writes();
    for (dropped, place, code) in [
        ("team.yaml", "shop/cart.yaml:", "unknown-ingress-class"),
        ("params.yaml", "team.yaml:", "bad-class"),
    ] {
        world.pass(Trigger::Commit, &tree.without(dropped).commit(&world));
        let status = world.cx.reporter.status();
        assert_eq!(status.in_force.map(|it| it.revision), Some(first.clone()));
        let [problem] = &status.problems[..] else {
            panic!("{dropped}: {:#?}", status.problems);
        };
        assert_eq!(problem.code, code, "{problem}");
        assert!(problem.message.contains("no longer in git"), "{problem}");
        assert!(problem.origin.to_string().starts_with(place), "{problem}");
        assert_eq!(world.writes(), NOTHING);
    }

    // All at once leave together.
    let none = tree
        .without("shop/cart.yaml")
        .without("team.yaml")
        .without("params.yaml")
        .commit(&world);
    let end = world.pass(Trigger::Commit, &none);
    let status = world.cx.reporter.status();
    assert_eq!(end, PassEnd::Complete, "{status:#?}");
    assert_eq!(status.in_force.map(|it| it.revision), Some(none));
}
