//! Whether a configuration makes sense as a whole: [`whole`] by its text alone, [`files`] by a look at the disk.

use std::{fs::File, path::Path, time::Duration};

use super::{Location, read::Reading};
use crate::problem::{codes, nearest::did_you_mean};

mod ingress;
mod source;

#[cfg(test)]
pub(super) use source::branch;

/// Longest name of an EKS cluster.
const MAX_CLUSTER_NAME: usize = 100;
/// IAM's limits of a path, and of the prefix that leaves room for a name (irsa §9.3).
const MAX_IAM_PATH: usize = 512;
const MAX_ROLE_PREFIX: usize = 32;
/// irsa §9.4.
const LONGEST_SETTLE: Duration = Duration::from_secs(120);

/// Required keys, values out of range, keys that contradict each other.
pub(super) fn whole(reading: &mut Reading) {
    if reading.is_unreadable() {
        return;
    }
    required(reading);
    source::check(reading);
    aws(reading);
    iam(reading);
    ingress::check(reading);
    rest(reading);
}

/// Whether the files that are named can be read.
pub(super) fn files(reading: &mut Reading) {
    if reading.is_unreadable() {
        return;
    }
    let source = &reading.config.source;
    let local = match source.location() {
        Ok(Location::Local(path)) => Some(path),
        _ => None,
    };
    let named: Vec<_> = [
        ("source.tokenFile", source.token_file.clone()),
        ("source.passwordFile", source.password_file.clone()),
        ("source.caFile", source.ca_file.clone()),
        (
            "cluster.kubeconfig",
            reading.config.cluster.kubeconfig.clone(),
        ),
    ]
    .into_iter()
    .filter_map(|(key, path)| Some((key, path?)))
    .collect();
    for (key, path) in named {
        if let Err(error) = readable(&path) {
            reading.complain(
                codes::CONFIG_FILE,
                key,
                format!(
                    "{key} names {}, which cannot be read: {error}",
                    path.display()
                ),
                "name a file that the daemon's user may read",
            );
        }
    }
    if let Some(path) = local
        && !path.is_dir()
    {
        reading.complain(
            codes::CONFIG_FILE,
            "source.url",
            format!(
                "source.url names {}, where there is no directory",
                path.display()
            ),
            "name a git repository: a work tree, its .git, or a bare repository",
        );
    }
    let state = reading.config.state_dir.clone();
    if state.exists() && !state.is_dir() {
        reading.complain(
            codes::CONFIG_FILE,
            "stateDir",
            format!(
                "stateDir names {}, which is not a directory",
                state.display()
            ),
            "name a directory; it is made when it isn't there",
        );
    }
}

fn readable(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.kind().to_string())?;
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err("it is a directory".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind().to_string()),
    }
}

fn required(reading: &mut Reading) {
    let config = &reading.config;
    let absent: Vec<(&str, &str)> = [
        (
            &config.source.url,
            "source.url",
            "a path or a file, http or https URL of a git repository",
        ),
        (
            &config.cluster.name,
            "cluster.name",
            "the name of the EKS cluster",
        ),
        (
            &config.aws.region,
            "aws.region",
            "a region such as ap-northeast-1",
        ),
    ]
    .into_iter()
    .filter(|(value, _, _)| value.is_empty())
    .map(|(_, key, what)| (key, what))
    .collect();
    for (key, what) in absent {
        reading.complain(
            codes::CONFIG_MISSING,
            key,
            format!("{key} is not set"),
            &format!("expected {what}"),
        );
    }
}

