//! Conditional GAN (Mirza & Osindero 2014, arXiv 1411.1784): both networks are told the class of an image, the losses are
//! those of the first GAN.
//!
//! `saturating` is the symmetric form of Shen et al.'s table (CVPR 2021), `non-saturating` what is trained in practice.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("cgan", "Conditional GAN (Mirza & Osindero 2014), labels into G and D", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?.conditional()?;
    let loss = options.choice("loss", "what G minimises", &["saturating", "non-saturating"], "saturating")?;
    let gan = Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| ((-&s.real).softplus().mean(), s.fake.softplus().mean()))
        .defaults(Stages::Two, Defaults::adam(2e-4, 2e-4));
    // D's rates in one stage are those of Shen et al.'s MNIST runs without labels.
    if loss == "saturating" {
        gan.loss_generator(|s| -s.fake.softplus().mean())
            .symmetry(Symmetry::Symmetric)
            .defaults(Stages::One, Defaults::adam(2e-4, 1.35e-5))
            .build()
    } else {
        gan.loss_generator(|s| (-&s.fake).softplus().mean())
            .symmetry(Symmetry::Asymmetric)
            .defaults(Stages::One, Defaults::adam(2e-4, 5e-5))
            .build()
    }
}

#[cfg(test)]
mod tests {
    use tandem_backbones::testing;

    use super::*;

    #[test]
    fn builds_for_all_images_and_norms_with_the_papers_losses() {
        insta::assert_snapshot!(testing::summary(declare, &[&[("loss", "saturating")], &[("loss", "non-saturating")]]));
    }
}
