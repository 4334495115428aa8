//! The test that every plugin over [`crate::Dcgan`] has: it builds whatever the backbone's options are.

use std::fmt::Write as _;

use tandem_plugin_api::{
    Error, Gan, Options, Stages,
    options::{Images, OptionKind},
    testing,
    value::Value,
};

/// Declares each variant for all images and norms, and writes down what they have in common: the formulas, the symmetry
/// and the hyper-parameters. Panics where a declaration fails or depends on the images.
///
/// A variant is the options that choose it, all of them texts: `&[("loss", "saturating")]`.
pub fn summary(declare: fn(&Options) -> Result<Gan, Error>, variants: &[&[(&str, &str)]]) -> String {
    let mut text = String::new();
    for variant in variants {
        let of = |size, channels, norm: &str| {
            let images = Images { channels, size, classes: 10 };
            let chosen = variant.iter().map(|&(name, value)| (name, Value::from(value)));
            let options: Vec<_> = chosen.chain([("norm", norm.into()), ("width", 8.into())]).collect();
            let gan = testing::declare(declare, images, &options);
            gan.unwrap_or_else(|e| panic!("{size} pixels, {channels} channels, norm {norm}, {variant:?}: {e}"))
        };
        let first = of(32, 1, "group");
        let shown = describe(&first);
        for (size, channels) in [(32, 1), (32, 3), (64, 1), (64, 3)] {
            for norm in norms(&first) {
                assert_eq!(describe(&of(size, channels, norm)), shown, "{size} pixels, {channels} channels, {norm}");
            }
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{variant:?}\n{shown}");
    }
    text
}

/// What the plugin lets `norm` be.
fn norms(gan: &Gan) -> Vec<&str> {
    let kind = gan.options.iter().find(|o| o.name == "norm").map(|o| &o.kind);
    let Some(OptionKind::Choice(norms)) = kind else { return Vec::new() };
    norms.iter().map(String::as_str).collect()
}

fn describe(gan: &Gan) -> String {
    let mut text = String::new();
    for (name, formula) in gan.formulas() {
        let _ = writeln!(text, "{name} = {formula}");
    }
    let _ = writeln!(text, "{:?}, {:?} latents of {}", gan.symmetry, gan.latent, gan.latent_size());
    let _ = writeln!(text, "clip {:?}, penalties {:?}", gan.weight_clip, gan.penalties);
    if !gan.weight_decays.is_empty() {
        let _ = writeln!(text, "weight decay {:?}", gan.weight_decays);
    }
    for stages in [Stages::One, Stages::Two] {
        let _ = writeln!(text, "{stages:?}: {:?}", gan.defaults(stages));
    }
    text
}
