//! SDK errors to [`CallError`]: what came over the wire, whether it may have taken effect, and no secrets.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::model::call::{CallError, Effect};

/// Key under which the SDKs file the request id of an error document.
const REQUEST_ID: &str = "aws_request_id";
const REQUEST_ID_HEADERS: [&str; 2] = ["x-amzn-requestid", "x-amz-request-id"];
/// hyper's words for a connection that never came about, the same for refusals, name lookups, TLS and time-outs. If they
/// ever change, such failures count as of unknown effect, which is slower and not wrong.
const NEVER_CONNECTED: &str = "client error (Connect)";
/// Enough for any message that a person reads.
const LONGEST_MESSAGE: usize = 400;
/// Longer words are encoded blobs (EC2's authorization failure messages) or tokens.
const LONGEST_WORD: usize = 160;

pub(super) fn convert<E>(
    service: &str,
    operation: &str,
    error: &SdkError<E, HttpResponse>,
) -> CallError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let base = CallError {
        service: service.to_owned(),
        operation: operation.to_owned(),
        code: None,
        status: error.raw_response().map(|raw| raw.status().as_u16()),
        message: String::new(),
        request_id: error.raw_response().and_then(request_id_header),
        effect: Effect::Unknown,
    };
    match error {
        SdkError::ConstructionFailure(_) => CallError {
            message: scrub(&format!("not sent: {}", causes(error))),
            effect: Effect::None,
            ..base
        },
        SdkError::TimeoutError(_) => CallError {
            message: "no answer within the time allowed".to_owned(),
            ..base
        },
        SdkError::DispatchFailure(_) => unanswered(error, base),
        SdkError::ServiceError(answer) => refused(answer.err(), answer.raw(), base),
        // ResponseError and whatever the SDK may add.
        _ => CallError {
            message: scrub(&format!("the answer could not be read: {}", causes(error))),
            ..base
        },
    }
}

/// No answer: harmless only if nothing can have been sent.
fn unanswered(error: &(dyn Error + 'static), base: CallError) -> CallError {
    let text = causes(error);
    let (message, effect) = if chain(error).any(|cause| cause.is::<CredentialsError>()) {
        (format!("no usable AWS credentials: {text}"), Effect::None)
    } else if text.contains(NEVER_CONNECTED) {
        (format!("cannot connect: {text}"), Effect::None)
    } else {
        (format!("the connection broke: {text}"), Effect::Unknown)
    };
    CallError {
        message: scrub(&message),
        effect,
        ..base
    }
}

/// An answer that says no.
fn refused<E>(error: &E, raw: &HttpResponse, base: CallError) -> CallError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let meta = error.meta();
    let status = raw.status().as_u16();
    let code = meta.code().map(str::to_owned);
    let message = match (&code, meta.message()) {
        (Some(code), Some(message)) if code == "SignatureDoesNotMatch" => {
            // The rest is the request's canonical form, session token included.
            message.split(['.', '\n']).next().unwrap_or("").to_owned()
        }
        (_, Some(message)) => message.to_owned(),
        (Some(_), None) => String::new(),
        (None, None) => without_code(status, raw),
    };
    let error = CallError {
        request_id: meta
            .extra(REQUEST_ID)
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
            .or_else(|| base.request_id.clone()),
        message: scrub(&message),
        code,
        ..base
    };
    CallError {
        effect: effect(status, &error),
        ..error
    }
}

/// A refusal had no effect; a server that failed may have done it first (aws-deploy §10.4). EC2 answers throttled calls
/// with 503: still a refusal.
fn effect(status: u16, error: &CallError) -> Effect {
    let refusal = error.is_throttled()
        || error.has_code(&["InvalidAction", "NotImplemented"])
        || ((400..500).contains(&status)
            && status != 408
            && !error.has_code(&["RequestTimeout", "RequestTimeoutException"]));
    if refusal {
        Effect::None
    } else {
        Effect::Unknown
    }
}

