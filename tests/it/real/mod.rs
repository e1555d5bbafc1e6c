//! The whole way on real servers: a commit in a repository, the daemon as a process, what AWS and the cluster hold then.
//!
//! Each test begins with a seeded bed. Expectations come from ingress-model.md §12, decisions 3, 23, 24 and 26, and
//! gitops.md §7; what counts is what the servers hold and what passed the proxies, not what the daemon says of itself.

mod attributes;
mod auth;
mod classes;
mod drift;
mod edit;
mod facts;
mod first;
mod foreign;
mod groups;
mod held;
mod iam;
mod partial;
mod refused;
mod listeners;
mod mended;
mod network;
mod removal;
mod rules;
mod served;
mod targets;

use std::sync::MutexGuard;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::Bed;
use crate::support::daemon::{Daemon, config};
use crate::support::proxy::{Journal, Plane};
use crate::support::repo::Repo;

/// Enough for the first create on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A sweep's period where drift is to be found.
const PERIOD: Duration = Duration::from_secs(2);
/// What a sweep itself may take on a busy machine.
const SLACK: Duration = Duration::from_secs(20);
/// No sweep happens within a test.
const NEVER: Duration = Duration::from_secs(3600);

const INGRESS: &str = "apply networking.k8s.io/ingresses default/app-aws-ingress";
const STATUS: &str = "networking.k8s.io/ingresses/status default/app-aws-ingress";

/// A daemon that watches a repository with a work tree. Dropped in this order: the bed outlives the daemon.
struct Scene {
    daemon: Daemon,
    repo: Repo,
    bed: MutexGuard<'static, Bed>,
}

impl Scene {
    /// A daemon on a seeded bed and an empty repository.
    fn empty(sweep: Duration) -> Scene {
        Scene::configured(sweep, |_| ())
    }

    /// The same with something else in its configuration.
    fn configured(sweep: Duration, change: impl FnOnce(&mut Value)) -> Scene {
        let bed = Bed::shared();
        let mut config = config(&bed, bed.git_path());
        config["sweep"] = json!({"period": format!("{}s", sweep.as_secs())});
        // Sweeps every two seconds would run into the rates that spare a real account.
        let fast = json!({"perSecond": 200, "burst": 200});
        let rates = [
            "elbDescribe",
            "elbModify",
            "elbRegister",
            "elbWrite",
            "ec2Read",
            "ec2Write",
            "iamRead",
            "iamWrite",
            "account",
        ];
        config["aws"]["rates"] = rates
            .iter()
            .map(|rate| ((*rate).to_owned(), fast.clone()))
            .collect();
        change(&mut config);
        let repo = bed.repo();
        let daemon = Daemon::start(&bed, &config);
        Scene { daemon, repo, bed }
    }

    /// The tutorial in force.
    fn tutorial(sweep: Duration) -> Scene {
        let mut scene = Scene::empty(sweep);
        scene.repo.copy_from_checkout("examples/tutorial");
        scene.push("The tutorial");
        scene.ready();
        scene
    }

    /// Waits until Kubernetes' own controllers are through with the pods, so that dumps compare.
    #[track_caller]
    fn ready(&self) {
        self.eventually("all pods ready", PATIENCE, |bed| {
            let dump = bed.dump();
            let deployments = dump["cluster"]["objects"].as_object()?;
            let rolled_out = deployments
                .iter()
                .filter(|(label, _)| label.starts_with("deployments"))
                .all(|(_, it)| it["status"]["readyReplicas"] == it["spec"]["replicas"]);
            let endpoints = dump["cluster"]["endpoints"].as_object()?;
            let served = endpoints
                .values()
                .all(|it| it["ready"] == 2 && it["not_ready"] == 0);
            (rolled_out && served && endpoints.len() == 2).then_some(())
        });
    }

    /// Commits, pushes, and waits until the commit is in force and everything as it says.
    #[track_caller]
    fn push(&mut self, message: &str) -> String {
        let commit = self.repo.commit_and_push(message);
        self.healthy(&commit);
        commit
    }

    /// Reverts the commit, pushes, and waits until that is in force.
    #[track_caller]
    fn revert(&mut self, commit: &str) -> String {
        let commit = self.repo.revert(commit);
        self.repo.push();
        self.healthy(&commit);
        commit
    }

