//! Real repositories in temporary directories.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path};

use git2::{Oid, Repository, Signature};
use tempfile::TempDir;

use super::Mirror;
use crate::{
    config::SourceConfig,
    id::{RepoPath, Revision},
    source::{History, Source, SourceError},
};

mod servers;

/// A place with a repository to follow and a state directory.
struct Bench {
    dir: TempDir,
    origin: Repository,
    config: SourceConfig,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let origin = Repository::init_bare(dir.path().join("origin.git")).unwrap();
        let config = SourceConfig {
            url: dir.path().join("origin.git").display().to_string(),
            ..SourceConfig::default()
        };
        Self {
            dir,
            origin,
            config,
        }
    }

    fn watching(mut self, paths: &[&str]) -> Self {
        self.config.paths = paths.iter().map(|path| (*path).to_owned()).collect();
        self
    }

    fn open(&self) -> Mirror {
        Mirror::open(&self.dir.path().join("state"), &self.config).unwrap()
    }

    /// Commits the files (path, mode, content), and only these, onto `main`.
    fn commit(&self, message: &str, files: &[(&str, i32, &[u8])]) -> Revision {
        let parent = self
            .origin
            .refname_to_id("refs/heads/main")
            .ok()
            .map(|oid| self.origin.find_commit(oid).unwrap());
        self.commit_on("refs/heads/main", parent.as_ref(), message, files)
    }

    fn commit_on(
        &self,
        branch: &str,
        parent: Option<&git2::Commit<'_>>,
        message: &str,
        files: &[(&str, i32, &[u8])],
    ) -> Revision {
        let entries: Vec<(Vec<&str>, i32, Oid)> = files
            .iter()
            .map(|(path, mode, content)| {
                let oid = if *mode == SUBMODULE {
                    Oid::from_str(&"1".repeat(40)).unwrap()
                } else {
                    self.origin.blob(content).unwrap()
                };
                (path.split('/').collect(), *mode, oid)
            })
            .collect();
        let tree = self.origin.find_tree(tree(&self.origin, &entries)).unwrap();
        let who =
            Signature::new("Ann", "ann@example.com", &git2::Time::new(1_700_000_000, 0)).unwrap();
        let parents: Vec<&git2::Commit<'_>> = parent.into_iter().collect();
        let oid = self
            .origin
            .commit(None, &who, &who, message, &tree, &parents)
            .unwrap();
        self.origin.reference(branch, oid, true, "").unwrap();
        Revision::new(oid.to_string())
    }

    fn pack_refs(&self) {
        let oid = self.origin.refname_to_id("refs/heads/main").unwrap();
        fs::write(
            self.origin.path().join("packed-refs"),
            format!("# pack-refs with: peeled fully-peeled sorted \n{oid} refs/heads/main\n"),
        )
        .unwrap();
        fs::remove_file(self.origin.path().join("refs/heads/main")).unwrap();
    }
}

const FILE: i32 = 0o100_644;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

fn tree(repository: &Repository, entries: &[(Vec<&str>, i32, Oid)]) -> Oid {
    let mut builder = repository.treebuilder(None).unwrap();
    let names: BTreeSet<&str> = entries.iter().map(|(path, _, _)| path[0]).collect();
    for name in names {
        let inside: Vec<(Vec<&str>, i32, Oid)> = entries
            .iter()
            .filter(|(path, _, _)| path[0] == name)
            .map(|(path, mode, oid)| (path[1..].to_vec(), *mode, *oid))
            .collect();
        if inside[0].0.is_empty() {
            builder.insert(name, inside[0].2, inside[0].1).unwrap();
        } else {
            builder
                .insert(name, tree(repository, &inside), 0o040_000)
                .unwrap();
        }
    }
    builder.write().unwrap()
}

fn named(paths: &[&str]) -> BTreeSet<RepoPath> {
    paths.iter().map(|path| RepoPath::new(*path)).collect()
}