fn without_code(status: u16, raw: &HttpResponse) -> String {
    let body = raw.body().bytes().unwrap_or_default();
    let start = String::from_utf8_lossy(&body[..body.len().min(512)]).to_lowercase();
    let html = start.contains("<html") || start.contains("<!doctype html");
    match (html, body.is_empty()) {
        (true, _) => format!(
            "an HTML page with status {status} instead of an API answer: the endpoint does not know this operation, or \
             is not AWS"
        ),
        (false, true) => format!("an empty answer with status {status}"),
        (false, false) => format!("an answer with status {status} that is not of this API"),
    }
}

fn request_id_header(raw: &HttpResponse) -> Option<String> {
    REQUEST_ID_HEADERS
        .iter()
        .find_map(|name| raw.headers().get(name))
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let this = next?;
        next = this.source();
        Some(this)
    })
}

/// All causes but the SDK's own first words, which only name the kind.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in chain(error).skip(1) {
        let text = cause.to_string();
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
    }
    texts.join(": ")
}

/// Makes a foreign text fit for logs: one line, short, without documents, tokens, keys and queries of URLs.
pub(super) fn scrub(text: &str) -> String {
    let text = without_documents(text);
    let mut out = String::with_capacity(text.len().min(LONGEST_MESSAGE));
    let mut removed = false;
    for word in text.split_whitespace() {
        let word = if is_secret(word) {
            if removed {
                continue;
            }
            removed = true;
            "[removed]"
        } else {
            removed = false;
            match word.split_once('?') {
                Some((address, _)) if address.contains("://") => address,
                _ => word,
            }
        };
        if !out.is_empty() {
            out.push(' ');
        }
        if out.chars().count() + word.chars().count() > LONGEST_MESSAGE {
            out.push('…');
            break;
        }
        out.push_str(word);
    }
    out
}

/// JSON in a message is a policy document or a request.
fn without_documents(text: &str) -> String {
    match (text.find('{'), text.rfind('}')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{{…}}{}", &text[..start], &text[end + 1..])
        }
        (Some(start), _) => format!("{}{{…", &text[..start]),
        _ => text.to_owned(),
    }
}

fn is_secret(word: &str) -> bool {
    let lower = word.to_lowercase();
    word.chars().count() > LONGEST_WORD
        || [
            "x-amz-security-token",
            "x-amz-signature",
            "x-amz-credential",
            "signature=",
            "credential=",
            "aws4-hmac-sha256",
            "secretaccesskey",
            "sessiontoken",
        ]
        .iter()
        .any(|mark| lower.contains(mark))
        || word
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|part| part.len() == 20 && (part.starts_with("AKIA") || part.starts_with("ASIA")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_keys_and_signed_addresses_are_removed() {
        let token = "x".repeat(300);
        for (text, expected) in [
            (
                "see https://sts.amazonaws.com/?X-Amz-Signature=abc&X-Amz-Date=1 for more",
                "see [removed] for more",
            ),
            (
                "get http://host/path?page=2 now",
                "get http://host/path now",
            ),
            (
                "the key AKIAIOSFODNN7EXAMPLE is old",
                "the key [removed] is old",
            ),
            (
                "Authorization: AWS4-HMAC-SHA256 Credential=a/b Signature=c end",
                "Authorization: [removed] end",
            ),
            (&format!("encoded: {token}"), "encoded: [removed]"),
            ("a\n  b\tc", "a b c"),
            (r#"bad {"Statement": [{}]} here"#, "bad {…} here"),
            (r#"cut {"Statement": ["#, "cut {…"),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }

    #[test]
    fn names_that_people_need_stay() {
        let text = "User: arn:aws:sts::123456789012:assumed-role/albsync/i-0abc is not authorized to perform: \
                    elasticloadbalancing:CreateRule on resource: arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/k8s/1/2";
        assert_eq!(scrub(text), text);
    }

    proptest! {
        #[test]
        fn messages_are_short_and_of_one_line(text in "(?s).{0,2000}") {
            let text = scrub(&text);
            prop_assert!(text.chars().count() <= LONGEST_MESSAGE + 2);
            prop_assert!(!text.contains('\n'));
        }
    }
}