fn aws(reading: &mut Reading) {
    let aws = reading.config.aws.clone();
    let plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let is_region = |text: &str| plain(text) && text.contains('-');
    if !aws.region.is_empty() && !is_region(&aws.region) {
        reading.complain(
            codes::CONFIG_VALUE,
            "aws.region",
            format!("aws.region is {:?}", aws.region),
            "expected a region such as ap-northeast-1",
        );
    }
    if let Some(vpc) = &aws.vpc_id
        && !(vpc.starts_with("vpc-") && plain(vpc) && vpc.len() > 4)
    {
        reading.complain(
            codes::CONFIG_VALUE,
            "aws.vpcId",
            format!("aws.vpcId is {vpc:?}"),
            "expected an id such as vpc-0123456789abcdef0",
        );
    }
    for (service, endpoint) in [
        ("elasticloadbalancing", &aws.endpoints.elasticloadbalancing),
        ("ec2", &aws.endpoints.ec2),
        ("iam", &aws.endpoints.iam),
        ("sts", &aws.endpoints.sts),
        ("eks", &aws.endpoints.eks),
        ("acm", &aws.endpoints.acm),
        ("wafv2", &aws.endpoints.wafv2),
    ] {
        let Some(endpoint) = endpoint else { continue };
        let key = format!("aws.endpoints.{service}");
        if !matches!(Location::parse(endpoint), Ok(Location::Remote(_))) {
            reading.complain(
                codes::CONFIG_VALUE,
                &key,
                format!("{key} is no URL of a server"),
                "expected an http or https URL without user or password",
            );
        }
    }
    at_least(
        reading,
        "aws.timeouts.connect",
        aws.timeouts.connect,
        Duration::from_millis(1),
    );
    at_least(
        reading,
        "aws.timeouts.attempt",
        aws.timeouts.attempt,
        Duration::from_millis(1),
    );
    let rates = aws.rates;
    for (class, rate) in [
        ("elbDescribe", rates.elb_describe),
        ("elbModify", rates.elb_modify),
        ("elbRegister", rates.elb_register),
        ("elbWrite", rates.elb_write),
        ("ec2Read", rates.ec2_read),
        ("ec2Write", rates.ec2_write),
        ("iamRead", rates.iam_read),
        ("iamWrite", rates.iam_write),
        ("account", rates.account),
    ] {
        if rate.per_second <= 0.0 {
            let key = format!("aws.rates.{class}.perSecond");
            reading.complain(
                codes::CONFIG_VALUE,
                &key,
                format!("{key} is {}, which would stop all calls", rate.per_second),
                "expected a number above 0",
            );
        }
        if rate.burst == 0 {
            let key = format!("aws.rates.{class}.burst");
            reading.complain(
                codes::CONFIG_VALUE,
                &key,
                format!("{key} is 0, which would stop all calls"),
                "expected at least 1",
            );
        }
    }
}

fn iam(reading: &mut Reading) {
    let iam = reading.config.iam.clone();
    if let Some(path) = &iam.path {
        let good = path.starts_with('/')
            && path.ends_with('/')
            && !path.contains("//")
            && path.len() <= MAX_IAM_PATH
            && path.chars().all(|c| ('!'..='\x7e').contains(&c));
        if !good {
            reading.complain(
                codes::CONFIG_VALUE,
                "iam.path",
                format!("iam.path is {path:?}"),
                "expected a path that begins and ends with a slash, such as /albsync/prod/",
            );
        }
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !iam.role_prefix.chars().all(plain) || iam.role_prefix.len() > MAX_ROLE_PREFIX {
        reading.complain(
            codes::CONFIG_VALUE,
            "iam.rolePrefix",
            format!("iam.rolePrefix is {:?}", iam.role_prefix),
            "expected at most 32 lower-case letters, digits and hyphens",
        );
    }
    let boundaries = iam
        .permissions_boundary
        .iter()
        .map(|arn| ("iam.permissionsBoundary", arn))
        .chain(
            iam.allowed_boundaries
                .iter()
                .map(|arn| ("iam.allowedBoundaries", arn)),
        );
    for (key, arn) in boundaries {
        if !is_policy(arn) {
            reading.complain(
                codes::CONFIG_VALUE,
                key,
                format!("{key} holds {arn:?}"),
                "expected the ARN of a policy, arn:aws:iam::123456789012:policy/NAME",
            );
        }
    }
    for glob in &iam.allowed_policies {
        if !(glob == "*" || glob.starts_with("arn:")) {
            reading.complain(
                codes::CONFIG_VALUE,
                "iam.allowedPolicies",
                format!("iam.allowedPolicies holds {glob:?}"),
                "expected a glob of ARNs such as arn:${partition}:iam::aws:policy/AmazonS3*",
            );
        }
    }
    if iam.settle > LONGEST_SETTLE {
        reading.complain(
            codes::CONFIG_VALUE,
            "iam.settle",
            "iam.settle is longer than 2m".to_owned(),
            "expected 0s to 2m",
        );
    }
}

fn is_policy(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(
        parts.as_slice(),
        ["arn", partition, "iam", "", account, resource]
            if !partition.is_empty()
                && (*account == "aws" || (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())))
                && resource.strip_prefix("policy/").is_some_and(|name| !name.is_empty())
    )
}

