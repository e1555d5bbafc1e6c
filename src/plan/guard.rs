//! May this commit delete what it deletes? Asked before anything is built or planned (gitops G42, G43; decision 24).

use std::collections::BTreeSet;

use crate::{
    id::{RepoPath, StackId},
    model::previous::{PreviousObject, PreviousSet},
    problem::{Origin, Problem},
};

use super::op::Held;

/// Trailer that allows a watched path (`.`: everything) to become empty.
pub const ALLOW_EMPTY: &str = "Albsync-Allow-Empty";
/// Trailer that allows up to that many objects to go.
pub const ALLOW_PRUNE: &str = "Albsync-Allow-Prune";
/// Deletes up to this number are never held (gitops G43).
const PRUNE_FLOOR: usize = 3;
/// Beyond the floor, deletes above this share of the previous objects are held (gitops G43).
const PRUNE_PERCENT: usize = 20;
/// A kind of plane going to zero is refused from this many objects on (decision 24).
const KIND_FLOOR: usize = 3;
/// Kinds that stand for a whole plane: balancers and roles.
const PLANE_KINDS: [&str; 2] = ["Ingress", "IAMServiceAccount"];

/// What the guards say of a commit. Both empty: go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Admission {
    /// Reject the commit.
    pub problems: Vec<Problem>,
    /// Hold the commit until a person lets it pass.
    pub held: Vec<Held>,
}

impl Admission {
    pub fn is_admitted(&self) -> bool {
        self.problems.is_empty() && self.held.is_empty()
    }
}

/// Compares a commit with the one in force. `trailers` are the commit's; without a previous set nothing is guarded.
pub fn admission(
    previous: Option<&PreviousSet>,
    next: &PreviousSet,
    trailers: &[(String, String)],
    limits: &Limits,
) -> Admission {
    let Some(previous) = previous else {
        return Admission::default();
    };
    let allowed = Allowed::read(trailers);
    Admission {
        problems: emptied(previous, next, &allowed),
        held: pruned(previous, next, &allowed, limits)
            .into_iter()
            .collect(),
    }
}

/// How many objects a commit may delete without saying so (gitops G43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deletes up to this number are never held.
    pub floor: usize,
    /// Beyond the floor, deletes above this share of the previous objects, in percent, are held.
    pub percent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            floor: PRUNE_FLOOR,
            percent: PRUNE_PERCENT,
        }
    }
}

/// What the commit's trailers allow.
struct Allowed {
    empty: BTreeSet<String>,
    prune: Option<usize>,
}

impl Allowed {
    fn read(trailers: &[(String, String)]) -> Self {
        let named = |name: &'static str| {
            trailers
                .iter()
                .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        Self {
            empty: named(ALLOW_EMPTY).map(normal).collect(),
            prune: named(ALLOW_PRUNE)
                .filter_map(|value| value.parse().ok())
                .max(),
        }
    }

    fn everything(&self) -> bool {
        self.empty.contains(".")
    }

    fn path(&self, path: &RepoPath) -> bool {
        self.everything() || self.empty.contains(&normal(path.as_str()))
    }

    /// Whether the file lies under a path that may become empty.
    fn file(&self, file: &str) -> bool {
        self.everything()
            || self.empty.iter().any(|path| {
                file == path
                    || file
                        .strip_prefix(path.as_str())
                        .is_some_and(|rest| rest.starts_with('/'))
            })
    }
}

/// `./a/b/` and `a/b` are the same path; the repository itself is `.`.
fn normal(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() {
        ".".to_owned()
    } else {
        path.to_owned()
    }
}

/// Gitops G42: the set, a watched path or a kind of plane that becomes empty.
fn emptied(previous: &PreviousSet, next: &PreviousSet, allowed: &Allowed) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, before) in &previous.watched {
        // A path that is no longer watched was taken out of the configuration; that is another guard's matter (G48).
        let Some(now) = next.watched.get(path) else {
            continue;
        };
        if *before > 0 && *now == 0 && !allowed.path(path) {
            problems.push(empty_problem(
                path.as_str(),
                format!(
                    "{path} held {before} and now holds no objects",
                    before = objects(*before)
                ),
                path.as_str(),
            ));
        }
    }
    let before = previous.objects.len();
    let covered = allowed.everything()
        || previous
            .objects
            .values()
            .all(|object| allowed.file(&object.file));
    if before > 0 && next.objects.is_empty() && !covered && problems.is_empty() {
        problems.push(empty_problem(
            ".",
            format!(
                "the commit in force holds {} and this one holds none",
                objects(before)
            ),
            ".",
        ));
    }
    if !problems.is_empty() {
        return problems;
    }
    for kind in PLANE_KINDS {
        let gone: Vec<&PreviousObject> = previous
            .objects
            .values()
            .filter(|object| object.key.kind == kind)
            .collect();
        let covered = gone.iter().all(|object| allowed.file(&object.file));
        if gone.len() >= KIND_FLOOR && next.count(kind) == 0 && !covered {
            problems.push(empty_problem(
                ".",
                format!("all {} objects of kind {kind} are gone", gone.len()),
                ".",
            ));
        }
    }
    problems
}

fn empty_problem(place: &str, message: String, path: &str) -> Problem {
    Problem::new("empty-desired-state", Origin::start_of(place), message).hint(format!(
        "if that is meant, commit it with the trailer `{ALLOW_EMPTY}: {path}`"
    ))
}

