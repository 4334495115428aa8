//! CGAN (Mirza & Osindero 2014, arXiv 1411.1784) on a DCGAN: both networks are told the class. Over raw scores `s` the
//! paper's loss is `softplus(-s) = -log σ(s)` and `softplus(s) = -log(1 - σ(s))`.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!(
    "cgan",
    "Conditional GAN (Mirza & Osindero 2014), saturating or non-saturating loss",
    declare
);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?.conditional()?;
    let help = "saturating: G minimises log(1 - D), symmetric; non-saturating: G minimises -log D, asymmetric";
    let loss = options.choice("loss", help, &["saturating", "non-saturating"], "saturating")?;
    let gan = Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| ((-&s.real).softplus().mean(), s.fake.softplus().mean()))
        .defaults(Stages::Two, Defaults::adam(2e-4, 2e-4));
    // D learns slower in one stage, as in Shen et al.'s (2021) MNIST runs of DCGAN with the two losses.
    let gan = if loss == "saturating" {
        gan.symmetry(Symmetry::Symmetric)
            .loss_generator(|s| -s.fake.softplus().mean())
            .defaults(Stages::One, Defaults::adam(2e-4, 1.35e-5))
    } else {
        gan.symmetry(Symmetry::Asymmetric)
            .loss_generator(|s| (-&s.fake).softplus().mean())
            .defaults(Stages::One, Defaults::adam(2e-4, 5e-5))
    };
    gan.build()
}

#[cfg(test)]
mod tests {
    use tandem_backbones::testing;
    use tandem_plugin_api::Images;

    use super::*;

    #[test]
    fn builds_for_all_images_and_norms_with_the_papers_losses() {
        insta::assert_snapshot!(testing::summary(declare, &[&[("loss", "saturating")], &[("loss", "non-saturating")]]));
    }

    #[test]
    fn both_networks_are_told_the_class() {
        let images = Images { channels: 1, size: 32, classes: 10 };
        let gan = tandem_plugin_api::testing::declare(declare, images, &[]).unwrap();
        assert!([&gan.generator, &gan.discriminator].iter().all(|n| n.input("labels").is_some()));
        let unlabelled = Images { classes: 0, ..images };
        let message = tandem_plugin_api::testing::declare(declare, unlabelled, &[]).unwrap_err().to_string();
        assert!(message.contains("the data have no labels"), "{message}");
    }
}
