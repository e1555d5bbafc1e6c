//! Groups from a few documents, for the builders' tests.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{GroupModel, build::build_all};
use crate::{
    id::RepoPath,
    manifest::{Manifests, ParseOptions, parse},
    model::{
        facts::{Facts, file},
        settings::{Checks, Settings},
    },
    problem::{Checked, Problem, Severity},
    source::snapshot::Snapshot,
};

/// Documents, facts and settings: a class `aws`, and the Services `app1` and `app2` with node ports.
pub struct World {
    documents: Vec<Value>,
    pub facts: Value,
    pub settings: Settings,
}

pub const UID: &str = "11111111-1111-4111-8111-111111111111";

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    pub fn new() -> Self {
        let subnet = |id: &str, az: &str| json!({"id": id, "az": az, "freeAddresses": 200, "tags": {"kubernetes.io/role/internal-elb": "1"}});
        let settings = Settings {
            cluster_name: "mz-k8s".to_owned(),
            ..Settings::offline()
        };
        let world = Self {
            documents: vec![json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
                "metadata": {"name": "aws"}, "spec": {"controller": "ingress.k8s.aws/alb"},
            })],
            facts: json!({
                "account": "123456789012", "region": "eu-west-1", "cluster": "mz-k8s",
                "vpc": {"id": "vpc-1"},
                "subnets": [subnet("subnet-1", "eu-west-1a"), subnet("subnet-2", "eu-west-1b")],
                "securityGroups": [], "prefixLists": [], "certificates": [], "loadBalancers": [],
                "webAcls": [], "trustStores": [], "targetGroups": [], "services": {},
                "ingressClasses": {},
            }),
            settings,
        };
        world.service("app1", 31001).service("app2", 31002)
    }

    /// Whatever LBC builds.
    pub fn lbc(mut self) -> Self {
        self.settings.checks = Checks::Lbc;
        self
    }

    pub fn with(mut self, document: Value) -> Self {
        self.documents.push(document);
        self
    }

    /// An Ingress of the class `aws` in the namespace `default`; annotations without their prefix.
    pub fn ingress(self, name: &str, annotations: Value, spec: Value) -> Self {
        self.with(ingress(name, annotations, spec))
    }

    /// A Service with one port 80 named `http`, of NodePort unless the node port is 0.
    pub fn service(self, name: &str, node_port: u16) -> Self {
        let kind = if node_port == 0 {
            "ClusterIP"
        } else {
            "NodePort"
        };
        self.service_as(
            name,
            json!({}),
            json!({"type": kind, "selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]}),
            json!({"80": (node_port != 0).then_some(node_port)}),
        )
    }

    pub fn service_as(
        mut self,
        name: &str,
        annotations: Value,
        spec: Value,
        node_ports: Value,
    ) -> Self {
        self.facts["services"][format!("default/{name}")] =
            json!({"uid": UID, "nodePorts": node_ports});
        self.documents
            .retain(|it| it["metadata"]["name"] != name || it["kind"] != "Service");
        self.with(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "annotations": prefixed(annotations)}, "spec": spec,
        }))
    }

    /// The class `aws` with these parameters.
    pub fn params(mut self, spec: Value) -> Self {
        self.documents.retain(|it| it["kind"] != "IngressClass");
        self.with(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "aws"},
            "spec": {"controller": "ingress.k8s.aws/alb", "parameters": {
                "apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "aws",
            }},
        }))
        .with(json!({
            "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "IngressClassParams",
            "metadata": {"name": "aws"}, "spec": spec,
        }))
    }

    pub fn fact(mut self, key: &str, value: Value) -> Self {
        self.facts[key] = value;
        self
    }

    fn parsed(&self) -> Checked<Manifests> {
        let files = self.documents.iter().enumerate().map(|(number, document)| {
            let name = document["metadata"]["name"].as_str().unwrap_or_default();
            let path = format!("{name}-{number}.yaml");
            (
                RepoPath::from(path.as_str()),
                document.to_string().into_bytes().into(),
            )
        });
        let snapshot = Snapshot {
            commit: None,
            files: files.collect(),
        };
        let options = ParseOptions {
            checks: self.settings.checks,
            ..ParseOptions::default()
        };
        parse(&snapshot, &options)
    }

    fn looked_up(&self) -> Facts {
        file::read(&self.facts).unwrap_or_else(|mistake| panic!("{mistake}"))
    }

    /// What the builders are given.
    pub fn read(&self) -> (Manifests, Facts) {
        (self.parsed().value, self.looked_up())
    }

    /// All that is said, parsing included; a problem of a document's own comes first.
    pub fn outcome(&self) -> (Vec<GroupModel>, Vec<Problem>) {
        let manifests = self.parsed();
        let facts = self.looked_up();
        let built = build_all(&manifests.value, &facts, &self.settings);
        let mut problems = manifests.problems;
        for problem in &built.problems {
            if !problems.contains(problem) {
                problems.push(problem.clone());
            }
        }
        let groups = built.into_models().into_values();
        (groups.map(Arc::unwrap_or_clone).collect(), problems)
    }

    /// The only group, without a word; where LBC's checks hold, with nothing but warnings.
    pub fn group(&self) -> GroupModel {
        let (mut groups, problems) = self.outcome();
        let is_lbc = self.settings.checks == Checks::Lbc;
        let said: Vec<String> = problems
            .iter()
            .filter(|problem| !is_lbc || problem.severity == Severity::Problem)
            .map(Problem::to_string)
            .collect();
        assert_eq!(said, [""; 0]);
        assert_eq!(groups.len(), 1, "one group");
        groups.remove(0)
    }

    /// The only group, whatever warnings there are.
    pub fn warned(&self) -> (GroupModel, Vec<String>) {
        let (mut groups, problems) = self.outcome();
        for problem in &problems {
            assert_eq!(problem.severity, Severity::Warning, "{problem}");
        }
        assert_eq!(groups.len(), 1, "one group");
        let said = problems.iter().map(|it| it.message.clone()).collect();
        (groups.remove(0), said)
    }

    /// What refuses, as `code: message`, each once.
    pub fn refusals(&self) -> Vec<String> {
        let (_, problems) = self.outcome();
        let mut said: Vec<String> = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Problem)
            .map(|problem| {
                assert!(!problem.origin.file.is_empty() && problem.origin.line > 0);
                format!("{}: {}", problem.code, problem.message)
            })
            .collect();
        said.dedup();
        said
    }
}

pub fn ingress(name: &str, annotations: Value, spec: Value) -> Value {
    let mut spec = spec;
    spec["ingressClassName"] = json!("aws");
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": prefixed(annotations)}, "spec": spec,
    })
}

fn prefixed(annotations: Value) -> Value {
    let Value::Object(map) = annotations else {
        return annotations;
    };
    let prefix = crate::manifest::annotation::PREFIX;
    map.into_iter()
        .map(|(key, value)| match key.contains('/') {
            true => (key, value),
            false => (format!("{prefix}/{key}"), value),
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A path to port 80 of a Service.
pub fn path(path: &str, kind: &str, service: &str) -> Value {
    json!({"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": {"number": 80}}}})
}

/// A path that takes its action from the annotation `actions.NAME`.
pub fn acted(text: &str, name: &str) -> Value {
    json!({"path": text, "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"name": "use-annotation"}}}})
}

/// `spec.rules` with one entry.
pub fn rules(host: &str, paths: &[Value]) -> Value {
    json!({"rules": [{"host": host, "http": {"paths": paths}}]})
}

/// Everything of `app1`, without a host.
pub fn plain() -> Value {
    json!({"rules": [{"http": {"paths": [path("/", "Prefix", "app1")]}}]})
}