    #[track_caller]
    fn healthy(&mut self, commit: &str) -> Value {
        self.daemon
            .wait_for(&format!("commit {commit} healthy"), PATIENCE, |status| {
                status["inForce"]["revision"] == commit
                    && status["inForce"]["state"] == "Healthy"
                    && status["pass"].is_null()
            })
    }

    /// Waits until the commit is in force as far as it can be, and something of it waits.
    #[track_caller]
    fn waits(&mut self, commit: &str) -> Value {
        self.daemon
            .wait_for(&format!("commit {commit} waiting"), PATIENCE, |status| {
                status["inForce"]["revision"] == commit
                    && status["inForce"]["state"] == "Degraded"
                    && status["inForce"]["reason"] == "Waiting"
                    && !list(&status["waits"]).is_empty()
                    && status["pass"].is_null()
            })
    }

    /// Waits until the tip was judged and refused.
    #[track_caller]
    fn rejected(&mut self, commit: &str) -> Value {
        self.daemon
            .wait_for(&format!("commit {commit} rejected"), PATIENCE, |status| {
                status["head"]["revision"] == commit
                    && status["head"]["state"] == "Rejected"
                    && status["pass"].is_null()
            })
    }

    /// Waits until `check` answers, looking at the servers.
    #[track_caller]
    fn eventually<T>(&self, what: &str, timeout: Duration, check: impl Fn(&Bed) -> Option<T>) -> T {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(found) = check(&self.bed) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{what}: not within {timeout:?}; the log:\n{}",
                self.daemon.logs()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What passed since `mark`.
    fn since(&self, mark: usize) -> Journal {
        self.bed.proxy.journal().since(mark)
    }

    /// The real changes among them: a dry run has the same label as what it tries.
    fn changes(&self, mark: usize) -> Journal {
        let mut journal = self.since(mark);
        journal.entries.retain(|entry| entry.call.is_write());
        journal
    }

    /// Labels of the writes since `mark`, sorted.
    fn writes(&self, mark: usize) -> Vec<String> {
        let mut labels: Vec<String> = self
            .since(mark)
            .writes()
            .iter()
            .map(|entry| entry.call.label())
            .collect();
        labels.sort();
        labels
    }

    /// Fails unless these writes and no others were sent since `mark`, each as often as it is named.
    #[track_caller]
    fn assert_writes(&self, mark: usize, expected: &[&str]) {
        let mut expected: Vec<String> = expected.iter().map(|label| (*label).to_owned()).collect();
        expected.sort();
        assert_eq!(
            self.writes(mark),
            expected,
            "in order:\n{}",
            self.since(mark).render()
        );
    }

    /// Fails if the daemon wrote to AWS or to the cluster since the marks, Events and status apart.
    #[track_caller]
    fn assert_changed_nothing(&self, mark: usize, audited: usize) {
        self.since(mark).assert_changed_nothing();
        let written: Vec<String> = self.audit().split_off(audited);
        assert!(written.is_empty(), "the API server saw {written:#?}");
    }

    /// The daemon's requests in the audit log that could have changed something: no Events, reviews, status, dry runs.
    fn audit(&self) -> Vec<String> {
        self.bed
            .audit()
            .into_iter()
            .filter(|entry| entry["user"]["username"] == "system:serviceaccount:albsync:albsync")
            .filter(|entry| {
                let resource = entry["objectRef"]["resource"].as_str().unwrap_or_default();
                resource != "events"
                    && !resource.ends_with("reviews")
                    && entry["objectRef"]["subresource"] != "status"
            })
            .map(|entry| {
                format!(
                    "{} {}",
                    entry["verb"].as_str().unwrap_or_default(),
                    entry["requestURI"].as_str().unwrap_or_default()
                )
            })
            .filter(|line| !line.contains("dryRun=All"))
            .collect()
    }

    /// To be asked at each test's end.
    #[track_caller]
    fn assert_guard(&self) {
        self.bed.proxy.journal().assert_guard();
    }
}

/// What the servers hold, in the words of tests.
impl Scene {
    /// The one balancer.
    #[track_caller]
    fn balancer(&self) -> Value {
        only(self.bed.aws("elbv2", "DescribeLoadBalancers", json!({}))["LoadBalancers"].take())
    }

