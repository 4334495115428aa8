//! DRAGAN (Kodali et al. 2017, arXiv 1705.07215): the non-saturating loss with a gradient penalty around real samples.
//!
//! The noise is that of the authors' code, uniform and as wide as half the batch's standard deviation.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("dragan", "DRAGAN (Kodali et al. 2017), gradient penalty around real samples", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::with_norms(options, &["group", "none", "spectral"])?;
    let weight = options.number("gradient_penalty", "weight of the penalty", 0.0..=1e6, 10.0)?;
    let optimizer = |learning_rate| Optimizer::Adam { learning_rate, betas: [0.5, 0.9] };
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| ((-&s.real).softplus().mean(), s.fake.softplus().mean()))
        .loss_generator(|s| (-&s.fake).softplus().mean())
        .symmetry(Symmetry::Asymmetric)
        .gradient_penalty(PenaltyAt::Perturbed, 1.0, weight)
        // The authors' rates; in one stage, where there is no published run, D learns slower.
        .defaults(Stages::One, Defaults::new(optimizer(1e-4), optimizer(5e-5)))
        .defaults(Stages::Two, Defaults::new(optimizer(1e-4), optimizer(1e-4)))
        .build()
}

#[cfg(test)]
mod tests {
    use tandem_backbones::testing;

    use super::*;

    #[test]
    fn builds_for_all_images_and_norms_with_the_papers_losses() {
        insta::assert_snapshot!(testing::summary(declare, &[&[]]));
    }
}
