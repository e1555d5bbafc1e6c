//! What we set last: so that a removed annotation resets its attribute, and a difference can be told from drift.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{desired::Desired, elb::Target, grounds::Grounds, net::Tags};
use crate::id::{Arn, ObjectKey, ObjectRef, ResourceId, Revision, StackId};

/// The store's memory of the world, as far as planning needs it. A cache: losing it costs history and resets only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Digest of the desired stack that was last converged completely, by stack.
    pub stacks: BTreeMap<StackId, AppliedStack>,
    /// Every AWS resource we created or took over and have not deleted.
    pub resources: BTreeMap<ResourceId, AppliedResource>,
    /// Every Kubernetes object we applied and have not deleted (gitops R4: superset of what exists).
    pub inventory: BTreeMap<ObjectKey, AppliedObject>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedStack {
    /// SHA-256 hex over the canonical JSON of the desired stack.
    pub digest: String,
    pub revision: Option<Revision>,
    /// Of a group: the facts that it was built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<Arc<Grounds>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedResource {
    /// ARN, group id or role ARN.
    pub arn: Option<Arn>,
    /// A role's unique id.
    pub unique_id: Option<String>,
    /// SHA-256 hex over the canonical JSON of the spec that was last set.
    pub digest: String,
    /// Attribute keys that we set, with values (balancer, listener, target group).
    pub attributes: BTreeMap<String, String>,
    /// Tag keys that we set.
    pub tags: Tags,
    /// Managed policies that we attached (roles).
    pub attached: BTreeSet<Arn>,
    /// Targets that we registered last (target groups): tells a hand's change from nodes that came or went.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub targets: BTreeSet<Target>,
    /// Secrets whose content we sent (rules and listeners with OIDC sign-in), by `namespace/name`: the version that they
    /// had. AWS returns nothing to compare with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Stays in AWS when git drops it (`deletionPolicy: Retain`): git is no longer there to say so then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retain: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedObject {
    pub reference: ObjectRef,
    /// Absent between intent and the first confirmed apply.
    pub uid: Option<String>,
    /// SHA-256 hex over the canonical JSON of what was sent.
    pub digest: String,
    pub keep: bool,
    /// Not made by us: what we set on it is taken back when git drops it, and the object stays (`manage: AnnotateOnly`,
    /// irsa §9.4 R1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub annotated: bool,
}

/// One change of [`Applied`], as data: what a succeeded operation teaches the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppliedChange {
    SetResource(ResourceId, AppliedResource),
    /// Only the given fields; a resource that was not known before starts empty.
    UpdateResource(ResourceId, ResourceUpdate),
    RemoveResource(ResourceId),
    SetObject(AppliedObject),
    /// Only the given fields; an object that was not known before starts empty.
    UpdateObject(ObjectRef, ObjectUpdate),
    RemoveObject(ObjectKey),
    /// Grounds that are absent stay what they are.
    SetStack(StackId, AppliedStack),
    /// Of a stack that is known.
    SetGrounds(StackId, Arc<Grounds>),
    RemoveStack(StackId),
}

/// New values of some fields of an [`AppliedResource`]; `None` keeps what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceUpdate {
    pub arn: Option<Arn>,
    pub unique_id: Option<String>,
    pub digest: Option<String>,
    /// Added to those that are there; `None` as a value takes the key out.
    pub attributes: BTreeMap<String, Option<String>>,
    /// Added to those that are there; `None` as a value takes the key out.
    pub tags: BTreeMap<String, Option<String>>,
    pub attach: BTreeSet<Arn>,
    pub detach: BTreeSet<Arn>,
    pub targets: Option<BTreeSet<Target>>,
    pub secrets: Option<BTreeMap<String, String>>,
    pub retain: Option<bool>,
}

/// New values of some fields of an [`AppliedObject`]; `None` keeps what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectUpdate {
    pub uid: Option<String>,
    pub digest: Option<String>,
    pub keep: Option<bool>,
    pub annotated: Option<bool>,
}

impl AppliedResource {
    pub fn update(&mut self, update: &ResourceUpdate) {
        if update.arn.is_some() {
            self.arn.clone_from(&update.arn);
        }
        if update.unique_id.is_some() {
            self.unique_id.clone_from(&update.unique_id);
        }
        if let Some(digest) = &update.digest {
            self.digest.clone_from(digest);
        }
        merge(&mut self.attributes, &update.attributes);
        merge(&mut self.tags, &update.tags);
        self.attached.extend(update.attach.iter().cloned());
        self.attached.retain(|arn| !update.detach.contains(arn));
        if let Some(targets) = &update.targets {
            self.targets.clone_from(targets);
        }
        if let Some(secrets) = &update.secrets {
            self.secrets.clone_from(secrets);
        }
        if let Some(retain) = update.retain {
            self.retain = retain;
        }
    }
}

