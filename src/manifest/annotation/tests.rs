use super::*;
use crate::{
    manifest::{
        Checks,
        tests::{CLASS, good, printed, problems},
    },
    problem::{Located, Origin},
};

mod values;

/// An Ingress of ours whose only annotation stands on line 6, its value from column `9 + key`.
fn ingress(key: &str, value: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations:\n    {key}: {value}\nspec:\n  ingressClassName: aws\n  rules:\n  - http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}\n"
    )
}

fn service(key: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  annotations:\n    {key}: {value}\nspec: {{type: NodePort, ports: [{{port: 80}}]}}\n"
    )
}

#[test]
fn rows_are_unique_documented_and_sound() {
    for (index, row) in TABLE.iter().enumerate() {
        assert!(row.doc.ends_with('.') && row.doc.len() > 10, "{}", row.name);
        assert!(
            !row.example.is_empty() && !row.default.is_empty(),
            "{}",
            row.name
        );
        assert_eq!(row.is_family, row.name.ends_with('.'), "{}", row.name);
        let example = row.example;
        match row.grammar {
            Grammar::Boolean => assert!(grammar::boolean(example).is_ok(), "{}", row.name),
            Grammar::Int32 => assert!(grammar::int32(example).is_ok(), "{}", row.name),
            Grammar::Int64 => assert!(grammar::int64(example).is_ok(), "{}", row.name),
            Grammar::Map => assert!(grammar::string_map(example).is_ok(), "{}", row.name),
            Grammar::List => assert!(!grammar::string_list(example).is_empty(), "{}", row.name),
            Grammar::OneOf(words) => assert!(words.contains(&example), "{}", row.name),
            Grammar::Json => {
                assert!(
                    serde_json::from_str::<serde_json::Value>(example).is_ok(),
                    "{}",
                    row.name
                );
            }
            Grammar::Text | Grammar::Port => {}
        }
        let twice = TABLE[index + 1..]
            .iter()
            .any(|other| other.name == row.name);
        assert!(!twice, "{}", row.name);
    }
}

/// One annotation read by itself: the options, and what was reported.
fn one(on: On, suffix: &str, value: &str, checks: Checks) -> (IngressOptions, Vec<String>) {
    let origin = Origin::new("a.yaml", 1, 1);
    let given = Given {
        key: format!("{PREFIX}/{suffix}"),
        key_origin: origin.clone(),
        value: Located::new(value.to_owned(), origin),
    };
    let mut report = Report {
        checks,
        ..Report::default()
    };
    let options = read(&[given], on, &mut report);
    let problems = report.problems.iter().map(ToString::to_string).collect();
    (options, problems)
}

#[test]
fn every_example_is_read_without_a_word() {
    for row in TABLE {
        let name = format!("{}{}", row.name, if row.is_family { "x" } else { "" });
        let (options, found) = one(row.on, &name, row.example, Checks::Strict);
        if row.name == "dry-run-plan" {
            assert!(found[0].contains("written by LBC itself; remove it"));
            continue;
        }
        assert_eq!(found, [""; 0], "{name}");
        assert_ne!(options, IngressOptions::default(), "{name}");
    }
}

#[test]
fn values_are_read_into_their_fields() {
    let text = ingress(
        &format!("{PREFIX}/load-balancer-attributes"),
        "access_logs.s3.enabled=true,access_logs.s3.bucket=logs,access_logs.s3.prefix=shop",
    );
    let manifests = good(&[("a.yaml", &text), ("class.yaml", CLASS)]);
    let attributes = manifests.ingresses[0]
        .options
        .load_balancer
        .attributes
        .clone()
        .unwrap();
    assert_eq!(attributes.good().unwrap()["access_logs.s3.bucket"], "logs");
    assert_eq!(attributes.good().unwrap().len(), 3);
    assert_eq!(attributes.origin.line, 6);
    let text = service(&format!("{PREFIX}/tags"), "a=b, c=d");
    let manifests = good(&[("a.yaml", &text)]);
    let tags = manifests.services[0]
        .options
        .tags
        .as_ref()
        .unwrap()
        .good()
        .unwrap()
        .clone();
    assert_eq!(
        tags.into_iter().collect::<Vec<_>>(),
        [
            ("a".to_owned(), "b".to_owned()),
            ("c".to_owned(), "d".to_owned())
        ]
    );
}

#[test]
fn misspelt_annotations_are_answered() {
    let table = [
        (
            "alb.ingress.kubernetes.io/healthcheck-paht",
            "/",
            "there is no annotation alb.ingress.kubernetes.io/healthcheck-paht; did you mean \"alb.ingress.kubernetes.io/healthcheck-path\"?",
        ),
        (
            "alb.ingress.kubernets.io/scheme",
            "internal",
            "nothing reads the annotation alb.ingress.kubernets.io/scheme; did you mean \"alb.ingress.kubernetes.io/scheme\"?",
        ),
        ("alb.ingress.k8s.io/scheme", "internal", ""),
        (
            "alb.ingress.kubernetes.io/nonsense-of-mine",
            "x",
            "there is no annotation alb.ingress.kubernetes.io/nonsense-of-mine",
        ),
        (
            "alb.ingress.kubernetes.io/actions.",
            "x",
            "there is no annotation alb.ingress.kubernetes.io/actions.; did you mean \"alb.ingress.kubernetes.io/actions.<name>\"?",
        ),
        (
            "kubernetes.io/ingres.class",
            "alb",
            "nothing reads the annotation kubernetes.io/ingres.class; did you mean \"kubernetes.io/ingress.class\"?",
        ),
    ];
    for (key, value, wanted) in table {
        let found = problems(&ingress(key, value));
        if wanted.is_empty() {
            assert_eq!(found, [""; 0], "{key}");
        } else {
            let wanted =
                format!("a.yaml:6:5: problem[unknown-annotation]: Ingress default/a: {wanted}");
            assert!(found.contains(&wanted), "{found:#?}\nwanted {wanted}");
        }
    }
}

