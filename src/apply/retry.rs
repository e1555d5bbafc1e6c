//! What a failed call means and how long to wait: aws-deploy §10.4 and irsa §6.3 as one function. Pure.
//!
//! The SDKs retry nothing (decision 21 of the spec). Throttling is waiting, not failing (lessons A2): it has a back-off
//! of its own. "Not there yet" is a class of its own with its own deadline (lessons A6), and so is "still in use"
//! (lessons D1).

use crate::{
    model::{
        call::{CallError, Effect},
        desired::Ref,
        elb::RuleAction,
        net::PermissionSource,
    },
    plan::{op::Action, record::FailureClass},
};

/// Where an operation stands when its attempt has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Failed attempts, this one included, throttled ones left out.
    pub failures: u32,
    /// Throttled attempts in a row, this one included.
    pub throttles: u32,
    /// Since the first attempt, waits for throttling left out.
    pub elapsed_ms: u64,
    /// Spent on waits for throttling.
    pub throttled_ms: u64,
    /// Makes jitter repeatable.
    pub seed: u64,
}

/// How long each kind of waiting may take within one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// No answer, 5xx, parallel writers.
    pub transient_ms: u64,
    /// Just created and not seen everywhere: 10–30 s are not rare (irsa §6.5).
    pub fresh_ms: u64,
    /// Something still refers to what is to go: interfaces of a deleted balancer stay for minutes (aws-deploy §10.8).
    pub in_use_ms: u64,
    pub throttled_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transient_ms: 120_000,
            fresh_ms: 45_000,
            in_use_ms: 300_000,
            throttled_ms: 900_000,
        }
    }
}

const TRANSIENT: Backoff = Backoff {
    first_ms: 250,
    cap_ms: 20_000,
};
const FRESH: Backoff = Backoff {
    first_ms: 500,
    cap_ms: 5_000,
};
const IN_USE: Backoff = Backoff {
    first_ms: 1_000,
    cap_ms: 20_000,
};
/// The cap is that of lessons A2.
const THROTTLED: Backoff = Backoff {
    first_ms: 1_000,
    cap_ms: 60_000,
};

/// Codes that tell a mistake in the request or a wall that only people can move.
const CONFIGURATION: &[&str] = &[
    // ELBv2
    "InvalidConfigurationRequest",
    "InvalidSubnet",
    "SubnetNotFound",
    "AvailabilityZoneNotSupported",
    "InvalidScheme",
    "InvalidLoadBalancerAction",
    "SSLPolicyNotFound",
    "ALPNPolicyNotFound",
    "TrustStoreNotFound",
    "TrustStoreNotReady",
    "IncompatibleProtocols",
    "UnsupportedProtocol",
    "DuplicateTagKeys",
    "OperationNotPermitted",
    // Quotas
    "TooManyLoadBalancers",
    "TooManyTargetGroups",
    "TooManyListeners",
    "TooManyRules",
    "TooManyCertificates",
    "TooManyTargets",
    "TooManyActions",
    "TooManyTags",
    "TooManyUniqueTargetGroupsPerLoadBalancer",
    "TooManyRegistrationsForTargetId",
    "SecurityGroupLimitExceeded",
    "RulesPerSecurityGroupLimitExceeded",
    "SecurityGroupsPerInterfaceLimitExceeded",
    // IAM
    "LimitExceeded",
    "UnmodifiableEntity",
    "InvalidInput",
    "PolicyNotAttachable",
    "InvalidUserType",
    // Any
    "ValidationError",
    "ValidationException",
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "MissingParameter",
];

