//! Reads back what an operation may have done: after a call without an answer, after "exists already", after a crash
//! (aws-deploy §13). Nothing is adopted without our tags (irsa C2, lessons A7).

use std::collections::{BTreeMap, BTreeSet};

use super::exec::Ports;
use crate::{
    aws::{GroupQuery, Query},
    id::{Arn, SecurityGroupId},
    model::{
        call::CallError,
        desired::Ref,
        elb::{Condition, Patterns},
        net::{Permission, PermissionSource, SecurityGroup, Tags},
        policy::same_document,
        tags,
    },
    plan::{op::Action, record::Output},
};

/// What reading back found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It has happened, by us.
    Done(Output),
    /// It has not happened, as far as can be seen.
    NotDone,
    /// What is left of it to do.
    Rest(Box<Action>),
    /// Somebody else has the name: who, in words.
    Foreign(String),
    /// Ours is there and not as the plan saw it: plan anew.
    Moved(String),
}

/// Looks for the effect of a resolved action. What leaves no trace to look for is `NotDone`.
pub async fn find(action: &Action, ports: Ports<'_>) -> Result<Found, CallError> {
    let Ports { aws, cluster } = ports;
    Ok(match action {
        Action::CreateSecurityGroup { spec, .. } => {
            let found = aws
                .security_groups(&GroupQuery::Name(spec.name.clone()))
                .await?
                .into_iter()
                .find(|group| group.vpc_id == spec.vpc_id && group.name == spec.name);
            match found {
                None => Found::NotDone,
                Some(group) if ours(&spec.tags, &group.tags) => done(group.id.0),
                Some(group) => foreign("security group", &group.id.0, &group.tags),
            }
        }
        Action::AuthorizeIngress {
            group: Ref::Known(group),
            permissions,
        } => match security_group(group, ports).await? {
            None => Found::NotDone,
            Some(live) => {
                let missing = keep(permissions, |permission| !has(&live, permission));
                rest(permissions, missing, |permissions| {
                    Action::AuthorizeIngress {
                        group: Ref::Known(group.clone()),
                        permissions,
                    }
                })
            }
        },
        Action::RevokeIngress { group, permissions } => match security_group(group, ports).await? {
            None => Found::Done(Output::default()),
            Some(live) => {
                let left = keep(permissions, |permission| has(&live, permission));
                rest(permissions, left, |permissions| Action::RevokeIngress {
                    group: group.clone(),
                    permissions,
                })
            }
        },
        Action::DeleteSecurityGroup { group } => gone(security_group(group, ports).await?),

        Action::CreateLoadBalancer { spec, .. } => {
            let named = Query::Names(vec![spec.name.clone()]);
            match aws.load_balancers(&named).await?.pop() {
                None => Found::NotDone,
                Some(live) => {
                    let tags = elb_tags(&live.arn, ports).await?;
                    if ours(&spec.tags, &tags) {
                        Found::Done(Output {
                            id: Some(live.arn),
                            unique_id: None,
                            dns_name: Some(live.dns_name),
                        })
                    } else {
                        foreign("load balancer", live.arn.as_str(), &tags)
                    }
                }
            }
        }
        Action::DeleteLoadBalancer { arn } => gone(
            aws.load_balancers(&Query::Arns(vec![arn.clone()]))
                .await?
                .pop(),
        ),
        Action::CreateTargetGroup { spec, .. } => {
            let named = Query::Names(vec![spec.name.clone()]);
            match aws.target_groups(&named).await?.pop() {
                None => Found::NotDone,
                Some(live) => {
                    let tags = elb_tags(&live.arn, ports).await?;
                    if !ours(&spec.tags, &tags) {
                        foreign("target group", live.arn.as_str(), &tags)
                    } else if live.port == spec.port
                        && live.protocol == spec.protocol
                        && live.vpc_id == spec.vpc_id
                    {
                        done(live.arn.0)
                    } else {
                        Found::Moved(format!("target group {} has other settings", live.name))
                    }
                }
            }
        }
        // These may simply be repeated; after a crash the store must still learn of them (lessons F7).
        Action::RegisterTargets {
            target_group: Ref::Known(arn),
            targets,
        } => all_of(targets.is_subset(&aws.targets(arn).await?)),
        Action::DeregisterTargets {
            target_group,
            targets,
        } => all_of(targets.is_disjoint(&aws.targets(target_group).await?)),
        Action::ModifyLoadBalancerAttributes {
            arn: Ref::Known(arn),
            attributes,
        } => all_of(within(
            attributes,
            &aws.load_balancer_attributes(arn).await?,
        )),
        Action::ModifyTargetGroupAttributes {
            arn: Ref::Known(arn),
            attributes,
        } => all_of(within(attributes, &aws.target_group_attributes(arn).await?)),
        Action::ModifyListenerAttributes {
            arn: Ref::Known(arn),
            attributes,
        } => all_of(within(attributes, &aws.listener_attributes(arn).await?)),
        Action::AddListenerCertificates {
            arn: Ref::Known(arn),
            certificates,
        } => all_of(certificates.is_subset(&aws.listener_certificates(arn).await?)),
        Action::RemoveListenerCertificates { arn, certificates } => {
            all_of(certificates.is_disjoint(&aws.listener_certificates(arn).await?))
        }
        Action::AddTags {
            arn: Ref::Known(arn),
            tags,
        } => all_of(within(tags, &elb_tags(arn, ports).await?)),
        Action::TagSecurityGroup { group, tags } => {
            let live = security_group(group, ports).await?;
            all_of(live.is_some_and(|live| within(tags, &live.tags)))
        }
        Action::AttachRolePolicy {
            role,
            policy: Ref::Known(policy),
        } => {
            let live = aws.role(role).await?;
            all_of(live.is_some_and(|live| live.attached.contains(policy)))
        }

        Action::DeleteTargetGroup { arn } => gone(
            aws.target_groups(&Query::Arns(vec![arn.clone()]))
                .await?
                .pop(),
        ),
        Action::CreateListener {
            load_balancer: Ref::Known(load_balancer),
            spec,
            ..
        } => {
            let found = aws
                .listeners(load_balancer)
                .await?
                .into_iter()
                .find(|live| live.port == spec.port);
            match found {
                None => Found::NotDone,
                Some(live) => {
                    let tags = elb_tags(&live.arn, ports).await?;
                    if ours(&spec.tags, &tags) {
                        done(live.arn.0)
                    } else {
                        foreign("listener", live.arn.as_str(), &tags)
                    }
                }
            }
        }
        Action::CreateRule {
            listener: Ref::Known(listener),
            priority,
            spec,
            ..
        } => {
            let found = aws
                .rules(listener)
                .await?
                .into_iter()
                .find(|live| live.priority == *priority);
            match found {
                None => Found::NotDone,
                Some(live) => {
                    let tags = elb_tags(&live.arn, ports).await?;
                    if ours(&spec.tags, &tags)
                        && same_conditions(&spec.conditions, &live.conditions)
                    {
                        done(live.arn.0)
                    } else {
                        Found::Moved(format!("number {priority} is taken by {}", live.arn))
                    }
                }
            }
        }
        Action::SetRulePriorities {
            listener,
            priorities,
        } => {
            let live = aws.rules(listener).await?;
            let as_wanted = |(arn, priority): (&Arn, &u32)| {
                live.iter()
                    .any(|rule| rule.arn == *arn && rule.priority == *priority)
            };
            if priorities.iter().all(as_wanted) {
                Found::Done(Output::default())
            } else {
                Found::NotDone
            }
        }

        Action::CreateOidcProvider { spec, .. } => match aws.provider(&spec.arn).await? {
            None => Found::NotDone,
            Some(live) if ours(&spec.tags, &live.tags) => done(live.arn.0),
            // Shared by design: whoever made it, it is used and never deleted. What it lacks the next plan adds.
            Some(live) => Found::Moved(format!("{} exists", live.arn)),
        },
        Action::CreatePolicy { spec, .. } => match aws.policy(&spec.arn).await? {
            None => Found::NotDone,
            Some(live) if ours(&spec.tags, &live.tags) => done(live.arn.0),
            Some(live) => foreign("policy", live.arn.as_str(), &live.tags),
        },
        Action::CreatePolicyVersion { arn, document } => match aws.policy(arn).await? {
            Some(live) if same_document(&live.document, document) => Found::Done(Output::default()),
            _ => Found::NotDone,
        },
        Action::DeletePolicy { arn } => gone(aws.policy(arn).await?),
        Action::CreateRole { spec, .. } => match aws.role(&spec.name).await? {
            None => Found::NotDone,
            Some(live) if ours(&spec.tags, &live.tags) && live.path == spec.path => {
                Found::Done(Output {
                    id: Some(live.arn),
                    unique_id: Some(live.role_id),
                    dns_name: None,
                })
            }
            Some(live) => foreign("role", live.arn.as_str(), &live.tags),
        },
        Action::DeleteRole { role } => gone(aws.role(role).await?),

        Action::DeleteObject { reference, uid } => gone(
            cluster
                .get(reference)
                .await?
                .filter(|live| live.uid == *uid),
        ),
        _ => Found::NotDone,
    })
}

