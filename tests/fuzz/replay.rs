//! Plays what fuzzing found worth keeping, so that it stays harmless. `tests/fuzz/run` looks for more.

use std::{fs, path::Path};

mod targets;

fn replay(target: &str, run: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(target);
    let mut played = 0;
    for entry in fs::read_dir(&directory).expect("the corpus") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("a file");
        eprintln!("{}", path.display());
        run(&bytes);
        played += 1;
    }
    assert!(played > 0, "{} is empty", directory.display());
}

#[test]
fn no_file_makes_reading_panic() {
    replay("yaml", targets::yaml);
}

#[test]
fn no_annotation_makes_reading_panic() {
    replay("annotation", targets::annotation);
}

#[test]
fn no_json_makes_reading_panic() {
    replay("json", targets::json);
}
