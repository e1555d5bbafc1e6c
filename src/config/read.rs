//! Text to [`Config`]: each key asked for once, from flag, environment, file or default, in this order.
//!
//! The list of keys is the sequence of `read` calls below; unknown keys are those that nobody asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use serde_json::Value;

use super::{
    Admission, Config, HistoryPolicy, LogFormat, Overrides, ProviderPolicy, RateConfig,
    SchemeConfig, TargetTypeConfig, parse_duration,
};
use crate::{
    model::settings::Checks,
    problem::{
        Origin, Problem, Severity, codes,
        nearest::{did_you_mean, nearest},
    },
    yaml::{self, Limits, Node, Tree},
};

/// What names of our environment variables begin with.
pub(super) const ENVIRONMENT: &str = "ALBSYNC_";

/// A section that may be a word instead, and the key that the word is for: `checks: lbc`.
const WORD: (&str, &str) = ("checks", "checks.mode");

/// A configuration with what is wrong with it and where its keys were set.
pub(super) struct Reading {
    pub(super) config: Config,
    pub(super) problems: Vec<Problem>,
    /// Key → place of its value, for keys that were set.
    places: BTreeMap<String, Origin>,
    /// All keys that there are.
    keys: Vec<String>,
    /// Keys with problems of their own, so that checks of the whole say nothing twice.
    broken: BTreeSet<String>,
    file: String,
    /// The text could not be taken apart: what is missing from it means nothing.
    unreadable: bool,
}

impl Reading {
    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    pub(super) fn settled(mut self) -> Result<Config, Vec<Problem>> {
        if self
            .problems
            .iter()
            .all(|problem| problem.severity == Severity::Warning)
        {
            for warning in &self.problems {
                tracing::warn!(%warning, "doubtful configuration");
            }
            return Ok(self.config);
        }
        self.problems.sort();
        self.problems.dedup();
        Err(self.problems)
    }

    /// Where `key` was set; the start of the file where it was not.
    pub(super) fn place(&self, key: &str) -> Origin {
        self.places
            .get(key)
            .cloned()
            .unwrap_or_else(|| Origin::start_of(self.file.clone()))
    }

    /// Adds a problem of a key, unless the key has one.
    pub(super) fn complain(&mut self, code: &str, key: &str, message: String, hint: &str) {
        if self.broken.insert(key.to_owned()) {
            self.problems
                .push(Problem::new(code, self.place(key), message).hint(hint));
        }
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> &[String] {
        &self.keys
    }
}

/// Reads all keys.
pub(super) fn read(
    file: &str,
    bytes: &[u8],
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
) -> Reading {
    let parsed = yaml::parse(file, bytes, &Limits::default());
    let mut reader = Reader {
        tree: parsed.value.first(),
        environment,
        overrides,
        reading: Reading {
            config: Config::default(),
            unreadable: parsed.problems.iter().any(Problem::is_grave),
            problems: parsed.problems,
            places: BTreeMap::new(),
            keys: Vec::new(),
            broken: BTreeSet::new(),
            file: file.to_owned(),
        },
    };
    if let Some(second) = parsed.value.get(1) {
        reader.reading.problems.push(
            Problem::new(
                codes::CONFIG_VALUE,
                second.root().origin(),
                "the configuration holds a second document",
            )
            .hint("put everything into one"),
        );
    }
    let mut config = Config::default();
    reader.all(&mut config);
    reader.unknown();
    reader.reading.config = config;
    reader.reading
}

struct Reader<'a> {
    tree: Option<&'a Tree>,
    environment: &'a BTreeMap<String, String>,
    overrides: &'a Overrides,
    reading: Reading,
}

