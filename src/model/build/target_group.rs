//! Target groups and their targets (ingress-model §6, §15.4).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Input, Report, Wait,
    backend::{Place, View},
    group::Group,
    name::TargetGroupKey,
    tag,
};
use crate::{
    manifest::{
        Backend, Ingress, ServiceRef,
        annotation::{Setting, options::TargetGroupOptions},
    },
    model::{
        desired::TargetGroupStack,
        elb::{HealthCheck, Matcher, Target, TargetGroupSpec, TargetType},
    },
    problem::Located,
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
            port: i32::from(node_port),
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
            target_control_port: None,
            health_check: health_check(options.health_check_path),
            attributes: BTreeMap::new(),
            tags: tag::of_group(self.input, &self.group_id(), Some(&id), options.tags),
            targets: targets
                .iter()
                .map(|id| Target {
                    id: id.clone(),
                    port: node_port,
                    all_zones: false,
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
                ..
            } = &options.target_group;
            if let Some(target_type) = target_type.as_ref().and_then(Setting::good) {
                merged.target_type = *target_type;
            }
            if let Some(path) = health_check_path.as_ref().and_then(Setting::good) {
                merged.health_check_path.clone_from(path);
            }
            if let Some(tags) = options.tags.as_ref().and_then(Setting::good) {
                merged.tags.extend(tags.clone());
            }
        }
        merged
    }
}
