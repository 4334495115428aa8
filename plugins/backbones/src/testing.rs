//! The test that every plugin over these networks has: it builds whatever the backbone's options are.

use std::fmt::Write as _;

use tandem_plugin_api::{
    Error, Gan, Network, Options, Stages, network,
    options::{Images, OptionKind},
    testing,
    value::Value,
};

/// Declares each variant for all images and all norms that it allows, and writes down what they have in common: the
/// formulas, the symmetry and the hyper-parameters. Panics where a declaration fails or depends on the images.
///
/// A variant is the options that choose it, all of them texts: `&[("loss", "saturating")]`.
pub fn summary(declare: fn(&Options) -> Result<Gan, Error>, variants: &[&[(&str, &str)]]) -> String {
    let mut text = String::new();
    for variant in variants {
        let of = |size, channels, norm: Option<&str>| {
            let images = Images { channels, size, classes: 10 };
            let chosen = variant.iter().map(|&(name, value)| (name, Value::from(value)));
            let norm_and_width = norm.map(|n| ("norm", n.into())).into_iter().chain([("width", 8.into())]);
            let gan = testing::declare(declare, images, &chosen.chain(norm_and_width).collect::<Vec<_>>());
            gan.unwrap_or_else(|e| panic!("{size} pixels, {channels} channels, norm {norm:?}, {variant:?}: {e}"))
        };
        let shown = describe(&of(32, 1, None));
        for (size, channels) in [(32, 1), (32, 3), (64, 1), (64, 3)] {
            for norm in norms(&of(size, channels, None)) {
                let found = describe(&of(size, channels, norm.as_deref()));
                assert_eq!(found, shown, "{size} pixels, {channels} channels, {norm:?}");
            }
        }
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{variant:?}\n{shown}");
    }
    text
}

/// A network as a snapshot shows it: one line a layer with its result's shape, and the learned numbers in all.
pub fn table(network: Result<Network, Error>) -> String {
    let network = network.unwrap_or_else(|e| panic!("{e}"));
    let mut text = String::new();
    for node in network.nodes() {
        let _ = writeln!(text, "{} -> {}", network::describe(&node.op), node.output.shape);
    }
    let _ = writeln!(text, "{} learned numbers", network.learned_count());
    text
}

/// What `norm` may be, or nothing given where there is no such option.
fn norms(gan: &Gan) -> Vec<Option<String>> {
    let choices = gan.options.iter().find_map(|o| match &o.kind {
        OptionKind::Choice(choices) if o.name == "norm" => Some(choices),
        _ => None,
    });
    choices.map_or_else(|| vec![None], |all| all.iter().cloned().map(Some).collect())
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
