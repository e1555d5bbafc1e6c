//! What a configuration means, what is wrong with bad ones, and that the example shows all of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use proptest::prelude::*;
use serde_json::Value;

use super::{
    Admission, Config, HistoryPolicy, Location, LogFormat, Overrides, duration_text,
    parse_duration, read,
};
use crate::{
    model::settings::Checks,
    problem::Problem,
    yaml::{self, Limits},
};

const MINIMAL: &str = "source: {url: /srv/repo}\ncluster: {name: c}\naws: {region: eu-west-1}\n";
const EXAMPLE: &str = include_str!("../../examples/config.yaml");

fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    Config::parse(
        "config.yaml",
        text.as_bytes(),
        &BTreeMap::new(),
        &Overrides::new(),
    )
}

/// The problems of the minimal configuration with `extra` lines, as printed.
fn problems(extra: &str) -> Vec<String> {
    shown(parse(&format!("{MINIMAL}{extra}")))
}

fn shown(outcome: Result<Config, Vec<Problem>>) -> Vec<String> {
    match outcome {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}

fn leaves(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                leaves(&format!("{prefix}{key}."), value, into);
            }
        }
        _ => {
            into.insert(prefix.trim_end_matches('.').to_owned());
        }
    }
}

#[test]
fn the_table_of_keys_is_the_struct() {
    let mut fields = BTreeSet::new();
    leaves(
        "",
        &serde_json::to_value(Config::default()).unwrap(),
        &mut fields,
    );
    let reading = read::read("", b"", &BTreeMap::new(), &Overrides::new());
    let keys: BTreeSet<String> = reading.keys().iter().cloned().collect();
    assert_eq!(keys, fields);
    assert_eq!(keys.len(), reading.keys().len(), "a key is read twice");
}

#[test]
fn the_example_shows_every_key_with_its_default_and_a_comment() {
    let config = parse(EXAMPLE).unwrap();
    let mut expected = Config::default();
    expected.source.url.clone_from(&config.source.url);
    expected.cluster.name.clone_from(&config.cluster.name);
    expected.aws.region.clone_from(&config.aws.region);
    assert_eq!(config, expected);

    let tree = yaml::parse("", EXAMPLE.as_bytes(), &Limits::default()).value;
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    for key in read::read("", b"", &BTreeMap::new(), &Overrides::new()).keys() {
        let (parents, last) = key.rsplit_once('.').unwrap_or(("", key));
        let parent = parents
            .split('.')
            .filter(|part| !part.is_empty())
            .try_fold(tree[0].root(), |node, part| node.get(part));
        let parent = parent.unwrap_or_else(|| panic!("{key} is not shown"));
        assert!(parent.get(last).is_some(), "{key} is not shown");
        let line = parent.key_origin(last).line as usize;
        assert!(
            lines[line - 2].trim_start().starts_with('#'),
            "{key} has no comment"
        );
    }
}

#[test]
fn what_is_not_set_has_its_default() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.source.branch, "main");
    assert_eq!(config.source.interval, Duration::from_secs(30));
    assert_eq!(config.iam_path(), "/albsync/c/");
    assert_eq!(config.state_dir, PathBuf::from("state"));
}

#[test]
fn flags_win_over_the_environment_and_it_over_the_file() {
    let text = format!("{MINIMAL}log: {{level: warn, format: text}}\nshutdownGrace: 5s\n");
    let environment = BTreeMap::from([
        ("ALBSYNC_LOG_LEVEL".to_owned(), "debug".to_owned()),
        ("ALBSYNC_LOG_FORMAT".to_owned(), "json".to_owned()),
        ("ALBSYNC_SOURCE_PATHS".to_owned(), "a, b/c".to_owned()),
        (
            "ALBSYNC_INGRESS_DEFAULT_TAGS".to_owned(),
            "k=v,x=".to_owned(),
        ),
        ("ALBSYNC_TEST_SOMETHING_ELSE".to_owned(), "1".to_owned()),
    ]);
    let overrides = Overrides::new()
        .set("log.level", "--log-level", Some("trace"))
        .set("source.branch", "--branch", None::<String>);
    let config = Config::parse("f", text.as_bytes(), &environment, &overrides).unwrap();
    assert_eq!(config.log.level, "trace");
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.shutdown_grace, Duration::from_secs(5));
    assert_eq!(config.source.paths, ["a", "b/c"]);
    assert_eq!(config.ingress.default_tags["k"], "v");
    assert_eq!(config.ingress.default_tags["x"], "");
    assert_eq!(config.source.branch, "main");
}

