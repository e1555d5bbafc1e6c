//! An account and a cluster with a memory of what was applied, and passes over them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use albsync::{
    apply::{
        Ports,
        effects::{effects, intents},
        exec::execute,
        outputs::Outputs,
    },
    aws::fake::FakeAccount,
    cluster::fake::FakeCluster,
    id::{Arn, Generation, ResourceKind, Revision, SecurityGroupId, StackId},
    model::{
        applied::Applied,
        desired::{Desired, Ref},
        elb::Condition,
        observed::{Gap, Observed, ObservedRole},
    },
    observe::{
        aws::{self, GroupKnown, NetworkKnown, RoleKnown, Scan},
        cluster::{Scope, objects},
    },
    plan::{
        Inputs, PlanOptions,
        audit::audit,
        op::{Action, Plan},
        prepare,
        record::Output,
        route,
    },
};
use futures::executor::block_on;

use crate::fixture::{CLUSTER, VPC, Wish, provider};

pub struct World {
    pub aws: FakeAccount,
    pub cluster: FakeCluster,
    pub applied: Applied,
    pub options: PlanOptions,
    pub revision: Revision,
}

/// Both plans of one pass, as they were carried out.
pub struct Pass {
    pub prepare: Plan,
    pub route: Plan,
}

impl Pass {
    pub fn is_quiet(&self) -> bool {
        [&self.prepare, &self.route]
            .iter()
            .all(|plan| plan.ops.is_empty() && plan.settled.is_empty() && plan.held.is_empty())
    }

    pub fn actions(&self) -> Vec<&Action> {
        self.prepare
            .ops
            .iter()
            .chain(&self.route.ops)
            .map(|op| &op.action)
            .collect()
    }

    pub fn codes(&self) -> Vec<&str> {
        let held = self.prepare.held.iter().chain(&self.route.held);
        held.map(|held| held.code.as_str()).collect()
    }
}

impl World {
    pub fn new() -> Self {
        Self {
            aws: FakeAccount::seeded(CLUSTER),
            cluster: FakeCluster::new(),
            applied: Applied::default(),
            options: PlanOptions::default(),
            revision: Revision::from("0123456789abcdef0123456789abcdef01234567"),
        }
    }

    /// One pass over everything, carried out; panics where a plan is unfit or a call fails.
    pub fn pass(&mut self, wish: &Wish) -> Pass {
        self.pass_desired(&wish.desired())
    }

    pub fn pass_desired(&mut self, desired: &Desired) -> Pass {
        let prepare = self.plan(desired, prepare);
        self.realise(&prepare);
        let route = self.plan(desired, route);
        self.realise(&route);
        Pass { prepare, route }
    }

