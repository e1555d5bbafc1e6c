//! Which ports the members listen on, and what they together ask of each (ingress-model §4.1).

use std::collections::BTreeMap;

use super::{
    Certificate, CertificateRequest, MutualAuthentication,
    build::Built,
    certificate,
    context::{GroupInput, Input, MemberInput, Refused, Report},
    merge::{self, Given, Inbound, MemberInbound},
    mutual,
};
use crate::{
    manifest::annotation::value::Protocol,
    problem::{Origin, Problem, codes},
};

#[cfg(test)]
mod tests;

/// Where an Ingress listens that does not say: plain, or where it has certificates, with TLS.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// All ports of a group, and the certificates that ACM is asked for on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ports {
    pub ports: BTreeMap<u16, Port>,
    pub requests: BTreeMap<String, CertificateRequest>,
}

/// What the members that listen on one port ask of it, merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The document that first asked for it.
    pub origin: Origin,
    pub protocol: Protocol,
    pub inbound: Inbound,
    /// HTTPS only; the empty text is a value.
    pub ssl_policy: Option<String>,
    pub mutual_authentication: Option<MutualAuthentication>,
    pub certificates: Vec<Certificate>,
    /// Who listens on it: indices into the group's members, ascending.
    pub members: Vec<usize>,
}

/// What one member asks of its ports.
struct MemberPorts<'a> {
    member: MemberInput<'a>,
    /// Where it says on which ports it listens, else where it stands.
    origin: &'a Origin,
    protocols: BTreeMap<u16, Protocol>,
    inbound: MemberInbound<'a>,
    ssl_policy: Option<Given<'a, String>>,
    mutual: BTreeMap<u16, MutualAuthentication>,
    certificates: Vec<Certificate>,
}

/// Steps 3 and 4 of ingress-model §0.1.
///
/// # Errors
/// A member's listening cannot be told, or members disagree.
pub fn build(input: &Input<'_>, group: &GroupInput<'_>, report: &Report<'_>) -> Built<Ports> {
    let mut requests = BTreeMap::new();
    let mut members = Vec::with_capacity(group.members.len());
    let mut result = Ok(());
    for member in &group.members {
        match of_member(input, *member, &mut requests, report) {
            Ok(ports) => members.push(Some(ports)),
            Err(Refused) => {
                members.push(None);
                result = Err(Refused);
            }
        }
    }
    let mut listening: BTreeMap<u16, Vec<(usize, &MemberPorts<'_>)>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        for port in member.iter().flat_map(|member| member.protocols.keys()) {
            let listeners = listening.entry(*port).or_default();
            listeners.extend(member.iter().map(|member| (index, member)));
        }
    }
    let mut ports = BTreeMap::new();
    for (port, members) in listening {
        match merge_port(input, port, &members, report) {
            Ok(merged) => {
                ports.insert(port, merged);
            }
            Err(Refused) => result = Err(Refused),
        }
    }
    result.map(|()| Ports { ports, requests })
}

fn of_member<'a>(
    input: &Input<'_>,
    member: MemberInput<'a>,
    requests: &mut BTreeMap<String, CertificateRequest>,
    report: &Report<'_>,
) -> Built<MemberPorts<'a>> {
    let options = &member.options().listener;
    let request = certificate::request(input, member, report);
    let mut certificates = certificate::explicit(member);
    if let Ok(Some((id, request))) = &request {
        requests.insert(id.clone(), request.clone());
        if certificates.is_empty() {
            certificates.push(Certificate::Requested(id.clone()));
        }
    }
    let ssl_policy = ssl_policy(member, report);
    let inbound = merge::inbound(member, report);
    let mutual = mutual::of_member(input, member, report);
    let protocols = protocols(member, !certificates.is_empty(), report)?;
    request?;
    if certificates.is_empty() && protocols.values().any(|it| *it == Protocol::Https) {
        certificates = certificate::discover(input, member, report)?;
    }
    let setting = options.listen_ports.as_ref();
    Ok(MemberPorts {
        member,
        origin: setting.map_or(&member.ingress.origin, |setting| &setting.origin),
        protocols,
        inbound: inbound?,
        ssl_policy: ssl_policy?,
        mutual: mutual?,
        certificates,
    })
}

