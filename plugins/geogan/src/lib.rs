//! Geometric GAN (Lim & Ye 2017, arXiv 1705.02894): D is a soft-margin SVM in its last features (hinge loss), G moves
//! fakes along its normal.
//!
//! The SVM's ½‖w‖² is weight decay of D's last layer, in the authors' code 1 / (C · batch size).

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("geogan", "Geometric GAN (Lim & Ye 2017), hinge loss", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let svm = options.number("svm", "weight of the SVM's ½‖w‖², w the last layer of D", 0.0..=1e3, 1.0 / 64.0)?;
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| ((1.0 - &s.real).relu().mean(), (1.0 + &s.fake).relu().mean()))
        .loss_generator(|s| -s.fake.mean())
        .symmetry(Symmetry::Asymmetric)
        .weight_decay("score.weight", svm)
        // D learns slower in one stage, where there is no published run; two stages at the authors' rate.
        .defaults(Stages::One, Defaults::adam(2e-4, 5e-5))
        .defaults(Stages::Two, Defaults::rmsprop(2e-4))
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
