mod account;
mod crash;
mod pace;
mod trouble;

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::yield_now;

use super::*;
use crate::{
    aws::fake::sample,
    cluster::fake::FakeCluster,
    id::{Arn, ObjectRef, OpId, ResourceId, ResourceKind, SecurityGroupId, StackId},
    model::{
        applied::{AppliedChange, AppliedStack, ResourceUpdate},
        call::Effect,
        desired::Ref,
        elb::*,
        iam::RoleSpec,
        net::{Permission, PermissionSource, SecurityGroupSpec, Tags},
        tags,
    },
    plan::{
        op::{Action, Cause, Reason, Settled, Stage},
        record::{Entry, Output},
    },
};
use account::{Account, Fault};

const GROUP: &str = "default/app";

struct World {
    account: Account,
    cluster: FakeCluster,
    store: Store,
    options: ApplyOptions,
}

impl World {
    fn new() -> Self {
        Self::with(Store::ephemeral().unwrap())
    }

    fn with(store: Store) -> Self {
        let account = Account::default();
        let clock = Arc::new(account.clock.clone());
        Self {
            account,
            cluster: FakeCluster::new(),
            store,
            options: ApplyOptions {
                seed: 7,
                clock,
                ..ApplyOptions::default()
            },
        }
    }

    fn ports(&self) -> Ports<'_> {
        Ports {
            aws: &self.account,
            cluster: &self.cluster,
        }
    }

    async fn apply(&self, plan: &Plan) -> Outcome {
        self.apply_until(plan, &Stop::never()).await
    }

    async fn apply_until(&self, plan: &Plan, stop: &Stop) -> Outcome {
        apply(
            plan,
            "test",
            self.ports(),
            &self.store,
            stop,
            &self.options,
            &|_| {},
        )
        .await
        .unwrap()
    }

    fn seconds(&self) -> u64 {
        self.options.clock.elapsed().as_secs()
    }

    fn entries(&self) -> Vec<Entry> {
        self.store.plans(1).unwrap().remove(0).entries
    }

    /// What the plan wants and is not there yet: a planner for one fixed desired state.
    fn create_plan(&self) -> Plan {
        let mut ops = Ops::default();
        let at = &self.account;
        let config_map = object("ConfigMap", "c");
        if self.cluster.object(&config_map).is_none() {
            ops.add(StackId::Cluster, ResourceKind::Object, "c", &[], |_| {
                Action::ApplyObject {
                    reference: config_map.clone(),
                    value: json!({
                        "apiVersion": "v1", "kind": "ConfigMap",
                        "metadata": {"name": "c", "namespace": "default"}, "data": {"k": "v"},
                    }),
                    force: false,
                }
            });
        }
        let group = at.group("sg").map(|live| live.id);
        if group.is_none() {
            ops.group(ResourceKind::SecurityGroup, "sg", |id| {
                Action::CreateSecurityGroup {
                    id,
                    spec: group_spec(),
                }
            });
        }
        let group_ref: Ref<SecurityGroupId> = known_or(group, ResourceKind::SecurityGroup, "sg");
        if at.group("sg").is_none_or(|live| live.ingress.len() < 2) {
            ops.group(ResourceKind::SecurityGroup, "sg", |_| {
                Action::AuthorizeIngress {
                    group: group_ref.clone(),
                    permissions: vec![permission(80), permission(443)],
                }
            });
        }
        let target_group = at.target_group("tg").map(|live| live.arn);
        if target_group.is_none() {
            ops.group(ResourceKind::TargetGroup, "tg", |id| {
                Action::CreateTargetGroup {
                    id,
                    spec: target_group_spec(),
                }
            });
        }
        let target_group: Ref<Arn> = known_or(target_group, ResourceKind::TargetGroup, "tg");
        if at
            .target_group("tg")
            .is_none_or(|live| live.targets.is_empty())
        {
            ops.group(ResourceKind::TargetGroup, "tg", |_| {
                Action::RegisterTargets {
                    target_group: target_group.clone(),
                    targets: [target()].into(),
                }
            });
        }
        let balancer = at.balancer("lb").map(|live| live.arn);
        if balancer.is_none() {
            ops.group(ResourceKind::LoadBalancer, "lb", |id| {
                Action::CreateLoadBalancer {
                    id,
                    spec: balancer_spec(group_ref.clone()),
                }
            });
        }
        let balancer: Ref<Arn> = known_or(balancer, ResourceKind::LoadBalancer, "lb");
        let listener = at.listener(80).map(|live| live.arn);
        if listener.is_none() {
            ops.group(ResourceKind::Listener, "80", |id| Action::CreateListener {
                id,
                load_balancer: balancer.clone(),
                spec: listener_spec(),
            });
        }
        let listener: Ref<Arn> = known_or(listener, ResourceKind::Listener, "80");
        for number in [100, 200] {
            if at.rule(number).is_none() {
                ops.group(ResourceKind::Rule, &number.to_string(), |id| {
                    Action::CreateRule {
                        id,
                        listener: listener.clone(),
                        priority: number,
                        spec: rule_spec(number, target_group.clone()),
                    }
                });
            }
        }
        let mut plan = ops.plan(&self.store);
        plan.settled = vec![Settled {
            stack: stack(),
            changes: vec![AppliedChange::SetStack(
                stack(),
                AppliedStack {
                    digest: "wanted".to_owned(),
                    revision: None,
                    grounds: None,
                },
            )],
        }];
        plan
    }

    fn delete_plan(&self) -> Plan {
        let mut ops = Ops::default();
        let at = &self.account;
        if let Some(live) = at.balancer("lb") {
            ops.group(ResourceKind::LoadBalancer, "lb", |_| {
                Action::DeleteLoadBalancer { arn: live.arn }
            });
        }
        if let Some(live) = at.target_group("tg") {
            ops.group(ResourceKind::TargetGroup, "tg", |_| {
                Action::DeleteTargetGroup { arn: live.arn }
            });
        }
        if let Some(live) = at.group("sg") {
            ops.group(ResourceKind::SecurityGroup, "sg", |_| {
                Action::DeleteSecurityGroup { group: live.id }
            });
        }
        let config_map = object("ConfigMap", "c");
        if let Some(live) = self.cluster.object(&config_map) {
            ops.add(StackId::Cluster, ResourceKind::Object, "c", &[], |_| {
                Action::DeleteObject {
                    reference: config_map,
                    uid: live["metadata"]["uid"].as_str().unwrap().to_owned(),
                }
            });
        }
        let mut plan = ops.plan(&self.store);
        plan.settled = vec![Settled {
            stack: stack(),
            changes: vec![AppliedChange::RemoveStack(stack())],
        }];
        plan
    }

    /// The world and what the store knows of it, without ids.
    fn summary(&self) -> (Vec<String>, usize, Vec<String>, Vec<String>) {
        let applied = self.store.applied();
        let known = applied
            .resources
            .iter()
            .map(|(id, resource)| format!("{id} {:?}", resource.targets))
            .collect();
        let stacks = applied.stacks.keys().map(ToString::to_string).collect();
        (
            self.account.dump(),
            self.cluster.objects().len(),
            known,
            stacks,
        )
    }
}

