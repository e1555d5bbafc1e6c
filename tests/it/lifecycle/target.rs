//! Whom the daemon writes to: the account and the cluster that it was pinned to, and nobody while another controller
//! does the same work.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, assert_no_writes, config, tutorial, wait_healthy};
use crate::support::bed::Bed;
use crate::support::daemon::{self, Daemon};
use crate::support::proxy::{Fault, Match, Plane, Rule};

fn is_refused(status: &Value) -> bool {
    status["failures"].as_array().is_some_and(|failures| {
        failures.iter().any(|failure| {
            failure
                .as_str()
                .is_some_and(|text| text.contains("TargetIdentityMismatch"))
        })
    }) && status["pass"].is_null()
}

#[test]
fn a_state_directory_of_another_account_is_never_used_to_write() {
    let bed = Bed::shared();
    let (repo, commit) = tutorial(&bed);
    let mut daemon = Daemon::start(&bed, &config(&bed));
    wait_healthy(&mut daemon, &commit);
    daemon.kill9();
    repo.edit("ingress.yaml", "path: /app2", "path: /shop");
    let next = repo.commit_and_push("Serve the shop");
    let before = super::settled_dump(&bed);
    let role =
        json!({"RoleArn": "arn:aws:iam::999999999999:role/other", "RoleSessionName": "other"});
    let other = bed.aws("sts", "AssumeRole", role);
    for (name, key) in [
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ] {
        daemon.set_env(name, other["Credentials"][key].as_str().expect("a key"));
    }
    let mut there = config(&bed);
    // That account has no such EKS cluster to take the VPC from.
    there["aws"]["vpcId"] = json!(bed.fact("/aws/vpc"));
    daemon.configure(&there);
    let mark = bed.proxy.mark();

    daemon.run(&bed);
    let status = daemon.wait_for("the refusal", PATIENCE, is_refused);

    let text = status["failures"].to_string();
    assert!(
        text.contains("999999999999") && text.contains("123456789012"),
        "it must say what is pinned and what was found: {text}"
    );
    assert_eq!(status["health"], "Degraded");
    let journal = bed.proxy.journal().since(mark);
    assert_no_writes(&journal, Plane::Aws);
    assert_no_writes(&journal, Plane::Kubernetes);
    assert_eq!(bed.dump(), before);
    assert_ne!(status["inForce"]["revision"], next);
}

#[test]
fn a_state_directory_of_another_cluster_is_never_used_to_write() {
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let mut daemon = Daemon::start(&bed, &config(&bed));
    wait_healthy(&mut daemon, &commit);
    daemon.kill9();
    // The same account to all appearances, with another cluster of the same name.
    let other = Bed::start();
    let mut there = daemon::config(&other, bed.git_path());
    there["sweep"] = json!({"period": "1h"});
    daemon.configure(&there);

    daemon.run(&other);
    let status = daemon.wait_for("the refusal", PATIENCE, is_refused);

    let text = status["failures"].to_string();
    assert!(text.contains("cluster"), "{text}");
    let journal = other.proxy.journal();
    assert_no_writes(&journal, Plane::Aws);
    assert_no_writes(&journal, Plane::Kubernetes);
}

#[test]
fn without_a_vpc_an_unreachable_eks_is_told_and_tried_again() {
    let bed = Bed::shared();
    let (_repo, commit) = tutorial(&bed);
    let configured = config(&bed);
    assert!(configured["aws"]["vpcId"].is_null(), "only EKS can tell");
    bed.proxy.add(Rule::always(
        Match::aws("eks", "DescribeCluster"),
        Fault::ResetBefore,
    ));
    let mut daemon = Daemon::start(&bed, &configured);

    let status = daemon.wait_for("the state of waiting for EKS", PATIENCE, |status| {
        let failures = status["failures"].to_string();
        failures.contains("NetworkUnknown") && failures.contains("aws.vpcId")
    });
    assert_eq!(status["health"], "Degraded", "{status:#}");
    let asked = |bed: &Bed| bed.proxy.journal().count("eks:DescribeCluster");
    let (before, mark) = (asked(&bed), bed.proxy.mark());
    daemon.wait_for("the next try", PATIENCE, |_| asked(&bed) > before);
    assert!(daemon.is_running());
    let journal = bed.proxy.journal().since(mark);
    assert_no_writes(&journal, Plane::Aws);
    assert_no_writes(&journal, Plane::Kubernetes);

    bed.proxy.clear_rules();
    wait_healthy(&mut daemon, &commit);
}

/// The lease is in a namespace that a reset leaves alone.
struct Lease<'a>(&'a Bed);

impl<'a> Lease<'a> {
    fn renew(bed: &'a Bed, seconds: u32) -> Lease<'a> {
        let now = Command::new("date")
            .args(["-u", "+%Y-%m-%dT%H:%M:%S.%6NZ"])
            .output()
            .expect("date runs");
        let now = String::from_utf8(now.stdout).expect("UTF-8");
        bed.kubectl_apply(&format!(
            "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata:\n  name: aws-load-balancer-controller-leader\n  \
             namespace: kube-system\nspec:\n  holderIdentity: aws-load-balancer-controller-7d5f_1\n  \
             leaseDurationSeconds: {seconds}\n  renewTime: \"{}\"\n",
            now.trim()
        ));
        Lease(bed)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let _ = self.0.try_kubectl(&[
            "--namespace",
            "kube-system",
            "delete",
            "lease",
            "aws-load-balancer-controller-leader",
        ]);
    }
}

#[test]
fn while_the_other_controllers_lease_is_renewed_aws_is_only_read() {
    let bed = Bed::shared();
    let lease = Lease::renew(&bed, 12);
    let (_repo, commit) = tutorial(&bed);
    let mut daemon = Daemon::start(&bed, &config(&bed));

    let status = daemon.wait_for("a pass that reads AWS only", PATIENCE, |status| {
        !status["readOnly"].is_null() && status["pass"].is_null() && !status["lastPass"].is_null()
    });

    let why = status["readOnly"].as_str().expect("a text");
    assert!(
        why.contains("kube-system/aws-load-balancer-controller-leader")
            && why.contains("aws-load-balancer-controller-7d5f_1"),
        "{why}"
    );
    assert_ne!(status["health"], "Healthy", "{status:#}");
    assert_no_writes(&bed.proxy.journal(), Plane::Aws);
    let shown = String::from_utf8(daemon.cli(&["status"]).stdout).expect("UTF-8");
    assert!(shown.contains(why), "{shown}");

    // Nobody renews it any more: it expires by itself.
    let status = daemon.wait_for("the end of the lease", Duration::from_secs(60), |status| {
        super::is_healthy(status, &commit)
    });
    assert!(status["readOnly"].is_null(), "{status:#}");
    let balancers = bed.aws("elbv2", "DescribeLoadBalancers", json!({}));
    assert_eq!(balancers["LoadBalancers"].as_array().map(Vec::len), Some(1));
    bed.proxy.journal().assert_guard();
    drop(lease);
}
