//! `admission: group`: a part of a commit that has problems stays as it was, and the others go on; on a world in memory.

use albsync::{
    cluster::ObjectEvent,
    converge::PassEnd,
    daemon::schedule::Trigger,
    id::{Revision, StackId},
    plan::history::CommitState,
    report::Health,
};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    golden::world::World,
    tree::{BAD, BLOG, CLASS, FEED, NOTHING, PLACE, SHOP, Tree, ingress, object, paths, service},
};

/// The first tree in force, all well.
fn world() -> (World, Tree, Revision) {
    let world = World::with("admission: group\n");
    let tree = Tree::new();
    let first = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(paths(&world, "blog"), BLOG);
    world.forget_writes();
    (world, tree, first)
}

fn rejections(world: &World) -> Vec<ObjectEvent> {
    let mut events = world.cluster.events();
    events.retain(|event| event.reason == "Rejected");
    events
}

#[test]
fn a_bad_member_holds_its_group_while_the_others_go_on() {
    let (world, tree, first) = world();
    let cart = world.cluster.object(&object("Ingress", "cart"));
    let tip = tree.with_bad_cart().with_feed().commit(&world);

    let preview = world.preview(&tip);
    let text = preview.text(false);
    assert!(preview.has_changes(), "{text}");
    assert!(text.contains("group shop stays as it is"), "{text}");
    assert!(text.contains(PLACE), "{text}");

    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), FEED);
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(world.cluster.object(&object("Ingress", "cart")), cart);
    let writes = world.writes();
    assert!(
        !writes.iter().any(|write| write.contains("cart")),
        "{writes:#?}"
    );

    let status = world.cx.reporter.status();
    assert_eq!(status.health, Health::Partial);
    let in_force = status.in_force.expect("a commit");
    assert_eq!(in_force.revision, tip);
    assert_eq!(in_force.reason, "Partial");
    let [held] = &status.held[..] else {
        panic!("{:#?}", status.held);
    };
    assert_eq!(held.stack.to_string(), "group shop");
    assert!(held.message.contains(first.short()), "{}", held.message);
    assert!(held.message.contains(PLACE), "{}", held.message);
    let told = |text: String| text.contains(PLACE) && text.contains("Ingress default/cart");
    let problems: Vec<String> = status.problems.iter().map(ToString::to_string).collect();
    assert!(problems.iter().cloned().any(told), "{problems:#?}");
    // Everybody of the group hears of it: nothing of what they ask for comes about.
    let events = rejections(&world);
    let named: Vec<String> = events
        .iter()
        .map(|event| event.object.to_string())
        .collect();
    assert_eq!(named, ["Ingress default/cart", "Ingress default/pay"]);
    for event in &events {
        assert!(event.message.contains("group shop"), "{}", event.message);
        assert!(event.message.contains(PLACE), "{}", event.message);
    }

    // The same commit again says the same, and changes nothing.
    world.forget_writes();
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Complete);
    assert_eq!(world.writes(), NOTHING);
    let status = world.cx.reporter.status();
    assert_eq!(status.held.len(), 1);
    assert!(!status.problems.is_empty());
}

#[test]
fn by_default_one_bad_member_refuses_the_commit() {
    let world = World::new();
    let tree = Tree::new();
    let first = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Start, &first), PassEnd::Complete);
    world.forget_writes();
    let tip = tree.with_bad_cart().with_feed().commit(&world);
    world.pass(Trigger::Commit, &tip);
    assert_eq!(world.writes(), NOTHING);
    let status = world.cx.reporter.status();
    assert_eq!(status.health, Health::Rejected);
    assert_eq!(status.in_force.map(|it| it.revision), Some(first));
}

#[test]
fn the_next_good_commit_ends_the_hold() {
    let (world, tree, _) = world();
    let tree = tree.with_feed();
    world.pass(Trigger::Commit, &tree.with_bad_cart().commit(&world));
    let cart = ingress("cart", "shop", "cart", &["/new"], "");
    let tip = tree.with("shop/cart.yaml", cart).commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), ["/new", "/new/*", "/pay", "/pay/*"]);
    let status = world.cx.reporter.status();
    assert_eq!(status.health, Health::Healthy);
    assert_eq!(status.held, []);
    assert_eq!(status.problems, []);
}