/// The class's, else the Ingress's own.
fn ssl_policy<'a>(
    member: MemberInput<'a>,
    report: &Report<'_>,
) -> Built<Option<Given<'a, String>>> {
    let of_class = member
        .params
        .and_then(|params| params.spec.ssl_policy.as_ref());
    match of_class.filter(|policy| !policy.value.is_empty()) {
        Some(policy) => Ok(Some(Given::params(member, policy))),
        None => Given::setting(
            member,
            member.options().listener.ssl_policy.as_ref(),
            report,
        ),
    }
}

/// Of one port twice the later counts. TLS in the spec does not make an Ingress listen with TLS; certificates do.
fn protocols(
    member: MemberInput<'_>,
    has_certificates: bool,
    report: &Report<'_>,
) -> Built<BTreeMap<u16, Protocol>> {
    Ok(
        match report.ask(member.options().listener.listen_ports.as_ref())? {
            Some(ports) => ports.iter().map(|it| (it.port, it.protocol)).collect(),
            None if has_certificates => BTreeMap::from([(HTTPS_PORT, Protocol::Https)]),
            None => BTreeMap::from([(HTTP_PORT, Protocol::Http)]),
        },
    )
}

/// The members that listen on one port as one.
fn merge_port(
    input: &Input<'_>,
    port: u16,
    members: &[(usize, &MemberPorts<'_>)],
    report: &Report<'_>,
) -> Built<Port> {
    let protocols = members.iter().filter_map(|(_, member)| {
        let protocol = *member.protocols.get(&port)?;
        Some(Given {
            value: protocol,
            text: protocol.as_str(),
            origin: member.origin,
            member: member.member,
        })
    });
    let protocol = merge::agree(&format!("the protocol of port {port}"), protocols, report)?;
    let protocol = protocol.ok_or(Refused)?;
    let inbound: Vec<_> = members
        .iter()
        .map(|(_, member)| (member.member, &member.inbound))
        .collect();
    let mut merged = Port {
        origin: protocol.origin.clone(),
        protocol: protocol.value,
        inbound: Inbound::default(),
        ssl_policy: None,
        mutual_authentication: None,
        certificates: Vec::new(),
        members: members.iter().map(|(index, _)| *index).collect(),
    };
    let inbound = merge::merge_inbound(port, &inbound, report);
    if merged.protocol == Protocol::Https {
        let policies = members.iter().filter_map(|(_, it)| it.ssl_policy.clone());
        let policy = merge::agree(&format!("the SSL policy of port {port}"), policies, report);
        let mutual = merge_mutual(port, members, report);
        let lists: Vec<_> = members
            .iter()
            .map(|(_, it)| it.certificates.as_slice())
            .collect();
        merged.certificates = certificate::merge(&lists);
        if merged.certificates.is_empty() {
            without_certificate(port, protocol.origin, protocol.member, report);
        }
        merged.ssl_policy = Some(policy?.map_or_else(
            || input.settings.flags.default_ssl_policy.clone(),
            |policy| policy.value,
        ));
        merged.mutual_authentication = mutual?;
    }
    merged.inbound = inbound?;
    Ok(merged)
}

fn merge_mutual(
    port: u16,
    members: &[(usize, &MemberPorts<'_>)],
    report: &Report<'_>,
) -> Built<Option<MutualAuthentication>> {
    let given = members.iter().filter_map(|(_, it)| {
        let setting = it
            .member
            .options()
            .listener
            .mutual_authentication
            .as_ref()?;
        Some(Given {
            value: it.mutual.get(&port)?,
            text: &setting.text,
            origin: &setting.origin,
            member: it.member,
        })
    });
    let agreed = merge::agree(
        &format!("mutual authentication on port {port}"),
        given,
        report,
    )?;
    Ok(agreed.map(|given| given.value.clone()))
}

/// ELBv2 makes no HTTPS listener without a certificate.
fn without_certificate(port: u16, origin: &Origin, member: MemberInput<'_>, report: &Report<'_>) {
    report.add(
        Problem::new(
            codes::NO_CERTIFICATE,
            origin.clone(),
            format!(
                "the HTTPS listener on port {port} has no certificate, and no host to find one for"
            ),
        )
        .of(member.object())
        .hint("name certificates in certificate-arn, or hosts in spec.rules or spec.tls"),
    );
}
