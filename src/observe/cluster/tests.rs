use serde_json::json;

use super::*;
use crate::{
    cluster::{
        ClusterWrite,
        fake::{FakeCluster, Fault, error, lost},
    },
    model::{facts::Node, observed::DryRun},
    problem::Origin,
};

fn spec(
    api_version: &str,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    rest: Value,
) -> ObjectSpec {
    let mut value = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let Some(namespace) = namespace {
        value["metadata"]["namespace"] = json!(namespace);
    }
    for (key, part) in rest.as_object().into_iter().flatten() {
        value[key] = part.clone();
    }
    ObjectSpec {
        reference: ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        },
        value,
        origin: Origin::start_of("a.yaml"),
        after: Vec::new(),
        keep: false,
        existing_only: false,
        waits: None,
        revision: None,
    }
}

fn config_map(name: &str, text: &str) -> ObjectSpec {
    spec(
        "v1",
        "ConfigMap",
        Some("default"),
        name,
        json!({"data": {"k": text}}),
    )
}

fn ingress(name: &str, class: Option<&str>, annotations: Value) -> ObjectSpec {
    let mut ingress = spec(
        "networking.k8s.io/v1",
        "Ingress",
        Some("default"),
        name,
        json!({}),
    );
    ingress.value["metadata"]["annotations"] = annotations;
    if let Some(class) = class {
        ingress.value["spec"] = json!({"ingressClassName": class});
    }
    ingress
}

async fn applied(fake: &FakeCluster, specs: &[ObjectSpec]) -> BTreeMap<ObjectKey, AppliedObject> {
    let mut inventory = BTreeMap::new();
    for spec in specs {
        let uid = fake
            .apply(&spec.reference, &spec.value, true)
            .await
            .unwrap();
        let entry = AppliedObject {
            reference: spec.reference.clone(),
            uid: Some(uid),
            digest: spec.digest(),
            keep: spec.keep,
            annotated: spec.existing_only,
        };
        inventory.insert(spec.reference.key(), entry);
    }
    fake.clear_calls();
    inventory
}

fn changed() -> Scope {
    Scope::Changed {
        also: BTreeSet::new(),
    }
}

fn names(found: &BTreeMap<ObjectKey, ObservedObject>) -> Vec<&str> {
    found.keys().map(|key| key.name.as_str()).collect()
}

