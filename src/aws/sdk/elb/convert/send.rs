//! From our types to ELBv2's.

use std::collections::HashMap;

use aws_sdk_elasticloadbalancingv2::types as sdk;

use super::ALL_ZONES;
use crate::{
    aws::sdk::secret::Clients,
    id::Arn,
    model::{
        desired::Ref,
        elb::{
            Condition, Matcher, MutualMode, Patterns, Rewrite, RuleAction, Target, TlsSpec,
            Transform,
        },
        group::Session,
        net::Tags,
    },
};

pub(in crate::aws::sdk::elb) fn to_tags(tags: &Tags) -> Option<Vec<sdk::Tag>> {
    // An empty list is refused by AWS; nothing is said instead.
    (!tags.is_empty()).then(|| {
        tags.iter()
            .map(|(key, value)| sdk::Tag::builder().key(key).value(value).build())
            .collect()
    })
}

pub(in crate::aws::sdk::elb) fn to_actions(
    actions: &[RuleAction],
    clients: &Clients,
) -> Vec<sdk::Action> {
    (1..)
        .zip(actions)
        .map(|(order, action)| to_action(order, action, clients))
        .collect()
}

/// Every field that AWS would default is said (decision 13 of the spec).
fn to_action(order: i32, action: &RuleAction, clients: &Clients) -> sdk::Action {
    let out = sdk::Action::builder().order(order);
    match action {
        RuleAction::Forward {
            target_groups,
            stickiness_seconds,
        } => {
            let groups = target_groups.iter().map(|group| {
                sdk::TargetGroupTuple::builder()
                    .target_group_arn(known(&group.arn).as_str())
                    .weight(group.weight)
                    .build()
            });
            out.r#type(sdk::ActionTypeEnum::Forward).forward_config(
                sdk::ForwardActionConfig::builder()
                    .set_target_groups(Some(groups.collect()))
                    .target_group_stickiness_config(
                        sdk::TargetGroupStickinessConfig::builder()
                            .enabled(stickiness_seconds.is_some())
                            .set_duration_seconds(*stickiness_seconds)
                            .build(),
                    )
                    .build(),
            )
        }
        RuleAction::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => out
            .r#type(sdk::ActionTypeEnum::FixedResponse)
            .fixed_response_config(
                sdk::FixedResponseActionConfig::builder()
                    .status_code(status_code)
                    .set_content_type(content_type.clone())
                    .set_message_body(message_body.clone())
                    .build(),
            ),
        RuleAction::Redirect {
            protocol,
            host,
            port,
            path,
            query,
            status_code,
        } => out.r#type(sdk::ActionTypeEnum::Redirect).redirect_config(
            sdk::RedirectActionConfig::builder()
                .protocol(protocol)
                .host(host)
                .port(port)
                .path(path)
                .query(query)
                .status_code(status_code.as_str().into())
                .build(),
        ),
        RuleAction::AuthenticateCognito {
            user_pool_arn,
            user_pool_client_id,
            user_pool_domain,
            session,
        } => out
            .r#type(sdk::ActionTypeEnum::AuthenticateCognito)
            .authenticate_cognito_config(
                sdk::AuthenticateCognitoActionConfig::builder()
                    .user_pool_arn(user_pool_arn)
                    .user_pool_client_id(user_pool_client_id)
                    .user_pool_domain(user_pool_domain)
                    .on_unauthenticated_request(session.on_unauthenticated_request.as_str().into())
                    .scope(&session.scope)
                    .session_cookie_name(&session.session_cookie_name)
                    .session_timeout(session.session_timeout)
                    .set_authentication_request_extra_params(extra_params(session))
                    .build(),
            ),
        RuleAction::AuthenticateOidc {
            issuer,
            authorization_endpoint,
            token_endpoint,
            user_info_endpoint,
            client,
            session,
        } => {
            let client = client
                .as_ref()
                .and_then(|client| clients.get(&client.secret));
            out.r#type(sdk::ActionTypeEnum::AuthenticateOidc)
                .authenticate_oidc_config(
                    sdk::AuthenticateOidcActionConfig::builder()
                        .issuer(issuer)
                        .authorization_endpoint(authorization_endpoint)
                        .token_endpoint(token_endpoint)
                        .user_info_endpoint(user_info_endpoint)
                        .set_client_id(client.map(|client| client.id.clone()))
                        .set_client_secret(client.map(|client| client.secret.clone()))
                        .on_unauthenticated_request(
                            session.on_unauthenticated_request.as_str().into(),
                        )
                        .scope(&session.scope)
                        .session_cookie_name(&session.session_cookie_name)
                        .session_timeout(session.session_timeout)
                        .set_authentication_request_extra_params(extra_params(session))
                        .build(),
                )
        }
        RuleAction::JwtValidation(jwt) => {
            let claims = jwt.additional_claims.iter().map(|claim| {
                sdk::JwtValidationActionAdditionalClaim::builder()
                    .format(claim.format.as_str().into())
                    .name(&claim.name)
                    .set_values(Some(claim.values.clone()))
                    .build()
            });
            out.r#type(sdk::ActionTypeEnum::JwtValidation)
                .jwt_validation_config(
                    sdk::JwtValidationActionConfig::builder()
                        .jwks_endpoint(&jwt.jwks_endpoint)
                        .issuer(&jwt.issuer)
                        .set_additional_claims(
                            (!jwt.additional_claims.is_empty()).then(|| claims.collect()),
                        )
                        .build(),
                )
        }
        RuleAction::Other { text } => unreachable!("BUG: a foreign action was planned: {text}"),
    }
    .build()
}

