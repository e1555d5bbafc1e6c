//! Security groups and what surrounds them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::{FakeAccount, State, refusal};
use crate::{
    aws::{Ec2Read, Ec2Write, GroupQuery, Result},
    id::SecurityGroupId,
    model::{
        desired::Ref,
        facts::{Subnet, Vpc},
        glob,
        net::{Permission, PermissionSource, SecurityGroup, SecurityGroupSpec, Tags},
    },
};

const EC2: &str = "ec2";

#[async_trait]
impl Ec2Read for FakeAccount {
    /// It has one VPC.
    fn confine(&self, _vpc_id: &str) {}

    async fn vpc(&self) -> Result<Vpc> {
        self.read((EC2, "DescribeVpcs"), "", |state| Ok(state.vpc.clone()))
    }

    async fn subnets(&self, with_routes: bool) -> Result<Vec<Subnet>> {
        self.read((EC2, "DescribeSubnets"), "", |state| {
            let mut subnets = state.subnets.clone();
            for subnet in &mut subnets {
                subnet.public =
                    with_routes.then(|| subnet.tags.contains_key("kubernetes.io/role/elb"));
            }
            Ok(subnets)
        })
    }

    async fn security_groups(&self, query: &GroupQuery) -> Result<Vec<SecurityGroup>> {
        self.read(
            (EC2, "DescribeSecurityGroups"),
            format!("{query:?}"),
            |state| {
                Ok(state
                    .security_groups
                    .values()
                    .filter(|group| state.shows(group.id.as_str()) && matches(query, group))
                    .cloned()
                    .collect())
            },
        )
    }

    async fn instance_groups(
        &self,
        instances: &[String],
    ) -> Result<BTreeMap<String, Vec<SecurityGroupId>>> {
        self.read((EC2, "DescribeInstances"), instances.join(","), |state| {
            let known = state
                .instances
                .iter()
                .filter(|(id, _)| instances.contains(id));
            Ok(known
                .map(|(id, groups)| (id.clone(), groups.clone()))
                .collect())
        })
    }
}

fn matches(query: &GroupQuery, group: &SecurityGroup) -> bool {
    match query {
        GroupQuery::Ids(ids) => ids.contains(&group.id),
        GroupQuery::Tags(tags) => tags.iter().all(|(key, value)| {
            group.tags.get(key).is_some_and(|found| {
                value
                    .as_ref()
                    .is_none_or(|value| glob::matches(value, found))
            })
        }),
        GroupQuery::Name(name) => group.name == *name,
    }
}

#[async_trait]
impl Ec2Write for FakeAccount {
    async fn create_security_group(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroupId> {
        self.write((EC2, "CreateSecurityGroup"), &spec.name, |state| {
            let taken = state.security_groups.values().any(|group| {
                group.name.eq_ignore_ascii_case(&spec.name) && group.vpc_id == spec.vpc_id
            });
            if taken {
                let message = format!("The security group '{}' already exists", spec.name);
                return Err(refusal("InvalidGroup.Duplicate", message));
            }
            let id = SecurityGroupId(format!("sg-{}", state.new_id()));
            let group = SecurityGroup {
                id: id.clone(),
                name: spec.name.clone(),
                description: spec.description.clone(),
                vpc_id: spec.vpc_id.clone(),
                tags: spec.tags.clone(),
                ingress: BTreeSet::new(),
            };
            state.hide(id.as_str());
            state.security_groups.insert(id.clone(), group);
            Ok(id)
        })
    }

    async fn authorize_ingress(
        &self,
        group: &SecurityGroupId,
        permissions: &[Permission],
    ) -> Result<()> {
        self.write((EC2, "AuthorizeSecurityGroupIngress"), group, |state| {
            for permission in permissions {
                if let PermissionSource::SecurityGroup(source) = &permission.source {
                    let Ref::Known(source) = source else {
                        return Err(refusal("InvalidParameterValue", "unresolved reference"));
                    };
                    state.group(source)?;
                }
            }
            let live = state.group(group)?;
            let known: BTreeSet<_> = live.ingress.iter().map(identity).collect();
            if permissions
                .iter()
                .any(|permission| known.contains(&identity(permission)))
            {
                let message = "the specified rule already exists";
                return Err(refusal("InvalidPermission.Duplicate", message));
            }
            live.ingress.extend(permissions.iter().cloned());
            Ok(())
        })
    }

    async fn revoke_ingress(
        &self,
        group: &SecurityGroupId,
        permissions: &[Permission],
    ) -> Result<()> {
        self.write((EC2, "RevokeSecurityGroupIngress"), group, |state| {
            let live = state.group(group)?;
            let known: BTreeSet<_> = live.ingress.iter().map(identity).collect();
            if permissions
                .iter()
                .any(|permission| !known.contains(&identity(permission)))
            {
                let message = "The specified rule does not exist in this security group";
                return Err(refusal("InvalidPermission.NotFound", message));
            }
            let gone: BTreeSet<_> = permissions.iter().map(identity).collect();
            live.ingress
                .retain(|permission| !gone.contains(&identity(permission)));
            Ok(())
        })
    }

    async fn create_tags(&self, group: &SecurityGroupId, tags: &Tags) -> Result<()> {
        self.write((EC2, "CreateTags"), group, |state| {
            state.group(group)?.tags.extend(tags.clone());
            Ok(())
        })
    }

    async fn delete_tags(&self, group: &SecurityGroupId, keys: &BTreeSet<String>) -> Result<()> {
        self.write((EC2, "DeleteTags"), group, |state| {
            state
                .group(group)?
                .tags
                .retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    async fn delete_security_group(&self, group: &SecurityGroupId) -> Result<()> {
        self.write((EC2, "DeleteSecurityGroup"), group, |state| {
            state.group(group)?;
            let attached = state
                .load_balancers
                .values()
                .any(|balancer| balancer.security_groups.contains(group))
                || state
                    .instances
                    .values()
                    .any(|groups| groups.contains(group));
            let named = state
                .security_groups
                .values()
                .filter(|other| other.id != *group)
                .flat_map(|other| &other.ingress)
                .any(|permission| {
                    permission.source == PermissionSource::SecurityGroup(Ref::Known(group.clone()))
                });
            let lingers = state.lingers.get_mut(group).is_some_and(|left| {
                let busy = *left > 0;
                *left = left.saturating_sub(1);
                busy
            });
            if attached || named || lingers {
                let message = format!("resource {group} has a dependent object");
                return Err(refusal("DependencyViolation", message));
            }
            state.security_groups.remove(group);
            Ok(())
        })
    }
}

type Identity = (String, i32, i32, PermissionSource);

fn identity(permission: &Permission) -> Identity {
    (
        permission.protocol.clone(),
        permission.from_port,
        permission.to_port,
        permission.source.clone(),
    )
}

impl State {
    fn group(&mut self, id: &SecurityGroupId) -> Result<&mut SecurityGroup> {
        self.security_groups.get_mut(id).ok_or_else(|| {
            refusal(
                "InvalidGroup.NotFound",
                format!("The security group '{id}' does not exist"),
            )
        })
    }
}