/// Gitops G43: too many objects leave at once.
fn pruned(
    previous: &PreviousSet,
    next: &PreviousSet,
    allowed: &Allowed,
    limits: &Limits,
) -> Option<Held> {
    let victims: Vec<String> = previous
        .objects
        .iter()
        .filter(|(text, object)| !next.objects.contains_key(*text) && !allowed.file(&object.file))
        .map(|(_, object)| object.key.to_string())
        .collect();
    let count = victims.len();
    let within = count <= limits.floor || count * 100 <= previous.objects.len() * limits.percent;
    if within || allowed.prune.is_some_and(|limit| limit >= count) {
        return None;
    }
    Some(Held {
        stack: StackId::Cluster,
        resource: None,
        code: "PruneLimit".to_owned(),
        message: format!(
            "{count} of {} objects would be deleted: {}",
            previous.objects.len(),
            victims.join(", ")
        ),
        release: format!("commit it with the trailer `{ALLOW_PRUNE}: {count}`"),
    })
}

fn objects(count: usize) -> String {
    if count == 1 {
        "1 object".to_owned()
    } else {
        format!("{count} objects")
    }
}

#[cfg(test)]
mod tests {
    use super::{admission as guarded, *};

    fn admission(
        previous: Option<&PreviousSet>,
        next: &PreviousSet,
        trailers: &[(String, String)],
    ) -> Admission {
        guarded(previous, next, trailers, &Limits::default())
    }
    use crate::id::ObjectKey;

    fn set(kinds: &[(&str, &str, usize)], watched: &[&str]) -> PreviousSet {
        let mut set = PreviousSet::default();
        for (file, kind, count) in kinds {
            for index in 0..*count {
                let key = ObjectKey {
                    group: String::new(),
                    kind: (*kind).to_owned(),
                    namespace: Some("default".to_owned()),
                    name: format!("n{index}"),
                };
                let object = PreviousObject {
                    key: key.clone(),
                    file: (*file).to_owned(),
                };
                set.objects.insert(format!("{kind}/{index}"), object);
            }
        }
        for path in watched {
            let count = kinds
                .iter()
                .filter(|(file, ..)| *path == "." || file.starts_with(path))
                .map(|(.., count)| count)
                .sum();
            set.watched.insert(RepoPath::from(*path), count);
        }
        set
    }

    fn trailer(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_watched_path_that_becomes_empty_is_rejected_even_with_one_object() {
        let before = set(
            &[("a/x.yaml", "ConfigMap", 1), ("b/x.yaml", "Service", 2)],
            &["a", "b"],
        );
        let after = set(&[("b/x.yaml", "Service", 2)], &["a", "b"]);
        let told = admission(Some(&before), &after, &[]);
        assert_eq!(told.problems.len(), 1);
        assert_eq!(told.problems[0].code, "empty-desired-state");
        assert!(
            told.problems[0]
                .hint
                .as_deref()
                .unwrap()
                .contains("Albsync-Allow-Empty: a")
        );
        assert!(admission(Some(&before), &after, &trailer(ALLOW_EMPTY, "a")).is_admitted());
        assert!(!admission(Some(&before), &after, &trailer(ALLOW_EMPTY, "b")).is_admitted());
        assert!(admission(Some(&before), &after, &trailer(ALLOW_EMPTY, "./a/")).is_admitted());
    }

    #[test]
    fn an_allowed_emptying_of_everything_passes_the_prune_limit() {
        let before = set(&[("x.yaml", "ConfigMap", 12)], &["."]);
        let after = set(&[], &["."]);
        let told = admission(Some(&before), &after, &[]);
        assert_eq!((told.problems.len(), told.held.len()), (1, 1));
        assert!(admission(Some(&before), &after, &trailer(ALLOW_EMPTY, ".")).is_admitted());
    }

    #[test]
    fn a_kind_of_plane_may_vanish_below_three_objects_only() {
        for (count, admitted) in [(2, true), (3, false)] {
            let before = set(
                &[("x.yaml", "Ingress", count), ("y.yaml", "ConfigMap", 20)],
                &["."],
            );
            let after = set(&[("y.yaml", "ConfigMap", 20)], &["."]);
            assert_eq!(
                admission(Some(&before), &after, &[]).is_admitted(),
                admitted,
                "{count}"
            );
        }
        let before = set(
            &[("x.yaml", "Secret", 3), ("y.yaml", "ConfigMap", 20)],
            &["."],
        );
        let after = set(&[("y.yaml", "ConfigMap", 20)], &["."]);
        assert!(admission(Some(&before), &after, &[]).is_admitted());
    }

    #[test]
    fn deletes_above_three_and_a_fifth_wait_for_a_counted_trailer() {
        let remaining = |total: usize, deleted: usize| {
            let before = set(&[("x.yaml", "ConfigMap", total)], &["."]);
            let after = set(&[("x.yaml", "ConfigMap", total - deleted)], &["."]);
            (before, after)
        };
        for (total, deleted, held) in [
            (10, 3, false),
            (10, 4, true),
            (100, 20, false),
            (100, 21, true),
            (4, 3, false),
        ] {
            let (before, after) = remaining(total, deleted);
            let told = admission(Some(&before), &after, &[]);
            assert!(told.problems.is_empty());
            assert_eq!(!told.held.is_empty(), held, "{deleted} of {total}");
        }
        let (before, after) = remaining(10, 4);
        assert!(!admission(Some(&before), &after, &trailer(ALLOW_PRUNE, "3")).is_admitted());
        assert!(
            admission(Some(&before), &after, &trailer("albsync-allow-prune", "4")).is_admitted()
        );
    }

    #[test]
    fn the_first_commit_and_a_moved_file_pass() {
        let before = set(&[("x.yaml", "ConfigMap", 9)], &["."]);
        let moved = set(&[("deep/y.yaml", "ConfigMap", 9)], &["."]);
        assert!(admission(None, &moved, &[]).is_admitted());
        assert!(admission(Some(&before), &moved, &[]).is_admitted());
    }
}
