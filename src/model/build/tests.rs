use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{build, fixture::*};
use crate::{
    id::{Arn, ObjectRef, ResourceId, SecurityGroupId, StackId, SubnetId},
    manifest::{Backend, Manifests, PathType, annotation::Scheme, ingress::PortRef},
    model::{
        applied::{Applied, AppliedObject, AppliedResource, AppliedStack, changed_stacks},
        desired::{Desired, GroupStack, Ref},
        elb::{
            Condition, HealthCheck, Matcher, RuleAction, Target, TargetType, WeightedTargetGroup,
        },
        facts::{AnnotationsFact, Facts, LoadBalancerFact, Node, ParametersFact, ParamsFact},
        net::{Permission, PermissionSource, Tags},
        settings::Settings,
    },
    problem::{Checked, Problem, Severity},
};

mod the_worked_example;
mod rules;
mod classes;
mod services;
mod options;
mod kept;
mod nodes;
mod network;
mod sticky_subnets;
mod digests;
mod lowered;
mod unserved;
mod order;

const GROUP: &str = "default/app-aws-ingress";

fn built(manifests: &Manifests, facts: &Facts) -> Checked<Desired> {
    build(manifests, facts, &settings())
}

/// The tutorial's group after a change to its inputs, built without a problem.
fn group_with(change: impl FnOnce(&mut Manifests, &mut Facts, &mut Settings)) -> GroupStack {
    let (mut manifests, mut facts, mut settings) = (tutorial(), facts(), settings());
    change(&mut manifests, &mut facts, &mut settings);
    let result = build(&manifests, &facts, &settings);
    assert_eq!(result.problems, []);
    assert_eq!(result.value.waiting, []);
    result.value.groups[GROUP].clone()
}

/// Why the tutorial's group waits after a change, and the problems found.
fn wait_with(change: impl FnOnce(&mut Manifests, &mut Facts)) -> (String, Vec<String>) {
    let (mut manifests, mut facts) = (tutorial(), facts());
    change(&mut manifests, &mut facts);
    let result = built(&manifests, &facts);
    assert!(result.value.groups.is_empty());
    let stack = StackId::Group(GROUP.into());
    let wait = result.value.waiting.iter().find(|wait| wait.stack == stack);
    let problems = result.problems.iter().map(ToString::to_string).collect();
    (
        wait.expect("the group must wait, or it would be taken down")
            .reason
            .clone(),
        problems,
    )
}

fn tracking(resource: Option<&str>) -> Tags {
    let resource = resource.map(|id| ("ingress.k8s.aws/resource".to_owned(), id.to_owned()));
    [
        ("elbv2.k8s.aws/cluster".to_owned(), "mz-k8s".to_owned()),
        ("ingress.k8s.aws/stack".to_owned(), GROUP.to_owned()),
    ]
    .into_iter()
    .chain(resource)
    .collect()
}
