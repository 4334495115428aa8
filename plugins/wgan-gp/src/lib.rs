//! Wasserstein GAN with gradient penalty (Gulrajani et al., NeurIPS 2017, arXiv 1704.00028): the critic's slope between
//! real and fake samples is drawn to 1.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("wgan-gp", "Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    // No batch norm: a penalty asks how D's score of one sample changes with that sample.
    let dcgan = Dcgan::with_norms(options, &["group", "none", "spectral"])?;
    let weight = options.number("gradient_penalty", "weight of the penalty", 0.0..=1e6, 10.0)?;
    let optimizer = |learning_rate| Optimizer::Adam { learning_rate, betas: [0.0, 0.9] };
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| (-s.real.mean(), s.fake.mean()))
        .loss_generator(|s| -s.fake.mean())
        .symmetry(Symmetry::Symmetric)
        .gradient_penalty(PenaltyAt::Interpolated, 1.0, weight)
        // The paper's algorithm 1; one stage, where there is no published run, with one critic step.
        .defaults(Stages::One, Defaults::new(optimizer(1e-4), optimizer(1e-4)))
        .defaults(Stages::Two, Defaults::new(optimizer(1e-4), optimizer(1e-4)).n_critic(5))
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