fn names(mirror: &Mirror, revision: &Revision) -> Result<Vec<String>, SourceError> {
    let snapshot = mirror.snapshot(revision, &BTreeSet::new())?;
    Ok(snapshot.files.keys().map(ToString::to_string).collect())
}

/// The reason why a tree with these files beside a good one is refused, and the path that it names.
fn refusal(watched: &[&str], files: &[(&str, i32, &[u8])]) -> (&'static str, String) {
    let bench = Bench::new().watching(watched);
    let mut all = vec![("a/ok.yaml", FILE, &b"x"[..])];
    all.extend_from_slice(files);
    let revision = bench.commit("c", &all);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    let error = names(&mirror, &revision).unwrap_err();
    assert!(error.rejects(), "{error}");
    let path = error.path().unwrap().to_string();
    assert!(error.to_string().contains(&path), "{error}");
    (error.reason(), path)
}

fn packs(mirror: &Mirror) -> usize {
    fs::read_dir(mirror.dir().join("objects/pack"))
        .unwrap()
        .filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "pack")
        })
        .count()
}

#[test]
fn manifests_under_the_watched_paths_are_read_and_nothing_else() {
    let bench = Bench::new().watching(&["a", "c.yml"]);
    let revision = bench.commit(
        "c",
        &[
            ("a/one.yaml", FILE, b"1"),
            ("a/b/two.yml", FILE, b"2"),
            ("a/policy.json", FILE, b"{}"),
            ("a/notes.yaml.txt", FILE, b"no"),
            ("ab/other.yaml", FILE, b"no"),
            ("c.yml", FILE, b"3"),
            ("d.yml", FILE, b"no"),
        ],
    );
    let mirror = bench.open();
    assert_eq!(mirror.fetch().unwrap(), revision);
    let snapshot = mirror
        .snapshot(
            &revision,
            &named(&["a/policy.json", "ab/other.yaml", "gone.json"]),
        )
        .unwrap();
    let files: Vec<(&str, &[u8])> = snapshot
        .files
        .iter()
        .map(|(path, content)| (path.as_str(), &**content))
        .collect();
    assert_eq!(
        files,
        [
            ("a/b/two.yml", &b"2"[..]),
            ("a/one.yaml", b"1"),
            ("a/policy.json", b"{}"),
            ("ab/other.yaml", b"no"),
            ("c.yml", b"3"),
        ]
    );
    assert_eq!(snapshot.commit.unwrap().revision, revision);
}

#[test]
fn after_a_commit_only_the_files_that_it_changes_are_read() {
    let bench = Bench::new();
    let first = bench.commit("1", &[("a.yaml", FILE, b"a"), ("b.yaml", FILE, b"b")]);
    let second = bench.commit(
        "2",
        &[
            ("a.yaml", FILE, b"a"),
            ("b.yaml", FILE, b"B"),
            ("c.yaml", FILE, b"a"),
        ],
    );
    let mirror = bench.open();
    mirror.fetch().unwrap();
    let first = mirror.snapshot(&first, &named(&[])).unwrap().files;
    let second = mirror.snapshot(&second, &named(&[])).unwrap().files;
    let [a, b, c] = ["a.yaml", "b.yaml", "c.yaml"].map(RepoPath::from);
    assert!(second[&a].is(&first[&a]));
    assert!(second[&c].is(&first[&a]));
    assert_eq!(&*second[&b], b"B");
    assert_eq!(&*first[&b], b"b");
}

#[test]
fn named_files_that_stay_as_they_are_are_read_once() {
    let bench = Bench::new().watching(&["apps"]);
    let commit = |content: &[u8]| {
        let files = [
            ("apps/a.yaml", FILE, content),
            ("policy.json", FILE, &b"{}"[..]),
        ];
        bench.commit("x", &files)
    };
    let revisions = [commit(b"a"), commit(b"b")];
    let mirror = bench.open();
    mirror.fetch().unwrap();
    // As a commit is loaded: first what is watched, then what its documents name too.
    let [first, second] = revisions.map(|revision| {
        mirror.snapshot(&revision, &named(&[])).unwrap();
        let with_named = mirror.snapshot(&revision, &named(&["policy.json"]));
        with_named.unwrap().files
    });
    let policy = RepoPath::from("policy.json");
    assert!(second[&policy].is(&first[&policy]));
    assert_eq!(&*second[&RepoPath::from("apps/a.yaml")], b"b");
}

