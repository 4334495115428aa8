//! One-stage gradients equal separate backward passes: every loss family, every kind of D, every strategy.
//!
//! The shipped plugins' own definitions are proven through the real binary (`tests/`); these are small networks that
//! reach corners which no shipped plugin has.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod gans;

use std::sync::{Mutex, PoisonError};

use gans::{LOSSES, discriminator, gan, generator};
use tandem::{
    check::{self, Draw, GRADIENT_TOLERANCE, Report},
    train::TrainError,
};
use tandem_plugin_api::{
    Builder, Error, Gan, Init, Linear, Network, Norm, PenaltyAt, Symmetry, Tensor, Transform,
    gan::{Augmentation, GradientPenalty},
    kernel,
};

fn on_cpu(samples: i64, seed: u64) -> Draw {
    Draw { samples, seed, device: tch::Device::Cpu }
}

/// A check alone: dropout draws from the one stream that a process has, and tests may be threads of one process.
fn check(gan: &Gan, draw: &Draw) -> Result<Report, TrainError> {
    static STREAM: Mutex<()> = Mutex::new(());
    let _alone = STREAM.lock().unwrap_or_else(PoisonError::into_inner);
    check::check(gan, draw)
}

fn prove(discriminator: impl Fn() -> Result<Network, Error>, allowed: &[&str]) {
    for loss in LOSSES {
        let report = check(&gan(loss, discriminator()), &on_cpu(7, 3)).unwrap();
        assert!(report.passed, "{}: {report:#?}", loss.0);
        assert!(report.max_relative_error <= GRADIENT_TOLERANCE);
        let symmetric = loss.1 == Symmetry::Symmetric;
        for found in &report.gradients {
            assert!(allowed.contains(&found.strategy) || symmetric, "{}: {} ran", loss.0, found.strategy);
        }
        // `scaled` may have no point at which an asymmetric loss lets it divide; the others run always.
        for strategy in allowed.iter().filter(|s| **s != "scaled").chain([&report.strategy]) {
            assert!(report.gradients.iter().any(|g| g.strategy == *strategy), "{}: no {strategy}", loss.0);
        }
    }
}

#[test]
fn without_norm() {
    prove(|| discriminator(false, Tensor::clone), &["scaled", "pivoted", "two-seed"]);
}

#[test]
fn with_group_norm() {
    prove(|| discriminator(false, |x| x.group_norm("norm", 4, Norm::default())), &["scaled", "pivoted", "two-seed"]);
}

#[test]
fn with_layer_and_instance_norm_and_dropout() {
    let middle = |x: &Tensor| {
        x.layer_norm("ln", &[8, 4, 4], Norm::default()).instance_norm("in", Norm::default().affine(true)).dropout(0.3)
    };
    prove(|| discriminator(false, middle), &["scaled", "pivoted", "two-seed"]);
}

#[test]
fn with_spectral_norm() {
    prove(|| discriminator(true, Tensor::clone), &["scaled", "pivoted", "two-seed"]);
}

/// One sample's gradient mixes all seeds here: an asymmetric loss never runs a strategy that scales samples.
#[test]
fn with_batch_norm_asymmetric_losses_take_two_seeds() {
    prove(|| discriminator(false, |x| x.batch_norm("norm", Norm::default())), &["two-seed"]);
}

/// A hand-made minibatch statistic couples the batch without any norm layer.
#[test]
fn with_minibatch_deviation() {
    let middle = |x: &Tensor| {
        let deviation = (x.var_over(&[0], false, true) + 1e-8).sqrt().mean();
        x + deviation
    };
    prove(|| discriminator(false, middle), &["two-seed"]);
}

/// A map of scores has no one factor for a sample.
#[test]
fn with_a_map_of_scores() {
    let patches = || {
        let b = Builder::new();
        let x = b.input("image", &[3, 8, 8]).conv2d("conv1", 8, kernel(4).stride(2).padding(1)).leaky_relu(0.2);
        b.finish(&x.conv2d("score", 1, kernel(3).padding(1)))
    };
    prove(patches, &["two-seed"]);
}

