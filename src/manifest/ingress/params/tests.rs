use super::*;
use crate::manifest::{
    Checks, ParseOptions, parse,
    tests::{good, printed, snapshot},
};

/// Parameters whose spec is this, from line 5 on, column 3.
fn document(spec: &str) -> String {
    format!(
        "apiVersion: elbv2.k8s.aws/v1beta1\nkind: IngressClassParams\nmetadata: {{name: p}}\nspec:\n{spec}"
    )
}

fn spec(text: &str) -> IngressClassParamsSpec {
    good(&[("a.yaml", &document(text))]).params[0].spec.clone()
}

#[test]
fn every_field_is_read() {
    let spec = spec(
        "  loadBalancerName: lb
  certificateArn: ['arn:a', 'arn:b']
  namespaceSelector: {matchLabels: {a: b}, matchExpressions: [{key: k, operator: Inn, values: [v]}]}
  group: {name: ''}
  scheme: internet-facing
  inboundCIDRs: [10.0.0.0/8]
  sslPolicy: ELBSecurityPolicy-P
  sslRedirectPort: '443'
  subnets: {ids: [subnet-0a1b]}
  ipAddressType: dualstack
  tags: [{key: a, value: '1'}, {key: a, value: '2'}]
  targetType: ip
  loadBalancerAttributes: [{key: routing.http2.enabled, value: 'true'}]
  listeners: [{protocol: HTTPS, port: 443, listenerAttributes: []}, {}]
  minimumLoadBalancerCapacity: {capacityUnits: 100}
  ipamConfiguration: {ipv4IPAMPoolId: ''}
  PrefixListsIDs: [pl-1]
  wafv2AclArn: 'arn:w'
  wafv2AclName: w
",
    );
    let text = |field: &Option<Located<String>>| field.as_ref().map(|it| it.value.clone());
    assert_eq!(text(&spec.load_balancer_name).as_deref(), Some("lb"));
    assert_eq!(spec.certificate_arns.len(), 2);
    let selector = spec.namespace_selector.unwrap().value;
    assert_eq!(selector.match_labels["a"], "b");
    assert_eq!(selector.match_expressions[0].1, "Inn");
    assert_eq!(text(&spec.group).as_deref(), Some(""));
    assert_eq!(spec.scheme.unwrap().value, Scheme::InternetFacing);
    assert_eq!(spec.inbound_cidrs[0].value, "10.0.0.0/8");
    assert_eq!(
        text(&spec.ssl_policy).as_deref(),
        Some("ELBSecurityPolicy-P")
    );
    assert_eq!(text(&spec.ssl_redirect_port).as_deref(), Some("443"));
    assert_eq!(spec.subnets.unwrap().value.ids.unwrap(), ["subnet-0a1b"]);
    assert_eq!(
        spec.ip_address_type.unwrap().value,
        IpAddressType::Dualstack
    );
    assert_eq!(spec.tags.len(), 2);
    assert_eq!(spec.target_type.unwrap().value, TargetType::Ip);
    assert_eq!(
        spec.load_balancer_attributes,
        [("routing.http2.enabled".to_owned(), "true".to_owned())]
    );
    assert_eq!((spec.listeners[0].port, spec.listeners[1].port), (443, 0));
    assert_eq!(spec.minimum_capacity_units.unwrap().value, 100);
    assert_eq!(text(&spec.ipam_ipv4_pool_id).as_deref(), Some(""));
    assert_eq!(spec.prefix_lists[0].value, "pl-1");
    assert_eq!(text(&spec.wafv2_acl_arn).as_deref(), Some("arn:w"));
    assert_eq!(text(&spec.wafv2_acl_name).as_deref(), Some("w"));
}

#[test]
fn empty_parts_are_nothing() {
    let spec = spec("  certificateArn: []\n  ipamConfiguration: {}\n  inboundCIDRs: []\n");
    assert_eq!(spec, IngressClassParamsSpec::default());
    assert_eq!(
        good(&[("a.yaml", &document("  {}\n"))]).params[0].spec,
        IngressClassParamsSpec::default()
    );
}

