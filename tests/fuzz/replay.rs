//! Plays what fuzzing found worth keeping, so that it stays harmless. `tests/fuzz/run` looks for more.

use std::{fs, path::Path};

mod targets;

/// The files of a target with their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let files: Vec<_> = fs::read_dir(&directory)
        .expect("the corpus")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("a file"))
        })
        .collect();
    assert!(!files.is_empty(), "{} is empty", directory.display());
    files
}

fn replay(target: &str, run: fn(&[u8])) {
    for (name, bytes) in corpus(target) {
        eprintln!("{target}/{name}");
        run(&bytes);
    }
}

#[test]
fn no_file_makes_reading_panic_or_the_two_ways_of_reading_differ() {
    replay("yaml", targets::yaml);
}

#[test]
fn the_corpus_has_files_on_both_sides_of_what_is_read_in_one_go() {
    let (mut plain, mut nearly) = (0, 0);
    for (name, bytes) in corpus("yaml") {
        let is_quick = targets::is_read_in_one_go(&bytes);
        if name.starts_with("plain") {
            assert!(is_quick, "{name}");
            plain += 1;
        } else if name.starts_with("nearly") {
            assert!(!is_quick, "{name}");
            nearly += 1;
        }
    }
    assert!(plain >= 5 && nearly >= 5, "{plain} and {nearly}");
}

#[test]
fn no_annotation_makes_reading_panic() {
    replay("annotation", targets::annotation);
}

#[test]
fn no_json_makes_reading_panic() {
    replay("json", targets::json);
}
