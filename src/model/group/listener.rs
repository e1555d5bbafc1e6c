//! Listeners with their rules, and the target groups that these point at (ingress-model §4–§6).

use std::collections::BTreeMap;

use super::{
    Listener, TargetGroup,
    build::Built,
    context::{GroupInput, Input, Reach, Refused, Report},
    port::Ports,
};

/// By port and by resource id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listeners {
    pub listeners: BTreeMap<u16, Listener>,
    pub target_groups: BTreeMap<String, TargetGroup>,
}

/// Steps 6 and 7 of ingress-model §0.1: the redirection to HTTPS, then each port.
///
/// # Errors
/// One of them cannot be built.
pub fn build_all(
    _input: &Input<'_>,
    _group: &GroupInput<'_>,
    _ports: &Ports,
    _reach: &Reach,
    _report: &Report<'_>,
) -> Built<Listeners> {
    Err(Refused)
}
