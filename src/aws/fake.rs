//! An AWS account in memory: it keeps state, refuses what AWS refuses, and fails where it is told to.
//!
//! No mock: nothing is scripted but faults. Refusals and answers follow aws-deploy §10.4 and §10.5, irsa §6.3.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::{EksCluster, Identity, Result};
use crate::{
    id::{Arn, RoleName, SecurityGroupId, SubnetId},
    model::{
        call::{CallError, Effect},
        elb::{Listener, LoadBalancer, Rule, TargetGroup},
        facts::{CertificateFact, NamedArn, PrefixListFact, Subnet, Vpc},
        iam::{Policy, Provider, Role},
        net::SecurityGroup,
    },
};

mod ec2;
mod elb;
mod iam;
mod lookup;
pub mod sample;

/// Rules that one balancer holds until told otherwise (aws-deploy §10.1).
const RULE_LIMIT: usize = 100;

/// One account with one VPC and, once seeded, nodes and a cluster.
#[derive(Debug, Default)]
pub struct FakeAccount {
    state: Mutex<State>,
}

/// Everything the account holds; tests may edit it as a hand at the console would.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub region: String,
    pub account: String,
    pub caller: String,
    pub vpc: Vpc,
    pub subnets: Vec<Subnet>,
    pub security_groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    /// Instance id → groups of its primary interface.
    pub instances: BTreeMap<String, Vec<SecurityGroupId>>,
    pub load_balancers: BTreeMap<Arn, LoadBalancer>,
    pub listeners: BTreeMap<Arn, Listener>,
    pub rules: BTreeMap<Arn, Rule>,
    pub target_groups: BTreeMap<Arn, TargetGroup>,
    /// What ACM issued.
    pub certificates: BTreeSet<Arn>,
    pub providers: BTreeMap<Arn, Provider>,
    pub roles: BTreeMap<RoleName, Role>,
    pub policies: BTreeMap<Arn, Policy>,
    /// Documents of all versions.
    pub policy_versions: BTreeMap<(Arn, String), Value>,
    pub clusters: BTreeMap<String, Cluster>,
    pub acm_certificates: Vec<CertificateFact>,
    pub web_acls: Vec<NamedArn>,
    pub trust_stores: Vec<NamedArn>,
    pub prefix_lists: Vec<PrefixListFact>,
    /// Zone name → type; zones of subnets that are not in it are availability zones.
    pub zone_types: BTreeMap<String, String>,
    /// Limits beside those that the account holds to itself.
    pub account_limits: BTreeMap<String, u64>,
    /// Rules that one balancer may hold.
    pub rule_limit: usize,
    /// How often deleting a security group fails after its balancer went: interfaces outlive balancers.
    pub lingering: u32,
    lingers: BTreeMap<SecurityGroupId, u32>,
    /// For how many reads a new thing stays invisible.
    pub lag: u64,
    hidden: BTreeMap<String, u64>,
    reads: u64,
    next_id: u64,
    faults: Vec<Fault>,
    calls: Vec<Call>,
}

/// An EKS cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    pub arn: String,
    pub issuer: Option<String>,
    pub vpc_id: Option<String>,
}

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `service:Operation`.
    pub operation: String,
    /// What it was about: an ARN, id or name.
    pub subject: String,
    pub write: bool,
    /// The code that it failed with.
    pub failed: Option<String>,
}

/// A failure to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `CreateRule`, or `*` for any.
    pub operation: String,
    /// Fails the nth such call from now on, counted from 1.
    pub nth: u32,
    /// How many in a row.
    pub times: u32,
    pub kind: FaultKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Refused with this code; nothing happened.
    Refuse(String),
    /// It took effect and no answer came.
    TimeoutAfter,
    /// No answer came and nothing happened.
    TimeoutBefore,
}

impl FakeAccount {
    /// An account with a VPC, public and internal subnets in three zones, three nodes behind one security group, and an
    /// EKS cluster with an issuer.
    pub fn seeded(cluster: &str) -> Self {
        let vpc_id = "vpc-0a0a0a0a0a0a0a0a0".to_owned();
        let account = "123456789012".to_owned();
        let region = "eu-central-1".to_owned();
        let subnet = |index: usize, role: &str, prefix: &str| Subnet {
            id: SubnetId(format!("subnet-{prefix}{index}")),
            az: format!(
                "{region}{}",
                ["a", "b", "c"].get(index).copied().unwrap_or("a")
            ),
            cidr: format!("10.0.{}.0/24", index + if prefix == "pub" { 0 } else { 10 }),
            free_addresses: 250,
            tags: [
                (role.to_owned(), "1".to_owned()),
                (
                    format!("kubernetes.io/cluster/{cluster}"),
                    "shared".to_owned(),
                ),
            ]
            .into(),
            public: None,
            ..Subnet::default()
        };
        let public = (0..3).map(|index| subnet(index, "kubernetes.io/role/elb", "pub"));
        let internal = (0..3).map(|index| subnet(index, "kubernetes.io/role/internal-elb", "int"));
        let nodes = SecurityGroupId::from("sg-nodes");
        let state = State {
            caller: format!("arn:aws:iam::{account}:user/albsync"),
            subnets: public.chain(internal).collect(),
            security_groups: [(
                nodes.clone(),
                SecurityGroup {
                    id: nodes.clone(),
                    name: "nodes".to_owned(),
                    description: "nodes of the cluster".to_owned(),
                    vpc_id: vpc_id.clone(),
                    tags: [(
                        format!("kubernetes.io/cluster/{cluster}"),
                        "owned".to_owned(),
                    )]
                    .into(),
                    ingress: BTreeSet::new(),
                },
            )]
            .into(),
            instances: (0..3)
                .map(|index| (format!("i-{index:017}"), vec![nodes.clone()]))
                .collect(),
            clusters: [(
                cluster.to_owned(),
                Cluster {
                    arn: format!("arn:aws:eks:{region}:{account}:cluster/{cluster}"),
                    issuer: Some(format!(
                        "https://oidc.eks.{region}.amazonaws.com/id/0123456789ABCDEF"
                    )),
                    vpc_id: Some(vpc_id.clone()),
                },
            )]
            .into(),
            vpc: Vpc {
                id: vpc_id,
                cidrs: vec!["10.0.0.0/16".to_owned()],
            },
            rule_limit: RULE_LIMIT,
            region,
            account,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of everything.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    /// Changes the account behind everybody's back.
    pub fn edit<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.lock())
    }

