//! What takes its effect from the group as a whole, or from the class's parameters.

use super::{Effects, Git, Params, good, ports};
use crate::{
    manifest::{
        annotation::{PREFIX, grammar::string_list},
        ingress::IngressClassParamsSpec,
    },
    problem::Located,
};

/// What goes with the group as a whole.
pub(super) fn of_group(effects: &mut Effects<'_>, params: Params<'_>, git: &Git<'_>) {
    let ingress = effects.ingress;
    if git.group(ingress) == Some(None) {
        let why = "the Ingress has a group of its own";
        effects.idle("group.order", why, "add group.name");
    }
    let create = good(ingress.options.listener.create_acm_cert.as_ref());
    if create != Some(&true) {
        let why = "no certificate is requested";
        effects.idle("acm-pca-arn", why, "add create-acm-cert");
    }
    let Some(said) = git.said(ingress) else {
        return;
    };
    if !said.frontend_nlb {
        let prefix = format!("{PREFIX}/");
        let keys = ingress.annotations.keys();
        let suffixes: Vec<&str> = keys
            .filter_map(|key| key.strip_prefix(&prefix))
            .filter(|suffix| suffix.starts_with("frontend-nlb-"))
            .collect();
        for suffix in suffixes {
            let why = "there is no frontend NLB";
            effects.idle(suffix, why, "add enable-frontend-nlb: \"true\"");
        }
    }
    let mapping = good(ingress.options.frontend_nlb.listener_port_mapping.as_ref());
    if said.frontend_nlb
        && let Some(mapping) = mapping
    {
        let ports = ports(ingress, params);
        let listens = |port: &String| {
            ports.as_ref().is_none_or(|ports| {
                port.parse()
                    .map_or(true, |port: u16| ports.contains_key(&port))
            })
        };
        let is_idle = |(_, alb): &(&String, &String)| !listens(alb);
        if let Some((_, alb)) = mapping.iter().find(is_idle) {
            let why = format!("the Ingress does not listen on {alb}");
            let hint = "map ports of listen-ports, as NLB-PORT=ALB-PORT";
            effects.idle("frontend-nlb-listener-port-mapping", &why, hint);
        }
    }
    if said.security_groups {
        for suffix in ["inbound-cidrs", "security-group-prefix-lists"] {
            let why = "security-groups are given, and those are not managed";
            effects.idle(suffix, why, "remove one of the two");
        }
    } else {
        let why = "no security-groups are given, and rules are managed anyway";
        effects.idle("manage-backend-security-group-rules", why, "remove it");
    }
    if said.acl_name && matches!(params, Params::Known(_)) {
        let why = "wafv2-acl-name is given, and names win";
        effects.idle("wafv2-acl-arn", why, "remove one of the two");
    }
}

/// What the class's parameters decide otherwise (ingress-model §1.2, the fields that hold for each member).
pub(super) fn of_params(effects: &mut Effects<'_>, name: &str, spec: &IngressClassParamsSpec) {
    let text = |field: &Option<Located<String>>| {
        let text = field.as_ref().map(|text| text.value.clone());
        text.filter(|text| !text.is_empty())
    };
    let list = |field: &[Located<String>]| {
        let items: Vec<&str> = field.iter().map(|item| item.value.as_str()).collect();
        (!items.is_empty()).then(|| items.join(", "))
    };
    let decided = [
        ("load-balancer-name", text(&spec.load_balancer_name)),
        ("certificate-arn", list(&spec.certificate_arns)),
        (
            "group.name",
            spec.group.as_ref().map(|group| group.value.clone()),
        ),
        (
            "scheme",
            spec.scheme.as_ref().map(|it| it.value.as_str().to_owned()),
        ),
        ("inbound-cidrs", list(&spec.inbound_cidrs)),
        ("ssl-policy", text(&spec.ssl_policy)),
        ("ssl-redirect", text(&spec.ssl_redirect_port)),
        (
            "ip-address-type",
            spec.ip_address_type
                .as_ref()
                .map(|it| it.value.as_str().to_owned()),
        ),
        (
            "target-type",
            spec.target_type
                .as_ref()
                .map(|it| it.value.as_str().to_owned()),
        ),
        (
            "subnets",
            spec.subnets
                .as_ref()
                .map(|subnets| match &subnets.value.ids {
                    Some(ids) => ids.join(", "),
                    None => "those with certain tags".to_owned(),
                }),
        ),
        ("security-group-prefix-lists", list(&spec.prefix_lists)),
        ("wafv2-acl-arn", text(&spec.wafv2_acl_arn)),
        ("wafv2-acl-name", text(&spec.wafv2_acl_name)),
    ];
    for (suffix, value) in decided {
        let Some(value) = value else {
            continue;
        };
        let key = format!("{PREFIX}/{suffix}");
        let given = effects.ingress.annotations.get(&key);
        // Saying the same does no harm.
        if given.is_some_and(|given| string_list(&given.value).join(", ") != value) {
            let why = format!("the class's IngressClassParams `{name}` say \"{value}\"");
            effects.idle(suffix, why, "remove it");
        }
    }
}
