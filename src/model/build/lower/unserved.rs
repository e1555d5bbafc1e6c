//! What the model knows and is not applied to AWS yet: such a group waits whole.

use super::{super::Wait, Lower};
use crate::manifest::annotation::options::MutualMode;

impl Lower<'_> {
    /// Everything that keeps the group from being applied, each named.
    pub(super) fn unserved(&self) -> Vec<Wait> {
        let model = self.model;
        let mut waits = Vec::new();
        let mut hold = |is_asked: bool, what: &str| {
            if is_asked {
                waits.push(Wait::new(self.origin, format!("{what} not served yet")));
            }
        };
        hold(
            model.add_ons.wafv2_acl_arn.is_some(),
            "WAFv2 web ACLs (wafv2-acl-arn, wafv2-acl-name) are",
        );
        hold(
            model.add_ons.waf_acl_id.is_some(),
            "WAF Regional web ACLs (waf-acl-id) are",
        );
        hold(
            model.add_ons.shield_protection.is_some(),
            "Shield Advanced (shield-advanced-protection) is",
        );
        hold(
            model.frontend_nlb.is_some(),
            "a frontend NLB (enable-frontend-nlb) is",
        );
        hold(
            !model.certificates.is_empty(),
            "requests of certificates (create-acm-cert) are",
        );
        let balancer = &model.load_balancer;
        hold(
            balancer.ipv4_ipam_pool.is_some(),
            "an IPAM pool (ipam-ipv4-pool-id) is",
        );
        hold(
            balancer.customer_owned_ipv4_pool.is_some(),
            "a customer-owned IPv4 pool (customer-owned-ipv4-pool) is",
        );
        hold(
            balancer.minimum_capacity_units.is_some(),
            "reserved capacity (minimum-load-balancer-capacity) is",
        );
        let verifies = model.listeners.values().any(|listener| {
            listener
                .mutual_authentication
                .as_ref()
                .is_some_and(|mutual| mutual.mode == MutualMode::Verify)
        });
        hold(
            verifies,
            "a trust store (mutual-authentication, mode verify) is",
        );
        let multi_cluster = model
            .target_groups
            .values()
            .any(|target_group| target_group.binding.multi_cluster);
        hold(
            multi_cluster,
            "a target group of several clusters (multi-cluster-target-group) is",
        );
        let settings = self.looks.settings;
        hold(
            !settings.flags.enable_backend_security_group,
            "a cluster without shared backend security group (enableBackendSecurityGroup) is",
        );
        hold(
            !settings.flags.backend_security_group.is_empty(),
            "a shared backend security group by id (backendSecurityGroup) is",
        );
        hold(
            !settings.gates.listener_rules_tagging,
            "listeners and rules without tags (ListenerRulesTagging) are",
        );
        hold(
            settings.gates.enhanced_default_behavior,
            "a reset of capacity and mutual TLS (EnhancedDefaultBehavior) is",
        );
        waits
    }
}
