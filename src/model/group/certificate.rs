//! Certificates of HTTPS listeners: named, found among the account's, or asked of ACM (ingress-model §4.2, §4.3).

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{
    Certificate, CertificateRequest,
    build::Built,
    context::{Input, MemberInput, Report},
    tag,
};
use crate::{
    manifest::annotation::Setting,
    model::{digest::hex, facts::CertificateFact, settings::Settings, tags},
    problem::{Origin, Problem, codes, nearest::nearest},
};

#[cfg(test)]
mod tests;

/// Hex digits of the Ingress's hash in the id of a requested certificate.
const HASH_LENGTH: usize = 8;
/// The state in which ACM has a certificate that can be used.
const ISSUED: &str = "ISSUED";

/// The ARNs that a member names: its class's, else its own. They are taken as they are.
pub fn explicit(member: MemberInput<'_>) -> Vec<Certificate> {
    let of_class = member.params.map(|params| &params.spec.certificate_arns);
    if let Some(arns) = of_class.filter(|arns| !arns.is_empty()) {
        return arns
            .iter()
            .map(|arn| Certificate::Arn(arn.value.clone()))
            .collect();
    }
    annotated(member)
        .iter()
        .map(|arn| Certificate::Arn(arn.clone()))
        .collect()
}

/// An empty list counts as none; a list is never malformed.
fn annotated(member: MemberInput<'_>) -> &[String] {
    let setting = member.options().listener.certificate_arns.as_ref();
    setting.and_then(Setting::good).map_or(&[], Vec::as_slice)
}

/// The certificate that a member asks of ACM, by resource id. An Ingress that names certificates asks for none; that its
/// class names some does not count (ingress-model §4.3).
///
/// # Errors
/// There is no host to ask for, or its tags are bad.
pub fn request(
    input: &Input<'_>,
    member: MemberInput<'_>,
    report: &Report<'_>,
) -> Built<Option<(String, CertificateRequest)>> {
    let settings = input.settings;
    let wanted = member.options().listener.create_acm_cert.as_ref();
    if !settings.gates.enable_certificate_management
        && let Some(setting) = wanted.filter(|setting| setting.good() == Some(&true))
    {
        let of = (member, &setting.origin);
        report.closed(of, "create-acm-cert", "EnableCertificateManagement");
    }
    // A text that is no boolean counts as false.
    let Some(setting) = wanted.filter(|setting| {
        setting.good() == Some(&true)
            && settings.gates.enable_certificate_management
            && annotated(member).is_empty()
    }) else {
        return Ok(None);
    };
    let hosts = hosts(member);
    let Some(domain) = hosts.first() else {
        return report.refuse(
            Problem::new(
                codes::CERTIFICATE,
                setting.origin.clone(),
                "create-acm-cert is true, and the Ingress has no host to ask a certificate for",
            )
            .of(member.object())
            .hint("name a host in spec.rules or spec.tls"),
        );
    };
    let authority = authority(member, settings);
    let kind = if authority.is_some() {
        "private"
    } else {
        "amazon_issued"
    };
    let mut hash = hex(&Sha256::digest(member.ingress.key().as_bytes()));
    hash.truncate(HASH_LENGTH);
    let id = format!("{kind}/{}-{hash}", domain.replace('*', "wildcard"));
    let request = CertificateRequest {
        origin: setting.origin.clone(),
        certificate_authority_arn: authority,
        domain_name: (*domain).to_owned(),
        subject_alternative_names: hosts.iter().map(|host| (*host).to_owned()).collect(),
        tags: tag::own(input, member, true, report)?,
    };
    Ok(Some((id, request)))
}

/// The CA that signs: the annotation's unless it is empty, else the configured one.
fn authority(member: MemberInput<'_>, settings: &Settings) -> Option<String> {
    let setting = member.options().listener.acm_pca_arn.as_ref();
    let annotated = setting
        .and_then(Setting::good)
        .filter(|arn| !arn.is_empty());
    let arn = annotated.unwrap_or(&settings.flags.default_pca_arn);
    (!arn.is_empty()).then(|| arn.clone())
}

/// All hosts of the rules and of `tls`, sorted, each once.
pub fn hosts<'a>(member: MemberInput<'a>) -> BTreeSet<&'a str> {
    let rules = member.ingress.rules.iter();
    let of_rules = rules.filter_map(|rule| rule.host.as_ref());
    of_rules
        .chain(&member.ingress.tls_hosts)
        .map(|host| host.value.as_str())
        .filter(|host| !host.is_empty())
        .collect()
}