    /// Plans without carrying out; every plan is audited.
    pub fn plan(&self, desired: &Desired, make: fn(&Inputs<'_>) -> Plan) -> Plan {
        self.plan_seen(desired, &self.observe(desired), make)
    }

    pub fn plan_seen(
        &self,
        desired: &Desired,
        observed: &Observed,
        make: fn(&Inputs<'_>) -> Plan,
    ) -> Plan {
        let scope = self.scope(desired);
        let inputs = Inputs {
            desired,
            observed,
            applied: &self.applied,
            revision: Some(&self.revision),
            base: Generation(1),
            scope: &scope,
            options: &self.options,
        };
        let plan = make(&inputs);
        if let Err(unfit) = audit(&plan, &inputs) {
            panic!("{unfit}\n{plan:#?}");
        }
        assert_eq!(plan, make(&inputs), "equal inputs make equal plans");
        plan
    }

    pub fn scope(&self, desired: &Desired) -> BTreeSet<StackId> {
        let mut scope: BTreeSet<StackId> = desired.stacks().into_keys().collect();
        scope.extend(self.applied.stacks.keys().cloned());
        scope.extend(self.applied.resources.keys().map(|id| id.stack.clone()));
        scope.extend(desired.waiting.iter().map(|waiting| waiting.stack.clone()));
        scope.extend([StackId::Cluster, StackId::Network, StackId::Provider]);
        scope
    }

    pub fn realise(&mut self, plan: &Plan) {
        for done in 0..plan.ops.len() {
            self.step(plan, done);
        }
        for settled in &plan.settled {
            settled
                .changes
                .iter()
                .for_each(|change| self.applied.change(change));
        }
    }

    /// Carries out one operation.
    pub fn step(&mut self, plan: &Plan, index: usize) {
        let op = &plan.ops[index];
        for change in intents(op, &self.applied) {
            self.applied.change(&change);
        }
        let mut outputs = Outputs::new(&self.applied);
        if let Action::SetIngressStatus {
            load_balancer: Ref::Output(id),
            ..
        } = &op.action
        {
            // A balancer of this very plan: its name is an output too.
            let arn = self.applied.resources[id].arn.clone().unwrap();
            let dns_name = self.aws.state().load_balancers[&arn]
                .dns_name
                .to_lowercase();
            let output = Output {
                id: Some(arn),
                unique_id: None,
                dns_name: Some(dns_name),
            };
            outputs.insert(id.clone(), output);
        }
        let action = outputs
            .resolve(&op.action)
            .unwrap_or_else(|error| panic!("{op:?}: {error}"));
        let ports = Ports {
            aws: &self.aws,
            cluster: &self.cluster,
        };
        let output =
            block_on(execute(&action, ports)).unwrap_or_else(|error| panic!("{op:#?}: {error}"));
        for change in effects(op, &action, &output, &self.applied) {
            self.applied.change(&change);
        }
    }

    /// Reads account and cluster as a pass does: known things by ARN, groups that the store does not know by a scan.
    pub fn observe(&self, desired: &Desired) -> Observed {
        block_on(self.read(desired))
    }

    async fn read(&self, desired: &Desired) -> Observed {
        let mut gaps = Vec::new();
        let scan = Arc::new(Scan::read(&self.aws, CLUSTER, VPC).await);
        let recorded = self.applied.groups();
        let mut groups = BTreeMap::new();
        for id in desired.groups.keys().chain(&recorded) {
            let mut known = GroupKnown::new(id, desired.groups.get(id), &self.applied);
            if !recorded.contains(id) {
                known.scan = Some(scan.clone());
            }
            let (seen, unread) = aws::group(&self.aws, id, CLUSTER, &known).await;
            groups.insert(id.clone(), seen);
            gaps.extend(unread);
        }
        let nodes = [SecurityGroupId::from("sg-nodes")].into();
        let known = NetworkKnown::new(nodes, &self.applied);
        let (network, unread) = aws::network(&self.aws, CLUSTER, &known).await;
        gaps.extend(unread);
        let (provider, unread) = aws::provider(&self.aws, &provider().arn).await;
        gaps.extend(unread);
        let (roles, unread) = self.read_roles(desired).await;
        gaps.extend(unread);
        let inventory = &self.applied.inventory;
        let (found, unread) =
            objects(&self.cluster, &desired.objects, inventory, &Scope::All).await;
        gaps.extend(unread);
        assert_eq!(gaps, []);
        Observed {
            groups,
            network: Some(network),
            provider: Some(provider),
            roles,
            objects: found,
            gaps,
        }
    }

    async fn read_roles(&self, desired: &Desired) -> (BTreeMap<String, ObservedRole>, Vec<Gap>) {
        let mut ids: BTreeSet<String> = desired.roles.keys().cloned().collect();
        ids.extend(
            self.applied
                .resources
                .keys()
                .filter_map(|id| match &id.stack {
                    StackId::Role(name) => Some(name.clone()),
                    _ => None,
                }),
        );
        let mut roles = BTreeMap::new();
        let mut gaps = Vec::new();
        for id in ids {
            let known = RoleKnown::new(&id, "/albsync/", desired.roles.get(&id), &self.applied);
            let (seen, unread) = aws::role(&self.aws, &id, &known).await;
            roles.insert(id, seen);
            gaps.extend(unread);
        }
        (roles, gaps)
    }

    /// Paths of the rules on one balancer's port 80 in order of evaluation.
    pub fn paths(&self) -> Vec<String> {
        let state = self.aws.state();
        let mut rules: Vec<_> = state.rules.values().collect();
        rules.sort_by_key(|rule| rule.priority);
        rules
            .into_iter()
            .filter_map(|rule| {
                rule.conditions
                    .iter()
                    .find_map(|condition| match condition {
                        Condition::PathPattern { values } => values.texts().first().cloned(),
                        _ => None,
                    })
            })
            .collect()
    }

    pub fn arn_of(&self, kind: ResourceKind, name: &str) -> Arn {
        let resources = &self.applied.resources;
        let found = resources
            .iter()
            .find(|(id, _)| id.kind == kind && id.name == name);
        found
            .and_then(|(_, applied)| applied.arn.clone())
            .unwrap_or_else(|| panic!("no {kind} {name}"))
    }
}
