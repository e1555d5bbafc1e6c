use super::{many::*, *};
use crate::{
    id::RepoPath,
    manifest::{ParseOptions, parse},
    model::facts::{EndpointFact, SecurityGroupFact, Subnet},
    source::snapshot::Snapshot,
};

const CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: alb }
spec:
  controller: ingress.k8s.aws/alb
  parameters: { apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: params }
---
";

fn with(params: &str, annotations: &[(&str, &str)], more: &str) -> Needs {
    let annotations: String = annotations
        .iter()
        .map(|(key, value)| format!("    alb.ingress.kubernetes.io/{key}: '{value}'\n"))
        .collect();
    let text = format!(
        "{CLASS}apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {{ name: params }}
spec: {params}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    a: b
{annotations}spec:
  ingressClassName: alb
  rules:
    - host: example.com
      http:
        paths:
          - path: /
            pathType: Prefix
            backend: {{ service: {{ name: web, port: {{ number: 80 }} }} }}
---
{more}"
    );
    let files = [(RepoPath::new("a.yaml"), text.into_bytes().into())].into();
    let snapshot = Snapshot {
        commit: None,
        files,
    };
    let manifests = parse(&snapshot, &ParseOptions::default()).value;
    assert_eq!(manifests.ingresses.len(), 1);
    Needs::of(&manifests, &Settings::offline())
}