impl Reader<'_> {
    #[rustfmt::skip] // One key, one line: this is the table of all keys.
    fn all(&mut self, c: &mut Config) {
        self.read("installation", &mut c.installation);
        self.read("stateDir", &mut c.state_dir);
        self.read("socket", &mut c.socket);

        self.read("source.url", &mut c.source.url);
        self.read("source.branch", &mut c.source.branch);
        self.read("source.paths", &mut c.source.paths);
        self.read("source.interval", &mut c.source.interval);
        self.read("source.timeout", &mut c.source.timeout);
        self.read("source.tokenFile", &mut c.source.token_file);
        self.read("source.username", &mut c.source.username);
        self.read("source.passwordFile", &mut c.source.password_file);
        self.read("source.caFile", &mut c.source.ca_file);
        self.read("source.history", &mut c.source.history);
        self.read("source.allowInsecure", &mut c.source.allow_insecure);

        self.read("cluster.name", &mut c.cluster.name);
        self.read("cluster.kubeconfig", &mut c.cluster.kubeconfig);
        self.read("cluster.context", &mut c.cluster.context);

        self.read("aws.region", &mut c.aws.region);
        self.read("aws.vpcId", &mut c.aws.vpc_id);
        self.read("aws.endpoints.elasticloadbalancing", &mut c.aws.endpoints.elasticloadbalancing);
        self.read("aws.endpoints.ec2", &mut c.aws.endpoints.ec2);
        self.read("aws.endpoints.iam", &mut c.aws.endpoints.iam);
        self.read("aws.endpoints.sts", &mut c.aws.endpoints.sts);
        self.read("aws.endpoints.eks", &mut c.aws.endpoints.eks);
        self.read("aws.endpoints.acm", &mut c.aws.endpoints.acm);
        self.read("aws.endpoints.wafv2", &mut c.aws.endpoints.wafv2);
        self.read("aws.timeouts.connect", &mut c.aws.timeouts.connect);
        self.read("aws.timeouts.attempt", &mut c.aws.timeouts.attempt);
        self.rate("aws.rates.elbDescribe", &mut c.aws.rates.elb_describe);
        self.rate("aws.rates.elbModify", &mut c.aws.rates.elb_modify);
        self.rate("aws.rates.elbRegister", &mut c.aws.rates.elb_register);
        self.rate("aws.rates.elbWrite", &mut c.aws.rates.elb_write);
        self.rate("aws.rates.ec2Read", &mut c.aws.rates.ec2_read);
        self.rate("aws.rates.ec2Write", &mut c.aws.rates.ec2_write);
        self.rate("aws.rates.iamRead", &mut c.aws.rates.iam_read);
        self.rate("aws.rates.iamWrite", &mut c.aws.rates.iam_write);
        self.rate("aws.rates.account", &mut c.aws.rates.account);

        self.read("sweep.period", &mut c.sweep.period);

        self.read("ingress.class", &mut c.ingress.class);
        self.read("ingress.defaultScheme", &mut c.ingress.default_scheme);
        self.read("ingress.defaultTargetType", &mut c.ingress.default_target_type);
        self.read("ingress.defaultTags", &mut c.ingress.default_tags);
        self.read("ingress.ownerTag", &mut c.ingress.owner_tag);
        self.read("ingress.watchNamespace", &mut c.ingress.flags.watch_namespace);
        self.read("ingress.externalManagedTags", &mut c.ingress.flags.external_managed_tags);
        self.read("ingress.defaultSslPolicy", &mut c.ingress.flags.default_ssl_policy);
        self.read("ingress.enableBackendSecurityGroup", &mut c.ingress.flags.enable_backend_security_group);
        self.read("ingress.backendSecurityGroup", &mut c.ingress.flags.backend_security_group);
        self.read("ingress.enableManageBackendSecurityGroupRules", &mut c.ingress.flags.enable_manage_backend_security_group_rules);
        self.read("ingress.disableRestrictedSgRules", &mut c.ingress.flags.disable_restricted_sg_rules);
        self.read("ingress.tolerateNonExistentBackendService", &mut c.ingress.flags.tolerate_non_existent_backend_service);
        self.read("ingress.tolerateNonExistentBackendAction", &mut c.ingress.flags.tolerate_non_existent_backend_action);
        self.read("ingress.allowedCertificateAuthorityArns", &mut c.ingress.flags.allowed_certificate_authority_arns);
        self.read("ingress.defaultPcaArn", &mut c.ingress.flags.default_pca_arn);
        self.read("ingress.requiredSecretsLabel", &mut c.ingress.flags.required_secrets_label);
        self.read("ingress.serviceTargetEniSecurityGroupTags", &mut c.ingress.flags.service_target_eni_security_group_tags);
        self.read("ingress.featureGates.ListenerRulesTagging", &mut c.ingress.feature_gates.listener_rules_tagging);
        self.read("ingress.featureGates.WeightedTargetGroups", &mut c.ingress.feature_gates.weighted_target_groups);
        self.read("ingress.featureGates.EnableIPTargetType", &mut c.ingress.feature_gates.enable_ip_target_type);
        self.read("ingress.featureGates.EndpointsFailOpen", &mut c.ingress.feature_gates.endpoints_fail_open);
        self.read("ingress.featureGates.SubnetsClusterTagCheck", &mut c.ingress.feature_gates.subnets_cluster_tag_check);
        self.read("ingress.featureGates.SubnetDiscoveryByReachability", &mut c.ingress.feature_gates.subnet_discovery_by_reachability);
        self.read("ingress.featureGates.ALBSingleSubnet", &mut c.ingress.feature_gates.alb_single_subnet);
        self.read("ingress.featureGates.LBCapacityReservation", &mut c.ingress.feature_gates.lb_capacity_reservation);
        self.read("ingress.featureGates.EnableDefaultTagsLowPriority", &mut c.ingress.feature_gates.enable_default_tags_low_priority);
        self.read("ingress.featureGates.EnableCertificateManagement", &mut c.ingress.feature_gates.enable_certificate_management);
        self.read("ingress.featureGates.EnhancedDefaultBehavior", &mut c.ingress.feature_gates.enhanced_default_behavior);

        self.read("iam.path", &mut c.iam.path);
        self.read("iam.rolePrefix", &mut c.iam.role_prefix);
        self.read("iam.permissionsBoundary", &mut c.iam.permissions_boundary);
        self.read("iam.allowedBoundaries", &mut c.iam.allowed_boundaries);
        self.read("iam.allowedPolicies", &mut c.iam.allowed_policies);
        self.read("iam.oidcProvider", &mut c.iam.oidc_provider);
        self.read("iam.allowAdoption", &mut c.iam.allow_adoption);
        self.read("iam.settle", &mut c.iam.settle);

        self.read("checks.mode", &mut c.checks.mode);
        self.read("checks.lowered", &mut c.checks.lowered);

        self.read("admission", &mut c.admission);

        self.read("guards.pruneLimitMin", &mut c.guards.prune_limit_min);
        self.read("guards.pruneLimitPercent", &mut c.guards.prune_limit_percent);
        self.read("guards.protectedKinds", &mut c.guards.protected_kinds);

        self.read("apply.opTimeout", &mut c.apply.op_timeout);
        self.read("apply.inUseTimeout", &mut c.apply.in_use_timeout);

        self.read("log.level", &mut c.log.level);
        self.read("log.format", &mut c.log.format);

        self.read("shutdownGrace", &mut c.shutdown_grace);

        self.read("leases.lbc", &mut c.leases.lbc);
    }

    fn rate(&mut self, key: &str, rate: &mut RateConfig) {
        self.read(&format!("{key}.perSecond"), &mut rate.per_second);
        self.read(&format!("{key}.burst"), &mut rate.burst);
    }

    /// Sets `into` to what the strongest of flag, environment and file says; leaves it alone where none says anything.
    fn read<T: FromRaw>(&mut self, key: &str, into: &mut T) {
        self.reading.keys.push(key.to_owned());
        let variable = variable(key);
        let node = self.tree.and_then(|tree| {
            let at = |key: &str| {
                key.split('.')
                    .try_fold(tree.root(), |node, part| node.get(part))
            };
            at(key).or_else(|| at(WORD.0).filter(|node| key == WORD.1 && node.value().is_string()))
        });
        let (raw, place) = if let Some((flag, text)) = self.overrides.values.get(key) {
            (Raw::Text(text), Origin::start_of(flag.clone()))
        } else if let Some(text) = self.environment.get(&variable) {
            (Raw::Text(text), Origin::start_of(variable))
        } else if let Some(node) = node {
            if node.value().is_null() {
                // `key:` with nothing behind it: the default, as if it were not there.
                return;
            }
            (Raw::Node(node), node.origin())
        } else {
            return;
        };
        self.reading.places.insert(key.to_owned(), place.clone());
        match T::from_raw(raw) {
            Ok(value) => *into = value,
            Err(wrong) => {
                self.reading.broken.insert(key.to_owned());
                let within = match wrong.place {
                    Some(_) => " with something wrong in it",
                    None => "",
                };
                self.reading.problems.push(
                    Problem::new(
                        codes::CONFIG_VALUE,
                        wrong.place.unwrap_or(place),
                        format!("{key} is {}{within}", raw.shown()),
                    )
                    .hint(format!("expected {}", wrong.expected)),
                );
            }
        }
    }

    /// Complains of keys and variables that nothing reads.
    fn unknown(&mut self) {
        let keys: BTreeSet<&str> = self.reading.keys.iter().map(String::as_str).collect();
        let mut problems = Vec::new();
        if let Some(tree) = self.tree {
            if tree.value.is_object() {
                unknown_in(tree.root(), "", &keys, &mut problems);
            } else if !tree.value.is_null() {
                self.reading.unreadable = true;
                problems.push(
                    Problem::new(
                        codes::CONFIG_VALUE,
                        tree.root().origin(),
                        "the configuration is not a mapping",
                    )
                    .hint("expected `key: value` lines"),
                );
            }
        }
        let variables: Vec<String> = keys.iter().map(|key| variable(key)).collect();
        for name in self.environment.keys() {
            if variables.contains(name) {
                continue;
            }
            // Others have a right to this prefix too (tests, flags' own variables); only misspellings are refused.
            if let Some(near) = nearest(name, variables.iter().map(String::as_str))
                && near.len().abs_diff(name.len()) <= 2
            {
                problems.push(
                    Problem::new(
                        codes::CONFIG_UNKNOWN_KEY,
                        Origin::start_of(name.clone()),
                        format!("the environment variable {name} is unknown"),
                    )
                    .hint(format!("did you mean \"{near}\"?")),
                );
            }
        }
        self.reading.problems.extend(problems);
    }
}

