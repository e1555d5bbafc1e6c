use super::{
    super::{build, fixture::*},
    *,
};
use crate::{
    manifest::{IamServiceAccount, Manifests},
    problem::Checked,
    shared::Shared,
};

fn built(objects: Vec<Shared<Object>>, accounts: Vec<IamServiceAccount>) -> Checked<Desired> {
    let manifests = Manifests {
        objects: objects.into(),
        iam_service_accounts: accounts,
        ..Manifests::default()
    };
    build(&manifests, &facts(), &settings())
}

fn find<'a>(result: &'a Checked<Desired>, kind: &str, name: &str) -> &'a ObjectSpec {
    let mut objects = result.value.objects.iter();
    objects
        .find(|object| object.reference.kind == kind && object.reference.name == name)
        .unwrap()
}

fn service_account(metadata: Value) -> Shared<Object> {
    let mut value = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata });
    value["metadata"]["name"] = json!("app1");
    value["metadata"]["namespace"] = json!("default");
    object(value)
}

#[test]
fn objects_stand_in_the_order_of_their_needs() {
    let kinds = [
        ("networking.k8s.io/v1", "Ingress"),
        ("policy/v1", "PodDisruptionBudget"),
        ("apps/v1", "Deployment"),
        ("example.com/v1", "Widget"),
        ("example.com/v1", "Ingress"),
        ("v1", "Service"),
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("v1", "ServiceAccount"),
        ("networking.k8s.io/v1", "IngressClass"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("v1", "Namespace"),
    ];
    let objects = kinds
        .iter()
        .map(|(version, kind)| bare(version, kind, None, "x"))
        .collect();
    let result = built(objects, Vec::new());
    let order: Vec<_> = result
        .value
        .objects
        .iter()
        .map(|object| object.reference.kind.as_str())
        .collect();
    assert_eq!(
        order,
        [
            "Namespace",
            "CustomResourceDefinition",
            "IngressClass",
            "ServiceAccount",
            "Role",
            "RoleBinding",
            "ConfigMap",
            "Secret",
            "Service",
            "Ingress",
            "Widget",
            "Deployment",
            "PodDisruptionBudget",
            "Ingress",
        ]
    );
    assert_eq!(result.value.objects[9].reference.group(), "example.com");
}

#[test]
fn objects_of_one_rank_stand_by_kind_namespace_and_name() {
    let names = [("b", "a"), ("a", "b"), ("a", "a")];
    let objects = names
        .iter()
        .map(|(ns, name)| bare("v1", "ConfigMap", Some(ns), name))
        .collect();
    let result = built(objects, Vec::new());
    let order: Vec<_> = result
        .value
        .objects
        .iter()
        .map(|object| object.reference.to_string())
        .collect();
    assert_eq!(order, ["ConfigMap a/a", "ConfigMap a/b", "ConfigMap b/a"]);
}

#[test]
fn what_the_server_fills_in_is_not_sent() {
    let document = object(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "x", "namespace": "default", "labels": { "uid": "kept" }, "uid": "1", "resourceVersion": "5",
            "creationTimestamp": null, "generation": 3, "managedFields": [{}],
        },
        "data": { "status": "kept" },
        "status": { "phase": "x" },
    }));
    let result = built(vec![document], Vec::new());
    assert_eq!(
        result.value.objects[0].value,
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "x", "namespace": "default", "labels": { "uid": "kept" } },
            "data": { "status": "kept" },
        })
    );
}

#[test]
fn an_object_is_kept_where_pruning_is_disabled() {
    let with = |value: &str| {
        let mut document = bare("v1", "ConfigMap", Some("default"), "x");
        edit(&mut document, |it| {
            it["metadata"]["annotations"] = json!({ "albsync.dev/prune": value });
        });
        built(vec![document], Vec::new()).value.objects[0].keep
    };
    assert!(with("disabled"));
    assert!(!with("enabled"));
}

