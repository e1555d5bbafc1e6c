//! Account, cluster and issuer: what ARNs, trust and tags are made of (irsa §1.4, §1.7, §9.5).

use std::collections::BTreeSet;

use crate::{
    id::Arn,
    model::{build::Input, iam::ProviderSpec, net::Tags, tags},
};

/// What every ARN and trust document needs to know.
pub(super) struct Cloud<'a> {
    pub account: &'a str,
    pub partition: &'a str,
    pub cluster_arn: &'a str,
    /// As EKS gives it, with `https://`.
    issuer_url: &'a str,
    /// Without scheme and port: the tail of the provider's ARN and the prefix of the condition keys (irsa §1.4).
    pub issuer: String,
}

impl<'a> Cloud<'a> {
    pub fn of(input: &Input<'a>) -> Result<Self, String> {
        let facts = input.facts;
        let account = facts
            .account
            .as_deref()
            .ok_or("the AWS account was not read")?;
        let cluster_arn = facts
            .cluster_arn
            .as_deref()
            .ok_or("the cluster's ARN was not read")?;
        let issuer_url = facts
            .oidc_issuer
            .as_deref()
            .ok_or("the cluster's OIDC issuer was not read")?;
        Ok(Self {
            account,
            // The partition is the cluster's, never derived from the region (irsa §1.7).
            partition: facts
                .partition
                .as_deref()
                .or_else(|| cluster_arn.split(':').nth(1))
                .unwrap_or("aws"),
            cluster_arn,
            issuer_url,
            issuer: bare_issuer(issuer_url),
        })
    }

    pub fn arn(&self, resource: &str) -> Arn {
        Arn(format!(
            "arn:{}:iam::{}:{resource}",
            self.partition, self.account
        ))
    }

    pub fn provider_arn(&self) -> Arn {
        self.arn(&format!("oidc-provider/{}", self.issuer))
    }

    pub fn provider(&self, input: &Input) -> ProviderSpec {
        ProviderSpec {
            url: self.issuer_url.to_owned(),
            arn: self.provider_arn(),
            client_ids: BTreeSet::from([super::AUDIENCE.to_owned()]),
            ensure: input.settings.iam.ensure_provider,
            tags: self.tags(input),
        }
    }

    /// Owner's tags that do not name a declaration.
    pub fn tags(&self, input: &Input) -> Tags {
        let settings = input.settings;
        Tags::from([
            (tags::OWNER.to_owned(), settings.installation.clone()),
            (tags::OWNER_CLUSTER.to_owned(), self.cluster_arn.to_owned()),
            (tags::REPO.to_owned(), settings.repo_id.clone()),
        ])
    }
}

pub(super) fn bare_issuer(url: &str) -> String {
    let bare = url
        .strip_prefix("https://")
        .unwrap_or(url)
        .trim_end_matches('/');
    let (authority, path) = match bare.split_once('/') {
        Some((authority, path)) => (authority, Some(path)),
        None => (bare, None),
    };
    let host = authority.split(':').next().unwrap_or(authority);
    path.map_or_else(|| host.to_owned(), |path| format!("{host}/{path}"))
}
