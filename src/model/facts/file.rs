//! Facts as a file: what `albsync facts` writes and `--facts FILE` reads (examples/facts.md describes every key).
//!
//! The file is for people and tools, so it has named fields where [`Facts`] has pairs and a list where it has a map. A key
//! that is absent or null was not looked up; an empty list means that there is none.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;
use serde_path_to_error::Segment;

use super::{
    CertificateFact, ClassFact, Facts, LoadBalancerFact, NamedArn, Node, ParamsFact,
    PrefixListFact, SecretFact, SecurityGroupFact, ServiceFact, Subnet, Vpc,
};
use crate::{
    id::{SecurityGroupId, SubnetId},
    model::{elb::Scheme, net::Tags, tags},
    shared::Shared,
};

/// Facts from a file's value.
///
/// # Errors
/// A key that no fact has, or a value of another kind than the key's.
pub fn read(value: &Value) -> Result<Facts, Mistake> {
    if !value.is_object() {
        // A list would pass for the fields in their order.
        return Err(Mistake {
            path: Vec::new(),
            message: "not a mapping of facts".to_owned(),
        });
    }
    serde_path_to_error::deserialize::<_, FactsFile>(value)
        .map(FactsFile::into_facts)
        .map_err(|error| Mistake {
            path: error.path().iter().filter_map(Step::of).collect(),
            message: error.inner().to_string(),
        })
}

/// A file's value with everything that is known.
pub fn write(facts: &Facts) -> Value {
    // Texts, numbers, lists and maps with text keys: there is nothing that JSON could not hold.
    serde_json::to_value(FactsFile::of(facts)).unwrap_or_default()
}