#[test]
fn the_whole_repository_is_a_dot() {
    let bench = Bench::new();
    let revision = bench.commit("c", &[("x.yaml", FILE, b"1"), ("a/y.yaml", FILE, b"1")]);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    assert_eq!(names(&mirror, &revision).unwrap(), ["a/y.yaml", "x.yaml"]);
}

#[test]
fn a_watched_path_that_is_gone_is_an_error_and_not_empty() {
    let bench = Bench::new().watching(&["a", "b/c"]);
    let first = bench.commit("1", &[("a/x.yaml", FILE, b"1"), ("b/c/x.yaml", FILE, b"1")]);
    let second = bench.commit("2", &[("a/x.yaml", FILE, b"1"), ("b", FILE, b"a file")]);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    assert_eq!(names(&mirror, &first).unwrap().len(), 2);
    let error = names(&mirror, &second).unwrap_err();
    assert_eq!(error.reason(), "PathNotFound");
    assert_eq!(
        error.to_string(),
        format!("the watched path b/c does not exist at {}", second.short())
    );
}

#[test]
fn an_unchanged_tip_transfers_nothing() {
    let bench = Bench::new();
    let first = bench.commit("1", &[("x.yaml", FILE, b"1")]);
    let mirror = bench.open();
    assert_eq!(mirror.last_fetched().unwrap(), None);
    assert_eq!(mirror.fetch().unwrap(), first);
    let before = packs(&mirror);
    for _ in 0..5 {
        assert_eq!(mirror.fetch().unwrap(), first);
    }
    assert_eq!(packs(&mirror), before);
    let second = bench.commit("2", &[("x.yaml", FILE, b"2")]);
    assert_eq!(mirror.fetch().unwrap(), second);
    assert_eq!(mirror.last_fetched().unwrap(), Some(second));
}

#[test]
fn refs_may_be_packed() {
    let bench = Bench::new();
    let revision = bench.commit("1", &[("x.yaml", FILE, b"1")]);
    bench.pack_refs();
    assert_eq!(bench.open().fetch().unwrap(), revision);
}

#[test]
fn a_rewritten_branch_is_followed_and_called_rewritten() {
    let bench = Bench::new();
    let first = bench.commit("1", &[("x.yaml", FILE, b"1")]);
    let second = bench.commit("2", &[("x.yaml", FILE, b"2")]);
    let third = bench.commit("3", &[("x.yaml", FILE, b"3")]);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    mirror.keep(&third).unwrap();
    let base = bench
        .origin
        .find_commit(Oid::from_str(first.as_str()).unwrap())
        .unwrap();
    let sibling = bench.commit_on(
        "refs/heads/main",
        Some(&base),
        "s",
        &[("x.yaml", FILE, b"4")],
    );
    assert_eq!(mirror.fetch().unwrap(), sibling);
    assert_eq!(
        mirror.relation(&third, &sibling).unwrap(),
        History::Rewritten { dropped: 2 }
    );
    assert_eq!(
        mirror.relation(&first, &sibling).unwrap(),
        History::Descends
    );
    assert_eq!(mirror.relation(&third, &third).unwrap(), History::Same);
    assert_eq!(
        mirror.relation(&third, &second).unwrap(),
        History::Rewritten { dropped: 1 }
    );
    let stranger = Revision::new("2".repeat(40));
    assert_eq!(
        mirror.relation(&stranger, &third).unwrap(),
        History::Unknown
    );
    let root = bench.commit_on("refs/heads/main", None, "r", &[("x.yaml", FILE, b"5")]);
    assert_eq!(mirror.fetch().unwrap(), root);
    assert_eq!(
        mirror.relation(&third, &root).unwrap(),
        History::Rewritten { dropped: 3 }
    );
}