#[derive(Default)]
struct Ops(Vec<Op>);

impl Ops {
    /// Each of a group's operations needs the one before it.
    fn group(&mut self, kind: ResourceKind, name: &str, action: impl FnOnce(ResourceId) -> Action) {
        let before = self.0.iter().rev().find(|op| op.stack == stack());
        let needs: Vec<_> = before.map(|op| op.id.0).into_iter().collect();
        self.add(stack(), kind, name, &needs, action);
    }

    fn add(
        &mut self,
        stack: StackId,
        kind: ResourceKind,
        name: &str,
        needs: &[u32],
        action: impl FnOnce(ResourceId) -> Action,
    ) {
        let resource = ResourceId::new(stack.clone(), kind, name);
        self.0.push(Op {
            id: OpId(self.0.len() as u32),
            stack,
            action: action(resource.clone()),
            resource,
            needs: needs.iter().map(|need| OpId(*need)).collect(),
            reason: Reason {
                cause: Cause::Added,
                origin: None,
                differences: Vec::new(),
            },
            record: Vec::new(),
        });
    }

    fn plan(self, store: &Store) -> Plan {
        Plan {
            stage: Stage::Route,
            revision: None,
            base: store.generation(),
            ops: self.0,
            held: Vec::new(),
            foreign: Vec::new(),
            irreversible: Vec::new(),
            settled: Vec::new(),
            withheld: Vec::new(),
        }
    }
}

