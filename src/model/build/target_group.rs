//! Target groups and their targets (ingress-model §6, §15.4).

use std::collections::{BTreeMap, BTreeSet};

use super::{Input, Report, Wait, group::Group, hint, name::TargetGroupKey, tag};
use crate::{
    manifest::{
        Backend, Ingress, IngressOptions, Service, ServiceRef, annotation::TargetGroupOptions,
        ingress::PortRef,
    },
    model::{
        desired::TargetGroupStack,
        elb::{HealthCheck, Matcher, Target, TargetGroupSpec, TargetType},
        facts::ServiceFact,
    },
    problem::{Located, Problem, codes},
};

/// LBC's defaults; AWS's own differ, so all are sent (decision 13 of the spec).
const HEALTH_CHECK_INTERVAL_SECONDS: i32 = 15;
const HEALTH_CHECK_TIMEOUT_SECONDS: i32 = 5;
const HEALTHY_THRESHOLD: i32 = 2;
const UNHEALTHY_THRESHOLD: i32 = 2;
const HEALTH_CHECK_PATH: &str = "/";
const SUCCESS_CODES: &str = "200";
const PROTOCOL: &str = "HTTP";
const PROTOCOL_VERSION: &str = "HTTP1";

/// The target groups of one group, made as backends ask for them; one per (Ingress, Service, port as spelled).
pub(super) struct TargetGroups<'a> {
    group: &'a Group<'a>,
    input: &'a Input<'a>,
    built: BTreeMap<String, TargetGroupStack>,
}

/// A Service as git declares it or, where git does not hold it, as the cluster does.
struct View<'a> {
    service_type: &'a str,
    /// Name, number, node port where git pins it.
    ports: Vec<(Option<&'a str>, i32, Option<i32>)>,
    options: Option<&'a IngressOptions>,
}

impl<'a> TargetGroups<'a> {
    pub fn new(group: &'a Group<'a>, input: &'a Input<'a>) -> Self {
        Self {
            group,
            input,
            built: BTreeMap::new(),
        }
    }

    pub fn group_id(&self) -> String {
        self.group.id.to_string()
    }

    pub fn finish(self) -> BTreeMap<String, TargetGroupStack> {
        self.built
    }

    /// The id of the target group for this backend.
    pub fn of(
        &mut self,
        ingress: &Ingress,
        backend: &Located<Backend>,
        report: &mut Report,
    ) -> Result<String, Wait> {
        let Backend::Service { name, port } = &backend.value else {
            return Err(Wait::new(
                &backend.origin,
                "resource backends cannot be served by ALB",
            ));
        };
        let place = Place {
            ingress,
            backend,
            service: ServiceRef {
                namespace: ingress.namespace.clone(),
                name: name.clone(),
            },
            port,
        };
        let view = place.service(self.input, report)?;
        let number = place.port_number(&view, report)?;
        let options = Options::of(ingress, &view, self.input);
        if options.target_type == TargetType::Ip {
            return Err(Wait::new(
                &backend.origin,
                "target type ip is not served yet",
            ));
        }
        place.check_type(&view, report)?;
        let (uid, node_port) = place.assigned(number, self.input)?;
        let targets = self.input.targets.as_ref();
        let targets = targets.map_err(|reason| Wait::new(&backend.origin, reason))?;
        let vpc = self.input.facts.vpc.as_ref();
        let vpc = vpc.ok_or_else(|| Wait::new(&backend.origin, "the VPC was not read"))?;

        let key = TargetGroupKey {
            cluster: &self.input.settings.cluster_name,
            group: &self.group.id,
            ingress: (&ingress.namespace, &ingress.name),
            service: &place.service,
            service_uid: uid,
            service_port: port,
            port: node_port,
            target_type: options.target_type,
            protocol: PROTOCOL,
            protocol_version: PROTOCOL_VERSION,
            control_port: None,
        };
        let id = key.id();
        let spec = TargetGroupSpec {
            name: key.name(),
            target_type: options.target_type,
            port: node_port,
            protocol: PROTOCOL.to_owned(),
            protocol_version: PROTOCOL_VERSION.to_owned(),
            ip_address_type: "ipv4".to_owned(),
            vpc_id: vpc.id.clone(),
            health_check: health_check(options.health_check_path),
            attributes: BTreeMap::new(),
            tags: tag::of_group(self.input, &self.group_id(), Some(&id), options.tags),
            targets: targets
                .iter()
                .map(|id| Target {
                    id: id.clone(),
                    port: node_port,
                })
                .collect::<BTreeSet<_>>(),
        };
        // Several paths may share it: the first names its place.
        self.built
            .entry(id.clone())
            .or_insert_with(|| TargetGroupStack {
                origin: backend.origin.clone(),
                spec,
            });
        Ok(id)
    }
}

fn health_check(path: String) -> HealthCheck {
    HealthCheck {
        port: "traffic-port".to_owned(),
        protocol: PROTOCOL.to_owned(),
        path,
        interval_seconds: HEALTH_CHECK_INTERVAL_SECONDS,
        timeout_seconds: HEALTH_CHECK_TIMEOUT_SECONDS,
        healthy_threshold: HEALTHY_THRESHOLD,
        unhealthy_threshold: UNHEALTHY_THRESHOLD,
        matcher: Matcher::HttpCode(SUCCESS_CODES.to_owned()),
    }
}

/// Options of Ingress and Service as one: the Service wins, annotation by annotation; tags merge key by key.
struct Options {
    target_type: TargetType,
    health_check_path: String,
    tags: BTreeMap<String, String>,
}

impl Options {
    fn of(ingress: &Ingress, view: &View, input: &Input) -> Self {
        let mut merged = Self {
            target_type: input.settings.default_target_type,
            health_check_path: HEALTH_CHECK_PATH.to_owned(),
            tags: BTreeMap::new(),
        };
        for options in [Some(&ingress.options), view.options].into_iter().flatten() {
            let TargetGroupOptions {
                target_type,
                health_check_path,
            } = &options.target_group;
            if let Some(target_type) = target_type {
                merged.target_type = target_type.value;
            }
            if let Some(path) = health_check_path {
                merged.health_check_path.clone_from(&path.value);
            }
            if let Some(tags) = &options.tags {
                merged.tags.extend(tags.value.clone());
            }
        }
        merged
    }
}

/// One backend in its Ingress.
struct Place<'a> {
    ingress: &'a Ingress,
    backend: &'a Located<Backend>,
    service: ServiceRef,
    port: &'a PortRef,
}

impl Place<'_> {
    fn problem(&self, code: &str, message: String) -> Problem {
        Problem::new(code, self.backend.origin.clone(), message)
            .of(format!("Ingress {}", self.ingress.key()))
    }

    fn wait(&self, reason: impl Into<String>) -> Wait {
        Wait::new(&self.backend.origin, reason)
    }

    fn service<'a>(&self, input: &Input<'a>, report: &mut Report) -> Result<View<'a>, Wait> {
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
            .hint(hint::near(
                &format!("Service in namespace `{namespace}`"),
                name,
                known,
            ));
        let wait = Wait::for_problem(&problem);
        report.add(problem);
        Err(wait)
    }

    /// The number of the Service's port that the backend means: by name or by number, the first that fits.
    fn port_number(&self, view: &View, report: &mut Report) -> Result<(i32, Option<i32>), Wait> {
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
    fn check_type(&self, view: &View, report: &mut Report) -> Result<(), Wait> {
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
    fn assigned<'a>(
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