/// What it means that `action` failed with `error`.
pub fn classify(
    error: &CallError,
    action: &Action,
    attempt: &Attempt,
    limits: &Limits,
) -> FailureClass {
    if is_throttled(error) {
        return if attempt.throttled_ms > limits.throttled_ms {
            FailureClass::GaveUp
        } else {
            FailureClass::Retry {
                after_ms: THROTTLED.after(attempt.throttles, attempt.seed),
            }
        };
    }
    let wait = Wait { attempt, limits };
    if error.has_code(&["ExpiredToken", "ExpiredTokenException", "RequestExpired"])
        || error.status == Some(401)
    {
        // The next call takes fresh credentials; when those are refused as well, somebody must look.
        return if attempt.failures <= 1 {
            wait.transient()
        } else {
            FailureClass::Blocked
        };
    }
    if error.service == "kubernetes" {
        return kubernetes(error, action, wait);
    }
    if error.is_denied() {
        return FailureClass::Blocked;
    }
    if let Some(class) = by_call(error, action, wait) {
        return class;
    }
    // Before the rest of …NotFound: some of these only sound like it.
    if error.has_code(CONFIGURATION) {
        return FailureClass::Blocked;
    }
    if error.is_not_found() {
        return not_found(error, action, wait);
    }
    if error.has_code(&["ConcurrentModification"]) {
        return wait.transient();
    }
    if error.has_code(&[
        "EntityTemporarilyUnmodifiable",
        "CapacityReservationPending",
    ]) {
        return wait.in_use();
    }
    if error.effect == Effect::Unknown || error.status.is_some_and(|status| status >= 500) {
        return wait.unknown(action);
    }
    if error.code.is_none() {
        // Never sent: no connection, no credentials yet.
        return wait.transient();
    }
    // A refusal that the tables do not know would come again.
    FailureClass::Blocked
}

/// Asked to slow down, in any dialect, Kubernetes' included.
pub fn is_throttled(error: &CallError) -> bool {
    error.is_throttled() || error.status == Some(429)
}

/// The rows of aws-deploy §10.4 that hold for one call.
fn by_call(error: &CallError, action: &Action, wait: Wait<'_>) -> Option<FailureClass> {
    let is = |codes: &[&str]| error.has_code(codes);
    let class = match action {
        Action::CreateLoadBalancer { .. } if is(&["DuplicateLoadBalancerName"]) => wait.verify(),
        // A name whose former owner is just going.
        Action::CreateLoadBalancer { .. } if is(&["ResourceInUse"]) => wait.in_use(),
        Action::CreateLoadBalancer { .. } | Action::SetSecurityGroups { .. }
            if is(&["InvalidSecurityGroup"]) =>
        {
            wait.fresh(FailureClass::Blocked, names_new(action))
        }
        Action::CreateTargetGroup { .. } if is(&["DuplicateTargetGroupName"]) => wait.verify(),
        Action::CreateListener { .. } if is(&["DuplicateListener"]) => wait.verify(),
        Action::CreateListener { .. }
        | Action::ModifyListener { .. }
        | Action::AddListenerCertificates { .. }
            if is(&["CertificateNotFound"]) =>
        {
            wait.fresh(FailureClass::Blocked, true)
        }
        // The old balancer is not gone yet, or somebody else's holds it.
        Action::CreateListener { .. }
        | Action::ModifyListener { .. }
        | Action::CreateRule { .. }
        | Action::ModifyRule { .. }
            if is(&["TargetGroupAssociationLimit"]) =>
        {
            match wait.in_use() {
                FailureClass::GaveUp => FailureClass::Blocked,
                class => class,
            }
        }
        Action::CreateRule { .. } if is(&["PriorityInUse"]) => wait.verify(),
        Action::SetRulePriorities { .. } if is(&["PriorityInUse", "RuleNotFound"]) => {
            FailureClass::Replan
        }
        Action::DeleteLoadBalancer { .. }
        | Action::DeleteTargetGroup { .. }
        | Action::DeleteListener { .. }
            if is(&["ResourceInUse"]) =>
        {
            wait.in_use()
        }
        // A node that is just going: the next reading knows.
        Action::RegisterTargets { .. } if is(&["InvalidTarget"]) => {
            wait.fresh(FailureClass::GaveUp, true)
        }
        // The target group is not ours to know any more.
        Action::RegisterTargets { .. } | Action::DeregisterTargets { .. }
            if is(&["TargetGroupNotFound"]) =>
        {
            wait.fresh(FailureClass::Replan, names_new(action))
        }
        Action::CreateSecurityGroup { .. } if is(&["InvalidGroup.Duplicate"]) => wait.verify(),
        // All or nothing: one that exists refuses the whole call.
        Action::AuthorizeIngress { permissions, .. } if is(&["InvalidPermission.Duplicate"]) => {
            if permissions.len() == 1 {
                FailureClass::AlreadyDone
            } else {
                wait.verify()
            }
        }
        Action::RevokeIngress { permissions, .. } if is(&["InvalidPermission.NotFound"]) => {
            if permissions.len() == 1 {
                FailureClass::AlreadyDone
            } else {
                wait.verify()
            }
        }
        Action::DeleteSecurityGroup { .. }
            if is(&["DependencyViolation", "InvalidGroup.InUse", "ResourceInUse"]) =>
        {
            wait.in_use()
        }
        Action::CreateRole { .. }
        | Action::CreatePolicy { .. }
        | Action::CreateOidcProvider { .. }
            if is(&["EntityAlreadyExists"]) =>
        {
            wait.verify()
        }
        // Detaching is seen everywhere only after a while; what stays longer is somebody else's.
        Action::DeleteRole { .. } | Action::DeletePolicy { .. } if is(&["DeleteConflict"]) => {
            wait.fresh(FailureClass::Blocked, true)
        }
        Action::CreateOidcProvider { .. } if is(&["OpenIdIdpCommunicationError"]) => {
            match wait.transient() {
                FailureClass::GaveUp => FailureClass::Blocked,
                class => class,
            }
        }
        _ if is(&["MalformedPolicyDocument"]) => {
            let principal = error.message.to_lowercase().contains("invalid principal");
            wait.fresh(FailureClass::Blocked, principal)
        }
        _ => return None,
    };
    Some(class)
}