fn annotated(annotations: &[(&str, &str)]) -> Needs {
    with("{}", annotations, "")
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_plain_ingress_needs_subnets_for_its_scheme_and_nothing_else() {
    let plain = Needs {
        schemes: [Scheme::Internal].into(),
        ..Needs::default()
    };
    assert_eq!(annotated(&[]), plain);
    let public = annotated(&[("scheme", "internet-facing")]);
    assert_eq!(public.schemes, [Scheme::InternetFacing].into());
    let by_class = with("{ scheme: internet-facing }", &[("scheme", "internal")], "");
    assert_eq!(by_class.schemes, [Scheme::InternetFacing].into());
    assert_eq!(
        Needs::of(&Manifests::default(), &Settings::offline()),
        Needs::default()
    );
}

#[test]
fn pods_as_targets_need_their_endpoints_and_the_vpcs_ranges() {
    let service = "
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations: { alb.ingress.kubernetes.io/target-type: ip }
spec: { ports: [{ port: 80 }] }
";
    let target_type = ("target-type", "ip");
    for needs in [
        annotated(&[target_type]),
        with("{ targetType: ip }", &[], ""),
        with("{}", &[], service),
    ] {
        assert!(needs.endpoints && needs.vpc_cidrs);
    }
    let nodes = annotated(&[("target-type", "instance")]);
    assert!(!nodes.endpoints && !nodes.vpc_cidrs);
}

#[test]
fn certificates_are_needed_for_https_without_one() {
    let https = ("listen-ports", r#"[{"HTTPS": 443}]"#);
    let found = Some(CertificateNeeds::default());
    assert_eq!(annotated(&[https]).certificates, found);
    let http = ("listen-ports", r#"[{"HTTP": 80}]"#);
    assert_eq!(annotated(&[http]).certificates, None);
    let arn = "arn:aws:acm:us-east-1:123456789012:certificate/a";
    let explicit = annotated(&[https, ("certificate-arn", arn)]);
    assert_eq!(explicit.certificates, None);
    let empty = annotated(&[https, ("certificate-arn", "")]);
    assert_eq!(empty.certificates, found);
    let by_class = with(&format!("{{ certificateArn: [\"{arn}\"] }}"), &[https], "");
    assert_eq!(by_class.certificates, None);
}

#[test]
fn authorities_and_tags_are_needed_where_the_settings_ask() {
    let mut settings = Settings::offline();
    settings.flags.allowed_certificate_authority_arns = named(&["arn:ca"]);
    settings.gates.enable_certificate_management = true;
    let everything = Needs::everything(&settings).certificates.unwrap();
    assert!(everything.authorities && everything.tags);
    let everything = Needs::everything(&Settings::offline())
        .certificates
        .unwrap();
    assert!(everything.authorities && !everything.tags);
}

#[test]
fn names_are_looked_up_and_arns_are_not() {
    let needs = annotated(&[
        ("security-groups", "sg-1, edge"),
        ("subnets", "subnet-1, public-b"),
        ("wafv2-acl-name", "edge"),
        (
            "mutual-authentication",
            r#"[{"port": 443, "mode": "verify", "trustStore": "clients"}]"#,
        ),
        (
            "actions.web",
            r#"{"type": "forward", "forwardConfig": {"targetGroups": [{"targetGroupName": "legacy"}]}}"#,
        ),
    ]);
    assert_eq!(
        needs.security_groups,
        Selection::Named(named(&["sg-1", "edge"]))
    );
    assert_eq!(needs.subnets, named(&["subnet-1", "public-b"]));
    assert_eq!(needs.target_groups, Selection::Named(named(&["legacy"])));
    assert!(needs.web_acls && needs.trust_stores);
    assert!(!needs.prefix_lists && !needs.account_limits);
    let arns = annotated(&[
        ("wafv2-acl-arn", "arn:aws:wafv2:x"),
        (
            "mutual-authentication",
            r#"[{"port": 443, "mode": "verify", "trustStore": "arn:aws:elasticloadbalancing:x"}]"#,
        ),
        (
            "actions.web",
            r#"{"type": "forward", "forwardConfig": {"targetGroups": [{"targetGroupARN": "arn:x"}]}}"#,
        ),
    ]);
    assert!(!arns.web_acls && !arns.trust_stores && arns.target_groups.is_nothing());
    assert!(!annotated(&[("wafv2-acl-name", "none")]).web_acls);
    assert!(with("{ wafv2AclName: edge }", &[], "").web_acls);
}

#[test]
fn a_frontend_nlb_needs_subnets_of_its_own_scheme() {
    let needs = annotated(&[
        ("enable-frontend-nlb", "true"),
        ("frontend-nlb-scheme", "internet-facing"),
    ]);
    assert_eq!(
        needs.schemes,
        [Scheme::Internal, Scheme::InternetFacing].into()
    );
}

#[test]
fn secrets_are_looked_up_wherever_they_are_and_namespaces_that_git_holds_are_not() {
    let oidc = (
        "auth-idp-oidc",
        r#"{"issuer": "https://i", "authorizationEndpoint": "https://a", "tokenEndpoint": "https://t", "userInfoEndpoint": "https://u", "secretName": "client"}"#,
    );
    assert_eq!(annotated(&[oidc]).secrets, named(&["shop/client"]));
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: { name: client, namespace: shop }\n";
    assert_eq!(with("{}", &[oidc], secret).secrets, named(&["shop/client"]));

    let selector = "{ namespaceSelector: { matchLabels: { a: b } } }";
    assert!(with(selector, &[], "").namespaces);
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n";
    assert!(!with(selector, &[], namespace).namespaces);
    assert!(!annotated(&[]).namespaces);
}

fn parsed(text: &str) -> Manifests {
    let files = [(RepoPath::new("a.yaml"), text.as_bytes().to_vec().into())].into();
    let snapshot = Snapshot {
        commit: None,
        files,
    };
    parse(&snapshot, &ParseOptions::default()).value
}

#[test]
fn limits_are_read_where_the_commit_is_not_small() {
    let service = |number: usize| {
        format!(
            "          - {{ path: /{number}, pathType: Prefix, backend: {{ service: {{ name: web, port: {{ number: 80 }} }} }} }}\n"
        )
    };
    let ingress = |paths: usize| {
        let paths: String = (0..paths).map(service).collect();
        let text = format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{ name: w, namespace: s }}\nspec:\n  rules:\n    - http:\n        paths:\n{paths}"
        );
        Needs::of(&parsed(&text), &Settings::offline())
    };
    assert!(!ingress(FEW_RULES).account_limits);
    assert!(ingress(FEW_RULES + 1).account_limits);
    let certificates = |count: usize| {
        let arns = (0..count).map(|number| format!("arn:aws:acm:r:1:certificate/{number}"));
        let arns = arns.collect::<Vec<_>>().join(",");
        let annotation =
            format!("annotations: {{ alb.ingress.kubernetes.io/certificate-arn: \"{arns}\" }}");
        parsed(&format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{ name: w, namespace: s, {annotation} }}\n"
        ))
    };
    let of = |manifests: &Manifests, cluster: &Facts| {
        Needs::with(manifests, cluster, &Settings::offline()).account_limits
    };
    let nothing = Facts::default();
    assert!(!of(&certificates(FEW_CERTIFICATES), &nothing));
    assert!(of(&certificates(FEW_CERTIFICATES + 1), &nothing));
    let pods = |count: usize| {
        let pod = EndpointFact {
            address: "10.0.0.1".to_owned(),
            ports: Default::default(),
            is_ready: true,
            node: None,
        };
        let of_service = [("s/web".to_owned(), vec![pod; count])];
        Facts {
            endpoints: Some(BTreeMap::from(of_service).into()),
            ..Facts::default()
        }
    };
    assert!(!of(&certificates(1), &pods(FEW_TARGETS)));
    assert!(of(&certificates(1), &pods(FEW_TARGETS + 1)));
}

