//! The rows of the table (ingress-model.md §2): every annotation that LBC 3.5 reads.

use super::{
    Annotation, Grammar, Merge, On,
    parse::{healthcheck_path, load_balancer_attributes, scheme, tags, target_type},
};

const fn row(
    name: &'static str,
    on: On,
    grammar: Grammar,
    default: &'static str,
    merge: Merge,
    doc: &'static str,
    example: &'static str,
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
        read: None,
    }
}

const fn family(row: Annotation) -> Annotation {
    Annotation {
        is_family: true,
        ..row
    }
}

const fn served(row: Annotation, read: super::Read) -> Annotation {
    Annotation {
        read: Some(read),
        ..row
    }
}

use Grammar::{Boolean, Int32, Int64, Json, List, Map, OneOf, Port, Text};
use Merge::{Either, Exclusive, ExclusivePerPort, Joined, Own, PerKey};
use On::{Both, Ingress};

const SCHEMES: &[&str] = &["internal", "internet-facing"];
const ADDRESS_TYPES: &[&str] = &["ipv4", "dualstack", "dualstack-without-public-ipv4"];

/// All rows, by aspect; one line each, so that it reads as the table it is.
#[rustfmt::skip]
pub const TABLE: &[Annotation] = &[
    // Grouping
    row("group.name", Ingress, Text, "a group of its own", Exclusive, "Joins the Ingress to the balancer that all members of the group share.", "shop"),
    row("group.order", Ingress, Int32, "0", Own, "Place of the Ingress's rules in its group, from -1000 to 1000, lower first.", "10"),
    // Load balancer
    row("load-balancer-name", Ingress, Text, "generated", Exclusive, "Name of the load balancer, up to 32 characters, used at creation only.", "shop"),
    served(row("scheme", Ingress, OneOf(SCHEMES), "internal", Exclusive, "Whether the load balancer is reachable from the internet; a change replaces it.", "internet-facing"), scheme),
    row("ip-address-type", Ingress, OneOf(ADDRESS_TYPES), "ipv4", Exclusive, "Address families of the load balancer.", "dualstack"),
    row("subnets", Ingress, List, "discovered by tags", Exclusive, "Subnets by id or by the value of their tag Name.", "subnet-0a1b, subnet-0c2d"),
    row("customer-owned-ipv4-pool", Ingress, Text, "none", Exclusive, "Pool of customer-owned addresses on an Outpost.", "ipv4pool-coip-0a1b"),
    row("ipam-ipv4-pool-id", Ingress, Text, "none", Exclusive, "IPAM pool for public addresses.", "ipam-pool-0a1b"),
    served(row("load-balancer-attributes", Ingress, Map, "none", PerKey, "Attributes of the load balancer.", "access_logs.s3.enabled=true,access_logs.s3.bucket=logs,access_logs.s3.prefix=shop"), load_balancer_attributes),
    row("minimum-load-balancer-capacity", Ingress, Map, "none", PerKey, "Capacity to reserve; 0 resets.", "CapacityUnits=100"),
    served(row("tags", Both, Map, "none", PerKey, "Tags on all that the Ingress owns; on a Service, on its target groups.", "team=shop,cost-center=42"), tags),
    row("security-groups", Ingress, List, "one that we manage", Exclusive, "Security groups by id or by the value of their tag Name, in place of the managed one.", "sg-0a1b"),
    row("manage-backend-security-group-rules", Ingress, Boolean, "false", Exclusive, "Whether permissions of the nodes are managed although security-groups is given.", "true"),
    row("inbound-cidrs", Ingress, List, "0.0.0.0/0", ExclusivePerPort, "Who may reach the listeners.", "10.0.0.0/8, 192.0.2.0/24"),
    row("security-group-prefix-lists", Ingress, List, "none", ExclusivePerPort, "Prefix lists that may reach the listeners.", "pl-0a1b"),
    // Listeners and TLS
    row("listen-ports", Ingress, Json, "[{\"HTTP\":80}]", Joined, "Ports and protocols to listen on.", "[{\"HTTP\":80},{\"HTTPS\":443}]"),
    row("ssl-redirect", Ingress, Int32, "none", Exclusive, "HTTPS port to which all HTTP requests of the group are redirected.", "443"),
    row("certificate-arn", Ingress, List, "discovered by host", Joined, "Certificates of the HTTPS listeners.", "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b"),
    row("ssl-policy", Ingress, Text, "ELBSecurityPolicy-2016-08", ExclusivePerPort, "TLS policy of the HTTPS listeners.", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
    row("mutual-authentication", Ingress, Json, "none", ExclusivePerPort, "Mutual TLS by port.", "[{\"port\":443,\"mode\":\"passthrough\"}]"),
    family(row("listener-attributes.", Ingress, Map, "none", PerKey, "Attributes of the listener PROTOCOL-PORT.", "routing.http.response.server.enabled=false")),
    row("create-acm-cert", Ingress, Boolean, "false", Own, "Asks ACM for a certificate of the Ingress's hosts.", "true"),
    row("acm-pca-arn", Ingress, Text, "none", Own, "Private CA that signs the certificate.", "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/0a1b"),
    // Rules and actions
    family(row("actions.", Ingress, Json, "none", Own, "The action of the backend of that name, whose port is use-annotation.", "{\"type\":\"fixed-response\",\"fixedResponseConfig\":{\"statusCode\":\"503\"}}")),
    family(row("conditions.", Ingress, Json, "none", Own, "Further conditions of all paths to the Service of that name.", "[{\"field\":\"source-ip\",\"sourceIpConfig\":{\"values\":[\"10.0.0.0/8\"]}}]")),
    family(row("transforms.", Ingress, Json, "none", Own, "Rewrites of all paths to the Service of that name.", "[{\"type\":\"url-rewrite\",\"urlRewriteConfig\":{\"rewrites\":[{\"regex\":\"^/a\",\"replace\":\"/\"}]}}]")),
    row("use-regex-path-match", Ingress, Boolean, "false", Own, "Reads ImplementationSpecific paths as regular expressions.", "true"),
    row("jwt-validation", Ingress, Json, "none", Own, "Checks JSON web tokens on all HTTPS rules.", "{\"issuer\":\"https://example.com\",\"jwksEndpoint\":\"https://example.com/jwks\"}"),
    // Authentication
    row("auth-type", Both, OneOf(&["none", "oidc", "cognito"]), "none", Own, "How users sign in.", "oidc"),
    row("auth-idp-cognito", Both, Json, "none", Own, "The Cognito user pool.", "{\"userPoolARN\":\"arn\",\"userPoolClientID\":\"id\",\"userPoolDomain\":\"domain\"}"),
    row("auth-idp-oidc", Both, Json, "none", Own, "The OIDC provider.", "{\"issuer\":\"https://example.com\",\"secretName\":\"oidc\"}"),
    row("auth-on-unauthenticated-request", Both, Text, "authenticate", Own, "What happens to users that have not signed in.", "deny"),
    row("auth-scope", Both, Text, "openid", Own, "Scopes that are asked for.", "email openid"),
    row("auth-session-cookie", Both, Text, "AWSELBAuthSessionCookie", Own, "Name of the session's cookie.", "session"),
    row("auth-session-timeout", Both, Int64, "604800", Own, "Seconds until users must sign in again.", "86400"),
    // Target groups
    served(row("target-type", Both, OneOf(&["instance", "ip"]), "instance", Own, "Whether targets are nodes or pods.", "instance"), target_type),
    row("backend-protocol", Both, OneOf(&["HTTP", "HTTPS"]), "HTTP", Own, "Protocol to the targets.", "HTTPS"),
    row("backend-protocol-version", Both, OneOf(&["HTTP1", "HTTP2", "GRPC"]), "HTTP1", Own, "Version of HTTP to the targets.", "GRPC"),
    row("target-group-attributes", Both, Map, "none", Own, "Attributes of the target groups.", "deregistration_delay.timeout_seconds=30"),
    row("healthcheck-port", Both, Port, "traffic-port", Own, "Port of the health check.", "8080"),
    row("healthcheck-protocol", Both, OneOf(&["HTTP", "HTTPS"]), "that of the backend", Own, "Protocol of the health check.", "HTTPS"),
    served(row("healthcheck-path", Both, Text, "/", Own, "Path of the health check.", "/healthz"), healthcheck_path),
    row("healthcheck-interval-seconds", Both, Int32, "15", Own, "Seconds between health checks.", "30"),
    row("healthcheck-timeout-seconds", Both, Int32, "5", Own, "Seconds until a health check fails.", "10"),
    row("healthy-threshold-count", Both, Int32, "2", Own, "Successes in a row that make a target healthy.", "3"),
    row("unhealthy-threshold-count", Both, Int32, "2", Own, "Failures in a row that make a target unhealthy.", "3"),
    row("success-codes", Both, Text, "200", Own, "Answers that count as success.", "200-299"),
    row("target-node-labels", Both, Map, "none", Own, "Labels of the nodes that become targets.", "pool=web"),
    row("multi-cluster-target-group", Both, Boolean, "false", Either, "Leaves targets of other clusters in the target groups.", "true"),
    family(row("target-control-port.", Both, Int32, "none", Own, "Port of the target optimizer for SERVICE.PORT.", "3000")),
    // Add-ons
    row("wafv2-acl-arn", Ingress, Text, "none", Exclusive, "WAFv2 web ACL; `none` takes it off.", "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/shop/0a1b"),
    row("wafv2-acl-name", Ingress, Text, "none", Exclusive, "WAFv2 web ACL by name.", "shop"),
    row("waf-acl-id", Ingress, Text, "none", Exclusive, "WAF Classic web ACL.", "0a1b2c3d"),
    row("web-acl-id", Ingress, Text, "none", Exclusive, "Older name of waf-acl-id.", "0a1b2c3d"),
    row("shield-advanced-protection", Ingress, Boolean, "not managed", Exclusive, "Shield Advanced on the load balancer.", "true"),
    // Frontend NLB
    row("enable-frontend-nlb", Ingress, Boolean, "false", Exclusive, "Puts a network load balancer in front.", "true"),
    row("frontend-nlb-scheme", Ingress, OneOf(SCHEMES), "internal", Exclusive, "Scheme of the network load balancer.", "internet-facing"),
    row("frontend-nlb-subnets", Ingress, List, "discovered by tags", Exclusive, "Subnets of the network load balancer.", "subnet-0a1b"),
    row("frontend-nlb-security-groups", Ingress, List, "those of the load balancer", Exclusive, "Security groups of the network load balancer.", "sg-0a1b"),
    row("frontend-nlb-listener-port-mapping", Ingress, Map, "port by port", Joined, "Ports of the network load balancer to ports of the load balancer.", "80=443"),
    row("frontend-nlb-eip-allocations", Ingress, List, "none", Exclusive, "Elastic addresses of the network load balancer.", "eipalloc-0a1b"),
    row("frontend-nlb-healthcheck-port", Ingress, Port, "traffic-port", Joined, "Port of its health check.", "80"),
    row("frontend-nlb-healthcheck-protocol", Ingress, OneOf(&["HTTP", "HTTPS"]), "HTTP", Joined, "Protocol of its health check.", "HTTP"),
    row("frontend-nlb-healthcheck-path", Ingress, Text, "/", Joined, "Path of its health check.", "/healthz"),
    row("frontend-nlb-healthcheck-interval-seconds", Ingress, Int32, "15", Joined, "Seconds between its health checks.", "30"),
    row("frontend-nlb-healthcheck-timeout-seconds", Ingress, Int32, "5", Joined, "Seconds until its health check fails.", "10"),
    row("frontend-nlb-healthcheck-healthy-threshold-count", Ingress, Int32, "3", Joined, "Successes that make its target healthy.", "3"),
    row("frontend-nlb-healthcheck-unhealthy-threshold-count", Ingress, Int32, "3", Joined, "Failures that make its target unhealthy.", "3"),
    row("frontend-nlb-healthcheck-success-codes", Ingress, Text, "200", Joined, "Answers that count as success.", "200-399"),
    row("frontend-nlb-tags", Ingress, Map, "those of the load balancer", Exclusive, "Tags of the network load balancer.", "team=shop"),
    row("frontend-nlb-attributes", Ingress, Map, "none", Exclusive, "Attributes of the network load balancer.", "deletion_protection.enabled=true"),
    // Written by LBC
    row("dry-run-plan", Ingress, Json, "none", Own, "LBC writes its model here; remove it from git.", "{}"),
];
