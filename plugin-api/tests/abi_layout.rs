//! The frozen boundary stays frozen: its layout is written down once for each major version of this crate, and no
//! environment variable rewrites it. A change of layout needs a new major version, or it is a mistake.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fmt::Write as _, fs, path::Path};

use abi_stable::{
    StableAbi,
    std_types::{RResult, RString, RVec},
    type_layout::{TLData, TLField, TypeLayout},
};
use tandem_plugin_api::{abi, manifest::API_VERSION};

/// Everything that crosses: the module, what its function takes and what it returns.
const ROOTS: [&TypeLayout; 3] = [
    <abi::Plugin_Ref as StableAbi>::LAYOUT,
    <RVec<abi::Named<abi::Value>> as StableAbi>::LAYOUT,
    <RResult<abi::Definition, RString> as StableAbi>::LAYOUT,
];

/// Types in the order in which they are met; a type is called by its number, since its name leaves out its arguments.
#[derive(Default)]
struct Page {
    types: Vec<&'static TypeLayout>,
    text: String,
}

impl Page {
    fn number(&mut self, layout: &'static TypeLayout) -> String {
        let known = self.types.iter().position(|t| t.get_utypeid() == layout.get_utypeid());
        let number = known.unwrap_or_else(|| {
            self.types.push(layout);
            self.types.len() - 1
        });
        format!("#{number} {}", layout.name())
    }

    fn describe(&mut self, layout: &'static TypeLayout) {
        let name = self.number(layout);
        writeln!(self.text, "{name}: {} bytes, aligned to {}", layout.size(), layout.alignment()).unwrap();
        match layout.data() {
            TLData::Primitive(primitive) => writeln!(self.text, "  primitive {primitive:?}").unwrap(),
            TLData::Opaque => writeln!(self.text, "  opaque").unwrap(),
            TLData::Struct { fields } | TLData::Union { fields } => self.fields(fields.iter()),
            TLData::PrefixType(prefix) => {
                writeln!(self.text, "  module, prefix of {} fields", prefix.first_suffix_field).unwrap();
                self.fields(prefix.fields.iter());
            }
            TLData::Enum(all) => {
                writeln!(self.text, "  discriminants {:?}", all.discriminants).unwrap();
                let mut fields = all.fields.iter();
                for (variant, count) in all.variant_names_iter().zip(all.field_count.iter()) {
                    writeln!(self.text, "  variant {variant}").unwrap();
                    self.fields(fields.by_ref().take(usize::from(*count)));
                }
            }
        }
        self.fields(layout.phantom_fields().iter());
    }

    fn fields(&mut self, fields: impl Iterator<Item = TLField>) {
        for field in fields {
            let of = self.number(field.layout());
            writeln!(self.text, "  {}: {of}", field.name()).unwrap();
            for function in field.function_range() {
                // The first line is the signature; lifetimes, in abi_stable's own notation, follow it.
                writeln!(self.text, "    {}", function.to_string().lines().next().unwrap_or_default()).unwrap();
            }
        }
    }
}

#[test]
fn the_layout_changes_only_with_the_major_version() {
    let mut page = Page::default();
    for root in ROOTS {
        page.number(root);
    }
    let mut next = 0;
    while let Some(layout) = page.types.get(next).copied() {
        page.describe(layout);
        next += 1;
    }
    let text = page.text;

    let major = API_VERSION.split('.').next().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/abi-layout-{major}.txt"));
    if !path.exists() && std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let frozen = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == frozen,
        "the plugin boundary's layout is no longer that of version {major}: plugins that were built with it would be \
         refused. Undo the change, or raise the major version in plugin-api/Cargo.toml and run this test once with \
         UPDATE=1. Found:\n{text}"
    );
}
