//! A fact that is gone while git is as it was: what hangs on it stays as it was applied, and the rest of its group goes
//! on; on a world in memory.

use albsync::{
    converge::PassEnd,
    daemon::schedule::Trigger,
    id::{Arn, Revision, StackId},
    model::{
        elb::{Rule, TargetGroup},
        facts::CertificateFact,
    },
    report::Status,
};
use serde_json::json;

use crate::{
    golden::world::World,
    tree::{NOTHING, SHOP, Tree, ingress, object, paths},
};

mod classes;
mod leaving;

const HTTPS: &str = "    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\": 443}]'\n";
/// `pay` with one more path.
const MORE: [&str; 6] = ["/cart", "/cart/*", "/pay", "/pay/*", "/refund", "/refund/*"];

/// The Service of `cart` is the cluster's own; git does not hold it.
fn put_cart(world: &World) {
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "cart", "namespace": "default"},
        "spec": {"type": "NodePort", "selector": {"app": "cart"}, "ports": [{"port": 80, "targetPort": 8080}]},
    });
    world.cluster.put("kubectl", service);
}

fn certificate(name: &str) -> CertificateFact {
    CertificateFact {
        arn: format!("arn:aws:acm:eu-central-1:123456789012:certificate/{name}"),
        domain: format!("{name}.example.com"),
        sans: vec![format!("{name}.example.com")],
        status: "ISSUED".to_owned(),
        kind: "IMPORTED".to_owned(),
        key_algorithm: None,
        not_after: None,
        certificate_authority_arn: None,
        tags: Default::default(),
    }
}

/// All well, `cart`'s Service being the cluster's own.
fn world() -> (World, Tree, Revision) {
    let world = World::new();
    put_cart(&world);
    let tree = Tree::new().without("services/cart.yaml");
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);
    world.forget_writes();
    (world, tree, tip)
}

fn with_refund(tree: &Tree) -> Tree {
    tree.with(
        "shop/pay.yaml",
        ingress("pay", "shop", "pay", &["/pay", "/refund"], ""),
    )
}

/// What is said of the member that is kept.
fn waits(status: &Status) -> String {
    let [wait] = &status.waits[..] else {
        panic!("{:#?}", status.waits);
    };
    assert_eq!(wait.stack, StackId::Group("shop".to_owned()));
    assert_eq!(wait.object.as_deref(), Some("Ingress default/cart"));
    wait.reason.clone()
}

fn target_groups_of(world: &World, service: &str) -> Vec<TargetGroup> {
    let state = world.aws.state();
    let mut found: Vec<TargetGroup> = state.target_groups.into_values().collect();
    found.retain(|it| {
        it.tags
            .get("ingress.k8s.aws/resource")
            .is_some_and(|id| id.contains(service))
    });
    found
}

/// The group's rules in order, with their numbers.
fn numbers(world: &World) -> Vec<(u32, String)> {
    let state = world.aws.state();
    let of_group =
        |rule: &&Rule| rule.tags.get("ingress.k8s.aws/stack").map(String::as_str) == Some("shop");
    let mut rules: Vec<(u32, String)> = state
        .rules
        .values()
        .filter(of_group)
        .map(|rule| (rule.priority, format!("{:?}", rule.conditions)))
        .collect();
    rules.sort();
    rules
}

#[test]
fn a_member_whose_service_is_gone_keeps_its_rules_and_targets_while_the_others_go_on() {
    let (world, tree, _) = world();
    let before = target_groups_of(&world, "cart");
    assert_eq!(before.len(), 1);
    assert!(!before[0].targets.is_empty());
    world.cluster.remove(&object("Service", "cart"));
    let tip = with_refund(&tree).commit(&world);

    let preview = world.preview(&tip);
    let text = preview.text(false);
    assert!(!preview.is_refused(), "{text}");
    assert!(text.contains("Ingress default/cart keeps"), "{text}");

    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Incomplete);
    assert_eq!(paths(&world, "shop"), MORE);
    assert_eq!(target_groups_of(&world, "cart"), before);
    let writes = world.writes();
    let deletes = |write: &String| write.contains("Delete") || write.contains("Deregister");
    assert!(!writes.iter().any(deletes), "{writes:#?}");
    let status = world.cx.reporter.status();
    assert_eq!(
        status.in_force.as_ref().map(|it| &it.revision),
        Some(&tip),
        "a cause outside of git refuses nothing"
    );
    assert_eq!(
        waits(&status),
        "Ingress default/cart keeps the rules and targets that were applied last: shop/cart.yaml:16:39: \
         Service `cart` is neither in git nor in the cluster, in namespace `default`"
    );

    let events = world.cluster.events();
    let told = events.iter().filter(|event| event.reason == "Waiting");
    let told: Vec<String> = told.map(|event| event.object.to_string()).collect();
    assert_eq!(told, ["Ingress default/cart"]);
    world.pass(Trigger::Retry, &tip);
    assert_eq!(world.cluster.events().len(), events.len(), "told once");

    // It comes back, as another Service of the same name.
    put_cart(&world);
    assert_eq!(world.pass(Trigger::Cluster, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), MORE);
    let after = target_groups_of(&world, "cart");
    assert_eq!(after.len(), 1);
    let ports = |group: &TargetGroup| -> Vec<u16> {
        group.targets.iter().map(|target| target.port).collect()
    };
    assert_ne!(ports(&after[0]), ports(&before[0]), "a new node port");
    assert_eq!(world.cx.reporter.status().waits, []);
}

