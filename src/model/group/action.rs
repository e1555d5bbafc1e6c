//! What a backend answers with: a Service, an annotation's action, or LBC's 503 in place of what does not exist
//! (ingress-model §5.6).

use super::{
    Action, TargetGroupRef, WeightedTargetGroup,
    auth::{self, Auth},
    backend::{self, Found, View},
    build::Built,
    context::{MemberInput, Refused},
    target_group::{Ask, TargetGroups},
};
use crate::{
    manifest::{
        Backend, ServiceRef,
        annotation::{
            Setting,
            options::{ForwardTo, RuleAction, Stickiness},
            value::{Condition, Protocol, Transform},
        },
        ingress::{PortRef, USE_ANNOTATION},
    },
    problem::{Located, Origin, Problem, codes, nearest::did_you_mean},
};

#[cfg(test)]
mod tests;

/// A backend with what the annotations say of it, before the listener's protocol matters.
#[derive(Debug)]
pub struct Enhanced<'a> {
    pub conditions: Option<&'a Setting<Vec<Condition>>>,
    pub transforms: &'a [Transform],
    routing: Routing<'a>,
    auth: Auth<'a>,
    origin: &'a Origin,
}

/// The action that answers.
#[derive(Debug)]
enum Routing<'a> {
    Answer(Box<Action>),
    Forward {
        targets: Vec<Target<'a>>,
        stickiness: Option<Stickiness>,
    },
}

#[derive(Debug)]
struct Target<'a> {
    to: To<'a>,
    weight: Option<i32>,
}

#[derive(Debug)]
enum To<'a> {
    Arn(&'a str),
    Name(Named<'a>),
    Service {
        service: ServiceRef,
        view: View<'a>,
        port: &'a PortRef,
    },
}

/// A target group of the user's by its name.
#[derive(Clone, Copy, Debug)]
struct Named<'a> {
    name: &'a str,
    /// The annotation `actions.ACTION` names it.
    action: &'a str,
    origin: &'a Origin,
}

/// Reads everything that belongs to one backend, in LBC's order; all that is wrong is told.
///
/// # Errors
/// It is no Service, an annotation does not follow its grammar, or something that it needs does not exist.
pub fn read<'a>(
    task: &TargetGroups<'_, 'a>,
    member: MemberInput<'a>,
    backend: &'a Located<Backend>,
) -> Built<Enhanced<'a>> {
    let report = task.report;
    let Backend::Service { name, port } = &backend.value else {
        return report.refuse(
            Problem::new(
                codes::BAD_BACKEND,
                backend.origin.clone(),
                "a backend must be a Service: ALB cannot forward to a resource",
            )
            .of(member.object()),
        );
    };
    let options = &member.options().rule;
    let conditions = options.conditions.get(name);
    let asked = report.ask(conditions);
    let transforms = report.ask(options.transforms.get(name));
    let routing = if matches!(port, PortRef::Name(name) if name == USE_ANNOTATION) {
        annotated(task, member, name, &backend.origin)
    } else {
        let tuple = [Tuple {
            to: Points::Service { name, port },
            weight: None,
        }];
        forward(task, member, tuple.into_iter(), None, &backend.origin)
    };
    let single = match routing.as_ref() {
        Ok(Routing::Forward { targets, .. }) => match targets.as_slice() {
            [
                Target {
                    to: To::Service { view, .. },
                    ..
                },
            ] => view.options(),
            _ => None,
        },
        _ => None,
    };
    let auth = auth::read(member, single, &backend.origin, report);
    asked?;
    Ok(Enhanced {
        conditions,
        transforms: transforms?.map_or(&[], Vec::as_slice),
        routing: routing?,
        auth: auth?,
        origin: &backend.origin,
    })
}

/// One target of a forward as it is written.
struct Tuple<'a> {
    to: Points<'a>,
    weight: Option<i32>,
}

