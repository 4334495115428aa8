//! The opset's reference page, written from the table.

use std::fmt::Write as _;

use super::{OPSET, TABLE};

/// `docs/opset.md`: every operation with its inputs, attributes and meaning. A test holds the page to this.
pub fn reference() -> String {
    let mut page = format!(
        "# Opset {OPSET}\n\nThe operations a definition may use, written from the table in `plugin-api/src/opset/mod.rs` (a test keeps this \
         page equal to it). Names, arguments and defaults are PyTorch's. `N` is the batch.\n\n\
         | operation | inputs | attributes | meaning |\n|---|---|---|---|\n"
    );
    for op in TABLE {
        let fields: Vec<String> = op
            .fields
            .iter()
            .map(|f| {
                f.default.map_or_else(
                    || format!("`{}`: {}", f.name, f.kind),
                    |d| format!("`{}`: {} = `{d}`", f.name, f.kind),
                )
            })
            .collect();
        let doc: Vec<&str> = op.doc.lines().map(str::trim).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            op.name,
            op.arity,
            fields.join(", "),
            doc.join(" ").trim().replace('|', "\\|")
        );
    }
    page
}
