//! The export macro and what it calls: one function of the author's becomes a plugin.

use std::panic::{AssertUnwindSafe, catch_unwind};

use abi_stable::std_types::{RResult, RString, RVec};

use crate::{
    Error, Gan, abi,
    gan::declare_with,
    options::{Images, Options},
    value::{Named, Value},
};

/// Names under which the host sends the data's facts; no option may begin with `data.`.
pub(crate) const DATA_KEYS: [&str; 3] = ["data.channels", "data.size", "data.classes"];

/// Answers the host: reads the request, runs the author's function, turns a panic into an error.
///
/// It must run in the plugin, since only the plugin's own copy of the standard library can catch the plugin's panics.
pub fn answer(
    request: RVec<abi::Named<abi::Value>>,
    declare: fn(&Options) -> Result<Gan, Error>,
) -> RResult<abi::Definition, RString> {
    let request: Vec<Named<Value>> = request.into_iter().map(Into::into).collect();
    let caught =
        catch_unwind(AssertUnwindSafe(|| declare_with(declare, read_request(request)?).map(|gan| gan.encode())));
    match caught {
        Ok(Ok(definition)) => RResult::ROk(definition.into()),
        Ok(Err(error)) => RResult::RErr(error.to_string().into()),
        Err(payload) => {
            let text = payload
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| payload.downcast_ref::<String>().cloned());
            // A payload whose own drop panics must not escape.
            std::mem::forget(payload);
            RResult::RErr(format!("its declaration panicked: {}", text.unwrap_or_else(|| "no message".into())).into())
        }
    }
}

fn read_request(request: Vec<Named<Value>>) -> Result<Options, Error> {
    let (facts, given): (Vec<_>, Vec<_>) = request.into_iter().partition(|n| n.name.starts_with("data."));
    let fact = |key: &str| match facts.iter().find(|n| n.name == key) {
        Some(Named { value: Value::Int(v), .. }) => Ok(*v),
        _ => Err(Error::new(format!("the host did not say `{key}`; it may be newer than this plugin"))),
    };
    let [channels, size, classes] = DATA_KEYS;
    Ok(Options::new(Images { channels: fact(channels)?, size: fact(size)?, classes: fact(classes)? }, given))
}

/// The request that [`answer`] reads.
pub fn request(images: Images, options: &[Named<Value>]) -> RVec<abi::Named<abi::Value>> {
    let facts = [images.channels, images.size, images.classes];
    let facts = DATA_KEYS.iter().zip(facts).map(|(key, fact)| Named::new(*key, Value::Int(fact)));
    facts.chain(options.iter().cloned()).map(Into::into).collect()
}

