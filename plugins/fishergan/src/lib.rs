//! Fisher GAN (Mroueh & Sercu, NeurIPS 2017, arXiv 1705.09675): the critic's mean difference under a constraint on its
//! second moment, held by an augmented Lagrangian (equations 6 and 9 there).
//!
//! `L_D = -(E s_r - E s_f + λ c - ρ/2 c²)` with `c = 1 - (E s_r² + E s_f²)/2`. λ is a loss state: after D's step it
//! descends, `λ ← λ - ρ c`, with the `c` of that step's scores, as the authors' code does.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("fishergan", "Fisher GAN (Mroueh & Sercu 2017), augmented Lagrangian", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let dcgan = Dcgan::from_options(options)?;
    let rho = options.number("rho", "weight of the constraint and rate of its multiplier", 1e-9..=1.0, 1e-6)?;
    let constraint = |s: &Scores| 1.0 - (s.real.square().mean() + s.fake.square().mean()) * 0.5;
    Gan::builder(dcgan.generator(), dcgan.discriminator())
        .loss_discriminator_whole(|s| {
            let c = constraint(s);
            s.fake.mean() - s.real.mean() - s.state("lambda") * &c + c.square() * (rho / 2.0)
        })
        .loss_generator(|s| -s.fake.mean())
        .state("lambda", 0.0, |s| s.state("lambda") - constraint(s) * rho)
        .symmetry(Symmetry::Asymmetric)
        // The authors' rates; D learns slower in one stage, where there is no published run.
        .defaults(Stages::One, Defaults::adam(2e-4, 5e-5))
        .defaults(Stages::Two, Defaults::adam(2e-4, 2e-4).n_critic(2))
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
