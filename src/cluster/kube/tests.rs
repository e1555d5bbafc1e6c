//! Every port method on a real API server. Needs a cluster of its own, such as the test bed's:
//!
//! ```text
//! ALBSYNC_TEST_KUBECONFIG=BED/kube/daemon ALBSYNC_TEST_ADMIN_KUBECONFIG=BED/kube/person \
//!     cargo test --lib cluster::kube::tests -- --ignored
//! ```
//!
//! The first is an account with examples/rbac.yaml's rights, the second may do everything and plays the others.

use ::kube::core::params::{DeleteParams, Patch, PatchParams};

use super::*;
use crate::{
    cluster::{Change, ClusterChange},
    id::ObjectKey,
};

mod wire;

fn options(variable: &str) -> ClusterOptions {
    let path = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set"));
    ClusterOptions {
        kubeconfig: Some(path.into()),
        ..ClusterOptions::default()
    }
}

async fn daemon() -> KubeCluster {
    KubeCluster::connect(&options("ALBSYNC_TEST_KUBECONFIG"))
        .await
        .unwrap()
}

/// A person with all rights and a namespace of this test's own, gone when it is dropped by [`Person::leave`].
struct Person {
    cluster: KubeCluster,
    namespace: String,
}

impl Person {
    async fn with_namespace(name: &str) -> Self {
        let cluster = KubeCluster::connect(&options("ALBSYNC_TEST_ADMIN_KUBECONFIG"))
            .await
            .unwrap();
        let namespace = format!("t-{name}-{}", std::process::id());
        let body =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        cluster.create("/api/v1/namespaces", &body).await.unwrap();
        // The controller makes the account; objects may be made at once.
        Self { cluster, namespace }
    }

    async fn edit(&self, path: &str, name: &str, body: Value) -> Value {
        let params = PatchParams {
            field_manager: Some("a-person".to_owned()),
            ..PatchParams::default()
        };
        self.cluster
            .patch(path, name, &params, &Patch::Merge(&body))
            .await
            .unwrap()
    }

    fn path(&self, rest: &str) -> String {
        match rest {
            "ingresses" => format!(
                "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
                self.namespace
            ),
            core => format!("/api/v1/namespaces/{}/{core}", self.namespace),
        }
    }

    async fn leave(self) {
        let params = DeleteParams::background();
        self.cluster
            .remove("/api/v1/namespaces", &self.namespace, &params)
            .await
            .unwrap();
    }
}

fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn config_map(namespace: &str, name: &str, data: Value) -> (ObjectRef, Value) {
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data});
    (object("v1", "ConfigMap", Some(namespace), name), value)
}

fn ingress(namespace: &str, name: &str, class: &str) -> (ObjectRef, Value) {
    let value = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ingressClassName": class, "defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}},
    });
    (
        object("networking.k8s.io/v1", "Ingress", Some(namespace), name),
        value,
    )
}

#[tokio::test]
#[ignore = "needs a cluster: ALBSYNC_TEST_KUBECONFIG"]
async fn an_object_is_checked_applied_changed_by_hand_and_healed() {
    let person = Person::with_namespace("life").await;
    let cluster = daemon().await;
    let (object, value) = config_map(&person.namespace, "m", json!({"a": "1"}));
    assert_eq!(
        cluster.look(&object, &value).await.unwrap(),
        (None, DryRun::WouldCreate)
    );
    let uid = cluster.apply(&object, &value, true).await.unwrap();
    let (live, check) = cluster.look(&object, &value).await.unwrap();
    let live = live.unwrap();
    assert_eq!((live.uid.as_str(), check), (uid.as_str(), DryRun::Same));
    assert_eq!(live.managers, ["albsync"]);
    // The revision annotations are ours: writing them is no difference afterwards.
    let mut sent = value.clone();
    sent["metadata"]["annotations"] = json!({"albsync.dev/revision": "0123"});
    cluster.apply(&object, &sent, true).await.unwrap();
    assert_eq!(
        cluster.dry_run(&object, &value).await.unwrap(),
        DryRun::Same
    );
    let before = cluster
        .get(&object)
        .await
        .unwrap()
        .unwrap()
        .resource_version;
    assert_eq!(cluster.apply(&object, &sent, true).await.unwrap(), uid);
    let after = cluster
        .get(&object)
        .await
        .unwrap()
        .unwrap()
        .resource_version;
    assert_eq!(before, after, "a no-op apply must not write");

    let path = person.path("configmaps");
    person
        .edit(&path, "m", json!({"data": {"a": "2", "theirs": "x"}}))
        .await;
    let DryRun::WouldChange(changes) = cluster.dry_run(&object, &value).await.unwrap() else {
        panic!("no difference")
    };
    let want = (Some("2".to_owned()), Some("1".to_owned()));
    assert_eq!(
        changes.into_iter().collect::<Vec<_>>(),
        [("data.a".to_owned(), want)]
    );
    let conflict = cluster.apply(&object, &value, false).await.unwrap_err();
    assert!(
        conflict.has_code(&["Conflict"]) && conflict.message.contains("a-person"),
        "{conflict}"
    );
    cluster.apply(&object, &value, true).await.unwrap();
    let live = cluster.get(&object).await.unwrap().unwrap();
    assert_eq!(live.value["data"], json!({"a": "1", "theirs": "x"}));
    assert_eq!(live.managers, ["a-person", "albsync"]);

    let other = cluster
        .delete(&object, "11111111-1111-4111-8111-111111111111")
        .await
        .unwrap_err();
    assert!(other.has_code(&["Conflict"]), "{other}");
    cluster.delete(&object, &uid).await.unwrap();
    assert_eq!(cluster.get(&object).await.unwrap(), None);
    let gone = cluster.delete(&object, &uid).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");
    person.leave().await;
}

