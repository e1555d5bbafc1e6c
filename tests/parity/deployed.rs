//! What AWS Load Balancer Controller's deploy makes of a model that it logged: calls as aws-deploy §2 tells them, and the
//! account as AWS shows it afterwards, with AWS's own defaults filled in (§10.2, §10.8).
//!
//! Reads the recorded JSON only: nothing of how albsync sends a model is used here, or a take-over would be compared with
//! itself. A key that is not known here is an error, so that nothing of a recording is left out.

use std::collections::{BTreeMap, BTreeSet};

use albsync::{
    aws::fake::State,
    id::{Arn, SecurityGroupId, SubnetId},
    model::{
        desired::Ref,
        elb::{
            HealthCheck, Listener, LoadBalancer, Matcher, MutualAuthentication, MutualMode, Rule,
            Scheme, Target, TargetGroup, Tls,
        },
        net::{Permission, PermissionSource, SecurityGroup, Tags},
    },
};
use serde_json::{Map, Value};

mod cidr;
mod rule;
mod spec;

use cidr::network;
use spec::{Spec, number, plain};

const BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
const SECURITY_GROUP: &str = "AWS::EC2::SecurityGroup";
const BINDING: &str = "K8S::ElasticLoadBalancingV2::TargetGroupBinding";
/// Add-ons that hang on a balancer and do not change what ELBv2 says of it.
const BESIDE: [&str; 4] = [
    "AWS::WAFv2::WebACLAssociation",
    "AWS::WAFRegional::WebACLAssociation",
    "AWS::Shield::Protection",
    "FrontendNLBTargetGroup",
];

/// What a new balancer says of itself.
const BALANCER_ATTRIBUTES: [(&str, &str); 17] = [
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.prefix", ""),
    ("client_keep_alive.seconds", "3600"),
    ("connection_logs.s3.bucket", ""),
    ("connection_logs.s3.enabled", "false"),
    ("connection_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("idle_timeout.timeout_seconds", "60"),
    ("load_balancing.cross_zone.enabled", "true"),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    ("routing.http.xff_client_port.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("waf.fail_open.enabled", "false"),
];
const TARGET_GROUP_ATTRIBUTES: [(&str, &str); 7] = [
    ("deregistration_delay.timeout_seconds", "300"),
    ("load_balancing.algorithm.type", "round_robin"),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
    ),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.type", "lb_cookie"),
];
const LISTENER_ATTRIBUTES: [(&str, &str); 1] = [("routing.http.response.server.enabled", "true")];
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// What a controller finds in the cluster when it fills the target groups.
pub struct Cluster<'a> {
    pub name: &'a str,
    pub instances: &'a [String],
    /// Addresses with ports of the pods behind a Service's port, by `namespace/name` and the port as a binding spells it.
    pub pods: &'a dyn Fn(&str, &str) -> BTreeSet<Target>,
}

/// Puts one group into the account.
pub fn deploy(state: &mut State, cluster: &Cluster<'_>, id: &str, model: &Value, tls: &Value) {
    let resources = model["resources"].as_object().unwrap();
    for kind in resources.keys() {
        let known = [
            BALANCER,
            LISTENER,
            RULE,
            TARGET_GROUP,
            SECURITY_GROUP,
            BINDING,
        ];
        assert!(
            known.contains(&kind.as_str()) || BESIDE.contains(&kind.as_str()),
            "{kind} in {id}"
        );
    }
    let mut deploy = Deploy {
        state,
        cluster,
        group: id,
        tls,
        ports: BTreeSet::new(),
    };
    for (name, spec) in specs(resources, SECURITY_GROUP) {
        deploy.security_group(name, spec);
    }
    for (name, spec) in specs(resources, TARGET_GROUP) {
        deploy.target_group(name, spec);
    }
    for (name, spec) in specs(resources, BINDING) {
        deploy.binding(name, spec);
    }
    for (name, spec) in specs(resources, BALANCER) {
        deploy.load_balancer(name, spec);
    }
    for (name, spec) in specs(resources, LISTENER) {
        deploy.listener(name, spec);
    }
    for (name, spec) in specs(resources, RULE) {
        deploy.rule(name, spec);
    }
    let ports = deploy.ports;
    open_nodes(state, &ports);
}

struct Deploy<'a> {
    state: &'a mut State,
    cluster: &'a Cluster<'a>,
    group: &'a str,
    /// Port → the default certificate and the others.
    tls: &'a Value,
    /// What the bindings want the nodes to let in, with its source.
    ports: BTreeSet<(SecurityGroupId, i32)>,
}

