//! Names that the rest of the code passes around: one newtype per idea, so that two kinds of text cannot be swapped.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// Wraps the text as it is; nothing is checked here.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text_id!(
    /// A git commit id, 40 lower-case hex digits.
    Revision
);
text_id!(
    /// A path inside the repository, `/`-separated, relative, without `.` or `..`.
    RepoPath
);
text_id!(
    /// An Amazon Resource Name.
    Arn
);
text_id!(
    /// An EC2 security group id, `sg-…`.
    SecurityGroupId
);
text_id!(
    /// An EC2 subnet id, `subnet-…`.
    SubnetId
);
text_id!(
    /// An IAM role name (without path).
    RoleName
);

impl Revision {
    /// The first twelve digits, as people read commits.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// The smallest slice that converges alone: one balancer (an Ingress group), one role binding, or what all of them share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackId {
    /// The objects of the cluster.
    Cluster,
    /// Network parts that all balancers share: the backend security group and the permissions of the nodes' groups.
    Network,
    /// The cluster's OIDC provider in IAM.
    Provider,
    /// One Ingress group; the text is its group id: `namespace/name` when implicit, the group's name when explicit.
    Group(String),
    /// One IAM role for a ServiceAccount; the text is the `IAMServiceAccount`'s `namespace/name`.
    Role(String),
}

impl fmt::Display for StackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Network => f.write_str("network"),
            Self::Provider => f.write_str("oidc-provider"),
            Self::Group(id) => write!(f, "group {id}"),
            Self::Role(id) => write!(f, "role {id}"),
        }
    }
}

/// What kind of thing a [`ResourceId`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    SecurityGroup,
    LoadBalancer,
    Listener,
    Rule,
    TargetGroup,
    OidcProvider,
    Policy,
    Role,
    Object,
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecurityGroup => "security group",
            Self::LoadBalancer => "load balancer",
            Self::Listener => "listener",
            Self::Rule => "rule",
            Self::TargetGroup => "target group",
            Self::OidcProvider => "OIDC provider",
            Self::Policy => "policy",
            Self::Role => "role",
            Self::Object => "object",
        })
    }
}

/// The logical identity of one resource, stable over its whole life and independent of what AWS calls it.
///
/// `name` is unique within (stack, kind). For ALB resources it is the value of the tag `ingress.k8s.aws/resource` where
/// that is stable (`LoadBalancer`, `ManagedLBSecurityGroup`, the listener's port, `namespace/ingress-service:port`); a
/// rule is named `PORT/` plus a digest of its conditions, because its tag holds a priority as of its creation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceId {
    pub stack: StackId,
    pub kind: ResourceKind,
    pub name: String,
}

impl ResourceId {
    pub fn new(stack: StackId, kind: ResourceKind, name: impl Into<String>) -> Self {
        Self {
            stack,
            kind,
            name: name.into(),
        }
    }

    /// The balancer of a group.
    pub fn load_balancer(group: &str) -> Self {
        Self::of_group(group, ResourceKind::LoadBalancer, "LoadBalancer")
    }

    /// The security group that a group has to itself.
    pub fn managed_security_group(group: &str) -> Self {
        Self::of_group(group, ResourceKind::SecurityGroup, "ManagedLBSecurityGroup")
    }

    /// A listener of a group.
    pub fn listener(group: &str, port: u16) -> Self {
        Self::of_group(group, ResourceKind::Listener, port.to_string())
    }

    /// A target group of a group; `id` is `namespace/ingress-service:port`.
    pub fn target_group(group: &str, id: &str) -> Self {
        Self::of_group(group, ResourceKind::TargetGroup, id)
    }

    /// The security group that all balancers of the cluster share.
    pub fn backend_security_group() -> Self {
        Self::new(StackId::Network, ResourceKind::SecurityGroup, "backend-sg")
    }

    /// The cluster's OIDC provider.
    pub fn provider() -> Self {
        Self::new(StackId::Provider, ResourceKind::OidcProvider, "provider")
    }

    /// The role of a declaration; `key` is its `namespace/name`.
    pub fn role(key: &str) -> Self {
        Self::new(StackId::Role(key.to_owned()), ResourceKind::Role, "role")
    }

    /// An owned policy of a declaration, by its name in IAM.
    pub fn policy(key: &str, name: &str) -> Self {
        Self::new(StackId::Role(key.to_owned()), ResourceKind::Policy, name)
    }

    fn of_group(group: &str, kind: ResourceKind, name: impl Into<String>) -> Self {
        Self::new(StackId::Group(group.to_owned()), kind, name)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.kind, self.name, self.stack)
    }
}

/// One operation of one plan; unique within the plan, in the order of execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpId(pub u32);

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Counts the plans that the store has opened; a plan made against an older generation is refused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// Names one Kubernetes object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// `apiVersion` as written, for example `apps/v1` or `v1`.
    pub api_version: String,
    pub kind: String,
    /// Absent for cluster-scoped kinds.
    pub namespace: Option<String>,
    pub name: String,
}

impl ObjectRef {
    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// The version without its group.
    pub fn version(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or(self.api_version.as_str(), |(_, version)| version)
    }

    /// What [`Self::key`] holds, in the same order: to compare and to look up without copies.
    pub fn identity(&self) -> (&str, &str, Option<&str>, &str) {
        (
            self.group(),
            &self.kind,
            self.namespace.as_deref(),
            &self.name,
        )
    }

    /// Identity across versions: two documents with equal keys are the same object (gitops R12).
    pub fn key(&self) -> ObjectKey {
        ObjectKey {
            group: self.group().to_owned(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// An object's identity without its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    pub group: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
