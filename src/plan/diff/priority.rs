//! Numbers of rules: stable, moved only where the order demands it (decisions 4 and 17 of the spec; lessons A9, B10).

use std::collections::{BTreeMap, BTreeSet};

/// Highest number that ELBv2 allows.
pub const HIGHEST: u32 = 50_000;
/// Distance between the rules of a fresh listener.
const STEP: u32 = 100;

/// New numbers for the rules of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbering {
    /// One per wanted rule, in wanted order, strictly rising.
    pub numbers: Vec<u32>,
    /// Indices of wanted rules that exist and get another number.
    pub moved: BTreeSet<usize>,
    /// New numbers of rules that will go, by old number: moved out of the way together with the others.
    pub parked: BTreeMap<u32, u32>,
    /// No gap was left where one was needed, so everything got a new number.
    pub renumbered: bool,
}

/// Chooses numbers for `wanted`, in order: a rule that exists gives its current number, a new one `None`.
///
/// `leaving` are numbers of rules of ours that will be deleted once the others stand; `foreign` are numbers that others
/// hold. No rule is ever put on a number that any rule holds now: not every server swaps within one call.
pub fn numbers(
    wanted: &[Option<u32>],
    leaving: &BTreeSet<u32>,
    foreign: &BTreeSet<u32>,
) -> Numbering {
    let current: BTreeSet<u32> = wanted.iter().flatten().copied().collect();
    let used: BTreeSet<u32> = current
        .iter()
        .chain(leaving)
        .chain(foreign)
        .copied()
        .collect();
    let stay = longest_rising(wanted);
    match fill(wanted, &stay, &used) {
        Some(numbers) => {
            let moved: BTreeSet<usize> = (0..wanted.len())
                .filter(|index| wanted[*index].is_some() && !stay.contains(index))
                .collect();
            // A rule that goes must not shadow one that moves past it meanwhile (lessons C1).
            let parked = if moved.is_empty() {
                BTreeMap::new()
            } else {
                let mut taken = used;
                taken.extend(&numbers);
                park(leaving, &taken)
            };
            Numbering {
                numbers,
                moved,
                parked,
                renumbered: false,
            }
        }
        None => renumber(wanted, leaving, &used),
    }
}

/// Indices of a longest strictly rising subsequence of the numbers that exist: the most rules that can stay.
fn longest_rising(wanted: &[Option<u32>]) -> BTreeSet<usize> {
    // best[k] ends the rising run of length k+1 that ends lowest; previous links build the run back.
    let mut best: Vec<usize> = Vec::new();
    let mut previous: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, number) in wanted.iter().enumerate() {
        let Some(number) = number else { continue };
        let place = best.partition_point(|end| wanted[*end].is_some_and(|end| end < *number));
        if place > 0 {
            previous.insert(index, best[place - 1]);
        }
        if place == best.len() {
            best.push(index);
        } else {
            best[place] = index;
        }
    }
    let mut stay = BTreeSet::new();
    let mut next = best.last().copied();
    while let Some(index) = next {
        stay.insert(index);
        next = previous.get(&index).copied();
    }
    stay
}

/// Numbers with those of `stay` kept and the others in the gaps between them; `None` when a gap is too small.
fn fill(wanted: &[Option<u32>], stay: &BTreeSet<usize>, used: &BTreeSet<u32>) -> Option<Vec<u32>> {
    let mut numbers = vec![0; wanted.len()];
    let mut low = 0;
    let mut run = Vec::new();
    for (index, number) in wanted.iter().enumerate() {
        match number {
            Some(number) if stay.contains(&index) => {
                place(&mut numbers, &run, low, *number, used)?;
                numbers[index] = *number;
                low = *number;
                run.clear();
            }
            _ => run.push(index),
        }
    }
    place(&mut numbers, &run, low, HIGHEST + 1, used)?;
    Some(numbers)
}

/// Spreads the rules of `run` strictly between `low` and `high`, past used numbers.
fn place(
    numbers: &mut [u32],
    run: &[usize],
    low: u32,
    high: u32,
    used: &BTreeSet<u32>,
) -> Option<()> {
    if run.is_empty() {
        return Some(());
    }
    let count = u32::try_from(run.len()).ok()?;
    // The open end goes on in steps, so that later rules find room behind; a closed gap is shared out evenly.
    let even = (high - low) / (count + 1);
    let step = if high > HIGHEST { even.min(STEP) } else { even };
    let free = |from: u32, to: u32| {
        to.saturating_sub(from + 1) as usize - used.range(from + 1..to.max(from + 1)).count()
    };
    let mut last = low;
    for (position, index) in run.iter().enumerate() {
        let following = run.len() - position - 1;
        let ideal = low + step * (position as u32 + 1);
        let mut number = ideal.max(last + 1);
        while number < high && used.contains(&number) {
            number += 1;
        }
        // Enough must be left for those that follow; otherwise take the lowest free number.
        if number >= high || free(number, high) < following {
            number = last + 1;
            while number < high && used.contains(&number) {
                number += 1;
            }
            if number >= high || free(number, high) < following {
                return None;
            }
        }
        numbers[*index] = number;
        last = number;
    }
    Some(())
}

/// Numbers at the far end for rules that go, in their order.
fn park(leaving: &BTreeSet<u32>, taken: &BTreeSet<u32>) -> BTreeMap<u32, u32> {
    let mut parked = BTreeMap::new();
    let mut number = HIGHEST;
    for old in leaving.iter().rev() {
        while number > *old && taken.contains(&number) {
            number -= 1;
        }
        if number <= *old {
            // It is last already.
            break;
        }
        parked.insert(*old, number);
        number -= 1;
    }
    parked
}

