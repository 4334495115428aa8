//! Least-squares GAN (Mao et al., ICCV 2017, arXiv 1611.04076) with the targets `a = 0, b = 1, c = 1`: D draws fakes to
//! 0 and reals to 1, G draws fakes to 1.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("lsgan", "Least-squares GAN (Mao et al. 2017)", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| ((&s.real - 1.0).square().mean() * 0.5, s.fake.square().mean() * 0.5))
        .loss_generator(|s| (&s.fake - 1.0).square().mean() * 0.5)
        .symmetry(Symmetry::Asymmetric)
        // D learns slower in one stage, as in the asymmetric MNIST run of Shen et al. (2021).
        .defaults(Stages::One, Defaults::adam(2e-4, 5e-5))
        .defaults(Stages::Two, Defaults::adam(2e-4, 2e-4))
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