fn unknown_in(node: Node<'_>, prefix: &str, keys: &BTreeSet<&str>, problems: &mut Vec<Problem>) {
    for (name, place, value) in node.entries() {
        let key = format!("{prefix}{name}");
        if keys.contains(key.as_str()) {
            continue;
        }
        let section = format!("{key}.");
        if keys.iter().any(|known| known.starts_with(&section)) {
            if value.value().is_object() {
                unknown_in(value, &section, keys, problems);
            } else if !(value.value().is_null() || key == WORD.0 && value.value().is_string()) {
                problems.push(
                    Problem::new(
                        codes::CONFIG_VALUE,
                        value.origin(),
                        format!("{key} is {}", Raw::Node(value).shown()),
                    )
                    .hint("expected a mapping"),
                );
            }
            continue;
        }
        let siblings: BTreeSet<&str> = keys
            .iter()
            .filter_map(|known| known.strip_prefix(prefix))
            .filter_map(|rest| rest.split('.').next())
            .collect();
        let problem = Problem::new(
            codes::CONFIG_UNKNOWN_KEY,
            place,
            format!("the key {key} is unknown"),
        );
        problems.push(match did_you_mean(name, siblings) {
            Some(hint) => problem.hint(hint),
            None => problem.hint("examples/config.yaml shows all keys"),
        });
    }
}

