//! Narrow ports to AWS in our own words. Reading and writing are different types: a preview is handed the first only.
//!
//! Implementations page through everything, chunk by AWS's limits, and fill every field of the returned records but
//! where a method's text says otherwise. They retry nothing (decision 21 of the spec).

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    id::{Arn, RoleName, SecurityGroupId, SubnetId},
    model::{
        call::CallError,
        client::ClientCredentials,
        elb::{
            HealthCheck, Listener, ListenerSpec, LoadBalancer, LoadBalancerSpec, Rule, RuleSpec,
            Target, TargetGroup, TargetGroupSpec,
        },
        facts::{CertificateFact, NamedArn, PrefixListFact, Subnet, Vpc},
        group::SecretRef,
        iam::{Policy, PolicySpec, Provider, ProviderSpec, Role, RoleSpec},
        net::{Permission, SecurityGroup, SecurityGroupSpec, Tags},
    },
};

pub mod cache;
pub mod fake;
pub mod governor;
#[cfg(feature = "live")]
pub mod sdk;

pub type Result<T> = std::result::Result<T, CallError>;

/// Which balancers or target groups to describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Every one of the region.
    All,
    /// Those of these ARNs that exist.
    Arns(Vec<Arn>),
    /// Those of these names that exist.
    Names(Vec<String>),
    /// Target groups only: all that rules and listeners of this balancer name.
    OfLoadBalancer(Arn),
}

#[async_trait]
pub trait ElbRead: Send + Sync {
    /// `attributes` and `tags` are left empty.
    async fn load_balancers(&self, query: &Query) -> Result<Vec<LoadBalancer>>;
    /// `attributes`, `tags` and `tls.certificates` are left empty. A vanished balancer has no listeners.
    async fn listeners(&self, load_balancer: &Arn) -> Result<Vec<Listener>>;
    /// Beyond the default, which may be among them all the same.
    async fn listener_certificates(&self, listener: &Arn) -> Result<BTreeSet<Arn>>;
    /// Without the default rule; `tags` are left empty. A vanished listener has no rules.
    async fn rules(&self, listener: &Arn) -> Result<Vec<Rule>>;
    /// `attributes`, `tags` and `targets` are left empty.
    async fn target_groups(&self, query: &Query) -> Result<Vec<TargetGroup>>;
    /// In chunks of 20; ARNs that vanished are left out of the answer.
    async fn tags(&self, arns: &[Arn]) -> Result<BTreeMap<Arn, Tags>>;
    async fn load_balancer_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>>;
    async fn listener_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>>;
    async fn target_group_attributes(&self, arn: &Arn) -> Result<BTreeMap<String, String>>;
    /// Registered targets that are not draining.
    async fn targets(&self, target_group: &Arn) -> Result<BTreeSet<Target>>;
}

/// Where writes of sign-in actions get the client from: the cluster, at the last moment.
#[async_trait]
pub trait ClientSource: Send + Sync {
    async fn client(&self, secret: &SecretRef) -> Result<ClientCredentials>;
}

/// What a create returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedLoadBalancer {
    pub arn: Arn,
    pub dns_name: String,
}

