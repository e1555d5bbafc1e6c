//! Which ports the members listen on, and what they together ask of each (ingress-model §4.1).

use std::collections::BTreeMap;

use super::{
    Certificate, CertificateRequest, MutualAuthentication,
    build::Built,
    context::{GroupInput, Input, Refused, Report},
    merge::Inbound,
};
use crate::{manifest::annotation::value::Protocol, problem::Origin};

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

/// Steps 3 and 4 of ingress-model §0.1.
///
/// # Errors
/// A member's listening cannot be told, or members disagree.
pub fn build(_input: &Input<'_>, _group: &GroupInput<'_>, _report: &Report<'_>) -> Built<Ports> {
    Err(Refused)
}
