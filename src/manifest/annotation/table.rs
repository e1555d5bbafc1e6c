//! The rows of the table (ingress-model.md §2): every annotation that LBC 3.5 reads.

use super::{
    Annotation, Grammar, Merge, On, action, auth, condition, limit, listener,
    options::{AuthType, HealthCheckPort, IngressOptions},
    read::{self, Read, Reading},
    value::{IpAddressType, Protocol, ProtocolVersion, Scheme, TargetType},
};
use crate::problem::codes;

#[allow(
    clippy::too_many_arguments,
    reason = "the columns of a table; each row is one line"
)]
const fn row(
    name: &'static str,
    on: On,
    grammar: Grammar,
    default: &'static str,
    merge: Merge,
    doc: &'static str,
    example: &'static str,
    read: fn(&mut Reading<'_>, &mut IngressOptions),
) -> Annotation {
    Annotation {
        name,
        is_family: false,
        on,
        grammar,
        default,
        merge,
        doc,
        example,
        read,
    }
}

const fn family(row: Annotation) -> Annotation {
    Annotation {
        is_family: true,
        ..row
    }
}

/// Its range is part of its grammar: a bad one stops the whole group (ingress-model.md §1.3).
fn group_order(it: &mut Reading<'_>) -> Read<i32> {
    it.setting(|text, _| {
        super::grammar::int32(text)
            .ok()
            .filter(|order| (-1000..=1000).contains(order))
            .ok_or_else(|| "it is a whole number from -1000 to 1000".to_owned())
    })
}

/// A number of any size that an int32 holds, `traffic-port` exactly, or a name to look up (ingress-model.md §15.4).
fn health_check_port(it: &mut Reading<'_>) -> Read<HealthCheckPort> {
    let setting = it.setting(|text, _| {
        Ok(match (text, super::grammar::int32(text)) {
            ("traffic-port", _) => HealthCheckPort::TrafficPort,
            (_, Ok(number)) => HealthCheckPort::Number(number),
            _ => HealthCheckPort::Name(text.to_owned()),
        })
    });
    it.limited(setting, |port| match port {
        HealthCheckPort::Number(number) if !(1..=65_535).contains(number) => {
            vec!["it is a port from 1 to 65535, a port's name or traffic-port".to_owned()]
        }
        _ => Vec::new(),
    })
}

fn session_timeout(it: &mut Reading<'_>) -> Read<i64> {
    const EXPECTED: &str = "it is a number of seconds from 1 to 604800";
    let setting =
        it.setting(|text, _| super::grammar::int64(text).map_err(|_| EXPECTED.to_owned()));
    it.limited(setting, |seconds| {
        if (1..=604_800).contains(seconds) {
            return Vec::new();
        }
        vec![EXPECTED.to_owned()]
    })
}

fn port_mapping(it: &mut Reading<'_>) -> Read<super::options::Map> {
    let setting = it.map();
    it.limited(setting, limit::port_mapping)
}

/// Read only where the newer name is absent (ingress-model.md §2.7).
fn older_waf_acl_id(it: &mut Reading<'_>, to: &mut IngressOptions) {
    let older = it.text();
    to.add_on.waf_acl_id = to.add_on.waf_acl_id.take().or(older);
}

fn written_by_lbc(it: &mut Reading<'_>) {
    let message = format!("the annotation {} is written by LBC itself", it.given.key);
    it.beyond(
        codes::MISPLACED_ANNOTATION,
        message,
        Some("remove it".to_owned()),
    );
}

use Grammar::{Boolean, Int32, Int64, Json, List, Map, OneOf, Port, Text};
use Merge::{Either, Exclusive, ExclusivePerPort, Joined, Own, PerKey};
use On::{Both, Ingress};

const SCHEMES: &[&str] = Scheme::WORDS;
const ADDRESS_TYPES: &[&str] = IpAddressType::WORDS;

/// All rows, by aspect; one line each, so that it reads as the table it is.
#[rustfmt::skip]
pub const TABLE: &[Annotation] = &[
    // Grouping
    row("group.name", Ingress, Text, "a group of its own", Exclusive, "Joins the Ingress to the balancer that all members of the group share.", "shop", |it, to| to.group.name = it.text()),
    row("group.order", Ingress, Int32, "0", Own, "Place of the Ingress's rules in its group, from -1000 to 1000, lower first.", "10", |it, to| to.group.order = group_order(it)),
    // Load balancer
    row("load-balancer-name", Ingress, Text, "generated", Exclusive, "Name of the load balancer, up to 32 characters, used at creation only.", "shop", |it, to| to.load_balancer.name = it.text_that(limit::load_balancer_name, "it has 1 to 32 letters, digits and inner `-`, and does not begin with `internal-`")),
    row("scheme", Ingress, OneOf(SCHEMES), "internal", Exclusive, "Whether the load balancer is reachable from the internet; a change replaces it.", "internet-facing", |it, to| to.load_balancer.scheme = it.word(Scheme::from_word)),
    row("ip-address-type", Ingress, OneOf(ADDRESS_TYPES), "ipv4", Exclusive, "Address families of the load balancer.", "dualstack", |it, to| to.load_balancer.ip_address_type = it.word(IpAddressType::from_word)),
    row("subnets", Ingress, List, "discovered by tags", Exclusive, "Subnets by id or by the value of their tag Name.", "subnet-0a1b, subnet-0c2d", |it, to| to.load_balancer.subnets = it.list()),
    row("customer-owned-ipv4-pool", Ingress, Text, "none", Exclusive, "Pool of customer-owned addresses on an Outpost.", "ipv4pool-coip-0a1b", |it, to| to.load_balancer.customer_owned_ipv4_pool = it.text()),
    row("ipam-ipv4-pool-id", Ingress, Text, "none", Exclusive, "IPAM pool for public addresses.", "ipam-pool-0a1b", |it, to| to.load_balancer.ipam_ipv4_pool_id = it.text()),
    row("load-balancer-attributes", Ingress, Map, "none", PerKey, "Attributes of the load balancer.", "access_logs.s3.enabled=true,access_logs.s3.bucket=logs,access_logs.s3.prefix=shop", |it, to| to.load_balancer.attributes = read::load_balancer_attributes(it)),
    row("minimum-load-balancer-capacity", Ingress, Map, "none", PerKey, "Capacity to reserve; 0 resets.", "CapacityUnits=100", |it, to| to.load_balancer.minimum_capacity = it.map()),
    row("tags", Both, Map, "none", PerKey, "Tags on all that the Ingress owns; on a Service, on its target groups.", "team=shop,cost-center=42", |it, to| to.tags = read::tags(it)),
    row("security-groups", Ingress, List, "one that we manage", Exclusive, "Security groups by id or by the value of their tag Name, in place of the managed one. In a name `*` is any text and `?` one character, unless a backslash stands before it; as many different names must be found as are given.", "sg-0a1b", |it, to| to.load_balancer.security_groups = it.list()),
    row("manage-backend-security-group-rules", Ingress, Boolean, "false", Exclusive, "Whether permissions of the nodes are managed although security-groups is given.", "true", |it, to| to.load_balancer.manage_backend_security_group_rules = it.boolean()),
    row("inbound-cidrs", Ingress, List, "0.0.0.0/0", ExclusivePerPort, "Who may reach the listeners.", "10.0.0.0/8, 192.0.2.0/24", |it, to| to.load_balancer.inbound_cidrs = limit::cidrs(it)),
    row("security-group-prefix-lists", Ingress, List, "none", ExclusivePerPort, "Prefix lists that may reach the listeners.", "pl-0a1b", |it, to| to.load_balancer.security_group_prefix_lists = it.list_of("pl-", "prefix list")),
    // Listeners and TLS
    row("listen-ports", Ingress, Json, "[{\"HTTP\":80}]", Joined, "Ports and protocols to listen on.", "[{\"HTTP\":80},{\"HTTPS\":443}]", |it, to| to.listener.listen_ports = listener::listen_ports(it)),
    row("ssl-redirect", Ingress, Int32, "none", Exclusive, "HTTPS port to which all HTTP requests of the group are redirected.", "443", |it, to| to.listener.ssl_redirect = it.port()),
    row("certificate-arn", Ingress, List, "discovered by host", Joined, "Certificates of the HTTPS listeners.", "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b", |it, to| to.listener.certificate_arns = it.list_of("arn:", "certificate's ARN")),
    row("ssl-policy", Ingress, Text, "ELBSecurityPolicy-2016-08", ExclusivePerPort, "TLS policy of the HTTPS listeners.", "ELBSecurityPolicy-TLS13-1-2-2021-06", |it, to| to.listener.ssl_policy = it.text_that(|text| text.starts_with("ELBSecurityPolicy-"), "names of policies begin with `ELBSecurityPolicy-`")),
    row("mutual-authentication", Ingress, Json, "none", ExclusivePerPort, "Mutual TLS by port.", "[{\"port\":443,\"mode\":\"passthrough\"}]", |it, to| to.listener.mutual_authentication = listener::mutual_authentication(it)),
    family(row("listener-attributes.", Ingress, Map, "none", PerKey, "Attributes of the listener PROTOCOL-PORT.", "routing.http.response.server.enabled=false", |it, to| it.keep(&mut to.listener.attributes, read::listener_attributes))),
    row("create-acm-cert", Ingress, Boolean, "false", Own, "Asks ACM for a certificate of the Ingress's hosts.", "true", |it, to| to.listener.create_acm_cert = read::lenient_boolean(it)),
    row("acm-pca-arn", Ingress, Text, "none", Own, "Private CA that signs the certificate.", "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/0a1b", |it, to| to.listener.acm_pca_arn = it.text_that(|text| text.is_empty() || text.starts_with("arn:"), "it is the ARN of an authority, which begins with `arn:`")),
    // Rules and actions
    family(row("actions.", Ingress, Json, "none", Own, "The action of the backend of that name, whose port is use-annotation.", "{\"type\":\"fixed-response\",\"fixedResponseConfig\":{\"statusCode\":\"503\"}}", |it, to| it.keep(&mut to.rule.actions, action::action))),
    family(row("conditions.", Ingress, Json, "none", Own, "Further conditions of all paths to the Service of that name.", "[{\"field\":\"source-ip\",\"sourceIpConfig\":{\"values\":[\"10.0.0.0/8\"]}}]", |it, to| it.keep(&mut to.rule.conditions, condition::conditions))),
    family(row("transforms.", Ingress, Json, "none", Own, "Rewrites of all paths to the Service of that name.", "[{\"type\":\"url-rewrite\",\"urlRewriteConfig\":{\"rewrites\":[{\"regex\":\"^/a\",\"replace\":\"/\"}]}}]", |it, to| it.keep(&mut to.rule.transforms, condition::transforms))),
    row("use-regex-path-match", Ingress, Boolean, "false", Own, "Reads ImplementationSpecific paths as regular expressions.", "true", |it, to| to.rule.use_regex_path_match = it.boolean()),
    row("jwt-validation", Ingress, Json, "none", Own, "Checks JSON web tokens on all HTTPS rules.", "{\"issuer\":\"https://example.com\",\"jwksEndpoint\":\"https://example.com/jwks\"}", |it, to| to.rule.jwt_validation = auth::jwt(it)),
    // Authentication
    row("auth-type", Both, OneOf(AuthType::WORDS), "none", Own, "How users sign in.", "oidc", |it, to| to.auth.auth_type = it.word(AuthType::from_word)),
    row("auth-idp-cognito", Both, Json, "none", Own, "The Cognito user pool.", "{\"userPoolARN\":\"arn\",\"userPoolClientID\":\"id\",\"userPoolDomain\":\"domain\"}", |it, to| to.auth.idp_cognito = auth::cognito(it)),
    row("auth-idp-oidc", Both, Json, "none", Own, "The OIDC provider.", "{\"issuer\":\"https://example.com\",\"authorizationEndpoint\":\"https://example.com/authorize\",\"tokenEndpoint\":\"https://example.com/token\",\"userInfoEndpoint\":\"https://example.com/user\",\"secretName\":\"oidc\"}", |it, to| to.auth.idp_oidc = auth::oidc(it)),
    row("auth-on-unauthenticated-request", Both, Text, "authenticate", Own, "What happens to users that have not signed in.", "deny", |it, to| to.auth.on_unauthenticated_request = it.word_of(&["allow", "authenticate", "deny"])),
    row("auth-scope", Both, Text, "openid", Own, "Scopes that are asked for.", "email openid", |it, to| to.auth.scope = it.text_that(|text| !text.is_empty(), "it names at least one scope, as openid")),
    row("auth-session-cookie", Both, Text, "AWSELBAuthSessionCookie", Own, "Name of the session's cookie.", "session", |it, to| to.auth.session_cookie = it.text_that(|text| !text.is_empty(), "it is a cookie's name")),
    row("auth-session-timeout", Both, Int64, "604800", Own, "Seconds until users must sign in again.", "86400", |it, to| to.auth.session_timeout = session_timeout(it)),
    // Target groups
    row("target-type", Both, OneOf(TargetType::WORDS), "instance", Own, "Whether targets are nodes or pods.", "instance", |it, to| to.target_group.target_type = it.word(TargetType::from_word)),
    row("backend-protocol", Both, OneOf(Protocol::WORDS), "HTTP", Own, "Protocol to the targets.", "HTTPS", |it, to| to.target_group.backend_protocol = it.word(Protocol::from_word)),
    row("backend-protocol-version", Both, OneOf(ProtocolVersion::WORDS), "HTTP1", Own, "Version of HTTP to the targets.", "GRPC", |it, to| to.target_group.backend_protocol_version = it.word(ProtocolVersion::from_word)),
    row("target-group-attributes", Both, Map, "none", Own, "Attributes of the target groups.", "deregistration_delay.timeout_seconds=30", |it, to| to.target_group.attributes = read::target_group_attributes(it)),
    row("healthcheck-port", Both, Port, "traffic-port", Own, "Port of the health check.", "8080", |it, to| to.target_group.health_check_port = health_check_port(it)),
    row("healthcheck-protocol", Both, OneOf(Protocol::WORDS), "that of the backend", Own, "Protocol of the health check.", "HTTPS", |it, to| to.target_group.health_check_protocol = it.word(Protocol::from_word)),
    row("healthcheck-path", Both, Text, "/", Own, "Path of the health check.", "/healthz", |it, to| to.target_group.health_check_path = read::health_check_path(it)),
    row("healthcheck-interval-seconds", Both, Int32, "15", Own, "Seconds between health checks.", "30", |it, to| to.target_group.health_check_interval_seconds = it.int32_in(5..=300)),
    row("healthcheck-timeout-seconds", Both, Int32, "5", Own, "Seconds until a health check fails.", "10", |it, to| to.target_group.health_check_timeout_seconds = it.int32_in(2..=120)),
    row("healthy-threshold-count", Both, Int32, "2", Own, "Successes in a row that make a target healthy.", "3", |it, to| to.target_group.healthy_threshold_count = it.int32_in(2..=10)),
    row("unhealthy-threshold-count", Both, Int32, "2", Own, "Failures in a row that make a target unhealthy.", "3", |it, to| to.target_group.unhealthy_threshold_count = it.int32_in(2..=10)),
    row("success-codes", Both, Text, "200", Own, "Answers that count as success.", "200-299", |it, to| to.target_group.success_codes = it.text_that(limit::is_matcher, "it is codes and ranges such as 200,204 or 200-299: 200 to 499, of gRPC 0 to 99")),
    row("target-node-labels", Both, Map, "none", Own, "Labels of the nodes that become targets.", "pool=web", |it, to| to.target_group.node_labels = it.map()),
    row("multi-cluster-target-group", Both, Boolean, "false", Either, "Leaves targets of other clusters in the target groups.", "true", |it, to| to.target_group.multi_cluster = it.boolean()),
    family(row("target-control-port.", Both, Int32, "none", Own, "Port of the target optimizer for SERVICE.PORT.", "3000", |it, to| it.keep(&mut to.target_group.control_ports, Reading::port))),
    // Add-ons
    row("wafv2-acl-arn", Ingress, Text, "none", Exclusive, "WAFv2 web ACL; `none` takes it off.", "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/shop/0a1b", |it, to| to.add_on.wafv2_acl_arn = it.text_that(|text| matches!(text, "" | "none") || text.starts_with("arn:"), "it is an ARN, or none")),
    row("wafv2-acl-name", Ingress, Text, "none", Exclusive, "WAFv2 web ACL by name.", "shop", |it, to| to.add_on.wafv2_acl_name = it.text()),
    row("waf-acl-id", Ingress, Text, "none", Exclusive, "WAF Classic web ACL.", "0a1b2c3d", |it, to| to.add_on.waf_acl_id = it.text()),
    row("web-acl-id", Ingress, Text, "none", Exclusive, "Older name of waf-acl-id.", "0a1b2c3d", older_waf_acl_id),
    row("shield-advanced-protection", Ingress, Boolean, "not managed", Exclusive, "Shield Advanced on the load balancer.", "true", |it, to| to.add_on.shield_advanced_protection = it.boolean()),
    // Frontend NLB
    row("enable-frontend-nlb", Ingress, Boolean, "false", Exclusive, "Puts a network load balancer in front.", "true", |it, to| to.frontend_nlb.enable = it.boolean()),
    row("frontend-nlb-scheme", Ingress, OneOf(SCHEMES), "internal", Exclusive, "Scheme of the network load balancer.", "internet-facing", |it, to| to.frontend_nlb.scheme = it.word(Scheme::from_word)),
    row("frontend-nlb-subnets", Ingress, List, "discovered by tags", Exclusive, "Subnets of the network load balancer.", "subnet-0a1b", |it, to| to.frontend_nlb.subnets = it.list()),
    row("frontend-nlb-security-groups", Ingress, List, "those of the load balancer", Exclusive, "Security groups of the network load balancer, by id or name as in security-groups.", "sg-0a1b", |it, to| to.frontend_nlb.security_groups = it.list()),
    row("frontend-nlb-listener-port-mapping", Ingress, Map, "port by port", Joined, "Ports of the network load balancer to ports of the load balancer.", "80=443", |it, to| to.frontend_nlb.listener_port_mapping = port_mapping(it)),
    row("frontend-nlb-eip-allocations", Ingress, List, "none", Exclusive, "Elastic addresses of the network load balancer.", "eipalloc-0a1b", |it, to| to.frontend_nlb.eip_allocations = it.list()),
    row("frontend-nlb-healthcheck-port", Ingress, Port, "traffic-port", Joined, "Port of its health check.", "80", |it, to| to.frontend_nlb.health_check_port = it.text()),
    row("frontend-nlb-healthcheck-protocol", Ingress, OneOf(Protocol::WORDS), "HTTP", Joined, "Protocol of its health check.", "HTTP", |it, to| to.frontend_nlb.health_check_protocol = it.text()),
    row("frontend-nlb-healthcheck-path", Ingress, Text, "/", Joined, "Path of its health check.", "/healthz", |it, to| to.frontend_nlb.health_check_path = read::health_check_path(it)),
    row("frontend-nlb-healthcheck-interval-seconds", Ingress, Int32, "15", Joined, "Seconds between its health checks.", "30", |it, to| to.frontend_nlb.health_check_interval_seconds = it.int32_in(5..=300)),
    row("frontend-nlb-healthcheck-timeout-seconds", Ingress, Int32, "5", Joined, "Seconds until its health check fails.", "10", |it, to| to.frontend_nlb.health_check_timeout_seconds = it.int32_in(2..=120)),
    row("frontend-nlb-healthcheck-healthy-threshold-count", Ingress, Int32, "2", Joined, "Successes that make its target healthy.", "3", |it, to| to.frontend_nlb.health_check_healthy_threshold_count = it.int32_in(2..=10)),
    row("frontend-nlb-healthcheck-unhealthy-threshold-count", Ingress, Int32, "2", Joined, "Failures that make its target unhealthy.", "3", |it, to| to.frontend_nlb.health_check_unhealthy_threshold_count = it.int32_in(2..=10)),
    row("frontend-nlb-healthcheck-success-codes", Ingress, Text, "200", Joined, "Answers that count as success.", "200-399", |it, to| to.frontend_nlb.health_check_success_codes = it.text_that(limit::is_matcher, "it is codes and ranges such as 200,204 or 200-399")),
    row("frontend-nlb-tags", Ingress, Map, "those of the load balancer", Exclusive, "Tags of the network load balancer.", "team=shop", |it, to| to.frontend_nlb.tags = read::tags(it)),
    row("frontend-nlb-attributes", Ingress, Map, "none", Exclusive, "Attributes of the network load balancer.", "deletion_protection.enabled=true", |it, to| to.frontend_nlb.attributes = it.map()),
    // Written by LBC
    row("dry-run-plan", Ingress, Json, "none", Own, "LBC writes its model here; remove it from git.", "{}", |it, _| written_by_lbc(it)),
];
