//! Writes: security groups, their permissions and tags.

use std::collections::BTreeSet;

use async_trait::async_trait;
use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};

use super::convert::{group, to_tags};
use crate::{
    aws::{
        Ec2Write, Result,
        governor::Class,
        sdk::{EC2, Sdk, unusable},
    },
    id::SecurityGroupId,
    model::net::{Permission, SecurityGroupSpec, Tags},
};

#[async_trait]
impl Ec2Write for Sdk {
    async fn create_security_group(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroupId> {
        const OPERATION: &str = "CreateSecurityGroup";
        let mut request = self
            .ec2
            .create_security_group()
            .group_name(&spec.name)
            .description(&spec.description)
            .vpc_id(&spec.vpc_id);
        if !spec.tags.is_empty() {
            request = request.tag_specifications(
                TagSpecification::builder()
                    .resource_type(ResourceType::SecurityGroup)
                    .set_tags(Some(to_tags(&spec.tags)))
                    .build(),
            );
        }
        self.call(EC2, Class::Ec2Write, OPERATION, request.send())
            .await?
            .group_id
            .map(SecurityGroupId)
            .ok_or_else(|| unusable(EC2, OPERATION, "GroupId"))
    }

    async fn authorize_ingress(
        &self,
        id: &SecurityGroupId,
        permissions: &[Permission],
    ) -> Result<()> {
        let request = self
            .ec2
            .authorize_security_group_ingress()
            .group_id(id.as_str())
            .set_ip_permissions(Some(group(permissions)));
        self.call(
            EC2,
            Class::Ec2Write,
            "AuthorizeSecurityGroupIngress",
            request.send(),
        )
        .await
        .map(drop)
    }

    async fn revoke_ingress(&self, id: &SecurityGroupId, permissions: &[Permission]) -> Result<()> {
        let request = self
            .ec2
            .revoke_security_group_ingress()
            .group_id(id.as_str())
            .set_ip_permissions(Some(group(permissions)));
        self.call(
            EC2,
            Class::Ec2Write,
            "RevokeSecurityGroupIngress",
            request.send(),
        )
        .await
        .map(drop)
    }

    async fn create_tags(&self, id: &SecurityGroupId, tags: &Tags) -> Result<()> {
        let request = self
            .ec2
            .create_tags()
            .resources(id.as_str())
            .set_tags(Some(to_tags(tags)));
        self.call(EC2, Class::Ec2Write, "CreateTags", request.send())
            .await
            .map(drop)
    }

    async fn delete_tags(&self, id: &SecurityGroupId, keys: &BTreeSet<String>) -> Result<()> {
        // Without a value: whatever it is by now.
        let tags = keys.iter().map(|key| Tag::builder().key(key).build());
        let request = self
            .ec2
            .delete_tags()
            .resources(id.as_str())
            .set_tags(Some(tags.collect()));
        self.call(EC2, Class::Ec2Write, "DeleteTags", request.send())
            .await
            .map(drop)
    }

    async fn delete_security_group(&self, id: &SecurityGroupId) -> Result<()> {
        let request = self.ec2.delete_security_group().group_id(id.as_str());
        self.call(EC2, Class::Ec2Write, "DeleteSecurityGroup", request.send())
            .await
            .map(drop)
    }
}
