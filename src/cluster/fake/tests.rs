use serde_json::json;

use super::*;
use crate::{
    cluster::{ClusterRead, ClusterWrite},
    model::observed::DryRun,
};

fn reference(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

fn map(data: Value) -> (ObjectRef, Value) {
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "default"}, "data": data});
    (reference("v1", "ConfigMap", Some("default"), "m"), value)
}

#[tokio::test]
async fn applying_the_same_twice_keeps_the_resource_version() {
    let fake = FakeCluster::new();
    let (object, value) = map(json!({"a": "1"}));
    let uid = fake.apply(&object, &value, true).await.unwrap();
    let first = fake.get(&object).await.unwrap().unwrap();
    assert_eq!(fake.apply(&object, &value, true).await.unwrap(), uid);
    assert_eq!(fake.get(&object).await.unwrap().unwrap(), first);
    assert_eq!(fake.dry_run(&object, &value).await.unwrap(), DryRun::Same);
}

#[tokio::test]
async fn a_field_that_is_no_longer_applied_goes_and_others_fields_stay() {
    let fake = FakeCluster::new();
    let (object, value) = map(json!({"a": "1", "b": "2"}));
    fake.apply(&object, &value, true).await.unwrap();
    fake.put("other", map(json!({"c": "3"})).1);
    fake.apply(&object, &map(json!({"a": "1"})).1, true)
        .await
        .unwrap();
    assert_eq!(
        fake.object(&object).unwrap()["data"],
        json!({"a": "1", "c": "3"})
    );
}

#[tokio::test]
async fn another_managers_field_is_a_conflict_unless_forced() {
    let fake = FakeCluster::new();
    fake.put("other", map(json!({"a": "theirs"})).1);
    let (object, value) = map(json!({"a": "ours"}));
    let refused = fake.apply(&object, &value, false).await.unwrap_err();
    assert!(
        refused.has_code(&["Conflict"]) && refused.message.contains("other"),
        "{refused}"
    );
    fake.apply(&object, &value, true).await.unwrap();
    let live = fake.get(&object).await.unwrap().unwrap();
    assert_eq!(
        (live.managers, &live.value["data"]["a"]),
        (vec!["albsync".to_owned()], &json!("ours"))
    );
}

#[tokio::test]
async fn an_edit_by_hand_shows_as_a_difference_and_is_put_back() {
    let fake = FakeCluster::new();
    let (object, value) = map(json!({"a": "1"}));
    fake.apply(&object, &value, true).await.unwrap();
    fake.edit(&object, |it| it["data"]["a"] = json!("2"));
    let DryRun::WouldChange(changes) = fake.dry_run(&object, &value).await.unwrap() else {
        panic!("no difference")
    };
    assert_eq!(
        changes["data.a"],
        (Some("2".to_owned()), Some("1".to_owned()))
    );
    fake.apply(&object, &value, true).await.unwrap();
    assert_eq!(fake.dry_run(&object, &value).await.unwrap(), DryRun::Same);
}

#[tokio::test]
async fn a_node_port_is_assigned_once() {
    let fake = FakeCluster::new();
    let service = |target: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": target}]}})
    };
    let object = reference("v1", "Service", Some("default"), "s");
    fake.apply(&object, &service("a"), true).await.unwrap();
    let first = fake.services(None).await.unwrap()["default/s"].clone();
    fake.apply(&object, &service("b"), true).await.unwrap();
    let second = fake.services(None).await.unwrap()["default/s"].clone();
    assert!(first.node_ports["80"].is_some());
    assert_eq!(first.node_ports, second.node_ports);
    assert_eq!(second.ports[0].target_port, json!("b"));
}

#[tokio::test]
async fn a_missing_namespace_defers_the_check_and_fails_the_write() {
    let fake = FakeCluster::new();
    let object = reference("v1", "ConfigMap", Some("later"), "m");
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "later"}});
    let check = fake.dry_run(&object, &value).await.unwrap();
    assert!(matches!(check, DryRun::Deferred(_)), "{check:?}");
    assert!(
        fake.apply(&object, &value, true)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let kind = fake
        .dry_run(&reference("a/v1", "K", None, "x"), &json!({}))
        .await
        .unwrap();
    assert!(matches!(kind, DryRun::Deferred(_)), "{kind:?}");
}

#[tokio::test]
async fn a_finalizer_holds_a_deleted_object() {
    let fake = FakeCluster::new();
    let object = reference("v1", "ConfigMap", Some("default"), "m");
    let uid = fake.put(
        "other",
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "default", "finalizers": ["a/b"]}}),
    );
    assert!(
        fake.delete(&object, "another")
            .await
            .unwrap_err()
            .has_code(&["Conflict"])
    );
    fake.delete(&object, &uid).await.unwrap();
    assert!(fake.get(&object).await.unwrap().unwrap().deleting);
    fake.remove_finalizer(&object, "a/b").await.unwrap();
    assert_eq!(fake.get(&object).await.unwrap(), None);
    assert!(fake.delete(&object, &uid).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn faults_strike_the_nth_call_before_or_after_its_effect() {
    let fake = FakeCluster::new();
    let (object, value) = map(json!({"a": "1"}));
    for (nth, after_effect) in [(1, false), (2, true)] {
        fake.fail(Fault {
            on: "apply ConfigMap".to_owned(),
            nth,
            error: lost("apply ConfigMap"),
            after_effect,
        });
    }
    fake.apply(&object, &value, true).await.unwrap_err();
    assert_eq!(fake.object(&object), None);
    fake.apply(&object, &value, true).await.unwrap_err();
    assert!(fake.object(&object).is_some());
    fake.apply(&object, &value, true).await.unwrap();
    assert_eq!(
        fake.writes(),
        vec!["apply ConfigMap: ConfigMap default/m"; 3]
    );
}
