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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        id::{Arn, ResourceId, StackId},
        plan::op::{Action, Cause, Reason},
    };

    /// An operation whose ARN is its first id, so that it is known after it got another.
    fn op(id: u32, needs: &[u32]) -> Op {
        let resource = ResourceId::backend_security_group();
        Op {
            id: OpId(id),
            stack: StackId::Network,
            resource,
            needs: needs.iter().map(|need| OpId(*need)).collect(),
            action: Action::DeleteRule {
                arn: Arn(id.to_string()),
            },
            reason: Reason {
                cause: Cause::Added,
                origin: None,
                differences: Vec::new(),
            },
            record: Vec::new(),
        }
    }

    fn old(op: &Op) -> u32 {
        match &op.action {
            Action::DeleteRule { arn } => arn.as_str().parse().unwrap(),
            _ => unreachable!(),
        }
    }

    #[test]
    fn an_order_that_holds_is_kept_and_one_that_does_not_is_mended() {
        let kept = order(vec![op(0, &[]), op(1, &[0]), op(2, &[])], 0);
        assert_eq!(kept.iter().map(old).collect::<Vec<_>>(), [0, 1, 2]);
        let mended = order(vec![op(0, &[2]), op(1, &[]), op(2, &[])], 7);
        assert_eq!(mended.iter().map(old).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(mended[2].id, OpId(9));
        assert_eq!(mended[2].needs, BTreeSet::from([OpId(8)]));
    }

    #[test]
    fn needs_that_are_not_there_are_dropped() {
        let alone = order(vec![op(5, &[3])], 0);
        assert!(alone[0].needs.is_empty());
    }

    #[test]
    #[should_panic(expected = "BUG: operations of one plan need each other in a circle")]
    fn a_circle_is_a_bug() {
        order(vec![op(0, &[1]), op(1, &[0])], 0);
    }

    proptest! {
        #[test]
        fn every_need_comes_earlier_and_names_the_same_operation(
            edges in prop::collection::vec((0u32..30, 0u32..30), 0..60),
            turn in 0usize..30,
        ) {
            // Needs point to higher first ids or lower ones, never in a circle: by a hidden rank.
            let rank = |id: u32| (u64::from(id) * 7919) % 31;
            let mut needs: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for (from, to) in edges {
                if rank(to) < rank(from) {
                    needs.entry(from).or_default().push(to);
                }
            }
            let mut ops: Vec<Op> = (0..30)
                .map(|id| op(id, needs.get(&id).map_or(&[][..], Vec::as_slice)))
                .collect();
            ops.rotate_left(turn);
            let ordered = order(ops, 0);
            prop_assert_eq!(ordered.len(), 30);
            for (place, op) in ordered.iter().enumerate() {
                prop_assert_eq!(op.id, OpId(place as u32));
                let named: BTreeSet<u32> =
                    op.needs.iter().map(|need| old(&ordered[need.0 as usize])).collect();
                let wanted: BTreeSet<u32> =
                    needs.get(&old(op)).into_iter().flatten().copied().collect();
                prop_assert_eq!(named, wanted);
                prop_assert!(op.needs.iter().all(|need| *need < op.id));
            }
        }
    }
}
