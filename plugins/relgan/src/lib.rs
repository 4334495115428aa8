//! Relativistic GAN (Jolicoeur-Martineau, ICLR 2019, arXiv 1807.00734): D says whether a real image is more real than
//! a fake one (`standard`, pairwise) or than the average fake one (`average` and its least-squares and hinge forms).
//!
//! The two terms of the average forms are added as in the paper; its author's code takes half of their sum.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("relgan", "Relativistic GAN (Jolicoeur-Martineau 2019), pairwise or average", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let help = "standard: each real score against one fake score; average: against the mean of the others (RaSGAN), \
                with least squares (RaLSGAN) or a hinge (RaHingeGAN)";
    let variants = ["standard", "average", "average-least-squares", "average-hinge"];
    let variant = options.choice("variant", help, &variants, "standard")?;
    // What D pays for a score that should lie above the others' mean by this much, and for one below: mirror images.
    let pays: fn(&Tensor) -> Tensor = match variant.as_str() {
        "average-least-squares" => |above| (above - 1.0).square().mean(),
        "average-hinge" => |above| (1.0 - above).relu().mean(),
        _ => |above| (-above).softplus().mean(),
    };
    let average = |real: &Tensor, fake: &Tensor| pays(&(real - fake.mean())) + pays(&(real.mean() - fake));
    let gan = Gan::builder(dcgan.generator(), dcgan.discriminator());
    let gan = if variant == "standard" {
        gan.loss_discriminator_whole(|s| pays(&(&s.real - &s.fake))).loss_generator(|s| pays(&(&s.fake - &s.real)))
    } else {
        gan.loss_discriminator_whole(|s| average(&s.real, &s.fake)).loss_generator(|s| average(&s.fake, &s.real))
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
        let variants = ["standard", "average", "average-least-squares", "average-hinge"];
        let variants = variants.map(|v| [("variant", v)]);
        insta::assert_snapshot!(testing::summary(declare, &variants.each_ref().map(|v| &v[..])));
    }
}
