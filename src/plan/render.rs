//! A plan in words and as JSON: what will be done, why, and what will not (gitops G34, lessons J4).
//!
//! Bodies of policies and of Secrets are never shown; a policy's change is one line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write},
};

use serde_json::{Value, json};

use crate::{
    id::{Arn, ResourceId, StackId},
    model::{
        desired::Ref,
        elb::{RuleAction, Target},
        net::Permission,
    },
};

use super::{
    diff::{
        joined,
        net::permission_text,
        words::{actions_text, conditions_text},
    },
    op::{Action, Cause, Difference, Held, Op, Plan, Stage},
};

mod detail;

/// How a piece of the text is meant; a terminal may colour it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Heading,
    Create,
    Change,
    Delete,
    Move,
    Held,
    Foreign,
    Quiet,
}

/// Dresses a piece of text; the default leaves it as it is.
pub type Paint = fn(Tone, &str) -> String;

/// What the text shows.
#[derive(Clone, Copy)]
pub struct TextOptions {
    pub paint: Paint,
    /// Fields that differ, below each operation.
    pub differences: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            paint: |_, text| text.to_owned(),
            differences: true,
        }
    }
}

/// The plan as people read it: by stack, in the order of execution.
pub fn text(plan: &Plan, options: &TextOptions) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_plan(&mut text, plan, options);
    text
}

fn write_plan(out: &mut String, plan: &Plan, options: &TextOptions) -> fmt::Result {
    let paint = options.paint;
    write_ops(out, &plan.ops, options)?;
    if !plan.withheld.is_empty() {
        writeln!(
            out,
            "{}",
            paint(Tone::Held, "would be done, were it not read-only:")
        )?;
        write_ops(out, &plan.withheld, options)?;
    }
    if !plan.held.is_empty() {
        writeln!(out, "{}", paint(Tone::Heading, "held"))?;
        for held in &plan.held {
            writeln!(out, "  {}", paint(Tone::Held, &held_line(held)))?;
            writeln!(out, "      {}", paint(Tone::Quiet, &held.release))?;
        }
    }
    if !plan.foreign.is_empty() {
        writeln!(out, "{}", paint(Tone::Heading, "not ours, left alone"))?;
        for foreign in &plan.foreign {
            let line = format!("· {}: {} ({})", foreign.stack, foreign.what, foreign.id);
            writeln!(out, "  {}", paint(Tone::Foreign, &line))?;
        }
    }
    if !plan.irreversible.is_empty() {
        writeln!(
            out,
            "{}",
            paint(Tone::Heading, "a later revert cannot bring back")
        )?;
        for line in &plan.irreversible {
            writeln!(out, "  {}", paint(Tone::Delete, &format!("! {line}")))?;
        }
    }
    writeln!(out, "{}", summary(plan))
}

fn write_ops(out: &mut String, ops: &[Op], options: &TextOptions) -> fmt::Result {
    let paint = options.paint;
    for (stack, ops) in by_stack(ops) {
        writeln!(out, "{}", paint(Tone::Heading, &stack.to_string()))?;
        for op in ops {
            let (tone, line) = line(op);
            writeln!(
                out,
                "  {}  {}",
                paint(tone, &line),
                paint(Tone::Quiet, &why(op))
            )?;
            if !options.differences {
                continue;
            }
            for difference in shown(op) {
                writeln!(out, "      {}", difference_line(difference))?;
            }
            for line in detail::of(&op.action) {
                writeln!(out, "      {line}")?;
            }
        }
    }
    Ok(())
}

/// Stacks in the order in which they first appear.
fn by_stack(ops: &[Op]) -> Vec<(&StackId, Vec<&Op>)> {
    let mut places: BTreeMap<&StackId, usize> = BTreeMap::new();
    let mut stacks: Vec<(&StackId, Vec<&Op>)> = Vec::new();
    for op in ops {
        let place = *places.entry(&op.stack).or_insert_with(|| {
            stacks.push((&op.stack, Vec::new()));
            stacks.len() - 1
        });
        stacks[place].1.push(op);
    }
    stacks
}

