//! `albsync annotations`: the reference of all annotations.

use clap::{Args, ValueEnum};

use super::{CliError, Exit, output};
use crate::manifest::annotation::reference;

#[derive(Debug, Args)]
pub struct AnnotationsArgs {
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    #[default]
    Text,
    Json,
    Markdown,
}

/// Prints the reference.
///
/// # Errors
/// Standard output cannot be written.
pub fn annotations(args: &AnnotationsArgs) -> Result<Exit, CliError> {
    match args.output {
        Form::Text => output::print(&reference::text())?,
        Form::Json => output::print_json(&reference::entries())?,
        Form::Markdown => output::print(&reference::markdown())?,
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// `UPDATE=1` writes the page anew.
    #[test]
    fn the_page_of_annotations_is_what_the_table_says() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/annotations.md");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&page, reference::markdown()).unwrap();
        }
        let written = fs::read_to_string(&page).unwrap();
        assert!(
            written == reference::markdown(),
            "docs/annotations.md is stale: albsync annotations -o markdown > docs/annotations.md"
        );
    }
}