/// The environment variable of a key: `source.tokenFile` is `ALBSYNC_SOURCE_TOKEN_FILE`, `x.ALBSingle` is
/// `ALBSYNC_X_ALB_SINGLE`.
pub(super) fn variable(key: &str) -> String {
    let mut name = ENVIRONMENT.to_owned();
    let mut before = '.';
    let mut rest = key.chars().peekable();
    while let Some(c) = rest.next() {
        let is_start = c.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || rest.peek().is_some_and(char::is_ascii_lowercase));
        if c == '.' || (is_start && before != '.') {
            name.push('_');
        }
        if c != '.' {
            name.push(c.to_ascii_uppercase());
        }
        before = c;
    }
    name
}

/// A value as it was given.
#[derive(Clone, Copy)]
enum Raw<'a> {
    Node(Node<'a>),
    /// From a flag or the environment.
    Text(&'a str),
}

impl Raw<'_> {
    fn shown(self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Node(node) => match node.value() {
                Value::Object(_) => "a mapping".to_owned(),
                Value::Array(_) => "a list".to_owned(),
                other => other.to_string(),
            },
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.to_owned()),
            Self::Node(node) => match node.value() {
                Value::String(text) => Some(text.clone()),
                _ => None,
            },
        }
    }
}

/// What was expected instead, and where, if deeper than the key's own value.
struct Wrong {
    expected: String,
    place: Option<Origin>,
}

fn wrong<T>(expected: &str) -> Result<T, Wrong> {
    Err(Wrong {
        expected: expected.to_owned(),
        place: None,
    })
}

