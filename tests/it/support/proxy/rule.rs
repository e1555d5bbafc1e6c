//! Faults: which calls they hit, and what the caller sees (testbed-aws.md §8, P2 and P4).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::decode::{Call, Dialect, Plane};

type Predicate = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// Which calls. Everything that is given must agree.
#[derive(Clone, Default)]
pub struct Match {
    plane: Option<Plane>,
    service: Option<String>,
    operation: Option<String>,
    resource: Option<String>,
    writes_only: bool,
    predicate: Option<Predicate>,
}

impl Match {
    pub fn any() -> Match {
        Match::default()
    }

    /// An AWS operation, as `aws("elasticloadbalancing", "CreateRule")`.
    pub fn aws(service: &str, operation: &str) -> Match {
        Match {
            plane: Some(Plane::Aws),
            service: Some(service.to_owned()),
            operation: Some(operation.to_owned()),
            ..Match::default()
        }
    }

    /// A verb on a resource, as `kubernetes("apply", "deployments")`. Dry runs are calls of their own: see `writes`.
    pub fn kubernetes(verb: &str, resource: &str) -> Match {
        Match {
            plane: Some(Plane::Kubernetes),
            operation: Some(verb.to_owned()),
            resource: Some(resource.to_owned()),
            ..Match::default()
        }
    }

    pub fn plane(plane: Plane) -> Match {
        Match {
            plane: Some(plane),
            ..Match::default()
        }
    }

    /// Only calls that change state (`Call::is_write`).
    pub fn writes(self) -> Match {
        Match {
            writes_only: true,
            ..self
        }
    }

    /// Only calls for which `predicate` answers true as well.
    pub fn when(self, predicate: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Match {
        Match {
            predicate: Some(Arc::new(predicate)),
            ..self
        }
    }

    pub fn hits(&self, call: &Call) -> bool {
        let Match {
            plane,
            service,
            operation,
            resource,
            writes_only,
            predicate,
        } = self;
        plane.is_none_or(|plane| plane == call.plane)
            && service
                .as_ref()
                .is_none_or(|service| *service == call.service)
            && operation
                .as_ref()
                .is_none_or(|operation| *operation == call.operation)
            && resource
                .as_ref()
                .is_none_or(|resource| *resource == call.resource)
            && (!writes_only || call.is_write())
            && predicate.as_ref().is_none_or(|predicate| predicate(call))
    }
}

impl fmt::Debug for Match {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |value: &Option<String>| value.clone().unwrap_or_else(|| "*".to_owned());
        write!(
            out,
            "{}:{} {}",
            part(&self.service),
            part(&self.operation),
            part(&self.resource)
        )
    }
}

/// What happens to a call that is hit.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Not forwarded; answered in the service's own dialect.
    Error {
        status: u16,
        code: String,
        message: String,
    },
    /// Not forwarded; the service's own word for "too fast".
    Throttle,
    /// Not forwarded; a page, as a broken load balancer in between would answer.
    Html { status: u16 },
    /// Not forwarded; a status without a body.
    Empty { status: u16 },
    /// Not forwarded; XML of ours, for reads that the server does not know.
    Answer { xml: String },
    /// Not forwarded; the connection ends without an answer.
    ResetBefore,
    /// Forwarded and carried out; the connection ends without an answer.
    ResetAfter,
    /// Forwarded after a while.
    Delay(Duration),
    /// Forwarded at once, answered after a while: longer than the caller's deadline is "applied, but timed out".
    AnswerLate(Duration),
}

