//! What was read of a repository before: after a commit only the files that changed are read again, and of the documents
//! only those looked at that have to do with what changed.

use std::{
    collections::{BTreeMap, HashMap},
    iter::Peekable,
};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::{
    ParseOptions,
    document::Document,
    known::{Change, Known},
};
use crate::{
    id::RepoPath,
    problem::{Checked, Problem},
    shared::Shared,
    source::snapshot::{File, Snapshot},
};

/// Files as they were read last, and what their documents came to. A memory only: with an empty one the same comes out.
#[derive(Debug, Default)]
pub struct Cache {
    /// Under which options; others make something else of the same bytes.
    how: Option<ParseOptions>,
    files: BTreeMap<RepoPath, Kept>,
    known: Known,
    /// Files that the last parse had to read.
    pub files_read: usize,
}

#[derive(Debug)]
struct Kept {
    file: File,
    read: FileRead,
}

/// What one file holds.
#[derive(Clone, Debug, Default)]
pub(super) struct FileRead {
    pub documents: Vec<Shared<Document>>,
    pub problems: Vec<Problem>,
    /// It names other files, so that its own bytes do not tell what it holds.
    pub names_files: bool,
}

impl Cache {
    /// What the snapshot declares; `read` reads one file, and is asked only for those that are not as they were.
    pub(super) fn parse(
        &mut self,
        snapshot: &Snapshot,
        options: &ParseOptions,
        is_watched: impl Fn(&RepoPath) -> bool,
        read: impl Fn(&RepoPath, &File) -> FileRead + Sync,
    ) -> Checked<super::Manifests> {
        // Emptied until all is through: what is half done must not be taken for whole.
        let before = std::mem::take(self);
        if before.how.as_ref() == Some(options) {
            self.files = before.files;
            self.known = before.known;
        } else {
            self.known = Known::new(options);
        }
        let Differences { gone, changed } = self.differences(snapshot, is_watched);
        self.files_read = changed.len();
        let mut change = Change::default();
        for path in gone {
            if let Some(kept) = self.files.remove(&path) {
                change.file(&path, kept.read.documents, Vec::new());
            }
        }
        let mut fresh = Vec::with_capacity(changed.len());
        let readings = changed.par_iter().map(|(path, file)| read(path, file));
        let readings: Vec<FileRead> = readings.collect();
        for ((path, file), mut read) in changed.into_iter().zip(readings) {
            let before = self.files.remove(path).map(|kept| kept.read.documents);
            let before = before.unwrap_or_default();
            let (gone, new) = differing(before, &mut read.documents);
            change.file(path, gone, new);
            let file = file.clone();
            fresh.push((path.clone(), Kept { file, read }));
        }
        // In order, which takes less time than one by one.
        if self.files.is_empty() {
            self.files = fresh.into_iter().collect();
        } else {
            self.files.extend(fresh);
        }
        let documents = || self.files.values().flat_map(|kept| &kept.read.documents);
        self.known.take(change, documents, options);
        let files = self.files.values().flat_map(|kept| &kept.read.problems);
        let checked = Checked {
            value: self.known.manifests.clone(),
            problems: self.known.problems(files, options),
        };
        self.how = Some(options.clone());
        checked
    }

    /// Which files have to be read, and which are there no longer.
    fn differences<'s>(
        &self,
        snapshot: &'s Snapshot,
        is_watched: impl Fn(&RepoPath) -> bool,
    ) -> Differences<'s> {
        let mut found = Differences::default();
        let mut kept = self.files.iter().peekable();
        for (path, file) in &snapshot.files {
            while let Some((gone, _)) = next_if(&mut kept, |other| other < path) {
                found.gone.push(gone.clone());
            }
            match next_if(&mut kept, |other| other == path) {
                Some((_, kept)) if kept.file == *file && !kept.read.names_files => {}
                Some(_) => found.changed.push((path, file)),
                None if is_watched(path) => found.changed.push((path, file)),
                None => {}
            }
        }
        found.gone.extend(kept.map(|(path, _)| path.clone()));
        found
    }
}

#[derive(Default)]
struct Differences<'s> {
    gone: Vec<RepoPath>,
    changed: Vec<(&'s RepoPath, &'s File)>,
}

fn next_if<'k, V: 'k>(
    kept: &mut Peekable<impl Iterator<Item = (&'k RepoPath, V)>>,
    is_wanted: impl Fn(&RepoPath) -> bool,
) -> Option<(&'k RepoPath, V)> {
    kept.next_if(|(path, _)| is_wanted(path))
}

type Documents = Vec<Shared<Document>>;

/// The documents of a file that are not there any more, and those that were not there before. What is the same in both
/// is from now on the one that was there.
fn differing(before: Documents, now: &mut Documents) -> (Documents, Documents) {
    if before.is_empty() {
        return (before, now.clone());
    }
    let mut gone: HashMap<usize, Shared<Document>> = before
        .iter()
        .map(|document| (document.address(), document.clone()))
        .collect();
    // Of two with one name, which is a problem, one may be taken for new that is not.
    let by_name: HashMap<_, &Shared<Document>> = before
        .iter()
        .map(|document| (document.object.reference.identity(), document))
        .collect();
    let mut new = Vec::new();
    for document in now {
        let same = by_name.get(&document.object.reference.identity());
        match same.filter(|same| ***same == *document) {
            Some(same) if gone.remove(&same.address()).is_some() => *document = (*same).clone(),
            _ => new.push(document.clone()),
        }
    }
    let gone = before
        .iter()
        .filter(|document| gone.contains_key(&document.address()));
    (gone.cloned().collect(), new)
}