#[test]
fn mistakes_in_flags_and_environment_name_them() {
    let environment = BTreeMap::from([
        ("ALBSYNC_SWEEP_PERIOD".to_owned(), "5".to_owned()),
        ("ALBSYNC_SOURCE_BRANHC".to_owned(), "x".to_owned()),
    ]);
    let overrides = Overrides::new().set("log.format", "--log-format", Some("xml"));
    assert_eq!(
        shown(Config::parse(
            "f",
            MINIMAL.as_bytes(),
            &environment,
            &overrides
        )),
        [
            "--log-format:1:1: problem[config-value]: log.format is \"xml\"; expected one of auto text json",
            "ALBSYNC_SOURCE_BRANHC:1:1: problem[config-unknown-key]: the environment variable ALBSYNC_SOURCE_BRANHC is unknown; did you mean \"ALBSYNC_SOURCE_BRANCH\"?",
            "ALBSYNC_SWEEP_PERIOD:1:1: problem[config-value]: sweep.period is \"5\"; expected a duration with its unit, such as 30s, 5m or 1m30s",
        ]
    );
}

#[test]
fn all_mistakes_come_at_once_each_with_its_place() {
    let text = "\
source:
  url: ssh://git@example.com/x.git
  brnch: main
  interval: 30
  paths: [deploy, deploy/a]
aws:
  region: Tokyo
sweep: often
iam:
  oidcProvider: ensure
ingress:
  defaultTags:
    team: 7
";
    assert_eq!(
        shown(parse(text)),
        [
            "config.yaml:1:1: problem[config-missing]: cluster.name is not set; expected the name of the EKS cluster",
            "config.yaml:2:8: problem[config-value]: source.url: SSH remotes are not served yet; expected a path or a file, http or https URL",
            "config.yaml:3:3: problem[config-unknown-key]: the key source.brnch is unknown; did you mean \"branch\"?",
            "config.yaml:4:13: problem[config-value]: source.interval is 30; expected a duration with its unit, such as 30s, 5m or 1m30s",
            "config.yaml:5:10: problem[config-value]: source.paths holds \"deploy\" and \"deploy/a\", one inside the other; keep one of them",
            "config.yaml:7:11: problem[config-value]: aws.region is \"Tokyo\"; expected a region such as ap-northeast-1",
            "config.yaml:8:8: problem[config-value]: sweep is \"often\"; expected a mapping",
            "config.yaml:10:17: problem[config-value]: iam.oidcProvider is \"ensure\"; expected one of Ensure Require",
            "config.yaml:13:11: problem[config-value]: ingress.defaultTags is a mapping with something wrong in it; expected texts as values; quote what looks like something else",
        ]
    );
}