trait FromRaw: Sized {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong>;
}

impl<T: FromRaw> FromRaw for Option<T> {
    /// Empty text in the environment unsets.
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        if matches!(raw, Raw::Text("")) {
            return Ok(None);
        }
        T::from_raw(raw).map(Some)
    }
}

impl FromRaw for String {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        raw.text().map_or_else(
            || wrong("text; quote it if it looks like something else"),
            Ok,
        )
    }
}

impl FromRaw for PathBuf {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        match raw.text() {
            Some(text) if !text.is_empty() && !text.contains('\0') => Ok(Self::from(text)),
            _ => wrong("a path"),
        }
    }
}

impl FromRaw for bool {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        match raw {
            Raw::Text("true") => Ok(true),
            Raw::Text("false") => Ok(false),
            Raw::Node(node) => node
                .value()
                .as_bool()
                .map_or_else(|| wrong("true or false"), Ok),
            Raw::Text(_) => wrong("true or false"),
        }
    }
}

impl FromRaw for u32 {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        let number = match raw {
            Raw::Text(text) => text.parse().ok(),
            Raw::Node(node) => node.value().as_u64().and_then(|n| Self::try_from(n).ok()),
        };
        number.map_or_else(|| wrong("a whole number, not negative"), Ok)
    }
}

impl FromRaw for f64 {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        let number = match raw {
            Raw::Text(text) => text.parse().ok(),
            Raw::Node(node) => node.value().as_f64(),
        };
        match number {
            Some(number) if f64::is_finite(number) => Ok(number),
            _ => wrong("a number"),
        }
    }
}

impl FromRaw for Duration {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        raw.text()
            .and_then(|text| parse_duration(&text))
            .map_or_else(
                || wrong("a duration with its unit, such as 30s, 5m or 1m30s"),
                Ok,
            )
    }
}

impl FromRaw for Vec<String> {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        match raw {
            Raw::Text(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()),
            Raw::Node(node) if node.value().is_array() => node
                .items()
                .map(|item| {
                    Raw::Node(item).text().ok_or_else(|| Wrong {
                        expected: "a list of texts; quote what looks like something else"
                            .to_owned(),
                        place: Some(item.origin()),
                    })
                })
                .collect(),
            Raw::Node(_) => wrong("a list"),
        }
    }
}

impl FromRaw for BTreeSet<String> {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        Vec::from_raw(raw).map(|items| items.into_iter().collect())
    }
}

impl FromRaw for BTreeMap<String, String> {
    fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
        match raw {
            Raw::Text(text) => text
                .split(',')
                .filter(|entry| !entry.trim().is_empty())
                .map(|entry| match entry.split_once('=') {
                    Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
                    None => wrong("key=value, separated by commas"),
                })
                .collect(),
            Raw::Node(node) if node.value().is_object() => node
                .entries()
                .map(|(key, _, value)| match Raw::Node(value).text() {
                    Some(text) => Ok((key.to_owned(), text)),
                    None => Err(Wrong {
                        expected: "texts as values; quote what looks like something else"
                            .to_owned(),
                        place: Some(value.origin()),
                    }),
                })
                .collect(),
            Raw::Node(_) => wrong("a mapping of texts"),
        }
    }
}

macro_rules! choices {
    ($type:ty: $($text:literal => $value:expr),+ $(,)?) => {
        impl FromRaw for $type {
            fn from_raw(raw: Raw<'_>) -> Result<Self, Wrong> {
                match raw.text().as_deref() {
                    $(Some($text) => Ok($value),)+
                    _ => wrong(&["one of", $($text),+].join(" ")),
                }
            }
        }
    };
}

choices!(HistoryPolicy: "warn" => Self::Warn, "ff-only" => Self::FfOnly, "any" => Self::Any);
choices!(LogFormat: "auto" => Self::Auto, "text" => Self::Text, "json" => Self::Json);
choices!(SchemeConfig: "internal" => Self::Internal, "internet-facing" => Self::InternetFacing);
choices!(TargetTypeConfig: "instance" => Self::Instance, "ip" => Self::Ip);
choices!(Admission: "commit" => Self::Commit, "group" => Self::Group);
choices!(Checks: "strict" => Self::Strict, "lbc" => Self::Lbc);
choices!(ProviderPolicy: "Ensure" => Self::Ensure, "Require" => Self::Require);