#[test]
fn going_back_to_the_good_text_ends_the_hold_without_a_write() {
    let (world, tree, _) = world();
    let tree = tree.with_feed();
    world.pass(Trigger::Commit, &tree.with_bad_cart().commit(&world));
    world.forget_writes();
    let tip = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(world.writes(), NOTHING);
    assert_eq!(world.cx.reporter.status().health, Health::Healthy);
}

#[test]
fn a_held_group_is_healed_towards_its_last_good_form() {
    let (world, tree, first) = world();
    let tip = tree.with_bad_cart().commit(&world);
    world.pass(Trigger::Commit, &tip);
    world.aws.edit(|state| state.rules.clear());
    let changed = world.cluster.edit(&object("Ingress", "cart"), |value| {
        value["spec"]["rules"][0]["host"] = "elsewhere.example.com".into();
    });
    assert!(changed);
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);
    let cart = world.cluster.object(&object("Ingress", "cart"));
    let cart = cart.expect("it stays");
    assert_eq!(cart["spec"]["rules"][0]["host"], "cart.example.com");
    let revision = &cart["metadata"]["annotations"]["albsync.dev/revision"];
    assert_eq!(revision, first.as_str());
}

#[test]
fn a_hold_survives_a_restart_and_further_commits() {
    let (world, tree, first) = world();
    let tree = tree.with_bad_cart();
    world.pass(Trigger::Commit, &tree.commit(&world));
    // Still bad: what is in force for the group is of the first commit, not of the one in force.
    let tip = tree.with_feed().commit(&world);
    world.pinned();
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    // Whatever the server does to its history, both stay readable.
    assert_eq!(world.pinned(), [first.clone(), tip.clone()]);
    world.aws.edit(|state| state.rules.clear());
    assert_eq!(world.pass_after_restart(&tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(paths(&world, "blog"), FEED);
    let record = world.cx.store.revision(&tip).expect("a record");
    assert_eq!(record.reason, "Partial");
    let [held] = &record.held_back[..] else {
        panic!("{:#?}", record.held_back);
    };
    assert_eq!(held.base, Some(first));
}

#[test]
fn a_branch_that_is_rewritten_to_the_good_commit_ends_the_hold() {
    let (world, tree, first) = world();
    let tip = tree.with_bad_cart().with_feed().commit(&world);
    world.pass(Trigger::Commit, &tip);
    assert_eq!(world.pass(Trigger::Commit, &first), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), BLOG);
    assert_eq!(paths(&world, "shop"), SHOP);
    let status = world.cx.reporter.status();
    assert_eq!(status.health, Health::Healthy);
    assert_eq!(status.held, []);
    // And back again: the group is of the commit that was in force, which has the same text for it.
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), FEED);
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(world.cx.reporter.status().health, Health::Partial);
}

#[test]
fn after_the_loss_of_the_store_a_bad_group_waits_and_nothing_of_it_is_touched() {
    let (world, tree, _) = world();
    let tip = tree.with_bad_cart().with_feed().commit(&world);
    world.pass_after_loss(&tip);
    assert_eq!(paths(&world, "blog"), FEED);
    assert_eq!(paths(&world, "shop"), SHOP);
    let writes = world.writes();
    let touches = |write: &String| {
        ["cart", "pay", "Revoke"]
            .iter()
            .any(|it| write.contains(it))
    };
    assert!(!writes.iter().any(touches), "{writes:#?}");
    assert!(world.cluster.object(&object("Ingress", "cart")).is_some());
}

