//! Tags and who wins: configured defaults over IngressClassParams over annotations (ingress-model §3.8). Tracking tags are
//! not here: they are no part of the model.

use super::{
    build::Built,
    context::{GroupInput, Input, MemberInput, Report},
};
use crate::{manifest::Service, model::net::Tags};

/// Tags of what members share, who must agree key by key: balancer, security group; of a listener with `members` those who
/// listen on it (indices into the group's).
///
/// # Errors
/// Text that is no tags, members disagree, or a key is managed elsewhere.
pub fn shared(
    _input: &Input<'_>,
    _group: &GroupInput<'_>,
    _members: &[usize],
    _report: &Report<'_>,
) -> Built<Tags> {
    Ok(Tags::new())
}

/// Tags of what one Ingress has for itself: rules, and a certificate that is requested (`of_certificate`: configured
/// defaults win there whatever the gate says).
///
/// # Errors
/// As [`shared`].
pub fn own(
    _input: &Input<'_>,
    _member: MemberInput<'_>,
    _of_certificate: bool,
    _report: &Report<'_>,
) -> Built<Tags> {
    Ok(Tags::new())
}

/// Tags of a target group: the Service's over the Ingress's, key by key.
///
/// # Errors
/// As [`shared`].
pub fn target_group(
    _input: &Input<'_>,
    _member: MemberInput<'_>,
    _service: Option<&Service>,
    _report: &Report<'_>,
) -> Built<Tags> {
    Ok(Tags::new())
}