/// Writes take resolved requests: every `Ref` in a spec is `Ref::Known` by then.
#[async_trait]
pub trait ElbWrite: ElbRead {
    /// Attributes are not sent: they are an operation of their own.
    async fn create_load_balancer(&self, spec: &LoadBalancerSpec) -> Result<CreatedLoadBalancer>;
    async fn set_security_groups(&self, arn: &Arn, groups: &[SecurityGroupId]) -> Result<()>;
    async fn set_subnets(&self, arn: &Arn, subnets: &[SubnetId]) -> Result<()>;
    async fn set_ip_address_type(&self, arn: &Arn, ip_address_type: &str) -> Result<()>;
    async fn modify_load_balancer_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()>;
    async fn delete_load_balancer(&self, arn: &Arn) -> Result<()>;
    /// Attributes and targets are not sent.
    async fn create_target_group(&self, spec: &TargetGroupSpec) -> Result<Arn>;
    async fn modify_target_group(&self, arn: &Arn, health_check: &HealthCheck) -> Result<()>;
    async fn modify_target_group_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()>;
    async fn delete_target_group(&self, arn: &Arn) -> Result<()>;
    /// In chunks of 100.
    async fn register_targets(&self, target_group: &Arn, targets: &BTreeSet<Target>) -> Result<()>;
    async fn deregister_targets(
        &self,
        target_group: &Arn,
        targets: &BTreeSet<Target>,
    ) -> Result<()>;
    /// Attributes and certificates beyond the default are not sent.
    async fn create_listener(&self, load_balancer: &Arn, spec: &ListenerSpec) -> Result<Arn>;
    /// The same.
    async fn modify_listener(&self, arn: &Arn, spec: &ListenerSpec) -> Result<()>;
    async fn modify_listener_attributes(
        &self,
        arn: &Arn,
        attributes: &BTreeMap<String, String>,
    ) -> Result<()>;
    /// One by one, because AWS takes no more.
    async fn add_listener_certificates(
        &self,
        arn: &Arn,
        certificates: &BTreeSet<Arn>,
    ) -> Result<()>;
    /// One by one, because AWS takes no more.
    async fn remove_listener_certificates(
        &self,
        arn: &Arn,
        certificates: &BTreeSet<Arn>,
    ) -> Result<()>;
    async fn delete_listener(&self, arn: &Arn) -> Result<()>;
    async fn create_rule(&self, listener: &Arn, priority: u32, spec: &RuleSpec) -> Result<Arn>;
    /// Tags are not sent.
    async fn modify_rule(&self, arn: &Arn, spec: &RuleSpec) -> Result<()>;
    async fn set_rule_priorities(&self, priorities: &BTreeMap<Arn, u32>) -> Result<()>;
    async fn delete_rule(&self, arn: &Arn) -> Result<()>;
    async fn add_tags(&self, arn: &Arn, tags: &Tags) -> Result<()>;
    async fn remove_tags(&self, arn: &Arn, keys: &BTreeSet<String>) -> Result<()>;
}

/// Which security groups to describe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupQuery {
    /// Those of these ids that exist.
    Ids(Vec<SecurityGroupId>),
    /// In the VPC, bearing all of these tags; a value of `None` means any, and wildcards in one count (`model::glob`).
    Tags(BTreeMap<String, Option<String>>),
    /// In the VPC, with this name.
    Name(String),
}

#[async_trait]
pub trait Ec2Read: Send + Sync {
    /// From here on every query is confined to this VPC.
    fn confine(&self, vpc_id: &str);
    async fn vpc(&self) -> Result<Vpc>;
    /// All of the VPC; `public` is filled in only when asked for (it takes route tables).
    async fn subnets(&self, with_routes: bool) -> Result<Vec<Subnet>>;
    async fn security_groups(&self, query: &GroupQuery) -> Result<Vec<SecurityGroup>>;
    /// Instance id → ids of the groups on its primary interface; unknown instances are left out.
    async fn instance_groups(
        &self,
        instances: &[String],
    ) -> Result<BTreeMap<String, Vec<SecurityGroupId>>>;
}

#[async_trait]
pub trait Ec2Write: Ec2Read {
    /// Permissions are not sent.
    async fn create_security_group(&self, spec: &SecurityGroupSpec) -> Result<SecurityGroupId>;
    async fn authorize_ingress(
        &self,
        group: &SecurityGroupId,
        permissions: &[Permission],
    ) -> Result<()>;
    async fn revoke_ingress(
        &self,
        group: &SecurityGroupId,
        permissions: &[Permission],
    ) -> Result<()>;
    async fn create_tags(&self, group: &SecurityGroupId, tags: &Tags) -> Result<()>;
    async fn delete_tags(&self, group: &SecurityGroupId, keys: &BTreeSet<String>) -> Result<()>;
    async fn delete_security_group(&self, group: &SecurityGroupId) -> Result<()>;
}

/// Who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub account: String,
    pub partition: String,
    pub arn: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EksCluster {
    pub arn: String,
    /// With `https://`; absent when the cluster has none.
    pub issuer: Option<String>,
    pub vpc_id: Option<String>,
}

