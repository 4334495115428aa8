//! What the test plugins share: a GAN of a few weights, and an export macro that promises nothing.

use tandem_plugin_api::{Builder, Error, Gan, Images, Linear};

/// The smallest GAN for these images: one linear layer on each side, the least-squares loss.
pub fn small_gan(images: Images, width: i64) -> Result<Gan, Error> {
    let Images { channels, size, .. } = images;
    let g = Builder::new();
    let hidden = g.input("latent", &[4]).linear("hidden", width, Linear::default()).relu();
    let image = hidden.linear("image", channels * size * size, Linear::default()).tanh();
    let generator = g.finish(&image.reshape(&[channels, size, size]));
    let d = Builder::new();
    let image = d.input("image", &[channels, size, size]).flatten();
    let discriminator = d.finish(&image.linear("score", 1, Linear::default()));
    Gan::builder(generator, discriminator)
        .loss_discriminator(|s| ((&s.real - 1.0).square().mean(), s.fake.square().mean()))
        .loss_generator(|s| (&s.fake - 1.0).square().mean())
        .build()
}

/// As `export_gan!`, but for a root module of any type, made by any function.
///
/// `$root` is `fn() -> $module`; nothing holds it to the frozen boundary, which is what the tests want to see refused.
#[macro_export]
macro_rules! export_raw {
    ($name:literal, $module:ty, $root:path) => {
        const _: () = {
            use tandem_plugin_api::{
                __private::abi_stable::library::{
                    __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
                },
                manifest::{API_VERSION, Note, OPSET_TEXT, padded_len},
            };

            extern "C" fn erased_root() -> RootModuleResult {
                __call_root_module_loader($root)
            }
            // SAFETY: the constructor returns the module type that the header's layout describes.
            #[allow(unsafe_code, reason = "the plugin's exported header")]
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: LibHeader =
                unsafe { LibHeader::from_constructor::<$module>(erased_root, CheckTypeLayout::Yes) };

            const PARTS: &[&str] = &[
                "{\"name\":\"",
                $name,
                "\",\"summary\":\"For tests\",\"version\":\"1.0.0\",\"api\":\"",
                API_VERSION,
                "\",\"opset\":",
                OPSET_TEXT,
                "}",
            ];
            // SAFETY: the section holds ELF notes alone, and this is a well-formed one.
            #[allow(unsafe_code, reason = "the plugin's manifest")]
            #[used]
            #[unsafe(link_section = ".note.tandem")]
            static MANIFEST: Note<{ padded_len(PARTS) }> = Note::new(PARTS);
        };
    };
}
