//! Everything the daemon is told: defaults < file < environment < flags, checked as a whole before anything starts.
//!
//! One YAML file, keys in camelCase, every one documented with its default in `examples/config.yaml`. A key `a.bC` is
//! also read from the environment as `ALBSYNC_A_B_C`; lists and maps are written there as `x,y` and `k=v,k2=v2`.
//! Relative paths are relative to the working directory. Parsing is pure; only [`Config::load`] reads the file, the
//! environment, and looks whether the files it names are there. Contents of secret files never come in here: whoever
//! uses them reads them each time, so that they can be rotated.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Serialize, Serializer};

use crate::{
    model::settings::{Checks, FeatureGates, Flags},
    problem::{Origin, Problem, codes},
};

mod check;
mod duration;
mod read;
#[cfg(test)]
mod tests;
pub mod url;

pub use duration::{duration_text, parse_duration};
pub use url::Location;

/// The shortest poll of a source. The spec asks for 5 s on remotes (gitops S2); 1 s is allowed, since a server on the
/// same machine bears it and the poll is one small request.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The whole configuration, defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Who owns what we make, where several daemons share an account; absent: a hash over account, region and cluster
    /// (decision 27 of the spec).
    pub installation: Option<String>,
    /// Where the journal and the git mirror live.
    pub state_dir: PathBuf,
    /// The daemon's local socket; absent: `albsync.sock` in `$RUNTIME_DIRECTORY`, or else in the state directory.
    pub socket: Option<PathBuf>,
    pub source: SourceConfig,
    pub cluster: ClusterConfig,
    pub aws: AwsConfig,
    pub sweep: SweepConfig,
    pub ingress: IngressConfig,
    pub iam: IamConfig,
    pub checks: ChecksConfig,
    pub admission: Admission,
    pub guards: GuardsConfig,
    pub apply: ApplyConfig,
    pub log: LogConfig,
    /// How long a running operation may take to end after SIGTERM (gitops Q8).
    #[serde(serialize_with = "as_text")]
    pub shutdown_grace: Duration,
    pub leases: LeasesConfig,
}

/// Where commits come from (gitops §1.8).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceConfig {
    /// A path, a `file://`, `http://` or `https://` URL, without user or password in it. Required.
    pub url: String,
    pub branch: String,
    /// Watched directories (or single files) of the repository; `.` is all of it.
    pub paths: Vec<String>,
    #[serde(serialize_with = "as_text")]
    pub interval: Duration,
    /// Deadline of one fetch as a whole.
    #[serde(serialize_with = "as_text")]
    pub timeout: Duration,
    /// The file with an access token, sent as the password.
    pub token_file: Option<PathBuf>,
    /// The user name; `git` with a token.
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    /// PEM file with certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    pub history: HistoryPolicy,
    /// Lets credentials go over plain http to other than this machine (gitops S4).
    pub allow_insecure: bool,
}

/// What a rewritten branch means (gitops G20, decision 18 of the spec).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryPolicy {
    /// Applied, and said loudly.
    #[default]
    Warn,
    /// Held until a tip descends from what was accepted last.
    FfOnly,
    /// Applied, silently.
    Any,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterConfig {
    /// The EKS cluster's name: part of tags and of every name hash. Required.
    pub name: String,
    /// Absent: the service account of the pod that we run in.
    pub kubeconfig: Option<PathBuf>,
    /// Absent: the kubeconfig's current context.
    pub context: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsConfig {
    /// Required.
    pub region: String,
    /// Absent: that of the EKS cluster.
    pub vpc_id: Option<String>,
    pub endpoints: EndpointsConfig,
    pub timeouts: AwsTimeouts,
    pub rates: RatesConfig,
}

/// Absent: AWS's own for the region.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointsConfig {
    pub elasticloadbalancing: Option<String>,
    pub ec2: Option<String>,
    pub iam: Option<String>,
    pub sts: Option<String>,
    pub eks: Option<String>,
    pub acm: Option<String>,
    pub wafv2: Option<String>,
}

/// All explicit (lessons A14). How long an operation may take with its retries is `apply.opTimeout`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsTimeouts {
    #[serde(serialize_with = "as_text")]
    pub connect: Duration,
    /// One request, from sending it to the last byte of its answer.
    #[serde(serialize_with = "as_text")]
    pub attempt: Duration,
}

