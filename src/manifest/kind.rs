//! Kubernetes' own kinds: which group has them and whether they live in a namespace.
//!
//! Kinds that are not here are carried as they are; discovery in the cluster says what they are.

/// (group, kind, namespaced).
const BUILT_IN: &[(&str, &str, bool)] = &[
    ("", "ConfigMap", true),
    ("", "Endpoints", true),
    ("", "Event", true),
    ("", "LimitRange", true),
    ("", "Namespace", false),
    ("", "Node", false),
    ("", "PersistentVolume", false),
    ("", "PersistentVolumeClaim", true),
    ("", "Pod", true),
    ("", "PodTemplate", true),
    ("", "ReplicationController", true),
    ("", "ResourceQuota", true),
    ("", "Secret", true),
    ("", "Service", true),
    ("", "ServiceAccount", true),
    (
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicy",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "MutatingAdmissionPolicyBinding",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "MutatingWebhookConfiguration",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicy",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingAdmissionPolicyBinding",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "ValidatingWebhookConfiguration",
        false,
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition", false),
    ("apiregistration.k8s.io", "APIService", false),
    ("apps", "ControllerRevision", true),
    ("apps", "DaemonSet", true),
    ("apps", "Deployment", true),
    ("apps", "ReplicaSet", true),
    ("apps", "StatefulSet", true),
    ("autoscaling", "HorizontalPodAutoscaler", true),
    ("batch", "CronJob", true),
    ("batch", "Job", true),
    ("certificates.k8s.io", "CertificateSigningRequest", false),
    ("coordination.k8s.io", "Lease", true),
    ("discovery.k8s.io", "EndpointSlice", true),
    ("events.k8s.io", "Event", true),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema", false),
    (
        "flowcontrol.apiserver.k8s.io",
        "PriorityLevelConfiguration",
        false,
    ),
    ("networking.k8s.io", "IPAddress", false),
    ("networking.k8s.io", "Ingress", true),
    ("networking.k8s.io", "IngressClass", false),
    ("networking.k8s.io", "NetworkPolicy", true),
    ("networking.k8s.io", "ServiceCIDR", false),
    ("node.k8s.io", "RuntimeClass", false),
    ("policy", "PodDisruptionBudget", true),
    ("rbac.authorization.k8s.io", "ClusterRole", false),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", false),
    ("rbac.authorization.k8s.io", "Role", true),
    ("rbac.authorization.k8s.io", "RoleBinding", true),
    ("resource.k8s.io", "DeviceClass", false),
    ("resource.k8s.io", "ResourceClaim", true),
    ("resource.k8s.io", "ResourceClaimTemplate", true),
    ("resource.k8s.io", "ResourceSlice", false),
    ("scheduling.k8s.io", "PriorityClass", false),
    ("storage.k8s.io", "CSIDriver", false),
    ("storage.k8s.io", "CSINode", false),
    ("storage.k8s.io", "CSIStorageCapacity", true),
    ("storage.k8s.io", "StorageClass", false),
    ("storage.k8s.io", "VolumeAttachment", false),
    ("storage.k8s.io", "VolumeAttributesClass", false),
];

pub const NETWORKING: &str = "networking.k8s.io";
/// The group of LBC's own kinds.
pub const ELBV2: &str = "elbv2.k8s.aws";
pub const ALBSYNC: &str = "albsync.dev";

/// Kinds that we type beyond Kubernetes' own.
const OURS: &[(&str, &str, bool)] = &[
    (ALBSYNC, "IAMServiceAccount", true),
    (ELBV2, "IngressClassParams", false),
    (ELBV2, "TargetGroupBinding", true),
];

/// Whether objects of the kind live in a namespace; `None` for kinds that only the cluster knows.
pub fn is_namespaced(group: &str, kind: &str) -> Option<bool> {
    table()
        .find(|row| row.1 == kind && row.0 == group)
        .map(|row| row.2)
}

/// Whether the group is Kubernetes' own or one that we type.
pub fn is_known_group(group: &str) -> bool {
    table().any(|row| row.0 == group)
}

/// All kinds of one group.
pub fn kinds_of(group: &str) -> impl Iterator<Item = &'static str> + Clone {
    table().filter(move |row| row.0 == group).map(|row| row.1)
}

/// The groups that have a kind of that name.
pub fn groups_of(kind: &str) -> impl Iterator<Item = &'static str> {
    table().filter(move |row| row.1 == kind).map(|row| row.0)
}

/// All known groups, some of them several times.
pub fn groups() -> impl Iterator<Item = &'static str> + Clone {
    table().map(|row| row.0)
}

fn table() -> impl Iterator<Item = &'static (&'static str, &'static str, bool)> + Clone {
    BUILT_IN.iter().chain(OURS)
}
