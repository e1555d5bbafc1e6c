//! What the model knows and is not applied to AWS yet: such a group waits whole.

use super::{super::Wait, Lower};
use crate::manifest::annotation::options::MutualMode;

/// Something that keeps a whole group from being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model::build) enum Unserved {
    Wafv2,
    WafRegional,
    Shield,
    FrontendNlb,
    RequestedCertificate,
    IpamPool,
    CustomerOwnedPool,
    Capacity,
    TrustStore,
    MultiCluster,
    /// The targets would admit each balancer's own group, and each such group could go only after all of them let go.
    NoBackendGroup,
    /// Rules without tags could not be told from those that somebody made by hand.
    NoListenerTags,
}

impl Unserved {
    pub(in crate::model::build) const ALL: [Self; 12] = [
        Self::Wafv2,
        Self::WafRegional,
        Self::Shield,
        Self::FrontendNlb,
        Self::RequestedCertificate,
        Self::IpamPool,
        Self::CustomerOwnedPool,
        Self::Capacity,
        Self::TrustStore,
        Self::MultiCluster,
        Self::NoBackendGroup,
        Self::NoListenerTags,
    ];

    /// The part with the annotation or key that asks for it, as it stands before "not served yet".
    pub(in crate::model::build) const fn part(self) -> &'static str {
        match self {
            Self::Wafv2 => "WAFv2 web ACLs (wafv2-acl-arn, wafv2-acl-name) are",
            Self::WafRegional => "WAF Regional web ACLs (waf-acl-id) are",
            Self::Shield => "Shield Advanced (shield-advanced-protection) is",
            Self::FrontendNlb => "a frontend NLB (enable-frontend-nlb) is",
            Self::RequestedCertificate => "requests of certificates (create-acm-cert) are",
            Self::IpamPool => "an IPAM pool (ipam-ipv4-pool-id) is",
            Self::CustomerOwnedPool => "a customer-owned IPv4 pool (customer-owned-ipv4-pool) is",
            Self::Capacity => "reserved capacity (minimum-load-balancer-capacity) is",
            Self::TrustStore => "a trust store (mutual-authentication, mode verify) is",
            Self::MultiCluster => {
                "a target group of several clusters (multi-cluster-target-group) is"
            }
            Self::NoBackendGroup => {
                "a cluster without shared backend security group (enableBackendSecurityGroup) is"
            }
            Self::NoListenerTags => "listeners and rules without tags (ListenerRulesTagging) are",
        }
    }

    fn is_asked(self, lower: &Lower<'_>) -> bool {
        let model = lower.model;
        let balancer = &model.load_balancer;
        let settings = lower.looks.settings;
        match self {
            Self::Wafv2 => model.add_ons.wafv2_acl_arn.is_some(),
            Self::WafRegional => model.add_ons.waf_acl_id.is_some(),
            Self::Shield => model.add_ons.shield_protection.is_some(),
            Self::FrontendNlb => model.frontend_nlb.is_some(),
            Self::RequestedCertificate => !model.certificates.is_empty(),
            Self::IpamPool => balancer.ipv4_ipam_pool.is_some(),
            Self::CustomerOwnedPool => balancer.customer_owned_ipv4_pool.is_some(),
            Self::Capacity => balancer.minimum_capacity_units.is_some(),
            Self::TrustStore => model.listeners.values().any(|listener| {
                let mutual = listener.mutual_authentication.as_ref();
                mutual.is_some_and(|mutual| mutual.mode == MutualMode::Verify)
            }),
            Self::MultiCluster => {
                let mut groups = model.target_groups.values();
                groups.any(|target_group| target_group.binding.multi_cluster)
            }
            Self::NoBackendGroup => !settings.flags.enable_backend_security_group,
            Self::NoListenerTags => !settings.gates.listener_rules_tagging,
        }
    }
}

impl Lower<'_> {
    /// Everything that keeps the group from being applied, each named.
    pub(super) fn unserved(&self) -> Vec<Wait> {
        Unserved::ALL
            .into_iter()
            .filter(|unserved| unserved.is_asked(self))
            .map(|unserved| {
                let reason = format!("{} not served yet", unserved.part());
                Wait::new(self.origin, reason).lasting()
            })
            .collect()
    }
}
