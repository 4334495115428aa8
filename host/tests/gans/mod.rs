//! Small GANs for proofs: every loss family over networks that a test puts together.

use tandem_plugin_api::{Builder, Error, Gan, Init, Linear, Network, Norm, Scores, Symmetry, Tensor, kernel};

pub(crate) fn generator() -> Result<Network, Error> {
    let b = Builder::new();
    let x = b.input("latent", &[6]).reshape(&[6, 1, 1]).conv_transpose2d(
        "up1",
        8,
        kernel(4).weight_init(Init::normal(0.0, 0.3)),
    );
    let x = x.batch_norm("norm", Norm::default()).relu();
    b.finish(&x.conv_transpose2d("up2", 3, kernel(4).stride(2).padding(1)).tanh())
}

/// A small D; `middle` is what stands between its two convolutions.
pub(crate) fn discriminator(spectral: bool, middle: impl Fn(&Tensor) -> Tensor) -> Result<Network, Error> {
    let b = Builder::new();
    let conv = |k| kernel(k).spectral_norm(spectral).weight_init(Init::normal(0.0, 0.3));
    let x = b.input("image", &[3, 8, 8]).conv2d("conv1", 8, conv(4).stride(2).padding(1)).leaky_relu(0.2);
    let x = middle(&x.conv2d("conv2", 8, conv(3).padding(1))).leaky_relu(0.2).flatten();
    b.finish(&x.linear("score", 1, Linear::default().spectral_norm(spectral)))
}

pub(crate) type Loss = fn(&Scores) -> Tensor;

/// `(name, symmetry, L_D, L_G)`; formulas and poles are in docs/one-stage.md.
pub(crate) const LOSSES: &[(&str, Symmetry, Loss, Loss)] = &[
    (
        "saturating",
        Symmetry::Symmetric,
        |s| (-&s.real).softplus().mean() + s.fake.softplus().mean(),
        |s| -s.fake.softplus().mean(),
    ),
    (
        "non-saturating",
        Symmetry::Asymmetric,
        |s| (-&s.real).softplus().mean() + s.fake.softplus().mean(),
        |s| (-&s.fake).softplus().mean(),
    ),
    (
        "hinge, symmetric",
        Symmetry::Symmetric,
        |s| (1.0 - &s.real).relu().mean() + (1.0 + &s.fake).relu().mean(),
        |s| -(1.0 + &s.fake).relu().mean(),
    ),
    ("wasserstein", Symmetry::Symmetric, |s| s.fake.mean() - s.real.mean(), |s| -s.fake.mean()),
    (
        "least squares",
        Symmetry::Asymmetric,
        |s| ((&s.real - 1.0).square().mean() + s.fake.square().mean()) * 0.5,
        |s| (&s.fake - 1.0).square().mean() * 0.5,
    ),
    (
        "hinge",
        Symmetry::Asymmetric,
        |s| (1.0 - &s.real).relu().mean() + (1.0 + &s.fake).relu().mean(),
        |s| -s.fake.mean(),
    ),
    (
        "relativistic",
        Symmetry::Asymmetric,
        |s| (&s.fake - &s.real).softplus().mean(),
        |s| (&s.real - &s.fake).softplus().mean(),
    ),
    (
        "relativistic average",
        Symmetry::Asymmetric,
        |s| (s.fake.mean() - &s.real).softplus().mean() + (&s.fake - s.real.mean()).softplus().mean(),
        |s| (&s.real - s.fake.mean()).softplus().mean() + (s.real.mean() - &s.fake).softplus().mean(),
    ),
    (
        "boundary seeking",
        Symmetry::Asymmetric,
        |s| (-&s.real).softplus().mean() + s.fake.softplus().mean(),
        |s| s.fake.square().mean() * 0.5,
    ),
    (
        "fisher",
        Symmetry::Asymmetric,
        |s| {
            let c = 1.0 - (s.real.square().mean() + s.fake.square().mean()) * 0.5;
            s.fake.mean() - s.real.mean() - s.state("lambda") * &c + c.square() * 5e-7
        },
        |s| -s.fake.mean(),
    ),
];

pub(crate) fn gan(loss: &(&str, Symmetry, Loss, Loss), discriminator: Result<Network, Error>) -> Gan {
    let (_, symmetry, of_d, of_g) = loss;
    Gan::builder(generator(), discriminator)
        .loss_discriminator_whole(of_d)
        .loss_generator(of_g)
        .symmetry(*symmetry)
        .state("lambda", 0.3, |s| s.state("lambda") + (s.real.square().mean() - 1.0) * 1e-6)
        .build()
        .unwrap()
}
