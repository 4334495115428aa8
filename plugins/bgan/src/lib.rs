//! Boundary-seeking GAN (Hjelm et al., ICLR 2018, arXiv 1702.08431), its continuous form: G draws `log D - log(1 - D)`,
//! which for `D = σ(s)` is `s` itself, to the decision boundary.
//!
//! `boundary` draws `s` to 0. `log-z` draws it to `log Z`, a running estimate of `log E exp(s)` over fakes, as the authors'
//! code does; the estimate is a loss state, so no gradient flows through it. Theirs leaves out the ½.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("bgan", "Boundary-seeking GAN (Hjelm et al. 2018), for continuous data", declare);

/// How much of the running estimate a step keeps (the authors' code).
const KEEP: f64 = 0.995;

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let help = "boundary: G draws scores to 0; log-z: to a running estimate of log E exp(score)";
    let target = options.choice("target", help, &["boundary", "log-z"], "boundary")?;
    let gan = Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator(|s| ((-&s.real).softplus().mean(), s.fake.softplus().mean()))
        .symmetry(Symmetry::Asymmetric)
        // The authors' rates; D learns slower in one stage, where there is no published run.
        .defaults(Stages::One, Defaults::adam(1e-4, 2.5e-5))
        .defaults(Stages::Two, Defaults::adam(1e-4, 1e-4));
    if target == "boundary" {
        return gan.loss_generator(|s| s.fake.square().mean() * 0.5).build();
    }
    // log E exp(s) by logsumexp, which no large score overflows: log Σ exp(s) - log N, and N = Σ exp(0).
    let log_mean_exp = |s: &Scores| s.fake.logsumexp(&[0], false) - (&s.fake * 0.0).logsumexp(&[0], false);
    gan.loss_generator(|s| (&s.fake - s.state("log_z")).square().mean() * 0.5)
        .state("log_z", 0.0, |s| s.state("log_z") * KEEP + log_mean_exp(s) * (1.0 - KEEP))
        .build()
}

#[cfg(test)]
mod tests {
    use tandem_backbones::testing;

    use super::*;

    #[test]
    fn builds_for_all_images_and_norms_with_the_papers_losses() {
        insta::assert_snapshot!(testing::summary(declare, &[&[("target", "boundary")], &[("target", "log-z")]]));
    }
}
