use super::*;
use crate::manifest::{
    Manifests, ParseOptions, parse,
    tests::{CLASS, good, printed, problems, read, snapshot},
};

/// An Ingress of class `aws` whose spec goes on with `rest` from line 7 on.
fn ingress(rest: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\nspec:\n  ingressClassName: aws\n{rest}"
    )
}

/// One path; the entry begins on line 10, column 7.
fn with_path(path: &str) -> String {
    ingress(&format!(
        "  rules:\n  - http:\n      paths:\n      - {path}\n"
    ))
}

const BACKEND: &str = "backend: {service: {name: s, port: {number: 80}}}";

#[test]
fn each_bad_field_has_its_place() {
    let table = [
        (ingress(""), "1:1"),
        (
            ingress("  rulez: []\n"),
            "7:3: problem[unknown-field]: Ingress default/a: there is no field spec.rulez; did you mean \"rules\"?",
        ),
        (
            ingress("  rules: {}\n"),
            "7:10: problem[wrong-type]: Ingress default/a: spec.rules must be a list, not a mapping",
        ),
        (
            ingress("  rules:\n  - host: a\n    paths: []\n"),
            "9:5: problem[unknown-field]: Ingress default/a: there is no field spec.rules[0].paths; known are: host, http",
        ),
        (
            ingress(
                "  rules:\n  - host: A.example\n    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}\n",
            ),
            "8:11: problem[bad-name]: Ingress default/a: spec.rules[0].host cannot be \"A.example\"; a lower-case DNS name, possibly with `*.` in front, and no address",
        ),
        (
            ingress("  rules:\n  - http:\n      paths: []\n"),
            "9:7: problem[missing-field]: Ingress default/a: spec.rules[0].http.paths is empty",
        ),
        (
            with_path(&format!("{{path: /, pathType: Prefx, {BACKEND}}}")),
            "10:29: problem[bad-value]: Ingress default/a: spec.rules[0].http.paths[0].pathType cannot be \"Prefx\"; it is one of Exact, Prefix, ImplementationSpecific",
        ),
        (
            with_path(&format!("{{path: /, {BACKEND}}}")),
            "10:9: problem[missing-field]: Ingress default/a: spec.rules[0].http.paths[0].pathType is missing",
        ),
        (
            with_path("{path: /, pathType: Prefix}"),
            "10:9: problem[missing-field]: Ingress default/a: spec.rules[0].http.paths[0].backend is missing",
        ),
        (
            with_path(&format!("{{path: app1, pathType: Prefix, {BACKEND}}}")),
            "10:16: problem[bad-value]: Ingress default/a: spec.rules[0].http.paths[0].path cannot be \"app1\"; it begins with `/`",
        ),
        (
            with_path(&format!("{{pathType: Prefix, {BACKEND}}}")),
            "10:9: problem[missing-field]: Ingress default/a: spec.rules[0].http.paths[0].path is missing; Exact and Prefix need a path that begins with `/`",
        ),
        (
            with_path(&format!("{{path: /a//b, pathType: Exact, {BACKEND}}}")),
            "10:16: problem[bad-value]: Ingress default/a: spec.rules[0].http.paths[0].path cannot be \"/a//b\": Kubernetes refuses `//` in it",
        ),
        (
            with_path(&format!("{{path: /a*, pathType: Prefix, {BACKEND}}}")),
            "10:16: problem[wildcard-path]: Ingress default/a: spec.rules[0].http.paths[0].path cannot be \"/a*\": Exact and Prefix paths have no wildcards; Prefix `/a` covers `/a` and all below it",
        ),
        (
            with_path(&format!(
                "{{path: /{}, pathType: Prefix, {BACKEND}}}",
                "a".repeat(126)
            )),
            "10:16: problem[too-long]: Ingress default/a: spec.rules[0].http.paths[0].path is longer than the 128 characters that a rule's condition holds",
        ),
        (
            with_path("{path: /, pathType: Prefix, backend: {service: {name: s}}}"),
            "10:56: problem[missing-field]: Ingress default/a: spec.rules[0].http.paths[0].backend.service.port is missing",
        ),
        (
            with_path(
                "{path: /, pathType: Prefix, backend: {service: {name: s, port: {name: h, number: 1}}}}",
            ),
            "10:72: problem[bad-value]: Ingress default/a: spec.rules[0].http.paths[0].backend.service.port has a name and a number; keep one of them",
        ),
        (
            with_path("{path: /, pathType: Prefix, backend: {service: {name: s, port: {}}}}"),
            "10:72: problem[missing-field]: Ingress default/a: spec.rules[0].http.paths[0].backend.service.port is empty; write a name or a number",
        ),
        (
            with_path(
                "{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: \"80\"}}}}",
            ),
            "10:81: problem[wrong-type]: Ingress default/a: spec.rules[0].http.paths[0].backend.service.port.number must be a whole number, not text",
        ),
        (
            with_path(
                "{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 0o120}}}}",
            ),
            "10:81: problem[yaml-ambiguous]: Ingress default/a: spec.rules[0].http.paths[0].backend.service.port.number is written as `0o120`, which readers of YAML take for different things; write a decimal number",
        ),
        (
            with_path("{path: /, pathType: Prefix, backend: {serviceName: s, servicePort: 80}}"),
            "10:47: problem[unknown-field]: Ingress default/a: there is no field spec.rules[0].http.paths[0].backend.serviceName; known are: service, resource",
        ),
        (
            ingress("  rules:\n  - host: a.example\n"),
            "8:5: problem[empty-rule]: Ingress default/a: spec.rules[0] has no paths and routes nothing; add http.paths or remove the rule",
        ),
    ];
    for (text, wanted) in table {
        let found = problems(&text);
        if wanted == "1:1" {
            assert_eq!(
                found,
                [
                    "a.yaml:6:3: problem[missing-field]: Ingress default/a: spec.rules is missing; write a rule, or spec.defaultBackend"
                ]
            );
            continue;
        }
        let wanted = format!("a.yaml:{wanted}");
        assert!(
            found.contains(&wanted),
            "{text}\n{found:#?}\nwanted {wanted}"
        );
    }
}

