use serde_json::{Value, json};

use super::super::{build::build_all, fixture::*};

/// The one thing that is wrong.
fn refusal(world: &World) -> String {
    let said = world.refusals();
    assert_eq!(said.len(), 1, "{said:?}");
    said.into_iter().next().unwrap_or_default()
}

fn class(name: &str, controller: &str, is_default: bool) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": name, "annotations": {"ingressclass.kubernetes.io/is-default-class": is_default.to_string()}},
        "spec": {"controller": controller},
    })
}

/// An Ingress with its own class, or none.
fn of_class(name: &str, class: Option<&str>) -> Value {
    let mut document = ingress(name, json!({}), plain());
    match class {
        Some(class) => document["spec"]["ingressClassName"] = json!(class),
        None => {
            document["spec"]
                .as_object_mut()
                .map(|spec| spec.remove("ingressClassName"));
        }
    }
    document
}

fn members(world: &World) -> Vec<Vec<String>> {
    let (groups, _) = world.outcome();
    let names = |group: super::super::GroupModel| {
        let members = group.members.into_iter();
        members.map(|member| member.reference.name).collect()
    };
    groups.into_iter().map(names).collect()
}

#[test]
fn the_controller_of_the_class_decides_and_not_its_name() {
    let world = World::new()
        .with(class("odd", "ingress.k8s.aws/alb", false))
        .with(class("nginx", "k8s.io/ingress-nginx", false))
        .with(of_class("ours", Some("odd")))
        .with(of_class("theirs", Some("nginx")))
        .with(of_class("nobodys", None));
    assert_eq!(members(&world), [["ours"]]);
    assert_eq!(world.refusals(), [""; 0]);
}

#[test]
fn the_older_annotation_decides_before_the_class() {
    let legacy = |name: &str, value: &str| {
        let mut document = of_class(name, None);
        document["metadata"]["annotations"]["kubernetes.io/ingress.class"] = json!(value);
        document
    };
    let world = World::new()
        .with(legacy("ours", "alb"))
        .with(legacy("theirs", "ALB"));
    assert_eq!(members(&world), [["ours"]]);
}

#[test]
fn an_ingress_without_class_takes_the_default_one() {
    let world = World::new()
        .with(class("main", "ingress.k8s.aws/alb", true))
        .with(of_class("web", None));
    assert_eq!(members(&world), [["web"]]);

    let both = world
        .with(class("second", "ingress.k8s.aws/alb", true))
        .with(of_class("named", Some("aws")));
    assert_eq!(members(&both), [["named"]]);
    assert_eq!(
        both.refusals(),
        [
            "several-default-classes: \"main\" and \"second\" are both the default class",
            "several-default-classes: no class is given, and there are several default ones: main, second",
        ]
    );
    // The API server fills in the first by name of classes that come with one apply, where no cluster was asked.
    let both = both.lbc().fact("ingressClasses", Value::Null);
    assert_eq!(members(&both), [["named"], ["web"]]);
    assert_eq!(both.refusals(), [""; 0]);
    let others = both.with(class("a", "k8s.io/ingress-nginx", true));
    assert_eq!(members(&others), [["named"]]);
    assert_eq!(others.refusals(), [""; 0]);
}

#[test]
fn of_default_classes_of_a_cluster_nobody_knows_which_is_the_newest() {
    let world = || {
        World::new()
            .lbc()
            .with(class("main", "ingress.k8s.aws/alb", true))
            .with(of_class("web", None))
            .with(of_class("named", Some("aws")))
    };
    let second = class("second", "k8s.io/ingress-nginx", true);
    let held = json!({"second": {"controller": "k8s.io/ingress-nginx", "default": true}});
    for world in [
        world().fact("ingressClasses", held),
        // The cluster has the first already, and another comes with a commit.
        world().with(second.clone()),
        world()
            .fact(
                "ingressClasses",
                json!({"main": {"controller": "ingress.k8s.aws/alb", "default": true}}),
            )
            .with(second),
    ] {
        // LBC asks for every Ingress's class to build any group, and minds several only where one has to be chosen.
        assert_eq!(members(&world), [[""; 0]; 0]);
        assert_eq!(
            refusal(&world),
            "several-default-classes: no class is given, and there are several default ones: main, second"
        );
    }
}

