//! The command line without a daemon, as a person or a script sees it: what is printed where, and the exit codes
//! (decision 8).

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{support::daemon::binary, tree};

/// What a verb came to.
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs a verb in a directory, without anything of the environment that albsync would read.
fn albsync(directory: &Path, words: &[&str]) -> Said {
    let mut command = Command::new(binary());
    command.args(words).current_dir(directory);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ALBSYNC_")) {
        command.env_remove(name);
    }
    let done = command.output().expect("albsync runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said {
        code: done.status.code().expect("an exit code"),
        out: text(done.stdout),
        err: text(done.stderr),
    }
}

fn tutorial() -> String {
    format!("{}/examples/tutorial", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn check_says_what_is_wrong_and_ends_with_4() {
    let directory = TempDir::new().expect("a directory");
    let good = albsync(directory.path(), &["check", &tutorial()]);
    assert_eq!((good.code, good.err.as_str()), (0, ""));
    assert_eq!(good.out, "9 documents in 6 files: 0 problems, 0 warnings\n");

    fs::write(
        directory.path().join("a.yaml"),
        "kind: Service\napiVersion: [v1\n",
    )
    .expect("a file");
    let bad = albsync(directory.path(), &["check"]);
    assert_eq!(bad.code, 4, "{}", bad.err);
    let lines: Vec<&str> = bad.out.lines().collect();
    assert!(
        lines[0].starts_with("a.yaml:3:1: problem[yaml-"),
        "{lines:?}"
    );
    assert_eq!(
        lines.last(),
        Some(&"0 documents in 1 file: 1 problem, 0 warnings")
    );
    let bad = albsync(directory.path(), &["check", "-o", "json"]);
    let answer: Value = serde_json::from_str(&bad.out).expect("JSON");
    assert_eq!(bad.code, 4);
    assert_eq!(answer["rejected"], true);
    assert_eq!(answer["problems"][0]["origin"]["line"], 3);
}

#[test]
fn check_warns_of_what_is_named_and_not_in_git() {
    let directory = TempDir::new().expect("a directory");
    let copy = |name: &str, change: &dyn Fn(String) -> String| {
        let text = fs::read_to_string(format!("{}/{name}", tutorial())).expect("a file");
        fs::write(directory.path().join(name), change(text)).expect("a file");
    };
    copy("app1.yaml", &|text| text);
    copy("app2.yaml", &|text| text);
    copy("ingress.yaml", &|text| {
        text.replace("name: app2", "name: ap2")
    });
    copy("ingress-class.yaml", &|text| {
        let parameters = "{apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: intern}";
        format!("{text}  parameters: {parameters}\n")
    });
    let said = albsync(directory.path(), &["check"]);
    assert_eq!(said.code, 0, "{}", said.out);
    let lines: Vec<&str> = said.out.lines().collect();
    let [class, service, _] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert!(class.starts_with("ingress-class.yaml:"), "{class}");
    assert!(class.contains(
        "warning[not-in-git]: IngressClass aws: IngressClassParams `intern` is not in git"
    ));
    assert!(service.starts_with("ingress.yaml:"), "{service}");
    assert!(service.contains(
        "warning[not-in-git]: Ingress default/app-aws-ingress: Service `ap2` is not in git"
    ));
    assert!(service.ends_with("did you mean \"app2\"?"), "{service}");
}

#[test]
fn check_names_what_would_stay_as_it_is_where_groups_are_admitted_alone() {
    let directory = TempDir::new().expect("a directory");
    let config = "source: {url: https://git.example.com/manifests.git}\ncluster: {name: a}\naws: {region: eu-central-1}\n";
    fs::write(
        directory.path().join("config"),
        format!("{config}admission: group\n"),
    )
    .expect("a file");
    fs::write(
        directory.path().join("a.yaml"),
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/healthcheck-interval-seconds: soon
spec:
  rules: [{host: a.example.com}]
",
    )
    .expect("a file");
    let bad = albsync(directory.path(), &["--config", "config", "check"]);
    assert_eq!(bad.code, 4, "{}", bad.err);
    assert!(
        bad.out.contains("group default/shop would stay as it is"),
        "{}",
        bad.out
    );
    let bad = albsync(
        directory.path(),
        &["--config", "config", "check", "-o", "json"],
    );
    let answer: Value = serde_json::from_str(&bad.out).expect("JSON");
    assert_eq!(answer["held"][0]["group"], "default/shop");
}

#[test]
fn check_reads_a_commit_of_a_repository() {
    let directory = TempDir::new().expect("a directory");
    let git = |words: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=T", "-c", "user.email=t@example.com"])
            .args(words)
            .current_dir(directory.path())
            .output()
            .expect("git runs");
        assert!(done.status.success(), "{words:?}");
    };
    git(&["init", "--quiet"]);
    fs::copy(
        Path::new(&tutorial()).join("ingress-class.yaml"),
        directory.path().join("class.yaml"),
    )
    .expect("a copy");
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "A class"]);
    // Not of the commit.
    fs::write(directory.path().join("draft.yaml"), "{").expect("a file");
    let checked = albsync(directory.path(), &["check", "HEAD"]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    assert_eq!(
        checked.out,
        "1 document in 1 file: 0 problems, 0 warnings\n"
    );
    let none = albsync(directory.path(), &["check", "no-such-branch"]);
    assert_eq!(none.code, 2);
    assert!(
        none.err.contains("no-such-branch cannot be read") && none.err.contains("hint: "),
        "{}",
        none.err
    );
}