/// Makes the crate a plugin: `export_gan!("lsgan", "Least-squares GAN (Mao et al. 2017)", declare);`
///
/// `declare` is the author's one function, `fn(&Options) -> Result<Gan, Error>`. The crate must be a `cdylib`. The name is what
/// configurations ask for: letters, digits, `_`, `-` and `.`, nothing that looks like an option or a file ([`manifest::is_name`]).
///
/// # Isolation
///
/// The declaration runs in a process of its own that can write, send and start nothing and reads no file but the system's
/// libraries. It is not blind: it can ask whether any path exists, for a file's size, owner and times, and where a link
/// leads (`access`, `stat`, `readlink`; `/proc/N` tells which processes run), and learn the names of machine and kernel, memory,
/// load, processor, time, and the user's number. What it learns can leave in its definition or its error alone. A declaration
/// that depends on any of it gives other definitions on other machines; depend on [`Options`] only.
///
/// [`manifest::is_name`]: crate::manifest::is_name
#[macro_export]
macro_rules! export_gan {
    ($name:literal, $summary:literal, $declare:path) => {
        const _: () = {
            // Named where none of the items below is in scope, so that none can stand in for the author's function.
            const DECLARE_OF_THE_AUTHOR: fn(&$crate::Options) -> ::core::result::Result<$crate::Gan, $crate::Error> =
                $declare;
            const _: () = {
                use $crate::__private::abi_stable::{
                    self,
                    library::{self, CheckTypeLayout, LibHeader},
                    prefix_type::PrefixTypeTrait,
                    std_types::{RResult, RString, RVec},
                };
                assert!(
                    $crate::__private::manifest::is_name($name),
                    "a plugin's name must be 1 to 64 letters, digits, `_`, `-` or `.`, begin with neither `-` nor `.`, and not end with `.`, `.so`, `.gz` or `.tgz`"
                );
                assert!(
                    $crate::__private::manifest::is_plain($name) && $crate::__private::manifest::is_plain($summary),
                    "a plugin's name and summary must be without quotes, backslashes and control characters"
                );

                extern "C" fn declare(
                    request: RVec<$crate::__private::abi::Named<$crate::__private::abi::Value>>,
                ) -> RResult<$crate::__private::abi::Definition, RString> {
                    $crate::__private::answer(request, DECLARE_OF_THE_AUTHOR)
                }
                fn root() -> $crate::__private::abi::Plugin_Ref {
                    $crate::__private::abi::Plugin { declare }.leak_into_prefix()
                }
                extern "C" fn erased_root() -> library::RootModuleResult {
                    library::__call_root_module_loader(root)
                }

                // What abi_stable's `export_root_module` emits, but by a path that needs no dependency of the plugin's own.
                // SAFETY: the symbol's name is abi_stable's; one plugin is one library, so it is defined once. The
                // constructor returns the module type that the header's layout describes.
                #[allow(unsafe_code, reason = "the plugin's exported header")]
                #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
                static HEADER: LibHeader = unsafe {
                    LibHeader::from_constructor::<$crate::__private::abi::Plugin_Ref>(erased_root, CheckTypeLayout::Yes)
                };

                const PARTS: &[&str] = &[
                    "{\"name\":\"",
                    $name,
                    "\",\"summary\":\"",
                    $summary,
                    "\",\"version\":\"",
                    env!("CARGO_PKG_VERSION"),
                    "\",\"api\":\"",
                    $crate::__private::manifest::API_VERSION,
                    "\",\"target\":\"",
                    $crate::__private::manifest::TARGET,
                    "\",\"rustc\":\"",
                    $crate::__private::manifest::RUSTC,
                    "\",\"description\":\"",
                    env!("CARGO_PKG_DESCRIPTION"),
                    "\",\"licence\":\"",
                    env!("CARGO_PKG_LICENSE"),
                    "\",\"authors\":\"",
                    env!("CARGO_PKG_AUTHORS"),
                    "\",\"home_page\":\"",
                    $crate::__private::manifest::first_of(env!("CARGO_PKG_HOMEPAGE"), env!("CARGO_PKG_REPOSITORY")),
                    "\",\"opset\":",
                    $crate::__private::manifest::OPSET_TEXT,
                    "}",
                ];
                // SAFETY: the section holds ELF notes alone, and this is a well-formed one.
                #[allow(unsafe_code, reason = "the plugin's manifest, a note that tools can read")]
                #[used]
                #[cfg_attr(target_os = "linux", unsafe(link_section = ".note.tandem"))]
                static MANIFEST: $crate::__private::manifest::Note<{ $crate::__private::manifest::padded_len(PARTS) }> =
                    $crate::__private::manifest::Note::new(PARTS);
            };
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: Images = Images { channels: 1, size: 32, classes: 0 };

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        fn broken(_: &Options) -> Result<Gan, Error> {
            panic!("width {}", 3)
        }
        let answered = answer(request(IMAGES, &[]), broken).into_result();
        assert_eq!(answered.map(drop).unwrap_err().as_str(), "its declaration panicked: width 3");
    }

    #[test]
    fn the_exported_symbol_is_the_one_that_the_host_looks_up() {
        assert_eq!("_1as_0lib_1header_0root_bmodule_bloader", abi_stable::library::ROOT_MODULE_LOADER_NAME);
    }

    #[test]
    fn a_request_says_the_data_and_the_options() {
        let read =
            read_request(request(IMAGES, &[Named::new("width", Value::Int(8))]).into_iter().map(Into::into).collect())
                .unwrap();
        assert_eq!(read.images(), IMAGES);
        assert_eq!(read.integer("width", "", 1..=9, 1), Ok(8));
    }
}
