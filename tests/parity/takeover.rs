//! LBC is stopped, albsync is started with `checks: lbc`, and nothing changes: each recorded model is put into an account
//! as LBC's deploy would have left it, and the first plan over it holds no operation.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

use albsync::{
    aws::fake::{FakeAccount, State},
    id::{Generation, ObjectRef, SecurityGroupId, StackId},
    manifest,
    model::{
        applied::Applied,
        build::build,
        desired::Desired,
        elb::Target,
        facts::{EndpointFact, Facts, SecretFact},
        net::SecurityGroup,
        object::LiveObject,
        observed::{DryRun, Observed, ObservedGroup, ObservedObject},
    },
    observe::aws::{self, GroupKnown, NetworkKnown, Scan},
    plan::{Inputs, PlanOptions, audit::audit, op::Plan, prepare, route},
};
use futures::executor::block_on;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    corpus::{self, AREAS, Case, cases, read_json},
    deployed::{self, Cluster},
};

const NODES: &str = "node-sg";
/// An address in the VPC for each pod.
const PODS: [&str; 2] = ["10.0.80.11", "10.0.96.12"];

/// Groups of the corpus that are taken over, and those that wait whole.
const TAKEN_OVER: usize = 245;
const HELD: usize = 51;
/// Held because AWS has never taken it of anybody: a port that is none, too many conditions, HTTPS without a certificate.
const REFUSED_BY_AWS: [&str; 4] = [
    "b-ctl-zero",
    "b-hc-port-range",
    "r-cond-order",
    "t-cert-find-no-hosts",
];

