//! DCGAN (Radford et al. 2016, arXiv 1511.06434) with one of the two losses of Goodfellow et al. (2014, arXiv
//! 1406.2661), over raw scores `s`: `softplus(-s) = -log σ(s)` and `softplus(s) = -log(1 - σ(s))`.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("dcgan", "DCGAN (Radford et al. 2016), saturating or non-saturating loss", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let help = "saturating: G minimises log(1 - D), symmetric; non-saturating: G minimises -log D, asymmetric";
    let loss = options.choice("loss", help, &["non-saturating", "saturating"], "non-saturating")?;
    let gan = Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| ((-&s.real).softplus().mean(), s.fake.softplus().mean()))
        .defaults(Stages::Two, Defaults::adam(2e-4, 2e-4));
    // D learns slower in one stage, as in Shen et al.'s (2021) MNIST runs of the two variants.
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

    use super::*;

    #[test]
    fn builds_for_all_images_and_norms_with_the_papers_losses() {
        insta::assert_snapshot!(testing::summary(declare, &[&[("loss", "non-saturating")], &[("loss", "saturating")]]));
    }
}
