//! Least-squares GAN (Mao et al., ICCV 2017, arXiv 1611.04076): D draws fakes to `a` and reals to `b`, G draws fakes to
//! `c`. `binary` is the paper's 0-1 coding (equation 9), `pearson` its -1, 1, 0 (equation 8, Pearson χ²), `signed` has G aim
//! at D's real target on that scale (`c = b`).

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("lsgan", "Least-squares GAN (Mao et al. 2017)", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let help =
        "what D draws fakes and reals to, and what G draws fakes to: binary 0, 1, 1; pearson -1, 1, 0; signed -1, 1, 1";
    let coding = options.choice("coding", help, &["binary", "pearson", "signed"], "binary")?;
    let (a, b, c) = match coding.as_str() {
        "pearson" => (-1.0, 1.0, 0.0),
        "signed" => (-1.0, 1.0, 1.0),
        _ => (0.0, 1.0, 1.0),
    };
    let to = |scores: &Tensor, target: f64| (scores - target).square().mean() * 0.5;
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| (to(&s.real, b), to(&s.fake, a)))
        .loss_generator(|s| to(&s.fake, c))
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
        insta::assert_snapshot!(testing::summary(
            declare,
            &[&[("coding", "binary")], &[("coding", "pearson")], &[("coding", "signed")]]
        ));
    }
}