#[test]
fn a_deleted_branch_is_named_and_the_last_commit_stays_readable() {
    let bench = Bench::new();
    let revision = bench.commit("1", &[("x.yaml", FILE, b"1")]);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    bench
        .origin
        .find_reference("refs/heads/main")
        .unwrap()
        .rename("refs/heads/trunk", false, "")
        .unwrap();
    let error = mirror.fetch().unwrap_err();
    assert_eq!(error.reason(), "BranchNotFound");
    assert!(
        error
            .to_string()
            .ends_with("has no branch main; it has trunk"),
        "{error}"
    );
    assert!(!error.rejects());
    assert_eq!(names(&mirror, &revision).unwrap(), ["x.yaml"]);
    assert_eq!(mirror.last_fetched().unwrap(), Some(revision));
}

#[test]
fn a_tag_of_the_branchs_name_is_not_taken_for_it() {
    let bench = Bench::new();
    let first = bench.commit("1", &[("x.yaml", FILE, b"1")]);
    let oid = Oid::from_str(first.as_str()).unwrap();
    bench
        .origin
        .reference("refs/tags/main", oid, true, "")
        .unwrap();
    let second = bench.commit("2", &[("x.yaml", FILE, b"2")]);
    assert_eq!(bench.open().fetch().unwrap(), second);
}

#[test]
fn an_empty_repository_is_called_empty() {
    let bench = Bench::new();
    assert_eq!(
        bench.open().fetch().unwrap_err().reason(),
        "EmptyRepository"
    );
}

#[test]
fn a_directory_without_repository_is_unavailable() {
    let mut bench = Bench::new();
    bench.config.url = bench.dir.path().join("nowhere").display().to_string();
    let error = bench.open().fetch().unwrap_err();
    assert_eq!(error.reason(), "RemoteUnavailable");
    assert!(
        error.to_string().contains("there is no git repository at"),
        "{error}"
    );
}

#[test]
fn a_work_tree_is_read_at_its_commit_not_as_it_lies_there() {
    let dir = tempfile::tempdir().unwrap();
    let origin = Repository::init(dir.path().join("work")).unwrap();
    let bench = Bench {
        config: SourceConfig {
            url: format!("file://{}", dir.path().join("work").display()),
            ..SourceConfig::default()
        },
        origin,
        dir,
    };
    let revision = bench.commit("1", &[("x.yaml", FILE, b"committed")]);
    fs::write(bench.dir.path().join("work/x.yaml"), "changed").unwrap();
    let mirror = bench.open();
    mirror.fetch().unwrap();
    let snapshot = mirror.snapshot(&revision, &BTreeSet::new()).unwrap();
    assert_eq!(*snapshot.files[&RepoPath::new("x.yaml")], *b"committed");
}

