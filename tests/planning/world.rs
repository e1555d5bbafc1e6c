//! An account and a cluster with a memory of what was applied, and passes over them.

use std::collections::{BTreeMap, BTreeSet};

use albsync::{
    apply::{
        Ports,
        effects::{effects, intents},
        exec::execute,
        outputs::Outputs,
    },
    aws::{
        IamRead,
        fake::{FakeAccount, State},
    },
    cluster::fake::FakeCluster,
    id::{Arn, Generation, ResourceKind, Revision, SecurityGroupId, StackId},
    model::{
        applied::Applied,
        desired::Desired,
        net::{SecurityGroup, Tags},
        observed::{
            NameTaken, Observed, ObservedGroup, ObservedNetwork, ObservedProvider, ObservedRole,
        },
        tags,
    },
    observe::cluster::{Scope, objects},
    plan::{
        Inputs, PlanOptions,
        audit::audit,
        op::{Action, Plan},
        prepare, route,
    },
};
use futures::executor::block_on;

use crate::fixture::{CLUSTER, Wish};

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
        if let Action::SetIngressStatus { load_balancer, .. } = &op.action {
            // A balancer of this very plan: its name is an output too.
            if let albsync::model::desired::Ref::Output(id) = load_balancer {
                let arn = self.applied.resources[id].arn.clone().unwrap();
                let dns_name = self.aws.state().load_balancers[&arn]
                    .dns_name
                    .to_lowercase();
                let output = albsync::plan::record::Output {
                    id: Some(arn),
                    unique_id: None,
                    dns_name: Some(dns_name),
                };
                outputs.insert(id.clone(), output);
            }
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

    pub fn observe(&self, desired: &Desired) -> Observed {
        let state = self.aws.state();
        let mut ids: BTreeSet<String> = desired.groups.keys().cloned().collect();
        ids.extend(self.applied.groups());
        let (found, gaps) = block_on(objects(
            &self.cluster,
            &desired.objects,
            &self.applied.inventory,
            &Scope::All,
        ));
        assert!(gaps.is_empty());
        Observed {
            groups: ids
                .iter()
                .map(|id| (id.clone(), self.group(&state, desired, id)))
                .collect(),
            network: Some(self.network(&state)),
            provider: Some(ObservedProvider {
                provider: state.providers.values().next().cloned(),
            }),
            roles: self.roles(desired),
            objects: found,
            gaps: Vec::new(),
        }
    }

    fn known(&self, stack: &StackId) -> BTreeSet<Arn> {
        let resources = self
            .applied
            .resources
            .iter()
            .filter(|(id, _)| id.stack == *stack);
        resources
            .filter_map(|(_, applied)| applied.arn.clone())
            .collect()
    }

    fn group(&self, state: &State, desired: &Desired, id: &str) -> ObservedGroup {
        let known = self.known(&StackId::Group(id.to_owned()));
        let ours = |arn: &str, found: &Tags| {
            known.contains(&Arn::new(arn))
                || (found.get(tags::STACK).is_some_and(|stack| stack == id)
                    && found
                        .get(tags::CLUSTER)
                        .is_some_and(|cluster| cluster == CLUSTER))
        };
        let load_balancers: Vec<_> = state
            .load_balancers
            .values()
            .filter(|live| ours(live.arn.as_str(), &live.tags))
            .cloned()
            .collect();
        let listeners: Vec<_> = state
            .listeners
            .values()
            .filter(|live| {
                load_balancers
                    .iter()
                    .any(|balancer| balancer.arn == live.load_balancer)
            })
            .cloned()
            .collect();
        let target_groups: Vec<_> = state
            .target_groups
            .values()
            .filter(|live| ours(live.arn.as_str(), &live.tags))
            .cloned()
            .collect();
        let security_groups: Vec<_> = state
            .security_groups
            .values()
            .filter(|live| ours(live.id.as_str(), &live.tags))
            .cloned()
            .collect();
        let mut name_taken = Vec::new();
        if let Some(wanted) = desired.groups.get(id) {
            let taken = state.load_balancers.values().filter(|live| {
                live.name == wanted.load_balancer.name && !load_balancers.contains(live)
            });
            name_taken.extend(taken.map(|live| NameTaken {
                name: live.name.clone(),
                id: live.arn.to_string(),
                tags: live.tags.clone(),
            }));
        }
        ObservedGroup {
            rules: state
                .rules
                .values()
                .filter(|live| {
                    listeners
                        .iter()
                        .any(|listener| listener.arn == live.listener)
                })
                .cloned()
                .collect(),
            load_balancers,
            listeners,
            target_groups,
            security_groups,
            name_taken,
        }
    }

    fn network(&self, state: &State) -> ObservedNetwork {
        let backend = |live: &&SecurityGroup| {
            live.tags
                .get(tags::SHARED_RESOURCE)
                .is_some_and(|value| value == tags::BACKEND_SG)
                && live
                    .tags
                    .get(tags::CLUSTER)
                    .is_some_and(|cluster| cluster == CLUSTER)
        };
        let nodes = SecurityGroupId::from("sg-nodes");
        ObservedNetwork {
            backend_groups: state
                .security_groups
                .values()
                .filter(backend)
                .cloned()
                .collect(),
            node_groups: [(nodes.clone(), state.security_groups[&nodes].clone())].into(),
        }
    }

    fn roles(&self, desired: &Desired) -> BTreeMap<String, ObservedRole> {
        let state = self.aws.state();
        let mut ids: BTreeSet<String> = desired.roles.keys().cloned().collect();
        let recorded = self
            .applied
            .resources
            .keys()
            .filter_map(|id| match &id.stack {
                StackId::Role(name) => Some(name.clone()),
                _ => None,
            });
        ids.extend(recorded);
        ids.into_iter()
            .map(|id| {
                let wanted = desired.roles.get(&id);
                let known = self.known(&StackId::Role(id.clone()));
                let role = state.roles.values().find(|live| {
                    wanted.is_some_and(|wanted| wanted.role.name == live.name)
                        || known.contains(&live.arn)
                });
                let policies = state.policies.keys().filter(|arn| {
                    known.contains(*arn)
                        || wanted.is_some_and(|wanted| {
                            wanted.policies.values().any(|policy| policy.arn == **arn)
                        })
                        || state.policies[*arn].tags.get(tags::OBJECT) == Some(&id)
                });
                let policies = policies
                    .filter_map(|arn| Some((arn.clone(), block_on(self.aws.policy(arn)).ok()??)))
                    .collect();
                (
                    id,
                    ObservedRole {
                        role: role.cloned(),
                        policies,
                    },
                )
            })
            .collect()
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
                        albsync::model::elb::Condition::PathPattern { values } => {
                            values.first().cloned()
                        }
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