enum Points<'a> {
    Arn(&'a str),
    Name(Named<'a>),
    Service { name: &'a str, port: &'a PortRef },
}

fn annotated<'a>(
    task: &TargetGroups<'_, 'a>,
    member: MemberInput<'a>,
    name: &'a str,
    origin: &'a Origin,
) -> Built<Routing<'a>> {
    let Some(setting) = member.options().rule.actions.get(name) else {
        return without_action(task, member, name, origin);
    };
    let Some(action) = task.report.ask(Some(setting))? else {
        return Err(Refused);
    };
    Ok(Routing::Answer(Box::new(match action {
        RuleAction::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => Action::FixedResponse {
            status_code: status_code.clone(),
            content_type: content_type.clone(),
            message_body: message_body.clone(),
        },
        RuleAction::Redirect {
            status_code,
            host,
            path,
            port,
            protocol,
            query,
        } => Action::Redirect {
            status_code: status_code.clone(),
            host: host.clone(),
            path: path.clone(),
            port: port.clone(),
            protocol: protocol.clone(),
            query: query.clone(),
        },
        RuleAction::Forward {
            targets,
            stickiness,
        } => {
            let tuples = targets.iter().map(|target| Tuple {
                to: match &target.to {
                    ForwardTo::TargetGroupArn(arn) => Points::Arn(arn),
                    ForwardTo::TargetGroupName(named) => Points::Name(Named {
                        name: named,
                        action: name,
                        origin: &setting.origin,
                    }),
                    ForwardTo::Service { name, port } => Points::Service { name, port },
                },
                weight: target.weight,
            });
            return forward(task, member, tuples, *stickiness, &setting.origin);
        }
    })))
}

/// Looks the Services of a forward up. One alone that does not exist is answered for; among several it is an error.
fn forward<'a>(
    task: &TargetGroups<'_, 'a>,
    member: MemberInput<'a>,
    tuples: impl ExactSizeIterator<Item = Tuple<'a>>,
    stickiness: Option<Stickiness>,
    origin: &'a Origin,
) -> Built<Routing<'a>> {
    let count = tuples.len();
    let mut targets = Vec::with_capacity(count);
    let mut result = Ok(());
    for Tuple { to, weight } in tuples {
        let to = match to {
            Points::Arn(arn) => To::Arn(arn),
            Points::Name(named) => To::Name(named),
            Points::Service { name, port } => {
                let service = ServiceRef {
                    namespace: member.ingress.namespace.clone(),
                    name: name.to_owned(),
                };
                match backend::find(task.input, member, &service, origin, task.report) {
                    Ok(Found::Service(view)) => To::Service {
                        service,
                        view,
                        port,
                    },
                    Ok(Found::Missing) if count == 1 => {
                        return without_service(task, member, &service, origin);
                    }
                    Ok(Found::Missing) => {
                        result = refuse_missing(task, member, &service, origin);
                        continue;
                    }
                    Err(Refused) => {
                        result = Err(Refused);
                        continue;
                    }
                }
            }
        };
        targets.push(Target { to, weight });
    }
    result?;
    if count > 1 && !task.input.settings.gates.weighted_target_groups {
        return task.report.refuse(
            Problem::new(
                codes::BAD_BACKEND,
                origin.clone(),
                "several target groups in one action need the feature gate WeightedTargetGroups",
            )
            .of(member.object()),
        );
    }
    Ok(Routing::Forward {
        targets,
        stickiness,
    })
}

fn refuse_missing<T>(
    task: &TargetGroups<'_, '_>,
    member: MemberInput<'_>,
    service: &ServiceRef,
    origin: &Origin,
) -> Built<T> {
    task.report.refuse(
        Problem::new(
            codes::BAD_BACKEND,
            origin.clone(),
            format!(
                "Service `{}` does not exist in namespace `{}`",
                service.name, service.namespace
            ),
        )
        .of(member.object())
        .hint("add the Service, or take it out of the backend"),
    )
}

fn without_service<'a>(
    task: &TargetGroups<'_, '_>,
    member: MemberInput<'_>,
    service: &ServiceRef,
    origin: &Origin,
) -> Built<Routing<'a>> {
    if !task
        .input
        .settings
        .flags
        .tolerate_non_existent_backend_service
    {
        return refuse_missing(task, member, service, origin);
    }
    backend::tell_missing(task.input, member, service, origin, task.report);
    Ok(Routing::Answer(Box::new(unavailable(
        "Backend service does not exist",
    ))))
}