#[tokio::test]
#[ignore = "needs a cluster: ALBSYNC_TEST_KUBECONFIG"]
async fn what_controllers_and_defaults_add_is_no_drift() {
    let person = Person::with_namespace("rest").await;
    let cluster = daemon().await;
    let meta = json!({"name": "web", "namespace": person.namespace});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{
            "name": "web", "image": "nginx", "ports": [{"name": "http", "containerPort": 8080}],
            "resources": {"requests": {"cpu": "0.1", "memory": "1024Mi"}},
        }]}},
    }});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {
        "type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta});
    let all = [
        (
            object("v1", "ServiceAccount", Some(&person.namespace), "web"),
            account,
        ),
        (
            object("apps/v1", "Deployment", Some(&person.namespace), "web"),
            deployment,
        ),
        (
            object("v1", "Service", Some(&person.namespace), "web"),
            service,
        ),
    ];
    for (object, value) in &all {
        cluster.apply(object, value, true).await.unwrap();
    }
    // Until Kubernetes' own controller has written to it.
    let mut seen = false;
    for _ in 0..100 {
        let live = cluster.get(&all[1].0).await.unwrap().unwrap();
        seen = live.value["status"]["replicas"] == 2;
        if seen {
            // Its status is no field that anybody could fight us for.
            assert_eq!(live.managers, ["albsync"]);
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(seen, "no controller took care of the Deployment");
    for (object, value) in &all {
        let (live, check) = cluster.look(object, value).await.unwrap();
        assert_eq!(check, DryRun::Same, "{object}");
        cluster.apply(object, value, true).await.unwrap();
        let after = cluster.get(object).await.unwrap().unwrap();
        assert_eq!(
            after.value["metadata"]["generation"],
            live.unwrap().value["metadata"]["generation"]
        );
    }
    person.leave().await;
}

#[tokio::test]
#[ignore = "needs a cluster: ALBSYNC_TEST_KUBECONFIG"]
async fn what_the_server_refuses_is_told_apart_from_what_must_wait() {
    let person = Person::with_namespace("refuse").await;
    let cluster = daemon().await;
    let (object_, mut value) = config_map(&person.namespace, "m", json!({"a": "1"}));
    value["dota"] = json!({"a": "1"});
    let check = cluster.dry_run(&object_, &value).await.unwrap();
    assert!(
        matches!(&check, DryRun::Refused(text) if text.contains("dota")),
        "{check:?}"
    );
    let refused = cluster.apply(&object_, &value, true).await.unwrap_err();
    assert_eq!(
        (refused.code.as_deref(), refused.effect),
        (Some("Invalid"), Effect::None)
    );

    let (absent, value) = config_map("t-no-such-namespace", "m", json!({}));
    let check = cluster.dry_run(&absent, &value).await.unwrap();
    assert!(
        matches!(&check, DryRun::Deferred(text) if text.contains("t-no-such-namespace")),
        "{check:?}"
    );

    let widget = object("example.dev/v1", "Widget", Some(&person.namespace), "w");
    assert_eq!(
        cluster.kind("example.dev/v1", "Widget").await.unwrap(),
        None
    );
    assert_eq!(cluster.get(&widget).await.unwrap(), None);
    let check = cluster.dry_run(&widget, &json!({})).await.unwrap();
    assert!(matches!(check, DryRun::Deferred(_)), "{check:?}");
    let refused = cluster.apply(&widget, &json!({}), true).await.unwrap_err();
    assert!(refused.has_code(&["KindNotServed"]), "{refused}");

    let (bad, mut value) = ingress(&person.namespace, "bad", "aws");
    value["spec"]["defaultBackend"]["service"]["port"]["number"] = json!(700_000);
    let check = cluster.dry_run(&bad, &value).await.unwrap();
    assert!(
        matches!(&check, DryRun::Refused(text) if text.contains("port")),
        "{check:?}"
    );

    let secret = object("v1", "Secret", Some(&person.namespace), "s");
    let denied = cluster.get(&secret).await.unwrap_err();
    assert!(denied.is_denied(), "{denied}");
    let value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": person.namespace}});
    let denied = cluster.dry_run(&secret, &value).await.unwrap_err();
    assert!(denied.is_denied(), "{denied}");
    let odd = object(
        "v1",
        "ConfigMap",
        Some(&person.namespace),
        "a/../b?dryRun=All",
    );
    assert!(cluster.get(&odd).await.unwrap_err().has_code(&["Invalid"]));
    person.leave().await;
}

#[tokio::test]
#[ignore = "needs a cluster: ALBSYNC_TEST_KUBECONFIG"]
async fn a_secrets_values_stay_out_of_everything_that_is_returned() {
    let person = Person::with_namespace("secret").await;
    let admin = &person.cluster;
    let secret = object("v1", "Secret", Some(&person.namespace), "s");
    let with = |value: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": person.namespace},
            "stringData": {"k": value}})
    };
    admin
        .apply(&secret, &with("canary-one"), true)
        .await
        .unwrap();
    let answer = admin.look(&secret, &with("canary-two")).await.unwrap();
    assert!(matches!(answer.1, DryRun::WouldChange(_)), "{answer:?}");
    let mut wrong = with("x");
    wrong["data"] = json!({"k": ["canary-three"]});
    let refused = admin.dry_run(&secret, &wrong).await.unwrap();
    assert!(matches!(refused, DryRun::Refused(_)), "{refused:?}");
    let error = admin.apply(&secret, &wrong, true).await.unwrap_err();
    let all = format!("{answer:?} {refused:?} {error:?}");
    // In base 64 as well: "canary".
    assert!(
        !all.contains("canary") && !all.contains("Y2FuYXJ5"),
        "{all}"
    );
    person.leave().await;
}