#[tokio::test]
async fn a_pass_looks_only_at_what_changed_and_a_sweep_at_everything() {
    let fake = FakeCluster::new();
    let inventory = applied(&fake, &[config_map("a", "1"), config_map("b", "1")]).await;
    let wanted = [
        config_map("a", "1"),
        config_map("b", "2"),
        config_map("c", "1"),
    ];
    let (found, gaps) = objects(&fake, &wanted, &inventory, &changed()).await;
    assert_eq!((names(&found), gaps.len()), (vec!["b", "c"], 0));
    let (found, _) = objects(&fake, &wanted, &inventory, &Scope::All).await;
    assert_eq!(names(&found), ["a", "b", "c"]);
    let checks: Vec<_> = found.values().map(|it| it.dry_run.clone()).collect();
    assert_eq!(checks[0], Some(DryRun::Same));
    assert!(
        matches!(checks[1], Some(DryRun::WouldChange(_))),
        "{checks:?}"
    );
    assert_eq!(checks[2], Some(DryRun::WouldCreate));
    assert_eq!(fake.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_changed_asks_nothing() {
    let fake = FakeCluster::new();
    let wanted = [config_map("a", "1"), config_map("b", "1")];
    let inventory = applied(&fake, &wanted).await;
    let (found, gaps) = objects(&fake, &wanted, &inventory, &changed()).await;
    assert_eq!((found.len(), gaps.len(), fake.calls()), (0, 0, vec![]));
}

#[tokio::test]
async fn an_event_and_an_unconfirmed_apply_bring_an_object_into_scope() {
    let fake = FakeCluster::new();
    let wanted = [
        config_map("a", "1"),
        config_map("b", "1"),
        config_map("c", "1"),
    ];
    let mut inventory = applied(&fake, &wanted).await;
    if let Some(entry) = inventory.get_mut(&wanted[2].reference.key()) {
        entry.uid = None;
    }
    let also = BTreeSet::from([wanted[0].reference.key()]);
    let (found, _) = objects(&fake, &wanted, &inventory, &Scope::Changed { also }).await;
    assert_eq!(names(&found), ["a", "c"]);
}

#[tokio::test]
async fn what_left_git_is_looked_at_without_a_dry_run() {
    let fake = FakeCluster::new();
    let inventory = applied(&fake, &[config_map("a", "1"), config_map("b", "1")]).await;
    fake.remove(&config_map("b", "1").reference);
    let (found, gaps) = objects(&fake, &[], &inventory, &changed()).await;
    assert_eq!(gaps, []);
    let [a, b] = found.values().collect::<Vec<_>>()[..] else {
        panic!("{found:?}")
    };
    let uid = inventory.values().next().and_then(|it| it.uid.clone());
    assert_eq!(
        (a.live.as_ref().map(|it| it.uid.clone()), &a.dry_run),
        (uid, &None)
    );
    assert_eq!((&b.live, &b.dry_run), (&None, &None));
}

#[tokio::test]
async fn an_object_that_could_not_be_read_is_a_gap_and_not_an_absence() {
    let fake = FakeCluster::new();
    let inventory = applied(&fake, &[config_map("a", "1")]).await;
    let refused = error("get ConfigMap", "Forbidden", 403, "no".to_owned());
    fake.fail(Fault {
        on: "get".to_owned(),
        nth: 1,
        error: refused,
        after_effect: false,
    });
    let (found, gaps) = objects(&fake, &[], &inventory, &changed()).await;
    assert!(found.is_empty());
    assert_eq!(
        (gaps.len(), gaps[0].denied, gaps[0].what.as_str()),
        (1, true, "ConfigMap default/a")
    );
}

#[tokio::test]
async fn facts_that_could_not_be_read_are_absent_and_the_rest_is_there() {
    let fake = FakeCluster::new();
    let node = |name: &str| Node {
        name: name.to_owned(),
        provider_id: None,
        labels: BTreeMap::new(),
        taints: Vec::new(),
        ready: "True".to_owned(),
    };
    fake.set_nodes(vec![node("b"), node("a")]);
    fake.fail(Fault {
        on: "list Service".to_owned(),
        nth: 1,
        error: lost("list Service"),
        after_effect: false,
    });
    for name in ["declared", "other"] {
        let class = spec(
            "networking.k8s.io/v1",
            "IngressClass",
            None,
            name,
            json!({"spec": {"controller": "c"}}),
        );
        fake.put("someone", class.value);
    }
    let wanted = FactsWanted {
        service_namespaces: Some(BTreeSet::from(["default".to_owned()])),
        nodes: true,
        ingress_classes: true,
        declared_classes: BTreeSet::from(["declared".to_owned()]),
        ..FactsWanted::default()
    };
    let (found, gaps) = facts(&fake, &wanted).await;
    assert_eq!(found.services, None);
    assert_eq!(
        (gaps.len(), gaps[0].what.as_str(), gaps[0].denied),
        (1, "Service", false)
    );
    let nodes: Vec<_> = found.nodes.unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(nodes, ["a", "b"]);
    let classes: Vec<_> = found.ingress_classes.unwrap().into_keys().collect();
    assert_eq!(classes, ["other"]);
    let (found, gaps) = facts(&fake, &FactsWanted::default()).await;
    assert_eq!((found, gaps), (Facts::default(), vec![]));
}

#[tokio::test]
async fn parameters_are_read_where_a_class_of_the_cluster_has_some() {
    let fake = FakeCluster::new();
    let class = |name: &str, controller: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
            "spec": {"controller": controller, "parameters": {
                "apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "all",
            }},
        })
    };
    let params = json!({
        "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "IngressClassParams", "metadata": {"name": "all"},
        "spec": {"scheme": "internal"},
    });
    fake.put("kubectl", params);
    fake.put("kubectl", class("nginx", "k8s.io/nginx"));
    let wanted = FactsWanted {
        ingress_classes: true,
        ..FactsWanted::default()
    };
    let (found, gaps) = facts(&fake, &wanted).await;
    assert_eq!((found.ingress_class_params, gaps), (None, vec![]));
    fake.put("kubectl", class("alb", CONTROLLER));
    let (found, gaps) = facts(&fake, &wanted).await;
    assert_eq!(gaps, []);
    let params = found.ingress_class_params.unwrap();
    assert_eq!(params["all"].spec, json!({"scheme": "internal"}));
    fake.fail(Fault {
        on: "list IngressClassParams".to_owned(),
        nth: 1,
        error: lost("gone"),
        after_effect: false,
    });
    let (found, gaps) = facts(&fake, &wanted).await;
    assert_eq!(found.ingress_class_params, None);
    assert_eq!(gaps[0].what, "IngressClassParams");
}

