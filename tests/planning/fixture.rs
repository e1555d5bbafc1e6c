//! Desired states, as the model makes them, in a few words.

use std::collections::{BTreeMap, BTreeSet};

use albsync::{
    aws::fake::sample,
    id::{Arn, ObjectRef, ResourceId, RoleName, SecurityGroupId, StackId, SubnetId},
    model::{
        desired::{
            Desired, GroupStack, ListenerStack, Member, NetworkStack, OrderedRule, ProviderStack,
            Ref, RoleStack, TargetGroupStack,
        },
        elb::{
            Condition, ListenerSpec, LoadBalancerSpec, RuleAction, RuleSpec, Scheme, Target,
            TargetGroupSpec, WeightedTargetGroup,
        },
        iam::{PolicySpec, ProviderSpec, RoleSpec},
        net::{Permission, PermissionSource, SecurityGroupSpec, Tags},
        object::ObjectSpec,
        tags,
    },
    problem::Origin,
};
use serde_json::json;

pub const CLUSTER: &str = "mz-k8s";
pub const VPC: &str = "vpc-0a0a0a0a0a0a0a0a0";
pub const ACCOUNT: &str = "123456789012";

/// What a commit wants, as small as it can be said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// Ingress `default/NAME` → its paths with the Service behind each, in order of evaluation.
    pub ingresses: BTreeMap<String, Vec<(String, String)>>,
    pub attributes: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// Instances behind the nodes.
    pub nodes: usize,
    /// Node port of the first Service.
    pub port_base: u16,
    pub scheme: Option<Scheme>,
    pub protocol_version: Option<String>,
    /// Roles `default/NAME` → action that their owned policy allows.
    pub roles: BTreeMap<String, String>,
    /// ConfigMaps by name with a value.
    pub config_maps: BTreeMap<String, String>,
}

/// One Ingress `shop` with these paths, three nodes.
pub fn shop(paths: &[(&str, &str)]) -> Wish {
    let paths = paths
        .iter()
        .map(|(path, service)| ((*path).to_owned(), (*service).to_owned()));
    Wish {
        ingresses: [("shop".to_owned(), paths.collect())].into(),
        nodes: 3,
        port_base: 30_000,
        ..Wish::default()
    }
}

/// The tutorial in small: two paths, a role, a ConfigMap.
pub fn tutorial() -> Wish {
    let mut wish = shop(&[("/app1", "app1"), ("/app2", "app2")]);
    wish.roles
        .insert("reader".to_owned(), "s3:GetObject".to_owned());
    wish.config_maps
        .insert("page".to_owned(), "hello".to_owned());
    wish
}

pub fn origin(file: &str, line: u32) -> Origin {
    Origin::new(file, line, 1)
}

impl Wish {
    pub fn desired(&self) -> Desired {
        let mut desired = Desired::default();
        for name in self.config_maps.keys() {
            desired.objects.push(self.config_map(name));
        }
        for name in self.roles.keys() {
            desired.objects.push(service_account(name));
            desired
                .roles
                .insert(format!("default/{name}"), self.role(name));
        }
        if !self.roles.is_empty() {
            desired.provider = Some(ProviderStack { spec: provider() });
        }
        for name in self.ingresses.keys() {
            desired.objects.push(ingress(name));
            let group = self.group(name);
            desired.groups.insert(group.group_id.clone(), group);
        }
        if !self.ingresses.is_empty() {
            desired.network = Some(self.network());
        }
        desired
    }

    fn node_port(&self, service: &str) -> u16 {
        let offset: u16 = service.bytes().map(u16::from).sum();
        self.port_base + offset % 500
    }

