//! Actions, conditions and transforms as ELBv2 returns them.

use albsync::{
    id::Arn,
    model::{
        desired::Ref,
        elb::{
            Condition, JwtClaim, JwtValidation, Patterns, QueryPair, Rewrite, RuleAction,
            Transform, WeightedTargetGroup,
        },
        group::Session,
    },
};
use serde_json::Value;

use super::spec::{Spec, number, plain};

/// `resolved` gives the ARN that a reference stands for.
pub fn actions(list: &[Value], resolved: &dyn Fn(&Value) -> Arn) -> Vec<RuleAction> {
    let actions = list.iter().map(|action| self::action(action, resolved));
    actions.collect()
}

fn action(action: &Value, resolved: &dyn Fn(&Value) -> Arn) -> RuleAction {
    let mut action = Spec::new(action);
    match action.text("type").as_str() {
        "forward" => forward(action.sub("forwardConfig"), resolved),
        "redirect" => {
            let mut config = action.sub("redirectConfig");
            let mut part =
                |key: &str, same: &str| config.take(key).map_or_else(|| same.to_owned(), plain);
            RuleAction::Redirect {
                protocol: part("protocol", "#{protocol}"),
                host: part("host", "#{host}"),
                port: part("port", "#{port}"),
                path: part("path", "/#{path}"),
                query: part("query", "#{query}"),
                status_code: config.text("statusCode"),
            }
        }
        "fixed-response" => {
            let mut config = action.sub("fixedResponseConfig");
            RuleAction::FixedResponse {
                status_code: config.text("statusCode"),
                content_type: config.take("contentType").map(plain),
                message_body: config.take("messageBody").map(plain),
            }
        }
        "authenticate-cognito" => {
            let mut config = action.sub("authenticateCognitoConfig");
            RuleAction::AuthenticateCognito {
                user_pool_arn: config.text("userPoolARN"),
                user_pool_client_id: config.text("userPoolClientID"),
                user_pool_domain: config.text("userPoolDomain"),
                session: session(&mut config),
            }
        }
        "authenticate-oidc" => {
            let mut config = action.sub("authenticateOIDCConfig");
            // The recording hides both, and AWS says neither.
            config.seen("clientID");
            config.seen("clientSecret");
            RuleAction::AuthenticateOidc {
                issuer: config.text("issuer"),
                authorization_endpoint: config.text("authorizationEndpoint"),
                token_endpoint: config.text("tokenEndpoint"),
                user_info_endpoint: config.text("userInfoEndpoint"),
                client: None,
                session: session(&mut config),
            }
        }
        "jwt-validation" => jwt(action.sub("jwtValidationConfig")),
        other => panic!("{other}"),
    }
}

fn forward(mut config: Spec<'_>, resolved: &dyn Fn(&Value) -> Arn) -> RuleAction {
    let stickiness = config.take("targetGroupStickinessConfig").map(|config| {
        let mut config = Spec::new(config);
        let seconds = config.take("durationSeconds").map(number);
        (config.take("enabled") == Some(&Value::Bool(true))).then_some(seconds)
    });
    let tuples = config.list("targetGroups").iter().map(|tuple| {
        let mut tuple = Spec::new(tuple);
        WeightedTargetGroup {
            arn: Ref::Known(resolved(tuple.take("targetGroupARN").unwrap())),
            // What AWS says where nothing was said.
            weight: tuple.take("weight").map_or(1, number),
        }
    });
    RuleAction::Forward {
        target_groups: tuples.collect(),
        stickiness_seconds: stickiness.flatten().flatten(),
    }
}

fn jwt(mut config: Spec<'_>) -> RuleAction {
    let claims = config.list("additionalClaims").iter().map(|claim| {
        let mut claim = Spec::new(claim);
        JwtClaim {
            format: claim.text("format"),
            name: claim.text("name"),
            values: texts(&mut claim, "values"),
        }
    });
    RuleAction::JwtValidation(JwtValidation {
        additional_claims: claims.collect(),
        jwks_endpoint: config.text("jwksEndpoint"),
        issuer: config.text("issuer"),
    })
}

fn session(config: &mut Spec<'_>) -> Session {
    Session {
        on_unauthenticated_request: config.text("onUnauthenticatedRequest"),
        scope: config.text("scope"),
        session_cookie_name: config.text("sessionCookieName"),
        session_timeout: config.number("sessionTimeout"),
        extra_params: config.texts("authenticationRequestExtraParams"),
    }
}

pub fn condition(condition: &Value) -> Condition {
    let mut condition = Spec::new(condition);
    match condition.text("field").as_str() {
        "host-header" => Condition::HostHeader {
            values: patterns(&mut condition.sub("hostHeaderConfig")),
        },
        "path-pattern" => Condition::PathPattern {
            values: patterns(&mut condition.sub("pathPatternConfig")),
        },
        "http-header" => {
            let mut config = condition.sub("httpHeaderConfig");
            Condition::HttpHeader {
                name: config.text("httpHeaderName"),
                values: patterns(&mut config),
            }
        }
        "http-request-method" => Condition::HttpRequestMethod {
            values: texts(&mut condition.sub("httpRequestMethodConfig"), "values"),
        },
        "query-string" => {
            let mut config = condition.sub("queryStringConfig");
            let pairs = config.list("values").iter().map(|pair| {
                let mut pair = Spec::new(pair);
                QueryPair {
                    key: pair.take("key").map(plain),
                    value: pair.text("value"),
                }
            });
            Condition::QueryString {
                values: pairs.collect(),
            }
        }
        "source-ip" => Condition::SourceIp {
            values: texts(&mut condition.sub("sourceIPConfig"), "values"),
        },
        other => panic!("{other}"),
    }
}

fn patterns(config: &mut Spec<'_>) -> Patterns {
    let (values, regexes) = (texts(config, "values"), texts(config, "regexValues"));
    match regexes.is_empty() {
        true => Patterns::Values(values),
        false => {
            assert!(values.is_empty(), "{values:?} and {regexes:?}");
            Patterns::Regex(regexes)
        }
    }
}

fn texts(spec: &mut Spec<'_>, key: &str) -> Vec<String> {
    spec.list(key).iter().map(plain).collect()
}

pub fn transform(transform: &Value) -> Transform {
    let mut transform = Spec::new(transform);
    let rewrites = |mut config: Spec<'_>| -> Vec<Rewrite> {
        let rewrites = config.list("rewrites").iter().map(|rewrite| {
            let mut rewrite = Spec::new(rewrite);
            Rewrite {
                regex: rewrite.text("regex"),
                replace: rewrite.text("replace"),
            }
        });
        rewrites.collect()
    };
    match transform.text("type").as_str() {
        "url-rewrite" => Transform::UrlRewrite {
            rewrites: rewrites(transform.sub("urlRewriteConfig")),
        },
        "host-header-rewrite" => Transform::HostHeaderRewrite {
            rewrites: rewrites(transform.sub("hostHeaderRewriteConfig")),
        },
        other => panic!("{other}"),
    }
}
