//! A work tree of the bed's repository, and what a person does in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A clone (or the first work tree of a still empty repository), on branch `main`.
pub struct Repo {
    directory: TempDir,
    remote: String,
}

impl Repo {
    /// `remote`: a path or an URL.
    pub fn new(remote: &str) -> Repo {
        let directory = TempDir::new().expect("a directory for the work tree");
        let repo = Repo {
            directory,
            remote: remote.to_owned(),
        };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo.git(&["remote", "add", "origin", remote]);
        if !repo
            .git(&["ls-remote", "origin", "refs/heads/main"])
            .is_empty()
        {
            repo.git(&["fetch", "--quiet", "origin", "main"]);
            repo.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
        }
        repo
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn remote(&self) -> &str {
        &self.remote
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a file's path")).expect("its directory");
        fs::write(path, text).expect("the file");
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Replaces `from`, which must be there, by `to`.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} does not contain {from:?}");
        self.write(path, &text.replace(from, to));
    }

    pub fn remove(&self, path: &str) {
        let path = self.path().join(path);
        if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        }
        .expect("a path to remove");
    }

    /// Copies a directory of the checkout (`examples/tutorial`) into the work tree's root.
    pub fn copy_from_checkout(&self, directory: &str) {
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(directory),
            self.path(),
        );
    }

    /// Commits everything; the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    pub fn push(&self) {
        self.git(&["push", "--quiet", "origin", "HEAD:refs/heads/main"]);
    }

    pub fn force_push(&self) {
        self.git(&[
            "push",
            "--quiet",
            "--force",
            "origin",
            "HEAD:refs/heads/main",
        ]);
    }

    pub fn commit_and_push(&self, message: &str) -> String {
        let id = self.commit(message);
        self.push();
        id
    }

    /// `git revert` of one commit; the new commit's id.
    pub fn revert(&self, commit: &str) -> String {
        self.git(&["revert", "--no-edit", commit]);
        self.head()
    }

    pub fn reset_hard(&self, commit: &str) {
        self.git(&["reset", "--quiet", "--hard", commit]);
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Any git command in the work tree; its output, trimmed.
    pub fn git(&self, words: &[&str]) -> String {
        let done = git_command(self.path())
            .args(words)
            .output()
            .expect("git runs");
        assert!(
            done.status.success(),
            "git {words:?} failed: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}

/// Git with nothing of the person's own settings.
pub fn git_command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(directory);
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "Ada Tester"),
        ("GIT_AUTHOR_EMAIL", "ada@example.com"),
        ("GIT_COMMITTER_NAME", "Ada Tester"),
        ("GIT_COMMITTER_EMAIL", "ada@example.com"),
    ] {
        command.env(name, value);
    }
    // Set by a git hook that runs the tests; they would point git elsewhere.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command
}

fn copy(from: &Path, to: &Path) {
    let entries: Vec<PathBuf> = fs::read_dir(from)
        .unwrap_or_else(|error| panic!("{}: {error}", from.display()))
        .map(|entry| entry.expect("a directory's entry").path())
        .collect();
    for path in entries {
        let target = to.join(path.file_name().expect("an entry's name"));
        if path.is_dir() {
            fs::create_dir_all(&target).expect("a directory in the work tree");
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file in the work tree");
        }
    }
}