impl Fault {
    pub fn error(status: u16, code: &str, message: &str) -> Fault {
        Fault::Error {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    /// Throttled, denied and so on, for the journal.
    pub fn label(&self) -> String {
        match self {
            Fault::Error { status, code, .. } => format!("{status} {code}"),
            Fault::Throttle => "throttled".to_owned(),
            Fault::Html { status } => format!("{status} with a page"),
            Fault::Empty { status } => format!("{status} without a body"),
            Fault::Answer { .. } => "answered in the server's place".to_owned(),
            Fault::ResetBefore => "reset before forwarding".to_owned(),
            Fault::ResetAfter => "reset after forwarding".to_owned(),
            Fault::Delay(time) => format!("delayed by {} ms", time.as_millis()),
            Fault::AnswerLate(time) => format!("answered {} ms late", time.as_millis()),
        }
    }

    /// The answer in place of the server's, for faults that have one.
    pub fn answer(&self, call: &Call) -> Option<Response<Bytes>> {
        match self {
            Fault::Error {
                status,
                code,
                message,
            } => Some(error(call.dialect(), *status, code, message)),
            Fault::Throttle => Some(throttle(call.dialect())),
            Fault::Html { status } => {
                let page = format!(
                    "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\n"
                );
                Some(response(*status, "text/html", page))
            }
            Fault::Empty { status } => Some(response(*status, "text/plain", String::new())),
            Fault::Answer { xml } => Some(response(200, "text/xml", xml.clone())),
            Fault::ResetBefore | Fault::ResetAfter | Fault::Delay(_) | Fault::AnswerLate(_) => None,
        }
    }
}

/// A fault for some of the calls that match: from the `first` (counted from 1) on, `times` times.
#[derive(Debug, Clone)]
pub struct Rule {
    pub matches: Match,
    pub first: usize,
    pub times: usize,
    pub fault: Fault,
}

impl Rule {
    /// The first matching call only.
    pub fn once(matches: Match, fault: Fault) -> Rule {
        Rule {
            matches,
            first: 1,
            times: 1,
            fault,
        }
    }

    pub fn always(matches: Match, fault: Fault) -> Rule {
        Rule {
            matches,
            first: 1,
            times: usize::MAX,
            fault,
        }
    }

    pub fn nth(self, first: usize) -> Rule {
        Rule { first, ..self }
    }

    pub fn times(self, times: usize) -> Rule {
        Rule { times, ..self }
    }
}

/// A rule with the number of calls that it has seen.
#[derive(Debug)]
pub struct Armed {
    rule: Rule,
    seen: usize,
}

impl Armed {
    pub fn new(rule: Rule) -> Armed {
        Armed { rule, seen: 0 }
    }

    /// Counts the call if it matches; the fault if it is this call's turn.
    pub fn take(&mut self, call: &Call) -> Option<Fault> {
        if !self.rule.matches.hits(call) {
            return None;
        }
        self.seen += 1;
        let turn = self.seen >= self.rule.first && self.seen - self.rule.first < self.rule.times;
        turn.then(|| self.rule.fault.clone())
    }
}

fn throttle(dialect: Dialect) -> Response<Bytes> {
    match dialect {
        Dialect::Query => error(dialect, 400, "Throttling", "Rate exceeded"),
        Dialect::Ec2 => error(
            dialect,
            503,
            "RequestLimitExceeded",
            "Request limit exceeded.",
        ),
        Dialect::Json => error(dialect, 400, "ThrottlingException", "Rate exceeded"),
        Dialect::Kubernetes => {
            let mut answer = error(
                dialect,
                429,
                "TooManyRequests",
                "the server has received too many requests",
            );
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            answer
        }
    }
}

fn error(dialect: Dialect, status: u16, code: &str, message: &str) -> Response<Bytes> {
    const REQUEST: &str = "00000000-0000-0000-0000-00000000fa17";
    let side = if status < 500 { "Sender" } else { "Receiver" };
    let (kind, body) = match dialect {
        Dialect::Query => (
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>{REQUEST}</RequestId></ErrorResponse>"
            ),
        ),
        Dialect::Ec2 => (
            "text/xml;charset=UTF-8",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
                 <Message>{message}</Message></Error></Errors><RequestID>{REQUEST}</RequestID></Response>"
            ),
        ),
        Dialect::Json => (
            "application/json",
            serde_json::json!({"__type": code, "message": message}).to_string(),
        ),
        Dialect::Kubernetes => (
            "application/json",
            serde_json::json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": code, "message": message, "code": status,
            })
            .to_string(),
        ),
    };
    let mut answer = response(status, kind, body);
    if let (Dialect::Json, Ok(value)) = (dialect, HeaderValue::from_str(code)) {
        answer.headers_mut().insert("x-amzn-errortype", value);
    }
    answer
}

fn response(status: u16, kind: &'static str, body: String) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).expect("a status that HTTP has");
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