#[test]
fn kept_rules_keep_their_place_and_are_put_back_after_a_restart() {
    let (world, tree, _) = world();
    world.cluster.remove(&object("Service", "cart"));
    let tip = with_refund(&tree).commit(&world);
    world.pass(Trigger::Commit, &tip);
    let before = numbers(&world);
    let first_of = |path: &str| before.iter().position(|(_, rule)| rule.contains(path));
    assert!(first_of("/cart") < first_of("/pay"), "{before:#?}");
    let targets = target_groups_of(&world, "cart");

    // By hand: a rule of the kept member goes, and a target of it.
    world.aws.edit(|state| {
        state
            .rules
            .retain(|_, rule| !format!("{:?}", rule.conditions).contains("/cart"));
        for target_group in state.target_groups.values_mut() {
            target_group.targets.clear();
        }
    });
    world.pass_after_restart(&tip);
    let after: Vec<String> = numbers(&world).into_iter().map(|(_, rule)| rule).collect();
    let wanted: Vec<String> = before.into_iter().map(|(_, rule)| rule).collect();
    assert_eq!(after, wanted);
    assert_eq!(target_groups_of(&world, "cart"), targets);
}

#[test]
fn a_commit_that_changes_the_member_itself_is_refused_while_its_service_is_gone() {
    let (world, tree, first) = world();
    world.cluster.remove(&object("Service", "cart"));
    let cart = ingress("cart", "shop", "cart", &["/cart", "/new"], "");
    let tip = with_refund(&tree)
        .with("shop/cart.yaml", cart)
        .commit(&world);
    world.pass(Trigger::Commit, &tip);
    let status = world.cx.reporter.status();
    assert_eq!(status.in_force.map(|it| it.revision), Some(first));
    let codes: Vec<&str> = status.problems.iter().map(|it| &*it.code).collect();
    assert_eq!(codes, ["unknown-service"; 2], "of both paths");
    assert_eq!(world.aws.writes(), NOTHING);
    assert_eq!(paths(&world, "shop"), SHOP);
}

#[test]
fn a_commit_that_drops_a_service_under_its_own_ingress_is_refused() {
    let world = World::new();
    let tree = Tree::new();
    let first = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    world.forget_writes();
    let dropped = tree.without("services/cart.yaml");
    world.pass(Trigger::Commit, &dropped.commit(&world));
    let status = world.cx.reporter.status();
    assert_eq!(status.in_force.map(|it| it.revision), Some(first));
    let [problem] = &status.problems[..] else {
        panic!("{:#?}", status.problems);
    };
    assert_eq!(problem.code, "unknown-service");
    assert!(problem.message.contains("no longer in git"), "{problem}");
    assert!(problem.origin.to_string().starts_with("shop/cart.yaml:"));
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(paths(&world, "shop"), SHOP);

    // Both at once leave together.
    let both = dropped.without("shop/cart.yaml").commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &both), PassEnd::Complete);
    let status = world.cx.reporter.status();
    assert_eq!(status.in_force.map(|it| it.revision), Some(both));
    assert!(world.cluster.object(&object("Service", "cart")).is_none());
}

#[test]
fn a_service_that_was_never_there_refuses_the_commit() {
    let (world, tree, first) = world();
    let pay = ingress("pay", "shop", "ghost", &["/pay"], "");
    let tip = tree.with("shop/pay.yaml", pay).commit(&world);
    world.pass(Trigger::Commit, &tip);
    let status = world.cx.reporter.status();
    assert_eq!(status.in_force.map(|it| it.revision), Some(first));
    assert_eq!(world.writes(), NOTHING);
}

#[test]
fn a_member_that_git_drops_goes_though_another_is_kept() {
    let (world, tree, _) = world();
    world.cluster.remove(&object("Service", "cart"));
    let less = tree.without("shop/pay.yaml").without("services/pay.yaml");
    world.pass(Trigger::Commit, &less.commit(&world));
    assert_eq!(paths(&world, "shop"), ["/cart", "/cart/*"]);
    assert_eq!(target_groups_of(&world, "pay"), []);
    assert_eq!(target_groups_of(&world, "cart").len(), 1);

    // And so does the kept one when git drops it.
    let none = less.without("shop/cart.yaml").commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &none), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), NOTHING);
    assert_eq!(target_groups_of(&world, "cart"), []);
}