    #[track_caller]
    fn listener(&self) -> Value {
        let arn = self.balancer()["LoadBalancerArn"].take();
        only(
            self.bed.aws(
                "elbv2",
                "DescribeListeners",
                json!({"LoadBalancerArn": arn}),
            )["Listeners"]
                .take(),
        )
    }

    /// The rules in the order in which AWS tries them, without the default.
    fn rules(&self) -> Vec<Rule> {
        let arn = self.listener()["ListenerArn"].take();
        rules(&self.bed, &arn)
    }

    /// The one rule for this path.
    #[track_caller]
    fn rule(&self, path: &str) -> Rule {
        let found: Vec<Rule> = self
            .rules()
            .into_iter()
            .filter(|rule| rule.paths[0] == path)
            .collect();
        assert_eq!(found.len(), 1, "rules for {path}: {found:#?}");
        found.into_iter().next().expect("one rule")
    }

    /// The paths in the order in which AWS tries them.
    fn paths(&self) -> Vec<String> {
        self.rules()
            .into_iter()
            .map(|rule| rule.paths[0].clone())
            .collect()
    }

    /// The target group of a Service.
    #[track_caller]
    fn target_group(&self, service: &str) -> Value {
        let prefix = format!("k8s-default-{service}-");
        let all = self.bed.aws("elbv2", "DescribeTargetGroups", json!({}))["TargetGroups"].take();
        let found = list(&all)
            .iter()
            .filter(|group| text(&group["TargetGroupName"]).starts_with(&prefix))
            .cloned()
            .collect();
        only(Value::Array(found))
    }

    #[track_caller]
    fn tags(&self, arn: &Value) -> Value {
        let described = self
            .bed
            .aws("elbv2", "DescribeTags", json!({"ResourceArns": [arn]}));
        pairs(&described["TagDescriptions"][0]["Tags"])
    }

    /// A security group by its name.
    #[track_caller]
    fn security_group(&self, name: &str) -> Value {
        let filter = json!({"Filters": [{"Name": "group-name", "Values": [name]}]});
        only(self.bed.aws("ec2", "DescribeSecurityGroups", filter)["SecurityGroups"].take())
    }

    /// What the nodes' security group admits.
    fn node_permissions(&self) -> Vec<Value> {
        let filter = json!({"GroupIds": [self.node_group()]});
        let mut group =
            only(self.bed.aws("ec2", "DescribeSecurityGroups", filter)["SecurityGroups"].take());
        list(&group["IpPermissions"].take()).to_vec()
    }

    fn node_group(&self) -> String {
        let instance = text(&self.bed.facts["aws"]["instances"][0]["id"]).to_owned();
        let found = self.bed.aws(
            "ec2",
            "DescribeInstances",
            json!({"InstanceIds": [instance]}),
        );
        text(&found["Reservations"][0]["Instances"][0]["SecurityGroups"][0]["GroupId"]).to_owned()
    }

    /// The one role under albsync's path.
    #[track_caller]
    fn role(&self) -> Value {
        only(
            self.bed
                .aws("iam", "ListRoles", json!({"PathPrefix": "/albsync/"}))["Roles"]
                .take(),
        )
    }