#[test]
fn a_target_that_cannot_be_read_is_told_with_what_to_do_or_where() {
    let directory = TempDir::new().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    fs::write(at("facts.json"), "{\"cluster\": \"shop\"}").expect("a file");
    let render = ["render", "no-such-branch", "--facts", "facts.json"];
    let none = albsync(directory.path(), &render);
    assert_eq!(none.code, 2, "{}", none.err);
    assert!(
        none.err.contains("no-such-branch cannot be read")
            && none.err.contains("hint: name a directory, or a commit"),
        "{}",
        none.err
    );
}

#[test]
fn plan_tells_all_files_that_are_no_text_as_check_does() {
    let directory = TempDir::new().expect("a directory");
    let at = |name: &str| directory.path().join("latin").join(name);
    fs::create_dir(directory.path().join("latin")).expect("a directory");
    fs::write(at("a.yaml"), b"kind: ConfigMap\nname: caf\xe9\n").expect("a file");
    fs::write(at("b.yml"), b"# \xff\n").expect("a file");
    fs::write(at("c.yaml"), "kind: Service\napiVersion: [v1\n").expect("a file");

    let plan = albsync(directory.path(), &["plan", "latin"]);
    assert_eq!((plan.code, plan.err.as_str()), (4, ""));
    let lines: Vec<&str> = plan.out.lines().collect();
    let [a, b, c, end] = &lines[..] else {
        panic!("{lines:?}");
    };
    for (line, place) in [
        (a, "a.yaml:2:10: problem[yaml-encoding]"),
        (b, "b.yml:1:3: problem[yaml-encoding]"),
        (c, "c.yaml:3:1: problem[yaml-"),
    ] {
        assert!(line.starts_with(place), "{place}: {line}");
    }
    assert!(a.contains("save it as UTF-8"), "{a}");
    assert!(end.starts_with("rejected: "), "{end}");

    let problems = |verb: &[&str]| {
        let said = albsync(directory.path(), verb);
        assert_eq!((said.code, said.err.as_str()), (4, ""), "{verb:?}");
        let answer: Value = serde_json::from_str(&said.out).expect("JSON");
        answer["problems"].clone()
    };
    let told = problems(&["plan", "latin", "-o", "json"]);
    assert_eq!(told[0]["origin"]["line"], 2, "{told:#}");
    assert_eq!(told[0]["origin"]["column"], 10, "{told:#}");
    assert_eq!(told, problems(&["check", "latin", "-o", "json"]));
    let facts = directory.path().join("facts.json");
    fs::write(facts, "{\"cluster\": \"shop\"}").expect("a file");
    let render = ["render", "latin", "-o", "json", "--facts", "facts.json"];
    assert_eq!(told, problems(&render));
}

/// A good group and a bad one, whose problem nobody lowers; and what is needed to build both.
fn good_and_bad() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let facts = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/facts.json");
    fs::copy(facts, directory.path().join("facts.json")).expect("a copy");
    let good = "    alb.ingress.kubernetes.io/scheme: internet-facing\n";
    let bad = format!("{good}    alb.ingress.kubernetes.io/target-type: pod\n");
    fs::create_dir(directory.path().join("in")).expect("a directory");
    for (name, text) in [
        ("in/class.yaml", tree::CLASS.to_owned()),
        ("in/services.yaml", tree::service("app", "")),
        (
            "in/good.yaml",
            tree::ingress("good", "good", "app", &["/good"], good),
        ),
        (
            "in/bad.yaml",
            tree::ingress("bad", "bad", "app", &["/bad"], &bad),
        ),
    ] {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    directory
}