#[test]
fn without_memory_the_group_waits_whole() {
    let (world, tree, _) = world();
    let tip = with_refund(&tree).commit(&world);
    world.pass(Trigger::Commit, &tip);
    world.cluster.remove(&object("Service", "cart"));
    world.forget_writes();
    world.pass_after_loss(&tip);
    assert_eq!(paths(&world, "shop"), MORE);
    assert_eq!(world.aws.writes(), NOTHING);
}

/// Two members with discovered certificates on one listener.
fn secure() -> (World, Tree) {
    let world = World::new();
    world.aws.edit(|state| {
        state.acm_certificates = vec![certificate("cart"), certificate("pay")];
        for name in ["cart", "pay", "cart-2"] {
            let arn = certificate(name).arn;
            state.certificates.insert(Arn::new(arn));
        }
    });
    let tree = Tree::new()
        .with(
            "shop/cart.yaml",
            ingress("cart", "shop", "cart", &["/cart"], HTTPS),
        )
        .with(
            "shop/pay.yaml",
            ingress("pay", "shop", "pay", &["/pay"], HTTPS),
        );
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);
    world.forget_writes();
    (world, tree)
}

/// The certificates of the group's HTTPS listener.
fn certificates(world: &World) -> Vec<Arn> {
    let state = world.aws.state();
    let listener = state.listeners.values().find(|it| it.port == 443);
    let tls = listener.map(|it| it.tls.clone()).expect("a listener");
    let mut all: Vec<Arn> = tls.certificates.into_iter().collect();
    all.extend(tls.default_certificate);
    all.sort();
    all.dedup();
    all
}

#[test]
fn a_listener_keeps_a_certificate_that_is_no_longer_found_while_others_rules_go_on() {
    let (world, tree) = secure();
    let before = certificates(&world);
    assert_eq!(before.len(), 2);
    world.aws.edit(|state| {
        state.acm_certificates = vec![certificate("pay")];
    });
    let pay = ingress("pay", "shop", "pay", &["/pay", "/refund"], HTTPS);
    let tip = tree.with("shop/pay.yaml", pay).commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Incomplete);
    assert_eq!(paths(&world, "shop"), MORE);
    assert_eq!(certificates(&world), before);
    let writes = world.writes();
    assert!(
        !writes.iter().any(|write| write.contains("Delete")),
        "{writes:#?}"
    );
    let reason = waits(&world.cx.reporter.status());
    assert!(
        reason.starts_with(
            "Ingress default/cart keeps the certificates that were applied last: shop/cart.yaml:"
        ),
        "{reason}"
    );

    // Issued anew: the new one takes the old one's place.
    world.aws.edit(|state| {
        let mut again = certificate("cart");
        again.arn.push_str("-2");
        state.acm_certificates.push(again);
    });
    assert_eq!(world.pass(Trigger::Retry, &tip), PassEnd::Complete);
    let after = certificates(&world);
    assert!(after.iter().any(|arn| arn.as_str().ends_with("cart-2")));
    assert_eq!(after.len(), 2);
    assert_eq!(world.cx.reporter.status().waits, []);
}

#[test]
fn an_expired_certificate_stays_until_there_is_another() {
    let (world, tree) = secure();
    let before = certificates(&world);
    world.aws.edit(|state| {
        for certificate in &mut state.acm_certificates {
            if certificate.arn.ends_with("cart") {
                certificate.status = "EXPIRED".to_owned();
            }
        }
    });
    let tip = tree.commit(&world);
    world.pass(Trigger::Sweep, &tip);
    assert_eq!(certificates(&world), before);
    assert_eq!(world.aws.writes(), NOTHING);
    waits(&world.cx.reporter.status());
}

#[test]
fn a_balancer_stays_where_it_is_when_a_named_subnet_is_gone_while_rules_go_on() {
    let world = World::new();
    let names: Vec<String> = {
        let subnets = world.aws.state().subnets;
        let mut zones = std::collections::BTreeSet::new();
        let of_zones = subnets.iter().filter(|it| zones.insert(it.az.clone()));
        of_zones.take(2).map(|it| it.id.to_string()).collect()
    };
    let named = format!(
        "    alb.ingress.kubernetes.io/subnets: {}\n",
        names.join(",")
    );
    let tree = Tree::new().with(
        "shop/cart.yaml",
        ingress("cart", "shop", "cart", &["/cart"], &named),
    );
    let first = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    world.forget_writes();
    let before = world.aws.state().load_balancers;
    world.aws.edit(|state| {
        state.subnets.retain(|it| it.id.as_str() != names[0]);
    });
    world.pass(Trigger::Sweep, &first);
    let tip = with_refund(&tree).commit(&world);
    world.pass(Trigger::Commit, &tip);
    assert_eq!(paths(&world, "shop"), MORE);
    assert_eq!(world.aws.state().load_balancers, before);
    let reason = waits(&world.cx.reporter.status());
    assert!(
        reason.contains("keeps the subnets and security groups that were applied last"),
        "{reason}"
    );
}

