//! Reads of the VPC. By filters, never by id lists: a filter leaves out what is gone, a list fails for it.

use std::{collections::BTreeMap, sync::PoisonError};

use async_trait::async_trait;
use aws_sdk_ec2::types::Filter;

use super::convert::{self, Read};
use crate::{
    aws::{
        Ec2Read, GroupQuery, Result,
        governor::Class,
        sdk::{EC2, Sdk, paged, unusable},
    },
    id::SecurityGroupId,
    model::{
        facts::{Subnet, Vpc},
        net::SecurityGroup,
    },
};

/// Values of one filter (aws-deploy §10.6).
const VALUES: usize = 200;
/// Largest pages; without any EC2 counts the call as unpaged, which has a smaller budget (aws-deploy §10.7).
const PAGE: i32 = 1000;
const ROUTE_TABLE_PAGE: i32 = 100;

#[async_trait]
impl Ec2Read for Sdk {
    fn confine(&self, vpc_id: &str) {
        let mut confined = self.vpc_id.lock().unwrap_or_else(PoisonError::into_inner);
        vpc_id.clone_into(&mut confined);
    }

    async fn vpc(&self) -> Result<Vpc> {
        const OPERATION: &str = "DescribeVpcs";
        let answer = self
            .call(
                EC2,
                Class::Ec2Read,
                OPERATION,
                self.ec2.describe_vpcs().vpc_ids(self.vpc_id()).send(),
            )
            .await?;
        answer
            .vpcs
            .unwrap_or_default()
            .into_iter()
            .next()
            .ok_or("the VPC")
            .and_then(convert::vpc)
            .map_err(|lacks| unusable(EC2, OPERATION, lacks))
    }

    async fn subnets(&self, with_routes: bool) -> Result<Vec<Subnet>> {
        const OPERATION: &str = "DescribeSubnets";
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                EC2, Class::Ec2Read, OPERATION,
                self.ec2.describe_subnets()
                    .filters(self.in_vpc())
                    .max_results(PAGE)
                    .set_next_token(marker.clone())
                    .send(),
            ).await,
            page => page.next_token,
            found.extend(page.subnets.unwrap_or_default())
        );
        let mut subnets = all(OPERATION, found, convert::subnet)?;
        if with_routes {
            convert::mark_public(&mut subnets, &self.route_tables().await?);
        }
        subnets.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(subnets)
    }

    async fn security_groups(&self, query: &GroupQuery) -> Result<Vec<SecurityGroup>> {
        let mut groups = match query {
            GroupQuery::Ids(ids) => {
                let mut found = Vec::new();
                for some in ids.chunks(VALUES) {
                    let ids = some.iter().map(|id| id.0.clone());
                    found.extend(
                        self.filtered_groups(vec![filter("group-id", ids.collect())])
                            .await?,
                    );
                }
                found
            }
            GroupQuery::Tags(tags) => {
                let mut filters = vec![self.in_vpc()];
                filters.extend(tags.iter().map(|(key, value)| match value {
                    Some(value) => filter(&format!("tag:{key}"), vec![value.clone()]),
                    None => filter("tag-key", vec![key.clone()]),
                }));
                self.filtered_groups(filters).await?
            }
            GroupQuery::Name(name) => {
                self.filtered_groups(vec![
                    self.in_vpc(),
                    filter("group-name", vec![name.clone()]),
                ])
                .await?
            }
        };
        groups.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(groups)
    }

    async fn instance_groups(
        &self,
        instances: &[String],
    ) -> Result<BTreeMap<String, Vec<SecurityGroupId>>> {
        let mut groups = BTreeMap::new();
        for some in instances.chunks(VALUES) {
            paged!(
                marker => self.call(
                    EC2, Class::Ec2Read, "DescribeInstances",
                    self.ec2.describe_instances()
                        .filters(filter("instance-id", some.to_vec()))
                        .max_results(PAGE)
                        .set_next_token(marker.clone())
                        .send(),
                ).await,
                page => page.next_token,
                for instance in page.reservations().iter().flat_map(|some| some.instances()) {
                    if let (Some(id), Some(own)) =
                        (instance.instance_id(), convert::primary_groups(instance))
                    {
                        groups.insert(id.to_owned(), own);
                    }
                }
            );
        }
        Ok(groups)
    }
}

impl Sdk {
    fn in_vpc(&self) -> Filter {
        filter("vpc-id", vec![self.vpc_id()])
    }

    async fn filtered_groups(&self, filters: Vec<Filter>) -> Result<Vec<SecurityGroup>> {
        const OPERATION: &str = "DescribeSecurityGroups";
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                EC2, Class::Ec2Read, OPERATION,
                self.ec2.describe_security_groups()
                    .set_filters(Some(filters.clone()))
                    .max_results(PAGE)
                    .set_next_token(marker.clone())
                    .send(),
            ).await,
            page => page.next_token,
            found.extend(page.security_groups.unwrap_or_default())
        );
        all(OPERATION, found, convert::security_group)
    }

    async fn route_tables(&self) -> Result<Vec<aws_sdk_ec2::types::RouteTable>> {
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                EC2, Class::Ec2Read, "DescribeRouteTables",
                self.ec2.describe_route_tables()
                    .filters(self.in_vpc())
                    .max_results(ROUTE_TABLE_PAGE)
                    .set_next_token(marker.clone())
                    .send(),
            ).await,
            page => page.next_token,
            found.extend(page.route_tables.unwrap_or_default())
        );
        Ok(found)
    }
}

/// `*`, `?` and `\` are wildcards in a filter's value; names and tags are meant as they are.
fn filter(name: &str, values: Vec<String>) -> Filter {
    let values = values.into_iter().map(|value| {
        let mut plain = String::with_capacity(value.len());
        for c in value.chars() {
            if matches!(c, '*' | '?' | '\\') {
                plain.push('\\');
            }
            plain.push(c);
        }
        plain
    });
    Filter::builder()
        .name(name)
        .set_values(Some(values.collect()))
        .build()
}

fn all<A, B>(operation: &str, raw: Vec<A>, convert: impl Fn(A) -> Read<B>) -> Result<Vec<B>> {
    raw.into_iter()
        .map(convert)
        .collect::<Read<_>>()
        .map_err(|lacks| unusable(EC2, operation, lacks))
}