#[test]
fn a_free_parameter_in_d_rules_out_the_pivot_alone() {
    let middle = |x: &Tensor| x.clone();
    let with_parameter = || {
        let b = Builder::new();
        let bias = b.parameter("bias", &[3, 8, 8], Init::normal(0.0, 0.1));
        let x = b.input("image", &[3, 8, 8]) + bias;
        b.finish(&middle(&x).flatten().linear("fc", 8, Linear::default()).leaky_relu(0.2).linear(
            "score",
            1,
            Linear::default(),
        ))
    };
    prove(with_parameter, &["scaled", "two-seed"]);
}

/// A layer that sees no batch: with as many rows as there are samples a pivot would scale it by the samples' factors.
#[test]
fn a_layer_over_a_constant_rules_out_the_pivot_alone() {
    let with_constant = || {
        let b = Builder::new();
        let table = b.constant(&[7, 4], &[0.3; 28]).linear("table", 1, Linear::default()).reshape(&[7]).mean();
        let x = b.input("image", &[3, 8, 8]).flatten().linear("fc", 8, Linear::default()).leaky_relu(0.2);
        b.finish(&(x.linear("score", 1, Linear::default()) + table))
    };
    prove(with_constant, &["scaled", "two-seed"]);
}

#[test]
fn a_loss_may_read_labels() {
    let gan = Gan::builder(generator(), discriminator(false, Tensor::clone))
        .loss_discriminator_whole(|s| {
            let weight = s.labels().one_hot(10).sum_over(&[1], false);
            ((-&s.real).softplus() * &weight).mean() + (s.fake.softplus() * weight).mean()
        })
        .loss_generator(|s| (-&s.fake).softplus().mean())
        .build()
        .unwrap();
    assert!(check(&gan, &on_cpu(6, 2)).unwrap().passed);
}

#[test]
fn terms_of_d_alone_are_exact_and_stay_out_of_gamma() {
    for at in [PenaltyAt::Real, PenaltyAt::Fake, PenaltyAt::Interpolated, PenaltyAt::Perturbed] {
        for target in [0.0, 1.0] {
            let gan = Gan::builder(generator(), discriminator(false, |x| x.group_norm("norm", 4, Norm::default())))
                .loss_discriminator(|s| (-s.real.mean(), s.fake.mean()))
                .loss_generator(|s| -s.fake.mean())
                .symmetry(Symmetry::Symmetric)
                .gradient_penalty(at, target, 10.0)
                .lazy_gradient_penalty(PenaltyAt::Real, 0.0, 1.0, 4)
                .weight_decay("score.weight", 0.5)
                .build()
                .unwrap();
            let report = check(&gan, &on_cpu(5, 1)).unwrap();
            assert!(report.passed && report.derivatives.terms > 0.0, "{report:#?}");
        }
    }
}

/// D sees real and fake images through random transforms; what reaches G has come back through the fakes'.
#[test]
fn with_augmentation() {
    let all = Transform::ALL.map(|(_, transform)| transform);
    for loss in LOSSES {
        for target in [None, Some(0.6)] {
            let mut gan = gan(loss, discriminator(false, |x| x.group_norm("norm", 4, Norm::default())));
            gan.augmentation = Augmentation { transforms: all.to_vec(), target };
            gan.penalties.push(GradientPenalty { at: PenaltyAt::Real, target: 0.0, weight: 1.0, interval: 2 });
            let report = check(&gan, &on_cpu(7, 3)).unwrap();
            assert!(report.passed && report.derivatives.terms > 0.0, "{}: {report:#?}", loss.0);
        }
    }
}

#[test]
fn a_false_symmetry_is_refused_with_both_numbers() {
    let gan = Gan::builder(generator(), discriminator(false, Tensor::clone))
        .loss_discriminator(|s| ((-&s.real).softplus().mean(), s.fake.softplus().mean()))
        .loss_generator(|s| (-&s.fake).softplus().mean())
        .symmetry(Symmetry::Symmetric)
        .build()
        .unwrap();
    let message = check(&gan, &on_cpu(4, 0)).unwrap_err().to_string();
    assert!(message.starts_with("it declares Symmetry::Symmetric, but at fake score"), "{message}");
    assert!(message.contains("∂L_G/∂s = ") && message.contains("-∂L_D/∂s = "), "{message}");
}
