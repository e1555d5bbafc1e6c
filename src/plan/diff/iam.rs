//! When two IAM objects are the same; documents are compared by meaning and never shown (irsa §6.6).

use crate::model::{
    iam::{Role, RoleSpec},
    policy::same_document,
};

use super::{super::op::Difference, difference};

/// Fields of a role that differ, apart from its tags and permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleChanges {
    pub trust: Option<Difference>,
    pub boundary: Option<Difference>,
    /// Description and session length go in one call.
    pub settings: Vec<Difference>,
    /// A live boundary that nobody declares: left, for it only ever narrows.
    pub extra_boundary: Option<String>,
}

pub fn role(spec: &RoleSpec, live: &Role) -> RoleChanges {
    let mut changes = RoleChanges::default();
    if !same_document(&spec.trust, &live.trust) {
        changes.trust = Some(document_difference("trust"));
    }
    match (&spec.permissions_boundary, &live.permissions_boundary) {
        (Some(wanted), live) if live.as_ref() != Some(wanted) => {
            changes.boundary = Some(difference(
                "permissions boundary",
                live.as_ref().map(ToString::to_string),
                wanted.to_string(),
            ));
        }
        (None, Some(live)) => changes.extra_boundary = Some(live.to_string()),
        _ => {}
    }
    if spec.description != live.description {
        changes.settings.push(difference(
            "description",
            live.description.clone(),
            spec.description.clone(),
        ));
    }
    if spec.max_session_duration_seconds != live.max_session_duration_seconds {
        changes.settings.push(difference(
            "session length",
            format!("{} s", live.max_session_duration_seconds),
            format!("{} s", spec.max_session_duration_seconds),
        ));
    }
    changes
}

/// A document that differs; its text never leaves the plan's request.
pub fn document_difference(field: impl Into<String>) -> Difference {
    difference(
        field,
        "another document".to_owned(),
        "the document in git".to_owned(),
    )
}