    pub fn fail(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Refuses the next call of this operation.
    pub fn refuse_next(&self, operation: &str, code: &str) {
        self.fail(Fault {
            operation: operation.to_owned(),
            nth: 1,
            times: 1,
            kind: FaultKind::Refuse(code.to_owned()),
        });
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Every write so far, as `service:Operation`.
    pub fn writes(&self) -> Vec<String> {
        let state = self.lock();
        state
            .calls
            .iter()
            .filter(|call| call.write)
            .map(|call| call.operation.clone())
            .collect()
    }

    pub fn forget_calls(&self) {
        self.lock().calls.clear();
    }

    fn read<T>(
        &self,
        (service, operation): (&str, &str),
        subject: impl ToString,
        run: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        self.call((service, operation), subject.to_string(), false, run)
    }

    fn write<T>(
        &self,
        (service, operation): (&str, &str),
        subject: impl ToString,
        run: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        self.call((service, operation), subject.to_string(), true, run)
    }

    fn call<T>(
        &self,
        (service, operation): (&str, &str),
        subject: String,
        write: bool,
        run: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.lock();
        if !write {
            state.reads += 1;
        }
        let fault = state.next_fault(operation);
        let result = match fault {
            Some(FaultKind::Refuse(code)) => Err(refusal(&code, "refused as told")),
            Some(FaultKind::TimeoutBefore) => Err(timeout()),
            Some(FaultKind::TimeoutAfter) => run(&mut state).and_then(|_| Err(timeout())),
            None => run(&mut state),
        };
        let result = result.map_err(|error| CallError {
            service: service.to_owned(),
            operation: operation.to_owned(),
            ..error
        });
        state.calls.push(Call {
            operation: format!("{service}:{operation}"),
            subject,
            write,
            failed: result
                .as_ref()
                .err()
                .map(|error| error.code.clone().unwrap_or_else(|| "timeout".to_owned())),
        });
        result
    }
}

impl State {
    fn next_fault(&mut self, operation: &str) -> Option<FaultKind> {
        let mut hit = None;
        for fault in &mut self.faults {
            if fault.operation != operation && fault.operation != "*" {
                continue;
            }
            if fault.nth > 1 {
                fault.nth -= 1;
            } else if hit.is_none() && fault.times > 0 {
                fault.times -= 1;
                hit = Some(fault.kind.clone());
            }
        }
        self.faults.retain(|fault| fault.times > 0);
        hit
    }

    /// Sixteen hex digits that no other thing has.
    fn new_id(&mut self) -> String {
        self.next_id += 1;
        format!("{:016x}", self.next_id)
    }

    /// A new thing shows only after a while.
    fn hide(&mut self, id: &str) {
        if self.lag > 0 {
            self.hidden.insert(id.to_owned(), self.reads + self.lag);
        }
    }

    fn shows(&self, id: &str) -> bool {
        self.hidden.get(id).is_none_or(|until| self.reads > *until)
    }

    fn identity(&self) -> Identity {
        Identity {
            account: self.account.clone(),
            partition: "aws".to_owned(),
            arn: self.caller.clone(),
        }
    }

    fn eks_cluster(&self, name: &str) -> Result<EksCluster> {
        let cluster = self
            .clusters
            .get(name)
            .ok_or_else(|| refusal("ResourceNotFoundException", "No cluster found"))?;
        Ok(EksCluster {
            arn: cluster.arn.clone(),
            issuer: cluster.issuer.clone(),
            vpc_id: cluster.vpc_id.clone(),
        })
    }
}

/// A definite no.
fn refusal(code: &str, message: impl Into<String>) -> CallError {
    CallError {
        service: String::new(),
        operation: String::new(),
        code: Some(code.to_owned()),
        status: Some(if code == "RequestLimitExceeded" {
            503
        } else {
            400
        }),
        message: message.into(),
        request_id: None,
        effect: Effect::None,
    }
}

fn timeout() -> CallError {
    CallError {
        service: String::new(),
        operation: String::new(),
        code: None,
        status: None,
        message: "no answer in time".to_owned(),
        request_id: None,
        effect: Effect::Unknown,
    }
}

impl super::Counted for FakeAccount {
    fn calls(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for call in Self::calls(self) {
            *counts.entry(call.operation).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests;