#[test]
fn a_group_that_is_bad_from_the_start_is_not_built() {
    let (world, tree, _) = world();
    let tip = tree
        .with("services/new.yaml", service("new", ""))
        .with("new.yaml", ingress("new", "new", "new", &["/new"], BAD))
        .with_feed()
        .commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), FEED);
    assert_eq!(paths(&world, "new"), NOTHING);
    for kind in ["Ingress", "Service"] {
        assert_eq!(world.cluster.object(&object(kind, "new")), None);
    }
    let held = world.cx.reporter.status().held;
    assert_eq!(held.len(), 1, "{held:#?}");
    assert!(held[0].message.contains("nothing of it is touched"));
    // It is never taken for something that left git.
    world.forget_writes();
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Complete);
    assert_eq!(world.writes(), NOTHING);
}

#[test]
fn a_bad_member_keeps_those_that_git_dropped_in_the_same_commit() {
    let (world, tree, _) = world();
    let less = tree.without("shop/pay.yaml").without("services/pay.yaml");
    world.pass(Trigger::Commit, &less.with_bad_cart().commit(&world));
    assert_eq!(paths(&world, "shop"), SHOP);
    assert!(world.cluster.object(&object("Ingress", "pay")).is_some());
    assert!(world.cluster.object(&object("Service", "pay")).is_some());

    let good = less.commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &good), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), ["/cart", "/cart/*"]);
    assert_eq!(world.cluster.object(&object("Ingress", "pay")), None);
    assert_eq!(world.cluster.object(&object("Service", "pay")), None);
}

#[test]
fn groups_that_a_changed_service_ties_together_are_held_together() {
    let (world, tree, _) = world();
    let blog = |path| ingress("blog", "blog", "cart", &[path], "");
    let tree = tree.with("blog.yaml", blog("/blog"));
    let tied = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tied), PassEnd::Complete);
    let health = "alb.ingress.kubernetes.io/healthcheck-path: /healthz";
    let tip = tree
        .with_bad_cart()
        .with("services/cart.yaml", service("cart", health))
        .with("blog.yaml", blog("/feed"))
        .commit(&world);
    world.forget_writes();
    world.pass(Trigger::Commit, &tip);
    assert_eq!(paths(&world, "blog"), BLOG);
    let held = world.cx.reporter.status().held;
    let stacks: Vec<String> = held.iter().map(|held| held.stack.to_string()).collect();
    assert_eq!(stacks, ["group blog", "group shop"]);
    let why = "Service default/cart is used by both and changes";
    assert!(held[0].message.contains(why), "{}", held[0].message);
    assert_eq!(world.writes(), NOTHING);
}

#[test]
fn an_ingress_that_moves_into_a_bad_group_stays_where_it_was() {
    let (world, tree, _) = world();
    let moved = ingress("blog", "shop", "blog", &["/blog"], "");
    let tip = tree.with_bad_cart().with("blog.yaml", moved);
    world.pass(Trigger::Commit, &tip.commit(&world));
    assert_eq!(paths(&world, "blog"), BLOG);
    assert_eq!(paths(&world, "shop"), SHOP);
}

#[test]
fn what_cannot_be_confined_refuses_the_commit() {
    let tree = Tree::new();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: UPPER, namespace: default}\n";
    let twice = ingress("cart", "shop", "cart", &["/x"], "");
    let class = CLASS.replace("{controller: ingress.k8s.aws/alb}", "{controller: 7}");
    let cases = [
        ("no YAML", tree.with("shop/cart.yaml", "a: [".to_owned())),
        ("a class", tree.with("class.yaml", class)),
        ("an object twice", tree.with("again.yaml", twice)),
        ("another kind", tree.with("map.yaml", map.to_owned())),
    ];
    for (what, tree) in cases {
        let (world, _, first) = world();
        let tip = tree.with_feed().commit(&world);
        world.pass(Trigger::Commit, &tip);
        assert_eq!(world.writes(), NOTHING, "{what}");
        let status = world.cx.reporter.status();
        assert_eq!(status.health, Health::Rejected, "{what}");
        assert_eq!(status.in_force.map(|it| it.revision), Some(first), "{what}");
    }
}