/// Why a file is no facts file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// To the value that is wrong, or in which an unknown key stands.
    pub path: Vec<Step>,
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    fn of(segment: &Segment) -> Option<Self> {
        match segment {
            Segment::Seq { index } => Some(Self::Index(*index)),
            Segment::Map { key } => Some(Self::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.path.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct FactsFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc: Option<Vpc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnets: Option<Vec<Subnet>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_groups: Option<Vec<SecurityGroupFact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_lists: Option<Vec<PrefixListFact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<Vec<CertificateFact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_balancers: Option<Vec<BalancerEntry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_acls: Option<Vec<NamedArn>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_stores: Option<Vec<NamedArn>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_groups: Option<Vec<NamedArn>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipam_pools: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coip_pools: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_limits: Option<BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<BTreeMap<String, ServiceFact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Vec<NodeEntry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_groups: Option<BTreeMap<String, Vec<SecurityGroupId>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<BTreeMap<String, SecretFact>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespaces: Option<BTreeMap<String, BTreeMap<String, String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_classes: Option<BTreeMap<String, ClassFact>>,
    /// By name, each as its `spec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ingress_class_params: Option<BTreeMap<String, Value>>,
}

/// A balancer that exists; one of a group of ours is told by `group` or by the tracking tags.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BalancerEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<Scheme>,
    #[serde(default)]
    subnets: Vec<SubnetId>,
}

impl BalancerEntry {
    /// The group whose stack it is, in this cluster.
    fn group(&self, cluster: Option<&str>) -> Option<String> {
        if self.group.is_some() {
            return self.group.clone();
        }
        let of_cluster = self.tags.get(tags::CLUSTER)?;
        (Some(of_cluster.as_str()) == cluster).then(|| self.tags.get(tags::STACK).cloned())?
    }
}

/// A node in full, or its instance id alone, as text: then it is a ready node without labels and taints.
#[derive(Serialize)]
#[serde(untagged)]
enum NodeEntry {
    Instance(String),
    Node(FileNode),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileNode {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_id: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    taints: Vec<Taint>,
    ready: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taint {
    key: String,
    effect: String,
}

impl<'de> Deserialize<'de> for NodeEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Looks at the kind of value first: an untagged enum could not say what is wrong inside.
        struct Kind;
        impl<'de> Visitor<'de> for Kind {
            type Value = NodeEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an instance id, or a node with `name` and `ready`")
            }

            fn visit_str<E>(self, text: &str) -> Result<NodeEntry, E> {
                Ok(NodeEntry::Instance(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NodeEntry, A::Error> {
                FileNode::deserialize(MapAccessDeserializer::new(map)).map(NodeEntry::Node)
            }
        }
        deserializer.deserialize_any(Kind)
    }
}

impl NodeEntry {
    fn of(node: &Node) -> Self {
        if let Some(id) = node
            .provider_id
            .as_deref()
            .and_then(|id| id.strip_prefix(ANY_ZONE))
            && *node == instance(id)
        {
            return Self::Instance(id.to_owned());
        }
        Self::Node(FileNode {
            name: node.name.clone(),
            provider_id: node.provider_id.clone(),
            labels: node.labels.clone(),
            taints: node
                .taints
                .iter()
                .map(|(key, effect)| Taint {
                    key: key.clone(),
                    effect: effect.clone(),
                })
                .collect(),
            ready: node.ready.clone(),
        })
    }

    fn into_node(self) -> Node {
        match self {
            Self::Instance(id) => instance(&id),
            Self::Node(node) => Node {
                name: node.name,
                provider_id: node.provider_id,
                labels: node.labels,
                taints: node
                    .taints
                    .into_iter()
                    .map(|taint| (taint.key, taint.effect))
                    .collect(),
                ready: node.ready,
            },
        }
    }
}

/// A provider id says the zone before the instance; here it is not known.
const ANY_ZONE: &str = "aws:////";

fn instance(id: &str) -> Node {
    Node {
        name: id.to_owned(),
        provider_id: Some(format!("{ANY_ZONE}{id}")),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        ready: "True".to_owned(),
    }
}

impl FactsFile {
    fn of(facts: &Facts) -> Self {
        let Facts {
            account,
            partition,
            region,
            cluster,
            cluster_arn,
            oidc_issuer,
            vpc,
            subnets,
            security_groups,
            services,
            nodes,
            // Who is registered is no part of the model that a file is for.
            endpoints: _,
            instance_groups,
            load_balancers,
            certificates,
            prefix_lists,
            web_acls,
            trust_stores,
            target_groups,
            ipam_pools,
            coip_pools,
            account_limits,
            secrets,
            namespaces,
            ingress_classes,
            ingress_class_params,
        } = facts.clone();
        Self {
            account,
            partition,
            region,
            cluster,
            cluster_arn,
            oidc_issuer,
            vpc,
            subnets,
            security_groups,
            prefix_lists,
            certificates,
            load_balancers: load_balancers.map(|found| {
                let entries = found.into_iter().map(|(group, fact)| BalancerEntry {
                    group: Some(group),
                    tags: Tags::new(),
                    scheme: fact.scheme,
                    subnets: fact.subnets,
                });
                entries.collect()
            }),
            web_acls,
            trust_stores,
            target_groups,
            ipam_pools,
            coip_pools,
            account_limits,
            services: services.map(Shared::into_inner),
            nodes: nodes.map(|nodes| nodes.iter().map(NodeEntry::of).collect()),
            instance_groups,
            secrets,
            namespaces,
            ingress_classes,
            ingress_class_params: ingress_class_params.map(|params| {
                let params = params.into_iter();
                params.map(|(name, fact)| (name, fact.spec)).collect()
            }),
        }
    }

    fn into_facts(self) -> Facts {
        let load_balancers = self.load_balancers.map(|entries| {
            let mut found = BTreeMap::new();
            for entry in entries {
                if let Some(group) = entry.group(self.cluster.as_deref()) {
                    // Of several balancers of one stack the first counts (ingress-model §3.4).
                    found.entry(group).or_insert(LoadBalancerFact {
                        scheme: entry.scheme,
                        subnets: entry.subnets,
                    });
                }
            }
            found
        });
        Facts {
            endpoints: None,
            account: self.account,
            partition: self.partition,
            region: self.region,
            cluster: self.cluster,
            cluster_arn: self.cluster_arn,
            oidc_issuer: self.oidc_issuer,
            vpc: self.vpc,
            subnets: self.subnets,
            security_groups: self.security_groups,
            services: self.services.map(Shared::from),
            nodes: self
                .nodes
                .map(|nodes| nodes.into_iter().map(NodeEntry::into_node).collect()),
            instance_groups: self.instance_groups,
            load_balancers,
            certificates: self.certificates,
            prefix_lists: self.prefix_lists,
            web_acls: self.web_acls,
            trust_stores: self.trust_stores,
            target_groups: self.target_groups,
            ipam_pools: self.ipam_pools,
            coip_pools: self.coip_pools,
            account_limits: self.account_limits,
            secrets: self.secrets,
            namespaces: self.namespaces,
            ingress_classes: self.ingress_classes,
            ingress_class_params: self.ingress_class_params.map(|params| {
                let params = params.into_iter();
                let read = params.map(|(name, spec)| {
                    let fact = ParamsFact::new(&name, spec);
                    (name, fact)
                });
                read.collect()
            }),
        }
    }
}

#[cfg(test)]
mod tests;
