//! Tags and who wins: tracking over configured defaults over the user's (ingress-model §3.8).

use super::Input;
use crate::model::{net::Tags, tags};

/// Tags of a resource that belongs to a group; `resource` is its id there.
///
/// A rule gets `None`: its id holds the number that it has at creation, and numbers are the planner's, which adds the tag
/// when it creates the rule (decision 17 of the spec).
pub(super) fn of_group(input: &Input, group: &str, resource: Option<&str>, user: Tags) -> Tags {
    let resource = resource.map(|id| (tags::RESOURCE.to_owned(), id.to_owned()));
    let stack = (tags::STACK.to_owned(), group.to_owned());
    with_tracking(input, user, [stack].into_iter().chain(resource))
}

/// Tags of the security group that all balancers share; it belongs to no group and has no user's tags.
pub(super) fn of_backend_group(input: &Input) -> Tags {
    let mark = (
        tags::SHARED_RESOURCE.to_owned(),
        tags::BACKEND_SG.to_owned(),
    );
    with_tracking(input, Tags::new(), [mark])
}

fn with_tracking(
    input: &Input,
    user: Tags,
    tracking: impl IntoIterator<Item = (String, String)>,
) -> Tags {
    let settings = input.settings;
    let owner = settings
        .alb_owner_tag
        .then(|| (tags::OWNER.to_owned(), settings.installation.clone()));
    let mut result = user;
    result.extend(settings.default_tags.clone());
    result.extend(owner);
    result.insert(tags::CLUSTER.to_owned(), settings.cluster_name.clone());
    result.extend(tracking);
    result
}
