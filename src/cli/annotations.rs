//! `albsync annotations`: the reference of all annotations.

use clap::{Args, ValueEnum};

use super::{CliError, Exit, output};
use crate::{manifest::annotation::reference, model::group::optimize::QUIRKS};

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
        Form::Markdown => output::print(&markdown())?,
    }
    Ok(Exit::Done)
}

/// The page: the annotations, and what the order of rules makes of redirections.
fn markdown() -> String {
    let mut page = reference::markdown();
    page.push_str(
        "
## Rules that are left out

As AWS Load Balancer Controller does it, a rule that redirects to where its requests came from is left out, and so is a
rule whose hosts and paths an earlier redirection takes. Its ways that one would not expect:

",
    );
    for quirk in QUIRKS {
        page.push_str(&format!("- `{}`: {}\n", quirk.name, quirk.doc));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// `UPDATE=1` writes the page anew.
    #[test]
    fn the_page_of_annotations_is_what_the_table_says() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/annotations.md");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&page, markdown()).unwrap();
        }
        let written = fs::read_to_string(&page).unwrap();
        assert!(
            written == markdown(),
            "examples/annotations.md is stale: albsync annotations -o markdown > examples/annotations.md"
        );
    }
}