#[test]
fn a_key_written_twice_is_a_problem() {
    let found = problems("log: {level: info}\nlog: {level: warn}\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("yaml-duplicate-key"), "{found:?}");
}

#[test]
fn an_empty_file_lacks_the_required_keys() {
    assert_eq!(shown(parse("")).len(), 3);
    assert_eq!(shown(parse("# nothing\n")).len(), 3);
    assert_eq!(
        shown(parse("- a\n")),
        [
            "config.yaml:1:1: problem[config-value]: the configuration is not a mapping; expected `key: value` lines"
        ]
    );
}

#[test]
fn credentials_over_plain_http_need_a_word_of_consent() {
    let with = |url: &str, more: &str| {
        shown(parse(&format!(
            "source: {{url: '{url}', tokenFile: /t{more}}}\ncluster: {{name: c}}\naws: {{region: eu-west-1}}\n"
        )))
    };
    assert_eq!(
        with("http://git.example.com/x", ""),
        [
            "config.yaml:1:15: problem[config-value]: source.tokenFile would be sent over plain http; use https, or set source.allowInsecure: true"
        ]
    );
    assert_eq!(
        with("http://git.example.com/x", ", allowInsecure: true"),
        [""; 0]
    );
    assert_eq!(with("https://git.example.com/x", ""), [""; 0]);
    assert_eq!(with("http://127.0.0.1:8080/x", ""), [""; 0]);
    assert_eq!(with("http://[::1]:8080/x", ""), [""; 0]);
    assert_eq!(with("/srv/x", "").len(), 1);
}

#[test]
fn a_password_in_the_url_is_refused_and_not_repeated() {
    let text = MINIMAL.replace("/srv/repo", "'https://me:hunter2@git.example.com/x'");
    let found = shown(parse(&text));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("tokenFile"), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn values_out_of_range_are_refused() {
    for (extra, key) in [
        ("sweep: {period: 0s}", "sweep.period"),
        (
            "guards: {pruneLimitPercent: 101}",
            "guards.pruneLimitPercent",
        ),
        ("iam: {path: albsync}", "iam.path"),
        ("iam: {settle: 3m}", "iam.settle"),
        (
            "iam: {permissionsBoundary: boundary}",
            "iam.permissionsBoundary",
        ),
        ("iam: {rolePrefix: Team_}", "iam.rolePrefix"),
        ("checks: {lowered: [yaml-syntax]}", "checks.lowered"),
        ("checks: {lowered: [empty-rul]}", "checks.lowered"),
        ("log: {level: verbose}", "log.level"),
        ("installation: 'a b'", "installation"),
        (
            "ingress: {defaultTags: {'aws:x': y}}",
            "ingress.defaultTags",
        ),
        (
            "ingress: {defaultTargetType: pod}",
            "ingress.defaultTargetType",
        ),
        (
            "ingress: {backendSecurityGroup: my-group}",
            "ingress.backendSecurityGroup",
        ),
        (
            "ingress: {enableBackendSecurityGroup: false, enableManageBackendSecurityGroupRules: true}",
            "ingress.enableManageBackendSecurityGroupRules",
        ),
        (
            "ingress: {externalManagedTags: [ingress.k8s.aws/stack]}",
            "ingress.externalManagedTags",
        ),
        (
            "ingress: {externalManagedTags: [team], defaultTags: {team: x}}",
            "ingress.externalManagedTags",
        ),
        (
            "ingress: {defaultSslPolicy: ''}",
            "ingress.defaultSslPolicy",
        ),
        ("ingress: {defaultPcaArn: ca}", "ingress.defaultPcaArn"),
        (
            "ingress: {requiredSecretsLabel: oidc}",
            "ingress.requiredSecretsLabel",
        ),
        (
            "ingress: {featureGates: {ALBSingleSubnets: true}}",
            "ingress.featureGates.ALBSingleSubnets",
        ),
        ("checks: lbs", "checks.mode"),
        ("checks: {mode: LBC}", "checks.mode"),
        ("leases: {lbc: ''}", "leases.lbc"),
        ("shutdownGrace: -1s", "shutdownGrace"),
    ] {
        let found = problems(&format!("{extra}\n"));
        assert_eq!(found.len(), 1, "{extra}: {found:?}");
        assert!(found[0].contains(key), "{found:?}");
    }
    assert_eq!(problems("checks: {lowered: [empty-rule]}\n"), [""; 0]);
}

#[test]
fn checks_are_a_word_or_a_mapping() {
    let mode = |extra: &str| parse(&format!("{MINIMAL}{extra}\n")).unwrap().checks.mode;
    assert_eq!(mode(""), Checks::Strict);
    assert_eq!(mode("checks: lbc"), Checks::Lbc);
    assert_eq!(
        mode("checks: {mode: lbc, lowered: [empty-rule]}"),
        Checks::Lbc
    );
    assert_eq!(mode("checks: {lowered: [empty-rule]}"), Checks::Strict);
    let environment = BTreeMap::from([("ALBSYNC_CHECKS_MODE".to_owned(), "strict".to_owned())]);
    let text = format!("{MINIMAL}checks: lbc\n");
    let config = Config::parse("f", text.as_bytes(), &environment, &Overrides::new()).unwrap();
    assert_eq!(config.checks.mode, Checks::Strict);
}

#[test]
fn a_commit_is_admitted_whole_unless_told_otherwise() {
    let admission = |extra: &str| parse(&format!("{MINIMAL}{extra}\n")).unwrap().admission;
    assert_eq!(admission(""), Admission::Commit);
    assert_eq!(admission("admission: group"), Admission::Group);
    let found = problems("admission: groups\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("commit"), "{found:?}");
}

#[test]
fn variables_break_at_words() {
    for (key, name) in [
        ("source.tokenFile", "ALBSYNC_SOURCE_TOKEN_FILE"),
        (
            "ingress.featureGates.ALBSingleSubnet",
            "ALBSYNC_INGRESS_FEATURE_GATES_ALB_SINGLE_SUBNET",
        ),
        (
            "ingress.featureGates.EnableIPTargetType",
            "ALBSYNC_INGRESS_FEATURE_GATES_ENABLE_IP_TARGET_TYPE",
        ),
    ] {
        assert_eq!(read::variable(key), name);
    }
}

#[test]
fn files_that_are_named_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    let repository = dir.path().display();
    fs::write(
        &file,
        format!(
            "source: {{url: {repository}/gone, caFile: {repository}/ca.pem}}\ncluster: {{name: c, kubeconfig: {repository}}}\naws: {{region: eu-west-1}}\n"
        ),
    )
    .unwrap();
    let found = shown(Config::load(&file, &Overrides::new()));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|problem| problem.contains("config-file")));

    fs::write(dir.path().join("ca.pem"), "").unwrap();
    fs::create_dir(dir.path().join("gone")).unwrap();
    fs::write(
        &file,
        fs::read_to_string(&file)
            .unwrap()
            .replace(&format!("kubeconfig: {repository}}}"), "kubeconfig: }"),
    )
    .unwrap();
    let config = Config::load(&file, &Overrides::new()).unwrap();
    assert_eq!(config.cluster.kubeconfig, None);
    assert_eq!(config.source.history, HistoryPolicy::Warn);
}

