//! Load balancers, listeners, rules and target groups: what is read.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::{FakeAccount, State, refusal};
use crate::{
    aws::{ElbRead, Query, Result},
    id::Arn,
    model::{
        attribute::{AttributeKind, default_of},
        desired::Ref,
        elb::{Listener, LoadBalancer, Rule, RuleAction, Target, TargetGroup, Tls},
        net::Tags,
    },
};

mod check;
mod write;

const ELB: &str = "elasticloadbalancing";

/// Keys that AWS returns of a new balancer.
const LOAD_BALANCER_KEYS: [&str; 10] = [
    "access_logs.s3.enabled",
    "access_logs.s3.bucket",
    "access_logs.s3.prefix",
    "client_keep_alive.seconds",
    "connection_logs.s3.enabled",
    "deletion_protection.enabled",
    "idle_timeout.timeout_seconds",
    "routing.http2.enabled",
    "routing.http.drop_invalid_header_fields.enabled",
    "routing.http.xff_client_port.enabled",
];

/// Keys that AWS returns of a new target group.
const TARGET_GROUP_KEYS: [&str; 5] = [
    "deregistration_delay.timeout_seconds",
    "stickiness.enabled",
    "stickiness.type",
    "load_balancing.algorithm.type",
    "slow_start.duration_seconds",
];

/// What a new thing has without being asked.
fn defaults(kind: AttributeKind) -> BTreeMap<String, String> {
    let keys: &[&str] = match kind {
        AttributeKind::LoadBalancer => &LOAD_BALANCER_KEYS,
        AttributeKind::TargetGroup => &TARGET_GROUP_KEYS,
        AttributeKind::Listener => &[],
    };
    keys.iter()
        .filter_map(|key| Some(((*key).to_owned(), default_of(kind, key)?.to_owned())))
        .collect()
}

#[async_trait]
impl ElbRead for FakeAccount {
    async fn load_balancers(&self, query: &Query) -> Result<Vec<LoadBalancer>> {
        self.read(
            (ELB, "DescribeLoadBalancers"),
            format!("{query:?}"),
            |state| {
                let found = state.load_balancers.values().filter(|live| match query {
                    Query::All => true,
                    Query::Arns(arns) => arns.contains(&live.arn),
                    Query::Names(names) => names.contains(&live.name),
                    Query::OfLoadBalancer(_) => false,
                });
                Ok(found
                    .filter(|live| state.shows(live.arn.as_str()))
                    .map(|live| LoadBalancer {
                        attributes: BTreeMap::new(),
                        tags: Tags::new(),
                        ..live.clone()
                    })
                    .collect())
            },
        )
    }

    async fn listeners(&self, load_balancer: &Arn) -> Result<Vec<Listener>> {
        self.read((ELB, "DescribeListeners"), load_balancer, |state| {
            let found = state
                .listeners
                .values()
                .filter(|live| live.load_balancer == *load_balancer);
            Ok(found
                .filter(|live| state.shows(live.arn.as_str()))
                .map(|live| Listener {
                    attributes: BTreeMap::new(),
                    tags: Tags::new(),
                    tls: Tls {
                        certificates: BTreeSet::new(),
                        ..live.tls.clone()
                    },
                    ..live.clone()
                })
                .collect())
        })
    }

    async fn listener_certificates(&self, listener: &Arn) -> Result<BTreeSet<Arn>> {
        self.read((ELB, "DescribeListenerCertificates"), listener, |state| {
            Ok(state.listener(listener)?.tls.certificates.clone())
        })
    }

    async fn rules(&self, listener: &Arn) -> Result<Vec<Rule>> {
        self.read((ELB, "DescribeRules"), listener, |state| {
            let found = state
                .rules
                .values()
                .filter(|live| live.listener == *listener);
            Ok(found
                .filter(|live| state.shows(live.arn.as_str()))
                .map(|live| Rule {
                    tags: Tags::new(),
                    ..live.clone()
                })
                .collect())
        })
    }

    async fn target_groups(&self, query: &Query) -> Result<Vec<TargetGroup>> {
        self.read(
            (ELB, "DescribeTargetGroups"),
            format!("{query:?}"),
            |state| {
                let of_balancer = match query {
                    Query::OfLoadBalancer(arn) => state.forwarded_by(arn),
                    _ => BTreeSet::new(),
                };
                let found = state.target_groups.values().filter(|live| match query {
                    Query::All => true,
                    Query::Arns(arns) => arns.contains(&live.arn),
                    Query::Names(names) => names.contains(&live.name),
                    Query::OfLoadBalancer(_) => of_balancer.contains(&live.arn),
                });
                Ok(found
                    .filter(|live| state.shows(live.arn.as_str()))
                    .map(|live| TargetGroup {
                        attributes: BTreeMap::new(),
                        tags: Tags::new(),
                        targets: BTreeSet::new(),
                        ..live.clone()
                    })
                    .collect())
            },
        )
    }

