//! Plugins: found on a search path, read without running them, loaded, asked for a definition.
//!
//! [`inspect`] reads a file's manifest and proves that loading it cannot kill the process for a reason that the file
//! itself shows. [`PluginFile::declare`] gets a checked [`Gan`], in which nothing of the plugin is left: its code runs in a
//! confined process ([`serve`]) that opens the bytes which were inspected, and the host maps none of it. [`load`] opens
//! them in this process, for debugging. [`SearchPath`] finds plugins by name. What a definition means is no concern of
//! this module.
//!
//! # Version rules
//!
//! Three numbers, three messages. The *API version* is `tandem-plugin-api`'s: the same major is accepted, whichever
//! minor is the newer, since the types at the boundary are frozen within a major. The *opset* is the vocabulary: a
//! plugin's may not be newer than the host's. The *plugin's own version* is shown and never compared. A manifest may
//! grow by keys: those that this host does not know are passed over.
//!
//! [`Gan`]: tandem_plugin_api::Gan

mod cache;
mod child;
mod declare;
mod error;
mod inspect;
mod layout;
mod load;
mod manifest;
mod search;

#[cfg(test)]
mod tests;

pub use child::{COMMAND, serve};
pub use error::{FileProblem, LoadProblem, NotFound, PluginError, plain};
pub use inspect::{Foreign, GZIP, MAX_FILE, PluginFile, inspect, inspect_bytes};
pub use load::{LoadedPlugin, load};
pub use manifest::{About, Manifest, is_target, read as read_manifest};
pub use search::{Listed, SearchPath, is_file, user_folder};
/// The target triple of this host.
pub use tandem_plugin_api::manifest::TARGET;
