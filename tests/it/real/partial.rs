//! What goes on without what cannot: groups beside a bad one (`admission: group`), members beside one whose Service is
//! gone.

use serde_json::json;

use super::*;

/// A second balancer, in front of app2.
const BLOG: &str = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: blog
  namespace: default
spec:
  ingressClassName: aws
  rules:
    - host: blog.example.com
      http:
        paths:
          - path: /posts
            pathType: Prefix
            backend:
              service:
                name: app2
                port:
                  number: 80
";

const BAD_GROUP: &str = "default/app-aws-ingress";
const PLACE: &str = "ingress.yaml:8:39";

/// The balancer of a group, with its listener's rules.
#[track_caller]
fn served(scene: &Scene, group: &str) -> (Value, Vec<Rule>) {
    let all = scene.bed.aws("elbv2", "DescribeLoadBalancers", json!({}));
    let found: Vec<Value> = list(&all["LoadBalancers"])
        .iter()
        .filter(|it| scene.tags(&it["LoadBalancerArn"])["ingress.k8s.aws/stack"] == group)
        .cloned()
        .collect();
    let balancer = only(Value::Array(found));
    let of_balancer = json!({"LoadBalancerArn": balancer["LoadBalancerArn"]});
    let listeners = scene.bed.aws("elbv2", "DescribeListeners", of_balancer);
    let listener = only(listeners["Listeners"].clone());
    let rules = rules(&scene.bed, &listener["ListenerArn"]);
    (balancer, rules)
}

fn paths(rules: &[Rule]) -> Vec<&str> {
    rules.iter().map(|rule| rule.paths[0].as_str()).collect()
}

#[test]
fn a_bad_group_stays_as_it_was_and_is_healed_while_a_good_one_goes_on() {
    let mut scene = Scene::configured(PERIOD, |config| config["admission"] = json!("group"));
    scene.repo.copy_from_checkout("examples/tutorial");
    scene.repo.write("blog.yaml", BLOG);
    let good = scene.push("Two groups");
    let before = served(&scene, BAD_GROUP);
    let live = scene.object("ingress", "app-aws-ingress");
    let mark = scene.bed.proxy.mark();

    scene
        .repo
        .edit("ingress.yaml", "scheme: internet-facing", "scheme: public");
    scene
        .repo
        .edit("ingress.yaml", "path: /app1", "path: /never");
    scene.repo.edit("blog.yaml", "path: /posts", "path: /news");
    let commit = scene
        .repo
        .commit_and_push("A bad Ingress beside a good edit");
    let status = scene
        .daemon
        .wait_for("the good part in force", PATIENCE, |status| {
            status["inForce"]["revision"] == commit
                && status["inForce"]["reason"] == "Partial"
                && status["pass"].is_null()
        });

    assert_eq!(status["health"], "Partial");
    assert_eq!(paths(&served(&scene, "default/blog").1), ["/news"]);
    assert_eq!(
        served(&scene, BAD_GROUP),
        before,
        "the bad group is untouched"
    );
    let now = scene.object("ingress", "app-aws-ingress");
    assert_eq!(now["spec"], live["spec"]);
    assert_eq!(now["metadata"]["uid"], live["metadata"]["uid"]);
    let deletes: Vec<String> = scene
        .writes(mark)
        .into_iter()
        .filter(|label| label.contains("DeleteLoadBalancer") || label.contains("TargetGroup"))
        .collect();
    assert_eq!(deletes, [""; 0]);
    let held = only(status["held"].clone());
    assert_eq!(held["stack"]["group"], BAD_GROUP);
    for part in [PLACE, &good[..12]] {
        assert!(text(&held["message"]).contains(part), "{held:#}");
    }
    assert!(scene.daemon.logs().contains(PLACE), "the log tells it too");
    let event = scene.event("app-aws-ingress", "Rejected", &[PLACE, &commit, BAD_GROUP]);
    assert!(event.contains("stays in force"), "{event}");
    assert_eq!(scene.events("blog", "Rejected"), [""; 0]);

    // What a hand deletes of the bad group comes back as the last good commit has it.
    let rule = before.1[0].clone();
    scene
        .bed
        .aws("elbv2", "DeleteRule", json!({"RuleArn": rule.arn}));
    scene.bed.kubectl(&["delete", "ingress", "app-aws-ingress"]);
    let wanted = paths(&before.1);
    scene.eventually("what was good is back", PERIOD + SLACK, |bed| {
        let ingress = bed.object("ingress", "default", "app-aws-ingress")?;
        let back = ingress["spec"] == live["spec"];
        (back && paths(&served(&scene, BAD_GROUP).1) == wanted).then_some(())
    });
    let ingress = scene.object("ingress", "app-aws-ingress");
    assert_eq!(
        ingress["metadata"]["annotations"]["albsync.dev/revision"],
        good
    );

    // A daemon that starts anew knows it too.
    scene.daemon.kill9();
    scene.daemon.run(&scene.bed);
    let status = scene
        .daemon
        .wait_for("a pass after the start", PATIENCE, |status| {
            status["lastPass"]["trigger"] == "start" && status["pass"].is_null()
        });
    assert_eq!(only(status["held"].clone())["stack"]["group"], BAD_GROUP);
    assert_eq!(paths(&served(&scene, BAD_GROUP).1), wanted);

    // The next good commit ends it.
    scene
        .repo
        .edit("ingress.yaml", "scheme: public", "scheme: internet-facing");
    let commit = scene.push("Corrected");
    let status = scene.daemon.status().expect("a status");
    assert_eq!(status["inForce"]["revision"], commit.as_str());
    assert_eq!(status["held"], json!([]));
    let (balancer, rules) = served(&scene, BAD_GROUP);
    assert_eq!(balancer["LoadBalancerArn"], before.0["LoadBalancerArn"]);
    assert_eq!(paths(&rules)[0], "/never");
    scene.assert_guard();
}

