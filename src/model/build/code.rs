//! Names of the checks that need more than one document or facts: the `code` of their problems.

/// An Ingress names an IngressClass that exists nowhere.
pub const UNKNOWN_INGRESS_CLASS: &str = "unknown-ingress-class";
/// An Ingress without a class, and several default classes.
pub const SEVERAL_DEFAULT_CLASSES: &str = "several-default-classes";
/// A backend names a Service that is neither in git nor in the cluster (decision 25 of the spec).
pub const UNKNOWN_SERVICE: &str = "unknown-service";
/// A backend names a port that its Service does not have.
pub const UNKNOWN_PORT: &str = "unknown-port";
/// Instance targets need a node port, and this Service's type has none.
pub const SERVICE_TYPE: &str = "service-type";
/// Two rules of one listener have equal conditions: the second can never match.
pub const DUPLICATE_RULE: &str = "duplicate-rule";
/// Two resources of one kind would get one name (ingress-model §15.7).
pub const NAME_COLLISION: &str = "name-collision";
/// The security group of a node cannot be told, so traffic to it cannot be permitted (aws-deploy §4.7).
pub const NODE_GROUP: &str = "node-group";
/// An explicit role name without the configured prefix (irsa §9.2).
pub const ROLE_NAME: &str = "role-name";
/// Two declarations ask for one role.
pub const DUPLICATE_ROLE: &str = "duplicate-role";
/// Neither the declaration nor the configuration names a permissions boundary (irsa §7.4 G2).
pub const BOUNDARY_MISSING: &str = "boundary-missing";
/// The declared permissions boundary is not in the configured list (irsa §7.4 G2).
pub const BOUNDARY_NOT_ALLOWED: &str = "boundary-not-allowed";
/// A managed policy outside of the configured list (irsa §7.4 G3).
pub const POLICY_NOT_ALLOWED: &str = "policy-not-allowed";
/// `role.adopt` without the administrator's consent (irsa §9.5).
pub const ADOPTION_NOT_ALLOWED: &str = "adoption-not-allowed";
/// More than IAM takes (irsa §6.4).
pub const IAM_QUOTA: &str = "iam-quota";
/// A ServiceAccount in git says something else than its declaration.
pub const SERVICE_ACCOUNT_CONFLICT: &str = "service-account-conflict";
