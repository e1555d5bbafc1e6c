//! From drafts to operations: execution order and numbers follow from needs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::id::OpId;

use super::op::Op;

/// Puts operations into an order in which every need comes first, and numbers them anew from `first` on.
///
/// Ids on entry name the operations and say their preferred place: among those that are ready, the lowest goes first,
/// so an order that already holds is kept. Needs that are not among `ops` are dropped.
pub fn order(ops: Vec<Op>, first: u32) -> Vec<Op> {
    let present: BTreeSet<OpId> = ops.iter().map(|op| op.id).collect();
    let mut waiting: BTreeMap<OpId, (Op, usize)> = BTreeMap::new();
    let mut dependents: BTreeMap<OpId, Vec<OpId>> = BTreeMap::new();
    let mut ready = BinaryHeap::new();
    for mut op in ops {
        op.needs.retain(|need| present.contains(need));
        for need in &op.needs {
            dependents.entry(*need).or_default().push(op.id);
        }
        if op.needs.is_empty() {
            ready.push(Reverse(op.id));
        }
        let missing = op.needs.len();
        assert!(
            waiting.insert(op.id, (op, missing)).is_none(),
            "BUG: two operations of one plan bear the same id"
        );
    }
    let mut numbers: BTreeMap<OpId, OpId> = BTreeMap::new();
    let mut ordered = Vec::with_capacity(waiting.len());
    while let Some(Reverse(id)) = ready.pop() {
        let Some((mut op, _)) = waiting.remove(&id) else {
            unreachable!("BUG: an operation became ready twice");
        };
        let number = OpId(first + ordered.len() as u32);
        numbers.insert(id, number);
        op.needs = op
            .needs
            .iter()
            .filter_map(|need| numbers.get(need).copied())
            .collect();
        op.id = number;
        ordered.push(op);
        for dependent in dependents.remove(&id).unwrap_or_default() {
            if let Some((_, missing)) = waiting.get_mut(&dependent) {
                *missing -= 1;
                if *missing == 0 {
                    ready.push(Reverse(dependent));
                }
            }
        }
    }
    assert!(
        waiting.is_empty(),
        "BUG: operations of one plan need each other in a circle"
    );
    ordered
}
