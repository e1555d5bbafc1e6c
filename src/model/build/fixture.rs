//! Inputs for the tests of the model: the worked example of ingress-model §12 and small ways to change it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    id::{Arn, ObjectRef, SecurityGroupId, SubnetId},
    manifest::{
        Backend, IamServiceAccount, Ingress, IngressClass, IngressOptions, IngressPath,
        IngressRule, Manifests, Object, PathType, Service, ServicePort, ServiceRef,
        annotation::{
            Scheme, Setting, TargetType,
            options::{LoadBalancerOptions, Written},
        },
        ingress::PortRef,
        irsa::{
            DeletionPolicy, DriftPolicy, Manage, PolicyDocument, PolicyOptions, RoleOptions,
            ServiceAccountSpec,
        },
    },
    model::{
        facts::{
            ClassFact, Facts, Node, SecurityGroupFact, ServiceFact, ServicePortFact, Subnet, Vpc,
        },
        settings::{IamSettings, Settings},
    },
    problem::{Located, Origin},
    shared::Shared,
};

pub const UID_1: &str = "11111111-1111-4111-8111-111111111111";
pub const UID_2: &str = "22222222-2222-4222-8222-222222222222";
pub const HOST: &str = "sample-app.mamezou-tech.com";

pub fn at(line: u32) -> Origin {
    Origin::new("app.yaml", line, 1)
}

pub fn located<T>(value: T) -> Located<T> {
    Located::new(value, at(1))
}

pub fn settings() -> Settings {
    Settings {
        cluster_name: "mz-k8s".into(),
        installation: "inst-1".into(),
        repo_id: "repo-1".into(),
        ingress_class: "alb".into(),
        default_scheme: Scheme::Internal,
        default_target_type: TargetType::Instance,
        default_tags: BTreeMap::new(),
        flags: Default::default(),
        gates: Default::default(),
        checks: Default::default(),
        alb_owner_tag: false,
        iam: IamSettings {
            path: "/albsync/mz-k8s/".into(),
            role_prefix: String::new(),
            permissions_boundary: Some(Arn::from("arn:aws:iam::123456789012:policy/boundary/app")),
            allowed_boundaries: [Arn::from("arn:aws:iam::123456789012:policy/boundary/other")]
                .into(),
            allowed_policies: vec!["arn:${partition}:iam::aws:policy/*ReadOnly*".into()],
            ensure_provider: true,
            allow_adoption: false,
        },
        lowered: Default::default(),
    }
}

pub fn subnet(id: &str, az: &str, tags: &[(&str, &str)]) -> Subnet {
    Subnet {
        id: SubnetId::from(id),
        az: az.into(),
        cidr: String::new(),
        free_addresses: 200,
        tags: tags
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect(),
        public: None,
        ..Subnet::default()
    }
}

pub fn node(instance: &str, ready: &str) -> Node {
    Node {
        name: format!("node-{instance}"),
        provider_id: Some(format!("aws:///ap-northeast-1a/{instance}")),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        ready: ready.into(),
    }
}

pub fn service_fact(uid: &str, port: i32, node_port: u16) -> ServiceFact {
    ServiceFact {
        uid: Some(uid.into()),
        node_ports: [(port.to_string(), Some(node_port))].into(),
        ip_families: Some(vec!["IPv4".into()]),
        service_type: Some("NodePort".into()),
        ports: vec![ServicePortFact {
            name: None,
            port,
            target_port: json!("http"),
        }],
        ..ServiceFact::default()
    }
}

/// Everything that the worked example needs to be looked up.
pub fn facts() -> Facts {
    let public = [
        ("kubernetes.io/role/elb", "1"),
        ("kubernetes.io/cluster/mz-k8s", "shared"),
    ];
    let private = [("kubernetes.io/role/internal-elb", "1")];
    let nodes = SecurityGroupId::from("sg-nodes");
    Facts {
        account: Some("123456789012".into()),
        partition: None,
        region: Some("ap-northeast-1".into()),
        cluster: Some("mz-k8s".into()),
        cluster_arn: Some("arn:aws:eks:ap-northeast-1:123456789012:cluster/mz-k8s".into()),
        oidc_issuer: Some("https://oidc.eks.ap-northeast-1.amazonaws.com/id/ABC123".into()),
        vpc: Some(Vpc {
            id: "vpc-1".into(),
            cidrs: Vec::new(),
        }),
        subnets: Some(vec![
            subnet("subnet-3", "ap-northeast-1d", &public),
            subnet("subnet-1", "ap-northeast-1a", &public),
            subnet("subnet-2", "ap-northeast-1c", &public),
            subnet("subnet-4", "ap-northeast-1a", &private),
            subnet("subnet-5", "ap-northeast-1c", &private),
        ]),
        security_groups: Some(vec![SecurityGroupFact {
            id: nodes.clone(),
            name: "nodes".into(),
            tags: [("kubernetes.io/cluster/mz-k8s".into(), "owned".into())].into(),
        }]),
        services: Some(
            BTreeMap::from([
                ("default/app1".into(), service_fact(UID_1, 80, 32672)),
                ("default/app2".into(), service_fact(UID_2, 80, 30243)),
            ])
            .into(),
        ),
        nodes: Some(vec![node("i-2", "True"), node("i-1", "True")]),
        instance_groups: Some(
            [
                ("i-1".into(), vec![nodes.clone()]),
                ("i-2".into(), vec![nodes]),
            ]
            .into(),
        ),
        load_balancers: Some(BTreeMap::new()),
        ingress_classes: Some(BTreeMap::new()),
        ..Facts::default()
    }
}