#[test]
fn a_service_account_is_made_with_its_role() {
    let mut account = account("app1");
    account.service_account.labels = [("team".into(), "a".into())].into();
    account.service_account.annotations = [("note".into(), "b".into())].into();
    account.service_account.token_expiration_seconds = Some(3600);
    account.service_account.sts_regional_endpoints = Some(true);
    account.service_account.automount_token = Some(false);
    account.service_account.image_pull_secrets = vec!["registry".into()];
    let result = built(Vec::new(), vec![account]);
    assert_eq!(result.problems, []);
    let [object] = &result.value.objects[..] else {
        panic!("{:?}", result.value.objects)
    };
    let arn = &result.value.roles["default/app1"].role.arn;
    assert_eq!(
        object.value,
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {
                "name": "app1", "namespace": "default",
                "labels": { "app.kubernetes.io/managed-by": "albsync", "team": "a" },
                "annotations": {
                    "eks.amazonaws.com/role-arn": arn,
                    "eks.amazonaws.com/token-expiration": "3600",
                    "eks.amazonaws.com/sts-regional-endpoints": "true",
                    "note": "b",
                },
            },
            "automountServiceAccountToken": false,
            "imagePullSecrets": [{ "name": "registry" }],
        })
    );
    assert_eq!(object.after, [StackId::Role("default/app1".into())]);
    assert_eq!(
        (object.keep, object.existing_only, &object.waits),
        (false, false, &None)
    );
    assert_eq!(object.origin, at(300));
}

#[test]
fn a_service_account_of_git_is_completed() {
    let document = service_account(json!({ "labels": { "app.kubernetes.io/managed-by": "Helm" } }));
    let result = built(vec![document], vec![account("app1")]);
    assert_eq!(result.problems, []);
    let object = find(&result, "ServiceAccount", "app1");
    assert_eq!(
        object.value["metadata"]["labels"],
        json!({ "app.kubernetes.io/managed-by": "Helm" })
    );
    let arn = &result.value.roles["default/app1"].role.arn;
    assert_eq!(
        object.value["metadata"]["annotations"],
        json!({ "eks.amazonaws.com/role-arn": arn })
    );
    assert_eq!(object.origin, at(200));
    assert_eq!(result.value.objects.len(), 1);
}

#[test]
fn a_service_account_of_git_with_the_right_role_is_fine_and_with_another_is_refused() {
    let arn = built(Vec::new(), vec![account("app1")]).value.roles["default/app1"]
        .role
        .arn
        .clone();
    let with = |arn: &str| {
        let document =
            service_account(json!({ "annotations": { "eks.amazonaws.com/role-arn": arn } }));
        built(vec![document], vec![account("app1")])
    };
    assert_eq!(with(arn.as_str()).problems, []);
    let result = with("arn:aws:iam::123456789012:role/other");
    assert_eq!(
        result.problems[0].to_string(),
        format!(
            "app.yaml:200:1: problem[service-account-conflict]: ServiceAccount default/app1: \
             metadata.annotations.eks.amazonaws.com/role-arn differs from what IAMServiceAccount default/app1 asks for; \
             remove it, or write {arn} (see also app.yaml:300:1)"
        )
    );
    assert!(find(&result, "ServiceAccount", "app1").waits.is_some());
}

#[test]
fn an_account_that_is_only_annotated_is_never_created_or_deleted() {
    let mut account = account("app1");
    account.service_account.manage = Manage::AnnotateOnly;
    let result = built(Vec::new(), vec![account]);
    let object = find(&result, "ServiceAccount", "app1");
    assert!(object.keep && object.existing_only);
    let arn = &result.value.roles["default/app1"].role.arn;
    assert_eq!(
        object.value["metadata"],
        json!({ "name": "app1", "namespace": "default", "annotations": { "eks.amazonaws.com/role-arn": arn } })
    );
}

