//! Keeps the mirror small: every fetch leaves a pack behind, and libgit2 never tidies (lessons E9).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use git2::Repository;

/// Packs at which they are made into one.
const MAX_PACKS: usize = 50;

/// Removes what a killed fetch has left: locks and unfinished packs. Only for the start, when nothing fetches.
pub(super) fn tidy(dir: &Path) {
    for path in files(&dir.join("objects/pack")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("pack-") {
            let _ = fs::remove_file(path);
        }
    }
    let mut open = vec![dir.join("refs")];
    let mut locks = files(dir);
    while let Some(directory) = open.pop() {
        for path in files(&directory) {
            if path.is_dir() {
                open.push(path);
            } else {
                locks.push(path);
            }
        }
    }
    for path in locks {
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
        {
            let _ = fs::remove_file(path);
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).map_or_else(
        |_| Vec::new(),
        |entries| entries.flatten().map(|entry| entry.path()).collect(),
    )
}

/// Makes one pack of many. What no ref of ours reaches is dropped with the old packs. Failure costs space only. Nothing
/// may read or fetch meanwhile, but for fetches that were given up.
pub(super) fn repack(dir: &Path) {
    let old = packs(dir);
    if old.len() < MAX_PACKS {
        return;
    }
    match pack_all(dir) {
        Ok(name) => {
            for index in old {
                if index
                    .file_stem()
                    .is_some_and(|stem| stem.to_string_lossy() == name)
                {
                    continue;
                }
                // The index first: without it the pack is not looked at.
                let _ = fs::remove_file(&index);
                let _ = fs::remove_file(index.with_extension("pack"));
            }
            tracing::debug!(pack = name, "repacked the mirror");
        }
        Err(error) => tracing::warn!(%error, "cannot repack the mirror"),
    }
}

fn packs(dir: &Path) -> BTreeSet<PathBuf> {
    files(&dir.join("objects/pack"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "idx"))
        .collect()
}

/// Writes one pack of all that our refs reach and says its name (`pack-…`).
fn pack_all(dir: &Path) -> Result<String, git2::Error> {
    let repository = Repository::open_bare(dir)?;
    let mut walk = repository.revwalk()?;
    walk.push_glob("refs/*")?;
    let mut builder = repository.packbuilder()?;
    builder.insert_walk(&mut walk)?;
    builder.write(&dir.join("objects/pack"), 0o444)?;
    Ok(format!("pack-{}", builder.name()?.unwrap_or_default()))
}