#[test]
fn a_missing_configuration_is_one_problem() {
    let found = shown(Config::load(
        Path::new("/nonexistent/config.yaml"),
        &Overrides::new(),
    ));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("/nonexistent/config.yaml:1:1: problem[config-file]"));
}

#[test]
fn locations_are_taken_apart() {
    let remote = |text: &str| match Location::parse(text) {
        Ok(Location::Remote(remote)) => (remote.url(), remote.origin()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        remote("HTTPS://Git.Example.com:443/a/b.git").0,
        "https://git.example.com/a/b.git"
    );
    assert_eq!(remote("http://[::1]:8080/a").1, "http://[::1]:8080");
    assert_eq!(
        Location::parse("file:///srv/a%20b"),
        Ok(Location::Local("/srv/a b".into()))
    );
    assert_eq!(
        Location::parse("../repo"),
        Ok(Location::Local("../repo".into()))
    );
    for bad in [
        "",
        "git@github.com:team/x.git",
        "ssh://host/x",
        "git://host/x",
        "ftp://host/x",
        "file://host/x",
        "file:///a%2",
        "https://",
        "https://host:99999/",
        "https://host/x?token=1",
        "http://[::1/x",
    ] {
        assert!(Location::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn branch_names_are_what_git_allows() {
    for name in [
        "main",
        "release/1.2",
        "a..b",
        "a.lock",
        "a/.b",
        "-a",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "/a",
        "a/",
        "a//b",
        "a.",
        "@",
        "a@{b",
        "",
        "ä",
        "a@b",
        "a.lock/b",
        "a\u{7f}",
    ] {
        let git = name != "@" && git2::Branch::name_is_valid(name).unwrap_or(false);
        assert_eq!(super::check::branch(name).is_ok(), git, "{name:?}");
    }
}

proptest! {
    #[test]
    fn durations_survive_being_written(milliseconds in 0..10_000_000_000_u64) {
        let duration = Duration::from_millis(milliseconds);
        prop_assert_eq!(parse_duration(&duration_text(duration)), Some(duration));
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "\\PC*") {
        let _ = parse(&text);
        let _ = parse_duration(&text);
        let _ = Location::parse(&text);
    }
}

#[test]
fn durations_need_units_in_order() {
    assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5400)));
    assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
    for bad in [
        "",
        "5",
        "s",
        "1s1m",
        "1s1s",
        "1.5s",
        "-1s",
        "5 s",
        "99999999999999999999d",
        "5x",
    ] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
}