/// Not in git: somebody else's.
const OUTSIDE: &str = "apiVersion: v1
kind: Service
metadata: {name: outside, namespace: default}
spec: {type: NodePort, selector: {app: app2}, ports: [{port: 80, targetPort: http}]}
";

#[test]
fn a_rule_whose_service_is_gone_stays_while_others_change() {
    let mut scene = Scene::empty(NEVER);
    scene.bed.kubectl_apply(OUTSIDE);
    scene.repo.copy_from_checkout("examples/tutorial");
    let shared = "    alb.ingress.kubernetes.io/group.name: shop\n";
    let scheme = "    alb.ingress.kubernetes.io/scheme: internet-facing\n";
    scene
        .repo
        .edit("ingress.yaml", scheme, &format!("{scheme}{shared}"));
    let other = BLOG
        .replace(
            "spec:\n",
            &format!("  annotations:\n{scheme}{shared}spec:\n"),
        )
        .replace("name: app2", "name: outside");
    scene.repo.write("blog.yaml", &other);
    scene.push("Two members of one group");
    let before = served(&scene, "shop");
    let group = scene.target_group("outside");

    scene.bed.kubectl(&["delete", "service", "outside"]);
    let mark = scene.bed.proxy.mark();
    scene
        .repo
        .edit("ingress.yaml", "path: /app1", "path: /shop");
    let commit = scene.repo.commit_and_push("Another path of the other one");
    let status = scene
        .daemon
        .wait_for("the other one's path", PATIENCE, |status| {
            status["inForce"]["revision"] == commit
                && status["pass"].is_null()
                && !list(&status["waits"]).is_empty()
        });

    let wait = only(status["waits"].clone());
    assert_eq!(wait["object"], "Ingress default/blog");
    assert!(text(&wait["reason"]).contains("outside"), "{wait:#}");
    let (balancer, rules) = served(&scene, "shop");
    assert_eq!(balancer["LoadBalancerArn"], before.0["LoadBalancerArn"]);
    let mut now = paths(&rules);
    now.sort_unstable();
    assert_eq!(now, ["/app2", "/posts", "/shop"]);
    assert_eq!(scene.target_group("outside"), group);
    let taken: Vec<String> = scene
        .writes(mark)
        .into_iter()
        .filter(|label| label.contains("DeleteTargetGroup") || label.contains("Deregister"))
        .collect();
    assert_eq!(taken, [""; 0]);
    scene.event("blog", "Waiting", &["outside"]);

    // It comes back, and all is as committed.
    scene.bed.kubectl_apply(OUTSIDE);
    let status = scene.healthy(&commit);
    assert_eq!(status["waits"], json!([]));
    scene.assert_guard();
}
