//! Tracking tags, which win over all others (ingress-model §3.8, §3.9). What users and configuration ask for is in the
//! model already.

use crate::model::{net::Tags, settings::Settings, tags};

/// Tags of a resource that belongs to a group; `resource` is its id there.
///
/// A rule gets `None`: its id holds the number that it has at creation, and numbers are the planner's, which adds the tag
/// when it creates the rule (decision 17 of the spec).
pub(super) fn of_group(
    settings: &Settings,
    group: &str,
    resource: Option<&str>,
    asked: Tags,
) -> Tags {
    let resource = resource.map(|id| (tags::RESOURCE.to_owned(), id.to_owned()));
    let stack = (tags::STACK.to_owned(), group.to_owned());
    with_tracking(settings, asked, [stack].into_iter().chain(resource))
}

/// Tags of the security group that all balancers share; it belongs to no group and has no user's tags.
pub(super) fn of_backend_group(settings: &Settings) -> Tags {
    let mark = (
        tags::SHARED_RESOURCE.to_owned(),
        tags::BACKEND_SG.to_owned(),
    );
    with_tracking(settings, settings.default_tags.clone(), [mark])
}

fn with_tracking(
    settings: &Settings,
    asked: Tags,
    tracking: impl IntoIterator<Item = (String, String)>,
) -> Tags {
    let owner = settings
        .alb_owner_tag
        .then(|| (tags::OWNER.to_owned(), settings.installation.clone()));
    let mut result = asked;
    result.extend(owner);
    result.insert(tags::CLUSTER.to_owned(), settings.cluster_name.clone());
    result.extend(tracking);
    result
}
