use super::*;
use crate::{
    manifest::annotation::{
        options::{AuthType, MutualMode, OidcIdp},
        value::{self, IpAddressType},
    },
    model::{
        elb::{OidcClient, TlsSpec},
        facts::{EndpointFact, SecretFact, Vpc},
        group::SecretRef,
    },
};

fn pod(address: &str, is_ready: bool) -> EndpointFact {
    EndpointFact {
        address: address.into(),
        is_ready,
        node: Some("node-1".into()),
        ports: [(String::new(), 8080)].into(),
    }
}

fn ip_targets(manifests: &mut Manifests, facts: &mut Facts, pods: Vec<EndpointFact>) {
    manifests.ingresses[0].options.target_group.target_type = Some(set(TargetType::Ip));
    for service in &mut manifests.services {
        service.ports[0].target_port = PortRef::Number(8080);
    }
    facts.endpoints = Some(BTreeMap::from([("default/app1".to_owned(), pods)]).into());
}

#[test]
fn ip_targets_are_the_ready_pods_and_those_outside_of_the_vpc_say_so() {
    let group = group_with(|manifests, facts, _| {
        facts.vpc = Some(Vpc {
            id: "vpc-1".into(),
            cidrs: vec!["10.0.0.0/16".into()],
        });
        let pods = vec![
            pod("10.0.7.7", true),
            pod("10.0.7.8", false),
            pod("172.16.0.1", true),
        ];
        ip_targets(manifests, facts, pods);
    });
    let of = |service: &str| &group.target_groups[&format!("{GROUP}-{service}:80")].spec;
    let target = |id: &str, all_zones: bool| Target {
        id: id.into(),
        port: 8080,
        all_zones,
    };
    assert_eq!(
        of("app1").targets,
        BTreeSet::from([target("10.0.7.7", false), target("172.16.0.1", true)])
    );
    assert_eq!(of("app1").target_type, TargetType::Ip);
    assert!(of("app2").targets.is_empty());
}

#[test]
fn targets_beyond_the_accounts_limit_are_told_whether_they_are_nodes_or_pods() {
    let told = |pods: Option<usize>, most: u64| -> Vec<String> {
        let (mut manifests, mut facts) = (tutorial(), facts());
        if let Some(pods) = pods {
            let pods = (0..pods).map(|number| pod(&format!("10.0.7.{number}"), number != 0));
            ip_targets(&mut manifests, &mut facts, pods.collect());
        }
        let limit = "targets-per-application-load-balancer".to_owned();
        facts.account_limits = Some([(limit, most)].into());
        let problems = built(&manifests, &facts).problems;
        let told = problems.iter().map(|problem| problem.message.clone());
        told.collect()
    };
    let over = |count: u64, most: u64| {
        format!("the balancer of group {GROUP} would have {count} targets, and {most} are allowed")
    };
    let nodes = facts().nodes.unwrap().len() as u64;
    // Both Services have all nodes.
    assert_eq!(told(None, 2 * nodes - 1), [over(2 * nodes, 2 * nodes - 1)]);
    assert_eq!(told(None, 4 * nodes), Vec::<String>::new());
    // One of its pods is not ready.
    assert_eq!(told(Some(6), 4), [over(5, 4)]);
    assert_eq!(told(Some(6), 10), Vec::<String>::new());
}

#[test]
fn pods_are_the_vpcs_where_its_ranges_were_not_read() {
    let group = group_with(|manifests, facts, _| {
        facts.vpc = Some(Vpc {
            id: "vpc-1".into(),
            cidrs: Vec::new(),
        });
        ip_targets(manifests, facts, vec![pod("10.9.9.9", true)]);
    });
    let spec = &group.target_groups[&format!("{GROUP}-app1:80")].spec;
    assert!(spec.targets.iter().all(|target| !target.all_zones));
    assert_eq!(spec.targets.len(), 1);
}

