//! The closed list of problem codes: what tools match on and what settings lower to warnings.

/// One code with what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub name: &'static str,
    pub doc: &'static str,
    /// Whether a repository may lower it to a warning (decision 14 of the spec): true for checks that go beyond what
    /// Kubernetes and LBC themselves refuse.
    pub lowerable: bool,
    /// Whether LBC's model builder lacks the check: `checks: lbc` makes warnings of these.
    pub beyond_lbc: bool,
}

/// The code of that name.
pub fn code(name: &str) -> Option<&'static Code> {
    ALL.iter().find(|code| code.name == name)
}

macro_rules! codes {
    ($($constant:ident $name:literal $lowerable:literal $($beyond:ident)? : $doc:literal;)*) => {
        $(#[doc = $doc] pub const $constant: &str = $name;)*

        /// All codes, in the order of the pipeline.
        pub const ALL: &[Code] = &[$(Code {
            name: $name,
            doc: $doc,
            lowerable: $lowerable,
            beyond_lbc: beyond!($($beyond)?),
        },)*];
    };
}

macro_rules! beyond {
    (beyond) => {
        true
    };
    () => {
        false
    };
}

codes! {
    CONFIG_FILE "config-file" false: "The configuration, or a file that it names, cannot be read.";
    CONFIG_UNKNOWN_KEY "config-unknown-key" false: "A key or environment variable of the configuration that nothing reads.";
    CONFIG_MISSING "config-missing" false: "A required key of the configuration is not set.";
    CONFIG_VALUE "config-value" false: "A value of the configuration is of the wrong kind, out of range or contradicts another.";

    YAML_ENCODING "yaml-encoding" false: "The file is not plain UTF-8: other encoding, byte order mark or control character.";
    YAML_SYNTAX "yaml-syntax" false: "The file is not YAML.";
    YAML_TAB "yaml-tab" false: "A tab stands where YAML wants spaces.";
    YAML_DUPLICATE_KEY "yaml-duplicate-key" false: "A mapping names one key twice.";
    YAML_KEY "yaml-key" false: "A mapping's key is no text, or readers disagree on which text.";
    YAML_TAG "yaml-tag" false: "An explicit tag other than !!str, !!map and !!seq.";
    YAML_LIMIT "yaml-limit" false: "Too large, too deep, too many documents, keys or alias expansions.";
    YAML_AMBIGUOUS "yaml-ambiguous" false: "YAML readers disagree on this value; quoting settles it.";

    NOT_AN_OBJECT "not-an-object" false: "A document is no Kubernetes object: apiVersion, kind or metadata.name is missing.";
    BAD_NAME "bad-name" false: "A name, namespace, label or annotation key breaks Kubernetes' rules.";
    WRONG_TYPE "wrong-type" false: "A field holds another kind of value than it must.";
    MISSING_FIELD "missing-field" false: "A required field is absent.";
    BAD_VALUE "bad-value" false: "A field's value is out of its range or set.";
    UNKNOWN_FIELD "unknown-field" false: "A field that this kind does not have.";
    UNKNOWN_KIND "unknown-kind" false: "A misspelt kind or API group, or a kind in the wrong group.";
    OBSOLETE_API "obsolete-api" false: "An API version of Ingress or IngressClass that is no longer served.";
    NOT_SERVED "not-served" false: "Known, but albsync does not serve it yet.";
    DUPLICATE_OBJECT "duplicate-object" false: "Two documents define one object.";
    HELD_TOGETHER "held-together" false: "Nothing is wrong with it, but it shares a document with what is held for its problems.";

    UNKNOWN_ANNOTATION "unknown-annotation" true beyond: "An annotation under one of our prefixes, or nearly, that nobody reads.";
    BAD_ANNOTATION "bad-annotation" false: "An annotation's value does not follow its grammar.";
    ODD_ANNOTATION "odd-annotation" true beyond: "An annotation's value that LBC takes and that is hardly meant: a key twice, a path that is none.";
    MISPLACED_ANNOTATION "misplaced-annotation" true beyond: "A known annotation on a kind where it is not read.";
    OUT_OF_RANGE "out-of-range" true beyond: "An annotation's value that LBC takes and AWS refuses: out of its range, too long, of another form.";
    NO_EFFECT "no-effect" true beyond: "An annotation or a TLS host that nothing makes use of.";
    ODD_PARAMS "odd-params" true beyond: "IngressClassParams that LBC's builder takes and its webhook does not.";
    BAD_TAG "bad-tag" true beyond: "A tag that AWS would refuse, or a reserved key.";
    BAD_ATTRIBUTE "bad-attribute" true beyond: "An attribute that ELBv2 does not know, or a value out of its range.";

    DUPLICATE_PATH "duplicate-path" true beyond: "A path that stands twice under one host: the second can never match.";
    EMPTY_RULE "empty-rule" true beyond: "A rule without paths: it routes nothing.";
    WILDCARD_PATH "wildcard-path" false: "A `*` or `?` in an Exact or Prefix path.";
    TOO_LONG "too-long" false beyond: "Longer than AWS allows.";
    CLASS_CONFLICT "class-conflict" false: "Class annotation and spec.ingressClassName disagree.";
    SEVERAL_DEFAULT_CLASSES "several-default-classes" false: "More than one IngressClass is marked as the default.";
    SERVICE_PORT "service-port" false: "A backend names a port that its Service does not have.";
    NODE_PORT "node-port" false: "Instance targets need a Service with node ports.";

    IAM_DUPLICATE "iam-duplicate" false: "One ServiceAccount or one role is declared twice.";
    IAM_POLICY "iam-policy" false: "A policy document that IAM would refuse.";
    IAM_ESCALATION "iam-escalation" false: "A policy document that lets its holder widen its own rights.";
    IAM_FILE "iam-file" false: "A policy file that is missing, misplaced or no JSON.";

    UNKNOWN_INGRESS_CLASS "unknown-ingress-class" true: "An Ingress names an IngressClass that exists nowhere.";
    ODD_CONTROLLER "odd-controller" true beyond: "An IngressClass whose controller is nearly ours: LBC leaves it to another.";
    CLASS_LOST "class-lost" true beyond: "A class that is the default no more, or goes to another controller, while Ingresses are served by it.";
    BAD_CLASS "bad-class" false: "The parameters of an IngressClass are missing, of another kind, or not meant for the namespace.";
    BAD_GROUP "bad-group" false: "The name of an Ingress group breaks the rules of names.";
    GROUP_CONFLICT "group-conflict" false: "Ingresses that share a balancer ask for different values of what they share.";
    NETWORK "network" false: "Subnets, security groups or addresses that a balancer cannot have.";
    ADD_ON "add-on" false: "A web ACL or another add-on that does not exist or does not fit.";
    CERTIFICATE "certificate" false: "No certificate fits a host, or one is asked for without a host.";
    NO_CERTIFICATE "no-certificate" false beyond: "An HTTPS listener without any certificate.";
    TRUST_STORE "trust-store" false: "A trust store that does not exist.";
    SSL_REDIRECT "ssl-redirect" false: "A redirection to a port that no HTTPS listener has.";
    DEFAULT_BACKEND "default-backend" false: "Several Ingresses give one listener a default backend.";
    BAD_BACKEND "bad-backend" false: "A backend, or an action's target, that ALB cannot forward to.";
    RULE_CONDITION "rule-condition" false: "A rule's host or path is given both as values and as regular expressions.";
    CONDITION_LIMIT "condition-limit" false beyond: "A rule needs more conditions than ALB takes, in whatever parts.";
    SPLIT_RULE "split-rule" true beyond: "A rule needs more values than ALB takes, so it becomes several.";
    SHADOWED_RULE "shadowed-rule" true beyond: "A rule that never matches: an earlier one takes all of its requests.";
    REDIRECT_LOOP "redirect-loop" true beyond: "A redirection to where the request came from.";
    AUTH "auth" false: "Sign-in that lacks its provider or its Secret, or stands beside a validation of tokens.";
    TARGET_GROUP "target-group" false: "A target group that cannot be made as asked: address family, health check, control port.";
    ODD_PARAMETER "odd-parameter" true beyond: "A value of IngressClassParams that LBC takes and that is hardly meant.";
    UNKNOWN_ACTION "unknown-action" true beyond: "A backend takes its action from an annotation that is missing.";
    NOT_IN_GIT "not-in-git" false: "Named by an Ingress or a class, and not in git: told where only git is looked at, for the cluster may hold it.";
    UNKNOWN_SERVICE "unknown-service" true beyond: "A backend names a Service that is neither in git nor in the cluster.";
    NAME_COLLISION "name-collision" false beyond: "Two resources of one kind would get one name in AWS.";
    FACT_MISSING "fact-missing" false: "A fact of account or cluster is needed and was not looked up.";
    QUOTA_EXCEEDED "quota-exceeded" true beyond: "More than the account's limits allow.";
    QUOTA_NEAR "quota-near" true beyond: "Nearly as much as the account's limits allow, or more for a while.";
    NODE_GROUP "node-group" true beyond: "The security group of a node cannot be told, so traffic to it cannot be permitted.";
    ROLE_NAME "role-name" false: "A role's explicit name lacks the configured prefix.";
    BOUNDARY_MISSING "boundary-missing" false: "Neither a role's declaration nor the configuration names a permissions boundary.";
    BOUNDARY_NOT_ALLOWED "boundary-not-allowed" false: "A permissions boundary that the configuration does not allow.";
    POLICY_NOT_ALLOWED "policy-not-allowed" false: "A managed policy that the configuration does not allow.";
    ADOPTION_NOT_ALLOWED "adoption-not-allowed" false: "Taking over a role, which the configuration does not allow.";
    IAM_QUOTA "iam-quota" false: "More than IAM takes: document sizes, attached policies, lengths of names.";
    SERVICE_ACCOUNT_CONFLICT "service-account-conflict" false: "A ServiceAccount in git says something else than its IAMServiceAccount.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed_once_and_in_kebab_case() {
        let mut names: Vec<&str> = ALL.iter().map(|code| code.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for name in names {
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{name}"
            );
        }
    }
}
