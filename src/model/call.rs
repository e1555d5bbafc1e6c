//! What a failed call to AWS or Kubernetes looks like to the rest of the code: data, no SDK types.

use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};

/// Whether a failed call may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The other side refused it: nothing happened.
    None,
    /// No definite answer (time-out, connection lost, 5xx): read back before repeating.
    Unknown,
}

/// One failed call. `message` holds no secret and no request body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct CallError {
    /// `elasticloadbalancing`, `ec2`, `iam`, `sts`, `eks`, `kubernetes`.
    pub service: String,
    /// `CreateRule`; for Kubernetes verb and kind, `apply Service`.
    pub operation: String,
    /// The code on the wire (`PriorityInUse`), or Kubernetes' reason (`Conflict`); absent where there was no answer.
    pub code: Option<String>,
    pub status: Option<u16>,
    pub message: String,
    pub request_id: Option<String>,
    pub effect: Effect,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.operation)?;
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl CallError {
    pub fn has_code(&self, codes: &[&str]) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| codes.contains(&code))
    }

    /// The thing does not exist: `…NotFound`, `NoSuchEntity`, Kubernetes `NotFound`.
    pub fn is_not_found(&self) -> bool {
        self.code.as_deref().is_some_and(|code| {
            code.ends_with("NotFound")
                || code == "NoSuchEntity"
                || code == "ResourceNotFoundException"
        })
    }

    /// The right is missing (aws-deploy §10.4).
    pub fn is_denied(&self) -> bool {
        self.has_code(&[
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "Forbidden",
            "OptInRequired",
        ])
    }

    /// The other side asks us to slow down, in any dialect (aws-deploy §10.3).
    pub fn is_throttled(&self) -> bool {
        self.has_code(&[
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestLimitExceeded",
            "EC2ThrottledException",
            "TooManyRequests",
            "TooManyRequestsException",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "PriorRequestNotComplete",
        ])
    }
}

/// An error with all that caused it, each said once: outer errors of libraries often repeat the inner ones, or say nothing
/// by themselves.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let part = cause.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        source = cause.source();
    }
    text
}
