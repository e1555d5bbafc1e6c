//! Certificates: a list, and a call of its own for what the list does not tell.

use aws_sdk_acm::types::{
    CertificateDetail, CertificateStatus, CertificateSummary, CertificateType, Filters,
    KeyAlgorithm,
};
use aws_smithy_types::{DateTime, date_time::Format};

use super::{ACM, Sdk, paged, unusable};
use crate::{
    aws::{CertificateQuery, Result, governor::Class},
    model::{facts::CertificateFact, net::Tags},
};

/// The largest page.
const PAGE: i32 = 1000;

impl Sdk {
    pub(super) async fn all_certificates(
        &self,
        query: CertificateQuery,
    ) -> Result<Vec<CertificateFact>> {
        const OPERATION: &str = "ListCertificates";
        let mut found = Vec::new();
        paged!(
            token => self.call(
                ACM, Class::Account, OPERATION,
                self.acm.list_certificates()
                    .includes(all_key_types())
                    .max_items(PAGE)
                    .set_next_token(token.clone())
                    .send(),
            ).await,
            page => page.next_token,
            found.extend(page.certificate_summary_list.unwrap_or_default())
        );
        let mut certificates = Vec::with_capacity(found.len());
        for raw in found {
            let whole = names_are_whole(&raw);
            let mut fact = fact(raw).map_err(|lacks| unusable(ACM, OPERATION, lacks))?;
            let issued = fact.status == CertificateStatus::Issued.as_str();
            let private = fact.kind == CertificateType::Private.as_str();
            // Only issued ones are ever used, so nothing more is asked of the others.
            if issued && (!whole || query.authorities && private) {
                match self.certificate(&fact.arn).await {
                    Ok(detail) => {
                        fact.sans = detail.subject_alternative_names.unwrap_or_default();
                        fact.certificate_authority_arn = detail.certificate_authority_arn;
                    }
                    // Deleted since it was listed.
                    Err(error) if error.is_not_found() => continue,
                    Err(error) => return Err(error),
                }
            }
            if issued && query.tags {
                match self.certificate_tags(&fact.arn).await {
                    Ok(tags) => fact.tags = tags,
                    Err(error) if error.is_not_found() => continue,
                    Err(error) => return Err(error),
                }
            }
            certificates.push(fact);
        }
        certificates.sort_by(|left, right| left.arn.cmp(&right.arn));
        Ok(certificates)
    }

    async fn certificate(&self, arn: &str) -> Result<CertificateDetail> {
        const OPERATION: &str = "DescribeCertificate";
        let request = self.acm.describe_certificate().certificate_arn(arn);
        self.call(ACM, Class::Account, OPERATION, request.send())
            .await?
            .certificate
            .ok_or_else(|| unusable(ACM, OPERATION, "Certificate"))
    }

    async fn certificate_tags(&self, arn: &str) -> Result<Tags> {
        const OPERATION: &str = "ListTagsForCertificate";
        let request = self.acm.list_tags_for_certificate().certificate_arn(arn);
        let answer = self
            .call(ACM, Class::Account, OPERATION, request.send())
            .await?;
        Ok(answer
            .tags
            .unwrap_or_default()
            .into_iter()
            .map(|tag| (tag.key, tag.value.unwrap_or_default()))
            .collect())
    }
}

/// Without the filter ACM tells only of RSA certificates up to 2048 bits.
fn all_key_types() -> Filters {
    let types = KeyAlgorithm::values();
    Filters::builder()
        .set_key_types(Some(
            types.iter().map(|name| KeyAlgorithm::from(*name)).collect(),
        ))
        .build()
}

/// A summary holds the first hundred names, and says whether there are more.
fn names_are_whole(raw: &CertificateSummary) -> bool {
    raw.has_additional_subject_alternative_names() == Some(false)
        && !raw.subject_alternative_name_summaries().is_empty()
}

fn fact(raw: CertificateSummary) -> std::result::Result<CertificateFact, &'static str> {
    Ok(CertificateFact {
        arn: raw.certificate_arn.ok_or("CertificateArn")?,
        domain: raw.domain_name.unwrap_or_default(),
        sans: raw.subject_alternative_name_summaries.unwrap_or_default(),
        status: raw
            .status
            .map(|status| status.as_str().to_owned())
            .ok_or("Status")?,
        kind: raw
            .r#type
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        key_algorithm: raw.key_algorithm.map(|key| key.as_str().to_owned()),
        not_after: raw.not_after.as_ref().and_then(time),
        certificate_authority_arn: None,
        tags: Tags::new(),
    })
}

fn time(at: &DateTime) -> Option<String> {
    at.fmt(Format::DateTime).ok()
}