fn without_action<'a>(
    task: &TargetGroups<'_, '_>,
    member: MemberInput<'_>,
    name: &str,
    origin: &Origin,
) -> Built<Routing<'a>> {
    let is_tolerated = task
        .input
        .settings
        .flags
        .tolerate_non_existent_backend_action;
    let code = if is_tolerated {
        codes::UNKNOWN_ACTION
    } else {
        codes::BAD_BACKEND
    };
    let known = member.options().rule.actions.keys().map(String::as_str);
    let mut problem = Problem::new(
        code,
        origin.clone(),
        format!("the backend `{name}` takes its action from the annotation actions.{name}, which is missing"),
    )
    .of(member.object());
    problem.hint = did_you_mean(name, known);
    task.report.add(problem);
    if is_tolerated {
        Ok(Routing::Answer(Box::new(unavailable(
            "Backend action does not exist",
        ))))
    } else {
        Err(Refused)
    }
}

fn unavailable(body: &str) -> Action {
    Action::FixedResponse {
        status_code: "503".to_owned(),
        content_type: Some("text/plain".to_owned()),
        message_body: Some(body.to_owned()),
    }
}

/// The actions of a rule or of a listener's default: with TLS, who signs in first; then the answer.
///
/// # Errors
/// Sign-in is not possible as asked, or a target group cannot be made.
pub fn build(
    task: &mut TargetGroups<'_, '_>,
    member: usize,
    protocol: Protocol,
    enhanced: &Enhanced<'_>,
) -> Built<Vec<Action>> {
    let first = match (protocol, task.group.members.get(member)) {
        (Protocol::Https, Some(of)) => enhanced.auth.action(task.input, *of, task.report),
        _ => Ok(None),
    };
    let answer = answer(task, member, enhanced);
    let (first, answer) = (first?, answer?);
    let mut actions = Vec::with_capacity(1 + usize::from(first.is_some()));
    actions.extend(first);
    actions.push(answer);
    Ok(actions)
}

fn answer(
    task: &mut TargetGroups<'_, '_>,
    member: usize,
    enhanced: &Enhanced<'_>,
) -> Built<Action> {
    let (targets, stickiness) = match &enhanced.routing {
        Routing::Answer(action) => return Ok(Action::clone(action)),
        Routing::Forward {
            targets,
            stickiness,
        } => (targets, *stickiness),
    };
    let mut target_groups = Vec::with_capacity(targets.len());
    let mut result = Ok(());
    for Target { to, weight } in targets {
        let target_group = match to {
            To::Arn(arn) => Ok(TargetGroupRef::Arn((*arn).to_owned())),
            To::Name(by) => named(task, member, *by),
            To::Service {
                service,
                view,
                port,
            } => task
                .of(Ask {
                    member,
                    service,
                    view: *view,
                    port,
                    origin: enhanced.origin,
                })
                .map(TargetGroupRef::Own),
        };
        match target_group {
            Ok(target_group) => target_groups.push(WeightedTargetGroup {
                target_group,
                weight: *weight,
            }),
            Err(Refused) => result = Err(Refused),
        }
    }
    result.map(|()| Action::Forward {
        target_groups,
        stickiness,
    })
}

/// A target group that the user made: there must be exactly one of that name.
fn named(
    task: &TargetGroups<'_, '_>,
    member: usize,
    Named {
        name,
        action,
        origin,
    }: Named<'_>,
) -> Built<TargetGroupRef> {
    let object = task.group.members.get(member).ok_or(Refused)?.object();
    let Some(known) = task.input.target_groups() else {
        let what = format!("the target group \"{name}\"");
        return task.report.missing_fact(origin, &object, &what);
    };
    let mut found = known.iter().filter(|known| known.name == name);
    if let (Some(only), None) = (found.next(), found.next()) {
        return Ok(TargetGroupRef::Arn(only.arn.clone()));
    }
    let mut problem = Problem::new(
        codes::BAD_BACKEND,
        origin.clone(),
        format!(
            "targetGroupName of actions.{action} is \"{name}\", and there is no single target group of that name"
        ),
    )
    .of(object);
    problem.hint = did_you_mean(name, known.iter().map(|known| known.name.as_str()));
    task.report.refuse(problem)
}