pub(in crate::aws::sdk::elb) fn to_conditions(conditions: &[Condition]) -> Vec<sdk::RuleCondition> {
    conditions.iter().map(to_condition).collect()
}

fn to_condition(condition: &Condition) -> sdk::RuleCondition {
    let out = sdk::RuleCondition::builder();
    match condition {
        Condition::HostHeader { values } => {
            let (values, regex) = split(values);
            out.field("host-header").host_header_config(
                sdk::HostHeaderConditionConfig::builder()
                    .set_values(values)
                    .set_regex_values(regex)
                    .build(),
            )
        }
        Condition::PathPattern { values } => {
            let (values, regex) = split(values);
            out.field("path-pattern").path_pattern_config(
                sdk::PathPatternConditionConfig::builder()
                    .set_values(values)
                    .set_regex_values(regex)
                    .build(),
            )
        }
        Condition::HttpHeader { name, values } => {
            let (values, regex) = split(values);
            out.field("http-header").http_header_config(
                sdk::HttpHeaderConditionConfig::builder()
                    .http_header_name(name)
                    .set_values(values)
                    .set_regex_values(regex)
                    .build(),
            )
        }
        Condition::HttpRequestMethod { values } => {
            out.field("http-request-method").http_request_method_config(
                sdk::HttpRequestMethodConditionConfig::builder()
                    .set_values(Some(values.clone()))
                    .build(),
            )
        }
        Condition::QueryString { values } => {
            let pairs = values.iter().map(|pair| {
                sdk::QueryStringKeyValuePair::builder()
                    .set_key(pair.key.clone())
                    .value(&pair.value)
                    .build()
            });
            out.field("query-string").query_string_config(
                sdk::QueryStringConditionConfig::builder()
                    .set_values(Some(pairs.collect()))
                    .build(),
            )
        }
        Condition::SourceIp { values } => out.field("source-ip").source_ip_config(
            sdk::SourceIpConditionConfig::builder()
                .set_values(Some(values.clone()))
                .build(),
        ),
        Condition::Other { text } => unreachable!("BUG: a foreign condition was planned: {text}"),
    }
    .build()
}

pub(in crate::aws::sdk::elb) fn to_matcher(matcher: &Matcher) -> sdk::Matcher {
    let out = sdk::Matcher::builder();
    match matcher {
        Matcher::HttpCode(code) => out.http_code(code),
        Matcher::GrpcCode(code) => out.grpc_code(code),
    }
    .build()
}

