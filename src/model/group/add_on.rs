//! Web ACLs and Shield (ingress-model §7).

use super::{
    AddOns,
    build::Built,
    context::{GroupInput, Input, MemberInput, Report},
    load_balancer::{no_params, pooled},
    merge::{Given, agree},
};
use crate::{
    manifest::annotation::Setting,
    problem::{Problem, codes, nearest::did_you_mean},
};

/// In place of an ACL: takes off whatever is associated.
const NONE: &str = "none";

pub(super) fn build(
    input: &Input<'_>,
    group: &GroupInput<'_>,
    report: &Report<'_>,
) -> Built<AddOns> {
    let wafv2 = wafv2(input, group, report);
    let classic = classic(group, report);
    let shield = shield(group, report);
    Ok(AddOns {
        wafv2_acl_arn: wafv2?,
        waf_acl_id: classic?,
        shield_protection: shield?,
    })
}

/// `none` as what AWS is sent for it.
fn or_none(text: String) -> String {
    if text == NONE { String::new() } else { text }
}

/// A name anywhere makes every ARN of the group void.
fn wafv2(input: &Input<'_>, group: &GroupInput<'_>, report: &Report<'_>) -> Built<Option<String>> {
    let mut names = pooled(
        group,
        |member| {
            let located = member.params?.spec.wafv2_acl_name.as_ref()?;
            Some(Given::params(member, located)).filter(|given| !given.value.is_empty())
        },
        |member| member.options().add_on.wafv2_acl_name.as_ref(),
        report,
    )?;
    names.retain(|given| !given.value.is_empty());
    if let Some(name) = agree("wafv2-acl-name", names, report)? {
        if name.value == NONE {
            return Ok(Some(String::new()));
        }
        return by_name(input, &name, report).map(Some);
    }
    let arns = pooled(
        group,
        |member| {
            let located = member.params?.spec.wafv2_acl_arn.as_ref()?;
            Some(Given::params(member, located)).filter(|given| !given.value.is_empty())
        },
        |member| member.options().add_on.wafv2_acl_arn.as_ref(),
        report,
    )?;
    let arn = agree("wafv2-acl-arn", arns, report)?;
    Ok(arn.map(|given| or_none(given.value)))
}

fn by_name(input: &Input<'_>, name: &Given<'_, String>, report: &Report<'_>) -> Built<String> {
    let object = name.member.object();
    let Some(known) = input.web_acls() else {
        return report.missing_fact(
            name.origin,
            &object,
            &format!("the web ACL \"{}\" (webAcls)", name.value),
        );
    };
    if let Some(found) = known.iter().find(|acl| acl.name == name.value) {
        return Ok(found.arn.clone());
    }
    let names: std::collections::BTreeSet<&str> =
        known.iter().map(|acl| acl.name.as_str()).collect();
    let of_class = name
        .member
        .params
        .and_then(|it| it.spec.wafv2_acl_name.as_ref());
    let is_of_class = of_class.is_some_and(|of_class| of_class.origin == *name.origin);
    let mut problem = Problem::new(
        codes::ADD_ON,
        name.origin.clone(),
        format!(
            "{} is \"{}\", and there is no regional web ACL of that name",
            if is_of_class {
                "spec.wafv2AclName"
            } else {
                "wafv2-acl-name"
            },
            name.value
        ),
    )
    .of(object);
    problem.hint = did_you_mean(&name.value, names);
    report.refuse(problem)
}

/// One setting under two names; the empty text is none.
fn classic(group: &GroupInput<'_>, report: &Report<'_>) -> Built<Option<String>> {
    let mut ids = pooled(
        group,
        no_params,
        |member: MemberInput<'_>| -> Option<&Setting<String>> {
            member.options().add_on.waf_acl_id.as_ref()
        },
        report,
    )?;
    ids.retain(|given| !given.value.is_empty());
    let id = agree("waf-acl-id", ids, report)?;
    Ok(id.map(|given| or_none(given.value)))
}

fn shield(group: &GroupInput<'_>, report: &Report<'_>) -> Built<Option<bool>> {
    let given = pooled(
        group,
        no_params,
        |member| {
            let options = &member.options().add_on;
            options.shield_advanced_protection.as_ref()
        },
        report,
    )?;
    let agreed = agree("shield-advanced-protection", given, report)?;
    Ok(agreed.map(|given| given.value))
}

#[cfg(test)]
mod tests;
