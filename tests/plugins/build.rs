//! Lets `examples/changed_layout.rs` pass for plugin-api: the layout check compares the crates' names first.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CARGO_PKG_NAME=tandem-plugin-api");
}