#[test]
fn without_the_clusters_classes_an_ingress_without_class_is_undecided() {
    let world = World::new()
        .fact("ingressClasses", Value::Null)
        .with(of_class("web", None));
    let (manifests, facts) = world.read();
    let built = build_all(&manifests, &facts, &world.settings);
    assert!(built.groups.is_empty() && built.problems.is_empty());
    let undecided: Vec<String> = built
        .left_out
        .iter()
        .filter(|ingress| ingress.problem.is_none())
        .map(|ingress| ingress.member.reference.to_string())
        .collect();
    assert_eq!(undecided, ["Ingress default/web"]);
}

#[test]
fn a_class_that_is_wrong_leaves_its_ingress_out_and_the_group_goes_on() {
    let group = json!({"group.name": "shared"});
    let mut lost = ingress("lost", group.clone(), plain());
    lost["spec"]["ingressClassName"] = json!("asw");
    let world = World::new().ingress("good", group, plain()).with(lost);
    assert_eq!(members(&world), [["good"]]);
    assert_eq!(
        refusal(&world),
        "unknown-ingress-class: IngressClass `asw` does not exist"
    );
    let (_, problems) = world.outcome();
    assert!(problems.iter().any(|problem| problem.hint.as_deref()
        == Some("did you mean \"aws\"?")
        && problem.object.as_deref() == Some("Ingress default/lost")));
}

#[test]
fn parameters_have_to_be_there_and_to_take_the_namespace() {
    let with_selector = |selector: Value| {
        World::new()
            .params(json!({"namespaceSelector": selector}))
            .with(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": {"team": "a"}}}))
            .ingress("web", json!({}), plain())
    };
    for fits in [
        json!({}),
        json!({"matchLabels": {"team": "a"}}),
        json!({"matchLabels": {"kubernetes.io/metadata.name": "default"}}),
        json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}),
        json!({"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["prod"]}]}),
        json!({"matchExpressions": [{"key": "team", "operator": "Exists"}, {"key": "x", "operator": "DoesNotExist"}]}),
    ] {
        assert_eq!(members(&with_selector(fits.clone())), [["web"]], "{fits}");
    }
    for (selector, said) in [
        (
            json!({"matchLabels": {"team": "b"}}),
            "bad-class: the namespaceSelector of IngressClassParams `aws` does not take namespace `default`",
        ),
        (
            json!({"matchExpressions": [{"key": "team", "operator": "Has"}]}),
            "bad-class: the namespaceSelector of IngressClassParams `aws` is no selector: operator \"Has\" is none of In, NotIn, Exists, DoesNotExist",
        ),
        (
            json!({"matchLabels": {"team": "b", "Shop.example/team": "a"}}),
            "bad-class: the namespaceSelector of IngressClassParams `aws` is no selector: the key \"Shop.example/team\" is not `name` or `prefix/name`: the prefix a lower-case DNS name, the name up to 63 letters, digits, `-`, `_` and `.`",
        ),
        (
            json!({"matchLabels": {"team": "a b"}}),
            "bad-class: the namespaceSelector of IngressClassParams `aws` is no selector: the value \"a b\" of \"team\" is not up to 63 letters, digits, `-`, `_` and `.`, first and last a letter or digit",
        ),
        (
            json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "-b"]}]}),
            "bad-class: the namespaceSelector of IngressClassParams `aws` is no selector: the value \"-b\" of \"team\" is not up to 63 letters, digits, `-`, `_` and `.`, first and last a letter or digit",
        ),
        (
            json!({"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "my team", "operator": "DoesNotExist"}]}),
            "bad-class: the namespaceSelector of IngressClassParams `aws` is no selector: the key \"my team\" is not `name` or `prefix/name`: the prefix a lower-case DNS name, the name up to 63 letters, digits, `-`, `_` and `.`",
        ),
    ] {
        let world = with_selector(selector).lbc();
        assert_eq!(members(&world), [[""; 0]; 0]);
        assert_eq!(refusal(&world), said);
    }
}

