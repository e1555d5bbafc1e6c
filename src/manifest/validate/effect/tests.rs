use crate::manifest::{
    Checks, ParseOptions,
    annotation::PREFIX,
    parse,
    tests::{printed, snapshot},
};

/// Documents of a class with parameters, a Service, and an Ingress with these annotations and this spec.
fn documents(annotations: &[(&str, &str)], spec: &str, params: &str) -> String {
    let annotations: String = annotations
        .iter()
        .map(|(suffix, value)| format!("    {PREFIX}/{suffix}: '{value}'\n"))
        .collect();
    let spec = if spec.is_empty() { PATH } else { spec };
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: a
  annotations:
    note: text
{annotations}spec:
  ingressClassName: aws
{spec}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: aws}}
spec:
  controller: ingress.k8s.aws/alb
  parameters: {{apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: p}}
---
apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {{name: p}}
spec: {{{params}}}
---
apiVersion: v1
kind: Service
metadata: {{name: s}}
spec: {{type: NodePort, selector: {{a: b}}, ports: [{{port: 80}}]}}
"
    )
}

const PATH: &str = "  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]";

fn found(annotations: &[(&str, &str)], spec: &str, params: &str) -> Vec<String> {
    printed(&[("a.yaml", &documents(annotations, spec, params))])
}

#[test]
fn what_nothing_makes_use_of_is_told() {
    let attributes = "routing.http.response.server.enabled=false";
    let idp = r#"{"userPoolARN":"arn:x","userPoolClientID":"i","userPoolDomain":"d"}"#;
    let fixed = r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"503"}}"#;
    let source = r#"[{"field":"source-ip","sourceIPConfig":{"values":["10.0.0.0/8"]}}]"#;
    let table: &[(&str, &str, &str)] = &[
        (
            "listener-attributes.HTTPS-443",
            attributes,
            "the Ingress does not listen on HTTPS-443; it listens on HTTP-80",
        ),
        (
            "listener-attributes.HTTP-8080",
            attributes,
            "the Ingress does not listen on HTTP-8080; it listens on HTTP-80",
        ),
        (
            "mutual-authentication",
            r#"[{"port":443,"mode":"passthrough"}]"#,
            "the Ingress does not listen on HTTPS-443; it listens on HTTP-80",
        ),
        (
            "ssl-policy",
            "ELBSecurityPolicy-2016-08",
            "the Ingress listens on no HTTPS port; add {\"HTTPS\":443} to listen-ports",
        ),
        (
            "jwt-validation",
            r#"{"issuer":"i","jwksEndpoint":"https://e/"}"#,
            "the Ingress listens on no HTTPS port; add {\"HTTPS\":443} to listen-ports",
        ),
        (
            "actions.s",
            fixed,
            "no backend is named s with the port use-annotation; write backend: {service: {name: s, port: {name: use-annotation}}}",
        ),
        (
            "conditions.t",
            source,
            "no path has a backend named t; did you mean \"s\"?",
        ),
        (
            "transforms.other",
            r#"[{"type":"url-rewrite","urlRewriteConfig":{"rewrites":[{"regex":"^/a","replace":"/"}]}}]"#,
            "no path has a backend named other; known are: s",
        ),
        (
            "use-regex-path-match",
            "true",
            "no path is of type ImplementationSpecific; only such paths are read as regular expressions",
        ),
        (
            "target-control-port.s.http",
            "3000",
            "no backend is s.http; backends are s.80, as the Ingress spells them",
        ),
        (
            "auth-idp-cognito",
            idp,
            "nobody has to sign in; add auth-type",
        ),
        (
            "auth-scope",
            "email",
            "nobody has to sign in; add auth-type",
        ),
        (
            "group.order",
            "5",
            "the Ingress has a group of its own; add group.name",
        ),
        (
            "acm-pca-arn",
            "arn:aws:acm-pca:x",
            "no certificate is requested; add create-acm-cert",
        ),
        (
            "frontend-nlb-scheme",
            "internal",
            "there is no frontend NLB; add enable-frontend-nlb: \"true\"",
        ),
        (
            "manage-backend-security-group-rules",
            "true",
            "no security-groups are given, and rules are managed anyway; remove it",
        ),
    ];
    for (suffix, value, wanted) in table {
        let column = 4 + PREFIX.len() + 1 + suffix.len() + 3;
        assert_eq!(
            found(&[(suffix, value)], "", ""),
            [format!(
                "a.yaml:7:{column}: problem[no-effect]: Ingress default/a: the annotation {PREFIX}/{suffix} has no effect: {wanted}"
            )],
            "{suffix}"
        );
    }
}

