//! One group from its members: each aspect in its file, in LBC's order (ingress-model §0.1).

use super::{
    GroupModel,
    context::{GroupInput, Input, Refused, Report},
};

/// A part of the model, or [`Refused`] when its problem has been told.
pub type Built<T> = Result<T, Refused>;

/// Builds one group; the problems are in the report.
///
/// # Errors
/// Something of it could not be made.
pub fn build(
    _input: &Input<'_>,
    _group: &GroupInput<'_>,
    _report: &Report<'_>,
) -> Built<GroupModel> {
    Err(Refused)
}
