//! Bad commits change nothing; what was good stays in force and healed, and whoever looks is told where to correct what.

use serde_json::json;

use super::*;

/// What is wrong, and how it is told.
struct Bad {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// `file:line:column` of the mistake.
    place: &'static str,
    told: &'static [&'static str],
    /// Whether the document can still be told to be that of the live Ingress.
    event: bool,
}

const BAD: [Bad; 5] = [
    Bad {
        name: "YAML that is none",
        file: "ingress.yaml",
        from: "  ingressClassName: aws\n",
        to: "  ingressClassName: [aws\n",
        place: "ingress.yaml:1",
        told: &[],
        event: false,
    },
    Bad {
        name: "an unknown Service",
        file: "ingress.yaml",
        from: "name: app2\n",
        to: "name: app22\n",
        place: "ingress.yaml:26:23",
        told: &["app22"],
        event: true,
    },
    Bad {
        name: "a bad annotation value",
        file: "ingress.yaml",
        from: "scheme: internet-facing",
        to: "scheme: public",
        place: "ingress.yaml:8:39",
        told: &["public", "internet-facing"],
        event: true,
    },
    Bad {
        name: "a misspelt annotation",
        file: "ingress.yaml",
        from: "alb.ingress.kubernetes.io/scheme:",
        to: "alb.ingress.kubernetes.io/shceme:",
        place: "ingress.yaml:8:5",
        told: &["shceme", "alb.ingress.kubernetes.io/scheme"],
        event: true,
    },
    Bad {
        name: "a value that only the API server knows to be wrong",
        file: "app1.yaml",
        from: "  replicas: 2\n",
        to: "  replicas: -2\n",
        place: "app1.yaml:24:13",
        told: &["replicas"],
        event: false,
    },
];

#[test]
fn a_bad_commit_changes_nothing_and_says_where_it_is_wrong() {
    let mut scene = Scene::tutorial(NEVER);
    let good = scene.repo.head();
    let before = scene.bed.dump_with_ids();
    for bad in &BAD {
        let (mark, audited) = (scene.bed.proxy.mark(), scene.audit().len());
        scene.repo.edit(bad.file, bad.from, bad.to);
        let commit = scene.repo.commit_and_push(bad.name);
        let status = scene.rejected(&commit);
        assert_eq!(status["inForce"]["revision"], good, "{}", bad.name);
        assert_eq!(status["health"], "Rejected", "{}", bad.name);
        let said = String::from_utf8(scene.daemon.cli(&["status"]).stdout).expect("text");
        let line = said.lines().find(|line| line.contains(bad.place));
        let line = line.unwrap_or_else(|| panic!("{}: no {} in\n{said}", bad.name, bad.place));
        for part in bad.told {
            assert!(line.contains(part), "{}: no {part:?} in {line:?}", bad.name);
        }
        assert!(
            scene.daemon.logs().contains(bad.place),
            "{}: the log tells it too",
            bad.name
        );
        if bad.event {
            let parts = [&[bad.place, &commit], bad.told].concat();
            scene.event("app-aws-ingress", "Rejected", &parts);
        }
        scene.assert_changed_nothing(mark, audited);
        scene.repo.git(&["reset", "--quiet", "--hard", &good]);
        scene.repo.git(&["reset", "--quiet", "--soft", &commit]);
    }
    assert_same(
        "after five bad commits",
        &before,
        &scene.bed.dump_with_ids(),
    );

    let mark = scene.bed.proxy.mark();
    let commit = scene.push("As it was");
    let status = scene.daemon.status().expect("a status");
    assert_eq!(status["head"]["revision"], commit.as_str());
    assert_eq!(status["health"], "Healthy");
    assert_eq!(status["problems"], json!([]));
    scene.since(mark).assert_changed_nothing();
    scene.assert_guard();
}

