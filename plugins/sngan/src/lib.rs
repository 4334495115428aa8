//! SNGAN (Miyato et al., ICLR 2018, arXiv 1802.05957): spectral normalisation of every layer of D, with the hinge loss of
//! the authors' code or the non-saturating one of their SN-DCGAN. Its D is the shared DCGAN's with `norm = "spectral"`.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("sngan", "SNGAN (Miyato et al. 2018), hinge or non-saturating loss", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::with_norms(options, &["spectral", "group", "batch", "none"])?;
    let help = "hinge, as the authors' ResNets; non-saturating, as their SN-DCGAN";
    let loss = options.choice("loss", help, &["hinge", "non-saturating"], "hinge")?;
    let gan = Gan::builder(dcgan.generator(), dcgan.discriminator())
        .symmetry(Symmetry::Asymmetric)
        // D learns slower in one stage, where there is no published run; two stages at the authors' rates.
        .defaults(Stages::One, Defaults::adam(2e-4, 5e-5))
        .defaults(Stages::Two, Defaults::adam(2e-4, 2e-4));
    let gan = if loss == "hinge" {
        gan.loss_discriminator(|s| ((1.0 - &s.real).relu().mean(), (1.0 + &s.fake).relu().mean()))
            .loss_generator(|s| -s.fake.mean())
    } else {
        gan.loss_discriminator(|s| ((-&s.real).softplus().mean(), s.fake.softplus().mean()))
            .loss_generator(|s| (-&s.fake).softplus().mean())
    };
    gan.build()
}

#[cfg(test)]
mod tests {
    use tandem_backbones::testing;

    use super::*;

    #[test]
    fn builds_for_all_images_and_norms_with_the_papers_losses() {
        insta::assert_snapshot!(testing::summary(declare, &[&[("loss", "hinge")], &[("loss", "non-saturating")]]));
    }
}
