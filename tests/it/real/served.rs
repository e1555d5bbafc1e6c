//! What the tests of served annotations share: manifests as values, and what AWS holds in its API's own words.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

/// The prefix of LBC's annotations.
pub(super) const ALB: &str = "alb.ingress.kubernetes.io";
/// The trailers of a commit that takes everything away and means it.
const MEANT: &str = "\n\nAlbsync-Allow-Empty: .\nAlbsync-Allow-Prune: 100";

/// An IngressClass `aws` of the controller that LBC is.
fn class() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "aws"},
        "spec": {"controller": "ingress.k8s.aws/alb"},
    })
}

/// A Service of node ports: `name:80`, to pods labelled `app: name` at their port `http`.
pub(super) fn service(name: &str, annotations: &[(&str, &str)]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "annotations": prefixed(annotations)},
        "spec": {
            "type": "NodePort", "selector": {"app": name},
            "ports": [{"name": "web", "port": 80, "targetPort": "http"}],
        },
    })
}

/// Pods behind a Service of this name, at port 8080.
pub(super) fn deployment(name: &str, replicas: u32) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [
                {"name": "web", "image": "nginx:1.29-alpine", "ports": [{"name": "http", "containerPort": 8080}]},
            ]}},
        },
    })
}

/// An Ingress of class `aws`: annotations without their prefix, rules by [`paths`].
pub(super) fn ingress(name: &str, annotations: &[(&str, &str)], rules: &[Value]) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "annotations": prefixed(annotations)},
        "spec": {"ingressClassName": "aws", "rules": rules},
    })
}

/// A host's paths, each with its Service; `NAME:use-annotation` stands for an action. An empty host is none; a path behind
/// `=` is meant exactly.
pub(super) fn paths(host: &str, given: &[(&str, &str)]) -> Value {
    let paths: Vec<Value> = given
        .iter()
        .map(|(path, backend)| {
            let (name, port) = match backend.split_once(':') {
                Some((name, port)) => (name, json!({"name": port})),
                None => (*backend, json!({"number": 80})),
            };
            let (kind, path) = match path.strip_prefix('=') {
                Some(path) => ("Exact", path),
                None => ("Prefix", *path),
            };
            json!({"path": path, "pathType": kind, "backend": {"service": {"name": name, "port": port}}})
        })
        .collect();
    let http = json!({"paths": paths});
    if host.is_empty() {
        json!({"http": http})
    } else {
        json!({"host": host, "http": http})
    }
}

fn prefixed(annotations: &[(&str, &str)]) -> Value {
    annotations
        .iter()
        .map(|(name, value)| (format!("{ALB}/{name}"), json!(value)))
        .collect()
}

impl Scene {
    /// An empty cluster with the class and these Services in git, in force; and AWS as it is without any balancer.
    pub(super) fn serving(services: &[&str]) -> (Scene, Value) {
        Scene::serving_with(services, |_| ())
    }

    /// The same with something else in the daemon's configuration.
    pub(super) fn serving_with(
        services: &[&str],
        change: impl FnOnce(&mut Value),
    ) -> (Scene, Value) {
        let scene = Scene::configured(NEVER, change);
        let seed = scene.bed.dump_with_ids()["aws"].take();
        scene.put("class.yaml", &[class()]);
        for name in services {
            scene.put(&format!("{name}.yaml"), &[service(name, &[])]);
        }
        (scene, seed)
    }

    /// Writes documents into one file; JSON is YAML.
    pub(super) fn put(&self, file: &str, documents: &[Value]) {
        let text: Vec<String> = documents
            .iter()
            .map(|document| format!("{document:#}\n"))
            .collect();
        self.repo.write(file, &text.join("---\n"));
    }

    /// What one commit sends.
    #[track_caller]
    pub(super) fn edit(&mut self, message: &str) -> Journal {
        let mark = self.bed.proxy.mark();
        self.push(message);
        self.changes(mark)
    }

    /// A start looks at everything, and finds nothing to do: AWS shows what was sent in a way that compares as equal.
    #[track_caller]
    pub(super) fn assert_settled(&mut self) {
        let mark = self.restart();
        let changes = self.since(mark);
        assert!(
            changes.changes().is_empty(),
            "a start with nothing to do wrote:\n{}\nof:\n{}\nlog:\n{}",
            sent(&changes),
            changes.render(),
            self.daemon.logs()
        );
    }

    /// Ends the daemon and starts it again; the journal's place at its start. Ready when everything was looked at.
    #[track_caller]
    pub(super) fn restart(&mut self) -> usize {
        let ended = self.daemon.terminate(PATIENCE);
        assert!(
            ended.is_some_and(|status| status.success()),
            "SIGTERM ends it in order"
        );
        let mark = self.bed.proxy.mark();
        let before = full_passes(&self.daemon);
        self.daemon.run(&self.bed);
        self.eventually("a pass over everything", PATIENCE, |_| {
            (full_passes(&self.daemon) > before).then_some(())
        });
        self.daemon
            .wait_for("the end of that pass", PATIENCE, |status| {
                status["pass"].is_null()
            });
        mark
    }

    /// Takes everything out of git, and nothing is left in AWS but what was there before.
    #[track_caller]
    pub(super) fn assert_leaves_nothing(&mut self, seed: &Value) {
        self.repo
            .git(&["rm", "--quiet", "-r", "--ignore-unmatch", "."]);
        self.push(&format!("Take it all away{MEANT}"));
        let after = self.bed.dump_with_ids();
        for part in ["ec2", "elbv2"] {
            assert_same(part, &seed[part], &after["aws"][part]);
        }
        self.assert_guard();
    }

