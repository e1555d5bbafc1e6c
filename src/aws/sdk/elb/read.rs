//! Reads: paged, in AWS's chunks, vanished things left out.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::convert::{self, Read};
use crate::{
    aws::{
        ElbRead, Query, Result,
        governor::Class,
        sdk::{ELB, Sdk, paged, unusable},
    },
    id::Arn,
    model::{
        elb::{Listener, LoadBalancer, Rule, Target, TargetGroup},
        net::Tags,
    },
};

/// ARNs or names in one describe, ARNs in one DescribeTags (aws-deploy §10.6).
const CHUNK: usize = 20;
/// The largest page.
const PAGE: i32 = 400;

#[async_trait]
impl ElbRead for Sdk {
    async fn load_balancers(&self, query: &Query) -> Result<Vec<LoadBalancer>> {
        match query {
            Query::All => self.load_balancer_pages(Keys::All).await,
            Query::Arns(arns) => {
                gather(&texts(arns), |arns| {
                    Box::pin(self.load_balancer_pages(Keys::Arns(arns)))
                })
                .await
            }
            Query::Names(names) => {
                gather(names, |names| {
                    Box::pin(self.load_balancer_pages(Keys::Names(names)))
                })
                .await
            }
            Query::OfLoadBalancer(arn) => {
                self.load_balancers(&Query::Arns(vec![arn.clone()])).await
            }
        }
    }

    async fn listeners(&self, load_balancer: &Arn) -> Result<Vec<Listener>> {
        const OPERATION: &str = "DescribeListeners";
        let found = async {
            let mut listeners = Vec::new();
            paged!(
                marker => self.call(
                    ELB, Class::ElbDescribe, OPERATION,
                    self.elb.describe_listeners()
                        .load_balancer_arn(load_balancer.as_str())
                        .page_size(PAGE)
                        .set_marker(marker.clone())
                        .send(),
                ).await,
                page => page.next_marker,
                listeners.extend(page.listeners.unwrap_or_default())
            );
            all(OPERATION, listeners, convert::listener)
        }
        .await;
        let mut listeners = absent_is_empty(found)?;
        listeners.sort_by_key(|listener| listener.port);
        Ok(listeners)
    }

    async fn listener_certificates(&self, listener: &Arn) -> Result<BTreeSet<Arn>> {
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                ELB, Class::ElbDescribe, "DescribeListenerCertificates",
                self.elb.describe_listener_certificates()
                    .listener_arn(listener.as_str())
                    .page_size(PAGE)
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.next_marker,
            found.extend(page.certificates.unwrap_or_default())
        );
        Ok(convert::certificates(found))
    }

    async fn rules(&self, listener: &Arn) -> Result<Vec<Rule>> {
        const OPERATION: &str = "DescribeRules";
        let found = async {
            let mut rules = Vec::new();
            paged!(
                marker => self.call(
                    ELB, Class::ElbDescribe, OPERATION,
                    self.elb.describe_rules()
                        .listener_arn(listener.as_str())
                        .page_size(PAGE)
                        .set_marker(marker.clone())
                        .send(),
                ).await,
                page => page.next_marker,
                rules.extend(page.rules.unwrap_or_default())
            );
            all(OPERATION, rules, |raw| convert::rule(listener, raw))
        }
        .await;
        let mut rules: Vec<Rule> = absent_is_empty(found)?.into_iter().flatten().collect();
        rules.sort_by_key(|rule| rule.priority);
        Ok(rules)
    }

    async fn target_groups(&self, query: &Query) -> Result<Vec<TargetGroup>> {
        match query {
            Query::All => self.target_group_pages(Keys::All).await,
            Query::OfLoadBalancer(arn) => {
                absent_is_empty(self.target_group_pages(Keys::Of(arn.clone())).await)
            }
            Query::Arns(arns) => {
                gather(&texts(arns), |arns| {
                    Box::pin(self.target_group_pages(Keys::Arns(arns)))
                })
                .await
            }
            Query::Names(names) => {
                gather(names, |names| {
                    Box::pin(self.target_group_pages(Keys::Names(names)))
                })
                .await
            }
        }
    }

    async fn tags(&self, arns: &[Arn]) -> Result<BTreeMap<Arn, Tags>> {
        let found = gather(&texts(arns), |arns| Box::pin(self.tag_chunk(arns))).await?;
        Ok(found.into_iter().collect())
    }

    async fn load_balancer_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        let answer = self
            .call(
                ELB,
                Class::ElbDescribe,
                "DescribeLoadBalancerAttributes",
                self.elb
                    .describe_load_balancer_attributes()
                    .load_balancer_arn(arn.as_str())
                    .send(),
            )
            .await?;
        Ok(pairs(
            answer
                .attributes
                .unwrap_or_default()
                .into_iter()
                .map(|attribute| (attribute.key, attribute.value)),
        ))
    }

    async fn listener_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        let answer = self
            .call(
                ELB,
                Class::ElbDescribe,
                "DescribeListenerAttributes",
                self.elb
                    .describe_listener_attributes()
                    .listener_arn(arn.as_str())
                    .send(),
            )
            .await?;
        Ok(pairs(
            answer
                .attributes
                .unwrap_or_default()
                .into_iter()
                .map(|attribute| (attribute.key, attribute.value)),
        ))
    }

    async fn target_group_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>> {
        let answer = self
            .call(
                ELB,
                Class::ElbDescribe,
                "DescribeTargetGroupAttributes",
                self.elb
                    .describe_target_group_attributes()
                    .target_group_arn(arn.as_str())
                    .send(),
            )
            .await?;
        Ok(pairs(
            answer
                .attributes
                .unwrap_or_default()
                .into_iter()
                .map(|attribute| (attribute.key, attribute.value)),
        ))
    }

    async fn targets(&self, target_group: &Arn) -> Result<BTreeSet<Target>> {
        const OPERATION: &str = "DescribeTargetHealth";
        let answer = self
            .call(
                ELB,
                Class::ElbDescribe,
                OPERATION,
                self.elb
                    .describe_target_health()
                    .target_group_arn(target_group.as_str())
                    .send(),
            )
            .await?;
        let targets = all(
            OPERATION,
            answer.target_health_descriptions.unwrap_or_default(),
            convert::target,
        )?;
        Ok(targets.into_iter().flatten().collect())
    }
}

