//! Small repositories with names that lie close together, written in any order.

use std::{collections::BTreeMap, fmt::Write as _};

use albsync::{
    id::{RepoPath, SecurityGroupId, SubnetId},
    model::facts::{Facts, SecurityGroupFact, ServiceFact, Subnet, Vpc},
    source::Snapshot,
};
use proptest::prelude::*;

use crate::audit::limits::LIMITS;

/// Keys without their prefix.
pub type Annotations = BTreeMap<&'static str, &'static str>;

#[derive(Clone, Debug)]
pub struct Repository {
    pub ingresses: Vec<Ingress>,
    pub services: Vec<Service>,
}

#[derive(Clone, Debug)]
pub struct Ingress {
    pub namespace: &'static str,
    pub name: &'static str,
    pub annotations: Annotations,
    pub rules: Vec<Rule>,
}

/// Host and paths.
pub type Rule = (&'static str, Vec<Path>);
/// Path, type, Service, port.
pub type Path = (&'static str, &'static str, &'static str, &'static str);

impl Ingress {
    pub fn group(&self) -> String {
        match self.annotations.get("group.name") {
            Some(name) => (*name).to_owned(),
            None => format!("{}/{}", self.namespace, self.name),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Service {
    pub namespace: &'static str,
    pub name: &'static str,
    pub annotations: Annotations,
}

const NAMESPACES: [&str; 2] = ["default", "x-b"];
/// Hyphens in the wrong places make different things alike.
const INGRESSES: [&str; 3] = ["web", "web-x", "web-x-b"];
const SERVICES: [&str; 4] = ["x-back", "back", "b-back", "app"];
/// Of each Service: number, name and where its pods listen. Number and target side by side are the same digits twice.
const PORTS: [(u16, &str, u16); 2] = [(80, "http", 8080), (8080, "tls", 80)];

fn annotations() -> impl Strategy<Value = Annotations> {
    let choice = prop::sample::select(CHOICES.to_vec());
    let group = prop::option::weighted(0.7, Just(("group.name", "shop")));
    let limit = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<bool>()));
    let choices = prop::collection::vec(choice, 0..3);
    (group, choices, limit).prop_map(|(group, choices, limit)| {
        let pairs = choices.into_iter().flatten().copied();
        let mut annotations: Annotations = group.into_iter().chain(pairs).collect();
        if let Some((limit, is_inside)) = limit {
            let limit = limit.get(&LIMITS);
            annotations.extend(match is_inside {
                true => &limit.inside,
                false => &limit.outside,
            });
        }
        annotations
    })
}

/// What goes together; some of it is refused.
const CHOICES: &[&[(&str, &str)]] = &[
    &[("group.order", "5")],
    &[("group.order", "-7")],
    &[("listen-ports", r#"[{"HTTP":80},{"HTTP":8080}]"#)],
    &[
        ("listen-ports", r#"[{"HTTP":80},{"HTTPS":443}]"#),
        (
            "certificate-arn",
            "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-000000000000",
        ),
    ],
    &[
        ("listen-ports", r#"[{"HTTP":80},{"HTTPS":443}]"#),
        (
            "certificate-arn",
            "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-000000000000",
        ),
        ("ssl-redirect", "443"),
    ],
    &[("scheme", "internet-facing")],
    &[("tags", "team=a,cost=1")],
    &[("load-balancer-name", "shop")],
    &[(
        "load-balancer-attributes",
        "idle_timeout.timeout_seconds=30,routing.http2.enabled=true",
    )],
    &[("inbound-cidrs", "10.0.0.0/8, 192.0.2.0/24")],
    &[("healthcheck-interval-seconds", "20")],
    &[("target-type", "ip")],
    &[(
        "conditions.app",
        r#"[{"field":"source-ip","sourceIpConfig":{"values":["10.0.0.0/8","172.16.0.0/12","192.168.0.0/16","192.0.2.0/24"]}},{"field":"host-header","hostHeaderConfig":{"values":["b.example.com","c.example.com","*.d.example.com"]}}]"#,
    )],
    &[("success-codes", "200-299")],
];

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let host = prop::sample::select(vec!["", "a.example.com", "b.example.com", "*.example.org"]);
    let path = (
        prop::sample::select(vec![
            "/", "/a", "/a/b", "/a/", "/c", "/d", "/e/f", "/longer",
        ]),
        prop::sample::select(vec!["Exact", "Prefix", "ImplementationSpecific"]),
        prop::sample::select(SERVICES.to_vec()),
        prop::sample::select(vec!["80", "80", "80", "8080", "http"]),
    );
    prop::collection::vec((host, prop::collection::vec(path, 1..3)), 1..3)
}

pub fn repositories() -> impl Strategy<Value = Repository> {
    let ingress = (
        prop::sample::select(NAMESPACES.to_vec()),
        prop::sample::select(INGRESSES.to_vec()),
        annotations(),
        rules(),
    );
    let service = prop::collection::btree_map(
        prop::sample::select(vec!["healthcheck-path", "target-type", "tags"]),
        prop::sample::select(vec!["/healthz", "ip", "instance", "a=b"]),
        0..2,
    );
    let services = prop::collection::vec(service, NAMESPACES.len() * SERVICES.len());
    (prop::collection::vec(ingress, 1..5), services).prop_map(|(ingresses, annotations)| {
        let mut seen = std::collections::BTreeSet::new();
        Repository {
            ingresses: ingresses
                .into_iter()
                .filter(|(namespace, name, ..)| seen.insert((*namespace, *name)))
                .map(|(namespace, name, annotations, mut rules)| {
                    let acts = ACT.filter(|_| annotations.contains_key("actions.act"));
                    rules.extend(acts.map(|path| ("", vec![path])));
                    Ingress {
                        namespace,
                        name,
                        annotations,
                        rules,
                    }
                })
                .collect(),
            services: all_services()
                .into_iter()
                .zip(annotations)
                .map(|(service, annotations)| Service {
                    annotations: sensible(annotations),
                    ..service
                })
                .collect(),
        }
    })
}

/// One Ingress with a path to `app` and one to the action `act` where there is one.
pub fn alone(annotations: Annotations) -> Repository {
    let mut paths: Vec<Path> = vec![("/", "Prefix", "app", "80")];
    paths.extend(ACT.filter(|_| annotations.contains_key("actions.act")));
    Repository {
        ingresses: vec![Ingress {
            namespace: "default",
            name: "web",
            annotations,
            rules: vec![("a.example.com", paths)],
        }],
        services: all_services(),
    }
}

/// Where the action `act` is used.
const ACT: Option<Path> = Some(("/act", "Exact", "act", "use-annotation"));

/// Names that others have or get: by the formulas, or cut to 28 bytes for a balancer in front.
const ALIKE: &[(&str, &str)] = &[
    ("load-balancer-name", "shop"),
    ("load-balancer-name", "shop-nlb"),
    ("load-balancer-name", "twenty-eight-bytes-are-kept-1"),
    ("load-balancer-name", "twenty-eight-bytes-are-kept-2"),
    ("load-balancer-name", "twenty-eight-bytes-are-kept--nlb"),
    ("load-balancer-name", SHOPS_OWN),
    ("enable-frontend-nlb", "true"),
    ("enable-frontend-nlb", "true"),
    ("target-type", "ip"),
    ("target-type", "ip"),
    ("group.order", "5"),
];
/// What the balancer of the group `shop` is called where nobody says otherwise.
const SHOPS_OWN: &str = "k8s-shop-fd003764d8";

/// Repositories in which little is wrong but names: each Ingress has a host of its own and few annotations.
pub fn look_alikes() -> impl Strategy<Value = Repository> {
    let annotation = prop::collection::vec(prop::sample::select(ALIKE.to_vec()), 0..3);
    let group = prop::option::weighted(
        0.7,
        prop::sample::select(vec![("group.name", "shop"), ("group.name", "sho-p")]),
    );
    let backend = (
        prop::sample::select(SERVICES.to_vec()),
        prop::sample::select(vec!["80", "80", "8080", "http"]),
    );
    let ingress = (
        prop::sample::select(NAMESPACES.to_vec()),
        prop::sample::select(INGRESSES.to_vec()),
        (annotation, group),
        prop::collection::btree_set(backend, 1..4),
    );
    prop::collection::vec(ingress, 2..6).prop_map(|ingresses| {
        let mut seen = std::collections::BTreeSet::new();
        let hosts = ["a", "b", "c", "d", "e", "f"];
        let paths = ["/a", "/b", "/c", "/d"];
        let named = ingresses
            .into_iter()
            .filter(|(namespace, name, ..)| seen.insert((*namespace, *name)));
        Repository {
            ingresses: named
                .zip(hosts)
                .map(|((namespace, name, annotations, services), host)| Ingress {
                    namespace,
                    name,
                    annotations: annotations.0.into_iter().chain(annotations.1).collect(),
                    rules: vec![(
                        host,
                        paths
                            .into_iter()
                            .zip(services)
                            .map(|(path, (service, port))| (path, "Exact", service, port))
                            .collect(),
                    )],
                })
                .collect(),
            services: all_services(),
        }
    })
}

fn all_services() -> Vec<Service> {
    NAMESPACES
        .iter()
        .flat_map(|namespace| SERVICES.map(|name| (*namespace, name)))
        .map(|(namespace, name)| Service {
            namespace,
            name,
            annotations: BTreeMap::new(),
        })
        .collect()
}

/// Leaves out values that do not fit their annotation, or nearly every repository would be refused for them.
fn sensible(annotations: Annotations) -> Annotations {
    annotations
        .into_iter()
        .filter(|(name, value)| match *name {
            "healthcheck-path" => value.starts_with('/'),
            "target-type" => ["ip", "instance"].contains(value),
            _ => value.contains('='),
        })
        .collect()
}

/// Shuffles as a seed says; 0 leaves the order.
struct Order(u64);

impl Order {
    fn shuffle<T>(&mut self, items: &mut [T]) {
        if self.0 == 0 {
            return;
        }
        for last in (1..items.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            items.swap(
                last,
                usize::try_from(self.0 % (last as u64 + 1)).unwrap_or(0),
            );
        }
    }

    /// A mapping as JSON with its keys in this order.
    fn map(&mut self, mut entries: Vec<(&str, String)>) -> String {
        self.shuffle(&mut entries);
        let mut text = String::from("{");
        for (index, (key, value)) in entries.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{}: {value}", quoted(key));
        }
        text + "}"
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn uid(service: usize) -> String {
    format!("uid-{service}")
}

/// The second port's is a thousand more.
fn first_node_port(service: usize) -> u16 {
    u16::try_from(30_000 + service).unwrap_or(30_000)
}

impl Repository {
    /// Where an Ingress stands in the one file of [`Self::written`] without a seed: a class comes first, and each has a
    /// line of its own behind a separator.
    pub fn line_of(ingress: usize) -> u32 {
        u32::try_from(2 * (ingress + 1) + 2).expect("few")
    }

    fn service_index(&self, namespace: &str, name: &str) -> usize {
        let mut services = self.services.iter();
        let found = services.position(|it| (it.namespace, it.name) == (namespace, name));
        found.expect("a Service that exists")
    }

    pub fn uid(&self, namespace: &str, service: &str) -> String {
        uid(self.service_index(namespace, service))
    }

    /// Target type and port of the target group for a Service's port, the Service's annotations first.
    pub fn target(&self, ingress: &Ingress, service: &str, port: &str) -> (&'static str, u16) {
        let index = self.service_index(ingress.namespace, service);
        let of_service = self.services[index].annotations.get("target-type");
        let kind = of_service.or_else(|| ingress.annotations.get("target-type"));
        let mut ports = PORTS.iter();
        let place = ports.position(|(number, name, _)| number.to_string() == port || *name == port);
        let place = place.expect("a port that exists");
        match kind {
            Some(&"ip") => ("ip", PORTS[place].2),
            _ => ("instance", first_node_port(index) + [0, 1_000][place]),
        }
    }

    /// The documents as files, in the order that the seed says.
    pub fn written(&self, seed: u64) -> Snapshot {
        let mut order = Order(seed);
        let mut documents = vec![order.class()];
        for ingress in &self.ingresses {
            documents.push(order.ingress(ingress));
        }
        for service in &self.services {
            documents.push(order.service(service));
        }
        order.shuffle(&mut documents);
        let files = if seed == 0 { 1 } else { 1 + seed % 3 };
        let mut texts: BTreeMap<RepoPath, Vec<u8>> = BTreeMap::new();
        for (index, document) in documents.iter().enumerate() {
            let path = RepoPath::new(format!("{}.yaml", index as u64 % files));
            let text = texts.entry(path).or_default();
            text.extend_from_slice(format!("---\n{document}\n").as_bytes());
        }
        Snapshot {
            commit: None,
            files: texts
                .into_iter()
                .map(|(path, text)| (path, text.into()))
                .collect(),
        }
    }

    /// A file for each document, named for it: what does not change stays as it was read.
    pub fn a_file_each(&self) -> Snapshot {
        let mut order = Order(0);
        let mut files = BTreeMap::from([("class.yaml".into(), order.class().into_bytes().into())]);
        for ingress in &self.ingresses {
            let path = format!("{}/{}.ingress.yaml", ingress.namespace, ingress.name);
            files.insert(
                RepoPath::new(path),
                order.ingress(ingress).into_bytes().into(),
            );
        }
        for service in &self.services {
            let path = format!("{}/{}.service.yaml", service.namespace, service.name);
            files.insert(
                RepoPath::new(path),
                order.service(service).into_bytes().into(),
            );
        }
        Snapshot {
            commit: None,
            files,
        }
    }

    /// An account and a cluster with everything that they ask for.
    pub fn facts(&self) -> Facts {
        let subnet = |id: &str, az: &str, role: &str| Subnet {
            id: SubnetId::from(id),
            az: az.to_owned(),
            free_addresses: 200,
            tags: BTreeMap::from([(format!("kubernetes.io/role/{role}"), "1".to_owned())]),
            ..Subnet::default()
        };
        Facts {
            vpc: Some(Vpc {
                id: "vpc-1".to_owned(),
                cidrs: Vec::new(),
            }),
            subnets: Some(vec![
                subnet("subnet-1", "a", "elb"),
                subnet("subnet-2", "b", "elb"),
                subnet("subnet-3", "a", "internal-elb"),
                subnet("subnet-4", "b", "internal-elb"),
            ]),
            security_groups: Some(vec![SecurityGroupFact {
                id: SecurityGroupId::from("sg-1"),
                name: "k8s-traffic".to_owned(),
                tags: BTreeMap::from([
                    ("elbv2.k8s.aws/cluster".to_owned(), "demo".to_owned()),
                    ("elbv2.k8s.aws/resource".to_owned(), "backend-sg".to_owned()),
                ]),
            }]),
            services: Some(
                self.services
                    .iter()
                    .enumerate()
                    .map(|(index, service)| {
                        let port = first_node_port(index);
                        let fact = ServiceFact {
                            uid: Some(uid(index)),
                            node_ports: BTreeMap::from([
                                ("80".to_owned(), Some(port)),
                                ("8080".to_owned(), Some(port + 1_000)),
                            ]),
                            ..ServiceFact::default()
                        };
                        (format!("{}/{}", service.namespace, service.name), fact)
                    })
                    .collect::<BTreeMap<_, _>>()
                    .into(),
            ),
            load_balancers: Some(BTreeMap::new()),
            certificates: Some(Vec::new()),
            ingress_classes: Some(BTreeMap::new()),
            ..Facts::default()
        }
    }
}

impl Order {
    fn class(&mut self) -> String {
        self.map(vec![
            ("apiVersion", quoted("networking.k8s.io/v1")),
            ("kind", quoted("IngressClass")),
            ("metadata", r#"{"name": "alb"}"#.to_owned()),
            (
                "spec",
                r#"{"controller": "ingress.k8s.aws/alb"}"#.to_owned(),
            ),
        ])
    }

    fn metadata(&mut self, namespace: &str, name: &str, annotations: &Annotations) -> String {
        let keys: Vec<(String, String)> = annotations
            .iter()
            .map(|(key, value)| (format!("alb.ingress.kubernetes.io/{key}"), quoted(value)))
            .collect();
        let annotations = self.map(
            keys.iter()
                .map(|(key, value)| (key.as_str(), value.clone()))
                .collect(),
        );
        self.map(vec![
            ("namespace", quoted(namespace)),
            ("name", quoted(name)),
            ("annotations", annotations),
        ])
    }

    fn ingress(&mut self, ingress: &Ingress) -> String {
        let rules: Vec<String> = ingress
            .rules
            .iter()
            .map(|(host, paths)| {
                let paths: Vec<String> = paths
                    .iter()
                    .map(|(path, kind, service, port)| self.path(path, kind, service, port))
                    .collect();
                let http = format!("{{\"paths\": [{}]}}", paths.join(", "));
                let mut entries = vec![("http", http)];
                if !host.is_empty() {
                    entries.push(("host", quoted(host)));
                }
                self.map(entries)
            })
            .collect();
        let spec = self.map(vec![
            ("ingressClassName", quoted("alb")),
            ("rules", format!("[{}]", rules.join(", "))),
        ]);
        let metadata = self.metadata(ingress.namespace, ingress.name, &ingress.annotations);
        self.map(vec![
            ("apiVersion", quoted("networking.k8s.io/v1")),
            ("kind", quoted("Ingress")),
            ("metadata", metadata),
            ("spec", spec),
        ])
    }

    fn path(&mut self, path: &str, kind: &str, service: &str, port: &str) -> String {
        let port = match port.parse::<u16>() {
            Ok(number) => format!("{{\"number\": {number}}}"),
            Err(_) => format!("{{\"name\": {}}}", quoted(port)),
        };
        let service = self.map(vec![("name", quoted(service)), ("port", port)]);
        self.map(vec![
            ("path", quoted(path)),
            ("pathType", quoted(kind)),
            ("backend", format!("{{\"service\": {service}}}")),
        ])
    }

    fn service(&mut self, service: &Service) -> String {
        let ports = PORTS.map(|(port, name, target)| {
            self.map(vec![
                ("name", quoted(name)),
                ("port", port.to_string()),
                ("targetPort", target.to_string()),
            ])
        });
        let spec = self.map(vec![
            ("type", quoted("NodePort")),
            ("ports", format!("[{}]", ports.join(", "))),
        ]);
        let metadata = self.metadata(service.namespace, service.name, &service.annotations);
        self.map(vec![
            ("apiVersion", quoted("v1")),
            ("kind", quoted("Service")),
            ("metadata", metadata),
            ("spec", spec),
        ])
    }
}