/// One line that counts everything.
pub fn summary(plan: &Plan) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for op in &plan.ops {
        let word = match line(op).0 {
            Tone::Create => "create",
            Tone::Delete => "delete",
            _ => "change",
        };
        *counts.entry(word).or_default() += 1;
    }
    let stage = match plan.stage {
        Stage::Prepare => "roles and objects",
        Stage::Route => "balancers and what leaves",
    };
    if plan.ops.is_empty() && plan.withheld.is_empty() && plan.held.is_empty() {
        return format!("{stage}: nothing to do");
    }
    let mut parts: Vec<String> = ["create", "change", "delete"]
        .iter()
        .filter_map(|word| counts.get(word).map(|count| format!("{count} to {word}")))
        .collect();
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    if !plan.held.is_empty() {
        parts.push(format!("{} held", plan.held.len()));
    }
    format!("{stage}: {}", parts.join(", "))
}

fn held_line(held: &Held) -> String {
    format!("‖ {} [{}] {}", held.stack, held.code, held.message)
}

fn why(op: &Op) -> String {
    let cause = match op.reason.cause {
        Cause::Added => "new in git",
        Cause::Changed => "changed in git",
        Cause::Removed => "gone from git",
        Cause::Drift => "changed by somebody else",
        Cause::Followed => "follows nodes and Services",
        Cause::Unrecorded => "not recorded so far",
    };
    match &op.reason.origin {
        Some(origin) => format!("({cause}, {}:{})", origin.file, origin.line),
        None => format!("({cause})"),
    }
}

/// Differences that say more than the line above them.
fn shown(op: &Op) -> impl Iterator<Item = &Difference> {
    let whole = matches!(
        op.action,
        Action::CreateRule { .. }
            | Action::DeleteRule { .. }
            | Action::RegisterTargets { .. }
            | Action::DeregisterTargets { .. }
            | Action::AuthorizeIngress { .. }
            | Action::RevokeIngress { .. }
            | Action::AddListenerCertificates { .. }
            | Action::RemoveListenerCertificates { .. }
            | Action::AttachRolePolicy { .. }
            | Action::DetachRolePolicy { .. }
            | Action::SetIngressStatus { .. }
    );
    op.reason.differences.iter().filter(move |_| !whole)
}

fn difference_line(difference: &Difference) -> String {
    let Difference {
        field,
        live,
        wanted,
    } = difference;
    match (live, wanted) {
        (Some(live), Some(wanted)) => {
            let same = alike(live, wanted);
            let [live, wanted] = [live, wanted].map(|text| shortened_from(text, same));
            format!("{field}: {live} → {wanted}")
        }
        (None, Some(wanted)) => format!("{field}: set to {}", shortened(wanted)),
        (Some(live), None) => format!("{field}: no longer {}", shortened(live)),
        (None, None) => field.clone(),
    }
}

/// Characters of a value that are shown.
const LONGEST: usize = 160;

