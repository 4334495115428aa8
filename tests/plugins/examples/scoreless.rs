//! Losses and states that are right and read no score: a step counter, a constant term, a D of penalties alone.

use tandem_backbones::Dcgan;
use tandem_plugin_api::prelude::*;

export_gan!("scoreless", "Expressions that read no score", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    // A penalty on one sample's score allows no batch norm.
    let dcgan = Dcgan::with_norms(options, &["group"])?;
    let kind = options.choice("kind", "what reads no score", &["counter", "term", "penalty"], "counter")?;
    let gan = Gan::builder(dcgan.generator(), dcgan.discriminator())
        .state("steps", 0.0, |s| s.state("steps") + 1.0)
        .state("seven", 3.0, |s| s.state("seven") * 0.0 + 7.0)
        .loss_generator(|s| (-&s.fake).softplus().mean())
        .symmetry(Symmetry::Asymmetric)
        .defaults(Stages::One, Defaults::adam(2e-4, 5e-5))
        .defaults(Stages::Two, Defaults::adam(2e-4, 2e-4));
    match kind.as_str() {
        // The weight of the real term falls with the steps.
        "counter" => gan.loss_discriminator(|s| {
            let weight = 1.0 / (1.0 + s.state("steps") * 0.01);
            ((-&s.real).softplus().mean() * weight, s.fake.softplus().mean())
        }),
        "term" => gan.loss_discriminator(|s| (s.state("steps") * 0.0, s.fake.softplus().mean())),
        _ => gan.loss_discriminator_whole(|s| s.state("steps") * 0.0).gradient_penalty(PenaltyAt::Real, 1.0, 1.0),
    }
    .build()
}
