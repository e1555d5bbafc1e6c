//! The order in which things are written changes nothing.

use albsync::cli::render::Rendered;

use crate::corpus::{AREAS, cases, read_json, render, render_files};

#[test]
fn the_order_of_documents_and_files_changes_nothing() {
    let account = read_json("account.json");
    for case in AREAS.into_iter().flat_map(cases) {
        let whole = render(&case, &account);
        let mut documents: Vec<&str> = case.input.split("\n---\n").collect();
        documents.reverse();
        let (half, other) = documents.split_at(documents.len() / 2);
        let apart = render_files(
            &case,
            &account,
            &[
                ("b.yaml", half.join("\n---\n")),
                ("a.yaml", other.join("\n---\n")),
            ],
        );
        let printed = |rendered: &Rendered| {
            let printed = serde_json::to_value(rendered.as_lbc()).unwrap();
            printed["groups"].to_string()
        };
        assert_eq!(printed(&whole), printed(&apart), "{}", case.slug);
        assert_eq!(whole.is_rejected(), apart.is_rejected(), "{}", case.slug);
    }
}
