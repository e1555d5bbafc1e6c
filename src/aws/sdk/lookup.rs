//! What users name, from ACM, WAFv2, ELBv2 and EC2; and limits.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_wafv2::types::Scope;

use super::{EC2, ELB, Sdk, WAF, paged, unusable};
use crate::{
    aws::{CertificateQuery, LookupRead, Result, governor::Class},
    model::facts::{CertificateFact, NamedArn, PrefixListFact},
};

/// The largest pages.
const ELB_PAGE: i32 = 400;
const EC2_PAGE: i32 = 100;
const WAF_PAGE: i32 = 100;

#[async_trait]
impl LookupRead for Sdk {
    async fn certificates(&self, query: CertificateQuery) -> Result<Vec<CertificateFact>> {
        self.all_certificates(query).await
    }

    async fn web_acls(&self) -> Result<Vec<NamedArn>> {
        const OPERATION: &str = "ListWebACLs";
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                WAF, Class::Account, OPERATION,
                self.waf.list_web_acls()
                    .scope(Scope::Regional)
                    .limit(WAF_PAGE)
                    .set_next_marker(marker.clone())
                    .send(),
            ).await,
            page => page.next_marker,
            found.extend(
                page.web_acls.unwrap_or_default().into_iter().map(|raw| (raw.name, raw.arn))
            )
        );
        named(WAF, OPERATION, found)
    }

    async fn trust_stores(&self) -> Result<Vec<NamedArn>> {
        const OPERATION: &str = "DescribeTrustStores";
        let mut found = Vec::new();
        paged!(
            marker => self.call(
                ELB, Class::ElbDescribe, OPERATION,
                self.elb.describe_trust_stores()
                    .page_size(ELB_PAGE)
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.next_marker,
            found.extend(
                page.trust_stores
                    .unwrap_or_default()
                    .into_iter()
                    .map(|raw| (raw.name, raw.trust_store_arn))
            )
        );
        named(ELB, OPERATION, found)
    }

    async fn prefix_lists(&self) -> Result<Vec<PrefixListFact>> {
        const OPERATION: &str = "DescribeManagedPrefixLists";
        let mut found = Vec::new();
        paged!(
            token => self.call(
                EC2, Class::Ec2Read, OPERATION,
                self.ec2.describe_managed_prefix_lists()
                    .max_results(EC2_PAGE)
                    .set_next_token(token.clone())
                    .send(),
            ).await,
            page => page.next_token,
            found.extend(page.prefix_lists.unwrap_or_default())
        );
        let mut lists = found
            .into_iter()
            .map(|raw| {
                Some(PrefixListFact {
                    id: raw.prefix_list_id?,
                    name: raw.prefix_list_name.unwrap_or_default(),
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| unusable(EC2, OPERATION, "PrefixListId"))?;
        lists.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(lists)
    }

    async fn zone_types(&self) -> Result<BTreeMap<String, String>> {
        const OPERATION: &str = "DescribeAvailabilityZones";
        let request = self.ec2.describe_availability_zones();
        let answer = self
            .call(EC2, Class::Ec2Read, OPERATION, request.send())
            .await?;
        Ok(answer
            .availability_zones
            .unwrap_or_default()
            .into_iter()
            .filter_map(|zone| Some((zone.zone_name?, zone.zone_type?)))
            .collect())
    }

    async fn account_limits(&self) -> Result<BTreeMap<String, u64>> {
        const OPERATION: &str = "DescribeAccountLimits";
        let mut found = BTreeMap::new();
        paged!(
            marker => self.call(
                ELB, Class::ElbDescribe, OPERATION,
                self.elb.describe_account_limits()
                    .page_size(ELB_PAGE)
                    .set_marker(marker.clone())
                    .send(),
            ).await,
            page => page.next_marker,
            found.extend(
                page.limits
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|raw| Some((raw.name?, raw.max?.parse().ok()?)))
            )
        );
        Ok(found)
    }
}

/// By name, and by ARN where several have one.
fn named(
    service: &str,
    operation: &str,
    raw: Vec<(Option<String>, Option<String>)>,
) -> Result<Vec<NamedArn>> {
    let mut found = raw
        .into_iter()
        .map(|(name, arn)| {
            Some(NamedArn {
                name: name?,
                arn: arn?,
            })
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| unusable(service, operation, "a name or an ARN"))?;
    found.sort_by(|left, right| (&left.name, &left.arn).cmp(&(&right.name, &right.arn)));
    Ok(found)
}