#[test]
fn what_was_good_stays_healed_while_the_tip_is_bad() {
    let mut scene = Scene::tutorial(PERIOD);
    let good = scene.repo.head();
    let before = scene.bed.dump();
    scene
        .repo
        .edit("ingress.yaml", "name: app2\n", "name: app22\n");
    let bad = scene.repo.commit_and_push("An unknown Service");
    scene.rejected(&bad);

    let arn = scene.rule("/app1").arn;
    scene
        .bed
        .aws("elbv2", "DeleteRule", json!({"RuleArn": arn}));
    scene.bed.kubectl(&["delete", "ingress", "app-aws-ingress"]);
    scene.eventually("what was good is back", PERIOD + SLACK, |bed| {
        (bed.dump() == before).then_some(())
    });
    let status = scene
        .daemon
        .wait_for("the end of the pass", SLACK, |status| {
            status["pass"].is_null()
        });
    assert_eq!(status["health"], "Rejected", "the tip is still bad");
    assert_eq!(status["inForce"]["revision"], good);
    assert_eq!(status["head"]["revision"], bad);
    assert!(
        status["problems"].to_string().contains("app22"),
        "{status:#}"
    );

    // A daemon that starts with a bad tip knows what was good.
    scene.daemon.kill9();
    scene.daemon.run(&scene.bed);
    let status = scene.daemon.wait_for(
        "a status that knows the problem again",
        PATIENCE,
        |status| status["lastPass"]["trigger"] == "start" && !list(&status["problems"]).is_empty(),
    );
    assert_eq!(status["inForce"]["revision"], good);
    assert!(
        status["problems"].to_string().contains("app22"),
        "{status:#}"
    );
    assert_same("after the restart", &before, &scene.bed.dump());
    scene.assert_guard();
}

#[test]
fn rights_that_a_commit_needs_and_albsync_lacks_are_named_before_the_first_write() {
    let mut scene = Scene::tutorial(NEVER);
    let good = scene.repo.head();
    let (mark, audited) = (scene.bed.proxy.mark(), scene.audit().len());
    scene.repo.write(
        "job.yaml",
        "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: nightly\n  namespace: default\nspec:\n  schedule: \
         \"0 3 * * *\"\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          restartPolicy: Never\n          \
         containers:\n            - name: main\n              image: busybox\n",
    );
    scene
        .repo
        .edit("ingress.yaml", "path: /app2", "path: /shop");
    let commit = scene.repo.commit_and_push("A kind that was never granted");

    let status = scene.daemon.wait_for("the hold", PATIENCE, |status| {
        status["head"]["revision"] == commit
            && status["head"]["state"] == "Held"
            && status["pass"].is_null()
    });

    assert_eq!(status["inForce"]["revision"], good);
    assert_eq!(status["head"]["reason"], "MissingRights");
    let rights = [
        "get cronjobs.batch in namespace default",
        "create cronjobs.batch in namespace default",
        "patch cronjobs.batch in namespace default",
        "examples/rbac.yaml",
    ];
    for (verb, code) in [("status", 0), ("plan", 5)] {
        let output = scene.daemon.cli(&[verb]);
        let said = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(code), "{verb}: {said}");
        for right in rights {
            assert!(said.contains(right), "{verb} must name {right}: {said}");
        }
    }
    scene.assert_changed_nothing(mark, audited);

    // It goes on by itself once they are granted.
    let _granted = Granted::to(&scene.bed, "batch", "cronjobs");
    scene.healthy(&commit);
    assert!(scene.bed.object("cronjob", "default", "nightly").is_some());
    scene.repo.remove("job.yaml");
    scene.push("The kind leaves again");
    scene.assert_guard();
}

/// A right beyond examples/rbac.yaml, taken back at the end: a reset leaves cluster roles alone.
pub(super) struct Granted {
    kubectl: String,
    kubeconfig: String,
}

impl Granted {
    /// To look at and manage objects of one kind.
    pub(super) fn to(bed: &Bed, group: &str, plural: &str) -> Granted {
        bed.kubectl_apply(&format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: albsync-more\nrules:\n  - \
             apiGroups: [{group}]\n    resources: [{plural}]\n    verbs: [get, create, patch, delete]\n---\napiVersion: \
             rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: albsync-more\nroleRef:\n  \
             apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: albsync-more\nsubjects:\n  - kind: \
             ServiceAccount\n    name: albsync\n    namespace: albsync\n"
        ));
        Granted {
            kubectl: bed.fact("/kubernetes/kubectl").to_owned(),
            kubeconfig: bed.fact("/kubernetes/kubeconfig/admin").to_owned(),
        }
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let _ = std::process::Command::new(&self.kubectl)
            .args(["--kubeconfig", &self.kubeconfig, "delete"])
            .args([
                "clusterrole/albsync-more",
                "clusterrolebinding/albsync-more",
            ])
            .output();
    }
}
