//! `ssl-redirect`: all plain listeners of a group answer with a redirection to one TLS port (ingress-model §4.5).

use super::{
    Action,
    build::Built,
    context::{GroupInput, MemberInput, Refused, Report},
    merge::{self, Given},
    port::Ports,
};
use crate::{
    manifest::annotation::{grammar::int32, value::Protocol},
    problem::{Problem, codes},
};

#[cfg(test)]
mod tests;

/// The port that plain listeners redirect to, if any.
///
/// # Errors
/// Members disagree, or no TLS listener has that port.
pub fn port(group: &GroupInput<'_>, ports: &Ports, report: &Report<'_>) -> Built<Option<u16>> {
    let mut given = Vec::new();
    let mut result = Ok(());
    for member in &group.members {
        match of_member(*member, report) {
            // One class with a text that is no number switches redirection off for all; who comes later is not asked.
            Ok(Said::Off) => return result.map(|()| None),
            Ok(Said::Nothing) => {}
            Ok(Said::To(port)) => given.push(port),
            Err(Refused) => result = Err(Refused),
        }
    }
    let agreed = merge::agree("ssl-redirect", given, report);
    result?;
    let Some(agreed) = agreed? else {
        return Ok(None);
    };
    let number = u16::try_from(agreed.value).ok();
    let listener = number.and_then(|number| Some((number, ports.ports.get(&number)?)));
    let message = match listener {
        Some((number, port)) if port.protocol == Protocol::Https => return Ok(Some(number)),
        Some(_) => format!(
            "ssl-redirect goes to port {}, which listens without TLS",
            agreed.value
        ),
        None => format!(
            "ssl-redirect goes to port {}, where nobody listens",
            agreed.value
        ),
    };
    let with_tls: Vec<String> = ports
        .ports
        .iter()
        .filter(|(_, port)| port.protocol == Protocol::Https)
        .map(|(number, _)| number.to_string())
        .collect();
    let hint = if with_tls.is_empty() {
        "add an HTTPS port to listen-ports".to_owned()
    } else {
        format!("ports with TLS are: {}", with_tls.join(", "))
    };
    report.refuse(
        Problem::new(codes::SSL_REDIRECT, agreed.origin.clone(), message)
            .of(agreed.member.object())
            .hint(hint),
    )
}

enum Said<'a> {
    Nothing,
    Off,
    To(Given<'a, i32>),
}

/// The class's port, which hides the annotation, else that.
fn of_member<'a>(member: MemberInput<'a>, report: &Report<'_>) -> Built<Said<'a>> {
    let of_class = member
        .params
        .and_then(|params| params.spec.ssl_redirect_port.as_ref());
    if let Some(text) = of_class.filter(|text| !text.value.is_empty()) {
        let Ok(value) = int32(&text.value) else {
            report.add(
                Problem::new(
                    codes::ODD_PARAMETER,
                    text.origin.clone(),
                    format!(
                        "sslRedirectPort cannot be \"{}\": redirection is off for all who share the balancer",
                        text.value
                    ),
                )
                .hint("write a port's number"),
            );
            return Ok(Said::Off);
        };
        return Ok(Said::To(Given {
            value,
            text: &text.value,
            origin: &text.origin,
            member,
        }));
    }
    let setting = member.options().listener.ssl_redirect.as_ref();
    Ok(Given::setting(member, setting, report)?.map_or(Said::Nothing, Said::To))
}

pub fn action(to: u16) -> Action {
    Action::Redirect {
        status_code: "HTTP_301".to_owned(),
        host: None,
        path: None,
        port: Some(to.to_string()),
        protocol: Some(Protocol::Https.as_str().to_owned()),
        query: None,
    }
}
