//! Ownership tags: the only place where a tag key is spelled.

/// Cluster name, on every ALB resource of ours (aws-deploy §1.1).
pub const CLUSTER: &str = "elbv2.k8s.aws/cluster";
/// Group id, on every resource of one group.
pub const STACK: &str = "ingress.k8s.aws/stack";
/// Resource id within the group.
pub const RESOURCE: &str = "ingress.k8s.aws/resource";
/// Marks the shared backend security group.
pub const SHARED_RESOURCE: &str = "elbv2.k8s.aws/resource";
/// Value of [`SHARED_RESOURCE`].
pub const BACKEND_SG: &str = "backend-sg";
/// Description that marks our permissions in the nodes' groups.
pub const NODE_PERMISSION_MARK: &str = "elbv2.k8s.aws/targetGroupBinding=shared";
/// Key prefix of the tag by which nodes' groups and subnets name their cluster.
pub const KUBERNETES_CLUSTER: &str = "kubernetes.io/cluster/";
/// Marks subnets meant for internet-facing balancers (ingress-model §3.4).
pub const ROLE_ELB: &str = "kubernetes.io/role/elb";
/// Marks subnets meant for internal balancers.
pub const ROLE_INTERNAL_ELB: &str = "kubernetes.io/role/internal-elb";
/// IAM: which installation owns the object.
pub const OWNER: &str = "albsync.dev/owner";
/// IAM: the cluster's ARN.
pub const OWNER_CLUSTER: &str = "albsync.dev/cluster";
/// IAM: `namespace/name` of the declaring document.
pub const OBJECT: &str = "albsync.dev/object";
/// IAM: short repository id.
pub const REPO: &str = "albsync.dev/repo";