/// Whether the live tags prove that it is the thing we meant to make: every mark of ours in the request is there.
fn ours(wanted: &Tags, live: &Tags) -> bool {
    const MARKS: [&str; 6] = [
        tags::CLUSTER,
        tags::STACK,
        tags::RESOURCE,
        tags::SHARED_RESOURCE,
        tags::OWNER,
        tags::OBJECT,
    ];
    let mut marks = MARKS.iter().filter_map(|key| wanted.get_key_value(*key));
    let mut marked = false;
    let all = marks.all(|(key, value)| {
        marked = true;
        live.get(key) == Some(value)
    });
    all && marked
}

fn foreign(kind: &str, id: &str, tags: &Tags) -> Found {
    let mut text = format!("{kind} {id} bears the name and not our tags");
    if tags.is_empty() {
        text.push_str(" (it has none)");
    } else {
        let hints: Vec<_> = tags
            .iter()
            .take(5)
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        text.push_str(&format!(" (it has {})", hints.join(", ")));
    }
    Found::Foreign(text)
}

fn done(id: String) -> Found {
    Found::Done(Output {
        id: Some(Arn(id)),
        ..Output::default()
    })
}

fn all_of(is_there: bool) -> Found {
    if is_there {
        Found::Done(Output::default())
    } else {
        Found::NotDone
    }
}