    #[track_caller]
    fn object(&self, kind: &str, name: &str) -> Value {
        self.bed
            .object(kind, "default", name)
            .unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    fn node_port(&self, service: &str) -> u64 {
        self.object("service", service)["spec"]["ports"][0]["nodePort"]
            .as_u64()
            .expect("a node port")
    }

    /// Messages of an object's events with this reason.
    fn events(&self, object: &str, reason: &str) -> Vec<String> {
        let selector = format!("involvedObject.name={object},reason={reason}");
        let answer: Value = serde_json::from_str(&self.bed.kubectl(&[
            "get",
            "events",
            "--field-selector",
            &selector,
            "--output",
            "json",
        ]))
        .expect("events in JSON");
        list(&answer["items"])
            .iter()
            .map(|event| text(&event["message"]).to_owned())
            .collect()
    }

    /// Waits for an event whose message contains all of these.
    #[track_caller]
    fn event(&self, object: &str, reason: &str, parts: &[&str]) -> String {
        self.eventually(
            &format!("event {reason} on {object} with {parts:?}"),
            PATIENCE,
            |_| {
                self.events(object, reason)
                    .into_iter()
                    .find(|message| parts.iter().all(|part| message.contains(part)))
            },
        )
    }

    /// ARNs and ids by name: what must survive where two commits hold the same.
    fn identities(&self) -> Value {
        let dump = self.bed.dump_with_ids();
        let by = |items: &Value, name: &str, id: &str| -> Value {
            list(items)
                .iter()
                .map(|item| (text(&item[name]).to_owned(), item[id].clone()))
                .collect()
        };
        let aws = &dump["aws"];
        let uids: Value = dump["cluster"]["objects"]
            .as_object()
            .expect("objects by name")
            .iter()
            .filter(|(label, _)| !label.starts_with("replicasets"))
            .map(|(label, object)| (label.clone(), object["metadata"]["uid"].clone()))
            .collect();
        let rules: Value = self
            .rules()
            .into_iter()
            .map(|rule| (rule.paths.join(" "), rule.arn))
            .collect();
        json!({
            "balancers": by(&aws["elbv2"]["load_balancers"], "LoadBalancerName", "LoadBalancerArn"),
            "targetGroups": by(&aws["elbv2"]["target_groups"], "TargetGroupName", "TargetGroupArn"),
            "listener": self.listener()["ListenerArn"],
            "rules": rules,
            "securityGroups": by(&aws["ec2"]["security_groups"], "GroupName", "GroupId"),
            "roles": by(&aws["iam"]["roles"], "RoleName", "RoleId"),
            "policies": by(&aws["iam"]["policies"], "PolicyName", "PolicyId"),
            "objects": uids,
        })
    }
}

/// A rule as far as tests look at it.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    arn: Value,
    priority: u32,
    hosts: Vec<String>,
    paths: Vec<String>,
    target_group: Value,
}

fn rules(bed: &Bed, listener: &Value) -> Vec<Rule> {
    let all = bed.aws("elbv2", "DescribeRules", json!({"ListenerArn": listener}))["Rules"].take();
    let mut rules: Vec<Rule> = list(&all)
        .iter()
        .filter(|rule| rule["IsDefault"] == false)
        .map(|rule| {
            let action = &rule["Actions"][0];
            let long = &action["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"];
            Rule {
                arn: rule["RuleArn"].clone(),
                priority: text(&rule["Priority"]).parse().expect("a number"),
                hosts: condition(rule, "host-header"),
                paths: condition(rule, "path-pattern"),
                target_group: if long.is_null() {
                    action["TargetGroupArn"].clone()
                } else {
                    long.clone()
                },
            }
        })
        .collect();
    rules.sort_by_key(|rule| rule.priority);
    rules
}

fn condition(rule: &Value, field: &str) -> Vec<String> {
    let key = if field == "host-header" {
        "HostHeaderConfig"
    } else {
        "PathPatternConfig"
    };
    list(&rule["Conditions"])
        .iter()
        .filter(|condition| condition["Field"] == field)
        .flat_map(|condition| {
            let long = &condition[key]["Values"];
            let values = if long.is_null() {
                &condition["Values"]
            } else {
                long
            };
            list(values)
                .iter()
                .map(|value| text(value).to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// `[{"Key": …, "Value": …}]` as a map.
fn pairs(given: &Value) -> Value {
    list(given)
        .iter()
        .map(|pair| (text(&pair["Key"]).to_owned(), pair["Value"].clone()))
        .collect()
}

#[track_caller]
fn only(items: Value) -> Value {
    let Value::Array(items) = items else {
        panic!("not a list: {items:#}")
    };
    assert_eq!(items.len(), 1, "{items:#?}");
    items.into_iter().next().expect("one item")
}

#[track_caller]
fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("not a list: {value:#}"))
}

#[track_caller]
fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value:#}"))
}

/// One line for each difference, so that a failure can be read.
#[track_caller]
fn assert_same(what: &str, before: &Value, after: &Value) {
    let mut found = Vec::new();
    differences("", before, after, &mut found);
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

fn differences(place: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                differences(
                    &format!("{place}/{key}"),
                    value,
                    b.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                found.push(format!("{place}/{key}: absent → {value}"));
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{place}/{index}"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{place}: {a} → {b}")),
    }
}