/// Long values end in an ellipsis: a plan is read, not parsed.
fn shortened(text: &str) -> String {
    let one_line = text.replace('\n', "\\n");
    match one_line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

/// How many characters two long values may lose at their start, so that the first difference is among those shown.
fn alike(live: &str, wanted: &str) -> usize {
    const CONTEXT: usize = 40;
    if live.chars().count().max(wanted.chars().count()) <= LONGEST {
        return 0;
    }
    let pairs = live.chars().zip(wanted.chars());
    let alike = pairs.take_while(|(a, b)| a == b).count();
    alike.saturating_sub(CONTEXT)
}

fn shortened_from(text: &str, start: usize) -> String {
    if start == 0 {
        return shortened(text);
    }
    let rest: String = text.chars().skip(start).collect();
    format!("…{}", shortened(&rest))
}

/// One operation in words, on one line.
pub fn line(op: &Op) -> (Tone, String) {
    let thing = match op.resource.stack == StackId::Cluster {
        true => op.resource.name.clone(),
        false => format!("{} {}", op.resource.kind, op.resource.name),
    };
    let create = |text: String| (Tone::Create, format!("+ {text}"));
    let change = |text: String| (Tone::Change, format!("~ {text}"));
    let delete = |text: String| (Tone::Delete, format!("- {text}"));
    let moved = |text: String| (Tone::Move, format!("↷ {text}"));
    let keys = |keys: &mut dyn Iterator<Item = &String>| joined(keys);
    match &op.action {
        Action::CreateSecurityGroup { spec, .. } => {
            create(format!("create {thing} ({})", spec.name))
        }
        Action::AuthorizeIngress { permissions, .. } => create(format!(
            "admit {} in {thing}",
            permissions_text(permissions)
        )),
        Action::RevokeIngress { permissions, .. } => delete(format!(
            "no longer admit {} in {thing}",
            permissions_text(permissions)
        )),
        Action::TagSecurityGroup { tags, .. } | Action::AddTags { tags, .. } => {
            change(format!("tag {thing}: {}", keys(&mut tags.keys())))
        }
        Action::UntagSecurityGroup { keys: gone, .. } | Action::RemoveTags { keys: gone, .. } => {
            change(format!("untag {thing}: {}", keys(&mut gone.iter())))
        }
        Action::DeleteSecurityGroup { group } => delete(format!("delete {thing} ({group})")),
        Action::CreateLoadBalancer { spec, .. } => create(format!(
            "create {thing} ({}, {})",
            spec.name,
            spec.scheme.as_str()
        )),
        Action::SetSecurityGroups { .. } => change(format!("change {thing}: security groups")),
        Action::SetSubnets { .. } => change(format!("change {thing}: subnets")),
        Action::SetIpAddressType {
            ip_address_type, ..
        } => change(format!(
            "change {thing}: IP address type to {ip_address_type}"
        )),
        Action::ModifyLoadBalancerAttributes { attributes, .. }
        | Action::ModifyTargetGroupAttributes { attributes, .. }
        | Action::ModifyListenerAttributes { attributes, .. } => {
            change(format!("change {thing}: {}", keys(&mut attributes.keys())))
        }
        Action::CreateTargetGroup { spec, .. } => create(format!("create {thing} ({})", spec.name)),
        Action::ModifyTargetGroup { .. } => change(format!("change {thing}: health check")),
        Action::RegisterTargets { targets, .. } => {
            moved(format!("register {} in {thing}", targets_text(targets)))
        }
        Action::DeregisterTargets { targets, .. } => {
            moved(format!("deregister {} from {thing}", targets_text(targets)))
        }
        Action::CreateListener { spec, .. } => {
            create(format!("create {thing} ({}:{})", spec.protocol, spec.port))
        }
        Action::ModifyListener { .. } => change(format!("change {thing}")),
        Action::AddListenerCertificates { certificates, .. } => create(format!(
            "offer {} on {thing}",
            certificates_text(certificates)
        )),
        Action::RemoveListenerCertificates { certificates, .. } => delete(format!(
            "no longer offer {} on {thing}",
            certificates_text(certificates)
        )),
        Action::CreateRule { priority, spec, .. } => create(format!(
            "create rule {priority}: {} → {}",
            conditions_text(&spec.conditions),
            rule_text(&spec.actions)
        )),
        Action::ModifyRule { spec, .. } => change(format!(
            "change rule: {}",
            conditions_text(&spec.conditions)
        )),
        Action::SetRulePriorities { priorities, .. } => {
            let count = priorities.len();
            let rules = if count == 1 {
                "1 rule".to_owned()
            } else {
                format!("{count} rules")
            };
            moved(format!("move {rules} of {thing}"))
        }
        Action::DeleteRule { .. } => {
            let what = op
                .reason
                .differences
                .first()
                .and_then(|one| one.live.clone());
            delete(format!(
                "delete rule: {}",
                what.unwrap_or_else(|| op.resource.name.clone())
            ))
        }
        Action::DeleteLoadBalancer { .. }
        | Action::DeleteTargetGroup { .. }
        | Action::DeleteListener { .. }
        | Action::DeletePolicy { .. } => delete(format!("delete {thing}")),
        Action::CreateOidcProvider { spec, .. } => {
            create(format!("create OIDC provider {}", spec.url))
        }
        Action::AddClientId { client_id, .. } => {
            change(format!("change OIDC provider: add audience {client_id}"))
        }
        Action::CreatePolicy { spec, .. } => create(format!("create policy {}", spec.name)),
        Action::CreatePolicyVersion { .. } => {
            change(format!("change {thing}: new default version"))
        }
        Action::SetDefaultPolicyVersion { version, .. } => {
            change(format!("change {thing}: default version {version}"))
        }
        Action::DeletePolicyVersion { version, .. } => {
            delete(format!("delete version {version} of {thing}"))
        }
        Action::TagPolicy { tags, .. } | Action::TagRole { tags, .. } => {
            change(format!("tag {thing}: {}", keys(&mut tags.keys())))
        }
        Action::UntagPolicy { keys: gone, .. } | Action::UntagRole { keys: gone, .. } => {
            change(format!("untag {thing}: {}", keys(&mut gone.iter())))
        }
        Action::CreateRole { spec, .. } => create(format!("create role {}", spec.name)),
        Action::UpdateAssumeRolePolicy { role, .. } => change(format!("change role {role}: trust")),
        Action::PutPermissionsBoundary { role, .. } => {
            change(format!("change role {role}: permissions boundary"))
        }
        Action::UpdateRole { role, .. } => change(format!("change role {role}: settings")),
        Action::AttachRolePolicy { role, policy } => {
            create(format!("attach {} to role {role}", reference_text(policy)))
        }
        Action::DetachRolePolicy { role, policy } => {
            delete(format!("detach {policy} from role {role}"))
        }
        Action::PutRolePolicy { role, name, .. } => {
            change(format!("put inline policy {name} of role {role}"))
        }
        Action::DeleteRolePolicy { role, name } => {
            delete(format!("delete inline policy {name} of role {role}"))
        }
        Action::DeleteRole { role } => delete(format!("delete role {role}")),
        Action::Settle { role, seconds } => {
            moved(format!("wait {seconds} s until role {role} can be assumed"))
        }
        Action::ApplyObject {
            reference, force, ..
        } => match force {
            true => change(format!("apply {reference}")),
            false => create(format!("create {reference}")),
        },
        Action::DeleteObject { reference, .. } => delete(format!("delete {reference}")),
        Action::SetIngressStatus {
            reference,
            hostname,
            ..
        } => {
            let name = hostname.as_deref().unwrap_or("the new balancer's DNS name");
            moved(format!("publish {name} on {reference}"))
        }
        Action::RemoveFinalizer {
            reference,
            finalizer,
        } => delete(format!("remove finalizer {finalizer} from {reference}")),
    }
}

fn rule_text(actions: &[RuleAction]) -> String {
    actions_text(actions, &BTreeMap::new())
}

fn permissions_text(permissions: &[Permission]) -> String {
    joined(permissions.iter().map(permission_text))
}

fn certificates_text(certificates: &BTreeSet<Arn>) -> String {
    match certificates.len() {
        1 => format!("certificate {}", joined(certificates)),
        _ => format!("certificates {}", joined(certificates)),
    }
}

fn targets_text(targets: &BTreeSet<Target>) -> String {
    const SHOWN: usize = 4;
    let mut texts: Vec<String> = targets
        .iter()
        .take(SHOWN)
        .map(|target| format!("{}:{}", target.id, target.port))
        .collect();
    if targets.len() > SHOWN {
        texts.push(format!("and {} more", targets.len() - SHOWN));
    }
    texts.join(", ")
}

fn reference_text(reference: &Ref<Arn>) -> String {
    match reference {
        Ref::Known(arn) => arn.to_string(),
        Ref::Output(ResourceId { name, .. }) => name.clone(),
    }
}

/// The plan as data, with the contents of Secrets taken out. Policy documents stay: they are requests, not secrets.
pub fn json(plan: &Plan) -> Value {
    let mut value = match serde_json::to_value(plan) {
        Ok(value) => value,
        Err(error) => unreachable!("BUG: a plan must be expressible in JSON: {error}"),
    };
    for ops in ["ops", "withheld"] {
        let ops = value.get_mut(ops).and_then(Value::as_array_mut);
        for op in ops.into_iter().flatten() {
            if op["action"]["do"] == "apply-object" {
                hide_secret(&mut op["action"]["value"]);
            }
        }
    }
    value["summary"] = json!(summary(plan));
    value
}

fn hide_secret(object: &mut Value) {
    if object["kind"] != "Secret" {
        return;
    }
    for field in ["data", "stringData"] {
        let values = object.get_mut(field).and_then(Value::as_object_mut);
        for (_, value) in values.into_iter().flatten() {
            *value = json!("(hidden)");
        }
    }
    // What kubectl leaves behind holds the whole object.
    let annotations = object
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}