#[async_trait]
pub trait IamRead: Send + Sync {
    async fn identity(&self) -> Result<Identity>;
    async fn eks_cluster(&self, name: &str) -> Result<EksCluster>;
    async fn provider(&self, arn: &Arn) -> Result<Option<Provider>>;
    /// With trust, boundary, tags, attachments and inline documents.
    async fn role(&self, name: &RoleName) -> Result<Option<Role>>;
    /// With the default version's document, all version ids and tags.
    async fn policy(&self, arn: &Arn) -> Result<Option<Policy>>;
    /// ARNs of all customer managed policies under the path.
    async fn policies_under(&self, path: &str) -> Result<Vec<Arn>>;
    /// Names of all roles under the path.
    async fn roles_under(&self, path: &str) -> Result<Vec<RoleName>>;
    /// The document of one version, decoded.
    async fn policy_version(&self, arn: &Arn, version: &str) -> Result<Value>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedRole {
    pub arn: Arn,
    pub role_id: String,
}

#[async_trait]
pub trait IamWrite: IamRead {
    async fn create_provider(&self, spec: &ProviderSpec) -> Result<Arn>;
    async fn add_client_id(&self, provider: &Arn, client_id: &str) -> Result<()>;
    async fn create_policy(&self, spec: &PolicySpec) -> Result<Arn>;
    async fn create_policy_version(&self, arn: &Arn, document: &Value) -> Result<()>;
    async fn set_default_policy_version(&self, arn: &Arn, version: &str) -> Result<()>;
    async fn delete_policy_version(&self, arn: &Arn, version: &str) -> Result<()>;
    async fn tag_policy(&self, arn: &Arn, tags: &Tags) -> Result<()>;
    async fn untag_policy(&self, arn: &Arn, keys: &BTreeSet<String>) -> Result<()>;
    async fn delete_policy(&self, arn: &Arn) -> Result<()>;
    /// With trust, boundary, tags, description and session length; attachments and inline policies are not sent.
    async fn create_role(&self, spec: &RoleSpec) -> Result<CreatedRole>;
    async fn update_assume_role_policy(&self, role: &RoleName, document: &Value) -> Result<()>;
    async fn put_permissions_boundary(&self, role: &RoleName, boundary: &Arn) -> Result<()>;
    async fn update_role(
        &self,
        role: &RoleName,
        description: &str,
        max_session_duration_seconds: i32,
    ) -> Result<()>;
    async fn tag_role(&self, role: &RoleName, tags: &Tags) -> Result<()>;
    async fn untag_role(&self, role: &RoleName, keys: &BTreeSet<String>) -> Result<()>;
    async fn attach_role_policy(&self, role: &RoleName, policy: &Arn) -> Result<()>;
    async fn detach_role_policy(&self, role: &RoleName, policy: &Arn) -> Result<()>;
    async fn put_role_policy(&self, role: &RoleName, name: &str, document: &Value) -> Result<()>;
    async fn delete_role_policy(&self, role: &RoleName, name: &str) -> Result<()>;
    async fn delete_role(&self, role: &RoleName) -> Result<()>;
}

/// What of certificates takes calls of its own, one for each certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateQuery {
    /// Which authority signed a private certificate.
    pub authorities: bool,
    pub tags: bool,
}

/// What users name and the account knows: all of the region, paged.
#[async_trait]
pub trait LookupRead: Send + Sync {
    /// Of all key algorithms and in every state; those that are issued with all their names.
    async fn certificates(&self, query: CertificateQuery) -> Result<Vec<CertificateFact>>;
    /// The regional ones of WAFv2.
    async fn web_acls(&self) -> Result<Vec<NamedArn>>;
    async fn trust_stores(&self) -> Result<Vec<NamedArn>>;
    async fn prefix_lists(&self) -> Result<Vec<PrefixListFact>>;
    /// Zone name → `availability-zone`, `local-zone` or `wavelength-zone`.
    async fn zone_types(&self) -> Result<BTreeMap<String, String>>;
    /// Limit name → maximum, as DescribeAccountLimits tells them.
    async fn account_limits(&self) -> Result<BTreeMap<String, u64>>;
}

/// What an account keeps besides answering: counts of calls, and perhaps a memory of answers.
pub trait Counted {
    /// `service:Operation` → calls since the start.
    fn calls(&self) -> BTreeMap<String, u64>;

    /// From here on everything is read anew. Nothing to do where nothing is remembered.
    fn forget(&self) {}
}

/// Everything a preview needs.
pub trait AwsRead: ElbRead + Ec2Read + IamRead + LookupRead + Counted {}
impl<T: ElbRead + Ec2Read + IamRead + LookupRead + Counted> AwsRead for T {}

/// Everything applying needs.
pub trait AwsWrite: AwsRead + ElbWrite + Ec2Write + IamWrite {}
impl<T: AwsRead + ElbWrite + Ec2Write + IamWrite> AwsWrite for T {}