#[test]
fn bad_values_have_their_place() {
    let table = [
        (
            "scheme",
            "public",
            "6:39: problem[bad-annotation]: Ingress default/a: the annotation alb.ingress.kubernetes.io/scheme cannot be \"public\"; it is internal or internet-facing",
        ),
        (
            "scheme",
            "\"\"",
            "6:39: problem[bad-annotation]: Ingress default/a: the annotation alb.ingress.kubernetes.io/scheme cannot be \"\"; it is internal or internet-facing",
        ),
        (
            "target-type",
            "IP",
            "6:44: problem[bad-annotation]: Ingress default/a: the annotation alb.ingress.kubernetes.io/target-type cannot be \"IP\"; it is instance or ip",
        ),
        (
            "healthcheck-path",
            "healthz",
            "6:49: problem[odd-annotation]: Ingress default/a: the annotation alb.ingress.kubernetes.io/healthcheck-path cannot be \"healthz\"; it is a path that begins with `/`, up to 1024 characters without blanks",
        ),
        (
            "load-balancer-attributes",
            "idle_timeout.timeout_seconds=0",
            "6:57: problem[bad-attribute]: Ingress default/a: in the annotation alb.ingress.kubernetes.io/load-balancer-attributes, the attribute idle_timeout.timeout_seconds cannot be \"0\"; it is a number of seconds from 1 to 4000",
        ),
        (
            "load-balancer-attributes",
            "idle_timeout.timeout_second=60",
            "6:57: problem[bad-attribute]: Ingress default/a: in the annotation alb.ingress.kubernetes.io/load-balancer-attributes, load balancers have no attribute \"idle_timeout.timeout_second\"; did you mean \"idle_timeout.timeout_seconds\"?",
        ),
        (
            "load-balancer-attributes",
            "access_logs.s3.enabled=true",
            "6:57: problem[bad-attribute]: Ingress default/a: in the annotation alb.ingress.kubernetes.io/load-balancer-attributes, access_logs.s3.enabled needs a bucket; add access_logs.s3.bucket",
        ),
        (
            "load-balancer-attributes",
            "oops",
            "6:57: problem[bad-annotation]: Ingress default/a: the annotation alb.ingress.kubernetes.io/load-balancer-attributes cannot be \"oops\"; \"oops\" is no key=value",
        ),
        (
            "tags",
            "a=b,a=c",
            "6:37: problem[odd-annotation]: Ingress default/a: the annotation alb.ingress.kubernetes.io/tags names \"a\" twice; keep one of them",
        ),
        (
            "tags",
            "aws:a=b",
            "6:37: problem[bad-tag]: Ingress default/a: in the annotation alb.ingress.kubernetes.io/tags, the tag key \"aws:a\" belongs to AWS; keys do not begin with `aws:`",
        ),
        (
            "tags",
            "ingress.k8s.aws/stack=b",
            "6:37: problem[bad-tag]: Ingress default/a: in the annotation alb.ingress.kubernetes.io/tags, the tag key \"ingress.k8s.aws/stack\" marks ownership and cannot be set; keys do not begin with `ingress.k8s.aws/`",
        ),
        (
            "tags",
            "a=b*",
            "6:37: problem[bad-tag]: Ingress default/a: in the annotation alb.ingress.kubernetes.io/tags, the tag \"a\" cannot have the value \"b*\"; up to 256 letters, digits, blanks and _ . : / = + - @",
        ),
    ];
    for (name, value, wanted) in table {
        let found = problems(&ingress(&format!("{PREFIX}/{name}"), value));
        assert_eq!(found, [format!("a.yaml:{wanted}")], "{name}={value}");
    }
}

#[test]
fn annotations_are_refused_where_nobody_reads_them() {
    let found = printed(&[("a.yaml", &service(&format!("{PREFIX}/scheme"), "internal"))]);
    assert_eq!(
        found,
        [
            "a.yaml:6:5: problem[misplaced-annotation]: Service default/s: the annotation alb.ingress.kubernetes.io/scheme is not read on a Service; write it on the Ingress"
        ]
    );
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations:\n    alb.ingress.kubernetes.io/scheme: internal\n";
    assert_eq!(
        printed(&[("a.yaml", text)]),
        [
            "a.yaml:6:5: problem[misplaced-annotation]: ConfigMap default/a: the annotation alb.ingress.kubernetes.io/scheme is not read on a ConfigMap; it belongs on an Ingress or a Service"
        ]
    );
}

#[test]
fn fifty_tags_less_ours_is_the_limit() {
    let tags = |count: usize| {
        (0..count)
            .map(|n| format!("k{n}=v"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let key = format!("{PREFIX}/tags");
    assert_eq!(problems(&ingress(&key, &tags(47))), [""; 0]);
    assert!(problems(&ingress(&key, &tags(48)))[0].contains("48 tags are more than the 47"));
}
