//! The opset's reference page, written from the table.

use std::fmt::Write as _;

use super::{OPSET, TABLE};

/// `docs/opset.md`: every operation with its inputs, attributes and meaning. A test holds the page to this.
pub fn reference() -> String {
    let mut page = format!(
        "# Opset {OPSET}\n\n\
         The operations that a definition may use, written from the table in `plugin-api/src/opset/mod.rs` (a test keeps \
         this page equal to it). Names, arguments and defaults are PyTorch's; `N` is the batch. An attribute with a \
         default may be left out.\n\n\
         An initialiser is one of `normal(mean, std)`, `uniform(low, high)`, `constant(value)`, `fan_in()` (PyTorch's \
         default: uniform between ±1/√fan_in), `xavier_uniform(gain)`, `kaiming_normal(gain)` and `orthogonal(gain)`.\n\n\
         | operation | inputs | attributes | meaning |\n|---|---|---|---|\n"
    );
    for op in TABLE {
        let fields: Vec<String> = op
            .fields
            .iter()
            .map(|f| match f.default {
                Some(default) => format!("`{} = {}`", f.name, default()),
                None => format!("`{}`: {}", f.name, f.kind),
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// `UPDATE=1 cargo test -p tandem-plugin-api` writes the page anew.
    #[test]
    fn the_page_in_docs_is_this_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/opset.md");
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, super::reference()).unwrap();
        }
        let page = fs::read_to_string(&path).unwrap_or_default();
        assert!(page == super::reference(), "docs/opset.md is out of date: run the tests once with UPDATE=1");
    }
}