#[test]
fn a_path_twice_under_one_host_names_both() {
    let text = ingress(&format!(
        "  rules:\n  - http:\n      paths:\n      - {{path: /a, pathType: Prefix, {BACKEND}}}\n      - {{path: /a, pathType: Exact, {BACKEND}}}\n  - http:\n      paths:\n      - {{path: /a/, pathType: Prefix, {BACKEND}}}\n"
    ));
    assert_eq!(
        problems(&text),
        [
            "a.yaml:14:16: problem[duplicate-path]: Ingress default/a: the path \"/a/\" stands twice under one host; the second never matches; remove one (see also a.yaml:10:16)"
        ]
    );
}

/// An Ingress with three mistakes that only its controller minds, of some class.
fn foreign(class: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations: {{alb.ingress.kubernetes.io/nope: x, alb.ingress.kubernetes.io/scheme: public}}\nspec:\n{class}  defaultBackend: {{service: {{name: s, port: {{number: 80}}}}}}\n  rules: [{{host: a.example}}]\n"
    )
}

fn class(name: &str, controller: &str, is_default: bool) -> String {
    CLASS
        .replace("name: aws", &format!("name: {name}\n  annotations: {{ingressclass.kubernetes.io/is-default-class: \"{is_default}\"}}"))
        .replace("ingress.k8s.aws/alb", controller)
}