/// The certificates of the account that may serve, by the names they hold.
#[derive(Debug, Default)]
pub struct Index<'a> {
    exact: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// By what follows `*.`; a star stands for exactly one label.
    wildcard: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Index<'a> {
    pub fn new(certificates: &'a [CertificateFact], settings: &Settings) -> Self {
        let mut index = Self::default();
        for certificate in certificates {
            if !is_candidate(certificate, settings) {
                continue;
            }
            for domain in &certificate.sans {
                let arns = match domain.strip_prefix("*.") {
                    Some(rest) => index.wildcard.entry(rest).or_default(),
                    None => index.exact.entry(domain).or_default(),
                };
                arns.insert(&certificate.arn);
            }
        }
        index
    }

    /// The ARNs of all certificates that are good for a host.
    fn of<'i>(&'i self, host: &str) -> impl Iterator<Item = &'a str> + use<'a, 'i> {
        let exact = self.exact.get(host);
        let rest = host.split_once('.').map(|(_, rest)| rest);
        let wildcard = rest.and_then(|rest| self.wildcard.get(rest));
        exact.into_iter().chain(wildcard).flatten().copied()
    }

    fn near(&self, host: &str) -> Option<String> {
        let wildcards: Vec<String> = self
            .wildcard
            .keys()
            .map(|rest| format!("*.{rest}"))
            .collect();
        let exact = self.exact.keys().copied();
        nearest(host, exact.chain(wildcards.iter().map(String::as_str))).map(str::to_owned)
    }
}

fn is_candidate(certificate: &CertificateFact, settings: &Settings) -> bool {
    let allowed = &settings.flags.allowed_certificate_authority_arns;
    let authority = certificate.certificate_authority_arn.as_deref();
    // What some controller of this kind asked for belongs to that Ingress alone.
    let is_requested = settings.gates.enable_certificate_management
        && [tags::CLUSTER, tags::STACK]
            .iter()
            .all(|key| certificate.tags.contains_key(*key));
    certificate.status == ISSUED
        && (allowed.is_empty() || authority.is_some_and(|arn| allowed.contains(arn)))
        && !is_requested
}

/// All certificates of the account that fit a host of the member, by ascending ARN: the lowest becomes the default.
///
/// # Errors
/// A host that none fits; all such hosts are told.
pub fn discover(
    input: &Input<'_>,
    member: MemberInput<'_>,
    report: &Report<'_>,
) -> Built<Vec<Certificate>> {
    let hosts = hosts(member);
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    let Some(index) = input.certificates() else {
        return report.missing_fact(
            &member.ingress.origin,
            &member.object(),
            "the list of the account's certificates",
        );
    };
    let mut found = BTreeSet::new();
    let mut result = Ok(());
    for host in hosts {
        let mut fitting = index.of(host).peekable();
        if fitting.peek().is_some() {
            found.extend(fitting);
        } else {
            let mut problem = Problem::new(
                codes::CERTIFICATE,
                host_origin(member, host),
                format!("no issued certificate of the account is for the host \"{host}\""),
            )
            .of(member.object());
            problem.hint = Some(match index.near(host) {
                Some(near) => {
                    format!("there is one for \"{near}\"; or name one in certificate-arn")
                }
                None => "request one in ACM, or name one in certificate-arn".to_owned(),
            });
            result = report.refuse(problem);
        }
    }
    result?;
    Ok(found
        .into_iter()
        .map(|arn| Certificate::Arn(arn.to_owned()))
        .collect())
}

fn host_origin(member: MemberInput<'_>, host: &str) -> Origin {
    let rules = member.ingress.rules.iter();
    rules
        .filter_map(|rule| rule.host.as_ref())
        .chain(&member.ingress.tls_hosts)
        .find(|located| located.value == host)
        .map_or_else(
            || member.ingress.origin.clone(),
            |located| located.origin.clone(),
        )
}

/// The members' certificates as one list: the default first, then every other in order of the members, each once. The
/// default stands again where a list repeats it (ingress-model §4.1).
pub fn merge(lists: &[&[Certificate]]) -> Vec<Certificate> {
    let mut merged: Vec<Certificate> = Vec::new();
    let mut seen = BTreeSet::new();
    for (position, certificate) in lists.iter().copied().flatten().enumerate() {
        if position == 0 || seen.insert(certificate) {
            merged.push(certificate.clone());
        }
    }
    merged
}