#[test]
fn a_role_alone_makes_no_service_account() {
    let mut account = account("app1");
    account.service_account.manage = Manage::None;
    let result = built(vec![deployment("web", "app1")], vec![account]);
    assert_eq!(result.value.objects.len(), 1);
    assert_eq!(
        result.value.objects[0].after,
        [StackId::Role("default/app1".into())]
    );
}

#[test]
fn workloads_come_after_the_roles_of_their_pods() {
    let pod = json!({ "serviceAccountName": "app1" });
    let job = json!({ "template": { "spec": pod } });
    let with = |version: &str, kind: &str, spec: Value| {
        object(json!({
            "apiVersion": version, "kind": kind, "metadata": { "name": kind, "namespace": "default" }, "spec": spec,
        }))
    };
    let mut objects = vec![
        with("v1", "Pod", pod.clone()),
        with("v1", "Pod", json!({ "serviceAccount": "app1" })),
        with(
            "batch/v1",
            "CronJob",
            json!({ "jobTemplate": { "spec": job } }),
        ),
        with("batch/v1", "Job", job.clone()),
    ];
    for kind in ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"] {
        objects.push(with("apps/v1", kind, job.clone()));
    }
    objects[1].reference.name = "older".into();
    let count = objects.len();
    let result = built(objects, vec![account("app1")]);
    let bound = |object: &&ObjectSpec| object.after == [StackId::Role("default/app1".into())];
    assert_eq!(result.value.objects.iter().filter(bound).count(), count + 1);
}

#[test]
fn other_objects_wait_for_no_role() {
    let mut elsewhere = deployment("other-namespace", "app1");
    elsewhere.reference.namespace = Some("prod".into());
    let unlike = object(json!({
        "apiVersion": "example.com/v1", "kind": "Deployment", "metadata": { "name": "custom", "namespace": "default" },
        "spec": { "template": { "spec": { "serviceAccountName": "app1" } } },
    }));
    let objects = vec![
        elsewhere,
        unlike,
        deployment("other-account", "app2"),
        bare("v1", "Service", Some("default"), "app1"),
    ];
    let result = built(objects, vec![account("app1")]);
    let others = result
        .value
        .objects
        .iter()
        .filter(|object| object.reference.kind != "ServiceAccount");
    assert!(others.into_iter().all(|object| object.after.is_empty()));
}

#[test]
fn pods_without_an_account_run_under_the_default_one() {
    let mut workload = deployment("web", "x");
    edit(&mut workload, |it| {
        it["spec"]["template"]["spec"] = json!({})
    });
    let result = built(vec![workload], vec![account("default")]);
    assert_eq!(
        find(&result, "Deployment", "web").after,
        [StackId::Role("default/default".into())]
    );
}

#[test]
fn what_needs_a_role_that_waits_waits_too_and_stays_wanted() {
    let manifests = Manifests {
        objects: vec![deployment("web", "app1"), deployment("other", "app2")].into(),
        iam_service_accounts: vec![account("app1")],
        ..Manifests::default()
    };
    let mut facts = facts();
    facts.oidc_issuer = None;
    let result = build(&manifests, &facts, &settings());
    assert_eq!(result.value.objects.len(), 3);
    assert!(find(&result, "ServiceAccount", "app1").waits.is_some());
    assert!(
        find(&result, "Deployment", "web")
            .waits
            .as_ref()
            .unwrap()
            .contains("OIDC issuer")
    );
    assert_eq!(find(&result, "Deployment", "other").waits, None);
}

#[test]
fn a_suspended_account_is_left_and_its_workloads_are_not() {
    let mut account = account("app1");
    account.suspended = true;
    let result = built(vec![deployment("web", "app1")], vec![account]);
    let waits = find(&result, "ServiceAccount", "app1").waits.as_deref();
    assert_eq!(waits, Some("IAMServiceAccount default/app1 is suspended"));
    assert_eq!(find(&result, "Deployment", "web").waits, None);
}
