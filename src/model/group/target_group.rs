//! Target groups, made as backends ask for them: one per Ingress, Service and port as spelled (ingress-model §6, §15.4).

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    HealthCheck, HealthCheckPort, Matcher, TargetGroup,
    backend::{View, ViewPort},
    binding::{self, Asked},
    build::Built,
    collision,
    context::{GroupInput, Input, MemberInput, Reach, Refused, Report},
    tag,
};
use crate::{
    manifest::{
        Ingress, ServiceRef,
        annotation::{
            Setting,
            options::{self, TargetGroupOptions},
            value::{Protocol, ProtocolVersion, TargetType},
        },
        ingress::PortRef,
    },
    model::build::name::TargetGroupKey,
    problem::{Origin, Problem, codes},
};

#[cfg(test)]
mod tests;

const INTERVAL_SECONDS: i32 = 15;
const TIMEOUT_SECONDS: i32 = 5;
const HEALTHY_THRESHOLD: i32 = 2;
const UNHEALTHY_THRESHOLD: i32 = 2;
/// The port of a target group whose Service names its target port: targets bring their own.
const NAMED_TARGET_PORT: i32 = 1;

/// The target groups of one group.
pub struct TargetGroups<'t, 'a> {
    pub input: &'t Input<'a>,
    pub group: &'t GroupInput<'a>,
    pub reach: &'t Reach,
    pub report: &'t Report<'a>,
    /// `None`: asked for and refused.
    built: BTreeMap<String, Option<TargetGroup>>,
}

/// One backend that asks for a target group.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'q> {
    /// Index into the group's members.
    pub member: usize,
    pub service: &'q ServiceRef,
    pub view: View<'q>,
    /// As the backend spells it.
    pub port: &'q PortRef,
    pub origin: &'q Origin,
}

impl<'t, 'a> TargetGroups<'t, 'a> {
    pub fn new(
        input: &'t Input<'a>,
        group: &'t GroupInput<'a>,
        reach: &'t Reach,
        report: &'t Report<'a>,
    ) -> Self {
        Self {
            input,
            group,
            reach,
            report,
            built: BTreeMap::new(),
        }
    }

    pub fn finish(self) -> BTreeMap<String, TargetGroup> {
        let built = self.built.into_iter();
        built
            .filter_map(|(id, target_group)| Some((id, target_group?)))
            .collect()
    }