fn stack() -> StackId {
    StackId::Group(GROUP.to_owned())
}

fn known_or<T>(live: Option<T>, kind: ResourceKind, name: &str) -> Ref<T> {
    match live {
        Some(live) => Ref::Known(live),
        None => Ref::Output(ResourceId::new(stack(), kind, name)),
    }
}

fn object(kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("default".to_owned()),
        name: name.to_owned(),
    }
}

fn marks(resource: &str) -> Tags {
    [
        (tags::CLUSTER, "c"),
        (tags::STACK, GROUP),
        (tags::RESOURCE, resource),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn group_spec() -> SecurityGroupSpec {
    SecurityGroupSpec {
        name: "sg".to_owned(),
        description: "d".to_owned(),
        vpc_id: "vpc-1".to_owned(),
        tags: marks("ManagedLBSecurityGroup"),
        ingress: BTreeSet::new(),
    }
}

fn permission(port: i32) -> Permission {
    Permission {
        protocol: "tcp".to_owned(),
        from_port: port,
        to_port: port,
        source: PermissionSource::Cidr("0.0.0.0/0".to_owned()),
        description: String::new(),
    }
}

fn target() -> Target {
    Target {
        all_zones: false,
        id: "i-1".to_owned(),
        port: 30_080,
    }
}

fn target_group_spec() -> TargetGroupSpec {
    TargetGroupSpec {
        tags: marks("default/app-app1:80"),
        targets: [target()].into(),
        ..sample::target_group("tg")
    }
}

fn balancer_spec(group: Ref<SecurityGroupId>) -> LoadBalancerSpec {
    LoadBalancerSpec {
        name: "lb".to_owned(),
        scheme: Scheme::InternetFacing,
        ip_address_type: "ipv4".to_owned(),
        subnets: vec!["subnet-1".into()],
        security_groups: vec![group],
        attributes: BTreeMap::new(),
        tags: marks("LoadBalancer"),
    }
}

fn listener_spec() -> ListenerSpec {
    ListenerSpec {
        tls: None,
        port: 80,
        protocol: "HTTP".to_owned(),
        default_actions: Vec::new(),
        attributes: BTreeMap::new(),
        tags: marks("80"),
    }
}

fn rule_spec(number: u32, target_group: Ref<Arn>) -> RuleSpec {
    RuleSpec {
        transforms: Vec::new(),
        conditions: vec![Condition::PathPattern {
            values: vec![format!("/{number}"), format!("/{number}/*")].into(),
        }],
        actions: vec![RuleAction::Forward {
            target_groups: vec![WeightedTargetGroup {
                arn: target_group,
                weight: 1,
            }],
            stickiness_seconds: None,
        }],
        tags: marks(&format!("80:{number}")),
    }
}

const CREATES: [&str; 8] = [
    "CreateSecurityGroup",
    "AuthorizeIngress",
    "CreateTargetGroup",
    "RegisterTargets",
    "CreateLoadBalancer",
    "CreateListener",
    "CreateRule",
    "CreateRule",
];

#[tokio::test]
async fn operations_run_in_order_and_fill_in_the_ids_of_earlier_ones() {
    let world = World::new();
    let plan = world.create_plan();
    let outcome = world.apply(&plan).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(outcome.done, 9);
    assert_eq!(world.account.calls(), CREATES);

    let applied = world.store.applied();
    let balancer = ResourceId::new(stack(), ResourceKind::LoadBalancer, "lb");
    assert_eq!(
        applied.resources[&balancer].arn,
        world.account.balancer("lb").map(|live| live.arn)
    );
    assert_eq!(applied.resources.len(), 6);
    assert_eq!(applied.stacks[&stack()].digest, "wanted");
    let config_map = &applied.inventory[&object("ConfigMap", "c").key()];
    assert!(config_map.uid.is_some());
    assert_eq!(config_map.digest.len(), 64);
    // Nothing is left to do, and doing nothing opens no plan.
    let before = world.store.generation();
    let again = world.create_plan();
    assert!(again.is_empty());
    assert!(world.apply(&again).await.is_complete());
    assert_eq!(world.store.generation(), before);
}

#[tokio::test]
async fn intent_is_journaled_before_each_call_and_the_outcome_after_it() {
    let world = World::new();
    world.apply(&world.create_plan()).await;
    let entries = world.entries();
    let mut open = None;
    for entry in &entries {
        match entry {
            Entry::Begun { op, .. } => assert_eq!(open.replace(*op), None),
            Entry::Done { op, .. } => assert_eq!(open.take(), Some(*op)),
            Entry::Closed { outcome, .. } => assert!(outcome.is_complete()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(entries.len(), 19);
    assert!(world.store.unfinished().unwrap().is_empty());
}

#[tokio::test]
async fn an_object_is_in_the_inventory_before_it_is_applied() {
    let world = World::new();
    world.cluster.refuse(&object("ConfigMap", "c"), "no");
    let outcome = world.apply(&world.create_plan()).await;
    assert_eq!(outcome.failed.len(), 1);
    assert!(outcome.failed[0].blocked);
    let applied = world.store.applied();
    let intended = &applied.inventory[&object("ConfigMap", "c").key()];
    assert_eq!(intended.uid, None);
    // The other stack went on (gitops G16).
    assert!(world.account.rule(200).is_some());
}

#[tokio::test]
async fn a_throttled_account_delays_and_fails_nothing() {
    let world = World::new();
    world.account.throttle_for(Duration::from_secs(30));
    let outcome = world.apply(&world.create_plan()).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!((30..90).contains(&world.seconds()), "{}", world.seconds());
    // The service was left alone while it asked for that.
    assert!(world.account.calls().len() < CREATES.len() + 20);
    let mut effective = world.account.calls();
    effective.dedup();
    assert_eq!(
        effective,
        CREATES.iter().fold(Vec::new(), |mut all: Vec<&str>, call| {
            if all.last() != Some(call) {
                all.push(call);
            }
            all
        })
    );
}

#[tokio::test]
async fn a_plan_from_an_older_generation_writes_nothing() {
    let world = World::new();
    let plan = world.create_plan();
    world.apply(&plan).await;
    let calls = world.account.calls().len();
    let stale = apply(
        &plan,
        "test",
        world.ports(),
        &world.store,
        &Stop::never(),
        &world.options,
        &|_| {},
    )
    .await;
    assert!(matches!(
        stale,
        Err(ApplyError::Store(StoreError::Stale { .. }))
    ));
    assert_eq!(world.account.calls().len(), calls);
}

/// Lessons F6: the process ends right before and right after the effect of each single write.

#[test]
fn operations_on_a_replaced_resource_leave_the_record_of_its_successor_alone() {
    let mut ops = Ops::default();
    ops.group(ResourceKind::TargetGroup, "tg", |_| {
        Action::DeleteTargetGroup {
            arn: "arn:old".into(),
        }
    });
    let op = ops.0.remove(0);
    let mut applied = crate::model::applied::Applied::default();
    let update = ResourceUpdate {
        arn: Some("arn:new".into()),
        ..ResourceUpdate::default()
    };
    applied.change(&AppliedChange::UpdateResource(op.resource.clone(), update));
    let changes = effects::effects(&op, &op.action, &Output::default(), &applied);
    assert!(changes.is_empty(), "{changes:?}");
}

#[tokio::test]
async fn leaving_outranks_being_superseded() {
    let (stopper, stop) = Stop::pair();
    assert_eq!(stop.reason(), None);
    stopper.stop(StopReason::Superseded);
    assert_eq!(stop.told().await, StopReason::Superseded);
    stopper.stop(StopReason::Shutdown);
    stopper.stop(StopReason::Superseded);
    assert_eq!(stop.told().await, StopReason::Shutdown);
}