#[test]
fn an_ingress_of_another_class_is_carried_unchecked() {
    let nginx = class("nginx", "k8s.io/ingress-nginx", false);
    let manifests = good(&[
        ("a.yaml", &foreign("  ingressClassName: nginx\n")),
        ("c.yaml", &nginx),
    ]);
    assert_eq!(manifests.objects.len(), 2);
    assert!(manifests.ingresses[0].deferred.is_empty());
    let annotated = foreign("").replace(
        "annotations: {",
        "annotations: {kubernetes.io/ingress.class: nginx, ",
    );
    assert!(
        good(&[("a.yaml", &annotated)]).ingresses[0]
            .deferred
            .is_empty()
    );
}

#[test]
fn what_the_api_server_refuses_is_a_problem_in_any_class() {
    let nginx = class("nginx", "k8s.io/ingress-nginx", false);
    let text = foreign("  ingressClassName: nginx\n").replace("number: 80", "number: 0");
    let found = printed(&[("a.yaml", &text), ("c.yaml", &nginx)]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("port.number must be a whole number from 1 to 65535"));
}

#[test]
fn where_git_does_not_hold_the_class_the_problems_wait() {
    for class in ["  ingressClassName: elsewhere\n", ""] {
        let read = read(&[("a.yaml", &foreign(class))]);
        assert_eq!(read.problems, []);
        let codes: Vec<&str> = read.value.ingresses[0]
            .deferred
            .iter()
            .map(|problem| problem.code.as_str())
            .collect();
        assert_eq!(
            codes,
            [
                codes::UNKNOWN_ANNOTATION,
                codes::BAD_ANNOTATION,
                codes::EMPTY_RULE
            ]
        );
    }
}

#[test]
fn the_default_class_of_git_decides_for_ingresses_without_one() {
    let ours = class("aws", CONTROLLER, true);
    assert_eq!(
        printed(&[("a.yaml", &foreign("")), ("c.yaml", &ours)]).len(),
        3
    );
    let other = class("nginx", "k8s.io/ingress-nginx", true);
    assert_eq!(
        printed(&[("a.yaml", &foreign("")), ("c.yaml", &other)]),
        [""; 0]
    );
    assert_eq!(
        printed(&[("c.yaml", &ours), ("d.yaml", &other)]),
        [
            "d.yaml:1:1: problem[several-default-classes]: IngressClass nginx: \"aws\" and \"nginx\" are both the default class; only one may be (see also c.yaml:1:1)"
        ]
    );
}

#[test]
fn the_class_annotation_means_us_by_the_configured_word() {
    let text = foreign("").replace(
        "annotations: {",
        "annotations: {kubernetes.io/ingress.class: aws-lb, ",
    );
    let snapshot = snapshot(&[("a.yaml", &text)]);
    let count = |options: &ParseOptions| parse(&snapshot, options).problems.len();
    assert_eq!(count(&ParseOptions::default()), 0);
    let options = ParseOptions {
        ingress_class: "aws-lb".to_owned(),
        ..ParseOptions::default()
    };
    assert_eq!(count(&options), 3);
}

#[test]
fn class_and_annotation_must_agree() {
    let text = foreign("  ingressClassName: aws\n").replace(
        "annotations: {",
        "annotations: {kubernetes.io/ingress.class: alb, ",
    );
    let found = problems(&text);
    let wanted = "a.yaml:7:21: problem[class-conflict]: Ingress default/a: spec.ingressClassName is \"aws\" and the annotation kubernetes.io/ingress.class is \"alb\"; keep one of them (see also a.yaml:5:46)";
    assert!(found.iter().any(|found| found == wanted), "{found:#?}");
}

#[test]
fn a_backend_stands_where_its_services_name_stands() {
    let text = with_path(&format!("{{path: /, pathType: Prefix, {BACKEND}}}"));
    let manifests: Manifests = good(&[("a.yaml", &text), ("c.yaml", CLASS)]);
    let path = &manifests.ingresses[0].rules[0].paths[0];
    assert_eq!(path.backend.origin, Origin::new("a.yaml", 10, 63));
    assert_eq!(path.path_type, PathType::Prefix);
}