impl Deploy<'_> {
    /// The user's tags; tracking tags win over them (aws-deploy §1.1).
    fn tags(&self, spec: &mut Spec<'_>, resource: &str) -> Tags {
        let mut tags = spec.texts("tags");
        for (key, value) in [
            ("elbv2.k8s.aws/cluster", self.cluster.name),
            ("ingress.k8s.aws/stack", self.group),
            ("ingress.k8s.aws/resource", resource),
        ] {
            tags.insert(key.to_owned(), value.to_owned());
        }
        tags
    }

    /// Two groups may have things of one id, one group never has.
    fn arn(&self, kind: &str, resource: &str) -> Arn {
        let id = format!("{}/{resource}", self.group).replace(['/', ':', '.'], "_");
        Arn(format!(
            "arn:aws:elasticloadbalancing:{}:{}:{kind}/{id}",
            self.state.region, self.state.account
        ))
    }

    /// What `{"$ref": "#/resources/TYPE/ID/status/FIELD"}` stands for; a plain text stands for itself.
    fn resolved(&self, value: &Value) -> Arn {
        if let Some(text) = value.as_str() {
            return Arn::from(text);
        }
        let path = value["$ref"].as_str().unwrap();
        let path = path.strip_prefix("#/resources/").unwrap();
        let (path, _) = path.rsplit_once("/status/").unwrap();
        let (kind, resource) = path.split_once('/').unwrap();
        match kind {
            SECURITY_GROUP => Arn(self.managed_group(resource).0),
            BALANCER => self.arn("loadbalancer", resource),
            LISTENER => self.arn("listener", resource),
            TARGET_GROUP => self.arn("targetgroup", resource),
            _ => panic!("{value}"),
        }
    }

    fn managed_group(&self, resource: &str) -> SecurityGroupId {
        assert_eq!(resource, "ManagedLBSecurityGroup");
        SecurityGroupId(format!("sg-of-{}", self.group.replace('/', "-")))
    }

    fn security_group(&mut self, name: &str, mut spec: Spec<'_>) {
        let id = self.managed_group(name);
        let mut ingress = BTreeSet::new();
        for permission in spec.list("ingress") {
            let mut permission = Spec::new(permission);
            let (protocol, from, to) = (
                permission.text("ipProtocol"),
                permission.number("fromPort"),
                permission.number("toPort"),
            );
            let sources = [
                ("ipRanges", "cidrIP"),
                ("ipv6Ranges", "cidrIPv6"),
                ("prefixLists", "listID"),
            ];
            for (list, key) in sources {
                for source in permission.list(list) {
                    let text = Spec::new(source).text(key);
                    ingress.insert(Permission {
                        protocol: protocol.clone(),
                        from_port: from,
                        to_port: to,
                        source: match key {
                            "cidrIP" => PermissionSource::Cidr(network(&text)),
                            "cidrIPv6" => PermissionSource::Ipv6Cidr(network(&text)),
                            _ => PermissionSource::PrefixList(text),
                        },
                        description: String::new(),
                    });
                }
            }
        }
        let live = SecurityGroup {
            id: id.clone(),
            name: spec.text("groupName"),
            description: spec.text("description"),
            vpc_id: self.state.vpc.id.clone(),
            tags: self.tags(&mut spec, name),
            ingress,
        };
        self.state.security_groups.insert(id, live);
    }

    fn target_group(&mut self, name: &str, mut spec: Spec<'_>) {
        let arn = self.arn("targetgroup", name);
        let mut check = spec.sub("healthCheckConfig");
        let mut matcher = check.sub("matcher");
        let health_check = HealthCheck {
            port: check.take("port").map(plain).unwrap(),
            protocol: check.text("protocol"),
            path: check.text("path"),
            interval_seconds: check.number("intervalSeconds"),
            timeout_seconds: check.number("timeoutSeconds"),
            healthy_threshold: check.number("healthyThresholdCount"),
            unhealthy_threshold: check.number("unhealthyThresholdCount"),
            matcher: match matcher.take("grpcCode") {
                Some(codes) => Matcher::GrpcCode(plain(codes)),
                None => Matcher::HttpCode(matcher.text("httpCode")),
            },
        };
        let live = TargetGroup {
            arn: arn.clone(),
            name: spec.text("name"),
            target_type: spec.text("targetType"),
            port: spec.number("port"),
            protocol: spec.text("protocol"),
            protocol_version: spec.take("protocolVersion").map_or_else(String::new, plain),
            ip_address_type: spec.text("ipAddressType"),
            vpc_id: self.state.vpc.id.clone(),
            target_control_port: spec.take("targetControlPort").map(number),
            health_check,
            attributes: over(
                &TARGET_GROUP_ATTRIBUTES,
                spec.pairs("targetGroupAttributes", "key", "value"),
            ),
            tags: self.tags(&mut spec, name),
            targets: BTreeSet::new(),
        };
        self.state.target_groups.insert(arn, live);
    }

    /// What the binding's reconciler does: registers the targets, and asks the nodes to let in (aws-deploy §4).
    fn binding(&mut self, name: &str, mut spec: Spec<'_>) {
        let mut template = spec.sub("template");
        let mut metadata = template.sub("metadata");
        let mut spec = template.sub("spec");
        let mut service = spec.sub("serviceRef");
        let namespace = metadata.text("namespace");
        let reference = format!("{namespace}/{}", service.text("name"));
        let port = plain(service.take("port").unwrap());
        metadata.seen("name");
        spec.seen("vpcID");
        spec.seen("ipAddressType");
        spec.seen("targetGroupProtocol");
        spec.seen("multiClusterTargetGroup");
        let arn = self.resolved(spec.take("targetGroupARN").unwrap());
        assert_eq!(arn, self.arn("targetgroup", name));
        let is_instance = spec.text("targetType") == "instance";
        let live = self.state.target_groups.get_mut(&arn).unwrap();
        live.targets = match is_instance {
            false => (self.cluster.pods)(&reference, &port),
            true => self
                .cluster
                .instances
                .iter()
                .map(|id| Target {
                    id: id.clone(),
                    port: live.port,
                    all_zones: false,
                })
                .collect(),
        };
        let Some(networking) = spec.take("networking") else {
            return;
        };
        for entry in Spec::new(networking).list("ingress") {
            let mut entry = Spec::new(entry);
            let [from] = entry.list("from") else {
                panic!("{networking}")
            };
            let source = from["securityGroup"]["groupID"].as_str().unwrap();
            for port in entry.list("ports") {
                let mut port = Spec::new(port);
                assert_eq!(port.text("protocol"), "TCP");
                let numbers: Vec<i32> = match port.take("port").unwrap() {
                    // What the pods call so.
                    Value::String(_) => live.targets.iter().map(|it| it.port.into()).collect(),
                    value => vec![number(value)],
                };
                let source = SecurityGroupId::from(source);
                self.ports
                    .extend(numbers.into_iter().map(|number| (source.clone(), number)));
            }
        }
    }

    fn load_balancer(&mut self, name: &str, mut spec: Spec<'_>) {
        let arn = self.arn("loadbalancer", name);
        let subnets = spec.list("subnetMapping").iter();
        let subnets = subnets.map(|mapping| SubnetId::from(mapping["subnetID"].as_str().unwrap()));
        let scheme = match spec.text("scheme").as_str() {
            "internal" => Scheme::Internal,
            "internet-facing" => Scheme::InternetFacing,
            other => panic!("{other}"),
        };
        let live_name = spec.text("name");
        let live = LoadBalancer {
            arn: arn.clone(),
            dns_name: format!("{live_name}-1234567890.us-east-1.elb.amazonaws.com"),
            name: live_name,
            kind: spec.text("type"),
            scheme: Some(scheme),
            ip_address_type: spec.text("ipAddressType"),
            vpc_id: self.state.vpc.id.clone(),
            state: "active".to_owned(),
            subnets: subnets.collect(),
            security_groups: spec
                .list("securityGroups")
                .iter()
                .map(|group| SecurityGroupId(self.resolved(group).0))
                .collect(),
            attributes: over(
                &BALANCER_ATTRIBUTES,
                spec.pairs("loadBalancerAttributes", "key", "value"),
            ),
            tags: self.tags(&mut spec, name),
        };
        for beside in [
            "customerOwnedIPv4Pool",
            "ipv4IPAMPool",
            "minimumLoadBalancerCapacity",
        ] {
            spec.seen(beside);
        }
        self.state.load_balancers.insert(arn, live);
    }

    fn listener(&mut self, name: &str, mut spec: Spec<'_>) {
        let arn = self.arn("listener", name);
        let protocol = spec.text("protocol");
        spec.seen("certificates");
        let policy = spec.take("sslPolicy").map(plain);
        let mutual = spec.take("mutualAuthentication");
        let tls = match protocol.as_str() {
            "HTTPS" => {
                let Some([default, others]) = self.tls[name].as_array().map(Vec::as_slice) else {
                    panic!("certificates of {}: {}", self.group, self.tls);
                };
                let arns = |list: &Value| -> BTreeSet<Arn> {
                    let list = list.as_array().unwrap().iter();
                    list.map(|arn| Arn::from(arn.as_str().unwrap())).collect()
                };
                let default = arns(default).pop_first();
                let mut certificates = arns(others);
                // LBC offers the default by its name too where there are others (aws-deploy §2.3).
                certificates.extend(default.clone());
                Tls {
                    default_certificate: default,
                    certificates,
                    ssl_policy: Some(
                        policy
                            .filter(|policy| !policy.is_empty())
                            .unwrap_or_else(|| DEFAULT_POLICY.to_owned()),
                    ),
                    mutual_authentication: Some(mutual_authentication(mutual)),
                }
            }
            _ => Tls::default(),
        };
        let live = Listener {
            arn: arn.clone(),
            load_balancer: self.resolved(spec.take("loadBalancerARN").unwrap()),
            port: spec.number("port"),
            protocol,
            default_actions: rule::actions(spec.list("defaultActions"), &|arn| self.resolved(arn)),
            tls,
            attributes: over(
                &LISTENER_ATTRIBUTES,
                spec.pairs("listenerAttributes", "Key", "Value"),
            ),
            tags: self.tags(&mut spec, name),
        };
        self.state.listeners.insert(arn, live);
    }

    fn rule(&mut self, name: &str, mut spec: Spec<'_>) {
        let arn = self.arn("listener-rule", name);
        let conditions = spec
            .list("conditions")
            .iter()
            .map(rule::condition)
            .collect();
        let transforms = spec
            .list("transforms")
            .iter()
            .map(rule::transform)
            .collect();
        let live = Rule {
            arn: arn.clone(),
            listener: self.resolved(spec.take("listenerARN").unwrap()),
            priority: spec.number("priority"),
            conditions,
            actions: rule::actions(spec.list("actions"), &|arn| self.resolved(arn)),
            transforms,
            tags: self.tags(&mut spec, name),
        };
        let port = self.state.listeners[&live.listener].port;
        assert_eq!(name, format!("{port}:{}", live.priority));
        self.state.rules.insert(arn, live);
    }
}