#[tokio::test]
#[ignore = "needs a cluster: ALBSYNC_TEST_KUBECONFIG"]
async fn an_ingress_gets_its_address_loses_a_finalizer_and_is_reported_once() {
    let person = Person::with_namespace("ingress").await;
    let cluster = daemon().await;
    let (object, value) = ingress(&person.namespace, "i", "aws");
    let uid = cluster.apply(&object, &value, true).await.unwrap();
    cluster
        .set_ingress_status(&object, "K8S-x.elb.AMAZONAWS.com", &[80, 443])
        .await
        .unwrap();
    let live = cluster.get(&object).await.unwrap().unwrap();
    let address = &live.value["status"]["loadBalancer"]["ingress"][0];
    assert_eq!(address["hostname"], "k8s-x.elb.amazonaws.com");
    assert_eq!(
        (&address["ports"][0]["port"], &address["ports"][1]["port"]),
        (&json!(80), &json!(443))
    );
    assert_eq!(
        cluster.dry_run(&object, &value).await.unwrap(),
        DryRun::Same
    );
    cluster.set_ingress_status(&object, "", &[]).await.unwrap();
    let live = cluster.get(&object).await.unwrap().unwrap();
    assert!(
        live.value["status"]["loadBalancer"]["ingress"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
    let all = cluster.ingresses().await.unwrap();
    let found = all.iter().find(|it| it.reference == object).unwrap();
    assert_eq!(
        (found.uid.as_str(), &found.value["kind"]),
        (uid.as_str(), &json!("Ingress"))
    );

    let path = person.path("ingresses");
    let finalizers =
        json!({"metadata": {"finalizers": ["ingress.k8s.aws/resources", "example.dev/other"]}});
    person.edit(&path, "i", finalizers).await;
    cluster.delete(&object, &uid).await.unwrap();
    assert!(cluster.get(&object).await.unwrap().unwrap().deleting);
    cluster
        .remove_finalizer(&object, "ingress.k8s.aws/resources")
        .await
        .unwrap();
    let left = cluster.get(&object).await.unwrap().unwrap();
    assert_eq!(
        left.value["metadata"]["finalizers"],
        json!(["example.dev/other"])
    );

    let event = |message: &str, uid: Option<&str>| ObjectEvent {
        object: object.clone(),
        uid: uid.map(str::to_owned),
        kind: "Normal".to_owned(),
        reason: "SuccessfullyReconciled".to_owned(),
        message: message.to_owned(),
    };
    for _ in 0..3 {
        cluster.event(&event("commit 1", Some(&uid))).await.unwrap();
    }
    cluster.event(&event("commit 2", None)).await.unwrap();
    let (events, _) = person
        .cluster
        .list_path(&person.path("events"), None)
        .await
        .unwrap();
    let ours: Vec<_> = events
        .iter()
        .filter(|it| it["source"]["component"] == "albsync")
        .map(|it| {
            (
                it["message"].as_str().unwrap(),
                it["involvedObject"]["uid"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        ours,
        [("commit 1", uid.as_str()), ("commit 2", uid.as_str())]
    );

    cluster
        .remove_finalizer(&object, "example.dev/other")
        .await
        .unwrap();
    cluster
        .remove_finalizer(&object, "example.dev/other")
        .await
        .unwrap();
    assert_eq!(cluster.get(&object).await.unwrap(), None);
    cluster.event(&event("nobody left", None)).await.unwrap();
    person.leave().await;
}

#[tokio::test]
#[ignore = "needs a cluster: ALBSYNC_TEST_KUBECONFIG"]
async fn facts_are_read_as_the_server_assigned_them() {
    let person = Person::with_namespace("facts").await;
    let cluster = daemon().await;
    let identity = cluster.identity().await.unwrap();
    assert_eq!(identity.len(), 36, "{identity}");
    let kind = cluster
        .kind("networking.k8s.io/v1", "Ingress")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((kind.plural.as_str(), kind.namespaced), ("ingresses", true));
    let kind = cluster.kind("v1", "Namespace").await.unwrap().unwrap();
    assert!(!kind.namespaced);

    let service = object("v1", "Service", Some(&person.namespace), "s");
    let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": person.namespace},
        "spec": {"type": "NodePort", "selector": {"app": "s"}, "ports": [{"port": 80, "targetPort": "http"}]}});
    let uid = cluster.apply(&service, &value, true).await.unwrap();
    let only = BTreeSet::from([person.namespace.clone()]);
    let services = cluster.services(Some(&only)).await.unwrap();
    let fact = &services[&format!("{}/s", person.namespace)];
    assert_eq!(
        (services.len(), fact.uid.as_deref()),
        (1, Some(uid.as_str()))
    );
    assert!(
        fact.node_ports["80"].is_some_and(|port| port >= 30000),
        "{fact:?}"
    );
    assert_eq!(
        (fact.service_type.as_deref(), &fact.ports[0].target_port),
        (Some("NodePort"), &json!("http"))
    );
    let all = cluster.services(None).await.unwrap();
    assert!(all.contains_key("default/kubernetes") && all.len() > services.len());

    let nodes = cluster.nodes().await.unwrap();
    assert!(!nodes.is_empty());
    for node in &nodes {
        assert_eq!(node.ready, "True", "{node:?}");
        assert!(
            node.provider_id
                .as_deref()
                .is_some_and(|it| it.starts_with("aws:///")),
            "{node:?}"
        );
    }

    let class = object(
        "networking.k8s.io/v1",
        "IngressClass",
        None,
        &format!("c-{}", person.namespace),
    );
    let value = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": class.name}, "spec": {"controller": "ingress.k8s.aws/alb"}});
    let class_uid = cluster.apply(&class, &value, true).await.unwrap();
    let classes = cluster.ingress_classes().await.unwrap();
    let found = &classes[&class.name];
    assert_eq!(
        (found.controller.as_str(), found.is_default),
        ("ingress.k8s.aws/alb", false)
    );
    cluster.delete(&class, &class_uid).await.unwrap();

    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "aws-load-balancer-controller-leader", "namespace": person.namespace},
        "spec": {"holderIdentity": "pod_1", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}});
    let leases = Collection::LEASES.path(Some(&person.namespace));
    person.cluster.create(&leases, &lease).await.unwrap();
    let named = cluster
        .leases_named("aws-load-balancer-controller-leader")
        .await
        .unwrap();
    let one = cluster
        .lease(&person.namespace, "aws-load-balancer-controller-leader")
        .await
        .unwrap();
    assert!(
        one.is_some_and(|lease| named.contains(&lease) && lease.holder.as_deref() == Some("pod_1"))
    );
    assert_eq!(
        cluster.lease(&person.namespace, "other").await.unwrap(),
        None
    );

    let rights = [
        Right::new(
            "patch",
            "networking.k8s.io",
            "ingresses/status",
            Some(&person.namespace),
        ),
        Right::new("patch", "", "secrets", Some(&person.namespace)),
        Right::new("list", "", "nodes", None),
    ];
    for _ in 0..2 {
        assert_eq!(cluster.missing_rights(&rights).await.unwrap(), rights[1..2]);
    }
    person.leave().await;
}

