//! Actions, conditions and transforms.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{List, One, TARGET_GROUP, reference};
use crate::{
    manifest::annotation::{
        options::{Map, Stickiness},
        value::{Condition, Patterns, Rewrite, Transform},
    },
    model::group::{Action, Session, TargetGroupRef, WeightedTargetGroup},
};

/// In place of what LBC does not log.
const REDACTED: &str = "[REDACTED]";

pub(super) struct Actions<'a>(pub &'a [Action]);

impl Serialize for Actions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        List(self.0.iter().map(Described)).serialize(serializer)
    }
}

/// `{KIND + "Config": …, "type": KIND}`.
struct Described<'a>(&'a Action);

impl Serialize for Described<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        let kind = match self.0 {
            Action::AuthenticateCognito {
                user_pool_arn,
                user_pool_client_id,
                user_pool_domain,
                session,
            } => {
                let config = Cognito {
                    session: session_of(session),
                    user_pool_arn,
                    user_pool_client_id,
                    user_pool_domain,
                };
                map.serialize_entry("authenticateCognitoConfig", &config)?;
                "authenticate-cognito"
            }
            Action::AuthenticateOidc {
                issuer,
                authorization_endpoint,
                token_endpoint,
                user_info_endpoint,
                secret: _,
                session,
            } => {
                let config = Oidc {
                    authorization_endpoint,
                    client_id: REDACTED,
                    client_secret: REDACTED,
                    issuer,
                    session: session_of(session),
                    token_endpoint,
                    user_info_endpoint,
                };
                map.serialize_entry("authenticateOIDCConfig", &config)?;
                "authenticate-oidc"
            }
            Action::JwtValidation(validation) => {
                map.serialize_entry("jwtValidationConfig", validation)?;
                "jwt-validation"
            }
            Action::FixedResponse {
                status_code,
                content_type,
                message_body,
            } => {
                let config = FixedResponse {
                    content_type: content_type.as_deref(),
                    message_body: message_body.as_deref(),
                    status_code,
                };
                map.serialize_entry("fixedResponseConfig", &config)?;
                "fixed-response"
            }
            Action::Redirect {
                status_code,
                host,
                path,
                port,
                protocol,
                query,
            } => {
                let config = Redirect {
                    host: host.as_deref(),
                    path: path.as_deref(),
                    port: port.as_deref(),
                    protocol: protocol.as_deref(),
                    query: query.as_deref(),
                    status_code,
                };
                map.serialize_entry("redirectConfig", &config)?;
                "redirect"
            }
            Action::Forward {
                target_groups,
                stickiness,
            } => {
                let config = Forward {
                    stickiness: stickiness.as_ref(),
                    target_groups: Weighted(target_groups),
                };
                map.serialize_entry("forwardConfig", &config)?;
                "forward"
            }
        };
        map.serialize_entry("type", kind)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Cognito<'a> {
    #[serde(flatten)]
    session: SessionConfig<'a>,
    #[serde(rename = "userPoolARN")]
    user_pool_arn: &'a str,
    #[serde(rename = "userPoolClientID")]
    user_pool_client_id: &'a str,
    #[serde(rename = "userPoolDomain")]
    user_pool_domain: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Oidc<'a> {
    authorization_endpoint: &'a str,
    #[serde(rename = "clientID")]
    client_id: &'a str,
    client_secret: &'a str,
    issuer: &'a str,
    #[serde(flatten)]
    session: SessionConfig<'a>,
    token_endpoint: &'a str,
    user_info_endpoint: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionConfig<'a> {
    #[serde(skip_serializing_if = "Map::is_empty")]
    authentication_request_extra_params: &'a Map,
    on_unauthenticated_request: &'a str,
    scope: &'a str,
    session_cookie_name: &'a str,
    session_timeout: i64,
}