pub(in crate::aws::sdk::elb) fn to_targets<'a>(
    targets: impl IntoIterator<Item = &'a Target>,
) -> Vec<sdk::TargetDescription> {
    targets
        .into_iter()
        .map(|target| {
            sdk::TargetDescription::builder()
                .id(&target.id)
                .port(i32::from(target.port))
                .set_availability_zone(target.all_zones.then(|| ALL_ZONES.to_owned()))
                .build()
        })
        .collect()
}

/// The ports take resolved requests.
pub(in crate::aws::sdk::elb) fn known<T>(reference: &Ref<T>) -> &T {
    match reference {
        Ref::Known(value) => value,
        Ref::Output(id) => unreachable!("BUG: an unresolved reference to {id} reached the SDK"),
    }
}

fn extra_params(session: &Session) -> Option<HashMap<String, String>> {
    let params = &session.extra_params;
    (!params.is_empty()).then(|| params.clone().into_iter().collect())
}

/// Values, or regular expressions.
fn split(patterns: &Patterns) -> (Option<Vec<String>>, Option<Vec<String>>) {
    match patterns {
        Patterns::Values(values) => (Some(values.clone()), None),
        Patterns::Regex(regex) => (None, Some(regex.clone())),
    }
}

/// `None` for none: AWS refuses an empty list.
pub(in crate::aws::sdk::elb) fn to_transforms(
    transforms: &[Transform],
) -> Option<Vec<sdk::RuleTransform>> {
    let rewrites = |rewrites: &[Rewrite]| -> Option<Vec<sdk::RewriteConfig>> {
        let rewrites = rewrites.iter().map(|rewrite| {
            sdk::RewriteConfig::builder()
                .regex(&rewrite.regex)
                .replace(&rewrite.replace)
                .build()
        });
        Some(rewrites.collect())
    };
    let one = |transform: &Transform| {
        let out = sdk::RuleTransform::builder();
        match transform {
            Transform::UrlRewrite { rewrites: all } => out
                .r#type(sdk::TransformTypeEnum::UrlRewrite)
                .url_rewrite_config(
                    sdk::UrlRewriteConfig::builder()
                        .set_rewrites(rewrites(all))
                        .build(),
                ),
            Transform::HostHeaderRewrite { rewrites: all } => out
                .r#type(sdk::TransformTypeEnum::HostHeaderRewrite)
                .host_header_rewrite_config(
                    sdk::HostHeaderRewriteConfig::builder()
                        .set_rewrites(rewrites(all))
                        .build(),
                ),
        }
        .build()
    };
    (!transforms.is_empty()).then(|| transforms.iter().map(one).collect())
}

pub(in crate::aws::sdk::elb) fn to_certificate(arn: &Arn) -> sdk::Certificate {
    sdk::Certificate::builder()
        .certificate_arn(arn.as_str())
        .build()
}

/// The default is the one that CreateListener and ModifyListener take.
pub(in crate::aws::sdk::elb) fn to_default_certificate(tls: &TlsSpec) -> Vec<sdk::Certificate> {
    vec![to_certificate(&tls.default_certificate)]
}

pub(in crate::aws::sdk::elb) fn to_mutual_authentication(
    tls: &TlsSpec,
) -> Option<sdk::MutualAuthenticationAttributes> {
    let mutual = tls.mutual_authentication.as_ref()?;
    let mode = match mutual.mode {
        MutualMode::Off => "off",
        MutualMode::Passthrough => "passthrough",
        MutualMode::Verify => "verify",
    };
    Some(
        sdk::MutualAuthenticationAttributes::builder()
            .mode(mode)
            .set_trust_store_arn(mutual.trust_store.as_ref().map(|arn| arn.0.clone()))
            .set_ignore_client_certificate_expiry(mutual.ignore_client_certificate_expiry)
            .set_advertise_trust_store_ca_names(
                mutual
                    .advertise_trust_store_ca_names
                    .as_deref()
                    .map(Into::into),
            )
            .build(),
    )
}