    fn group(&self, name: &str) -> GroupStack {
        let id = format!("default/{name}");
        let paths = &self.ingresses[name];
        let file = format!("{name}.yaml");
        let tracking = |resource: &str| -> Tags {
            let mut found: Tags = self.tags.clone();
            found.insert(tags::CLUSTER.to_owned(), CLUSTER.to_owned());
            found.insert(tags::STACK.to_owned(), id.clone());
            if !resource.is_empty() {
                found.insert(tags::RESOURCE.to_owned(), resource.to_owned());
            }
            found
        };
        let target_id = |service: &str| format!("default/{name}-{service}:80");
        let services: BTreeSet<&String> = paths.iter().map(|(_, service)| service).collect();
        let scheme = self.scheme.unwrap_or(Scheme::InternetFacing);
        let prefix = match scheme {
            Scheme::Internal => "int",
            Scheme::InternetFacing => "pub",
        };
        GroupStack {
            group_id: id.clone(),
            members: vec![Member {
                reference: ingress(name).reference,
                origin: origin(&file, 1),
            }],
            security_group: Some(SecurityGroupSpec {
                name: format!("k8s-default-{name}-sg"),
                description: "[k8s] Managed SecurityGroup for LoadBalancer".to_owned(),
                vpc_id: VPC.to_owned(),
                tags: tracking("ManagedLBSecurityGroup"),
                ingress: [Permission {
                    protocol: "tcp".to_owned(),
                    from_port: 80,
                    to_port: 80,
                    source: PermissionSource::Cidr("0.0.0.0/0".to_owned()),
                    description: String::new(),
                }]
                .into(),
            }),
            load_balancer: LoadBalancerSpec {
                name: format!("k8s-default-{name}-{prefix}"),
                scheme,
                ip_address_type: "ipv4".to_owned(),
                subnets: (0..3)
                    .map(|index| SubnetId(format!("subnet-{prefix}{index}")))
                    .collect(),
                security_groups: vec![
                    Ref::Output(ResourceId::managed_security_group(&id)),
                    Ref::Output(ResourceId::backend_security_group()),
                ],
                attributes: self.attributes.clone(),
                tags: tracking("LoadBalancer"),
            },
            listeners: [(
                80,
                ListenerStack {
                    origin: origin(&file, 2),
                    spec: ListenerSpec {
                        tls: None,
                        port: 80,
                        protocol: "HTTP".to_owned(),
                        default_actions: vec![RuleAction::FixedResponse {
                            status_code: "404".to_owned(),
                            content_type: Some("text/plain".to_owned()),
                            message_body: None,
                        }],
                        attributes: BTreeMap::new(),
                        tags: tracking("80"),
                    },
                    rules: paths
                        .iter()
                        .enumerate()
                        .map(|(index, (path, service))| OrderedRule {
                            origin: origin(&file, 10 + index as u32),
                            whole: None,
                            spec: RuleSpec {
                                transforms: Vec::new(),
                                conditions: vec![
                                    Condition::HostHeader {
                                        values: vec!["shop.example".to_owned()].into(),
                                    },
                                    Condition::PathPattern {
                                        values: vec![path.clone(), format!("{path}/*")].into(),
                                    },
                                ],
                                actions: vec![RuleAction::Forward {
                                    target_groups: vec![WeightedTargetGroup {
                                        arn: Ref::Output(ResourceId::target_group(
                                            &id,
                                            &target_id(service),
                                        )),
                                        weight: 1,
                                    }],
                                    stickiness_seconds: None,
                                }],
                                tags: tracking(""),
                            },
                        })
                        .collect(),
                },
            )]
            .into(),
            target_groups: services
                .into_iter()
                .map(|service| {
                    let resource = target_id(service);
                    let spec = self.target_group(name, service, tracking(&resource));
                    (
                        resource,
                        TargetGroupStack {
                            origin: origin(&file, 10),
                            spec,
                        },
                    )
                })
                .collect(),
        }
    }

    fn target_group(&self, ingress: &str, service: &str, tags: Tags) -> TargetGroupSpec {
        let port = self.node_port(service);
        let version = self
            .protocol_version
            .clone()
            .unwrap_or_else(|| "HTTP1".to_owned());
        let name = format!("k8s-{ingress}-{service}-{port}-{version}");
        TargetGroupSpec {
            port,
            protocol_version: version,
            vpc_id: VPC.to_owned(),
            tags,
            targets: (0..self.nodes)
                .map(|index| Target {
                    all_zones: false,
                    id: format!("i-{index:017}"),
                    port,
                })
                .collect(),
            ..sample::target_group(&name)
        }
    }