    async fn tags(&self, arns: &[Arn]) -> Result<BTreeMap<Arn, Tags>> {
        let subject = arns.iter().map(Arn::as_str).collect::<Vec<_>>().join(",");
        self.read((ELB, "DescribeTags"), subject, |state| {
            let mut found = BTreeMap::new();
            for arn in arns
                .iter()
                .filter(|arn| state.shows(arn.as_str()))
                .collect::<Vec<_>>()
            {
                if let Some(tags) = state.tags_of(arn) {
                    found.insert(arn.clone(), tags.clone());
                }
            }
            Ok(found)
        })
    }

    async fn load_balancer_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        self.read((ELB, "DescribeLoadBalancerAttributes"), arn, |state| {
            Ok(state.load_balancer(arn)?.attributes.clone())
        })
    }

    async fn listener_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        self.read((ELB, "DescribeListenerAttributes"), arn, |state| {
            Ok(state.listener(arn)?.attributes.clone())
        })
    }

    async fn target_group_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        self.read((ELB, "DescribeTargetGroupAttributes"), arn, |state| {
            Ok(state.target_group(arn)?.attributes.clone())
        })
    }

    async fn targets(&self, target_group: &Arn) -> Result<BTreeSet<Target>> {
        self.read((ELB, "DescribeTargetHealth"), target_group, |state| {
            Ok(state.target_group(target_group)?.targets.clone())
        })
    }
}

/// ARNs that the actions forward to.
fn forwarded(actions: &[RuleAction]) -> BTreeSet<Arn> {
    let mut arns = BTreeSet::new();
    for action in actions {
        if let RuleAction::Forward { target_groups, .. } = action {
            arns.extend(target_groups.iter().filter_map(|group| match &group.arn {
                Ref::Known(arn) => Some(arn.clone()),
                Ref::Output(_) => None,
            }));
        }
    }
    arns
}

impl State {
    fn load_balancer(&mut self, arn: &Arn) -> Result<&mut LoadBalancer> {
        self.load_balancers
            .get_mut(arn)
            .ok_or_else(|| refusal("LoadBalancerNotFound", format!("no load balancer '{arn}'")))
    }

    fn listener(&mut self, arn: &Arn) -> Result<&mut Listener> {
        self.listeners
            .get_mut(arn)
            .ok_or_else(|| refusal("ListenerNotFound", format!("no listener '{arn}'")))
    }

    fn rule(&mut self, arn: &Arn) -> Result<&mut Rule> {
        self.rules
            .get_mut(arn)
            .ok_or_else(|| refusal("RuleNotFound", format!("no rule '{arn}'")))
    }

    fn target_group(&mut self, arn: &Arn) -> Result<&mut TargetGroup> {
        self.target_groups
            .get_mut(arn)
            .ok_or_else(|| refusal("TargetGroupNotFound", format!("no target group '{arn}'")))
    }

    fn tags_of(&mut self, arn: &Arn) -> Option<&mut Tags> {
        if let Some(live) = self.load_balancers.get_mut(arn) {
            return Some(&mut live.tags);
        }
        if let Some(live) = self.listeners.get_mut(arn) {
            return Some(&mut live.tags);
        }
        if let Some(live) = self.rules.get_mut(arn) {
            return Some(&mut live.tags);
        }
        self.target_groups.get_mut(arn).map(|live| &mut live.tags)
    }

    /// Target groups that rules and listeners of this balancer name.
    fn forwarded_by(&self, load_balancer: &Arn) -> BTreeSet<Arn> {
        let listeners: Vec<&Listener> = self
            .listeners
            .values()
            .filter(|live| live.load_balancer == *load_balancer)
            .collect();
        let rules = self.rules.values().filter(|rule| {
            listeners
                .iter()
                .any(|listener| listener.arn == rule.listener)
        });
        listeners
            .iter()
            .flat_map(|listener| forwarded(&listener.default_actions))
            .chain(rules.flat_map(|rule| forwarded(&rule.actions)))
            .collect()
    }

    /// A target group that these actions name exists, and on no other balancer (aws-deploy §10.4).
    fn check_forwarded(&mut self, actions: &[RuleAction], load_balancer: &Arn) -> Result<()> {
        for arn in forwarded(actions) {
            self.target_group(&arn)?;
            let elsewhere = self
                .load_balancers
                .keys()
                .filter(|other| *other != load_balancer)
                .any(|other| self.forwarded_by(other).contains(&arn));
            if elsewhere {
                let message = format!("target group '{arn}' is on another load balancer");
                return Err(refusal("TargetGroupAssociationLimit", message));
            }
        }
        let unresolved = actions.iter().any(|action| match action {
            RuleAction::Forward { target_groups, .. } => target_groups
                .iter()
                .any(|group| matches!(group.arn, Ref::Output(_))),
            _ => false,
        });
        match unresolved {
            true => Err(refusal("ValidationError", "unresolved reference")),
            false => Ok(()),
        }
    }
}