fn not_found(error: &CallError, action: &Action, wait: Wait<'_>) -> FailureClass {
    match action {
        Action::DeleteSecurityGroup { .. }
        | Action::RevokeIngress { .. }
        | Action::DeleteLoadBalancer { .. }
        | Action::DeleteTargetGroup { .. }
        | Action::RemoveListenerCertificates { .. }
        | Action::DeleteListener { .. }
        | Action::DeleteRule { .. }
        | Action::DeletePolicyVersion { .. }
        | Action::DeletePolicy { .. }
        | Action::DetachRolePolicy { .. }
        | Action::DeleteRolePolicy { .. }
        | Action::DeleteRole { .. } => FailureClass::AlreadyDone,
        // What a create asks for and nothing here makes: only people can bring it.
        Action::CreateSecurityGroup { .. }
        | Action::CreateTargetGroup { .. }
        | Action::CreateOidcProvider { .. } => FailureClass::Blocked,
        Action::CreatePolicy { .. } | Action::CreateRole { .. } => {
            wait.fresh(FailureClass::Blocked, true)
        }
        // IAM shows what was just made only after a while, to whoever made it (irsa §6.3).
        _ if error.service == "iam" => wait.fresh(FailureClass::Replan, true),
        _ => wait.fresh(FailureClass::Replan, names_new(action)),
    }
}

fn kubernetes(error: &CallError, action: &Action, wait: Wait<'_>) -> FailureClass {
    let message = error.message.to_lowercase();
    match error.code.as_deref() {
        Some("NotFound") => match action {
            Action::DeleteObject { .. } | Action::RemoveFinalizer { .. } => {
                FailureClass::AlreadyDone
            }
            // Its namespace or kind was made a moment ago, or never.
            Action::ApplyObject { .. } => wait.fresh(FailureClass::Blocked, true),
            _ => FailureClass::Replan,
        },
        Some("Conflict") => match action {
            // Ours is gone; what bears the name now is another object.
            Action::DeleteObject { .. } if message.contains("uid in precondition") => {
                FailureClass::AlreadyDone
            }
            // Another manager owns a field and we do not force (decision 22 of the spec).
            Action::ApplyObject { .. } if message.contains("apply failed with") => {
                FailureClass::Blocked
            }
            _ => wait.transient(),
        },
        // Still going, of that name.
        Some("AlreadyExists") => wait.transient(),
        Some("Forbidden") if message.contains("being terminated") => wait.in_use(),
        Some(
            "InternalError"
            | "ServiceUnavailable"
            | "ServerTimeout"
            | "Timeout"
            | "UnexpectedServerError"
            | "StoreReadError"
            | "Expired",
        ) => wait.transient(),
        _ if error.effect == Effect::Unknown
            || error.status.is_some_and(|status| status >= 500)
            || (error.code.is_none() && error.status.is_none()) =>
        {
            // Every write to Kubernetes may be repeated: applies replace, deletes name the uid.
            wait.transient()
        }
        // Forbidden, Invalid, BadRequest, MethodNotAllowed, RequestEntityTooLarge …
        _ => FailureClass::Blocked,
    }
}

/// Whether a repeat of the call could do something twice or fail on its own effect, so that it must read first
/// (aws-deploy §10.5, §13).
pub fn must_read_before_repeat(action: &Action) -> bool {
    matches!(
        action,
        Action::CreateSecurityGroup { .. }
            | Action::AuthorizeIngress { .. }
            | Action::RevokeIngress { .. }
            | Action::CreateLoadBalancer { .. }
            | Action::CreateTargetGroup { .. }
            | Action::CreateListener { .. }
            | Action::CreateRule { .. }
            | Action::SetRulePriorities { .. }
            | Action::CreateOidcProvider { .. }
            | Action::CreatePolicy { .. }
            | Action::CreatePolicyVersion { .. }
            | Action::CreateRole { .. }
    )
}

