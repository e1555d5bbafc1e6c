//! What was set last, one record per stack, resource and object.

use std::collections::BTreeSet;

use super::{Disk, LoadError, Part, Result, Store, Write, decode, encode, put};
use crate::{
    id::{ObjectKey, ResourceId, StackId},
    model::applied::{Applied, AppliedChange, AppliedObject, AppliedResource, AppliedStack},
};

const STACK: u8 = b's';
const RESOURCE: u8 = b'r';
const OBJECT: u8 = b'o';

impl Store {
    /// Everything that was applied and not taken away.
    pub fn applied(&self) -> Applied {
        self.state().applied.clone()
    }

    /// Looks at what was applied without copying it. Must not call the store.
    pub fn read_applied<T>(&self, read: impl FnOnce(&Applied) -> T) -> T {
        read(&self.state().applied)
    }

    /// All of the changes or none; durable when it returns.
    pub fn commit(&self, changes: &[AppliedChange]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        let writes = writes(&mut state.applied, changes)?;
        self.write(&writes, true)
    }
}

/// Carries the changes out in memory and says what that means on disk.
///
/// When the write then fails, memory is ahead of the disk; the disk answers nothing any more by then.
pub(super) fn writes(applied: &mut Applied, changes: &[AppliedChange]) -> Result<Vec<Write>> {
    let mut stacks: BTreeSet<&StackId> = BTreeSet::new();
    let mut resources: BTreeSet<&ResourceId> = BTreeSet::new();
    let mut objects: BTreeSet<ObjectKey> = BTreeSet::new();
    for change in changes {
        applied.change(change);
        match change {
            AppliedChange::SetResource(id, _)
            | AppliedChange::UpdateResource(id, _)
            | AppliedChange::RemoveResource(id) => {
                resources.insert(id);
            }
            AppliedChange::SetObject(object) => {
                objects.insert(object.reference.key());
            }
            AppliedChange::UpdateObject(reference, _) => {
                objects.insert(reference.key());
            }
            AppliedChange::RemoveObject(key) => {
                objects.insert(key.clone());
            }
            AppliedChange::SetStack(id, _)
            | AppliedChange::SetGrounds(id, _)
            | AppliedChange::RemoveStack(id) => {
                stacks.insert(id);
            }
        }
    }
    let mut writes = Vec::new();
    for id in stacks {
        let key = key(STACK, id)?;
        writes.push(match applied.stacks.get(id) {
            Some(stack) => put(Part::Applied, key, &(id, stack))?,
            None => Write::delete(Part::Applied, key),
        });
    }
    for id in resources {
        let key = key(RESOURCE, id)?;
        writes.push(match applied.resources.get(id) {
            Some(resource) => put(Part::Applied, key, &(id, resource))?,
            None => Write::delete(Part::Applied, key),
        });
    }
    for id in objects {
        let key = key(OBJECT, &id)?;
        writes.push(match applied.inventory.get(&id) {
            Some(object) => put(Part::Applied, key, object)?,
            None => Write::delete(Part::Applied, key),
        });
    }
    Ok(writes)
}

pub(super) fn load(disk: &Disk) -> std::result::Result<Applied, LoadError> {
    let mut applied = Applied::default();
    for (key, value) in disk.scan(Part::Applied, b"")? {
        match key.first() {
            Some(&STACK) => {
                let (id, stack): (StackId, AppliedStack) =
                    decode(&value).map_err(super::damaged)?;
                applied.stacks.insert(id, stack);
            }
            Some(&RESOURCE) => {
                let (id, resource): (ResourceId, AppliedResource) =
                    decode(&value).map_err(super::damaged)?;
                applied.resources.insert(id, resource);
            }
            Some(&OBJECT) => {
                let object: AppliedObject = decode(&value).map_err(super::damaged)?;
                applied.inventory.insert(object.reference.key(), object);
            }
            _ => {
                return Err(LoadError::Damaged(
                    "an applied record has an unknown kind".to_owned(),
                ));
            }
        }
    }
    Ok(applied)
}

fn key<T: serde::Serialize>(kind: u8, id: &T) -> Result<Vec<u8>> {
    let mut key = vec![kind];
    key.extend(encode(id)?);
    Ok(key)
}
