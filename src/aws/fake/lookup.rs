//! What users name: certificates, web ACLs, trust stores, prefix lists; and limits.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::FakeAccount;
use crate::{
    aws::{CertificateQuery, LookupRead, Result},
    model::facts::{CertificateFact, NamedArn, PrefixListFact},
};

#[async_trait]
impl LookupRead for FakeAccount {
    async fn certificates(&self, query: CertificateQuery) -> Result<Vec<CertificateFact>> {
        let mut found = self.read(("acm", "ListCertificates"), "", |state| {
            Ok(state.acm_certificates.clone())
        })?;
        for certificate in &mut found {
            if certificate.certificate_authority_arn.is_some() {
                if query.authorities {
                    self.read(("acm", "DescribeCertificate"), &certificate.arn, |_| Ok(()))?;
                } else {
                    certificate.certificate_authority_arn = None;
                }
            }
            if query.tags {
                self.read(("acm", "ListTagsForCertificate"), &certificate.arn, |_| {
                    Ok(())
                })?;
            } else {
                certificate.tags.clear();
            }
        }
        Ok(found)
    }

    async fn web_acls(&self) -> Result<Vec<NamedArn>> {
        self.read(("wafv2", "ListWebACLs"), "", |state| {
            Ok(state.web_acls.clone())
        })
    }

    async fn trust_stores(&self) -> Result<Vec<NamedArn>> {
        let operation = ("elasticloadbalancing", "DescribeTrustStores");
        self.read(operation, "", |state| Ok(state.trust_stores.clone()))
    }

    async fn prefix_lists(&self) -> Result<Vec<PrefixListFact>> {
        self.read(("ec2", "DescribeManagedPrefixLists"), "", |state| {
            Ok(state.prefix_lists.clone())
        })
    }

    async fn zone_types(&self) -> Result<BTreeMap<String, String>> {
        self.read(("ec2", "DescribeAvailabilityZones"), "", |state| {
            let zones = state.subnets.iter().map(|subnet| subnet.az.clone());
            let mut types: BTreeMap<String, String> = zones
                .map(|zone| (zone, "availability-zone".to_owned()))
                .collect();
            types.extend(state.zone_types.clone());
            Ok(types)
        })
    }

    async fn account_limits(&self) -> Result<BTreeMap<String, u64>> {
        let operation = ("elasticloadbalancing", "DescribeAccountLimits");
        self.read(operation, "", |state| {
            let rules = u64::try_from(state.rule_limit).unwrap_or(u64::MAX);
            let mut limits = state.account_limits.clone();
            limits.insert("rules-per-application-load-balancer".to_owned(), rules);
            Ok(limits)
        })
    }
}