#[test]
fn what_the_api_server_refuses_is_confined_too() {
    let (world, tree, _) = world();
    let cart = object("Ingress", "cart");
    world
        .cluster
        .refuse(&cart, "spec.rules[0].host: no such domain");
    let cart = ingress("cart", "shop", "cart", &["/cart", "/new"], "");
    let tip = tree.with("shop/cart.yaml", cart).with_feed().commit(&world);
    world.pass(Trigger::Commit, &tip);
    assert_eq!(paths(&world, "blog"), FEED);
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(world.cx.reporter.status().health, Health::Partial);
}

#[test]
fn what_leaves_git_elsewhere_is_still_taken_down() {
    let (world, tree, _) = world();
    let less = tree.without("blog.yaml").without("services/blog.yaml");
    let tip = less.with_bad_cart().commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), NOTHING);
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(world.aws.state().load_balancers.len(), 1);
}

/// A role with an inline policy that allows this action.
fn role(name: &str, action: &str, spec: &str) -> String {
    format!(
        "apiVersion: albsync.dev/v1alpha1
kind: IAMServiceAccount
metadata:
  name: {name}
  namespace: default
spec:
{spec}  policies:
    inline:
      - name: own
        document:
          Version: \"2012-10-17\"
          Statement: [{{Effect: Allow, Action: {action}, Resource: \"arn:aws:s3:::assets/*\"}}]
"
    )
}

#[test]
fn a_bad_role_is_held_alone() {
    let (world, tree, _) = world();
    let tree = tree
        .with("roles/good.yaml", role("good", "s3:GetObject", ""))
        .with("roles/bad.yaml", role("bad", "s3:GetObject", ""));
    let both = tree.commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &both), PassEnd::Complete);
    let policies = || {
        let state = world.aws.state();
        let names: Vec<(String, String)> = state
            .roles
            .iter()
            .map(|(name, role)| (name.to_string(), format!("{:?}", role.inline)))
            .collect();
        names
    };
    let before = policies();
    let tip = tree
        .with("roles/good.yaml", role("good", "s3:PutObject", ""))
        .with(
            "roles/bad.yaml",
            role("bad", "s3:PutObject", "  nonsense: 1\n"),
        )
        .with_feed()
        .commit(&world);
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), FEED);
    let changed: Vec<(String, String)> = policies()
        .into_iter()
        .filter(|role| !before.contains(role))
        .collect();
    let [(name, inline)] = &changed[..] else {
        panic!("{changed:#?}");
    };
    assert!(
        name.contains("good") && inline.contains("PutObject"),
        "{changed:#?}"
    );
    let held = world.cx.reporter.status().held;
    assert_eq!(held.len(), 1, "{held:#?}");
    assert_eq!(held[0].stack.to_string(), "role default/bad");
}

#[test]
fn a_group_that_waits_is_named_with_its_reason_to_those_who_asked_for_it() {
    let (world, tree, _) = world();
    let guarded = "    alb.ingress.kubernetes.io/waf-acl-id: 0a1b\n";
    let text = ingress("news", "news", "blog", &["/news"], guarded);
    let tip = tree.with_feed().with("news.yaml", text).commit(&world);
    // Only another commit can end it.
    assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "blog"), FEED);
    assert_eq!(paths(&world, "news"), NOTHING);
    let status = world.cx.reporter.status();
    let waits: Vec<String> = status
        .waits
        .iter()
        .map(|wait| format!("{}: {}", wait.stack, wait.reason))
        .collect();
    assert_eq!(waits.len(), 1, "{waits:#?}");
    assert!(waits[0].starts_with("group news: "), "{waits:#?}");
    assert!(waits[0].contains("waf-acl-id"), "{waits:#?}");
    // Nothing of it was ever applied, and still its Ingress says why.
    let mut events = world.cluster.events();
    events.retain(|event| event.reason == "Waiting");
    let named: Vec<String> = events.iter().map(|it| it.object.to_string()).collect();
    assert_eq!(named, ["Ingress default/news"]);
    assert!(events[0].message.contains("waf-acl-id"));
}