/// Whether the action names something that the same plan makes.
fn names_new(action: &Action) -> bool {
    fn new<T>(reference: &Ref<T>) -> bool {
        matches!(reference, Ref::Output(_))
    }
    fn any(actions: &[RuleAction]) -> bool {
        actions.iter().any(|action| match action {
            RuleAction::Forward { target_groups, .. } => {
                target_groups.iter().any(|group| new(&group.arn))
            }
            _ => false,
        })
    }
    match action {
        Action::AuthorizeIngress { group, permissions } => {
            new(group)
                || permissions.iter().any(|permission| {
                    matches!(&permission.source, PermissionSource::SecurityGroup(group) if new(group))
                })
        }
        Action::CreateLoadBalancer { spec, .. } => spec.security_groups.iter().any(new),
        Action::SetSecurityGroups { groups, .. } => groups.iter().any(new),
        Action::ModifyLoadBalancerAttributes { arn, .. }
        | Action::ModifyTargetGroupAttributes { arn, .. }
        | Action::ModifyListenerAttributes { arn, .. }
        | Action::AddListenerCertificates { arn, .. }
        | Action::AddTags { arn, .. } => new(arn),
        Action::RegisterTargets { target_group, .. } => new(target_group),
        Action::CreateListener {
            load_balancer,
            spec,
            ..
        } => new(load_balancer) || any(&spec.default_actions),
        Action::ModifyListener { spec, .. } => any(&spec.default_actions),
        Action::CreateRule { listener, spec, .. } => new(listener) || any(&spec.actions),
        Action::ModifyRule { spec, .. } => any(&spec.actions),
        Action::AttachRolePolicy { policy, .. } => new(policy),
        _ => false,
    }
}

#[derive(Clone, Copy)]
struct Wait<'a> {
    attempt: &'a Attempt,
    limits: &'a Limits,
}

impl Wait<'_> {
    fn transient(self) -> FailureClass {
        self.within(self.limits.transient_ms, TRANSIENT, FailureClass::GaveUp)
    }

    fn in_use(self) -> FailureClass {
        self.within(self.limits.in_use_ms, IN_USE, FailureClass::GaveUp)
    }

    /// Waits for what is not seen yet, where there is reason to hope; `otherwise` after that.
    fn fresh(self, otherwise: FailureClass, hope: bool) -> FailureClass {
        let limit = if hope { self.limits.fresh_ms } else { 0 };
        self.within(limit, FRESH, otherwise)
    }

    /// Reads back what exists already or may have happened; what was just made may be hidden for a while.
    fn verify(self) -> FailureClass {
        verified(self.within(self.limits.fresh_ms, FRESH, FailureClass::GaveUp))
    }

    fn unknown(self, action: &Action) -> FailureClass {
        let class = self.transient();
        if must_read_before_repeat(action) {
            verified(class)
        } else {
            class
        }
    }

    fn within(self, limit_ms: u64, backoff: Backoff, otherwise: FailureClass) -> FailureClass {
        if self.attempt.elapsed_ms >= limit_ms {
            return otherwise;
        }
        FailureClass::Retry {
            after_ms: backoff.after(self.attempt.failures, self.attempt.seed),
        }
    }
}

fn verified(class: FailureClass) -> FailureClass {
    match class {
        FailureClass::Retry { after_ms } => FailureClass::Verify { after_ms },
        class => class,
    }
}

/// Exponential with full jitter, and a floor so that nothing spins.
#[derive(Clone, Copy)]
struct Backoff {
    first_ms: u64,
    cap_ms: u64,
}

const FLOOR_MS: u64 = 50;

impl Backoff {
    fn after(self, nth: u32, seed: u64) -> u64 {
        let doubled = self
            .first_ms
            .saturating_mul(1 << nth.saturating_sub(1).min(20));
        let top = doubled.min(self.cap_ms).max(FLOOR_MS);
        FLOOR_MS + mix(seed ^ u64::from(nth).rotate_left(32)) % (top - FLOOR_MS + 1)
    }
}

/// splitmix64: jitter needs spread, not secrecy.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
