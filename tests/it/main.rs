//! All integration tests in one binary: each further one would link everything again.

mod support;

mod bed;
#[cfg(feature = "live")]
mod calls;
mod checks;
#[cfg(feature = "live")]
mod cli;
mod golden;
mod held_back;
mod kept;
#[cfg(feature = "live")]
mod latency;
mod layers;
#[cfg(feature = "live")]
mod lifecycle;
mod limits;
mod proxy;
#[cfg(feature = "live")]
mod real;
mod rights;
mod secret;
mod spine;
mod tree;

/// A file that no `mod` line names would never be compiled, and its tests never be missed.
#[test]
fn no_test_file_is_forgotten() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(directory.join("main.rs")).expect("this file");
    let mut forgotten = Vec::new();
    for entry in std::fs::read_dir(&directory).expect("this directory") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name in UTF-8")
            .to_owned();
        let is_module = path.is_dir() && path.join("mod.rs").exists()
            || path.extension().is_some_and(|end| end == "rs");
        if is_module
            && name != "main"
            && !main
                .lines()
                .any(|line| line.trim() == format!("mod {name};"))
        {
            forgotten.push(name);
        }
    }
    assert!(
        forgotten.is_empty(),
        "main.rs has no `mod` line for {forgotten:?}"
    );
}
