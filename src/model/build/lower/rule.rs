//! Rules and actions, with everything that AWS would fill in spelled out.

use super::{super::Wait, Lower};
use crate::{
    manifest::annotation::{options::Stickiness, value},
    model::{
        desired::OrderedRule,
        elb::{Condition, OidcClient, RuleAction, RuleSpec, WeightedTargetGroup},
        group::{self, Action, split},
    },
    problem::Origin,
};

/// What AWS takes for a target group of which nothing is said.
const WHOLE_WEIGHT: i32 = 1;

impl Lower<'_> {
    /// The rule, in parts where ALB takes no more conditions at once; none where it never matches.
    pub(super) fn rule(&self, model: &group::Rule) -> Result<Vec<OrderedRule>, Wait> {
        let parts = split::split(model).map_err(|too_much| {
            Wait::new(
                &model.origin,
                format!("ALB cannot have this rule: {too_much}"),
            )
        })?;
        let actions = self.actions(&model.actions, &model.origin)?;
        let conditions = |conditions: &[value::Condition]| -> Vec<Condition> {
            conditions.iter().cloned().map(condition).collect()
        };
        let is_whole = matches!(&parts[..], [only] if only.conditions == model.conditions);
        let whole = (!is_whole).then(|| conditions(&model.conditions));
        Ok(parts
            .into_iter()
            .map(|part| OrderedRule {
                origin: part.origin,
                whole: whole.clone(),
                spec: RuleSpec {
                    conditions: conditions(&part.conditions),
                    actions: actions.clone(),
                    transforms: part.transforms,
                    tags: self.tags(&part.tags, None),
                },
            })
            .collect())
    }

    pub(super) fn actions(
        &self,
        actions: &[Action],
        origin: &Origin,
    ) -> Result<Vec<RuleAction>, Wait> {
        actions
            .iter()
            .map(|action| self.action(action, origin))
            .collect()
    }

    fn action(&self, action: &Action, origin: &Origin) -> Result<RuleAction, Wait> {
        Ok(match action {
            Action::AuthenticateCognito {
                user_pool_arn,
                user_pool_client_id,
                user_pool_domain,
                session,
            } => RuleAction::AuthenticateCognito {
                user_pool_arn: user_pool_arn.clone(),
                user_pool_client_id: user_pool_client_id.clone(),
                user_pool_domain: user_pool_domain.clone(),
                session: session.clone(),
            },
            Action::AuthenticateOidc {
                issuer,
                authorization_endpoint,
                token_endpoint,
                user_info_endpoint,
                secret,
                session,
            } => RuleAction::AuthenticateOidc {
                issuer: issuer.clone(),
                authorization_endpoint: authorization_endpoint.clone(),
                token_endpoint: token_endpoint.clone(),
                user_info_endpoint: user_info_endpoint.clone(),
                client: Some(OidcClient {
                    secret: secret.clone(),
                    version: self
                        .looks
                        .facts
                        .secrets
                        .as_ref()
                        .and_then(|secrets| secrets.get(&secret.to_string()))
                        .and_then(|fact| fact.resource_version.clone()),
                }),
                session: session.clone(),
            },
            Action::JwtValidation(jwt) => RuleAction::JwtValidation(jwt.clone()),
            Action::FixedResponse {
                status_code,
                content_type,
                message_body,
            } => RuleAction::FixedResponse {
                status_code: status_code.clone(),
                content_type: content_type.clone(),
                message_body: message_body.clone(),
            },
            Action::Redirect {
                status_code,
                host,
                path,
                port,
                protocol,
                query,
            } => {
                let or = |part: &Option<String>, same: &str| {
                    part.clone().unwrap_or_else(|| same.to_owned())
                };
                RuleAction::Redirect {
                    protocol: or(protocol, "#{protocol}"),
                    host: or(host, "#{host}"),
                    port: or(port, "#{port}"),
                    path: or(path, "/#{path}"),
                    query: or(query, "#{query}"),
                    status_code: status_code.clone(),
                }
            }
            Action::Forward {
                target_groups,
                stickiness,
            } => {
                if target_groups.is_empty() {
                    return Err(Wait::new(origin, "a forward to no target group"));
                }
                RuleAction::Forward {
                    target_groups: target_groups
                        .iter()
                        .map(|weighted| WeightedTargetGroup {
                            arn: self.target_group_ref(&weighted.target_group),
                            weight: weighted.weight.unwrap_or(WHOLE_WEIGHT),
                        })
                        .collect(),
                    stickiness_seconds: sticky_for(stickiness.as_ref(), origin)?,
                }
            }
        })
    }
}

/// AWS wants to be told for how long.
fn sticky_for(stickiness: Option<&Stickiness>, origin: &Origin) -> Result<Option<i32>, Wait> {
    match stickiness {
        Some(Stickiness {
            enabled: Some(true),
            duration_seconds,
        }) => match duration_seconds {
            Some(seconds) => Ok(Some(*seconds)),
            None => Err(Wait::new(
                origin,
                "targetGroupStickinessConfig is enabled without durationSeconds",
            )),
        },
        _ => Ok(None),
    }
}

fn condition(condition: value::Condition) -> Condition {
    match condition {
        value::Condition::HostHeader { values } => Condition::HostHeader { values },
        value::Condition::PathPattern { values } => Condition::PathPattern { values },
        value::Condition::HttpHeader { name, values } => Condition::HttpHeader { name, values },
        value::Condition::HttpRequestMethod { values } => Condition::HttpRequestMethod { values },
        value::Condition::QueryString { values } => Condition::QueryString { values },
        value::Condition::SourceIp { values } => Condition::SourceIp { values },
    }
}