/// What one describe asks for.
enum Keys {
    All,
    Arns(Vec<String>),
    Names(Vec<String>),
    /// Of this balancer.
    Of(Arn),
}

impl Keys {
    /// ELBv2 takes a page size only where it may have to page.
    fn page_size(&self) -> Option<i32> {
        matches!(self, Self::All | Self::Of(_)).then_some(PAGE)
    }

    fn arns(&self) -> Option<Vec<String>> {
        match self {
            Self::Arns(arns) => Some(arns.clone()),
            _ => None,
        }
    }

    fn names(&self) -> Option<Vec<String>> {
        match self {
            Self::Names(names) => Some(names.clone()),
            _ => None,
        }
    }

    fn of(&self) -> Option<String> {
        match self {
            Self::Of(arn) => Some(arn.0.clone()),
            _ => None,
        }
    }
}

impl Sdk {
    async fn load_balancer_pages(&self, keys: Keys) -> Result<Vec<LoadBalancer>> {
        const OPERATION: &str = "DescribeLoadBalancers";
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                ELB, Class::ElbDescribe, OPERATION,
                self.elb.describe_load_balancers()
                    .set_load_balancer_arns(keys.arns())
                    .set_names(keys.names())
                    .set_page_size(keys.page_size())
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.next_marker,
                found.extend(page.load_balancers.unwrap_or_default())
        );
        all(OPERATION, found, convert::load_balancer)
    }

    async fn target_group_pages(&self, keys: Keys) -> Result<Vec<TargetGroup>> {
        const OPERATION: &str = "DescribeTargetGroups";
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                ELB, Class::ElbDescribe, OPERATION,
                self.elb.describe_target_groups()
                    .set_target_group_arns(keys.arns())
                    .set_names(keys.names())
                    .set_load_balancer_arn(keys.of())
                    .set_page_size(keys.page_size())
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.next_marker,
                found.extend(page.target_groups.unwrap_or_default())
        );
        all(OPERATION, found, convert::target_group)
    }

    async fn tag_chunk(&self, arns: Vec<String>) -> Result<Vec<(Arn, Tags)>> {
        const OPERATION: &str = "DescribeTags";
        let answer = self
            .call(
                ELB,
                Class::ElbDescribe,
                OPERATION,
                self.elb
                    .describe_tags()
                    .set_resource_arns(Some(arns))
                    .send(),
            )
            .await?;
        all(
            OPERATION,
            answer.tag_descriptions.unwrap_or_default(),
            |raw| {
                Ok((
                    Arn(raw.resource_arn.ok_or("ResourceArn")?),
                    convert::tags(raw.tags),
                ))
            },
        )
    }
}

/// Asks in chunks. One key that does not exist fails its whole call (aws-deploy §1.3): such a chunk is halved until the
/// missing ones stand alone and are left out.
async fn gather<'a, T>(
    keys: &[String],
    ask: impl Fn(Vec<String>) -> BoxFuture<'a, Result<Vec<T>>> + Send,
) -> Result<Vec<T>> {
    let mut work: Vec<Vec<String>> = keys.chunks(CHUNK).rev().map(<[String]>::to_vec).collect();
    let mut found = Vec::new();
    while let Some(mut keys) = work.pop() {
        match ask(keys.clone()).await {
            Ok(some) => found.extend(some),
            Err(error) if error.is_not_found() => {
                if keys.len() > 1 {
                    let rest = keys.split_off(keys.len() / 2);
                    work.push(rest);
                    work.push(keys);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn texts(arns: &[Arn]) -> Vec<String> {
    arns.iter().map(|arn| arn.0.clone()).collect()
}

fn all<A, B>(operation: &str, raw: Vec<A>, convert: impl Fn(A) -> Read<B>) -> Result<Vec<B>> {
    raw.into_iter()
        .map(convert)
        .collect::<Read<_>>()
        .map_err(|lacks| unusable(ELB, operation, lacks))
}

fn absent_is_empty<T>(found: Result<Vec<T>>) -> Result<Vec<T>> {
    match found {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        found => found,
    }
}

fn pairs(raw: impl Iterator<Item = (Option<String>, Option<String>)>) -> BTreeMap<String, String> {
    raw.filter_map(|(key, value)| Some((key?, value.unwrap_or_default())))
        .collect()
}
