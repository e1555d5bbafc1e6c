//! Keeps the mirror small: every fetch leaves a pack behind, and libgit2 never tidies (lessons E9).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use git2::Repository;

/// Packs at which they are made into one.
const MAX_PACKS: usize = 50;

/// Removes what a killed fetch has left. Only for the start, when nothing fetches.
pub(super) fn tidy(dir: &Path) {
    let Ok(files) = fs::read_dir(dir.join("objects/pack")) else {
        return;
    };
    for file in files.flatten() {
        let name = file.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("pack-") {
            let _ = fs::remove_file(file.path());
        }
    }
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
    let Ok(files) = fs::read_dir(dir.join("objects/pack")) else {
        return BTreeSet::new();
    };
    files
        .flatten()
        .map(|file| file.path())
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