#[test]
fn pods_stay_targets_when_their_service_is_gone_with_its_endpoints() {
    let world = World::new();
    put_cart(&world);
    let slice = object("EndpointSlice", "cart");
    world.cluster.put(
        "kubectl",
        json!({
            "apiVersion": slice.api_version,
            "kind": "EndpointSlice",
            "metadata": {
                "name": "cart", "namespace": "default", "labels": {"kubernetes.io/service-name": "cart"},
            },
            "addressType": "IPv4",
            "ports": [{"port": 8080}],
            "endpoints": [{
                "addresses": ["10.0.0.7"],
                "conditions": {"ready": true},
                "nodeName": "node-0",
                "targetRef": {"kind": "Pod", "name": "cart"},
            }],
        }),
    );
    let ip = "    alb.ingress.kubernetes.io/target-type: ip\n";
    let tree = Tree::new().without("services/cart.yaml").with(
        "shop/cart.yaml",
        ingress("cart", "shop", "cart", &["/cart"], ip),
    );
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    let before = target_groups_of(&world, "cart");
    assert_eq!(before[0].targets.len(), 1);
    let admitted = || {
        let groups = world.aws.state().security_groups;
        let nodes = groups.into_values().find(|group| group.name == "nodes");
        nodes.expect("the nodes' group").ingress
    };
    let before_nodes = admitted();

    world.forget_writes();
    world.cluster.remove(&object("Service", "cart"));
    world.cluster.remove(&slice);
    let tip = with_refund(&tree).commit(&world);
    world.pass(Trigger::Commit, &tip);
    world.pass(Trigger::Sweep, &tip);
    assert_eq!(paths(&world, "shop"), MORE);
    assert_eq!(target_groups_of(&world, "cart"), before);
    assert!(admitted().is_superset(&before_nodes), "nothing is revoked");
    waits(&world.cx.reporter.status());
}

#[test]
fn a_rule_with_sign_in_stays_when_its_secret_is_gone() {
    let world = World::new();
    world.aws.edit(|state| {
        state.acm_certificates = vec![certificate("cart"), certificate("pay")];
        for name in ["cart", "pay"] {
            state.certificates.insert(Arn::new(certificate(name).arn));
        }
    });
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "client", "namespace": "default"},
        "stringData": {"clientID": "a", "clientSecret": "b"},
        "data": {"clientID": "YQ==", "clientSecret": "Yg=="},
    });
    world.cluster.put("kubectl", secret);
    let sign_in = format!(
        "{HTTPS}    alb.ingress.kubernetes.io/auth-type: oidc
    alb.ingress.kubernetes.io/auth-idp-oidc: '{{\"issuer\": \"https://id.example.com\", \
         \"authorizationEndpoint\": \"https://id.example.com/a\", \
         \"tokenEndpoint\": \"https://id.example.com/t\", \
         \"userInfoEndpoint\": \"https://id.example.com/u\", \"secretName\": \"client\"}}'\n"
    );
    let tree = Tree::new()
        .with(
            "shop/cart.yaml",
            ingress("cart", "shop", "cart", &["/cart"], &sign_in),
        )
        .with(
            "shop/pay.yaml",
            ingress("pay", "shop", "pay", &["/pay"], HTTPS),
        );
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &tip), PassEnd::Complete);
    let actions = || -> Vec<String> {
        let state = world.aws.state();
        let of_cart = state.rules.values().filter(|rule| {
            let conditions = format!("{:?}", rule.conditions);
            conditions.contains("/cart")
        });
        of_cart.map(|rule| format!("{:?}", rule.actions)).collect()
    };
    let before = actions();
    assert!(before[0].contains("id.example.com"), "{before:?}");

    world.cluster.remove(&object("Secret", "client"));
    let pay = ingress("pay", "shop", "pay", &["/pay", "/refund"], HTTPS);
    let tip = tree.with("shop/pay.yaml", pay).commit(&world);
    world.pass(Trigger::Commit, &tip);
    world.pass(Trigger::Sweep, &tip);
    assert_eq!(paths(&world, "shop"), MORE);
    assert_eq!(actions(), before);
    waits(&world.cx.reporter.status());
}