#[tokio::test]
#[ignore = "needs a cluster: ALBSYNC_TEST_KUBECONFIG"]
async fn the_shipped_role_has_every_right_that_the_tutorial_needs() {
    let cluster = daemon().await;
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tutorial");
    let mut kinds = BTreeSet::from([("ServiceAccount".to_owned(), "v1".to_owned())]);
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "yaml") {
            let text = std::fs::read_to_string(path).unwrap();
            let field = |document: &str, name: &str| {
                let line = document.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().to_owned()
            };
            for document in text.split("\n---\n") {
                kinds.insert((field(document, "kind: "), field(document, "apiVersion: ")));
            }
        }
    }
    kinds.remove(&(
        "IAMServiceAccount".to_owned(),
        "albsync.dev/v1alpha1".to_owned(),
    ));
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    let mut rights = Vec::new();
    for (kind, api_version) in &kinds {
        let fact = cluster.kind(api_version, kind).await.unwrap().unwrap();
        let group = object(api_version, kind, None, "x");
        for verb in ["get", "create", "patch", "delete"] {
            let namespace = fact.namespaced.then_some("default");
            rights.push(Right::new(verb, group.group(), &fact.plural, namespace));
        }
    }
    assert_eq!(cluster.missing_rights(&rights).await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs a cluster: ALBSYNC_TEST_KUBECONFIG"]
async fn a_watch_tells_what_changes_and_whose_change_it_is() {
    let person = Person::with_namespace("watch").await;
    let cluster = KubeCluster::connect(&ClusterOptions {
        // Short, so that it is begun anew in the midst of this.
        watch_timeout: Duration::from_secs(3),
        ..options("ALBSYNC_TEST_KUBECONFIG")
    })
    .await
    .unwrap();
    let (tx, mut rx) = mpsc::channel(64);
    let watching = cluster.watch(tx);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (object, mut value) = ingress(&person.namespace, "i", "aws");
    let uid = cluster.apply(&object, &value, true).await.unwrap();
    let change = |change, ours| ClusterChange {
        object: object.key(),
        change,
        ours,
    };
    assert_eq!(
        next(&mut rx, &object.key()).await,
        change(Change::Added, true)
    );
    // Times in managedFields have whole seconds.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    person
        .edit(
            &person.path("ingresses"),
            "i",
            json!({"metadata": {"labels": {"by": "hand"}}}),
        )
        .await;
    assert_eq!(
        next(&mut rx, &object.key()).await,
        change(Change::Modified, false)
    );
    tokio::time::sleep(Duration::from_millis(4000)).await;
    value["metadata"]["annotations"] = json!({"albsync.dev/revision": "1"});
    cluster.apply(&object, &value, true).await.unwrap();
    value["spec"]["ingressClassName"] = json!("other");
    cluster.apply(&object, &value, true).await.unwrap();
    assert_eq!(
        next(&mut rx, &object.key()).await,
        change(Change::Modified, true)
    );
    cluster.delete(&object, &uid).await.unwrap();
    assert_eq!(
        next(&mut rx, &object.key()).await,
        change(Change::Deleted, false)
    );
    drop(rx);
    tokio::time::timeout(Duration::from_secs(5), watching)
        .await
        .unwrap()
        .unwrap();
    person.leave().await;
}

/// The next change of one object; others' are skipped.
async fn next(rx: &mut mpsc::Receiver<ClusterChange>, key: &ObjectKey) -> ClusterChange {
    loop {
        let change = tokio::time::timeout(Duration::from_secs(10), rx.recv());
        let change = change.await.expect("no change told").expect("watch ended");
        if change.object == *key {
            return change;
        }
    }
}