pub fn backend(service: &str, port: i32, line: u32) -> Located<Backend> {
    let port = PortRef::Number(port);
    Located::new(
        Backend::Service {
            name: service.into(),
            port,
        },
        at(line),
    )
}

pub fn path(path: &str, path_type: PathType, service: &str, line: u32) -> IngressPath {
    IngressPath {
        origin: at(line),
        path: path.into(),
        path_type,
        backend: backend(service, 80, line + 1),
    }
}

pub fn ingress(name: &str, paths: Vec<IngressPath>) -> Shared<Ingress> {
    Ingress {
        origin: at(100),
        namespace: "default".into(),
        name: name.into(),
        class_name: Some(located("aws".into())),
        class_annotation: None,
        default_backend: None,
        rules: vec![IngressRule {
            origin: at(110),
            host: Some(located(HOST.into())),
            paths,
        }],
        tls_hosts: Vec::new(),
        options: IngressOptions {
            load_balancer: LoadBalancerOptions {
                scheme: Some(set(Scheme::InternetFacing)),
                ..LoadBalancerOptions::default()
            },
            ..IngressOptions::default()
        },
        annotations: BTreeMap::new(),
        deferred: Vec::new(),
    }
    .into()
}

/// An annotation that says this.
pub fn set<T>(value: T) -> Setting<T> {
    let written = Written {
        origin: at(1),
        text: String::new(),
        value: Ok(value),
    };
    written.into()
}

pub fn class(name: &str, controller: &str, is_default: bool) -> IngressClass {
    IngressClass {
        origin: at(1),
        name: name.into(),
        controller: controller.into(),
        is_default,
        parameters: None,
    }
}

/// A class as the cluster holds it.
pub fn class_fact(controller: &str, is_default: bool) -> ClassFact {
    ClassFact {
        controller: controller.to_owned(),
        is_default,
        parameters: None,
    }
}

pub fn service(name: &str) -> Shared<Service> {
    Service {
        origin: at(50),
        reference: ServiceRef {
            namespace: "default".into(),
            name: name.into(),
        },
        service_type: "NodePort".into(),
        cluster_ip: None,
        ip_families: None,
        external_name: None,
        ports: vec![ServicePort {
            origin: at(51),
            name: None,
            port: 80,
            protocol: "TCP".into(),
            target_port: PortRef::Name("http".into()),
            node_port: None,
        }],
        has_node_ports: true,
        options: IngressOptions::default().into(),
        annotations: BTreeMap::new(),
    }
    .into()
}

pub fn object(value: Value) -> Shared<Object> {
    let text = |pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    Object {
        origin: at(200),
        reference: ObjectRef {
            api_version: text("/apiVersion").unwrap(),
            kind: text("/kind").unwrap(),
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name").unwrap(),
        },
        body: (&value).into(),
    }
    .into()
}

/// Changes what a document says.
pub fn edit(object: &mut Object, change: impl FnOnce(&mut Value)) {
    let mut value = object.body.value();
    change(&mut value);
    object.body = (&value).into();
}

pub fn bare(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Shared<Object> {
    object(match namespace {
        Some(namespace) => json!({
            "apiVersion": api_version, "kind": kind, "metadata": { "name": name, "namespace": namespace },
        }),
        None => json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } }),
    })
}

/// A Deployment whose pods run under this ServiceAccount.
pub fn deployment(name: &str, service_account: &str) -> Shared<Object> {
    object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": "default" },
        "spec": { "template": { "spec": { "serviceAccountName": service_account } } },
    }))
}

/// The worked example: IngressClass `aws`, app1 and app2, and one Ingress.
pub fn tutorial() -> Manifests {
    Manifests {
        objects: vec![
            bare(
                "networking.k8s.io/v1",
                "Ingress",
                Some("default"),
                "app-aws-ingress",
            ),
            deployment("app1", "app1"),
            bare("v1", "Service", Some("default"), "app1"),
            bare("v1", "Service", Some("default"), "app2"),
            bare("networking.k8s.io/v1", "IngressClass", None, "aws"),
        ]
        .into(),
        ingresses: vec![ingress(
            "app-aws-ingress",
            vec![
                path("/app1", PathType::Prefix, "app1", 120),
                path("/app2", PathType::Prefix, "app2", 130),
            ],
        )]
        .into(),
        classes: vec![class("aws", "ingress.k8s.aws/alb", false)],
        services: vec![service("app1"), service("app2")].into(),
        ..Manifests::default()
    }
}

/// A declaration with one owned policy.
pub fn account(name: &str) -> IamServiceAccount {
    IamServiceAccount {
        origin: at(300),
        namespace: "default".into(),
        name: name.into(),
        suspended: false,
        service_account: ServiceAccountSpec {
            name: name.into(),
            manage: Manage::Full,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            automount_token: None,
            image_pull_secrets: Vec::new(),
            token_expiration_seconds: None,
            sts_regional_endpoints: None,
        },
        role: RoleOptions::default(),
        policies: PolicyOptions {
            owned: vec![policy(
                "read",
                json!({"Version": "2012-10-17", "Statement": []}),
            )],
            ..PolicyOptions::default()
        },
        deletion_policy: DeletionPolicy::Delete,
        drift_policy: DriftPolicy::Correct,
    }
}

pub fn policy(name: &str, document: Value) -> Located<PolicyDocument> {
    Located::new(
        PolicyDocument {
            name: name.into(),
            description: String::new(),
            document,
        },
        at(310),
    )
}
