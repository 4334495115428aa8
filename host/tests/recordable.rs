//! What a recording of a round needs, as far as the CPU shows it: a round reads nothing back to the host, and all that the
//! next one goes on from lies where it lay.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod gans;

use gans::{LOSSES, discriminator, gan};
use tandem::train::{Batch, OptimizerSettings, Settings, TrainError, Trainer};
use tandem_plugin_api::{
    Error, Gan, Network, Norm, PenaltyAt, Stages, Tensor as Symbol, Transform,
    gan::{Augmentation, GradientPenalty, Schedule},
};
use tandem_torch_ext::{Adam, RmsProp, Sgd, trace_ops};
use tch::{Device, Kind, Tensor};

/// Operations that wait for the device, or whose result's size does.
const WAITING: [&str; 6] = [
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::is_nonzero",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
];

fn optimizers() -> [OptimizerSettings; 3] {
    let adam = Adam { lr: 1e-3, beta1: 0.5, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false };
    let rmsprop = RmsProp { lr: 1e-3, alpha: 0.99, eps: 1e-8, weight_decay: 0.0 };
    let sgd = Sgd { lr: 1e-3, momentum: 0.9, weight_decay: 1e-4, nesterov: true };
    [OptimizerSettings::Adam(adam), OptimizerSettings::RmsProp(rmsprop), OptimizerSettings::Sgd(sgd)]
}

fn trainer(gan: &Gan, stages: Stages, optimizer: OptimizerSettings) -> Trainer {
    let settings = Settings {
        stages,
        strategy: None,
        reuse_fakes: stages == Stages::Two,
        n_critic: 2,
        n_generator: 1,
        critic_boost: None,
        schedule: Schedule::Constant,
        generator: optimizer,
        discriminator: optimizer,
        ema_decay: 0.9,
        seed: 1,
        kind: Kind::Float,
        autocast: None,
        device: Device::Cpu,
        cuda_graph: true,
    };
    Trainer::new(gan, settings).unwrap()
}

fn round(trainer: &mut Trainer) {
    let images = Tensor::rand([8, 3, 8, 8], (Kind::Float, Device::Cpu));
    let batch = || Ok::<_, TrainError>(Batch { images: images.shallow_clone(), labels: None });
    trainer.round(batch).unwrap();
}

/// Where everything lies that outlives a round.
fn places(trainer: &Trainer) -> Vec<(String, usize)> {
    let of = |name: &str, t: &Tensor| (name.to_owned(), t.data_ptr() as usize);
    let networks = trainer.networks();
    let mut all: Vec<_> = networks.generator.state().map(|(name, t)| of(name, t)).collect();
    all.extend(networks.discriminator.state().map(|(name, t)| of(name, t)));
    all.extend(trainer.ema().unwrap().state().map(|(name, t)| of(name, t)));
    // The counts of steps are the host's, made a tensor for checkpoints.
    let state = trainer.state();
    all.extend(state.iter().filter(|(name, _)| !name.ends_with("steps_taken")).map(|(name, t)| of(name, t)));
    all
}

fn assert_recordable(name: &str, gan: &Gan) {
    for stages in [Stages::One, Stages::Two] {
        for optimizer in optimizers() {
            let adam = matches!(optimizer, OptimizerSettings::Adam(_));
            let mut trainer = trainer(gan, stages, optimizer);
            round(&mut trainer);
            let before = places(&trainer);
            for _ in 0..4 {
                let ((), ops) = trace_ops(|| round(&mut trainer)).unwrap();
                // The CPU's kernel of fused Adam reads its counts of steps; CUDA's does not.
                let at = ops.iter().position(|op| WAITING.contains(&op.as_str())).filter(|_| !adam);
                assert!(at.is_none(), "{name}, {stages:?}: after {:?}", at.map(|i| &ops[i.saturating_sub(8)..=i]));
            }
            assert_eq!(places(&trainer), before, "{name}, {stages:?}");
        }
    }
}

type Middle = fn(&Symbol) -> Symbol;

/// Those of the shipped plugins and more: `(name, spectral, what stands in D's middle)`.
const NETWORKS: [(&str, bool, Middle); 4] = [
    ("plain", false, Symbol::clone),
    ("group norm", false, |x| x.group_norm("norm", 4, Norm::default())),
    ("batch norm and dropout", false, |x| x.batch_norm("norm", Norm::default()).dropout(0.3)),
    ("spectral", true, Symbol::clone),
];

fn network(i: usize) -> Result<Network, Error> {
    discriminator(NETWORKS[i].1, NETWORKS[i].2)
}

#[test]
fn every_loss_and_network() {
    for loss in LOSSES {
        for (i, (name, ..)) in NETWORKS.iter().enumerate() {
            assert_recordable(&format!("{}, {name}", loss.0), &gan(loss, network(i)));
        }
    }
}

#[test]
fn penalties_augmentation_and_clipping() {
    let mut gan = gan(&LOSSES[1], network(0));
    // Not at perturbed images: their standard deviation, over the whole batch, reads its mean on the CPU alone.
    for at in [PenaltyAt::Real, PenaltyAt::Fake, PenaltyAt::Interpolated] {
        gan.penalties.push(GradientPenalty { at, target: 1.0, weight: 1.0, interval: 2 });
    }
    let transforms =
        [Transform::Brightness, Transform::Saturation, Transform::Contrast, Transform::Translation, Transform::Cutout];
    gan.augmentation = Augmentation { transforms: transforms.to_vec(), target: Some(0.6) };
    gan.weight_clip = Some(0.1);
    assert_recordable("all terms", &gan);
}
