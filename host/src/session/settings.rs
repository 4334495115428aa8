//! The configuration as the trainer's settings.

use tandem_plugin_api::{
    Stages,
    gan::{CriticBoost, Schedule, Span},
};
use tandem_torch_ext::{Adam, RmsProp, Sgd};
use tch::{Device, Kind};

use crate::{
    config::{self, Config, Optimizer, Precision},
    train::{OptimizerSettings, Settings, Strategy},
};

/// The settings of a trainer on `device`.
pub fn settings(config: &Config, device: Device) -> Settings {
    Settings {
        stages: match config.stages {
            config::Stages::One => Stages::One,
            config::Stages::Two => Stages::Two,
        },
        strategy: match config.strategy {
            config::Strategy::Auto => None,
            config::Strategy::Scaled => Some(Strategy::Scaled),
            config::Strategy::Pivoted => Some(Strategy::Pivoted),
            config::Strategy::TwoSeed => Some(Strategy::TwoSeed),
        },
        reuse_fakes: config.reuse_fakes,
        n_critic: config.n_critic.into(),
        n_generator: config.n_generator.into(),
        critic_boost: config.critic_boost.map(|config::CriticBoost { n_critic, first, every }| CriticBoost {
            n_critic,
            first,
            every,
        }),
        schedule: schedule(&config.schedule),
        generator: optimizer(&config.generator),
        discriminator: optimizer(&config.discriminator),
        ema_decay: config.ema_decay,
        seed: config.seed,
        kind: Kind::Float,
        autocast: match config.precision {
            Precision::Float32 => None,
            Precision::BFloat16 => Some(Kind::BFloat16),
            Precision::Float16 => Some(Kind::Half),
        },
        device,
        cuda_graph: config.cuda_graph,
    }
}

fn schedule(schedule: &config::Schedule) -> Schedule {
    let span = |s: &config::Span| Span { start: s.start, end: s.end, factor: s.factor };
    match schedule {
        config::Schedule::Constant => Schedule::Constant,
        config::Schedule::MultiStep { milestones, gamma } => {
            Schedule::MultiStep { milestones: milestones.clone(), gamma: *gamma }
        }
        config::Schedule::Linear(s) => Schedule::Linear(span(s)),
        config::Schedule::Cosine(s) => Schedule::Cosine(span(s)),
    }
}

fn optimizer(optimizer: &Optimizer) -> OptimizerSettings {
    match *optimizer {
        Optimizer::Adam { learning_rate: lr, betas: [beta1, beta2], eps, weight_decay } => {
            OptimizerSettings::Adam(Adam { lr, beta1, beta2, eps, weight_decay, decoupled: false })
        }
        Optimizer::RmsProp { learning_rate: lr, alpha, eps, weight_decay } => {
            OptimizerSettings::RmsProp(RmsProp { lr, alpha, eps, weight_decay })
        }
        Optimizer::Sgd { learning_rate: lr, momentum, nesterov, weight_decay } => {
            OptimizerSettings::Sgd(Sgd { lr, momentum, weight_decay, nesterov })
        }
    }
}