impl AppliedObject {
    /// An object that is meant to be applied and never was (gitops R4).
    pub fn intended(reference: ObjectRef) -> Self {
        Self {
            reference,
            uid: None,
            digest: String::new(),
            keep: false,
            annotated: false,
        }
    }

    pub fn update(&mut self, update: &ObjectUpdate) {
        if update.uid.is_some() {
            self.uid.clone_from(&update.uid);
        }
        if let Some(digest) = &update.digest {
            self.digest.clone_from(digest);
        }
        if let Some(keep) = update.keep {
            self.keep = keep;
        }
        if let Some(annotated) = update.annotated {
            self.annotated = annotated;
        }
    }
}

fn merge(into: &mut BTreeMap<String, String>, changes: &BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => into.insert(key.clone(), value.clone()),
            None => into.remove(key),
        };
    }
}

impl Applied {
    /// Carries out one change, exactly as the store does.
    pub fn change(&mut self, change: &AppliedChange) {
        match change {
            AppliedChange::SetResource(id, resource) => {
                self.resources.insert(id.clone(), resource.clone());
            }
            AppliedChange::UpdateResource(id, update) => {
                self.resources.entry(id.clone()).or_default().update(update);
            }
            AppliedChange::RemoveResource(id) => {
                self.resources.remove(id);
            }
            AppliedChange::SetObject(object) => {
                self.inventory
                    .insert(object.reference.key(), object.clone());
            }
            AppliedChange::UpdateObject(reference, update) => {
                let object = self
                    .inventory
                    .entry(reference.key())
                    .or_insert_with(|| AppliedObject::intended(reference.clone()));
                object.reference = reference.clone();
                object.update(update);
            }
            AppliedChange::RemoveObject(key) => {
                self.inventory.remove(key);
            }
            AppliedChange::SetStack(id, stack) => {
                let last = self.stacks.insert(id.clone(), stack.clone());
                if let Some(new) = self.stacks.get_mut(id)
                    && new.grounds.is_none()
                {
                    new.grounds = last.and_then(|last| last.grounds);
                }
            }
            AppliedChange::SetGrounds(id, grounds) => {
                if let Some(stack) = self.stacks.get_mut(id) {
                    stack.grounds = Some(Arc::clone(grounds));
                }
            }
            AppliedChange::RemoveStack(id) => {
                self.stacks.remove(id);
            }
        }
    }

    /// Group ids that we ever built and have not taken down: their stacks must be looked at though git lost them.
    pub fn groups(&self) -> BTreeSet<String> {
        self.stacks
            .keys()
            .chain(self.resources.keys().map(|id| &id.stack))
            .filter_map(|stack| match stack {
                StackId::Group(id) => Some(id.clone()),
                _ => None,
            })
            .collect()
    }

    /// Every stack of which something was applied and not taken down.
    pub fn known_stacks(&self) -> BTreeSet<StackId> {
        let objects = (!self.inventory.is_empty()).then_some(StackId::Cluster);
        self.stacks
            .keys()
            .chain(self.resources.keys().map(|id| &id.stack))
            .cloned()
            .chain(objects)
            .collect()
    }
}

/// Stacks that a pass must look at: those whose digest differs from what was last applied, and those applied but no
/// longer desired.
///
/// A stack that waits for a fact is neither changed nor gone: what was applied stays (decision 7 of the spec). The OIDC
/// provider is never taken down, so its absence from the desired state is no change (irsa §9.4 R7).
pub fn changed_stacks(desired: &Desired, applied: &Applied) -> BTreeSet<StackId> {
    let wanted = desired.stacks();
    let waiting: BTreeSet<&StackId> = desired.waiting.iter().map(|wait| &wait.stack).collect();
    let changed = wanted.iter().filter(|(stack, digest)| {
        applied
            .stacks
            .get(stack)
            .is_none_or(|last| last.digest != **digest)
    });
    let gone = applied
        .known_stacks()
        .into_iter()
        .filter(|stack| !wanted.contains_key(stack) && *stack != StackId::Provider);
    changed
        .map(|(stack, _)| stack.clone())
        .chain(gone)
        .filter(|stack| !waiting.contains(stack))
        .collect()
}