    fn network(&self) -> NetworkStack {
        let ports: BTreeSet<u16> = self
            .ingresses
            .values()
            .flatten()
            .map(|(_, service)| self.node_port(service))
            .collect();
        let range = ports.first().zip(ports.last());
        NetworkStack {
            backend_group: Some(SecurityGroupSpec {
                name: "k8s-traffic-mzk8s-0276909bf6".to_owned(),
                description: "[k8s] Shared Backend SecurityGroup for LoadBalancer".to_owned(),
                vpc_id: VPC.to_owned(),
                tags: [
                    (tags::CLUSTER.to_owned(), CLUSTER.to_owned()),
                    (
                        tags::SHARED_RESOURCE.to_owned(),
                        tags::BACKEND_SG.to_owned(),
                    ),
                ]
                .into(),
                ingress: BTreeSet::new(),
            }),
            given_group: None,
            node_permissions: [(
                SecurityGroupId::from("sg-nodes"),
                range
                    .map(|(low, high)| Permission {
                        protocol: "tcp".to_owned(),
                        from_port: i32::from(*low),
                        to_port: i32::from(*high),
                        source: PermissionSource::SecurityGroup(Ref::Output(
                            ResourceId::backend_security_group(),
                        )),
                        description: tags::NODE_PERMISSION_MARK.to_owned(),
                    })
                    .into_iter()
                    .collect(),
            )]
            .into(),
            hold_revokes: BTreeSet::new(),
        }
    }

    fn role(&self, name: &str) -> RoleStack {
        let key = format!("default/{name}");
        let role = format!("{CLUSTER}-default-{name}");
        let owned = format!("{role}-main");
        let marks: Tags = [
            (tags::OWNER.to_owned(), "installation".to_owned()),
            (tags::OBJECT.to_owned(), key.clone()),
        ]
        .into();
        RoleStack {
            origin: origin("role.yaml", 1),
            role: RoleSpec {
                name: RoleName::new(role.as_str()),
                path: "/albsync/".to_owned(),
                arn: Arn(format!("arn:aws:iam::{ACCOUNT}:role/albsync/{role}")),
                description: "for the tests".to_owned(),
                max_session_duration_seconds: 3600,
                trust: json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                    "Principal": {"Federated": provider().arn}, "Action": "sts:AssumeRoleWithWebIdentity"}]}),
                permissions_boundary: Some(Arn(format!("arn:aws:iam::{ACCOUNT}:policy/boundary"))),
                tags: marks.clone(),
                attached: [Ref::Output(ResourceId::policy(&key, &owned))].into(),
                inline: BTreeMap::new(),
                additive: false,
                adopt_role_id: None,
                report_only: false,
            },
            policies: [(
                owned.clone(),
                PolicySpec {
                    arn: Arn(format!("arn:aws:iam::{ACCOUNT}:policy/albsync/{owned}")),
                    name: owned,
                    path: "/albsync/".to_owned(),
                    description: String::new(),
                    document: json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                        "Action": self.roles[name], "Resource": "*"}]}),
                    tags: marks,
                },
            )]
            .into(),
            service_account: Some(service_account(name).reference),
            retain: false,
            suspended: false,
        }
    }

    fn config_map(&self, name: &str) -> ObjectSpec {
        object(
            "v1",
            "ConfigMap",
            name,
            json!({"data": {"text": self.config_maps[name]}}),
        )
    }
}

pub fn provider() -> ProviderSpec {
    ProviderSpec {
        url: "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF".to_owned(),
        arn: Arn(format!(
            "arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF"
        )),
        client_ids: ["sts.amazonaws.com".to_owned()].into(),
        ensure: true,
        tags: Tags::new(),
    }
}

fn service_account(name: &str) -> ObjectSpec {
    let mut spec = object("v1", "ServiceAccount", name, json!({}));
    spec.after = vec![StackId::Role(format!("default/{name}"))];
    spec
}

fn ingress(name: &str) -> ObjectSpec {
    object(
        "networking.k8s.io/v1",
        "Ingress",
        name,
        json!({"spec": {"ingressClassName": "aws"}}),
    )
}

pub fn object(api_version: &str, kind: &str, name: &str, rest: serde_json::Value) -> ObjectSpec {
    let mut value = rest;
    value["apiVersion"] = json!(api_version);
    value["kind"] = json!(kind);
    value["metadata"] = json!({"namespace": "default", "name": name});
    ObjectSpec {
        reference: ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some("default".to_owned()),
            name: name.to_owned(),
        },
        value,
        origin: origin("objects.yaml", 1),
        after: Vec::new(),
        keep: false,
        existing_only: false,
        waits: None,
        revision: None,
    }
}