    /// The id of the target group for this backend; the first who asks makes it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn of(&mut self, ask: Ask<'_>) -> Built<String> {
        let member = *self.group.members.get(ask.member).ok_or(Refused)?;
        let id = resource_id(member, ask.service, ask.port);
        match self.built.get(&id) {
            Some(None) => return Err(Refused),
            Some(Some(first)) => {
                if first.member != ask.member || first.binding.service.name != ask.service.name {
                    collision::tell_same_id(self.group, &id, first, &ask, self.report);
                }
                return Ok(id);
            }
            None => {}
        }
        let built = self.build(member, &ask);
        let result = built
            .as_ref()
            .map(|_| id.clone())
            .map_err(|refused| *refused);
        self.built.insert(id, built.ok());
        result
    }

    /// Everything that is wrong is told, in LBC's order (ingress-model §15.4).
    fn build(&self, member: MemberInput<'_>, ask: &Ask<'_>) -> Built<TargetGroup> {
        let report = self.report;
        let from = From {
            member,
            ask,
            service: ask.view.options().map(|options| &options.target_group),
            ingress: &member.options().target_group,
            report,
        };
        let port = from.port();
        let target_type = self.target_type(&from);
        let protocol = from.ask(|it| it.backend_protocol.as_ref());
        let version = from.ask(|it| it.backend_protocol_version.as_ref());
        let protocol = protocol.map(|it| it.copied().unwrap_or(Protocol::Http));
        let version = version.map(|it| it.copied().unwrap_or(ProtocolVersion::Http1));
        let health_check = from.health_check(target_type, protocol, version);
        let attributes = from.ask(|it| it.attributes.as_ref());
        let tags = tag::target_group(self.input, member, ask.view.options(), report);
        let is_ipv6 = ask.view.is_ipv6();
        let reachable = self.check_family(&from, is_ipv6);
        let control_port = from.control_port(target_type);
        let number = match (&port, target_type) {
            (Ok(port), Ok(target_type)) => from.target_port(port, target_type),
            _ => Err(Refused),
        };
        let node_labels = match target_type {
            Ok(TargetType::Instance) => from.ask(|it| it.node_labels.as_ref()),
            _ => Ok(None),
        };
        let multi_cluster = from.multi_cluster();
        let vpc = self.input.vpc().map_or_else(
            || report.missing_fact(ask.origin, &member.object(), "the VPC"),
            |vpc| Ok(vpc.id.clone()),
        );

        reachable?;
        let (target_type, port, number) = (target_type?, port?, number?);
        let (protocol, protocol_version) = (protocol?, version?);
        let (health_check, control_port) = (health_check?, control_port?);
        let binding = binding::build(
            self.reach,
            &self.input.settings.flags,
            Asked {
                service: ask.service,
                service_port: ask.port,
                target: &port,
                target_type,
                health_check_port: health_check.port.as_ref(),
                control_port,
                vpc_id: vpc?,
                node_labels: node_labels?,
                multi_cluster: multi_cluster?,
            },
        );
        let name = ask.view.uid().zip(number).map(|(uid, number)| {
            TargetGroupKey {
                cluster: &self.input.settings.cluster_name,
                group: &self.group.id,
                ingress: (&member.ingress.namespace, &member.ingress.name),
                service: ask.service,
                service_uid: uid,
                service_port: ask.port,
                port: number,
                target_type,
                protocol: protocol.as_str(),
                protocol_version: protocol_version.as_str(),
                control_port,
            }
            .name()
        });
        Ok(TargetGroup {
            origin: ask.origin.clone(),
            member: ask.member,
            name,
            target_type,
            port: number,
            protocol,
            protocol_version,
            is_ipv6,
            target_control_port: control_port,
            health_check,
            attributes: attributes?.cloned().unwrap_or_default(),
            tags: tags?,
            binding,
        })
    }

    /// The class's, which hides what the documents say; else theirs; else the configured one.
    fn target_type(&self, from: &From<'_, '_>) -> Built<TargetType> {
        let params = from.member.params;
        let of_class = params.and_then(|params| params.spec.target_type.as_ref());
        let setting = from.setting(|it| it.target_type.as_ref());
        let (what, target_type, origin) = match (of_class, setting) {
            (Some(of_class), _) => ("spec.targetType", of_class.value, &of_class.origin),
            (None, Some(setting)) => {
                let asked = self.report.ask(Some(setting))?.copied();
                let asked = asked.unwrap_or(self.input.settings.default_target_type);
                ("target-type", asked, &setting.origin)
            }
            (None, None) => (
                "ingress.defaultTargetType, which holds here,",
                self.input.settings.default_target_type,
                from.ask.origin,
            ),
        };
        if target_type == TargetType::Ip && !self.input.settings.gates.enable_ip_target_type {
            return from.refuse(
                origin,
                &format!("{what} cannot be \"ip\": the feature gate EnableIPTargetType is closed"),
                "use instance, or open the gate",
            );
        }
        Ok(target_type)
    }

    fn check_family(&self, from: &From<'_, '_>, is_ipv6: bool) -> Built<()> {
        if is_ipv6 && self.reach.is_dualstack == Some(false) {
            return from.refuse(
                from.ask.origin,
                &format!(
                    "Service `{}` has IPv6 addresses, and the balancer has none",
                    from.ask.service.name
                ),
                "set ip-address-type to dualstack, or the Service's ipFamilyPolicy to SingleStack",
            );
        }
        Ok(())
    }
}

/// `namespace/ingress-service:port`.
fn resource_id(member: MemberInput<'_>, service: &ServiceRef, port: &PortRef) -> String {
    let Ingress {
        namespace, name, ..
    } = &**member.ingress;
    // The longest number has five digits.
    let port_length = match port {
        PortRef::Name(name) => name.len(),
        PortRef::Number(_) => 5,
    };
    let length = namespace.len() + name.len() + service.name.len() + port_length + 3;
    let mut id = String::with_capacity(length);
    // Nothing can fail: the text takes every text.
    let _ = write!(id, "{namespace}/{name}-{}:{port}", service.name);
    id
}

