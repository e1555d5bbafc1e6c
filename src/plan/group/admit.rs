//! Whether a group may be planned at all now.

use crate::model::{
    desired::{GroupStack, Ref},
    net::Tags,
};

use super::{
    super::{
        diff,
        draft::{Draft, code},
    },
    Group,
};

impl<'a> Group<'a> {
    /// Whether the group may be planned at all now; holds it otherwise.
    pub fn admit(&self, draft: &mut Draft<'a>) -> bool {
        draft.foreign.extend(self.foreign.iter().cloned());
        if draft.block_on_waiting(&self.stack) || draft.block_on_gap(&self.stack) {
            return false;
        }
        if let Some(members) = draft.inputs.options.foreign_members.get(self.id) {
            let message = format!("git does not hold {} of this group", diff::joined(members));
            let release = "import them into git, or delete them";
            draft.block(&self.stack, code::FOREIGN_MEMBERS, message, release);
            return false;
        }
        if let Some(excesses) = draft.overruns.get(self.id).cloned() {
            for excess in excesses {
                let release = match excess.is_passing() {
                    true => "take away what goes in a commit of its own, or have the limit raised",
                    false => "ask for less, or have the limit raised",
                };
                let message = format!("{excess} ({})", excess.limit.name());
                draft.block(&self.stack, code::QUOTA, message, release);
            }
            return false;
        }
        match self.desired {
            Some(desired) => self.admit_desired(draft, desired),
            None => self.admit_teardown(draft),
        }
    }

    fn admit_desired(&self, draft: &mut Draft<'a>, desired: &GroupStack) -> bool {
        let mut names = Vec::new();
        if self.load_balancer.is_none() {
            names.push(&desired.load_balancer.name);
        }
        if let (None, Some(wanted)) = (self.security_group, &desired.security_group) {
            names.push(&wanted.name);
        }
        let missing = desired
            .target_groups
            .iter()
            .filter(|(name, _)| !self.target_groups.contains_key(*name));
        names.extend(missing.map(|(_, wanted)| &wanted.spec.name));
        let mut taken = self.observed.name_taken.iter();
        if let Some(taken) = taken.find(|taken| names.contains(&&taken.name)) {
            draft.block(
                &self.stack,
                code::NAME_TAKEN,
                format!(
                    "the name {} is borne by {} ({})",
                    taken.name,
                    taken.id,
                    owner_hints(&taken.tags)
                ),
                "delete or rename that resource, or give it our tags to have it taken over",
            );
            return false;
        }
        for surplus in &self.surplus_target_groups {
            let name = diff::joined([&surplus.live.name]);
            if names.contains(&&name) {
                draft.block(
                    &self.stack,
                    code::REPLACEMENT_NEEDED,
                    format!("target group {name} must be replaced and its successor would bear the same name"),
                    "delete it by hand once nothing needs it",
                );
                return false;
            }
        }
        if let Some(live) = self.load_balancer {
            let wanted = &desired.load_balancer;
            let other = live.scheme.is_some_and(|scheme| scheme != wanted.scheme);
            if other || live.kind != "application" {
                draft.block(
                    &self.stack,
                    code::REPLACEMENT_NEEDED,
                    format!(
                        "load balancer {} is {} and {} is wanted, which needs a new one with another DNS name",
                        live.name,
                        live.scheme.map_or(live.kind.as_str(), |scheme| scheme.as_str()),
                        wanted.scheme.as_str()
                    ),
                    "remove the Ingress in one commit and add it with the new scheme in the next",
                );
                return false;
            }
        }
        if let Some(port) = desired
            .listeners
            .keys()
            .find(|port| self.foreign_listeners.contains(port))
        {
            draft.block(
                &self.stack,
                code::OWNERSHIP_CONFLICT,
                format!("the balancer has a listener on port {port} that is not ours"),
                "delete that listener, or give it our tags to have it taken over",
            );
            return false;
        }
        let unknown = desired
            .load_balancer
            .security_groups
            .iter()
            .filter_map(|group| match group {
                Ref::Output(id) if id.stack != self.stack => Some(id),
                _ => None,
            })
            .find(|id| !draft.known.contains_key(id) && !draft.creators.contains_key(id));
        if let Some(id) = unknown {
            let message = format!("{id} neither exists nor can be created now");
            draft.block(
                &self.stack,
                code::WAITING,
                message,
                "tried again with the next pass",
            );
            return false;
        }
        true
    }
}

/// Tags that tell people whose a thing is.
pub fn owner_hints(found: &Tags) -> String {
    if found.is_empty() {
        return "it has no tags".to_owned();
    }
    let texts: Vec<String> = found
        .iter()
        .take(8)
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("tags {}", texts.join(", "))
}