/// One permission from the least to the greatest port of each source, in the nodes' group (aws-deploy §4.7).
fn open_nodes(state: &mut State, ports: &BTreeSet<(SecurityGroupId, i32)>) {
    let mark = "elbv2.k8s.aws/targetGroupBinding=shared";
    let nodes: BTreeSet<SecurityGroupId> = state.instances.values().flatten().cloned().collect();
    for id in nodes {
        let group = state.security_groups.get_mut(&id).unwrap();
        for (source, port) in ports {
            let from = PermissionSource::SecurityGroup(Ref::Known(source.clone()));
            let is_same = |live: &Permission| live.description == mark && live.source == from;
            let before = group.ingress.iter().find(|live| is_same(live)).cloned();
            if let Some(before) = &before {
                group.ingress.remove(before);
            }
            let (low, high) = before.map_or((*port, *port), |it| (it.from_port, it.to_port));
            group.ingress.insert(Permission {
                protocol: "tcp".to_owned(),
                from_port: low.min(*port),
                to_port: high.max(*port),
                source: from,
                description: mark.to_owned(),
            });
        }
    }
}

fn specs<'a>(
    resources: &'a Map<String, Value>,
    kind: &str,
) -> impl Iterator<Item = (&'a str, Spec<'a>)> {
    let of_kind = resources.get(kind).and_then(Value::as_object);
    of_kind
        .into_iter()
        .flatten()
        .map(|(name, resource)| (name.as_str(), Spec::new(&resource["spec"])))
}

/// AWS's defaults with what was set over them.
fn over(defaults: &[(&str, &str)], set: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let defaults = defaults.iter();
    let mut all: BTreeMap<String, String> = defaults
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    all.extend(set);
    all
}

/// A listener with HTTPS always says one; where nobody asked, that it is off.
fn mutual_authentication(config: Option<&Value>) -> MutualAuthentication {
    let Some(config) = config else {
        return MutualAuthentication {
            mode: MutualMode::Off,
            trust_store: None,
            ignore_client_certificate_expiry: None,
            advertise_trust_store_ca_names: None,
        };
    };
    let mut config = Spec::new(config);
    MutualAuthentication {
        mode: match config.text("mode").as_str() {
            "off" => MutualMode::Off,
            "passthrough" => MutualMode::Passthrough,
            "verify" => MutualMode::Verify,
            other => panic!("{other}"),
        },
        trust_store: config
            .take("trustStoreArn")
            .map(plain)
            .filter(|arn| !arn.is_empty())
            .map(Arn),
        ignore_client_certificate_expiry: config
            .take("ignoreClientCertificateExpiry")
            .and_then(Value::as_bool),
        advertise_trust_store_ca_names: config.take("advertiseTrustStoreCaNames").map(plain),
    }
}
