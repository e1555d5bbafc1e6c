//! AWS's own answers and refusals over a real connection, from a server that says what the test gives it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    aws::{
        ClientSource, Ec2Read, Ec2Write, ElbRead, ElbWrite, GroupQuery, IamRead, IamWrite, Query,
        fake::sample,
    },
    id::{Arn, RoleName, SecurityGroupId},
    model::{
        client::ClientCredentials,
        desired::Ref,
        elb::{
            Condition, ListenerSpec, LoadBalancerSpec, MutualAuthentication, MutualMode,
            OidcClient, Patterns, Rewrite, RuleAction, RuleSpec, Scheme, Target, TlsSpec,
            Transform, WeightedTargetGroup,
        },
        group::{SecretRef, Session},
        iam::RoleSpec,
        net::{Permission, PermissionSource},
    },
};

pub(super) type Answer = (u16, &'static str, String);

/// A server that gives prepared answers in turn, and what it was asked.
#[derive(Clone, Default)]
pub(super) struct Wire {
    answers: Arc<Mutex<Vec<Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    pub(super) async fn start(answers: Vec<Answer>) -> (Self, Sdk) {
        let wire = Self {
            answers: Arc::new(Mutex::new(answers.into_iter().rev().collect())),
            requests: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(wire.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let sdk = sdk(&url, "vpc-1").await;
        (wire, sdk)
    }

    /// Bodies of all requests, decoded.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Whether the one request held all of these parameters.
    fn assert_sent(&self, parameters: &[&str]) {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        let sent: BTreeSet<&str> = requests[0].split('&').collect();
        for parameter in parameters {
            assert!(sent.contains(parameter), "{parameter} not in {sent:#?}");
        }
    }
}

async fn answer(State(wire): State<Wire>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let agent = headers["user-agent"].to_str().unwrap().to_owned();
    assert!(agent.contains("app/albsync"), "{agent}");
    let request = if body.is_empty() {
        uri.to_string()
    } else {
        decoded(&body)
    };
    wire.requests.lock().unwrap().push(request);
    let next = wire.answers.lock().unwrap().pop();
    match next {
        Some((status, kind, body)) => (
            StatusCode::from_u16(status).unwrap(),
            [
                ("content-type", kind),
                ("x-amzn-requestid", "11111111-2222-3333-4444-555555555555"),
            ],
            body,
        )
            .into_response(),
        None => StatusCode::IM_A_TEAPOT.into_response(),
    }
}

fn decoded(body: &str) -> String {
    let mut out = Vec::new();
    let bytes = body.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(u8::from_str_radix(&body[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}

pub(super) fn xml(body: impl Into<String>) -> Answer {
    (200, "text/xml", body.into())
}

pub(super) fn elb(operation: &str, result: &str) -> Answer {
    xml(format!(
        r#"<{operation}Response xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><{operation}Result>{result}</{operation}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"#
    ))
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    (
        status,
        "text/xml",
        format!(
            r#"<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>11111111-2222-3333-4444-555555555555</RequestId></ErrorResponse>"#
        ),
    )
}

fn arn(name: &str) -> Arn {
    Arn(format!(
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:{name}"
    ))
}

/// What AWS returns for rules that were sent in short forms (aws-deploy §10.8 point 10).
const RULES: &str = r#"<Rules>
<member><RuleArn>arn:r2</RuleArn><Priority>20</Priority><IsDefault>false</IsDefault>
  <Conditions>
    <member><Field>host-header</Field><Values><member>sample-app.mamezou-tech.com</member></Values><HostHeaderConfig><Values><member>sample-app.mamezou-tech.com</member></Values></HostHeaderConfig></member>
    <member><Field>path-pattern</Field><Values><member>/app1</member><member>/app1/*</member></Values><PathPatternConfig><Values><member>/app1</member><member>/app1/*</member></Values></PathPatternConfig></member>
  </Conditions>
  <Actions><member><Type>forward</Type><TargetGroupArn>arn:tg1</TargetGroupArn><Order>1</Order>
    <ForwardConfig><TargetGroups><member><TargetGroupArn>arn:tg1</TargetGroupArn><Weight>1</Weight></member></TargetGroups><TargetGroupStickinessConfig><Enabled>false</Enabled></TargetGroupStickinessConfig></ForwardConfig></member></Actions>
</member>
<member><RuleArn>arn:r1</RuleArn><Priority>10</Priority><IsDefault>false</IsDefault>
  <Conditions><member><Field>path-pattern</Field><Values><member>/old</member></Values></member></Conditions>
  <Actions><member><Type>redirect</Type><RedirectConfig><Protocol>HTTPS</Protocol><Port>443</Port><StatusCode>HTTP_301</StatusCode></RedirectConfig></member></Actions>
</member>
<member><RuleArn>arn:rd</RuleArn><Priority>default</Priority><IsDefault>true</IsDefault><Conditions/>
  <Actions><member><Type>fixed-response</Type><FixedResponseConfig><StatusCode>404</StatusCode><ContentType>text/plain</ContentType></FixedResponseConfig></member></Actions>
</member></Rules>"#;

#[tokio::test]
async fn rules_come_in_order_without_the_default_and_in_one_form() {
    let (wire, sdk) = Wire::start(vec![elb("DescribeRules", RULES)]).await;
    let rules = sdk.rules(&arn("l")).await.unwrap();
    wire.assert_sent(&["Action=DescribeRules", "PageSize=400"]);
    assert_eq!(
        rules.iter().map(|rule| rule.priority).collect::<Vec<_>>(),
        [10, 20]
    );
    assert_eq!(
        rules[0].actions,
        [RuleAction::Redirect {
            protocol: "HTTPS".into(),
            host: "#{host}".into(),
            port: "443".into(),
            path: "/#{path}".into(),
            query: "#{query}".into(),
            status_code: "HTTP_301".into(),
        }]
    );
    assert_eq!(
        rules[1].conditions,
        [
            Condition::HostHeader {
                values: vec!["sample-app.mamezou-tech.com".into()].into()
            },
            Condition::PathPattern {
                values: vec!["/app1".into(), "/app1/*".into()].into()
            },
        ]
    );
    assert_eq!(
        rules[1].actions,
        [RuleAction::Forward {
            target_groups: vec![WeightedTargetGroup {
                arn: Ref::Known(Arn("arn:tg1".into())),
                weight: 1
            }],
            stickiness_seconds: None
        }]
    );
}

#[tokio::test]
async fn pages_are_followed_to_the_end_and_a_repeated_marker_ends_them() {
    let page = |arn: &str, next: &str| {
        elb(
            "DescribeLoadBalancers",
            &format!(
                "<LoadBalancers><member><LoadBalancerArn>{arn}</LoadBalancerArn><LoadBalancerName>{arn}</LoadBalancerName></member></LoadBalancers>{next}"
            ),
        )
    };
    let (wire, sdk) = Wire::start(vec![
        page("a", "<NextMarker>m1</NextMarker>"),
        page("b", "<NextMarker>m2</NextMarker>"),
        page("c", "<NextMarker>m2</NextMarker>"),
        page("never", ""),
    ])
    .await;
    let found = sdk.load_balancers(&Query::All).await.unwrap();
    assert_eq!(
        found
            .iter()
            .map(|live| live.arn.as_str())
            .collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert_eq!(found[0].scheme, None, "an unknown scheme stays unknown");
    assert!(!wire.requests()[0].contains("Marker"));
    assert!(wire.requests()[2].contains("Marker=m2"));
    assert_eq!(
        sdk.governor().counts()["elasticloadbalancing:DescribeLoadBalancers"],
        3
    );
}

#[tokio::test]
async fn one_missing_arn_does_not_hide_the_others() {
    let gone = || refusal(400, "TargetGroupNotFound", "One or more not found");
    let tags = |arns: &[&str]| {
        let members: String = arns
            .iter()
            .map(|arn| format!("<member><ResourceArn>{arn}</ResourceArn><Tags><member><Key>k</Key><Value>{arn}</Value></member></Tags></member>"))
            .collect();
        elb(
            "DescribeTags",
            &format!("<TagDescriptions>{members}</TagDescriptions>"),
        )
    };
    let (wire, sdk) = Wire::start(vec![gone(), tags(&["a"]), gone(), gone(), tags(&["c"])]).await;
    let found = sdk.tags(&["a", "b", "c"].map(Arn::from)).await.unwrap();
    assert_eq!(
        found.keys().map(Arn::as_str).collect::<Vec<_>>(),
        ["a", "c"]
    );
    assert_eq!(wire.requests().len(), 5);
}

#[tokio::test]
async fn nothing_is_asked_for_no_arns() {
    let (wire, sdk) = Wire::start(vec![]).await;
    assert!(sdk.tags(&[]).await.unwrap().is_empty());
    assert!(
        sdk.load_balancers(&Query::Arns(vec![]))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        sdk.security_groups(&GroupQuery::Ids(vec![]))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(wire.requests().is_empty());
}

#[tokio::test]
async fn a_vanished_balancer_has_no_listeners() {
    let (_, sdk) = Wire::start(vec![refusal(400, "LoadBalancerNotFound", "gone")]).await;
    assert_eq!(sdk.listeners(&arn("lb")).await, Ok(vec![]));
}

#[tokio::test]
async fn draining_targets_are_left_out() {
    let target = |id: &str, state: &str| {
        format!(
            "<member><Target><Id>{id}</Id><Port>30080</Port></Target><TargetHealth><State>{state}</State></TargetHealth></member>"
        )
    };
    let members = [
        target("i-1", "healthy"),
        target("i-2", "draining"),
        target("i-3", "unused"),
        target("i-4", "unhealthy.draining"),
        target("i-5", "initial"),
    ]
    .concat();
    let (_, sdk) = Wire::start(vec![elb(
        "DescribeTargetHealth",
        &format!("<TargetHealthDescriptions>{members}</TargetHealthDescriptions>"),
    )])
    .await;
    let targets = sdk.targets(&arn("tg")).await.unwrap();
    assert_eq!(
        targets.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(),
        ["i-1", "i-3", "i-5"]
    );
}

#[tokio::test]
async fn creating_a_balancer_says_every_field() {
    let (wire, sdk) = Wire::start(vec![elb(
        "CreateLoadBalancer",
        "<LoadBalancers><member><LoadBalancerArn>arn:lb</LoadBalancerArn><DNSName>A.elb</DNSName></member></LoadBalancers>",
    )])
    .await;
    let created = sdk
        .create_load_balancer(&LoadBalancerSpec {
            name: "k8s-a".into(),
            scheme: Scheme::InternetFacing,
            ip_address_type: "ipv4".into(),
            subnets: vec!["subnet-1".into(), "subnet-2".into()],
            security_groups: vec![Ref::Known("sg-1".into())],
            attributes: [("idle_timeout.timeout_seconds".into(), "30".into())].into(),
            tags: [("k".into(), "v".into())].into(),
        })
        .await
        .unwrap();
    assert_eq!(created.arn.as_str(), "arn:lb");
    assert_eq!(created.dns_name, "A.elb");
    wire.assert_sent(&[
        "Name=k8s-a",
        "Type=application",
        "Scheme=internet-facing",
        "IpAddressType=ipv4",
        "SubnetMappings.member.1.SubnetId=subnet-1",
        "SubnetMappings.member.2.SubnetId=subnet-2",
        "SecurityGroups.member.1=sg-1",
        "Tags.member.1.Key=k",
        "Tags.member.1.Value=v",
    ]);
    assert!(!wire.requests()[0].contains("idle_timeout"));
}

#[tokio::test]
async fn creating_a_target_group_says_every_field() {
    let (wire, sdk) = Wire::start(vec![elb(
        "CreateTargetGroup",
        "<TargetGroups><member><TargetGroupArn>arn:tg</TargetGroupArn></member></TargetGroups>",
    )])
    .await;
    sdk.create_target_group(&sample::target_group("k8s-t"))
        .await
        .unwrap();
    wire.assert_sent(&[
        "TargetType=instance",
        "Port=30080",
        "Protocol=HTTP",
        "ProtocolVersion=HTTP1",
        "IpAddressType=ipv4",
        "VpcId=vpc-1",
        "HealthCheckEnabled=true",
        "HealthCheckPort=traffic-port",
        "HealthCheckProtocol=HTTP",
        "HealthCheckPath=/",
        "HealthCheckIntervalSeconds=15",
        "HealthCheckTimeoutSeconds=5",
        "HealthyThresholdCount=2",
        "UnhealthyThresholdCount=2",
        "Matcher.HttpCode=200",
    ]);
    assert!(!wire.requests()[0].contains("Tags"));
}

#[tokio::test]
async fn a_forward_says_weights_and_that_stickiness_is_off() {
    let (wire, sdk) = Wire::start(vec![elb(
        "CreateRule",
        "<Rules><member><RuleArn>arn:r</RuleArn></member></Rules>",
    )])
    .await;
    sdk.create_rule(
        &arn("l"),
        1000,
        &RuleSpec {
            transforms: Vec::new(),
            conditions: vec![Condition::PathPattern {
                values: vec!["/app1".into()].into(),
            }],
            actions: vec![RuleAction::Forward {
                target_groups: vec![WeightedTargetGroup {
                    arn: Ref::Known(Arn("arn:tg".into())),
                    weight: 1,
                }],
                stickiness_seconds: None,
            }],
            tags: BTreeMap::new(),
        },
    )
    .await
    .unwrap();
    wire.assert_sent(&[
        "Priority=1000",
        "Conditions.member.1.Field=path-pattern",
        "Conditions.member.1.PathPatternConfig.Values.member.1=/app1",
        "Actions.member.1.Order=1",
        "Actions.member.1.Type=forward",
        "Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn=arn:tg",
        "Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight=1",
        "Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled=false",
    ]);
}

#[tokio::test]
async fn a_listener_is_modified_with_everything() {
    let (wire, sdk) = Wire::start(vec![elb("ModifyListener", "<Listeners/>")]).await;
    sdk.modify_listener(
        &arn("l"),
        &ListenerSpec {
            tls: None,
            port: 80,
            protocol: "HTTP".into(),
            default_actions: vec![RuleAction::FixedResponse {
                status_code: "404".into(),
                content_type: Some("text/plain".into()),
                message_body: None,
            }],
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
        },
    )
    .await
    .unwrap();
    wire.assert_sent(&[
        "Port=80",
        "Protocol=HTTP",
        "DefaultActions.member.1.Type=fixed-response",
        "DefaultActions.member.1.FixedResponseConfig.StatusCode=404",
        "DefaultActions.member.1.FixedResponseConfig.ContentType=text/plain",
    ]);
}

#[tokio::test]
async fn https_is_said_with_certificate_policy_and_client_certificates() {
    let answer = elb(
        "CreateListener",
        "<Listeners><member><ListenerArn>arn:l</ListenerArn></member></Listeners>",
    );
    let (wire, sdk) = Wire::start(vec![answer]).await;
    sdk.create_listener(&arn("lb"), &https(Some(MutualMode::Passthrough)))
        .await
        .unwrap();
    wire.assert_sent(&[
        "Port=443",
        "Protocol=HTTPS",
        "Certificates.member.1.CertificateArn=arn:acm:a",
        "SslPolicy=ELBSecurityPolicy-TLS13-1-2-2021-06",
        "MutualAuthentication.Mode=passthrough",
    ]);
    assert!(!wire.requests()[0].contains("Certificates.member.2"));

    let (wire, sdk) = Wire::start(vec![elb("ModifyListener", "<Listeners/>")]).await;
    sdk.modify_listener(&arn("l"), &https(None)).await.unwrap();
    wire.assert_sent(&["Certificates.member.1.CertificateArn=arn:acm:a"]);
    assert!(!wire.requests()[0].contains("MutualAuthentication"));
}

fn https(mode: Option<MutualMode>) -> ListenerSpec {
    ListenerSpec {
        port: 443,
        protocol: "HTTPS".into(),
        default_actions: vec![RuleAction::FixedResponse {
            status_code: "404".into(),
            content_type: None,
            message_body: None,
        }],
        tls: Some(TlsSpec {
            default_certificate: Arn::from("arn:acm:a"),
            certificates: [Arn::from("arn:acm:b")].into(),
            ssl_policy: Some("ELBSecurityPolicy-TLS13-1-2-2021-06".into()),
            mutual_authentication: mode.map(|mode| MutualAuthentication {
                mode,
                trust_store: None,
                ignore_client_certificate_expiry: None,
                advertise_trust_store_ca_names: None,
            }),
        }),
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
    }
}

#[tokio::test]
async fn certificates_go_one_by_one() {
    let both = [Arn::from("arn:acm:a"), Arn::from("arn:acm:b")].into();
    for operation in ["AddListenerCertificates", "RemoveListenerCertificates"] {
        let answers = (0..2).map(|_| elb(operation, "")).collect();
        let (wire, sdk) = Wire::start(answers).await;
        match operation {
            "AddListenerCertificates" => sdk.add_listener_certificates(&arn("l"), &both).await,
            _ => sdk.remove_listener_certificates(&arn("l"), &both).await,
        }
        .unwrap();
        let requests = wire.requests();
        assert_eq!(requests.len(), 2);
        assert!(requests[0].contains("Certificates.member.1.CertificateArn=arn:acm:a"));
        assert!(requests[1].contains("Certificates.member.1.CertificateArn=arn:acm:b"));
        assert!(requests.iter().all(|it| !it.contains("member.2")));
    }
}

#[tokio::test]
async fn the_default_certificate_is_none_of_the_others_unless_it_is_listed_twice() {
    let certificate = |arn: &str, default: bool| {
        format!(
            "<member><CertificateArn>{arn}</CertificateArn><IsDefault>{default}</IsDefault></member>"
        )
    };
    let list = |members: &[String]| {
        elb(
            "DescribeListenerCertificates",
            &format!("<Certificates>{}</Certificates>", members.concat()),
        )
    };
    let (_, sdk) = Wire::start(vec![
        list(&[certificate("arn:a", true), certificate("arn:b", false)]),
        list(&[certificate("arn:a", true), certificate("arn:a", false)]),
    ])
    .await;
    let found = sdk.listener_certificates(&arn("l")).await.unwrap();
    assert_eq!(found, [Arn::from("arn:b")].into());
    let found = sdk.listener_certificates(&arn("l")).await.unwrap();
    assert_eq!(found, [Arn::from("arn:a")].into());
}

/// Knows one client.
struct OneClient;

#[async_trait::async_trait]
impl ClientSource for OneClient {
    async fn client(&self, _: &SecretRef) -> crate::aws::Result<ClientCredentials> {
        Ok(ClientCredentials {
            id: "the-id".to_owned(),
            secret: "the-secret".to_owned(),
        })
    }
}

#[tokio::test]
async fn sign_in_reads_the_secret_when_it_is_sent_and_shows_it_nowhere() {
    let spec = RuleSpec {
        conditions: vec![Condition::PathPattern {
            values: Patterns::Regex(vec!["^/a$".into()]),
        }],
        actions: vec![RuleAction::AuthenticateOidc {
            issuer: "https://issuer".into(),
            authorization_endpoint: "https://a".into(),
            token_endpoint: "https://t".into(),
            user_info_endpoint: "https://u".into(),
            client: Some(OidcClient {
                secret: SecretRef {
                    namespace: "shop".into(),
                    name: "oidc".into(),
                },
                version: Some("7".into()),
            }),
            session: Session {
                on_unauthenticated_request: "deny".into(),
                scope: "openid email".into(),
                session_cookie_name: "Cookie".into(),
                session_timeout: 60,
                extra_params: [("display".to_owned(), "page".to_owned())].into(),
            },
        }],
        transforms: vec![Transform::UrlRewrite {
            rewrites: vec![Rewrite {
                regex: "^/a".into(),
                replace: "/b".into(),
            }],
        }],
        tags: BTreeMap::new(),
    };
    let (wire, sdk) = Wire::start(vec![elb("ModifyRule", "<Rules/>")]).await;
    let told = sdk.modify_rule(&arn("r"), &spec).await;
    assert!(told.unwrap_err().is_not_found());
    assert!(wire.requests().is_empty());

    let sdk = sdk.with_clients(Arc::new(OneClient));
    sdk.modify_rule(&arn("r"), &spec).await.unwrap();
    wire.assert_sent(&[
        "Conditions.member.1.PathPatternConfig.RegexValues.member.1=^/a$",
        "Actions.member.1.Type=authenticate-oidc",
        "Actions.member.1.AuthenticateOidcConfig.ClientId=the-id",
        "Actions.member.1.AuthenticateOidcConfig.ClientSecret=the-secret",
        "Actions.member.1.AuthenticateOidcConfig.OnUnauthenticatedRequest=deny",
        "Actions.member.1.AuthenticateOidcConfig.Scope=openid email",
        "Actions.member.1.AuthenticateOidcConfig.SessionCookieName=Cookie",
        "Actions.member.1.AuthenticateOidcConfig.SessionTimeout=60",
        "Actions.member.1.AuthenticateOidcConfig.AuthenticationRequestExtraParams.entry.1.key=display",
        "Transforms.member.1.Type=url-rewrite",
        "Transforms.member.1.UrlRewriteConfig.Rewrites.member.1.Regex=^/a",
        "Transforms.member.1.UrlRewriteConfig.Rewrites.member.1.Replace=/b",
    ]);
    assert!(!wire.requests()[0].contains("ResetTransforms"));
    let credentials = OneClient
        .client(&SecretRef {
            namespace: "shop".into(),
            name: "oidc".into(),
        })
        .await
        .unwrap();
    assert!(!format!("{credentials:?}").contains("the-"));
}

#[tokio::test]
async fn targets_go_in_hundreds() {
    let answers = (0..3).map(|_| elb("RegisterTargets", "")).collect();
    let (wire, sdk) = Wire::start(answers).await;
    let targets = (0..250)
        .map(|n| Target {
            all_zones: false,
            id: format!("i-{n:03}"),
            port: 30080,
        })
        .collect();
    sdk.register_targets(&arn("tg"), &targets).await.unwrap();
    assert_eq!(wire.requests().len(), 3);
}

#[tokio::test]
async fn permissions_of_ec2_come_with_one_source_each() {
    let (wire, sdk) = Wire::start(vec![xml(
        r#"<DescribeSecurityGroupsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><securityGroupInfo><item>
        <ownerId>1</ownerId><groupId>sg-1</groupId><groupName>n</groupName><groupDescription>d</groupDescription><vpcId>vpc-1</vpcId>
        <ipPermissions>
          <item><ipProtocol>tcp</ipProtocol><fromPort>80</fromPort><toPort>80</toPort>
            <groups/><ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></item><item><cidrIp>192.168.0.0/16</cidrIp><description>office</description></item></ipRanges>
            <ipv6Ranges><item><cidrIpv6>2001:DB8::/32</cidrIpv6></item></ipv6Ranges><prefixListIds><item><prefixListId>pl-1</prefixListId></item></prefixListIds></item>
          <item><ipProtocol>-1</ipProtocol><groups><item><userId>1</userId><groupId>sg-2</groupId></item></groups><ipRanges/><ipv6Ranges/><prefixListIds/></item>
        </ipPermissions>
        <tagSet><item><key>k</key><value>v</value></item></tagSet></item></securityGroupInfo></DescribeSecurityGroupsResponse>"#,
    )])
    .await;
    let groups = sdk
        .security_groups(&GroupQuery::Tags(BTreeMap::from([
            ("a*".to_owned(), Some("x".to_owned())),
            ("b".to_owned(), None),
        ])))
        .await
        .unwrap();
    wire.assert_sent(&[
        "Filter.1.Name=vpc-id",
        "Filter.1.Value.1=vpc-1",
        "Filter.2.Name=tag:a*",
        "Filter.2.Value.1=x",
        "Filter.3.Name=tag-key",
        "Filter.3.Value.1=b",
        "MaxResults=1000",
    ]);
    let permission = |protocol: &str, port, source, description: &str| Permission {
        protocol: protocol.into(),
        from_port: port,
        to_port: port,
        source,
        description: description.into(),
    };
    assert_eq!(
        groups[0].ingress,
        BTreeSet::from([
            permission("tcp", 80, PermissionSource::Cidr("10.0.0.0/8".into()), ""),
            permission(
                "tcp",
                80,
                PermissionSource::Cidr("192.168.0.0/16".into()),
                "office"
            ),
            permission(
                "tcp",
                80,
                PermissionSource::Ipv6Cidr("2001:db8::/32".into()),
                ""
            ),
            permission("tcp", 80, PermissionSource::PrefixList("pl-1".into()), ""),
            permission(
                "-1",
                -1,
                PermissionSource::SecurityGroup(Ref::Known(SecurityGroupId::from("sg-2"))),
                ""
            ),
        ])
    );
}

#[tokio::test]
async fn permissions_are_grouped_for_ec2() {
    let (wire, sdk) = Wire::start(vec![xml(
        r#"<AuthorizeSecurityGroupIngressResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><return>true</return></AuthorizeSecurityGroupIngressResponse>"#,
    )])
    .await;
    let permission = |port, cidr: &str| Permission {
        protocol: "tcp".into(),
        from_port: port,
        to_port: port,
        source: PermissionSource::Cidr(cidr.into()),
        description: String::new(),
    };
    sdk.authorize_ingress(
        &"sg-1".into(),
        &[
            permission(80, "10.0.0.0/8"),
            permission(443, "10.0.0.0/8"),
            permission(80, "192.168.0.0/16"),
        ],
    )
    .await
    .unwrap();
    wire.assert_sent(&[
        "IpPermissions.1.FromPort=80",
        "IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8",
        "IpPermissions.1.IpRanges.2.CidrIp=192.168.0.0/16",
        "IpPermissions.2.FromPort=443",
        "IpPermissions.2.IpRanges.1.CidrIp=10.0.0.0/8",
    ]);
    assert!(!wire.requests()[0].contains("Description"));
}

#[tokio::test]
async fn refusals_keep_code_and_request_id_and_had_no_effect() {
    let (_, sdk) = Wire::start(vec![refusal(
        400,
        "PriorityInUse",
        "Priority '1' is in use",
    )])
    .await;
    let error = sdk.delete_rule(&arn("r")).await.unwrap_err();
    assert_eq!(error.service, "elasticloadbalancing");
    assert_eq!(error.operation, "DeleteRule");
    assert_eq!(error.code.as_deref(), Some("PriorityInUse"));
    assert_eq!(error.status, Some(400));
    assert_eq!(error.effect, Effect::None);
    assert_eq!(
        error.request_id.as_deref(),
        Some("11111111-2222-3333-4444-555555555555")
    );
}

#[tokio::test]
async fn a_server_that_fails_leaves_the_effect_open() {
    for (status, code) in [(500, "InternalFailure"), (503, "ServiceUnavailable")] {
        let (_, sdk) = Wire::start(vec![refusal(status, code, "later")]).await;
        let error = sdk.delete_rule(&arn("r")).await.unwrap_err();
        assert_eq!(error.effect, Effect::Unknown, "{code}");
        assert_eq!(error.code.as_deref(), Some(code));
    }
}

#[tokio::test]
async fn throttling_slows_the_class_down_and_had_no_effect() {
    let ec2 = (
        503,
        "text/xml",
        "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Rate</Message></Error></Errors><RequestID>e</RequestID></Response>".to_owned(),
    );
    let (_, sdk) = Wire::start(vec![ec2]).await;
    let error = sdk.delete_security_group(&"sg-1".into()).await.unwrap_err();
    assert!(error.is_throttled());
    assert_eq!(error.effect, Effect::None);
    assert_eq!(sdk.governor().share(Class::Ec2Write), 0.5);
    assert_eq!(sdk.governor().share(Class::Ec2Read), 1.0);
}

#[tokio::test]
async fn an_html_page_is_told_as_such() {
    let page = "<!DOCTYPE html><html><body>secret stack trace</body></html>";
    let (_, sdk) = Wire::start(vec![(500, "text/html", page.to_owned())]).await;
    let error = sdk.delete_rule(&arn("r")).await.unwrap_err();
    assert_eq!(error.code, None);
    assert!(
        error.message.contains("HTML page with status 500"),
        "{error}"
    );
    assert!(!error.message.contains("secret"));
    assert_eq!(error.effect, Effect::Unknown);
}

#[tokio::test]
async fn an_answer_without_its_arn_is_of_unknown_effect() {
    let (_, sdk) = Wire::start(vec![elb("CreateRule", "<Rules/>")]).await;
    let spec = RuleSpec {
        transforms: Vec::new(),
        conditions: vec![],
        actions: vec![],
        tags: BTreeMap::new(),
    };
    let error = sdk.create_rule(&arn("l"), 1, &spec).await.unwrap_err();
    assert!(error.message.contains("RuleArn"), "{error}");
    assert_eq!(error.effect, Effect::Unknown);
}

#[tokio::test]
async fn nobody_listening_means_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = sdk(&url, "vpc-1")
        .await
        .delete_rule(&arn("r"))
        .await
        .unwrap_err();
    assert!(error.message.starts_with("cannot connect"), "{error}");
    assert_eq!(error.effect, Effect::None);
}

#[tokio::test]
async fn a_connection_lost_after_sending_leaves_the_effect_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 512];
            let _ = stream.read(&mut some).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await;
        }
    });
    let error = sdk(&url, "vpc-1")
        .await
        .delete_rule(&arn("r"))
        .await
        .unwrap_err();
    assert_eq!(error.effect, Effect::Unknown, "{error}");
    assert_eq!(error.code, None);
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_one_attempt_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let attempts = Arc::new(Mutex::new(0));
    let seen = attempts.clone();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
            *seen.lock().unwrap() += 1;
        }
    });
    let mut options = options(&url);
    options.timeouts.attempt = Duration::from_millis(300);
    let start = std::time::Instant::now();
    let error = with_keys(&options)
        .await
        .delete_rule(&arn("r"))
        .await
        .unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(*attempts.lock().unwrap(), 1);
    assert_eq!(error.effect, Effect::Unknown, "{error}");
    assert_eq!(error.code, None);
}

#[tokio::test]
async fn roles_come_with_decoded_documents() {
    let iam = |operation: &str, result: &str| {
        xml(format!(
            r#"<{operation}Response xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><{operation}Result>{result}</{operation}Result></{operation}Response>"#
        ))
    };
    let role = "<Role><Path>/p/</Path><RoleName>r</RoleName><RoleId>AROA1</RoleId><Arn>arn:aws:iam::1:role/p/r</Arn>\
        <CreateDate>2026-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>%7B%22Version%22%3A%222012-10-17%22%7D</AssumeRolePolicyDocument>\
        <PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>arn:b</PermissionsBoundaryArn></PermissionsBoundary>\
        <Tags><member><Key>k</Key><Value>v</Value></member></Tags></Role>";
    let (_, sdk) = Wire::start(vec![
        iam("GetRole", role),
        iam("ListAttachedRolePolicies", "<AttachedPolicies><member><PolicyName>a</PolicyName><PolicyArn>arn:a</PolicyArn></member></AttachedPolicies><IsTruncated>false</IsTruncated>"),
        iam("ListRolePolicies", "<PolicyNames/><IsTruncated>false</IsTruncated>"),
    ])
    .await;
    let role = sdk.role(&RoleName::from("r")).await.unwrap().unwrap();
    assert_eq!(role.trust["Version"], "2012-10-17");
    assert_eq!(role.max_session_duration_seconds, 3600);
    assert_eq!(role.permissions_boundary, Some(Arn::from("arn:b")));
    assert_eq!(role.attached, BTreeSet::from([Arn::from("arn:a")]));
    assert_eq!(role.tags["k"], "v");
}

#[tokio::test]
async fn an_unknown_role_is_absent_and_a_refused_read_is_not() {
    let (_, sdk) = Wire::start(vec![refusal(404, "NoSuchEntity", "no")]).await;
    assert_eq!(sdk.role(&RoleName::from("r")).await, Ok(None));
    let (_, sdk) = Wire::start(vec![refusal(
        403,
        "AccessDenied",
        "User: arn:aws:iam::1:user/u is not authorized to perform: iam:GetRole",
    )])
    .await;
    let error = sdk.role(&RoleName::from("r")).await.unwrap_err();
    assert!(error.is_denied());
    assert!(error.message.contains("iam:GetRole"), "{error}");
}

#[tokio::test]
async fn a_refused_document_is_not_repeated() {
    let (_, sdk) = Wire::start(vec![refusal(
        400,
        "MalformedPolicyDocument",
        r#"Syntax error in policy: {"Statement": [{"Action": "secret:Thing"}]} at 1"#,
    )])
    .await;
    let error = sdk
        .create_role(&RoleSpec {
            name: "r".into(),
            path: "/p/".into(),
            arn: "arn:r".into(),
            description: String::new(),
            max_session_duration_seconds: 3600,
            trust: serde_json::json!({}),
            permissions_boundary: None,
            tags: BTreeMap::new(),
            attached: BTreeSet::new(),
            inline: BTreeMap::new(),
            additive: false,
            adopt_role_id: None,
            report_only: false,
        })
        .await
        .unwrap_err();
    assert!(!error.message.contains("secret"), "{error}");
    assert!(error.message.contains("Syntax error"), "{error}");
}
