//! `actions.<name>` (ingress-model.md §5.6).

use super::{
    decode::{Decode, Decoded, Decoder, structure},
    json::Json,
    limit,
    options::{ForwardTarget, ForwardTo, RuleAction, Stickiness},
    read::{Read, Reading},
};
use crate::manifest::ingress::PortRef;

structure!(Action {
    kind: String = "type",
    target_group_arn: Option<String> = "targetGroupARN",
    target_group_name: Option<String> = "targetGroupName",
    fixed_response: Option<FixedResponse> = "fixedResponseConfig",
    redirect: Option<Redirect> = "redirectConfig",
    forward: Option<Forward> = "forwardConfig",
});
structure!(FixedResponse {
    content_type: Option<String> = "contentType",
    message_body: Option<String> = "messageBody",
    status_code: String = "statusCode",
});
structure!(Redirect {
    host: Option<String> = "host",
    path: Option<String> = "path",
    port: Option<String> = "port",
    protocol: Option<String> = "protocol",
    query: Option<String> = "query",
    status_code: String = "statusCode",
});
structure!(Forward {
    target_groups: Vec<Target> = "targetGroups",
    stickiness: Option<GroupStickiness> = "targetGroupStickinessConfig",
});
structure!(Target {
    target_group_arn: Option<String> = "targetGroupARN",
    target_group_name: Option<String> = "targetGroupName",
    service_name: Option<String> = "serviceName",
    service_port: Option<ServicePort> = "servicePort",
    weight: Option<i32> = "weight",
});
structure!(GroupStickiness {
    enabled: Option<bool> = "enabled",
    duration_seconds: Option<i32> = "durationSeconds",
});

/// A number, or text; text that reads as an int32 is that number.
#[derive(Clone, Debug, PartialEq)]
struct ServicePort(PortRef);

impl Default for ServicePort {
    fn default() -> Self {
        Self(PortRef::Number(0))
    }
}

impl Decode for ServicePort {
    fn decode(&mut self, json: &Json, to: &mut Decoder) -> Decoded {
        self.0 = if let Json::Text(text) = json {
            match text.parse() {
                Ok(number) => PortRef::Number(number),
                Err(_) => PortRef::Name(text.clone()),
            }
        } else {
            let mut number = 0;
            number.decode(json, to)?;
            PortRef::Number(number)
        };
        Ok(())
    }
}

pub(super) fn action(it: &mut Reading<'_>) -> Read<RuleAction> {
    let setting = it.json(|action: Action, _| match action.kind.as_str() {
        "fixed-response" => {
            let config = needed(action.fixed_response, "fixedResponseConfig", &action.kind)?;
            if config.status_code.is_empty() {
                return Err("fixedResponseConfig needs a statusCode".to_owned());
            }
            Ok(RuleAction::FixedResponse {
                status_code: config.status_code,
                content_type: config.content_type,
                message_body: config.message_body,
            })
        }
        "redirect" => {
            let config = needed(action.redirect, "redirectConfig", &action.kind)?;
            if config.status_code.is_empty() {
                return Err("redirectConfig needs a statusCode".to_owned());
            }
            Ok(RuleAction::Redirect {
                status_code: config.status_code,
                host: config.host,
                path: config.path,
                port: config.port,
                protocol: config.protocol,
                query: config.query,
            })
        }
        "forward" => forward(action),
        "" => Err("it needs a type: fixed-response, redirect or forward".to_owned()),
        other => Err(format!(
            "its type is fixed-response, redirect or forward, not \"{other}\""
        )),
    });
    it.limited(setting, limit::action)
}

fn needed<T>(config: Option<T>, key: &str, kind: &str) -> Result<T, String> {
    config.ok_or_else(|| format!("the type {kind} needs {key}"))
}

/// What names a target group of the user's; the ARN wins.
fn named(arn: Option<String>, name: Option<String>) -> Option<ForwardTo> {
    arn.map(ForwardTo::TargetGroupArn)
        .or(name.map(ForwardTo::TargetGroupName))
}

fn forward(action: Action) -> Result<RuleAction, String> {
    let single = named(action.target_group_arn, action.target_group_name);
    let config = match (single, action.forward) {
        (Some(_), Some(_)) => {
            return Err(
                "it has either targetGroupARN or targetGroupName, or forwardConfig".to_owned(),
            );
        }
        (Some(to), None) => {
            return Ok(RuleAction::Forward {
                targets: vec![ForwardTarget { to, weight: None }],
                stickiness: None,
            });
        }
        (None, None) => {
            return Err(
                "the type forward needs forwardConfig, targetGroupARN or targetGroupName"
                    .to_owned(),
            );
        }
        (None, Some(config)) => config,
    };
    let is_split = config.target_groups.len() > 1;
    let targets = config
        .target_groups
        .into_iter()
        .enumerate()
        .map(|(index, target)| {
            if is_split && target.weight.is_none() {
                return Err(format!(
                    "forwardConfig.targetGroups[{index}] needs a weight, since there are several"
                ));
            }
            Ok(ForwardTarget {
                weight: target.weight,
                to: self::target(index, target)?,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(RuleAction::Forward {
        targets,
        stickiness: config.stickiness.map(|stickiness| Stickiness {
            enabled: stickiness.enabled,
            duration_seconds: stickiness.duration_seconds,
        }),
    })
}

fn target(index: usize, target: Target) -> Result<ForwardTo, String> {
    let place = format!("forwardConfig.targetGroups[{index}]");
    let own = named(target.target_group_arn, target.target_group_name);
    match (own, target.service_name) {
        (Some(_), Some(_)) => Err(format!(
            "{place} has either serviceName or targetGroupARN and targetGroupName"
        )),
        (Some(own), None) => Ok(own),
        (None, Some(name)) => match target.service_port {
            Some(ServicePort(port)) => Ok(ForwardTo::Service { name, port }),
            None => Err(format!("{place} needs a servicePort")),
        },
        (None, None) => Err(format!(
            "{place} needs serviceName, targetGroupARN or targetGroupName"
        )),
    }
}