#[tokio::test]
async fn ingresses_of_our_class_that_git_does_not_hold_are_foreign() {
    let fake = FakeCluster::new();
    let ours = ingress("ours", Some("aws"), json!({}));
    let leaving = ingress("leaving", Some("aws"), json!({}));
    let inventory = applied(&fake, &[ours.clone(), leaving]).await;
    for foreign in [
        ingress("alone", Some("aws"), json!({})),
        ingress(
            "grouped",
            Some("aws"),
            json!({"alb.ingress.kubernetes.io/group.name": "shared"}),
        ),
        ingress(
            "legacy",
            None,
            json!({"kubernetes.io/ingress.class": "alb"}),
        ),
        ingress("nginx", Some("nginx"), json!({})),
        ingress(
            "legacy-nginx",
            Some("aws"),
            json!({"kubernetes.io/ingress.class": "nginx"}),
        ),
        ingress("classless", None, json!({})),
    ] {
        fake.put("someone", foreign.value);
    }
    let of = |default_is_ours| {
        let classes = OurClasses {
            names: BTreeSet::from(["aws".to_owned()]),
            annotation: "alb".to_owned(),
            default_is_ours,
        };
        let (fake, wanted, inventory) = (&fake, [ours.clone()], &inventory);
        async move {
            let (foreign, gaps) = foreign_ingresses(fake, &wanted, inventory, &classes).await;
            assert_eq!(gaps, []);
            let pairs = foreign.into_iter().map(|it| (it.object.name, it.group));
            pairs.collect::<Vec<_>>()
        }
    };
    let pair = |name: &str, group: &str| (name.to_owned(), group.to_owned());
    let mut want = vec![
        pair("alone", "default/alone"),
        pair("grouped", "shared"),
        pair("legacy", "default/legacy"),
    ];
    assert_eq!(of(false).await, want);
    want.insert(1, pair("classless", "default/classless"));
    assert_eq!(of(true).await, want);
}

#[tokio::test]
async fn a_lease_is_live_only_while_it_is_renewed() {
    let fake = FakeCluster::new();
    let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
    let lease = |holder: Option<&str>, renewed: Option<&str>| Lease {
        namespace: "kube-system".to_owned(),
        name: "lbc".to_owned(),
        holder: holder.map(str::to_owned),
        renewed_at: renewed.map(str::to_owned),
        duration_seconds: 15,
    };
    for (lease, live) in [
        (lease(Some("p"), Some("2026-01-01T00:00:46.000000Z")), true),
        (lease(Some("p"), Some("2026-01-01T00:00:45.000000Z")), false),
        (lease(Some("p"), Some("2026-01-01T00:02:00.000000Z")), true),
        (lease(Some("p"), Some("nonsense")), true),
        (lease(Some("p"), None), false),
        (lease(None, Some("2026-01-01T00:00:59.000000Z")), false),
    ] {
        fake.set_leases(vec![lease.clone()]);
        let holder = lbc_active(&fake, "lbc", now).await.unwrap();
        assert_eq!(
            holder,
            live.then(|| "kube-system/lbc: p".to_owned()),
            "{lease:?}"
        );
        assert_eq!(lbc_active(&fake, "other", now).await.unwrap(), None);
    }
    fake.fail(Fault {
        on: "list Lease".to_owned(),
        nth: 1,
        error: lost("list Lease"),
        after_effect: false,
    });
    lbc_active(&fake, "lbc", now).await.unwrap_err();
}

#[tokio::test]
async fn a_missing_right_is_named_with_verb_resource_and_namespace() {
    let fake = FakeCluster::new();
    let inventory = applied(&fake, &[config_map("old", "1")]).await;
    let wanted = [
        ingress("i", Some("aws"), json!({})),
        spec("example.dev/v1", "Widget", Some("default"), "w", json!({})),
    ];
    let denied = [
        Right::new("create", "networking.k8s.io", "ingresses", Some("default")),
        Right::new("delete", "", "configmaps", Some("default")),
        // Nobody needs this one.
        Right::new("delete", "networking.k8s.io", "ingresses", Some("default")),
    ];
    denied.iter().cloned().for_each(|right| fake.deny(right));
    let (missing, gaps) = missing_rights(&fake, &wanted, &inventory).await;
    assert_eq!(gaps, []);
    let texts: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let want = [
        "create ingresses.networking.k8s.io in namespace default",
        "delete configmaps in namespace default",
    ];
    assert_eq!(texts, want);
}

#[test]
fn kept_objects_and_unserved_kinds_need_no_right_and_cluster_scoped_ones_no_namespace() {
    let kinds = BTreeMap::from([(
        ("v1".to_owned(), "Namespace".to_owned()),
        KindFact {
            plural: "namespaces".to_owned(),
            namespaced: false,
        },
    )]);
    let wanted = [
        spec("v1", "Namespace", None, "n", json!({})),
        spec("example.dev/v1", "Widget", Some("n"), "w", json!({})),
    ];
    let rights = needed_rights(&wanted, &[], &kinds);
    assert!(rights.contains(&Right::new("patch", "", "namespaces", None)));
    assert!(
        rights
            .iter()
            .all(|right| right.group != "example.dev" && right.verb != "delete"),
        "{rights:?}"
    );
}

#[test]
fn observing_can_be_done_on_another_thread() {
    fn sendable<T: Send>(_: T) {}
    let fake = FakeCluster::new();
    let (wanted, inventory) = ([], BTreeMap::new());
    sendable(objects(&fake, &wanted, &inventory, &Scope::All));
    sendable(missing_rights(&fake, &wanted, &inventory));
    sendable(facts(&fake, &FactsWanted::default()));
    sendable(foreign_ingresses(
        &fake,
        &wanted,
        &inventory,
        &OurClasses::default(),
    ));
    sendable(lbc_active(&fake, "lbc", Timestamp::UNIX_EPOCH));
}