#[test]
fn pods_that_were_not_looked_up_are_waited_for() {
    let (reason, problems) = wait_with(|manifests, facts| {
        ip_targets(manifests, facts, Vec::new());
        facts.endpoints = None;
    });
    assert!(
        reason.contains("the endpoints of Service `app1` were not read"),
        "{reason}"
    );
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_node_selector_leaves_other_nodes_out() {
    let labelled = |key: &str| {
        group_with(|manifests, facts, _| {
            let labels = [(key.to_owned(), "x".to_owned())].into();
            manifests.ingresses[0].options.target_group.node_labels = Some(set(labels));
            facts.nodes.as_mut().unwrap()[0]
                .labels
                .insert("pool".into(), "x".into());
        })
        .target_groups
        .values()
        .map(|it| it.spec.targets.len())
        .collect::<Vec<_>>()
    };
    assert_eq!(labelled("pool"), [1, 1]);
    assert_eq!(labelled("other"), [0, 0]);
}

fn https(manifests: &mut Manifests, arns: &[&str]) {
    let listener = &mut manifests.ingresses[0].options.listener;
    listener.certificate_arns = Some(set(arns.iter().map(|it| (*it).to_owned()).collect()));
}

#[test]
fn https_has_a_default_certificate_others_and_a_policy() {
    let group = group_with(|manifests, _, _| https(manifests, &["arn:b", "arn:a"]));
    assert_eq!(group.listeners.keys().collect::<Vec<_>>(), [&443]);
    let spec = &group.listeners[&443].spec;
    assert_eq!(spec.protocol, "HTTPS");
    assert_eq!(
        spec.tls,
        Some(TlsSpec {
            default_certificate: Arn::from("arn:b"),
            certificates: [Arn::from("arn:a")].into(),
            ssl_policy: Some("ELBSecurityPolicy-2016-08".into()),
            mutual_authentication: None,
        })
    );
}

#[test]
fn client_certificates_that_nobody_asks_for_are_left_or_switched_off_as_the_gate_says() {
    let mutual = |is_open: bool| {
        let group = group_with(|manifests, _, settings| {
            https(manifests, &["arn:a"]);
            settings.gates.enhanced_default_behavior = is_open;
        });
        let tls = group.listeners[&443].spec.tls.clone();
        tls.unwrap().mutual_authentication.map(|it| it.mode)
    };
    assert_eq!(mutual(false), None);
    assert_eq!(mutual(true), Some(MutualMode::Off));
}

#[test]
fn a_rule_with_more_values_than_alb_takes_becomes_several_of_the_same_meaning() {
    let (mut manifests, facts) = (tutorial(), facts());
    let sources = (0..4).map(|n| format!("10.{n}.0.0/16")).collect();
    manifests.ingresses[0].options.rule.conditions.insert(
        "app1".into(),
        set(vec![value::Condition::SourceIp { values: sources }]),
    );
    let result = built(&manifests, &facts);
    let told: Vec<_> = result
        .problems
        .iter()
        .map(|it| (it.code.as_str(), it.severity))
        .collect();
    assert_eq!(told, [("split-rule", Severity::Warning)]);
    let group = &result.value.groups[GROUP];
    let rules = &group.listeners[&80].rules;
    assert!(rules.len() > 2, "{rules:?}");
    let parts: Vec<_> = rules.iter().filter(|rule| rule.whole.is_some()).collect();
    assert!(parts.len() > 1, "{rules:?}");
    let whole = parts[0].whole.clone();
    assert!(parts.iter().all(|part| part.whole == whole));
    let all =
        |source: &Condition| matches!(source, Condition::SourceIp { values } if values.len() == 4);
    assert!(whole.is_some_and(|whole| whole.iter().any(all)));
    assert!(
        parts
            .iter()
            .all(|part| !part.spec.conditions.iter().any(all))
    );
    assert!(
        rules.len() > parts.len(),
        "a rule that fits is none in parts"
    );
}

#[test]
fn a_range_is_sent_as_ec2_keeps_it() {
    let group = group_with(|manifests, facts, _| {
        for subnet in facts.subnets.iter_mut().flatten() {
            subnet.ipv6_cidrs.push("2001:db8:1::/64".to_owned());
        }
        let cidrs = ["192.0.2.77/24", "2001:DB8:0::1/48", "192.0.2.0/24"];
        manifests.ingresses[0].options.load_balancer.inbound_cidrs =
            Some(set(cidrs.map(str::to_owned).to_vec()));
        manifests.ingresses[0].options.load_balancer.ip_address_type =
            Some(set(IpAddressType::Dualstack));
    });
    let sources: Vec<_> = group
        .security_group
        .iter()
        .flat_map(|it| &it.ingress)
        .map(|it| &it.source)
        .collect();
    assert_eq!(
        sources,
        [
            &PermissionSource::Cidr("192.0.2.0/24".to_owned()),
            &PermissionSource::Ipv6Cidr("2001:db8::/48".to_owned()),
        ]
    );
}

#[test]
fn a_sign_in_names_its_secret_with_its_version_and_nothing_of_its_content() {
    let group = group_with(|manifests, facts, _| {
        https(manifests, &["arn:a"]);
        let auth = &mut manifests.ingresses[0].options.auth;
        auth.auth_type = Some(set(AuthType::Oidc));
        auth.idp_oidc = Some(set(OidcIdp {
            issuer: "https://issuer".into(),
            authorization_endpoint: "https://a".into(),
            token_endpoint: "https://t".into(),
            user_info_endpoint: "https://u".into(),
            secret_name: "client".into(),
            extra_params: BTreeMap::new(),
        }));
        let secret = SecretFact {
            labels: BTreeMap::new(),
            keys: ["clientID".to_owned(), "clientSecret".to_owned()].into(),
            resource_version: Some("42".into()),
        };
        facts.secrets = Some([("default/client".to_owned(), secret)].into());
    });
    let actions = &group.listeners[&443].rules[0].spec.actions;
    let RuleAction::AuthenticateOidc { client, .. } = &actions[0] else {
        panic!("{actions:?}");
    };
    assert_eq!(
        *client,
        Some(OidcClient {
            secret: SecretRef {
                namespace: "default".into(),
                name: "client".into(),
            },
            version: Some("42".into()),
        })
    );
}