/// Where a target group's settings come from: the Service's win, annotation by annotation (ingress-model §0.3, §15.2).
struct From<'f, 'q> {
    member: MemberInput<'f>,
    ask: &'f Ask<'q>,
    service: Option<&'f TargetGroupOptions>,
    ingress: &'f TargetGroupOptions,
    report: &'f Report<'f>,
}

impl<'f, 'q> From<'f, 'q> {
    fn setting<T>(
        &self,
        field: impl Fn(&'f TargetGroupOptions) -> Option<&'f Setting<T>>,
    ) -> Option<&'f Setting<T>> {
        let of_service = self.service.and_then(&field);
        of_service.or_else(|| field(self.ingress))
    }

    /// The value; a bad one of the Ingress that the Service overrides is not even looked at.
    fn ask<T>(
        &self,
        field: impl Fn(&'f TargetGroupOptions) -> Option<&'f Setting<T>>,
    ) -> Built<Option<&'f T>> {
        self.report.ask(self.setting(field))
    }

    fn refuse<T>(&self, origin: &Origin, message: &str, hint: &str) -> Built<T> {
        self.refuse_as(codes::TARGET_GROUP, origin, message, hint)
    }

    fn refuse_as<T>(&self, code: &str, origin: &Origin, message: &str, hint: &str) -> Built<T> {
        self.report.refuse(
            Problem::new(code, origin.clone(), message)
                .of(self.member.object())
                .hint(hint),
        )
    }