#[test]
fn one_annotation_may_take_the_effect_of_another() {
    let table: &[(&[(&str, &str)], &str)] = &[
        (
            &[("security-groups", "sg-1"), ("inbound-cidrs", "10.0.0.0/8")],
            "inbound-cidrs has no effect: security-groups are given, and those are not managed",
        ),
        (
            &[
                ("wafv2-acl-name", "shop"),
                ("wafv2-acl-arn", "arn:aws:wafv2:x"),
            ],
            "wafv2-acl-arn has no effect: wafv2-acl-name is given, and names win",
        ),
        (
            &[("target-type", "ip"), ("target-node-labels", "a=b")],
            "target-node-labels has no effect: targets are pods",
        ),
        (
            &[
                ("listen-ports", r#"[{"HTTP":80}]"#),
                ("certificate-arn", "arn:aws:acm:x"),
            ],
            "certificate-arn has no effect: the Ingress listens on no HTTPS port",
        ),
    ];
    for (annotations, wanted) in table {
        let found = found(annotations, "", "");
        assert!(
            found.len() == 1 && found[0].contains(wanted),
            "{wanted}\n{found:#?}"
        );
    }
}

#[test]
fn what_is_made_use_of_is_no_problem() {
    let attributes = "routing.http.response.server.enabled=false";
    let fixed = r#"{"type":"fixed-response","fixedResponseConfig":{"statusCode":"503"}}"#;
    let forward = r#"{"type":"forward","forwardConfig":{"targetGroups":[{"serviceName":"s","servicePort":80}]}}"#;
    let by_annotation = "  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: x, port: {name: use-annotation}}}}]}}]";
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("listener-attributes.HTTP-80", attributes)], ""),
        (
            &[
                ("certificate-arn", "arn:aws:acm:x"),
                ("listener-attributes.HTTPS-443", attributes),
                ("ssl-policy", "ELBSecurityPolicy-2016-08"),
            ],
            "",
        ),
        (&[("actions.x", fixed)], by_annotation),
        (
            &[
                ("actions.x", forward),
                ("target-type", "ip"),
                ("target-control-port.s.80", "3000"),
            ],
            by_annotation,
        ),
        (&[("group.name", "g"), ("group.order", "5")], ""),
        (
            &[
                ("enable-frontend-nlb", "true"),
                ("frontend-nlb-scheme", "internal"),
            ],
            "",
        ),
        (
            &[
                ("security-groups", "sg-1"),
                ("manage-backend-security-group-rules", "true"),
            ],
            "",
        ),
    ];
    for (annotations, spec) in table {
        assert_eq!(found(annotations, spec, ""), [""; 0], "{annotations:?}");
    }
}

#[test]
fn another_member_of_the_group_may_give_the_effect() {
    let one = documents(
        &[("group.name", "g"), ("frontend-nlb-scheme", "internal")],
        "",
        "",
    );
    assert_eq!(printed(&[("a.yaml", &one)]).len(), 1);
    let two = format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: b, annotations: {{{PREFIX}/group.name: g, {PREFIX}/enable-frontend-nlb: 'true'}}}}\nspec:\n  ingressClassName: aws\n{PATH}\n"
    );
    assert_eq!(printed(&[("a.yaml", &one), ("b.yaml", &two)]), [""; 0]);
}

#[test]
fn what_parameters_decide_otherwise_is_told() {
    let table = [
        (
            "scheme",
            "internal",
            "scheme: internet-facing",
            "internet-facing",
        ),
        (
            "certificate-arn",
            "arn:a,arn:b",
            "certificateArn: ['arn:a', 'arn:c']",
            "arn:a, arn:c",
        ),
        ("group.name", "g", "group: {name: h}", "h"),
    ];
    for (suffix, value, params, said) in table {
        let found = found(&[(suffix, value)], "", params);
        let wanted = format!(
            "{suffix} has no effect: the class's IngressClassParams `p` say \"{said}\"; remove it"
        );
        assert!(
            found.len() == 1 && found[0].ends_with(&wanted),
            "{found:#?}"
        );
    }
    assert_eq!(
        found(&[("scheme", "internal")], "", "scheme: internal"),
        [""; 0]
    );
}

#[test]
fn tls_hosts_want_an_https_port() {
    let tls = format!("  tls: [{{hosts: [a.example]}}]\n{PATH}");
    assert_eq!(
        found(&[], &tls, ""),
        [
            "a.yaml:9:18: problem[no-effect]: Ingress default/a: spec.tls has no effect: the Ingress listens on no HTTPS port; add {\"HTTPS\":443} to listen-ports"
        ]
    );
    let listening = [("listen-ports", r#"[{"HTTPS":443}]"#)];
    assert_eq!(found(&listening, &tls, ""), [""; 0]);
    assert_eq!(found(&[], &tls, "certificateArn: ['arn:a']"), [""; 0]);
}

#[test]
fn a_control_port_on_a_service_is_about_that_service() {
    let service = |spelled: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  annotations:\n    {PREFIX}/target-control-port.{spelled}: '3000'\nspec: {{type: NodePort, ports: [{{name: http, port: 80}}]}}\n"
        )
    };
    for spelled in ["s.80", "s.http"] {
        assert_eq!(printed(&[("a.yaml", &service(spelled))]), [""; 0]);
    }
    for spelled in ["t.80", "s.81"] {
        let found = printed(&[("a.yaml", &service(spelled))]);
        assert!(
            found[0].contains("has no effect: the Service has no such port"),
            "{found:?}"
        );
    }
}

#[test]
fn under_lbcs_checks_these_are_warnings() {
    let text = documents(
        &[
            ("ssl-policy", "mine"),
            ("healthcheck-interval-seconds", "1"),
        ],
        "",
        "",
    );
    let options = ParseOptions {
        checks: Checks::Lbc,
        ..ParseOptions::default()
    };
    let read = parse(&snapshot(&[("a.yaml", &text)]), &options);
    assert_eq!(read.problems.len(), 3);
    assert!(!read.is_rejected());
}

#[test]
fn without_class_or_service_in_git_nothing_is_guessed() {
    let text = documents(
        &[
            ("ssl-policy", "ELBSecurityPolicy-2016-08"),
            ("auth-scope", "email"),
        ],
        "",
        "",
    );
    let alone = text.split("---").next().unwrap();
    let read = parse(&snapshot(&[("a.yaml", alone)]), &ParseOptions::default());
    let deferred: Vec<_> = read.value.ingresses[0]
        .deferred
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(deferred, [""; 0]);
}