#[test]
fn what_a_tree_must_not_hold_is_refused_by_name() {
    let at = |reason, path: &str| (reason, path.to_owned());
    assert_eq!(
        refusal(&["a"], &[("a/sub", SUBMODULE, b"")]),
        at("Submodule", "a/sub")
    );
    assert_eq!(
        refusal(&["a"], &[("a/l.yaml", LINK, b"../../etc/passwd")]),
        at("Symlink", "a/l.yaml")
    );
    assert_eq!(
        refusal(&["a"], &[("a/l.yaml", LINK, b"/etc/passwd")]),
        at("Symlink", "a/l.yaml")
    );
    assert_eq!(
        refusal(
            &["a"],
            &[("a/l.yaml", LINK, b"../b/x.yaml"), ("b/x.yaml", FILE, b"1")]
        ),
        at("Symlink", "a/l.yaml")
    );
    assert_eq!(
        refusal(
            &["a"],
            &[("a/dir", LINK, b"../b"), ("b/x.yaml", FILE, b"1")]
        ),
        at("Symlink", "a/dir")
    );
    assert_eq!(
        refusal(
            &["a"],
            &[("a/l.yaml", LINK, b"m.yaml"), ("a/m.yaml", LINK, b"l.yaml")]
        ),
        at("Symlink", "a/l.yaml")
    );
    assert_eq!(
        refusal(&["a", "b"], &[("b", LINK, b"a")]),
        at("Symlink", "b")
    );
    assert_eq!(
        refusal(
            &["a"],
            &[(
                "a/big.yaml",
                FILE,
                b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"
            )]
        ),
        at("LfsPointer", "a/big.yaml")
    );
    assert_eq!(
        refusal(&["a"], &[("a/huge.yaml", FILE, &vec![b' '; (4 << 20) + 1])]),
        at("TooLarge", "a/huge.yaml")
    );
    assert_eq!(
        refusal(&["a", "b.txt"], &[("b.txt", FILE, b"")]),
        at("Unreadable", "b.txt")
    );
}

#[test]
fn links_to_files_within_the_watched_paths_are_followed() {
    let bench = Bench::new().watching(&["a", "b"]);
    let revision = bench.commit(
        "c",
        &[
            ("a/l.yaml", LINK, b"./m.yaml"),
            ("a/m.yaml", LINK, b"../b/x.yaml"),
            ("b/x.yaml", FILE, b"content"),
            ("a/README", LINK, b"../README.md"),
            ("README.md", FILE, b"#"),
        ],
    );
    let mirror = bench.open();
    mirror.fetch().unwrap();
    let snapshot = mirror.snapshot(&revision, &BTreeSet::new()).unwrap();
    assert_eq!(*snapshot.files[&RepoPath::new("a/l.yaml")], *b"content");
    assert_eq!(snapshot.files.len(), 3);
}

#[test]
fn a_large_file_that_nobody_reads_does_no_harm() {
    let bench = Bench::new();
    let revision = bench.commit(
        "c",
        &[
            ("x.yaml", FILE, b"1"),
            ("video.bin", FILE, &vec![7; 5 << 20]),
        ],
    );
    let mirror = bench.open();
    mirror.fetch().unwrap();
    assert_eq!(names(&mirror, &revision).unwrap(), ["x.yaml"]);
}