#[test]
fn what_the_controller_built_is_taken_over_without_a_change() {
    let account = read_json("account.json");
    let only = std::env::var("PARITY").unwrap_or_default();
    let (mut report, mut taken_over, mut held) = (String::new(), 0, 0);
    let mut refused = BTreeSet::new();
    let built = |case: &Case| case.answer["groups"].is_object() && case.slug.contains(&only);
    for case in AREAS.into_iter().flat_map(cases).filter(built) {
        let first = FirstPass::over(&case, &account, |_| {});
        for change in first.changes() {
            writeln!(report, "{}: {change}", case.slug).unwrap();
        }
        for id in case.answer["groups"].as_object().unwrap().keys() {
            let stack = StackId::Group(id.clone());
            let waiting = first.desired.waiting.iter().find(|it| it.stack == stack);
            match waiting {
                None => taken_over += 1,
                Some(waiting) => {
                    held += 1;
                    // A member that LBC leaves out is a problem of the commit, which is refused whole.
                    if !waiting.reason.contains("not served yet")
                        && case.answer.get("leavesOut").is_none()
                    {
                        refused.insert(case.slug.clone());
                    }
                }
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
    if only.is_empty() {
        assert!(refused.iter().eq(REFUSED_BY_AWS), "{refused:#?}");
        assert_eq!((taken_over, held), (TAKEN_OVER, HELD));
    }
}

/// What somebody did to the account after LBC was stopped.
type Edit = (&'static str, fn(&mut State));

const EDITS: &[Edit] = &[
    ("a tag of the balancer", |state| {
        for live in state.load_balancers.values_mut() {
            live.tags.retain(|key, _| key.contains('/'));
        }
    }),
    ("a subnet", |state| {
        let live = state.load_balancers.values_mut();
        live.for_each(|live| drop(live.subnets.pop_first()));
    }),
    ("a security group", |state| {
        let live = state.load_balancers.values_mut();
        live.for_each(|live| drop(live.security_groups.pop()));
    }),
    ("the balancer's attributes", |state| {
        for live in state.load_balancers.values_mut() {
            live.attributes
                .values_mut()
                .for_each(|value| value.push('0'));
        }
    }),
    ("an inbound permission", |state| {
        for group in state.security_groups.values_mut() {
            if group.description.contains("Managed") {
                group.ingress.pop_first();
            }
        }
    }),
    ("what the nodes let in", |state| {
        for group in state.security_groups.values_mut() {
            group.ingress.retain(|it| it.description.is_empty());
        }
    }),
    ("the default action", |state| {
        state
            .listeners
            .values_mut()
            .for_each(|live| live.default_actions.clear());
    }),
    ("the default certificate", |state| {
        for live in state.listeners.values_mut() {
            live.tls.default_certificate = None;
        }
    }),
    ("the policy", |state| {
        for live in state.listeners.values_mut() {
            live.tls.ssl_policy = Some("ELBSecurityPolicy-FS-2018-06".to_owned());
        }
    }),
    ("client certificates", |state| {
        for live in state.listeners.values_mut() {
            live.tls.mutual_authentication = None;
        }
    }),
    ("the listener's attributes", |state| {
        for live in state.listeners.values_mut() {
            live.attributes
                .values_mut()
                .for_each(|value| value.push('0'));
        }
    }),
    ("a listener's tag", |state| {
        for live in state.listeners.values_mut() {
            live.tags.retain(|key, _| key.contains('/'));
        }
    }),
    ("the order of rules", |state| {
        for live in state.rules.values_mut() {
            live.priority = 100 - live.priority;
        }
    }),
    ("a rule's conditions", |state| {
        state
            .rules
            .values_mut()
            .for_each(|live| drop(live.conditions.pop()));
    }),
    ("a rule's actions", |state| {
        state
            .rules
            .values_mut()
            .for_each(|live| drop(live.actions.pop()));
    }),
    ("a rule's rewrites", |state| {
        state
            .rules
            .values_mut()
            .for_each(|live| live.transforms.clear());
    }),
    ("a rule's tag", |state| {
        for live in state.rules.values_mut() {
            live.tags.retain(|key, _| key.contains('/'));
        }
    }),
    ("a health check", |state| {
        for live in state.target_groups.values_mut() {
            live.health_check.interval_seconds += 1;
        }
    }),
    ("a target group's attributes", |state| {
        for live in state.target_groups.values_mut() {
            live.attributes
                .values_mut()
                .for_each(|value| value.push('0'));
        }
    }),
    ("a target", |state| {
        state
            .target_groups
            .values_mut()
            .for_each(|live| drop(live.targets.pop_first()));
    }),
];

/// Or the test above would pass for want of looking.
#[test]
fn every_part_that_differs_is_seen_by_the_first_pass() {
    let account = read_json("account.json");
    let slugs = [
        "b-attr-service-replaces",
        "g-icp-first-wins",
        "g-m-mtls-one",
        "r-tr-both",
        "l-attr-group-merge",
        "l-sub-icp-ids",
        "l-tags-group",
        "t-attrs-two-listeners",
    ];
    let all: Vec<Case> = AREAS.into_iter().flat_map(cases).collect();
    let mut unseen: BTreeSet<&str> = EDITS.iter().map(|(name, _)| *name).collect();
    for case in all
        .iter()
        .filter(|case| slugs.contains(&case.slug.as_str()))
    {
        for (name, edit) in EDITS {
            if !FirstPass::over(case, &account, edit).changes().is_empty() {
                unseen.remove(name);
            }
        }
    }
    assert_eq!(unseen, BTreeSet::new());
}

/// The plans of the first pass after LBC was stopped: no store, everything found by tags.
struct FirstPass {
    desired: Desired,
    prepare: Plan,
    route: Plan,
}

impl FirstPass {
    fn over(case: &Case, account: &Value, edit: impl FnOnce(&mut State)) -> Self {
        let mut facts = corpus::facts(case, account);
        let services = Service::all(&case.input);
        add_live_facts(&mut facts, &services, &case.input);
        let aws = account_after_lbc(case, &facts, &services);
        aws.edit(edit);
        let (cluster, vpc) = (facts.cluster.clone().unwrap(), facts.vpc.clone().unwrap());
        let scan = Arc::new(block_on(Scan::read(&aws, &cluster, &vpc.id)));
        let applied = Applied::default();
        let (balancers, gaps) = block_on(aws::load_balancers(&aws, &applied, Some(&scan)));
        assert_eq!(gaps, []);
        facts.load_balancers = balancers;
        let settings = corpus::settings(&facts);
        let files = corpus::snapshot(&[("input.yaml", case.input.clone())]);
        let manifests = manifest::parse(&files, &corpus::options()).value;
        let desired = build(&manifests, &facts, &settings).value;
        let observed = block_on(observe(&aws, &cluster, &desired, &scan));
        assert_eq!(aws.writes(), Vec::<String>::new());
        let mut scope: BTreeSet<StackId> = desired.stacks().into_keys().collect();
        scope.extend(desired.waiting.iter().map(|waiting| waiting.stack.clone()));
        scope.extend([StackId::Cluster, StackId::Network, StackId::Provider]);
        let inputs = Inputs {
            desired: &desired,
            observed: &observed,
            applied: &applied,
            revision: None,
            base: Generation(0),
            scope: &scope,
            options: &PlanOptions::default(),
        };
        let (prepare, route) = (prepare(&inputs), route(&inputs));
        for plan in [&prepare, &route] {
            audit(plan, &inputs).unwrap_or_else(|unfit| panic!("{}: {unfit}", case.slug));
        }
        Self {
            prepare,
            route,
            desired,
        }
    }

    /// Everything that would be written to AWS or into an Ingress's status, and what would be written but for a guard.
    fn changes(&self) -> Vec<String> {
        let plans = [&self.prepare, &self.route];
        let ops = plans.into_iter().flat_map(|plan| &plan.ops);
        let held = plans.into_iter().flat_map(|plan| &plan.held);
        ops.filter(|op| op.action.is_for_aws())
            .map(|op| format!("{:?}: {:?}", op.action, op.reason))
            .chain(
                held.filter(|held| matches!(held.stack, StackId::Group(_) | StackId::Network))
                    .filter(|held| held.code != "WaitingForFacts")
                    .map(|held| format!("{held:?}")),
            )
            .collect()
    }
}

async fn observe(
    aws: &FakeAccount,
    cluster: &str,
    desired: &Desired,
    scan: &Arc<Scan>,
) -> Observed {
    let applied = Applied::default();
    let mut observed = Observed::default();
    for (id, wanted) in &desired.groups {
        let mut known = GroupKnown::new(id, Some(wanted), &applied);
        known.scan = Some(scan.clone());
        let (group, gaps) = aws::group(aws, id, cluster, &known).await;
        assert_eq!(gaps, []);
        for member in &wanted.members {
            let (key, live) = (member.reference.key(), ingress(&member.reference, &group));
            observed.objects.insert(key, live);
        }
        observed.groups.insert(id.clone(), group);
    }
    let nodes = aws.state().instances.into_values().flatten().collect();
    let mut known = NetworkKnown::new(nodes, &applied);
    known.scan = Some(scan.clone());
    let (network, gaps) = aws::network(aws, cluster, &known).await;
    assert_eq!(gaps, []);
    observed.network = Some(network);
    observed
}

/// A member as LBC left it: with the balancer's name and ports in its status, and with LBC's finalizer.
fn ingress(reference: &ObjectRef, group: &ObservedGroup) -> ObservedObject {
    let ports = group.listeners.iter();
    let ports: Vec<Value> = ports
        .map(|listener| json!({"port": listener.port, "protocol": "TCP"}))
        .collect();
    let balancers = group.load_balancers.iter();
    let published: Vec<Value> = balancers
        .map(|live| json!({"hostname": live.dns_name.to_lowercase(), "ports": ports}))
        .collect();
    ObservedObject {
        live: Some(LiveObject {
            reference: reference.clone(),
            uid: "1".to_owned(),
            resource_version: "1".to_owned(),
            value: json!({
                "metadata": {"finalizers": ["ingress.k8s.aws/resources"]},
                "status": {"loadBalancer": {"ingress": published}},
            }),
            managers: vec!["kubectl".to_owned(), "controller".to_owned()],
            deleting: false,
        }),
        dry_run: Some(DryRun::Same),
    }
}

/// The account of the corpus with everything that LBC made for this case.
fn account_after_lbc(
    case: &Case,
    facts: &Facts,
    services: &BTreeMap<String, Service>,
) -> FakeAccount {
    let cluster = facts.cluster.as_deref().unwrap();
    let aws = FakeAccount::seeded(cluster);
    let instances: Vec<String> = facts
        .instance_groups
        .iter()
        .flatten()
        .map(|(id, _)| id.clone())
        .collect();
    let pods = |service: &str, port: &str| services[service].pods(port);
    let cluster = Cluster {
        name: cluster,
        instances: &instances,
        pods: &pods,
    };
    aws.edit(|state| {
        state.region = facts.region.clone().unwrap();
        state.account = facts.account.clone().unwrap();
        state.vpc = facts.vpc.clone().unwrap();
        state.subnets = facts.subnets.clone().unwrap();
        state.instances = facts.instance_groups.clone().unwrap();
        let groups = facts.security_groups.iter().flatten();
        state.security_groups = groups
            .map(|fact| {
                let live = SecurityGroup {
                    id: fact.id.clone(),
                    name: fact.name.clone(),
                    description: "of the account".to_owned(),
                    vpc_id: state.vpc.id.clone(),
                    tags: fact.tags.clone(),
                    ingress: BTreeSet::new(),
                };
                (fact.id.clone(), live)
            })
            .collect();
        for (id, model) in case.answer["groups"].as_object().unwrap() {
            let certificates = match &case.answer["certificates"][id] {
                Value::Null => &json!({"443": [certificates_by_arn(&case.input), []]}),
                recorded => recorded,
            };
            deployed::deploy(state, &cluster, id, model, certificates);
        }
    });
    aws
}

/// What the recording does not hold, because it does not shape the model: who is registered, and Secrets' versions.
fn add_live_facts(facts: &mut Facts, services: &BTreeMap<String, Service>, input: &str) {
    let groups = facts.security_groups.iter().flatten();
    let nodes: Vec<SecurityGroupId> = groups
        .filter(|group| group.name == NODES)
        .map(|group| group.id.clone())
        .collect();
    let instances: Vec<String> = facts
        .nodes
        .iter()
        .flatten()
        .map(|node| node.name.clone())
        .collect();
    let of_nodes = instances.iter().map(|id| (id.clone(), nodes.clone()));
    facts.instance_groups = Some(of_nodes.collect());
    let endpoints = services.iter().map(|(name, service)| {
        let pods = PODS.iter().zip(&instances);
        let pods = pods.map(|(address, node)| EndpointFact {
            address: (*address).to_owned(),
            is_ready: true,
            node: Some(node.clone()),
            ports: service
                .ports
                .iter()
                .map(|port| (port.name.clone(), port.of_pods))
                .collect(),
        });
        (name.clone(), pods.collect())
    });
    facts.endpoints = Some(endpoints.collect::<BTreeMap<_, _>>().into());
    let secrets = documents(input, "Secret").map(|(name, _)| {
        let fact = SecretFact {
            resource_version: Some("7".to_owned()),
            ..SecretFact::default()
        };
        (name, fact)
    });
    // All that there is stands among the documents.
    facts.ingress_classes = Some(BTreeMap::new());
    facts.ingress_class_params = Some(BTreeMap::new());
    facts.secrets = Some(secrets.collect());
}

/// A Service's ports with what its pods listen on.
struct Service {
    ports: Vec<Port>,
}

struct Port {
    name: String,
    number: String,
    of_pods: u16,
}

impl Service {
    fn all(input: &str) -> BTreeMap<String, Self> {
        let services = documents(input, "Service");
        services
            .map(|(name, document)| {
                let ports = document["spec"]["ports"].as_array().into_iter().flatten();
                let ports = ports.zip(9000..).map(|(port, named)| {
                    let number = &port["port"];
                    let target = match &port["targetPort"] {
                        Value::Null => number.as_u64(),
                        target => target.as_u64(),
                    };
                    Port {
                        name: port["name"].as_str().unwrap_or_default().to_owned(),
                        number: number.to_string(),
                        of_pods: target.map_or(named, |target| target.try_into().unwrap()),
                    }
                });
                let ports = ports.collect();
                (name, Self { ports })
            })
            .collect()
    }

    fn pods(&self, port: &str) -> BTreeSet<Target> {
        let mut ports = self.ports.iter();
        let port = ports
            .find(|it| it.name == port || it.number == port)
            .unwrap();
        let pods = PODS.iter().map(|address| Target {
            id: (*address).to_owned(),
            port: port.of_pods,
            all_zones: false,
        });
        pods.collect()
    }
}

/// What the Ingresses name: where the recorder's AWS knew no listener of the kind and took none.
fn certificates_by_arn(input: &str) -> Vec<String> {
    let key = "alb.ingress.kubernetes.io/certificate-arn";
    let ingresses = documents(input, "Ingress");
    ingresses
        .filter_map(|(_, document)| {
            let arn = &document["metadata"]["annotations"][key];
            arn.as_str().map(str::to_owned)
        })
        .collect()
}

/// Documents of one kind by `namespace/name`.
fn documents(input: &str, kind: &str) -> impl Iterator<Item = (String, Value)> {
    serde_yaml::Deserializer::from_str(input).filter_map(move |document| {
        let document = Value::deserialize(document).ok()?;
        let metadata = &document["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or("default");
        let name = format!("{namespace}/{}", metadata["name"].as_str()?);
        (document["kind"] == kind).then_some((name, document))
    })
}
