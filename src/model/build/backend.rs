//! What a backend points at: a Service of git or of the cluster, its port, and what the API server assigned to it.

use super::{Input, Near, Report, Wait};
use crate::{
    manifest::{Backend, Ingress, IngressOptions, Service, ServiceRef, ingress::PortRef},
    model::facts::ServiceFact,
    problem::{Located, Problem, codes},
};

/// A Service as git declares it or, where git does not hold it, as the cluster does.
pub(super) struct View<'a> {
    service_type: &'a str,
    /// Name, number, node port where git pins it.
    ports: Vec<(Option<&'a str>, i32, Option<i32>)>,
    pub options: Option<&'a IngressOptions>,
}

/// One backend in its Ingress.
pub(super) struct Place<'a> {
    pub ingress: &'a Ingress,
    pub backend: &'a Located<Backend>,
    pub service: ServiceRef,
    pub port: &'a PortRef,
}

impl Place<'_> {
    fn problem(&self, code: &str, message: String) -> Problem {
        Problem::new(code, self.backend.origin.clone(), message)
            .of(format!("Ingress {}", self.ingress.key()))
    }

    fn wait(&self, reason: impl Into<String>) -> Wait {
        Wait::new(&self.backend.origin, reason)
    }

    pub fn service<'a>(&self, input: &Input<'a>, report: &mut Report) -> Result<View<'a>, Wait> {
        if let Some(service) = input.services.get(&self.service) {
            return Ok(View::in_git(service));
        }
        let name = &self.service.name;
        let Some(services) = &input.facts.services else {
            let message =
                format!("Service `{name}` is not in git, and the cluster's were not read");
            let problem = self.problem(codes::UNKNOWN_SERVICE, message).warning();
            let wait = Wait::for_problem(&problem);
            report.add(problem);
            return Err(wait);
        };
        if let Some(fact) = services.get(&self.service.to_string()) {
            return View::in_cluster(fact)
                .ok_or_else(|| self.wait(format!("the type of Service `{name}` was not read")));
        }
        let namespace = &self.service.namespace;
        let prefix = format!("{namespace}/");
        let in_git = input
            .services
            .keys()
            .filter(|service| service.namespace == *namespace)
            .map(|service| service.name.as_str());
        let known = in_git.chain(services.keys().filter_map(|key| key.strip_prefix(&prefix)));
        let message = format!(
            "Service `{name}` is neither in git nor in the cluster, in namespace `{namespace}`"
        );
        let problem = self
            .problem(codes::UNKNOWN_SERVICE, message)
            .near(name, known);
        let wait = Wait::for_problem(&problem);
        report.add(problem);
        Err(wait)
    }

    /// The number of the Service's port that the backend means: by name or by number, the first that fits.
    pub fn port_number(
        &self,
        view: &View,
        report: &mut Report,
    ) -> Result<(i32, Option<i32>), Wait> {
        let found = view.ports.iter().find(|(name, number, _)| match self.port {
            PortRef::Name(wanted) => *name == Some(wanted.as_str()),
            PortRef::Number(wanted) => number == wanted,
        });
        if let Some((_, number, pinned)) = found {
            return Ok((*number, *pinned));
        }
        let ports: Vec<String> = view
            .ports
            .iter()
            .map(|(name, number, _)| match name {
                Some(name) => format!("{number} (`{name}`)"),
                None => number.to_string(),
            })
            .collect();
        let hint = match ports.is_empty() {
            true => "it has no ports".to_owned(),
            false => format!("its ports are {}", ports.join(", ")),
        };
        let message = format!(
            "Service `{}` has no port `{}`",
            self.service.name, self.port
        );
        let problem = self.problem(codes::SERVICE_PORT, message).hint(hint);
        let wait = Wait::for_problem(&problem);
        report.add(problem);
        Err(wait)
    }

    /// Instances are reached by node ports, which only two types have.
    pub fn check_type(&self, view: &View, report: &mut Report) -> Result<(), Wait> {
        if ["NodePort", "LoadBalancer"].contains(&view.service_type) {
            return Ok(());
        }
        let message = format!(
            "Service `{}` is of type {}, which has no node ports for target type instance",
            self.service.name, view.service_type
        );
        let problem = self
            .problem(codes::NODE_PORT, message)
            .hint("make it of type NodePort");
        let wait = Wait::for_problem(&problem);
        report.add(problem);
        Err(wait)
    }

    /// What the API server assigns: uid and node port. A node port pinned in git is not enough, the name needs the uid.
    pub fn assigned<'a>(
        &self,
        (number, pinned): (i32, Option<i32>),
        input: &Input<'a>,
    ) -> Result<(&'a str, u16), Wait> {
        let name = &self.service.name;
        let Some(services) = &input.facts.services else {
            return Err(self.wait(format!(
                "uid and node port of Service `{name}` are not known: the cluster's Services were not read"
            )));
        };
        let Some(fact) = services.get(&self.service.to_string()) else {
            return Err(self.wait(format!("Service `{name}` is not in the cluster yet")));
        };
        if fact
            .ip_families
            .iter()
            .flatten()
            .any(|family| family == "IPv6")
        {
            return Err(self.wait(format!(
                "Service `{name}` has IPv6, and the balancer is IPv4 only"
            )));
        }
        let Some(uid) = &fact.uid else {
            return Err(self.wait(format!("the uid of Service `{name}` is not known yet")));
        };
        let node_port = fact.node_ports.get(&number.to_string()).copied().flatten();
        match (node_port, pinned) {
            (Some(live), Some(pinned)) if i32::from(live) != pinned => Err(self.wait(format!(
                "Service `{name}` does not have its new node port {pinned} yet"
            ))),
            (Some(live), _) => Ok((uid, live)),
            (None, _) => Err(self.wait(format!(
                "port {number} of Service `{name}` has no node port yet"
            ))),
        }
    }
}

impl<'a> View<'a> {
    fn in_git(service: &'a Service) -> Self {
        Self {
            service_type: &service.service_type,
            ports: service
                .ports
                .iter()
                .map(|port| (port.name.as_deref(), port.port, port.node_port))
                .collect(),
            options: Some(&service.options),
        }
    }

    fn in_cluster(fact: &'a ServiceFact) -> Option<Self> {
        Some(Self {
            service_type: fact.service_type.as_deref()?,
            ports: fact
                .ports
                .iter()
                .map(|port| (port.name.as_deref(), port.port, None))
                .collect(),
            options: None,
        })
    }
}