fn within(wanted: &BTreeMap<String, String>, live: &BTreeMap<String, String>) -> bool {
    wanted
        .iter()
        .all(|(key, value)| live.get(key) == Some(value))
}

fn gone<T>(found: Option<T>) -> Found {
    match found {
        None => Found::Done(Output::default()),
        Some(_) => Found::NotDone,
    }
}

fn rest(
    all: &[Permission],
    left: Vec<Permission>,
    again: impl FnOnce(Vec<Permission>) -> Action,
) -> Found {
    if left.is_empty() {
        Found::Done(Output::default())
    } else if left.len() == all.len() {
        Found::NotDone
    } else {
        Found::Rest(Box::new(again(left)))
    }
}

fn keep(permissions: &[Permission], test: impl Fn(&Permission) -> bool) -> Vec<Permission> {
    permissions
        .iter()
        .filter(|permission| test(permission))
        .cloned()
        .collect()
}

/// Identity is everything but the description (aws-deploy §2.7).
fn has(live: &SecurityGroup, wanted: &Permission) -> bool {
    fn identity(permission: &Permission) -> (&str, i32, i32, &PermissionSource) {
        (
            &permission.protocol,
            permission.from_port,
            permission.to_port,
            &permission.source,
        )
    }
    live.ingress
        .iter()
        .any(|permission| identity(permission) == identity(wanted))
}

fn same_conditions(wanted: &[Condition], live: &[Condition]) -> bool {
    fn canonical(conditions: &[Condition]) -> BTreeSet<Condition> {
        conditions
            .iter()
            .cloned()
            .map(|mut condition| {
                match &mut condition {
                    Condition::HostHeader { values }
                    | Condition::PathPattern { values }
                    | Condition::HttpHeader { values, .. } => match values {
                        Patterns::Values(texts) | Patterns::Regex(texts) => texts.sort(),
                    },
                    Condition::HttpRequestMethod { values } | Condition::SourceIp { values } => {
                        values.sort()
                    }
                    Condition::QueryString { values } => values.sort(),
                    Condition::Other { .. } => {}
                }
                condition
            })
            .collect()
    }
    canonical(wanted) == canonical(live)
}

async fn security_group(
    id: &SecurityGroupId,
    ports: Ports<'_>,
) -> Result<Option<SecurityGroup>, CallError> {
    let found = ports
        .aws
        .security_groups(&GroupQuery::Ids(vec![id.clone()]))
        .await?;
    Ok(found.into_iter().find(|group| group.id == *id))
}

async fn elb_tags(arn: &Arn, ports: Ports<'_>) -> Result<Tags, CallError> {
    let mut tags = ports.aws.tags(std::slice::from_ref(arn)).await?;
    Ok(tags.remove(arn).unwrap_or_default())
}