    /// All balancers by name.
    pub(super) fn balancers(&self) -> BTreeMap<String, Value> {
        let all = self.bed.aws("elbv2", "DescribeLoadBalancers", json!({}))["LoadBalancers"].take();
        list(&all)
            .iter()
            .map(|it| (text(&it["LoadBalancerName"]).to_owned(), it.clone()))
            .collect()
    }

    /// The listeners of the one balancer by port.
    #[track_caller]
    pub(super) fn listeners(&self) -> BTreeMap<u64, Value> {
        self.listeners_of(&self.balancer())
    }

    #[track_caller]
    pub(super) fn listeners_of(&self, balancer: &Value) -> BTreeMap<u64, Value> {
        let arn = json!({"LoadBalancerArn": balancer["LoadBalancerArn"]});
        let all = self.bed.aws("elbv2", "DescribeListeners", arn)["Listeners"].take();
        list(&all)
            .iter()
            .map(|it| (it["Port"].as_u64().expect("a port"), it.clone()))
            .collect()
    }

    /// A listener's rules as AWS tells them, in the order in which it tries them, without the default.
    pub(super) fn raw_rules(&self, listener: &Value) -> Vec<Value> {
        let arn = json!({"ListenerArn": listener["ListenerArn"]});
        let all = self.bed.aws("elbv2", "DescribeRules", arn)["Rules"].take();
        let mut rules: Vec<Value> = list(&all)
            .iter()
            .filter(|rule| rule["IsDefault"] == false)
            .cloned()
            .collect();
        rules.sort_by_key(|rule| text(&rule["Priority"]).parse::<u32>().expect("a number"));
        rules
    }

    /// `load_balancer`, `target_group` or `listener` and its ARN: its attributes by key.
    pub(super) fn attributes(&self, kind: &str, arn: &Value) -> Value {
        let (operation, name) = match kind {
            "listener" => ("DescribeListenerAttributes", "ListenerArn"),
            "target_group" => ("DescribeTargetGroupAttributes", "TargetGroupArn"),
            _ => ("DescribeLoadBalancerAttributes", "LoadBalancerArn"),
        };
        pairs(&self.bed.aws("elbv2", operation, json!({name: arn}))["Attributes"])
    }

    /// `ADDRESS:PORT` of everything registered.
    pub(super) fn targets(&self, target_group: &Value) -> Vec<String> {
        let arn = json!({"TargetGroupArn": target_group["TargetGroupArn"]});
        let health = self.bed.aws("elbv2", "DescribeTargetHealth", arn);
        let mut targets: Vec<String> = list(&health["TargetHealthDescriptions"])
            .iter()
            .map(|it| format!("{}:{}", text(&it["Target"]["Id"]), it["Target"]["Port"]))
            .collect();
        targets.sort();
        targets
    }

    /// What the one balancer's own security group lets in: `PORT FROM`, sorted.
    #[track_caller]
    pub(super) fn admitted(&self, group: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for permission in list(&group["IpPermissions"]) {
            let port = &permission["FromPort"];
            for (kind, name) in [
                ("IpRanges", "CidrIp"),
                ("Ipv6Ranges", "CidrIpv6"),
                ("PrefixListIds", "PrefixListId"),
            ] {
                for source in permission[kind].as_array().into_iter().flatten() {
                    found.push(format!("{port} {}", text(&source[name])));
                }
            }
        }
        found.sort();
        found
    }
}

/// Passes that looked at everything and came to their end, by the log: the status tells only of the last of all passes,
/// and an event of the cluster may start another one at any time.
fn full_passes(daemon: &Daemon) -> usize {
    let logs = daemon.logs();
    let ended = logs
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    ended
        .filter(|line| line["message"] == "pass ended" && line["end"] != "Interrupted")
        .filter(|line| line["trigger"] == "start" || line["trigger"] == "sweep")
        .count()
}

/// The writes to ELBv2, sorted. What the nodes let in follows node ports, which the cluster draws.
pub(super) fn elb_writes(journal: &Journal) -> Vec<String> {
    let aws = journal.on(Plane::Aws);
    let mut labels: Vec<String> = aws
        .writes()
        .iter()
        .filter(|entry| entry.call.service == "elasticloadbalancing")
        .map(|entry| entry.call.operation.clone())
        .collect();
    labels.sort();
    labels
}

/// The parameters of the one call of this operation.
#[track_caller]
pub(super) fn parameters(journal: &Journal, operation: &str) -> BTreeMap<String, String> {
    let calls = journal.calls(operation);
    assert_eq!(calls.len(), 1, "{operation} in\n{}", journal.render());
    calls[0].call.parameters.clone()
}

/// Every write to AWS with its parameters, for a failure to be read.
fn sent(journal: &Journal) -> String {
    journal
        .changes()
        .iter()
        .map(|entry| format!("{} {:#?}", entry.call.label(), entry.call.parameters))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A condition's values by its field.
#[track_caller]
pub(super) fn condition_of<'a>(rule: &'a Value, field: &str) -> &'a Value {
    let found: Vec<&Value> = list(&rule["Conditions"])
        .iter()
        .filter(|condition| condition["Field"] == field)
        .collect();
    assert_eq!(found.len(), 1, "{field} of {rule:#}");
    found[0]
}
