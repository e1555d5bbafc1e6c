//! A small repository that tests change and commit, and what a world in memory made of it.

use std::{collections::BTreeMap, path::Path};

use albsync::{
    id::{ObjectRef, Revision},
    model::elb::Condition,
};

use crate::golden::world::World;

/// A repository: a class, and the groups `shop` (of two teams) and `blog`.
#[derive(Clone)]
pub struct Tree(pub BTreeMap<&'static str, String>);

pub const CLASS: &str = "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: aws}
spec: {controller: ingress.k8s.aws/alb}
";

pub const SHOP: [&str; 4] = ["/cart", "/cart/*", "/pay", "/pay/*"];
pub const BLOG: [&str; 2] = ["/blog", "/blog/*"];
pub const FEED: [&str; 2] = ["/feed", "/feed/*"];
pub const NOTHING: [&str; 0] = [];

pub fn service(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: default
  annotations: {{{annotations}}}
spec:
  type: NodePort
  selector: {{app: {name}}}
  ports: [{{port: 80, targetPort: 8080}}]
"
    )
}

/// An Ingress of a group, with its paths and further annotations.
pub fn ingress(
    name: &str,
    group: &str,
    service: &str,
    paths: &[&str],
    annotations: &str,
) -> String {
    let rules: String = paths
        .iter()
        .map(|path| {
            format!(
                "          - path: {path}
            pathType: Prefix
            backend: {{service: {{name: {service}, port: {{number: 80}}}}}}
"
            )
        })
        .collect();
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: default
  annotations:
    alb.ingress.kubernetes.io/group.name: {group}
{annotations}spec:
  ingressClassName: aws
  rules:
    - host: {name}.example.com
      http:
        paths:
{rules}"
    )
}

/// What nobody lowers: an annotation that does not follow its grammar.
pub const BAD: &str = "    alb.ingress.kubernetes.io/healthcheck-interval-seconds: soon\n";
/// Where it stands.
pub const PLACE: &str = "shop/cart.yaml:8:";

impl Tree {
    pub fn new() -> Self {
        let plain = |name: &str, group: &str, path: &str| ingress(name, group, name, &[path], "");
        Self(BTreeMap::from([
            ("class.yaml", CLASS.to_owned()),
            ("services/cart.yaml", service("cart", "")),
            ("services/pay.yaml", service("pay", "")),
            ("services/blog.yaml", service("blog", "")),
            ("shop/cart.yaml", plain("cart", "shop", "/cart")),
            ("shop/pay.yaml", plain("pay", "shop", "/pay")),
            ("blog.yaml", plain("blog", "blog", "/blog")),
        ]))
    }

    pub fn with(&self, path: &'static str, text: String) -> Self {
        let mut tree = self.clone();
        tree.0.insert(path, text);
        tree
    }

    pub fn without(&self, path: &str) -> Self {
        let mut tree = self.clone();
        tree.0.remove(path);
        tree
    }

    /// `cart` asks for something that cannot be, and for a new path.
    pub fn with_bad_cart(&self) -> Self {
        let text = ingress("cart", "shop", "cart", &["/cart", "/new"], BAD);
        self.with("shop/cart.yaml", text)
    }

    pub fn with_feed(&self) -> Self {
        self.with("blog.yaml", ingress("blog", "blog", "blog", &["/feed"], ""))
    }

    pub fn commit(&self, world: &World) -> Revision {
        let directory = tempfile::tempdir().expect("a directory");
        for (path, text) in &self.0 {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        world.commit("a change", &[], directory.path())
    }
}

/// The paths that a group's balancer answers, sorted.
pub fn paths(world: &World, group: &str) -> Vec<String> {
    let state = world.aws.state();
    let of_group = |tags: &BTreeMap<String, String>| {
        tags.get("ingress.k8s.aws/stack").map(String::as_str) == Some(group)
    };
    let mut paths: Vec<String> = state
        .rules
        .values()
        .filter(|rule| of_group(&rule.tags))
        .flat_map(|rule| &rule.conditions)
        .filter_map(|condition| match condition {
            Condition::PathPattern { values } => Some(values.texts().to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    paths.sort();
    paths
}

pub fn object(kind: &str, name: &str) -> ObjectRef {
    let api_version = match kind {
        "Ingress" => "networking.k8s.io/v1",
        "EndpointSlice" => "discovery.k8s.io/v1",
        _ => "v1",
    };
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: Some("default".to_owned()),
        name: name.to_owned(),
    }
}
