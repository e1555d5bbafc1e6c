//! The part that shapes the model: LBC's flags with what LBC refuses when it starts (ingress-model §9).

use crate::{config::read::Reading, problem::codes};

/// ELBv2 takes 50 tags; some are ours and users'.
const MAX_DEFAULT_TAGS: usize = 20;
/// Keys by which LBC and we find what we own.
const RESERVED: &[&str] = &[
    "albsync.dev/",
    "elbv2.k8s.aws/",
    "gateway.k8s.aws.alb/",
    "gateway.k8s.aws.nlb/",
    "ingress.k8s.aws/",
    "service.k8s.aws/",
];

pub(super) fn check(reading: &mut Reading) {
    tags(reading);
    let flags = reading.config.ingress.flags.clone();
    let mut complain = |key: &str, message: String, hint: &str| {
        let key = format!("ingress.{key}");
        reading.complain(codes::CONFIG_VALUE, &key, format!("{key} {message}"), hint);
    };
    let group = &flags.backend_security_group;
    if !group.is_empty() && !group.starts_with("sg-") {
        complain(
            "backendSecurityGroup",
            format!("is {group:?}"),
            "expected the id of a security group, sg-0123456789abcdef0",
        );
    }
    if flags.enable_manage_backend_security_group_rules && !flags.enable_backend_security_group {
        complain(
            "enableManageBackendSecurityGroupRules",
            "is true without a backend security group".to_owned(),
            "set enableBackendSecurityGroup: true",
        );
    }
    if flags.default_ssl_policy.is_empty() {
        complain(
            "defaultSslPolicy",
            "is empty".to_owned(),
            "expected a policy such as ELBSecurityPolicy-TLS13-1-2-2021-06",
        );
    }
    let authority = (!flags.default_pca_arn.is_empty()).then_some(&flags.default_pca_arn);
    let authorities = authority
        .map(|arn| ("defaultPcaArn", arn))
        .into_iter()
        .chain(
            flags
                .allowed_certificate_authority_arns
                .iter()
                .map(|arn| ("allowedCertificateAuthorityArns", arn)),
        );
    for (key, arn) in authorities {
        if !arn.starts_with("arn:") {
            complain(
                key,
                format!("holds {arn:?}"),
                "expected an ARN, arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID",
            );
        }
    }
    let label = &flags.required_secrets_label;
    let is_label = |label: &str| {
        label
            .split_once('=')
            .is_some_and(|(key, _)| !key.is_empty())
    };
    if !label.is_empty() && !is_label(label) {
        complain(
            "requiredSecretsLabel",
            format!("is {label:?}"),
            "expected key=value",
        );
    }
}

fn tags(reading: &mut Reading) {
    let ingress = reading.config.ingress.clone();
    for (tag, value) in &ingress.default_tags {
        if let Some(wrong) = bad_tag(tag, value) {
            reading.complain(
                codes::CONFIG_VALUE,
                "ingress.defaultTags",
                format!("ingress.defaultTags holds {tag:?}: {wrong}"),
                "expected keys of at most 128 and values of at most 256 characters, outside of the reserved prefixes",
            );
        }
    }
    if ingress.default_tags.len() > MAX_DEFAULT_TAGS {
        reading.complain(
            codes::CONFIG_VALUE,
            "ingress.defaultTags",
            format!(
                "ingress.defaultTags holds {} tags",
                ingress.default_tags.len()
            ),
            "expected at most 20, since AWS takes 50 on a resource and manifests bring theirs",
        );
    }
    for key in &ingress.flags.external_managed_tags {
        let wrong = if is_reserved(key) {
            "we set tags of that prefix ourselves"
        } else if ingress.default_tags.contains_key(key) {
            "it is among ingress.defaultTags"
        } else {
            continue;
        };
        reading.complain(
            codes::CONFIG_VALUE,
            "ingress.externalManagedTags",
            format!("ingress.externalManagedTags holds {key:?}: {wrong}"),
            "expected keys that somebody else sets",
        );
    }
}

fn is_reserved(key: &str) -> bool {
    RESERVED.iter().any(|prefix| key.starts_with(prefix))
}

fn bad_tag(key: &str, value: &str) -> Option<&'static str> {
    if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
        return Some("it is empty or too long");
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Some("aws: is AWS's own");
    }
    is_reserved(key).then_some("we set tags of that prefix ourselves")
}