/// Whether limits are read for one Ingress with so many paths, all to the same backend.
fn reads_limits(paths: usize, annotations: &[(&str, String)]) -> bool {
    let paths: String = (0..paths)
        .map(|number| {
            format!(
                "          - {{ path: /{number}, pathType: Prefix, backend: {{ service: {{ name: web, port: {{ number: 80 }} }} }} }}\n"
            )
        })
        .collect();
    let annotations: String = annotations
        .iter()
        .map(|(key, value)| format!("    alb.ingress.kubernetes.io/{key}: '{value}'\n"))
        .collect();
    let text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: w\n  namespace: s\n  annotations:\n    a: b\n{annotations}spec:\n  rules:\n    - http:\n        paths:\n{paths}"
    );
    let manifests = parsed(&text);
    assert_eq!(manifests.ingresses.len(), 1);
    Needs::of(&manifests, &Settings::offline()).account_limits
}

fn listen_ports(count: usize) -> (&'static str, String) {
    let ports = (0..count).map(|number| format!(r#"{{"HTTP": {}}}"#, 8000 + number));
    let ports = ports.collect::<Vec<_>>().join(",");
    ("listen-ports", format!("[{ports}]"))
}

#[test]
fn limits_are_read_where_few_paths_make_many_rules_on_their_ports() {
    assert!(!reads_limits(5, &[listen_ports(5)]));
    assert!(reads_limits(25, &[listen_ports(5)]));
    assert!(reads_limits(6, &[listen_ports(5)]));
    // And where the ports themselves are many.
    assert!(!reads_limits(1, &[listen_ports(FEW_LISTENERS)]));
    assert!(reads_limits(1, &[listen_ports(FEW_LISTENERS + 1)]));
    assert!(reads_limits(1, &[listen_ports(51)]));
}

#[test]
fn limits_are_read_where_actions_forward_to_many_target_groups() {
    let action = |number: usize, targets: usize| {
        let targets = (0..targets).map(|target| {
            format!(r#"{{"serviceName": "s{number}-{target}", "servicePort": 80, "weight": 1}}"#)
        });
        let targets = targets.collect::<Vec<_>>().join(",");
        format!(r#"{{"type": "forward", "forwardConfig": {{"targetGroups": [{targets}]}}}}"#)
    };
    let forwards = |count: usize| {
        let keys: Vec<String> = (0..count)
            .map(|number| format!("actions.a{number}"))
            .collect();
        let annotations: Vec<(&str, String)> = keys
            .iter()
            .enumerate()
            .map(|(number, key)| (key.as_str(), action(number, 5)))
            .collect();
        reads_limits(1, &annotations)
    };
    assert!(!forwards(4));
    assert!(forwards(5));
    assert!(forwards(25));
}

#[test]
fn limits_are_read_where_conditions_make_a_path_many_rules() {
    let conditions = |hosts: usize, headers: usize| {
        let named = |count: usize| {
            let values = (0..count).map(|number| format!("\"v{number}\""));
            values.collect::<Vec<_>>().join(",")
        };
        let text = format!(
            r#"[{{"field":"host-header","hostHeaderConfig":{{"values":[{}]}}}},{{"field":"http-header","httpHeaderConfig":{{"httpHeaderName":"a","values":[{}]}}}}]"#,
            named(hosts),
            named(headers)
        );
        reads_limits(1, &[("conditions.web", text)])
    };
    assert!(!conditions(2, 2));
    assert!(conditions(10, 10));
}

#[test]
fn limits_are_read_where_many_certificates_come_by_class_or_are_found_by_host() {
    let arns = (0..=FEW_CERTIFICATES)
        .map(|number| format!("arn:aws:acm:us-east-1:123456789012:certificate/{number}"));
    let arns = arns.collect::<Vec<_>>().join(",");
    assert!(with(&format!("{{ certificateArn: [{arns}] }}"), &[], "").account_limits);
    let hosts = |annotations: &str| {
        let rules: String = (0..=FEW_CERTIFICATES)
            .map(|number| format!("    - host: h{number}.example.com\n      http: {{ paths: [{{ path: /, pathType: Exact, backend: {{ service: {{ name: web, port: {{ number: 80 }} }} }} }}] }}\n"))
            .collect();
        let text = format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{ name: w, namespace: s, annotations: {{ {annotations} }} }}\nspec:\n  rules:\n{rules}"
        );
        let manifests = parsed(&text);
        assert_eq!(manifests.ingresses.len(), 1);
        Needs::of(&manifests, &Settings::offline()).account_limits
    };
    assert!(!hosts(""));
    assert!(hosts(
        "alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\": 443}]'"
    ));
}

#[test]
fn a_name_that_was_not_there_is_looked_up_again() {
    let needs = annotated(&[("security-groups", "sg-1, edge"), ("subnets", "public-a")]);
    let group = |id: &str, name: &str| SecurityGroupFact {
        id: id.into(),
        name: String::new(),
        tags: [("Name".to_owned(), name.to_owned())].into(),
    };
    let mut facts = Facts {
        security_groups: Some(vec![group("sg-1", "a"), group("sg-2", "edge")]),
        subnets: Some(vec![Subnet {
            id: "subnet-1".into(),
            tags: [("Name".to_owned(), "public-a".to_owned())].into(),
            ..Subnet::default()
        }]),
        ..Facts::default()
    };
    assert!(needs.finds_all_names(&needs, &facts));
    facts.security_groups.as_mut().unwrap().pop();
    assert!(!needs.finds_all_names(&needs, &facts));
}

#[test]
fn a_name_with_wildcards_is_known_once_it_was_asked_for() {
    let by_id = annotated(&[("security-groups", "sg-1")]);
    let by_name = annotated(&[("security-groups", "edge-*")]);
    let mut facts = Facts {
        security_groups: Some(vec![SecurityGroupFact {
            id: "sg-1".into(),
            name: String::new(),
            tags: [("Name".to_owned(), "edge-a".to_owned())].into(),
        }]),
        ..Facts::default()
    };
    // The one that is known fits, but nobody asked for others.
    assert!(!by_name.finds_all_names(&by_id, &facts));
    assert!(by_name.finds_all_names(&by_name, &facts));
    assert!(by_name.finds_all_names(&Needs::everything(&Settings::offline()), &facts));
    facts.security_groups = Some(Vec::new());
    assert!(!by_name.finds_all_names(&by_name, &facts));
}

#[test]
fn what_only_the_cluster_holds_asks_for_more() {
    let text = "apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
                metadata: { name: web, namespace: shop }\nspec: { ingressClassName: live }\n";
    let files = [("web.yaml".into(), text.as_bytes().to_vec().into())];
    let snapshot = crate::source::snapshot::Snapshot {
        commit: None,
        files: files.into(),
    };
    let manifests = crate::manifest::parse(&snapshot, &Default::default()).value;
    let facts = crate::model::facts::file::read(&serde_json::json!({
        "ingressClasses": {"live": {"controller": "ingress.k8s.aws/alb", "parameters":
            {"apiGroup": "elbv2.k8s.aws", "kind": "IngressClassParams", "name": "all"}}},
        "ingressClassParams": {"all": {
            "scheme": "internet-facing", "wafv2AclName": "acl", "targetType": "ip",
            "namespaceSelector": {"matchLabels": {"team": "web"}},
        }},
        "services": {"shop/app": {"annotations": {"alb.ingress.kubernetes.io/auth-idp-oidc":
            "{\"issuer\":\"https://a.example\",\"authorizationEndpoint\":\"https://a.example/a\",\
              \"tokenEndpoint\":\"https://a.example/t\",\"userInfoEndpoint\":\"https://a.example/u\",\
              \"secretName\":\"client\"}"}}},
    }))
    .unwrap();
    let settings = Settings::offline();
    let of_git = Needs::of(&manifests, &settings);
    assert!(!of_git.web_acls && !of_git.namespaces && !of_git.endpoints);
    assert_eq!(of_git.schemes, [Scheme::Internal].into());
    let all = Needs::with(&manifests, &facts, &settings);
    assert!(all.web_acls && all.namespaces && all.endpoints);
    assert_eq!(all.schemes, [Scheme::InternetFacing].into());
    assert_eq!(all.secrets, named(&["shop/client"]));
}