#[test]
fn what_the_schema_refuses_is_a_problem() {
    let table = [
        (
            "  scheme: public\n",
            "5:11: problem[bad-value]: IngressClassParams p: spec.scheme cannot be \"public\"; it is one of internal, internet-facing",
        ),
        (
            "  ipAddressType: ipv6\n",
            "5:18: problem[bad-value]: IngressClassParams p: spec.ipAddressType cannot be \"ipv6\"; it is one of ipv4, dualstack, dualstack-without-public-ipv4",
        ),
        (
            "  targetType: pod\n",
            "5:15: problem[bad-value]: IngressClassParams p: spec.targetType cannot be \"pod\"; it is one of instance, ip",
        ),
        (
            "  sslRedirectPort: 443\n",
            "5:20: problem[wrong-type]: IngressClassParams p: spec.sslRedirectPort must be text, not `443`; put it in quotes",
        ),
        (
            "  subnets: {ids: []}\n",
            "5:18: problem[bad-value]: IngressClassParams p: spec.subnets.ids is empty; it holds at least one",
        ),
        (
            "  subnets: {ids: [subnet-XY]}\n",
            "5:19: problem[bad-value]: IngressClassParams p: spec.subnets.ids cannot hold \"subnet-XY\"; ids are `subnet-` and hexadecimal digits",
        ),
        (
            "  prefixListsIDs: [pl-1]\n  PrefixListsIDs: [pl-2]\n",
            "6:3: problem[bad-value]: IngressClassParams p: spec has both prefixListsIDs and PrefixListsIDs; keep prefixListsIDs (see also a.yaml:5:3)",
        ),
        (
            "  group: {}\n",
            "5:10: problem[missing-field]: IngressClassParams p: spec.group.name is missing",
        ),
        (
            "  tags: [{key: a}]\n",
            "5:10: problem[missing-field]: IngressClassParams p: spec.tags[0].value is missing",
        ),
        (
            "  minimumLoadBalancerCapacity: {capacityUnits: 1.5}\n",
            "5:48: problem[bad-value]: IngressClassParams p: spec.minimumLoadBalancerCapacity.capacityUnits must be a whole number from -2147483648 to 2147483647, not 1.5",
        ),
        (
            "  certificateArns: ['arn:a']\n",
            "5:3: problem[unknown-field]: IngressClassParams p: there is no field spec.certificateArns; did you mean \"certificateArn\"?",
        ),
        (
            "  namespaceSelector: {matchExpressions: [{key: a}]}\n",
            "5:42: problem[missing-field]: IngressClassParams p: spec.namespaceSelector.matchExpressions[0].operator is missing",
        ),
    ];
    for (text, wanted) in table {
        let text = document(text);
        assert_eq!(printed(&[("a.yaml", &text)]), [format!("a.yaml:{wanted}")]);
        let options = ParseOptions {
            checks: Checks::Lbc,
            ..ParseOptions::default()
        };
        // Unknown fields are dropped by the API server; kubectl refuses them.
        assert_eq!(
            parse(&snapshot(&[("a.yaml", &text)]), &options).is_rejected(),
            !wanted.contains("unknown-field")
        );
    }
}

#[test]
fn what_only_the_webhook_refuses_may_be_lowered() {
    let table = [
        (
            "  subnets: {}\n",
            "spec.subnets is empty and selects every subnet; write ids or tags, or leave it out",
        ),
        (
            "  subnets: {ids: [subnet-1], tags: {a: [b]}}\n",
            "spec.subnets has ids and tags; keep one of them",
        ),
        (
            "  subnets: {ids: [subnet-1, subnet-1]}\n",
            "spec.subnets.ids names subnet-1 twice; keep one of them",
        ),
        (
            "  subnets: {tags: {a: [b, b]}}\n",
            "spec.subnets.tags.a names \"b\" twice; keep one of them",
        ),
        (
            "  subnets: {tags: {}}\n",
            "spec.subnets.tags is empty and selects every subnet; write a tag, or leave it out",
        ),
        (
            "  inboundCIDRs: [192.0.2.1/24]\n",
            "spec.inboundCIDRs[0] is \"192.0.2.1/24\", which has bits behind its length; write 192.0.2.0/24",
        ),
    ];
    for (text, wanted) in table {
        let text = document(text);
        let found = printed(&[("a.yaml", &text)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("odd-params") && found[0].ends_with(wanted),
            "{found:?}"
        );
        let options = ParseOptions {
            checks: Checks::Lbc,
            ..ParseOptions::default()
        };
        assert!(!parse(&snapshot(&[("a.yaml", &text)]), &options).is_rejected());
    }
}