#[test]
fn a_start_looks_again_at_what_is_held() {
    let (world, tree, _) = world();
    let cart = ingress("cart", "shop", "late", &["/cart", "/new"], "");
    let tip = tree.with("shop/cart.yaml", cart).with_feed().commit(&world);
    world.pass(Trigger::Commit, &tip);
    assert_eq!(world.cx.reporter.status().health, Health::Partial);
    assert_eq!(paths(&world, "shop"), SHOP);
    assert_eq!(world.pass_after_restart(&tip), PassEnd::Complete);
    let record = || world.cx.store.revision(&tip).expect("a record");
    assert_eq!(record().reason, "Partial", "nothing has changed");

    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "late", "namespace": "default"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": 8080}]},
    });
    world.cluster.put("kubectl", service);
    assert_eq!(world.pass(Trigger::Sweep, &tip), PassEnd::Complete);
    assert_eq!(paths(&world, "shop"), SHOP, "a verdict stands");
    assert_eq!(world.pass_after_restart(&tip), PassEnd::Complete);
    assert_eq!(
        paths(&world, "shop"),
        ["/cart", "/cart/*", "/new", "/new/*", "/pay", "/pay/*"]
    );
    assert_eq!(record().held_back, []);
    assert_eq!(record().state, CommitState::Healthy);
}

#[test]
fn every_sort_of_mistake_is_confined_to_its_group() {
    let cart = |paths: &[&str], annotations: &str| {
        let text = ingress("cart", "shop", "cart", paths, annotations);
        vec![("shop/cart.yaml", text)]
    };
    let plain = || ingress("cart", "shop", "cart", &["/cart"], "");
    let edited = |from: &str, to: &str| {
        assert!(plain().contains(from), "{from}");
        vec![("shop/cart.yaml", plain().replace(from, to))]
    };
    let annotation = |text: &str| {
        cart(
            &["/cart"],
            &format!("    alb.ingress.kubernetes.io/{text}\n"),
        )
    };
    let https = "listen-ports: '[{\"HTTPS\": 443}]'";
    let health = "alb.ingress.kubernetes.io/healthcheck-port: somewhere";
    let mistakes = [
        (
            "a wrong type",
            edited("  rules:\n", "  rules: 7\n  other:\n"),
        ),
        (
            "an unknown field",
            edited("  rules:\n", "  ruls: []\n  rules:\n"),
        ),
        ("a path type", edited("pathType: Prefix", "pathType: Odd")),
        ("a Service", edited("{name: cart,", "{name: ghost,")),
        ("a port", edited("{number: 80}", "{number: 81}")),
        (
            "a class",
            edited("ingressClassName: aws", "ingressClassName: azure"),
        ),
        (
            "a group's name",
            edited("group.name: shop", "group.name: SHOP"),
        ),
        ("a misspelt annotation", annotation("shceme: internal")),
        ("a scheme", annotation("scheme: public")),
        ("a subnet", annotation("subnets: subnet-none,subnet-nil")),
        ("a certificate", annotation(https)),
        ("a security group", annotation("security-groups: sg-none")),
        ("an action that nobody calls", annotation("actions.x: '{}'")),
        ("another member's word", {
            let mut files = annotation("scheme: internal");
            let scheme = "    alb.ingress.kubernetes.io/scheme: internet-facing\n";
            let pay = ingress("pay", "shop", "pay", &["/pay"], scheme);
            files.push(("shop/pay.yaml", pay));
            files
        }),
        (
            "a Service's annotation",
            vec![("services/cart.yaml", service("cart", health))],
        ),
    ];
    for (what, files) in mistakes {
        let (world, tree, first) = world();
        let tree = files
            .into_iter()
            .fold(tree.with_feed(), |tree, (path, text)| tree.with(path, text));
        let tip = tree.commit(&world);
        world.pass(Trigger::Commit, &tip);
        let status = world.cx.reporter.status();
        let said: Vec<String> = status.problems.iter().map(ToString::to_string).collect();
        assert_eq!(status.health, Health::Partial, "{what}: {said:#?}");
        assert_eq!(paths(&world, "blog"), FEED, "{what}");
        assert_eq!(paths(&world, "shop"), SHOP, "{what}");
        let shop = StackId::Group("shop".to_owned());
        let held = status.held.iter().find(|held| held.stack == shop);
        let held = held.unwrap_or_else(|| panic!("{what}: {:#?}", status.held));
        assert!(held.message.contains(first.short()), "{what}: {held:#?}");
    }
}