/// Calls per second and class, at most half of what AWS publishes (lessons A1, aws-deploy §7.1 and §10.7).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RatesConfig {
    pub elb_describe: RateConfig,
    pub elb_modify: RateConfig,
    pub elb_register: RateConfig,
    pub elb_write: RateConfig,
    pub ec2_read: RateConfig,
    pub ec2_write: RateConfig,
    pub iam_read: RateConfig,
    pub iam_write: RateConfig,
    pub account: RateConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateConfig {
    pub per_second: f64,
    pub burst: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepConfig {
    /// How often everything is read and compared, whether or not anything happened.
    #[serde(serialize_with = "as_text")]
    pub period: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressConfig {
    /// The value of the older annotation `kubernetes.io/ingress.class` that is ours.
    pub class: String,
    pub default_scheme: SchemeConfig,
    pub default_target_type: TargetTypeConfig,
    /// Set on everything; they win over tags of manifests.
    pub default_tags: BTreeMap<String, String>,
    /// An extra tag that names us on ALB resources (decision 2 of the spec).
    pub owner_tag: bool,
    /// LBC's flags, one key each.
    #[serde(flatten)]
    pub flags: Flags,
    pub feature_gates: FeatureGates,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemeConfig {
    #[default]
    Internal,
    InternetFacing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetTypeConfig {
    #[default]
    Instance,
    Ip,
}

/// What manifests may ask of IAM (irsa §7.3, §9).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IamConfig {
    /// Path of roles and policies; absent: `/albsync/<cluster.name>/`. Read it by [`Config::iam_path`].
    pub path: Option<String>,
    pub role_prefix: String,
    /// The ARN of the boundary for roles that name none.
    pub permissions_boundary: Option<String>,
    /// ARNs that manifests may choose instead.
    pub allowed_boundaries: BTreeSet<String>,
    /// Globs (`*` only) for managed policies that roles may attach; `${account}` and `${partition}` are replaced.
    pub allowed_policies: Vec<String>,
    pub oidc_provider: ProviderPolicy,
    /// Lets manifests take over roles by `role.adopt.roleId`.
    pub allow_adoption: bool,
    /// How long a new role rests before workloads that use it start (irsa §9.4).
    #[serde(serialize_with = "as_text")]
    pub settle: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ProviderPolicy {
    /// Created when it isn't there; never deleted.
    Ensure,
    /// Somebody else's: a problem when it isn't there.
    #[default]
    Require,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChecksConfig {
    /// Whose checks hold; `checks: lbc` is short for `checks: {mode: lbc}`.
    pub mode: Checks,
    /// Codes of checks whose problems become warnings (decision 14 of the spec).
    pub lowered: BTreeSet<String>,
}

/// What a problem in a commit stops (gitops G10, G12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    /// The whole commit.
    #[default]
    Commit,
    /// The Ingress group or role that has it, where it can be confined to one.
    Group,
}

/// What a commit may delete without saying so (gitops §7.6).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardsConfig {
    /// Fewer deletes than this, or as many, never hold a commit.
    pub prune_limit_min: u32,
    /// Nor do deletes up to this share of what git held.
    pub prune_limit_percent: u32,
    /// Kinds that are never deleted, only left behind (gitops G45).
    pub protected_kinds: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyConfig {
    /// One operation with all its attempts (gitops G18).
    #[serde(serialize_with = "as_text")]
    pub op_timeout: Duration,
    /// The same where AWS first has to let go of what is being deleted (lessons D1).
    #[serde(serialize_with = "as_text")]
    pub in_use_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,albsync::source=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    Text,
    Json,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeasesConfig {
    /// Name of the AWS Load Balancer Controller's leader lease, looked for in all namespaces: while somebody renews
    /// it, we only read AWS (decision 28 of the spec).
    pub lbc: String,
}

/// What flags say: by key (`source.branch`), as text. They win over everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    values: BTreeMap<String, (String, String)>,
}

impl Overrides {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` (as in the file, `source.url`) to what the flag (as typed, `--url`) says; absent leaves it alone.
    pub fn set(mut self, key: &str, flag: &str, value: Option<impl Into<String>>) -> Self {
        if let Some(value) = value {
            self.values
                .insert(key.to_owned(), (flag.to_owned(), value.into()));
        }
        self
    }
}

impl Config {
    /// Reads and checks everything; all mistakes come back at once, each with its place.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, Vec<Problem>> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            vec![
                Problem::new(
                    codes::CONFIG_FILE,
                    Origin::start_of(name.clone()),
                    format!("cannot read the configuration: {error}"),
                )
                .hint("name the file with --config"),
            ]
        })?;
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(key, _)| key.starts_with(read::ENVIRONMENT))
            .collect();
        let mut reading = read::read(&name, &bytes, &environment, overrides);
        check::whole(&mut reading);
        check::files(&mut reading);
        reading.settled()
    }

    /// The pure part of [`Config::load`]: `file` only names the text in problems, nothing is looked up on disk.
    pub fn parse(
        file: &str,
        bytes: &[u8],
        environment: &BTreeMap<String, String>,
        overrides: &Overrides,
    ) -> Result<Self, Vec<Problem>> {
        let mut reading = read::read(file, bytes, environment, overrides);
        check::whole(&mut reading);
        reading.settled()
    }

    /// `iam.path`, with its default worked out.
    pub fn iam_path(&self) -> String {
        self.iam
            .path
            .clone()
            .unwrap_or_else(|| format!("/albsync/{}/", self.cluster.name))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            installation: None,
            state_dir: PathBuf::from("state"),
            socket: None,
            source: SourceConfig::default(),
            cluster: ClusterConfig::default(),
            aws: AwsConfig::default(),
            sweep: SweepConfig {
                period: Duration::from_secs(5 * 60),
            },
            ingress: IngressConfig {
                class: "alb".to_owned(),
                default_scheme: SchemeConfig::default(),
                default_target_type: TargetTypeConfig::default(),
                default_tags: BTreeMap::new(),
                owner_tag: false,
                flags: Flags::default(),
                feature_gates: FeatureGates::default(),
            },
            iam: IamConfig {
                path: None,
                role_prefix: String::new(),
                permissions_boundary: None,
                allowed_boundaries: BTreeSet::new(),
                allowed_policies: Vec::new(),
                oidc_provider: ProviderPolicy::default(),
                allow_adoption: false,
                settle: Duration::from_secs(15),
            },
            checks: ChecksConfig::default(),
            admission: Admission::default(),
            guards: GuardsConfig {
                prune_limit_min: 3,
                prune_limit_percent: 20,
                protected_kinds: BTreeSet::new(),
            },
            apply: ApplyConfig {
                op_timeout: Duration::from_secs(2 * 60),
                in_use_timeout: Duration::from_secs(10 * 60),
            },
            log: LogConfig {
                level: "info".to_owned(),
                format: LogFormat::default(),
            },
            shutdown_grace: Duration::from_secs(20),
            leases: LeasesConfig {
                lbc: "aws-load-balancer-controller-leader".to_owned(),
            },
        }
    }
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            branch: "main".to_owned(),
            paths: vec![".".to_owned()],
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
            token_file: None,
            username: None,
            password_file: None,
            ca_file: None,
            history: HistoryPolicy::default(),
            allow_insecure: false,
        }
    }
}

impl SourceConfig {
    /// Where `url` points; the text says what is wrong with it, without anything secret.
    pub fn location(&self) -> Result<Location, String> {
        Location::parse(&self.url)
    }
}

impl Default for AwsTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(15),
        }
    }
}

impl Default for RatesConfig {
    fn default() -> Self {
        let rate = |per_second, burst| RateConfig { per_second, burst };
        Self {
            elb_describe: rate(5.0, 20),
            elb_modify: rate(1.5, 10),
            elb_register: rate(2.0, 10),
            elb_write: rate(2.0, 20),
            ec2_read: rate(5.0, 25),
            ec2_write: rate(2.5, 25),
            iam_read: rate(10.0, 20),
            iam_write: rate(2.5, 10),
            account: rate(2.0, 10),
        }
    }
}

fn as_text<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration_text(*duration))
}
