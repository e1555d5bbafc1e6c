//! What a backend points at: a Service of git or of the cluster with its ports, families and what the API server assigned.

use std::borrow::Cow;

use super::{
    Later,
    build::Built,
    context::{Input, MemberInput, Report},
};
use crate::{
    manifest::{IngressOptions, Service, ServiceRef, ingress::PortRef},
    model::facts::ServiceFact,
    problem::{Origin, Problem, codes, nearest::nearest},
};

#[cfg(test)]
mod tests;

/// Services that a misspelt name is compared with: many misspelt names among many Services must not take all day.
const COMPARED: usize = 200;

/// A Service as git declares it or, where git does not hold it, as the cluster does.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub document: Option<&'a Service>,
    /// Absent: not in the cluster yet.
    pub fact: Option<&'a ServiceFact>,
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewPort<'a> {
    /// `None`: unnamed.
    pub name: Option<&'a str>,
    pub number: i32,
    pub target: Cow<'a, PortRef>,
    /// 0 where it has none; `None` where the API server is still to assign one.
    pub node_port: Later<i32>,
}

/// A Service, or that there is none.
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    Service(View<'a>),
    Missing,
}

/// Looks a Service up: git first, then the cluster.
///
/// # Errors
/// Git does not hold it and the cluster's were not read, or not its ports.
pub fn find<'a>(
    input: &Input<'a>,
    member: MemberInput<'_>,
    service: &ServiceRef,
    origin: &Origin,
    report: &Report<'_>,
) -> Built<Found<'a>> {
    let document = input.service(service);
    let fact = input.service_fact(service);
    match (document, fact) {
        (Some(_), _) => Ok(Found::Service(View {
            document,
            fact: fact.flatten(),
        })),
        (None, None) => {
            let what = format!("Service {service}, which is not in git,");
            report.missing_fact(origin, &member.object(), &what)
        }
        (None, Some(None)) => Ok(Found::Missing),
        (None, Some(Some(fact))) if fact.service_type.is_none() => {
            let what = format!("the spec of Service {service}, which is not in git,");
            report.missing_fact(origin, &member.object(), &what)
        }
        (None, Some(fact)) => Ok(Found::Service(View { document, fact })),
    }
}

/// Notes that a Service exists nowhere: a problem of the commit, whatever the balancer would answer in its place
/// (decision 25 of the spec).
pub fn tell_missing(
    input: &Input<'_>,
    member: MemberInput<'_>,
    service: &ServiceRef,
    origin: &Origin,
    report: &Report<'_>,
) {
    let known = input.service_names(&service.namespace, COMPARED);
    let mut problem = Problem::new(
        codes::UNKNOWN_SERVICE,
        origin.clone(),
        format!(
            "Service `{}` is neither in git nor in the cluster, in namespace `{}`",
            service.name, service.namespace
        ),
    )
    .of(member.object());
    problem.hint = nearest(&service.name, known.iter().map(String::as_str))
        .map(|near| format!("did you mean \"{near}\"?"));
    report.add(problem);
}

impl<'a> View<'a> {
    /// Its annotations under our prefix: git's, and the cluster's where git does not hold it.
    pub fn options(&self) -> Option<&'a IngressOptions> {
        match self.document {
            Some(service) => Some(&service.options),
            None => self.fact?.annotations.options(),
        }
    }

    pub fn uid(&self) -> Later<&'a str> {
        self.fact?.uid.as_deref()
    }

    /// Whether IPv6 is among its address families: what the cluster says, else what git decides.
    pub fn is_ipv6(&self) -> bool {
        let assigned = self.fact.and_then(|fact| fact.ip_families.as_ref());
        let decided = self
            .document
            .and_then(|service| service.ip_families.as_ref());
        let mut families = assigned.or(decided).into_iter().flatten();
        families.any(|family| family == "IPv6")
    }

    /// The port that a backend means: by name or by number, whatever its protocol, the first that fits.
    pub fn port(&self, wanted: &PortRef) -> Option<ViewPort<'a>> {
        let is_wanted = |name: Option<&str>, number: i32| match wanted {
            PortRef::Name(wanted) => name.unwrap_or_default() == wanted,
            PortRef::Number(wanted) => number == *wanted,
        };
        if let Some(service) = self.document {
            let port = service
                .ports
                .iter()
                .find(|port| is_wanted(port.name.as_deref(), port.port))?;
            return Some(ViewPort {
                name: port.name.as_deref(),
                number: port.port,
                target: Cow::Borrowed(&port.target_port),
                node_port: self.node_port(service, port.port, port.node_port),
            });
        }
        let ports = &self.fact?.ports;
        let port = ports
            .iter()
            .find(|port| is_wanted(port.name.as_deref(), port.port))?;
        let target = match &port.target_port {
            serde_json::Value::String(name) => PortRef::Name(name.clone()),
            other => {
                let number = other.as_i64().and_then(|number| i32::try_from(number).ok());
                PortRef::Number(number.filter(|number| *number != 0).unwrap_or(port.port))
            }
        };
        Some(ViewPort {
            name: port.name.as_deref(),
            number: port.port,
            target: Cow::Owned(target),
            node_port: Some(self.assigned(port.port).unwrap_or(0)),
        })
    }

    /// The one that git pins, else the one that the API server assigned; one that is to be assigned is not known yet.
    fn node_port(&self, service: &Service, number: i32, pinned: Option<i32>) -> Later<i32> {
        match pinned {
            None if !service.has_node_ports => Some(0),
            None => self.assigned(number),
            pinned => pinned,
        }
    }

    fn assigned(&self, number: i32) -> Option<i32> {
        let port = self.fact?.node_ports.get(&number.to_string())?;
        port.map(i32::from)
    }

    /// What it is called by its type, for problems.
    pub fn service_type(&self) -> &'a str {
        let of_fact = self.fact.and_then(|fact| fact.service_type.as_deref());
        match self.document {
            Some(service) => &service.service_type,
            None => of_fact.unwrap_or_default(),
        }
    }

    /// Its ports as people read them.
    pub fn ports_shown(&self) -> String {
        let show = |name: Option<&str>, number: i32| match name {
            Some(name) => format!("{number} (`{name}`)"),
            None => number.to_string(),
        };
        let ports: Vec<String> = match (self.document, self.fact) {
            (Some(service), _) => service
                .ports
                .iter()
                .map(|port| show(port.name.as_deref(), port.port))
                .collect(),
            (None, Some(fact)) => fact
                .ports
                .iter()
                .map(|port| show(port.name.as_deref(), port.port))
                .collect(),
            (None, None) => Vec::new(),
        };
        match ports.as_slice() {
            [] => "it has no ports".to_owned(),
            [port] => format!("its only port is {port}"),
            _ => format!("its ports are {}", ports.join(", ")),
        }
    }
}
