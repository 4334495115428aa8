//! The loss of R3GAN (Huang et al., NeurIPS 2024, arXiv 2501.05441): relativistic pairing with zero-centred gradient
//! penalties on real samples (R1) and on fakes (R2), `γ/2 E‖∇D‖²` each. The networks are the shared DCGAN's.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("r3gan-loss", "Relativistic pairing with R1 and R2 (Huang et al. 2024)", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    // No batch norm: a penalty asks how D's score of one sample changes with that sample.
    let dcgan = Dcgan::with_norms(options, &["group", "none", "spectral"])?;
    let gamma = options.number("gamma", "weight of the penalties, γ/2 each", 0.0..=1e6, 1.0)?;
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator_whole(|s| (&s.fake - &s.real).softplus().mean())
        .loss_generator(|s| (&s.real - &s.fake).softplus().mean())
        .gradient_penalty(PenaltyAt::Real, 0.0, gamma / 2.0)
        .gradient_penalty(PenaltyAt::Fake, 0.0, gamma / 2.0)
        .symmetry(Symmetry::Asymmetric)
        .defaults(Stages::One, Defaults::adam(2e-4, 2e-4))
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