#[test]
fn the_parameters_group_wins_and_names_are_checked() {
    let world = World::new()
        .params(json!({"group": {"name": "from-params"}}))
        .ingress("web", json!({"group.name": "from-annotation"}), plain());
    let (manifests, facts) = world.read();
    let built = build_all(&manifests, &facts, &world.settings);
    assert_eq!(built.groups.keys().collect::<Vec<_>>(), ["from-params"]);

    for (name, hint) in [
        ("", "it is of lower-case letters"),
        ("Upper", "it is of lower-case letters"),
        ("-a", "it is of lower-case letters"),
        (&"a".repeat(64), "it has at most 63 characters"),
    ] {
        let world = World::new()
            .lbc()
            .ingress("web", json!({"group.name": name}), plain());
        let (groups, problems) = world.outcome();
        assert!(groups.is_empty(), "{name}");
        let told = problems.iter().find(|problem| problem.code == "bad-group");
        assert!(
            told.and_then(|problem| problem.hint.as_deref())
                .is_some_and(|told| told.starts_with(hint)),
            "{name}: {problems:?}"
        );
    }
}

#[test]
fn members_go_by_order_then_by_the_bytes_of_namespace_and_name() {
    let group = |order: i32| json!({"group.name": "g", "group.order": order.to_string()});
    let in_namespace = |name: &str, namespace: &str, order: i32| {
        let mut document = ingress(name, group(order), plain());
        document["metadata"]["namespace"] = json!(namespace);
        document
    };
    let world = World::new()
        .lbc()
        .with(in_namespace("a", "x", 0))
        .with(in_namespace("z", "x-b", 0))
        .with(in_namespace("late", "a", 1000))
        .with(in_namespace("early", "z", -1000));
    let (groups, problems) = world.outcome();
    assert!(
        problems
            .iter()
            .all(|problem| problem.severity == crate::problem::Severity::Warning),
        "{problems:?}"
    );
    let names: Vec<String> = groups[0]
        .members
        .iter()
        .map(|member| member.reference.to_string())
        .collect();
    assert_eq!(
        names,
        [
            "Ingress z/early",
            "Ingress x-b/z",
            "Ingress x/a",
            "Ingress a/late"
        ]
    );
}

#[test]
fn an_order_out_of_range_stops_its_group_only() {
    let world = World::new()
        .lbc()
        .ingress(
            "a",
            json!({"group.name": "g", "group.order": "1001"}),
            plain(),
        )
        .ingress("b", json!({"group.name": "g"}), plain())
        .ingress("c", json!({}), plain());
    assert_eq!(members(&world), [["c"]]);
}

#[test]
fn only_the_watched_namespace_counts() {
    let mut elsewhere = ingress("there", json!({}), plain());
    elsewhere["metadata"]["namespace"] = json!("elsewhere");
    let mut world = World::new()
        .ingress("here", json!({}), plain())
        .with(elsewhere);
    world.settings.flags.watch_namespace = "default".to_owned();
    assert_eq!(members(&world), [["here"]]);
}

#[test]
fn a_name_that_no_label_holds_is_refused_before_anything_exists() {
    let name = "a".repeat(64);
    let world = World::new().ingress(&name, json!({}), plain());
    assert_eq!(
        refusal(&world),
        "too-long: metadata.name is longer than the 63 characters that a label's value holds"
    );
    assert_eq!(members(&world.lbc()), [[name.clone()]]);
    let grouped = World::new().ingress(&name, json!({"group.name": "g"}), plain());
    assert_eq!(members(&grouped), [[name]]);
}

#[test]
fn two_balancers_with_one_name_are_told_with_both_places() {
    let named = |name: &str, service: &str| {
        ingress(
            name,
            json!({"load-balancer-name": "edge"}),
            rules("", &[path("/", "Prefix", service)]),
        )
    };
    let world = World::new()
        .with(named("a", "app1"))
        .with(named("b", "app2"));
    let (groups, problems) = world.outcome();
    assert!(groups.is_empty());
    let told: Vec<_> = problems
        .iter()
        .map(|it| (it.object.as_deref(), it.message.as_str(), it.also.is_some()))
        .collect();
    assert_eq!(
        told,
        [(
            Some("Ingress default/b"),
            "the load balancer name `edge` is wanted twice, by group default/a and group default/b",
            true
        )]
    );
    assert_eq!(world.lbc().outcome().0.len(), 2);
}