#[test]
fn too_many_files_and_too_many_bytes_are_refused() {
    let bench = Bench::new();
    let paths: Vec<String> = (0..=10_000)
        .map(|n| format!("{}/{n}.yaml", n % 10))
        .collect();
    let files: Vec<(&str, i32, &[u8])> = paths
        .iter()
        .map(|path| (path.as_str(), FILE, &b"x"[..]))
        .collect();
    let many = bench.commit("many", &files);
    let content = vec![b'#'; 4 << 20];
    let files: Vec<(&str, i32, &[u8])> = paths
        .iter()
        .take(17)
        .map(|path| (path.as_str(), FILE, content.as_slice()))
        .collect();
    let heavy = bench.commit("heavy", &files);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    for (revision, word) in [(many, "10000 files"), (heavy, "64 MiB")] {
        let error = names(&mirror, &revision).unwrap_err();
        assert_eq!(error.reason(), "TooLarge");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn named_files_that_leave_the_repository_are_refused() {
    let bench = Bench::new();
    let revision = bench.commit("c", &[("x.yaml", FILE, b"1")]);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    for path in ["../x.json", "/etc/passwd", "a/../x.yaml", "a//b", "x.yaml/"] {
        let error = mirror.snapshot(&revision, &named(&[path])).unwrap_err();
        assert_eq!(error.reason(), "Name", "{path}");
    }
}

#[test]
fn what_git_says_of_a_commit_is_read_with_its_trailers() {
    let bench = Bench::new();
    let message = "Drop the shop\n\nNobody buys.\nNot: a trailer\n\nAlbsync-Allow-Empty: .\nAlbsync-Allow-Prune: 12\nSigned-off-by: Ann <ann@example.com>\n";
    let revision = bench.commit(message, &[("x.yaml", FILE, b"1")]);
    let plain = bench.commit("Albsync-Allow-Empty: .\n", &[("x.yaml", FILE, b"2")]);
    let prose = bench.commit(
        "Subject\n\nAlbsync-Allow-Empty: .\nis what one would write, in the midst of text\nover several\nlines of prose\n",
        &[("x.yaml", FILE, b"3")],
    );
    let mirror = bench.open();
    mirror.fetch().unwrap();
    let commit = mirror.commit(&revision).unwrap();
    assert_eq!(commit.author, "Ann <ann@example.com>");
    assert_eq!(commit.time, 1_700_000_000);
    assert_eq!(commit.subject, "Drop the shop");
    let trailer = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        commit.trailers,
        [
            trailer("Albsync-Allow-Empty", "."),
            trailer("Albsync-Allow-Prune", "12"),
            trailer("Signed-off-by", "Ann <ann@example.com>"),
        ]
    );
    assert_eq!(mirror.commit(&plain).unwrap().trailers, []);
    assert_eq!(mirror.commit(&prose).unwrap().trailers, []);
    let error = mirror.commit(&Revision::new("3".repeat(40))).unwrap_err();
    assert_eq!(error.reason(), "UnknownRevision");
}

#[test]
fn the_last_kept_revisions_outlive_a_rewritten_and_tidied_source() {
    let bench = Bench::new();
    let mirror = bench.open();
    let mut revisions = Vec::new();
    for n in 0..30 {
        let content = format!("{n}");
        // Unrelated roots, so that nothing but the pin holds them.
        revisions.push(bench.commit_on(
            "refs/heads/main",
            None,
            &content,
            &[("x.yaml", FILE, content.as_bytes())],
        ));
        assert_eq!(mirror.fetch().unwrap(), revisions[n]);
        mirror.keep(&revisions[n]).unwrap();
    }
    // Kept again: the newest now, so it pushes out none but the oldest.
    mirror.keep(&revisions[12]).unwrap();
    for n in 30..60 {
        bench.commit_on(
            "refs/heads/main",
            None,
            "x",
            &[("y.yaml", FILE, format!("{n}").as_bytes())],
        );
        mirror.fetch().unwrap();
    }
    assert!(packs(&mirror) < 50, "{} packs", packs(&mirror));
    fs::remove_dir_all(bench.origin.path()).unwrap();
    for revision in &revisions[9..] {
        assert_eq!(names(&mirror, revision).unwrap(), ["x.yaml"], "{revision}");
    }
    assert_eq!(
        names(&mirror, &revisions[0]).unwrap_err().reason(),
        "UnknownRevision"
    );
    let refs = Repository::open_bare(mirror.dir()).unwrap();
    assert_eq!(
        refs.references_glob("refs/albsync/keep/*").unwrap().count(),
        21
    );
}

#[test]
fn a_fetch_killed_anywhere_leaves_the_last_commit_readable() {
    let bench = Bench::new();
    let first = bench.commit("1", &[("x.yaml", FILE, b"1")]);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    mirror.keep(&first).unwrap();
    let second = bench.commit("2", &[("x.yaml", FILE, &vec![b'2'; 100_000])]);
    // What a whole fetch writes, cut off at each file and in the midst of it.
    let other = Bench {
        dir: tempfile::tempdir().unwrap(),
        origin: Repository::open(bench.origin.path()).unwrap(),
        config: bench.config.clone(),
    };
    let whole = other.open();
    whole.fetch().unwrap();
    let pack = fs::read_dir(whole.dir().join("objects/pack"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "pack"))
        .unwrap();
    let bytes = fs::read(pack).unwrap();
    for cut in [0, 1, 11, 12, 50, bytes.len() / 2, bytes.len() - 1] {
        fs::write(
            mirror.dir().join("objects/pack/pack_git2_1234"),
            &bytes[..cut],
        )
        .unwrap();
        fs::write(mirror.dir().join("refs/albsync/tip/main.lock"), "").unwrap();
        let reopened = bench.open();
        assert_eq!(reopened.last_fetched().unwrap(), Some(first.clone()));
        assert_eq!(names(&reopened, &first).unwrap(), ["x.yaml"]);
        assert!(!mirror.dir().join("objects/pack/pack_git2_1234").exists());
    }
    assert_eq!(bench.open().fetch().unwrap(), second);
}

#[test]
fn a_damaged_mirror_is_set_aside_and_made_anew() {
    let bench = Bench::new();
    let revision = bench.commit("1", &[("x.yaml", FILE, b"1")]);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    fs::write(mirror.dir().join("HEAD"), "garbage").unwrap();
    let again = bench.open();
    assert_eq!(again.fetch().unwrap(), revision);
    assert_eq!(names(&again, &revision).unwrap(), ["x.yaml"]);
}

#[test]
fn missing_objects_are_fetched_again() {
    let bench = Bench::new();
    let revision = bench.commit("1", &[("x.yaml", FILE, b"1")]);
    let mirror = bench.open();
    mirror.fetch().unwrap();
    for file in fs::read_dir(mirror.dir().join("objects/pack")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    assert!(names(&mirror, &revision).is_err());
    let again = bench.open();
    assert_eq!(again.fetch().unwrap(), revision);
    assert_eq!(names(&again, &revision).unwrap(), ["x.yaml"]);
}

#[test]
fn damaged_objects_are_an_error_and_everything_is_fetched_anew() {
    let bench = Bench::new();
    let revision = bench.commit(
        "1",
        &[("x.yaml", FILE, b"1"), ("y.yaml", FILE, &[b'y'; 9000])],
    );
    let mirror = bench.open();
    mirror.fetch().unwrap();
    // The commit stays readable, its files don't: a pack of the commit alone.
    let repository = Repository::open_bare(mirror.dir()).unwrap();
    let oid = Oid::from_str(revision.as_str()).unwrap();
    let commit = repository
        .odb()
        .unwrap()
        .read(oid)
        .unwrap()
        .data()
        .to_owned();
    for file in fs::read_dir(mirror.dir().join("objects/pack")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let repository = Repository::open_bare(mirror.dir()).unwrap();
    repository
        .odb()
        .unwrap()
        .write(git2::ObjectType::Commit, &commit)
        .unwrap();
    assert_eq!(names(&mirror, &revision).unwrap_err().reason(), "Corrupt");
    assert_eq!(mirror.fetch().unwrap(), revision);
    assert_eq!(names(&mirror, &revision).unwrap(), ["x.yaml", "y.yaml"]);
}

#[test]
fn the_mirror_is_private() {
    let bench = Bench::new();
    let mirror = bench.open();
    let mode = fs::metadata(mirror.dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn a_repository_of_another_user_gives_the_exact_fix() {
    let bench = Bench::new();
    bench.commit("1", &[("x.yaml", FILE, b"1")]);
    // Only root can give a repository away.
    if std::os::unix::fs::chown(bench.origin.path(), Some(12345), None).is_err() {
        return;
    }
    let error = bench.open().fetch().unwrap_err();
    assert_eq!(error.reason(), "ForeignOwner");
    let fix = format!(
        "git config --system --add safe.directory '{}'",
        bench.config.url
    );
    assert!(error.to_string().contains(&fix), "{error}");
}

#[test]
fn ssh_is_not_served_yet() {
    let config = SourceConfig {
        url: "git@example.com:team/x.git".to_owned(),
        ..SourceConfig::default()
    };
    let error = Mirror::open(Path::new("/nonexistent"), &config).unwrap_err();
    assert_eq!(error.reason(), "Unsupported");
    assert!(
        error.to_string().contains("SSH remotes are not served yet"),
        "{error}"
    );
}
