//! Actions as ELBv2 returns them.

use aws_sdk_elasticloadbalancingv2::types as sdk;

use crate::{
    id::Arn,
    model::{
        desired::Ref,
        elb::{JwtClaim, JwtValidation, RuleAction, WeightedTargetGroup},
        group::Session,
    },
};

/// What ELBv2 puts into a redirect for a part that the request left out.
const REDIRECT_DEFAULTS: [&str; 5] = ["#{protocol}", "#{host}", "#{port}", "/#{path}", "#{query}"];

/// In the order of evaluation; the numbers themselves mean nothing.
pub(super) fn actions(mut raw: Vec<sdk::Action>) -> Vec<RuleAction> {
    raw.sort_by_key(|action| action.order);
    raw.into_iter().map(action).collect()
}

fn action(raw: sdk::Action) -> RuleAction {
    let kind = raw.r#type.as_ref().map_or("", |kind| kind.as_str());
    match kind {
        "forward" => forward(raw.forward_config, raw.target_group_arn),
        "fixed-response" => {
            let fixed = raw.fixed_response_config;
            let (status_code, content_type, message_body) = fixed.map_or_else(
                || (String::new(), None, None),
                |fixed| {
                    (
                        fixed.status_code.unwrap_or_default(),
                        fixed.content_type,
                        fixed.message_body,
                    )
                },
            );
            RuleAction::FixedResponse {
                status_code,
                content_type: content_type.filter(|text| !text.is_empty()),
                message_body: message_body.filter(|text| !text.is_empty()),
            }
        }
        "redirect" => redirect(raw.redirect_config),
        "authenticate-cognito" => cognito(
            raw.authenticate_cognito_config
                .unwrap_or_else(|| sdk::AuthenticateCognitoActionConfig::builder().build()),
        ),
        "authenticate-oidc" => oidc(
            raw.authenticate_oidc_config
                .unwrap_or_else(|| sdk::AuthenticateOidcActionConfig::builder().build()),
        ),
        "jwt-validation" => RuleAction::JwtValidation(jwt(raw.jwt_validation_config)),
        // No contents: it may hold a secret.
        other => RuleAction::Other {
            text: other.to_owned(),
        },
    }
}

fn cognito(raw: sdk::AuthenticateCognitoActionConfig) -> RuleAction {
    RuleAction::AuthenticateCognito {
        user_pool_arn: raw.user_pool_arn.unwrap_or_default(),
        user_pool_client_id: raw.user_pool_client_id.unwrap_or_default(),
        user_pool_domain: raw.user_pool_domain.unwrap_or_default(),
        session: Session {
            on_unauthenticated_request: raw
                .on_unauthenticated_request
                .map_or_else(on_unauthenticated, |what| what.as_str().to_owned()),
            scope: raw.scope.unwrap_or_else(scope),
            session_cookie_name: raw.session_cookie_name.unwrap_or_else(cookie),
            session_timeout: raw.session_timeout.unwrap_or(SESSION_TIMEOUT),
            extra_params: raw
                .authentication_request_extra_params
                .unwrap_or_default()
                .into_iter()
                .collect(),
        },
    }
}

/// Client id and secret are dropped where they are: AWS withholds the secret, and neither is compared.
fn oidc(raw: sdk::AuthenticateOidcActionConfig) -> RuleAction {
    RuleAction::AuthenticateOidc {
        issuer: raw.issuer.unwrap_or_default(),
        authorization_endpoint: raw.authorization_endpoint.unwrap_or_default(),
        token_endpoint: raw.token_endpoint.unwrap_or_default(),
        user_info_endpoint: raw.user_info_endpoint.unwrap_or_default(),
        client: None,
        session: Session {
            on_unauthenticated_request: raw
                .on_unauthenticated_request
                .map_or_else(on_unauthenticated, |what| what.as_str().to_owned()),
            scope: raw.scope.unwrap_or_else(scope),
            session_cookie_name: raw.session_cookie_name.unwrap_or_else(cookie),
            session_timeout: raw.session_timeout.unwrap_or(SESSION_TIMEOUT),
            extra_params: raw
                .authentication_request_extra_params
                .unwrap_or_default()
                .into_iter()
                .collect(),
        },
    }
}

// What AWS takes for a session where nothing is said (ELBv2 API reference).
const SESSION_TIMEOUT: i64 = 604_800;

fn on_unauthenticated() -> String {
    "authenticate".to_owned()
}

fn scope() -> String {
    "openid".to_owned()
}

fn cookie() -> String {
    "AWSELBAuthSessionCookie".to_owned()
}

fn jwt(raw: Option<sdk::JwtValidationActionConfig>) -> JwtValidation {
    let (jwks_endpoint, issuer, claims) = raw.map_or((None, None, None), |raw| {
        (raw.jwks_endpoint, raw.issuer, raw.additional_claims)
    });
    JwtValidation {
        jwks_endpoint: jwks_endpoint.unwrap_or_default(),
        issuer: issuer.unwrap_or_default(),
        additional_claims: claims
            .unwrap_or_default()
            .into_iter()
            .map(|claim| JwtClaim {
                format: claim
                    .format
                    .map_or_else(String::new, |format| format.as_str().to_owned()),
                name: claim.name.unwrap_or_default(),
                values: claim.values.unwrap_or_default(),
            })
            .collect(),
    }
}

/// `ForwardConfig` if it names groups, otherwise the short form; weight 1 and no stickiness where nothing is said.
fn forward(config: Option<sdk::ForwardActionConfig>, short: Option<String>) -> RuleAction {
    let (groups, stickiness) = config.map_or((None, None), |config| {
        (config.target_groups, config.target_group_stickiness_config)
    });
    let mut target_groups: Vec<WeightedTargetGroup> = groups
        .unwrap_or_default()
        .into_iter()
        .filter_map(|tuple| {
            Some(WeightedTargetGroup {
                arn: Ref::Known(Arn(tuple.target_group_arn?)),
                weight: tuple.weight.unwrap_or(1),
            })
        })
        .collect();
    if target_groups.is_empty() {
        target_groups.extend(short.map(|arn| WeightedTargetGroup {
            arn: Ref::Known(Arn(arn)),
            weight: 1,
        }));
    }
    target_groups.sort();
    RuleAction::Forward {
        target_groups,
        stickiness_seconds: stickiness
            .filter(|stickiness| stickiness.enabled == Some(true))
            .and_then(|stickiness| stickiness.duration_seconds),
    }
}

fn redirect(config: Option<sdk::RedirectActionConfig>) -> RuleAction {
    let [protocol, host, port, path, query] = REDIRECT_DEFAULTS;
    let (parts, status) = config.map_or((Default::default(), None), |config| {
        (
            [
                config.protocol,
                config.host,
                config.port,
                config.path,
                config.query,
            ],
            config.status_code,
        )
    });
    let [p, h, o, a, q] = parts;
    let or = |part: Option<String>, default: &str| part.unwrap_or_else(|| default.to_owned());
    RuleAction::Redirect {
        protocol: or(p, protocol),
        host: or(h, host),
        port: or(o, port),
        path: or(a, path),
        query: or(q, query),
        status_code: status.map_or_else(String::new, |status| status.as_str().to_owned()),
    }
}
