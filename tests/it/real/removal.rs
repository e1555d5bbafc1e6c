//! What leaves git leaves AWS and the cluster, in an order that AWS accepts; all of it only if the commit says so.

use super::*;

#[test]
fn a_deleted_ingress_takes_its_balancer_along_and_leaves_nothing() {
    let mut scene = Scene::empty(NEVER);
    let seed = scene.bed.dump_with_ids();
    scene.repo.copy_from_checkout("examples/tutorial");
    scene.push("The tutorial");
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