#[test]
fn what_refuses_a_commit_is_told_at_once_whoever_finds_it() {
    let (world, tree, _) = world();
    world
        .cluster
        .refuse(&object("Service", "pay"), "spec.type: no");
    let tip = tree
        .with_bad_cart()
        .with("services/pay.yaml", service("pay", "note: changed"))
        .with(
            "map.yaml",
            "kind: ConfigMap\napiVersion: v1\nmetadata: {name: UPPER}\n".to_owned(),
        )
        .commit(&world);
    world.pass(Trigger::Commit, &tip);
    let status = world.cx.reporter.status();
    let said: Vec<&str> = status.problems.iter().map(|it| &*it.code).collect();
    for code in ["bad-name", "bad-annotation", "refused-by-api-server"] {
        assert!(said.contains(&code), "{code}: {said:#?}");
    }
}

#[test]
fn a_group_that_goes_bad_later_than_another_is_of_the_commit_before() {
    let (world, tree, _) = world();
    let blog = |path: &str, mistake| ingress("blog", "blog", "blog", &[path], mistake);
    let tree = tree.with(
        "shop/cart.yaml",
        ingress("cart", "shop", "cart", &["/cart-0"], BAD),
    );
    for (path, mistake) in [("/blog-2", ""), ("/blog-2", ""), ("/blog-0", BAD)] {
        let tip = tree
            .clone()
            .with("blog.yaml", blog(path, mistake))
            .commit(&world);
        assert_eq!(world.pass(Trigger::Commit, &tip), PassEnd::Complete);
        assert_eq!(paths(&world, "shop"), SHOP);
        assert_eq!(paths(&world, "blog"), ["/blog-2", "/blog-2/*"]);
    }
}

/// What a commit does to one group: another path, or the same mistake with another path.
fn change() -> impl Strategy<Value = (bool, u8)> {
    (prop::bool::weighted(0.6), 0..3_u8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_each_group_is_as_its_last_good_text_says(
        steps in prop::collection::vec((change(), change(), any::<bool>(), any::<bool>()), 1..7),
    ) {
        let (world, mut tree, _) = world();
        let (mut shop, mut blog) = (paths(&world, "shop"), paths(&world, "blog"));
        for (of_shop, of_blog, restart, by_hand) in steps {
            for (name, group, file, last, (is_good, path)) in [
                ("cart", "shop", "shop/cart.yaml", &mut shop, of_shop),
                ("blog", "blog", "blog.yaml", &mut blog, of_blog),
            ] {
                let path = format!("/{name}-{path}");
                let mistake = if is_good { "" } else { BAD };
                tree = tree.with(file, ingress(name, group, name, &[&path], mistake));
                if is_good {
                    last.retain(|last| !last.starts_with(&format!("/{name}")));
                    last.extend([format!("{path}/*"), path]);
                    last.sort();
                }
            }
            let tip = tree.commit(&world);
            if by_hand {
                world.aws.edit(|state| state.rules.clear());
            }
            let trigger = if by_hand { Trigger::Sweep } else { Trigger::Commit };
            let end = match restart {
                true => world.pass_after_restart(&tip),
                false => world.pass(trigger, &tip),
            };
            prop_assert_eq!(end, PassEnd::Complete);
            prop_assert_eq!(&paths(&world, "shop"), &shop);
            prop_assert_eq!(&paths(&world, "blog"), &blog);
        }
    }
}
