//! Relativistic GAN (Jolicoeur-Martineau, ICLR 2019, arXiv 1807.00734): D says whether a real image is more real than
//! a fake one (`standard`, pairwise) or than the average fake one (`average`).
//!
//! The terms of RaSGAN are added as in the paper; its author's code takes half of their sum.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("relgan", "Relativistic GAN (Jolicoeur-Martineau 2019), standard or average", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let help = "standard: each real score against one fake score; average: against the mean of the others";
    let variant = options.choice("variant", help, &["standard", "average"], "standard")?;
    let gan = Gan::builder(dcgan.generator(), dcgan.discriminator());
    let gan = if variant == "average" {
        // `-log σ(a - mean b) - log(1 - σ(b - mean a))`, means over the batch: a is said to be real, b fake.
        let loss = |a: &Tensor, b: &Tensor| (b.mean() - a).softplus().mean() + (b - a.mean()).softplus().mean();
        gan.loss_discriminator_whole(|s| loss(&s.real, &s.fake)).loss_generator(|s| loss(&s.fake, &s.real))
    } else {
        gan.loss_discriminator_whole(|s| (&s.fake - &s.real).softplus().mean())
            .loss_generator(|s| (&s.real - &s.fake).softplus().mean())
    };
    gan.symmetry(Symmetry::Asymmetric)
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
        insta::assert_snapshot!(testing::summary(declare, &[&[("variant", "standard")], &[("variant", "average")]]));
    }
}