fn session_of(session: &Session) -> SessionConfig<'_> {
    SessionConfig {
        authentication_request_extra_params: &session.extra_params,
        on_unauthenticated_request: &session.on_unauthenticated_request,
        scope: &session.scope,
        session_cookie_name: &session.session_cookie_name,
        session_timeout: session.session_timeout,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FixedResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_body: Option<&'a str>,
    status_code: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Redirect<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    status_code: &'a str,
}

#[derive(Serialize)]
struct Forward<'a> {
    #[serde(
        rename = "targetGroupStickinessConfig",
        skip_serializing_if = "Option::is_none"
    )]
    stickiness: Option<&'a Stickiness>,
    #[serde(rename = "targetGroups")]
    target_groups: Weighted<'a>,
}

/// An empty list is Go's nil, which JSON writes as null.
struct Weighted<'a>(&'a [WeightedTargetGroup]);

impl Serialize for Weighted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_none();
        }
        let tuples = self.0.iter().map(|tuple| Tuple {
            target_group: Target(&tuple.target_group),
            weight: tuple.weight,
        });
        List(tuples).serialize(serializer)
    }
}

#[derive(Serialize)]
struct Tuple<'a> {
    #[serde(rename = "targetGroupARN")]
    target_group: Target<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<i32>,
}

struct Target<'a>(&'a TargetGroupRef);

impl Serialize for Target<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            TargetGroupRef::Own(id) => {
                reference(TARGET_GROUP, id, "targetGroupARN").serialize(serializer)
            }
            TargetGroupRef::Arn(arn) => serializer.serialize_str(arn),
        }
    }
}

pub(super) struct Conditions<'a>(pub &'a [Condition]);

impl Serialize for Conditions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        List(self.0.iter().map(Field)).serialize(serializer)
    }
}

struct Field<'a>(&'a Condition);

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        match self.0 {
            Condition::HostHeader { values } => {
                map.serialize_entry("field", "host-header")?;
                map.serialize_entry("hostHeaderConfig", &patterns(values))?;
            }
            Condition::PathPattern { values } => {
                map.serialize_entry("field", "path-pattern")?;
                map.serialize_entry("pathPatternConfig", &patterns(values))?;
            }
            Condition::HttpHeader { name, values } => {
                let config = Header {
                    name,
                    patterns: patterns(values),
                };
                map.serialize_entry("field", "http-header")?;
                map.serialize_entry("httpHeaderConfig", &config)?;
            }
            Condition::HttpRequestMethod { values } => {
                map.serialize_entry("field", "http-request-method")?;
                map.serialize_entry("httpRequestMethodConfig", &One("values", values))?;
            }
            Condition::QueryString { values } => {
                map.serialize_entry("field", "query-string")?;
                map.serialize_entry("queryStringConfig", &One("values", values))?;
            }
            Condition::SourceIp { values } => {
                map.serialize_entry("field", "source-ip")?;
                map.serialize_entry("sourceIPConfig", &One("values", values))?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "httpHeaderName")]
    name: &'a str,
    #[serde(flatten)]
    patterns: PatternConfig<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PatternConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    regex_values: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'a [String]>,
}

fn patterns(patterns: &Patterns) -> PatternConfig<'_> {
    match patterns {
        Patterns::Values(values) => PatternConfig {
            regex_values: None,
            values: Some(values),
        },
        Patterns::Regex(values) => PatternConfig {
            regex_values: Some(values),
            values: None,
        },
    }
}

pub(super) struct Transforms<'a>(pub &'a [Transform]);

impl Transforms<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Transforms<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        List(self.0.iter().map(Rewriting)).serialize(serializer)
    }
}

struct Rewriting<'a>(&'a Transform);

impl Serialize for Rewriting<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, config, rewrites): (_, _, &Vec<Rewrite>) = match self.0 {
            Transform::UrlRewrite { rewrites } => ("url-rewrite", "urlRewriteConfig", rewrites),
            Transform::HostHeaderRewrite { rewrites } => {
                ("host-header-rewrite", "hostHeaderRewriteConfig", rewrites)
            }
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", kind)?;
        map.serialize_entry(config, &One("rewrites", rewrites))?;
        map.end()
    }
}