    fn port(&self) -> Built<ViewPort<'q>> {
        let Ask {
            service,
            view,
            port,
            origin,
            ..
        } = self.ask;
        view.port(port).map_or_else(
            || {
                let message = format!("Service `{}` has no port `{port}`", service.name);
                self.refuse_as(codes::SERVICE_PORT, origin, &message, &view.ports_shown())
            },
            Ok,
        )
    }

    /// Instances are reached by the node port, addresses by the target port.
    fn target_port(&self, port: &ViewPort<'_>, target_type: TargetType) -> Built<Option<i32>> {
        let number = match (target_type, &*port.target) {
            (TargetType::Instance, _) => port.node_port,
            (TargetType::Ip, PortRef::Number(number)) => Some(*number),
            (TargetType::Ip, PortRef::Name(_)) => Some(NAMED_TARGET_PORT),
        };
        if number != Some(0) {
            return Ok(number);
        }
        let (service, view) = (&self.ask.service.name, &self.ask.view);
        let message = match target_type {
            TargetType::Instance => format!(
                "port {} of Service `{service}`, which is of type {}, has no node port for target type instance",
                port.number,
                view.service_type()
            ),
            TargetType::Ip => format!(
                "port {} of Service `{service}` has no target port",
                port.number
            ),
        };
        let hint = "make it of type NodePort, or use target type ip";
        self.refuse_as(codes::NODE_PORT, self.ask.origin, &message, hint)
    }

    /// Which codes there are is known only with the protocol, which Ingress and Service may say apart; LBC sends any.
    fn check_codes(&self, version: ProtocolVersion) {
        let (range, protocol) = match version {
            ProtocolVersion::Grpc => (0..=99, "gRPC"),
            _ => (200..=499, "HTTP"),
        };
        let Some(setting) = self.setting(|it| it.success_codes.as_ref()) else {
            return;
        };
        let Some(text) = setting.good() else { return };
        let is_outside = |code: &str| code.parse().is_ok_and(|code: u16| !range.contains(&code));
        if text.split([',', '-']).any(is_outside) {
            let message = format!("success-codes cannot be \"{text}\" over {protocol}");
            self.report.add(
                Problem::new(codes::OUT_OF_RANGE, setting.origin.clone(), message)
                    .of(self.member.object())
                    .hint(format!(
                        "it is codes from {} to {}",
                        range.start(),
                        range.end()
                    )),
            );
        }
    }

    fn health_check(
        &self,
        target_type: Built<TargetType>,
        protocol: Built<Protocol>,
        version: Built<ProtocolVersion>,
    ) -> Built<HealthCheck> {
        let is_grpc = version == Ok(ProtocolVersion::Grpc);
        let port = self.health_check_port(target_type);
        let own_protocol = self.ask(|it| it.health_check_protocol.as_ref());
        let path = self.ask(|it| it.health_check_path.as_ref());
        let codes = self.ask(|it| it.success_codes.as_ref());
        if let Ok(version) = version {
            self.check_codes(version);
        }
        let interval = self.ask(|it| it.health_check_interval_seconds.as_ref());
        let timeout = self.ask(|it| it.health_check_timeout_seconds.as_ref());
        let healthy = self.ask(|it| it.healthy_threshold_count.as_ref());
        let unhealthy = self.ask(|it| it.unhealthy_threshold_count.as_ref());
        let default_path = if is_grpc { "/AWS.ALB/healthcheck" } else { "/" };
        let default_codes = if is_grpc { "12" } else { "200" };
        let codes = codes?.map_or_else(|| default_codes.to_owned(), Clone::clone);
        Ok(HealthCheck {
            port: port?,
            protocol: own_protocol?.copied().map_or(protocol, Ok)?,
            path: path?.map_or_else(|| default_path.to_owned(), Clone::clone),
            matcher: if is_grpc {
                Matcher::GrpcCode(codes)
            } else {
                Matcher::HttpCode(codes)
            },
            interval_seconds: interval?.copied().unwrap_or(INTERVAL_SECONDS),
            timeout_seconds: timeout?.copied().unwrap_or(TIMEOUT_SECONDS),
            healthy_threshold_count: healthy?.copied().unwrap_or(HEALTHY_THRESHOLD),
            unhealthy_threshold_count: unhealthy?.copied().unwrap_or(UNHEALTHY_THRESHOLD),
        })
    }

    /// A name is one of a Service port: the node port of instances, the number behind it of addresses.
    fn health_check_port(&self, target_type: Built<TargetType>) -> Built<Option<HealthCheckPort>> {
        let setting = self.setting(|it| it.health_check_port.as_ref());
        let name = match (setting, self.report.ask(setting)?) {
            (_, None | Some(options::HealthCheckPort::TrafficPort)) | (None, _) => {
                return Ok(Some(HealthCheckPort::TrafficPort));
            }
            (_, Some(options::HealthCheckPort::Number(number))) => {
                return Ok(Some(HealthCheckPort::Number(*number)));
            }
            (Some(setting), Some(options::HealthCheckPort::Name(name))) => (setting, name),
        };
        let (setting, name) = name;
        let service = &self.ask.service.name;
        let Some(port) = self.ask.view.port(&PortRef::Name(name.clone())) else {
            let message = format!("healthcheck-port: Service `{service}` has no port `{name}`");
            let hint = self.ask.view.ports_shown();
            return self.refuse_as(codes::SERVICE_PORT, &setting.origin, &message, &hint);
        };
        match (target_type?, &*port.target) {
            (TargetType::Instance, _) => Ok(port.node_port.map(HealthCheckPort::Number)),
            (TargetType::Ip, PortRef::Number(number)) => Ok(Some(HealthCheckPort::Number(*number))),
            (TargetType::Ip, PortRef::Name(target)) => self.refuse(
                &setting.origin,
                &format!(
                    "healthcheck-port cannot be the port `{name}` of Service `{service}`: its target port is the name `{target}`"
                ),
                "write a number, or give the Service's port a number as target",
            ),
        }
    }

    /// `target-control-port.SERVICE.PORT`, the port spelled as the backend does.
    fn control_port(&self, target_type: Built<TargetType>) -> Built<Option<i32>> {
        let own = self.service.map(|options| &options.control_ports);
        let maps = [own, Some(&self.ingress.control_ports)];
        if maps.iter().flatten().all(|map| map.is_empty()) {
            return Ok(None);
        }
        let key = format!("{}.{}", self.ask.service.name, self.ask.port);
        let Some(setting) = maps.into_iter().flatten().find_map(|map| map.get(&key)) else {
            return Ok(None);
        };
        let port = self.report.ask(Some(setting))?.copied();
        if target_type == Ok(TargetType::Instance) {
            return self.refuse(
                &setting.origin,
                &format!("target-control-port.{key} needs target type ip"),
                "set target-type to ip",
            );
        }
        Ok(port)
    }

    /// True where the Ingress says so, else what the Service says.
    fn multi_cluster(&self) -> Built<bool> {
        if self.report.ask(self.ingress.multi_cluster.as_ref())? == Some(&true) {
            return Ok(true);
        }
        let of_service = self
            .service
            .and_then(|options| options.multi_cluster.as_ref());
        Ok(self.report.ask(of_service)?.copied().unwrap_or(false))
    }
}
