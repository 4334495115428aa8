//! Wasserstein GAN (Arjovsky, Chintala & Bottou, ICML 2017, arXiv 1701.07875): the critic's scores are not
//! probabilities, and its weights are clipped so that it stays Lipschitz.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("wgan", "Wasserstein GAN with weight clipping (Arjovsky et al. 2017)", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let clip = options.number("clip", "D's weights are held within [-clip, clip]", 1e-6..=10.0, 0.01)?;
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| (-s.real.mean(), s.fake.mean()))
        .loss_generator(|s| -s.fake.mean())
        .symmetry(Symmetry::Symmetric)
        .weight_clip(clip)
        // One stage as Shen et al. (2021) ran MNIST; two stages as the paper's algorithm 1.
        .defaults(Stages::One, Defaults::adam(2e-4, 1.35e-5))
        .defaults(Stages::Two, Defaults::rmsprop(5e-5).n_critic(5))
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
