//! Repositories of any size: Ingresses with four paths, each to a Service of its own, spread over explicit groups.

use std::{collections::BTreeMap, fmt::Write as _};

use albsync::{
    id::{RepoPath, SecurityGroupId, SubnetId},
    manifest::{self, Backend, Manifests, ParseOptions, ServiceRef},
    model::{
        facts::{Facts, SecurityGroupFact, ServiceFact, Subnet, Vpc},
        settings::Settings,
    },
    problem::Origin,
    source::Snapshot,
};

/// Paths of each Ingress, and so Services.
pub const PATHS: usize = 4;

/// A repository with what the account and the cluster say of it.
pub struct Workload {
    pub snapshot: Snapshot,
    pub facts: Facts,
    pub settings: Settings,
}

/// One file for each Ingress with its Services; the Ingresses in turn join the groups.
pub fn workload(ingresses: usize, groups: usize) -> Workload {
    let mut files = BTreeMap::from([(
        RepoPath::from("class.yaml"),
        CLASS.as_bytes().to_vec().into(),
    )]);
    let mut services = BTreeMap::new();
    for number in 0..ingresses {
        files.insert(
            path(number),
            file(number, number % groups, "").into_bytes().into(),
        );
        for service in 0..PATHS {
            let port = u16::try_from(30_000 + (number * PATHS + service) % 2_768).unwrap_or(30_000);
            services.insert(
                format!("{}/{}", namespace(number), name(number, service)),
                ServiceFact {
                    uid: Some(format!(
                        "00000000-0000-4000-8000-{:012x}",
                        number * PATHS + service
                    )),
                    node_ports: BTreeMap::from([("80".to_owned(), Some(port))]),
                    ..ServiceFact::default()
                },
            );
        }
    }
    let mut settings = Settings::offline();
    settings.cluster_name = "scale".to_owned();
    Workload {
        snapshot: Snapshot {
            commit: None,
            files,
        },
        facts: facts(services),
        settings,
    }
}

/// The file of one Ingress.
pub fn path(number: usize) -> RepoPath {
    RepoPath::new(format!("apps/{number:05}.yaml"))
}

/// Its text, with further annotations (indented lines) where given.
pub fn file(number: usize, group: usize, annotations: &str) -> String {
    let namespace = namespace(number);
    let mut text = format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  namespace: {namespace}
  name: app-{number:05}
  annotations:
    alb.ingress.kubernetes.io/scheme: internet-facing
    alb.ingress.kubernetes.io/group.name: group-{group:03}
{annotations}spec:
  ingressClassName: alb
  rules:
  - host: app-{number:05}.example.com
    http:
      paths:
"
    );
    for service in 0..PATHS {
        let _ = write!(
            text,
            "      - path: /part-{service}
        pathType: Prefix
        backend:
          service:
            name: {}
            port:
              number: 80
",
            name(number, service)
        );
    }
    for service in 0..PATHS {
        let _ = write!(
            text,
            "---
apiVersion: v1
kind: Service
metadata:
  namespace: {namespace}
  name: {}
spec:
  type: NodePort
  selector:
    app: {}
  ports:
  - port: 80
    targetPort: 8080
",
            name(number, service),
            name(number, service)
        );
    }
    text
}

const CLASS: &str = "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata:
  name: alb
spec:
  controller: ingress.k8s.aws/alb
";

fn namespace(number: usize) -> String {
    format!("team-{:02}", number % 50)
}

fn name(number: usize, service: usize) -> String {
    format!("app-{number:05}-{service}")
}

fn facts(services: BTreeMap<String, ServiceFact>) -> Facts {
    let subnet = |id: &str, az: &str| Subnet {
        id: SubnetId::from(id),
        az: az.to_owned(),
        free_addresses: 200,
        tags: BTreeMap::from([("kubernetes.io/role/elb".to_owned(), "1".to_owned())]),
        public: Some(true),
        ..Subnet::default()
    };
    Facts {
        account: Some("123456789012".to_owned()),
        region: Some("eu-central-1".to_owned()),
        cluster: Some("scale".to_owned()),
        vpc: Some(Vpc {
            id: "vpc-0a1b2c3d".to_owned(),
            cidrs: vec!["10.0.0.0/16".to_owned()],
        }),
        subnets: Some(vec![
            subnet("subnet-0a", "eu-central-1a"),
            subnet("subnet-0b", "eu-central-1b"),
        ]),
        security_groups: Some(vec![SecurityGroupFact {
            id: SecurityGroupId::from("sg-0backend"),
            name: "k8s-traffic-scale".to_owned(),
            tags: BTreeMap::from([
                ("elbv2.k8s.aws/cluster".to_owned(), "scale".to_owned()),
                ("elbv2.k8s.aws/resource".to_owned(), "backend-sg".to_owned()),
            ]),
        }]),
        services: Some(services.into()),
        nodes: Some(Vec::new()),
        load_balancers: Some(BTreeMap::new()),
        certificates: Some(Vec::new()),
        ingress_classes: Some(BTreeMap::new()),
        ..Facts::default()
    }
}

/// The documents of [`workload`] without reading thousands of files: those of the first, under other names.
pub fn documents(ingresses: usize, groups: usize) -> Manifests {
    let first = workload(1, 1);
    let parsed = manifest::parse(&first.snapshot, &ParseOptions::default());
    assert!(parsed.problems.is_empty(), "{:?}", parsed.problems.first());
    let mut manifests = parsed.value;
    let templates = std::mem::take(&mut manifests.ingresses);
    let services = std::mem::take(&mut manifests.services);
    for number in 0..ingresses {
        let origin = Origin::start_of(path(number).as_str());
        for template in &templates {
            let mut ingress = template.clone();
            ingress.origin = origin.clone();
            ingress.namespace = namespace(number);
            ingress.name = format!("app-{number:05}");
            if let Some(group) = &mut ingress.options.group.name {
                group.value = Ok(format!("group-{:03}", number % groups));
            }
            for rule in &mut ingress.rules {
                if let Some(host) = &mut rule.host {
                    host.value = format!("app-{number:05}.example.com");
                }
                for (service, path) in rule.paths.iter_mut().enumerate() {
                    if let Backend::Service { name: backend, .. } = &mut path.backend.value {
                        *backend = name(number, service);
                    }
                }
            }
            manifests.ingresses.push(ingress);
        }
        for (index, template) in services.iter().enumerate() {
            let mut service = template.clone();
            service.origin = origin.clone();
            service.reference = ServiceRef {
                namespace: namespace(number),
                name: name(number, index),
            };
            manifests.services.push(service);
        }
    }
    manifests
}
