//! Everything of the cluster in one region, found by tags: what the store need not know.

use std::collections::BTreeSet;

use crate::{
    aws::{AwsRead, GroupQuery, Query},
    id::Arn,
    model::{
        call::CallError,
        elb::{LoadBalancer, TargetGroup},
        net::{SecurityGroup, Tags},
        tags,
    },
};

/// One search through the region's balancers and target groups and the VPC's security groups.
///
/// Calls: one per page of balancers, of target groups and of security groups, and one for every twenty balancers and
/// target groups in the VPC.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    cluster: String,
    vpc_id: String,
    /// All of the region; with tags where in the VPC.
    load_balancers: Vec<LoadBalancer>,
    /// All of the region; with tags where in the VPC.
    target_groups: Vec<TargetGroup>,
    /// All of the VPC.
    security_groups: Vec<SecurityGroup>,
    failures: Vec<CallError>,
}

impl Scan {
    /// Reads. What fails is kept: every group that uses the scan then has the gap.
    pub async fn read(aws: &dyn AwsRead, cluster: &str, vpc_id: &str) -> Self {
        let everything = GroupQuery::Tags(Default::default());
        let (load_balancers, target_groups, security_groups) = futures::join!(
            aws.load_balancers(&Query::All),
            aws.target_groups(&Query::All),
            aws.security_groups(&everything),
        );
        let mut scan = Self {
            cluster: cluster.to_owned(),
            vpc_id: vpc_id.to_owned(),
            ..Self::default()
        };
        scan.load_balancers = scan.keep(load_balancers);
        scan.target_groups = scan.keep(target_groups);
        scan.security_groups = scan.keep(security_groups);
        scan.read_tags(aws).await;
        scan
    }

    async fn read_tags(&mut self, aws: &dyn AwsRead) {
        let vpc_id = &self.vpc_id;
        let arns: Vec<Arn> = self
            .load_balancers
            .iter()
            .filter(|live| live.vpc_id == *vpc_id)
            .map(|live| live.arn.clone())
            .chain(
                self.target_groups
                    .iter()
                    .filter(|live| live.vpc_id == *vpc_id)
                    .map(|live| live.arn.clone()),
            )
            .collect();
        if arns.is_empty() {
            return;
        }
        match aws.tags(&arns).await {
            Ok(mut found) => {
                for live in &mut self.load_balancers {
                    live.tags = found.remove(&live.arn).unwrap_or_default();
                }
                for live in &mut self.target_groups {
                    live.tags = found.remove(&live.arn).unwrap_or_default();
                }
            }
            Err(error) => self.failures.push(error),
        }
    }

    fn keep<T>(&mut self, answer: crate::aws::Result<Vec<T>>) -> Vec<T> {
        answer.unwrap_or_else(|error| {
            self.failures.push(error);
            Vec::new()
        })
    }

    /// Ids of all groups of this cluster that have something in AWS: git or the store may have lost them.
    pub fn groups(&self) -> BTreeSet<String> {
        let tags = self
            .load_balancers
            .iter()
            .map(|live| &live.tags)
            .chain(self.target_groups.iter().map(|live| &live.tags))
            .chain(self.security_groups.iter().map(|live| &live.tags));
        tags.filter_map(|tags| self.group_of(tags)).collect()
    }

    /// What could not be read.
    pub fn failures(&self) -> &[CallError] {
        &self.failures
    }

    /// The group of this cluster that the tags name.
    pub(super) fn group_of(&self, tags: &Tags) -> Option<String> {
        (tags.get(tags::CLUSTER) == Some(&self.cluster))
            .then(|| tags.get(tags::STACK).cloned())
            .flatten()
    }

    pub(super) fn all_load_balancers(&self) -> Vec<LoadBalancer> {
        self.load_balancers.clone()
    }

    pub(super) fn load_balancers(&self) -> &[LoadBalancer] {
        &self.load_balancers
    }

    pub(super) fn target_groups(&self) -> &[TargetGroup] {
        &self.target_groups
    }

    pub(super) fn security_groups(&self) -> &[SecurityGroup] {
        &self.security_groups
    }
}
