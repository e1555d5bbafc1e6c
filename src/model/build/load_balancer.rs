//! The balancer itself (ingress-model §3.2).

use std::collections::BTreeMap;

use super::{Input, Wait, group::Group, subnet, tag};
use crate::{
    id::ResourceId,
    manifest::annotation::{Setting, options::LoadBalancerOptions},
    model::{
        desired::Ref,
        elb::{LoadBalancerSpec, Scheme},
        net::Tags,
    },
};

/// The only address type that is served now.
const IP_ADDRESS_TYPE: &str = "ipv4";

pub(super) fn build(group: &Group, input: &Input) -> Result<LoadBalancerSpec, Wait> {
    let id = group.id.to_string();
    let Options { scheme, attributes } = options(group, input);
    let resource = ResourceId::load_balancer(&id);
    Ok(LoadBalancerSpec {
        name: group
            .id
            .load_balancer_name(&input.settings.cluster_name, scheme),
        scheme,
        ip_address_type: IP_ADDRESS_TYPE.to_owned(),
        subnets: subnet::choose(group, input, scheme)?,
        security_groups: vec![
            Ref::Output(ResourceId::managed_security_group(&id)),
            Ref::Output(ResourceId::backend_security_group()),
        ],
        attributes,
        tags: tag::of_group(input, &id, Some(&resource.name), user_tags(group)),
    })
}

/// The members' options as one.
struct Options {
    scheme: Scheme,
    attributes: BTreeMap<String, String>,
}

/// A group has one member now; with more, values are pooled, and differing ones conflict (ingress-model §2).
fn options(group: &Group, input: &Input) -> Options {
    let mut merged = Options {
        scheme: input.settings.default_scheme,
        attributes: BTreeMap::new(),
    };
    for ingress in &group.members {
        let LoadBalancerOptions {
            scheme, attributes, ..
        } = &ingress.options.load_balancer;
        if let Some(scheme) = scheme.as_ref().and_then(Setting::good) {
            merged.scheme = *scheme;
        }
        if let Some(attributes) = attributes.as_ref().and_then(Setting::good) {
            merged.attributes.extend(attributes.clone());
        }
    }
    merged
}

/// Tags that the members ask for on what all of them share: balancer, security group, listeners.
pub(super) fn user_tags(group: &Group) -> Tags {
    group
        .members
        .iter()
        .filter_map(|ingress| ingress.options.tags.as_ref()?.good())
        .flat_map(Clone::clone)
        .collect()
}