#[test]
fn render_prints_the_good_groups_and_tells_the_problems_of_the_others() {
    let directory = good_and_bad();
    // The second is how recorded models are compared with ours.
    for checks in [&[][..], &["--checks", "lbc"]] {
        let verb = ["render", "-o", "lbc", "in", "--facts", "facts.json"];
        let said = albsync(directory.path(), &[&verb[..], checks].concat());
        assert_eq!((said.code, said.err.as_str()), (4, ""), "{checks:?}");
        let model: Value = serde_json::from_str(&said.out).expect("JSON");
        let keys: Vec<&String> = model.as_object().expect("a map").keys().collect();
        assert_eq!(keys, ["groups", "problems"]);

        let groups = model["groups"].as_object().expect("groups");
        assert_eq!(groups.keys().collect::<Vec<_>>(), ["good"], "{model:#}");
        let balancers = &groups["good"]["resources"]["AWS::ElasticLoadBalancingV2::LoadBalancer"];
        assert!(balancers["LoadBalancer"].is_object(), "{model:#}");

        let problems = model["problems"].as_array().expect("problems");
        let [problem] = &problems[..] else {
            panic!("{problems:#?}");
        };
        let fields: Vec<&String> = problem.as_object().expect("a map").keys().collect();
        assert_eq!(fields, ["column", "file", "line", "message"]);
        let text = fs::read_to_string(directory.path().join("in/bad.yaml")).expect("a file");
        let number = |field: &str| problem[field].as_u64().expect(field) as usize;
        assert_eq!(problem["file"], "bad.yaml");
        let line = text.lines().nth(number("line") - 1).expect("a line of it");
        assert_eq!(&line[number("column") - 1..], "pod", "{problem}");
        let message = problem["message"].as_str().expect("a message");
        assert!(
            message.starts_with("Ingress default/bad: ") && message.contains("target-type"),
            "{message}"
        );
    }

    fs::remove_file(directory.path().join("in/bad.yaml")).expect("a file less");
    let verb = ["render", "-o", "lbc", "in", "--facts", "facts.json"];
    let said = albsync(directory.path(), &verb);
    let model: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, &model["problems"]), (0, &json!([])));
    assert_eq!(model["groups"].as_object().expect("groups").len(), 1);
}

#[test]
fn what_cannot_be_understood_ends_with_2_and_says_what_to_do() {
    let directory = TempDir::new().expect("a directory");
    for (words, told) in [
        (&["bogus"][..], "unrecognized subcommand 'bogus'"),
        (&["run"], "name one with --config FILE"),
        (&["plan"], "name one with --config FILE"),
        (&["run", "--config", "none.yaml"], "none.yaml"),
        (&["status", "-o", "xml"], "[possible values: text, json]"),
    ] {
        let said = albsync(directory.path(), words);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{words:?}");
        assert!(said.err.contains(told), "{words:?}: {}", said.err);
    }
    for verb in ["status", "history"] {
        let said = albsync(directory.path(), &[verb]);
        assert_eq!((said.code, said.out.as_str()), (6, ""), "{verb}");
        assert!(
            said.err.contains("no daemon listens on state/albsync.sock"),
            "{verb}: {}",
            said.err
        );
    }
}

#[test]
fn a_configuration_is_checked_as_a_whole_before_anything_starts() {
    let directory = TempDir::new().expect("a directory");
    fs::write(
        directory.path().join("config.yaml"),
        "source:\n  url: ssh://git.example.com/a.git\n  brunch: main\ncluster:\n  name: a\n",
    )
    .expect("a file");
    let said = albsync(directory.path(), &["run", "--config", "config.yaml"]);
    assert_eq!(said.code, 2);
    for told in [
        "config.yaml:2:8: ",
        "config.yaml:3:3: ",
        "did you mean \"branch\"?",
        "aws.region",
        "nothing was started",
    ] {
        assert!(said.err.contains(told), "{told}: {}", said.err);
    }
    assert!(!directory.path().join("state").exists());
}

#[test]
fn help_version_and_completions_are_printed() {
    let directory = TempDir::new().expect("a directory");
    let version = albsync(directory.path(), &["--version"]);
    assert_eq!(
        version.out,
        format!("albsync {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = albsync(directory.path(), &["--help"]);
    for verb in [
        "run",
        "check",
        "plan",
        "status",
        "history",
        "annotations",
        "completions",
    ] {
        assert!(help.out.contains(&format!("\n  {verb} ")), "{}", help.out);
        let own = albsync(directory.path(), &[verb, "--help"]);
        assert!(
            own.code == 0 && own.out.contains("Usage: albsync"),
            "{verb}"
        );
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = albsync(directory.path(), &["completions", shell]);
        assert_eq!((script.code, script.err.as_str()), (0, ""));
        assert!(script.out.contains("history"), "{shell}");
    }
    // As `| head -1` does.
    let mut child = Command::new(binary())
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("albsync runs");
    drop(child.stdout.take());
    let done = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}