/// Everything anew on numbers that nobody holds; rules that go keep their place among the others.
fn renumber(wanted: &[Option<u32>], leaving: &BTreeSet<u32>, used: &BTreeSet<u32>) -> Numbering {
    #[derive(Clone, Copy)]
    enum Place {
        Wanted(usize),
        Leaving(u32),
    }
    let mut order = Vec::with_capacity(wanted.len() + leaving.len());
    let mut rest: Vec<u32> = leaving.iter().copied().collect();
    for (index, number) in wanted.iter().enumerate() {
        if let Some(number) = number {
            let before = rest.partition_point(|old| old < number);
            order.extend(rest.drain(..before).map(Place::Leaving));
        }
        order.push(Place::Wanted(index));
    }
    order.extend(rest.into_iter().map(Place::Leaving));
    let free = HIGHEST - used.len() as u32;
    let step = (free / (order.len() as u32 + 1)).clamp(1, STEP);
    let mut numbers = vec![0; wanted.len()];
    let mut parked = BTreeMap::new();
    let mut number = 0;
    for place in order {
        number += step;
        while used.contains(&number) {
            number += 1;
        }
        match place {
            Place::Wanted(index) => numbers[index] = number,
            Place::Leaving(old) => {
                parked.insert(old, number);
            }
        }
    }
    let moved = (0..wanted.len())
        .filter(|index| wanted[*index].is_some())
        .collect();
    Numbering {
        numbers,
        moved,
        parked,
        renumbered: true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn none() -> BTreeSet<u32> {
        BTreeSet::new()
    }

    #[test]
    fn fresh_listeners_are_numbered_with_gaps_that_shrink_with_many_rules() {
        assert_eq!(
            numbers(&[None; 3], &none(), &none()).numbers,
            vec![100, 200, 300]
        );
        let many = numbers(&vec![None; 2_000], &none(), &none());
        assert!(!many.renumbered);
        assert!(many.numbers.last().is_some_and(|last| *last <= HIGHEST));
        assert_eq!(many.numbers[0], 24);
    }

    #[test]
    fn a_rule_in_front_takes_a_gap_and_moves_nobody() {
        let numbering = numbers(&[None, Some(100), Some(200)], &none(), &none());
        assert_eq!(numbering.numbers, vec![50, 100, 200]);
        assert!(numbering.moved.is_empty());
    }

    #[test]
    fn dense_numbers_of_another_controller_are_kept_until_a_gap_is_needed() {
        let same = numbers(&[Some(1), Some(2), Some(3)], &none(), &none());
        assert!(same.moved.is_empty());
        let behind = numbers(&[Some(1), Some(2), None], &none(), &none());
        assert!(behind.moved.is_empty());
        assert_eq!(behind.numbers, vec![1, 2, 102]);
        let between = numbers(&[Some(1), None, Some(2)], &none(), &none());
        assert!(between.renumbered);
        assert_eq!(between.numbers, vec![100, 200, 300]);
    }

    #[test]
    fn two_rules_that_change_places_move_one_of_them() {
        let numbering = numbers(&[Some(200), Some(100), Some(300)], &none(), &none());
        assert_eq!(numbering.moved.len(), 1);
        assert!(numbering.numbers.is_sorted());
        assert!(numbering.numbers.contains(&300));
    }

    #[test]
    fn rules_that_go_are_parked_last_when_others_move() {
        let leaving = BTreeSet::from([150, 400]);
        let numbering = numbers(&[Some(200), Some(100)], &leaving, &BTreeSet::from([50_000]));
        assert_eq!(
            numbering.parked,
            BTreeMap::from([(150, 49_998), (400, 49_999)])
        );
        let quiet = numbers(&[Some(100), Some(200)], &leaving, &none());
        assert!(quiet.parked.is_empty());
    }

    /// Length of the longest rising subsequence, by the definition.
    fn longest(numbers: &[u32]) -> usize {
        let mut lengths = vec![1; numbers.len()];
        for end in 0..numbers.len() {
            for start in 0..end {
                if numbers[start] < numbers[end] {
                    lengths[end] = lengths[end].max(lengths[start] + 1);
                }
            }
        }
        lengths.into_iter().max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn orders_hold_with_the_fewest_moves_and_no_number_is_taken_from_anybody(
            existing in prop::collection::btree_set(1u32..=400, 0..40),
            shuffle in any::<prop::sample::Index>(),
            roles in prop::collection::vec(0u8..4, 40),
            new in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut wanted: Vec<Option<u32>> = Vec::new();
            let mut leaving = BTreeSet::new();
            let mut foreign = BTreeSet::new();
            for (number, role) in existing.iter().zip(roles.iter().cycle()) {
                match role {
                    0 => { leaving.insert(*number); }
                    1 => { foreign.insert(*number); }
                    _ => wanted.push(Some(*number)),
                }
            }
            if wanted.len() > 1 {
                let at = shuffle.index(wanted.len());
                wanted.rotate_left(at);
            }
            for place in &new {
                let at = place.index(wanted.len() + 1);
                wanted.insert(at, None);
            }
            let numbering = numbers(&wanted, &leaving, &foreign);
            prop_assert!(numbering.numbers.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(numbering.numbers.iter().all(|number| (1..=HIGHEST).contains(number)));
            let current: Vec<u32> = wanted.iter().flatten().copied().collect();
            for (index, number) in numbering.numbers.iter().enumerate() {
                let kept = wanted[index] == Some(*number) && !numbering.moved.contains(&index);
                prop_assert!(kept || !existing.contains(number));
            }
            for number in numbering.parked.values() {
                prop_assert!(!existing.contains(number));
                prop_assert!(!numbering.numbers.contains(number));
            }
            if !numbering.renumbered {
                prop_assert_eq!(numbering.moved.len(), current.len() - longest(&current));
            }
        }
    }
}
