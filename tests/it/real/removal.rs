//! What leaves git leaves AWS and the cluster, in an order that AWS accepts; all of it only if the commit says so.

use super::*;

#[test]
fn a_deleted_ingress_takes_its_balancer_along_and_leaves_nothing() {
    let mut scene = Scene::empty(NEVER);
    let seed = scene.bed.dump_with_ids();
    scene.repo.copy_from_checkout("examples/tutorial");
    scene.push("The tutorial");
    scene.ready();
    let before = scene.bed.dump_with_ids();
    let ids = scene.identities();

    let mark = scene.bed.proxy.mark();
    scene.repo.remove("ingress.yaml");
    let commit = scene.push("No more routing");
    let after = scene.bed.dump_with_ids();
    assert_same("EC2 as seeded", &seed["aws"]["ec2"], &after["aws"]["ec2"]);
    assert_same(
        "no balancers",
        &seed["aws"]["elbv2"],
        &after["aws"]["elbv2"],
    );
    assert_same("IAM as before", &before["aws"]["iam"], &after["aws"]["iam"]);
    assert_eq!(
        scene.bed.object("ingress", "default", "app-aws-ingress"),
        None
    );
    scene.assert_writes(
        mark,
        &[
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:DeleteTargetGroup",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteSecurityGroup",
            "delete networking.k8s.io/ingresses default/app-aws-ingress",
        ],
    );
    // The emulator would take any order; AWS refuses groups in use (aws-deploy §5, lessons D2).
    let journal = scene.changes(mark);
    for (first, then) in [
        (
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:DeleteTargetGroup",
        ),
        (
            "elasticloadbalancing:DeleteLoadBalancer",
            "ec2:RevokeSecurityGroupIngress",
        ),
        (
            "elasticloadbalancing:DeleteLoadBalancer",
            "ec2:DeleteSecurityGroup",
        ),
        // A group that another one's permission names cannot be deleted.
        ("ec2:RevokeSecurityGroupIngress", "ec2:DeleteSecurityGroup"),
    ] {
        journal.assert_order(first, then);
    }

    scene.revert(&commit);
    assert_eq!(scene.paths(), ["/app1", "/app2"]);
    let back = scene.identities();
    for kept in ["roles", "policies"] {
        assert_same(kept, &ids[kept], &back[kept]);
    }
    scene.assert_guard();
}

#[test]
fn everything_goes_only_if_the_commit_says_so() {
    let mut scene = Scene::empty(NEVER);
    let seed = scene.bed.dump();
    scene.repo.copy_from_checkout("examples/tutorial");
    let good = scene.push("The tutorial");
    scene.ready();
    let before = scene.bed.dump_with_ids();

    let (mark, audited) = (scene.bed.proxy.mark(), scene.audit().len());
    for file in [
        "app1.yaml",
        "app2.yaml",
        "iam.yaml",
        "ingress-class.yaml",
        "ingress.yaml",
        "read-assets.json",
    ] {
        scene.repo.remove(file);
    }
    let refused = scene.repo.commit_and_push("Remove everything");
    let status = scene.rejected(&refused);
    assert_eq!(status["inForce"]["revision"], good);
    assert_eq!(status["head"]["reason"], "EmptyDesiredState");
    let said = String::from_utf8(scene.daemon.cli(&["status"]).stdout).expect("text");
    assert!(
        said.contains("Albsync-Allow-Empty: ."),
        "the way out is named: {said}"
    );
    scene.assert_changed_nothing(mark, audited);
    assert_same(
        "after the refused commit",
        &before,
        &scene.bed.dump_with_ids(),
    );

    scene.push("Remove everything, and mean it\n\nAlbsync-Allow-Empty: .");
    scene.eventually("all pods gone", PATIENCE, |bed| {
        bed.kubectl(&[
            "get",
            "pods,replicasets,endpointslices",
            "--selector",
            "app",
            "--output",
            "name",
        ])
        .trim()
        .is_empty()
        .then_some(())
    });
    let mut after = scene.bed.dump();
    let providers = after["aws"]["iam"]["oidc_providers"].take();
    assert_eq!(list(&providers).len(), 1, "the provider is never deleted");
    after["aws"]["iam"]["oidc_providers"] = seed["aws"]["iam"]["oidc_providers"].clone();
    assert_same("all but the provider as seeded", &seed, &after);
    let journal = scene.changes(mark);
    for (first, then) in [
        ("delete apps/deployments", "iam:DeleteRole"),
        ("iam:DetachRolePolicy", "iam:DeleteRole"),
        ("iam:DetachRolePolicy", "iam:DeletePolicy"),
        (
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:DeleteTargetGroup",
        ),
        (
            "elasticloadbalancing:DeleteLoadBalancer",
            "ec2:DeleteSecurityGroup",
        ),
    ] {
        journal.assert_order(first, then);
    }
    assert_eq!(journal.count("iam:DeleteOpenIDConnectProvider"), 0);
    scene.assert_guard();
}

#[test]
fn an_account_that_was_only_annotated_stays_without_its_annotation() {
    let mut scene = Scene::tutorial(NEVER);
    scene.bed.kubectl_apply(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: chart\n  namespace: default\n  annotations:\n    \
         chart: \"1\"\n",
    );
    let uid = scene.object("serviceaccount", "chart")["metadata"]["uid"].take();
    scene.repo.write(
        "chart.yaml",
        "apiVersion: albsync.dev/v1alpha1\nkind: IAMServiceAccount\nmetadata:\n  name: chart\n  namespace: \
         default\nspec:\n  serviceAccount:\n    manage: AnnotateOnly\n",
    );
    let commit = scene.push("A role for the chart's account");
    let annotations = |scene: &Scene| {
        let account = scene.object("serviceaccount", "chart");
        assert_eq!(account["metadata"]["uid"], uid, "the same account");
        account["metadata"]["annotations"].clone()
    };
    let arn = annotations(&scene)["eks.amazonaws.com/role-arn"].take();
    let name = text(&arn).rsplit('/').next().expect("a name").to_owned();
    let found = scene
        .bed
        .aws("iam", "GetRole", json!({"RoleName": name.as_str()}));
    assert_eq!(found["Role"]["Arn"], arn);

    let mark = scene.bed.proxy.mark();
    scene.revert(&commit);
    let left = annotations(&scene);
    assert_eq!(left["chart"], "1");
    let ours: Vec<&String> = left
        .as_object()
        .expect("annotations")
        .keys()
        .filter(|key| key.contains("eks.amazonaws.com") || key.contains("albsync.dev"))
        .collect();
    assert!(ours.is_empty(), "{ours:?}");
    let gone = scene
        .bed
        .try_aws("iam", "GetRole", json!({"RoleName": name}));
    assert_eq!(gone.expect_err("the role is gone")["code"], "NoSuchEntity");
    // Nobody is to take a role that is on its way out (irsa R1 before R4).
    scene
        .changes(mark)
        .assert_order("apply serviceaccounts default/chart", "iam:DeleteRole");
    scene.assert_guard();
}
