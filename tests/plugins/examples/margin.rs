//! Hinge with a margin: D leaves real scores above `margin` and fake ones below `-margin` alone.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

export_gan!("margin", "Hinge loss with a margin of its own", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let margin = options.number("margin", "scores beyond it are left alone", 0.01..=100.0, 1.0)?;
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| ((margin - &s.real).relu().mean(), (margin + &s.fake).relu().mean()))
        .loss_generator(|s| -s.fake.mean())
        .symmetry(Symmetry::Asymmetric)
        .defaults(Stages::One, Defaults::adam(2e-4, 5e-5))
        .defaults(Stages::Two, Defaults::adam(2e-4, 2e-4))
        .build()
}