fn rest(reading: &mut Reading) {
    let config = reading.config.clone();
    if config.cluster.name.len() > MAX_CLUSTER_NAME {
        reading.complain(
            codes::CONFIG_VALUE,
            "cluster.name",
            format!("cluster.name has {} characters", config.cluster.name.len()),
            "EKS allows 100",
        );
    }
    if config.cluster.context.is_some() && config.cluster.kubeconfig.is_none() {
        reading.complain(
            codes::CONFIG_VALUE,
            "cluster.context",
            "cluster.context is set without cluster.kubeconfig".to_owned(),
            "name the kubeconfig that holds the context",
        );
    }
    for (key, value, shortest) in [
        ("sweep.period", config.sweep.period, Duration::from_secs(1)),
        (
            "apply.opTimeout",
            config.apply.op_timeout,
            Duration::from_secs(1),
        ),
        (
            "apply.inUseTimeout",
            config.apply.in_use_timeout,
            Duration::from_secs(1),
        ),
    ] {
        at_least(reading, key, value, shortest);
    }
    for name in &config.checks.lowered {
        let lowerable = || {
            codes::ALL
                .iter()
                .filter(|code| code.lowerable)
                .map(|code| code.name)
        };
        match codes::code(name) {
            Some(code) if code.lowerable => {}
            Some(_) => reading.complain(
                codes::CONFIG_VALUE,
                "checks.lowered",
                format!("checks.lowered holds {name}, which can be no mere warning"),
                "remove it",
            ),
            None => {
                let hint =
                    did_you_mean(name, lowerable().collect::<Vec<_>>()).unwrap_or_else(|| {
                        "expected the code of a check, as problems show it".to_owned()
                    });
                reading.complain(
                    codes::CONFIG_VALUE,
                    "checks.lowered",
                    format!("checks.lowered holds {name:?}, which is no check"),
                    &hint,
                );
            }
        }
    }
    if config.guards.prune_limit_percent > 100 {
        reading.complain(
            codes::CONFIG_VALUE,
            "guards.pruneLimitPercent",
            format!(
                "guards.pruneLimitPercent is {}",
                config.guards.prune_limit_percent
            ),
            "expected 0 to 100",
        );
    }
    if config.installation.as_deref().is_some_and(|name| {
        name.is_empty()
            || name.len() > 64
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    }) {
        reading.complain(
            codes::CONFIG_VALUE,
            "installation",
            "installation is no plain name".to_owned(),
            "expected 1 to 64 letters, digits, `-`, `_` and `.`",
        );
    }
    if !is_log_level(&config.log.level) {
        reading.complain(
            codes::CONFIG_VALUE,
            "log.level",
            format!("log.level is {:?}", config.log.level),
            "expected error, warn, info, debug, trace or directives such as info,albsync::source=debug",
        );
    }
    if config.leases.lbc.is_empty() {
        reading.complain(
            codes::CONFIG_VALUE,
            "leases.lbc",
            "leases.lbc is empty".to_owned(),
            "expected the name of a Lease",
        );
    }
}

/// Stricter than what reads it later, where a misspelt level would silently be a target's name.
fn is_log_level(text: &str) -> bool {
    let is_level =
        |level: &str| matches!(level, "off" | "error" | "warn" | "info" | "debug" | "trace");
    text.split(',')
        .all(|directive| match directive.split_once('=') {
            None => is_level(directive),
            Some((target, level)) => {
                is_level(level)
                    && !target.is_empty()
                    && target
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
            }
        })
}

fn at_least(reading: &mut Reading, key: &str, value: Duration, shortest: Duration) {
    if value < shortest {
        reading.complain(
            codes::CONFIG_VALUE,
            key,
            format!("{key} is {}", super::duration_text(value)),
            &format!("expected at least {}", super::duration_text(shortest)),
        );
    }
}
