//! One stage in narrow precision loses no more than two stages lose; in float32 no score makes it NaN.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod gans;

use std::collections::BTreeMap;

use gans::{LOSSES, discriminator, gan};
use tandem::{
    check::relative_error,
    train::{
        Augment, Batch, Losses, Networks, Strategy, View, obstacle,
        one_stage::{self, Forward},
        two_stage,
    },
};
use tandem_plugin_api::{Error, Gan, Network, Norm, Tensor as Symbol};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

/// Both networks with the same weights in every precision, and one batch.
struct Step {
    gan: Gan,
    wide: Networks,
    narrow: Networks,
    batch: Tensor,
    latents: Tensor,
}

impl Step {
    fn new(gan: Gan, seed: u64, kind: Kind, autocast: Option<Kind>) -> Self {
        let mut random = Generator::new(Device::Cpu, seed).unwrap();
        let mut narrow = Networks::new(&gan, kind, &mut random).unwrap();
        narrow.set_autocast(autocast);
        let mut wide = Networks::new(&gan, Kind::Double, &mut random).unwrap();
        for (to, from) in [(&mut wide.generator, &narrow.generator), (&mut wide.discriminator, &narrow.discriminator)] {
            let state: BTreeMap<_, _> = from.state().map(|(name, t)| (name.to_owned(), t.shallow_clone())).collect();
            to.load(&state).unwrap();
        }
        let batch = Tensor::zeros([16, 3, 8, 8], (kind, Device::Cpu));
        random.uniform_(&batch, -1.0, 1.0).unwrap();
        let latents = narrow.draw_latents(16, &mut random).unwrap();
        Self { gan, wide, narrow, batch, latents }
    }

    fn losses(&self, kind: Kind) -> Losses {
        Losses::new(&self.gan, kind, Device::Cpu).unwrap()
    }

    fn batch(&self, kind: Kind) -> Batch {
        Batch { images: self.batch.to_kind(kind), labels: None }
    }

    fn forward(&self, networks: &Networks, strategy: Strategy) -> Forward {
        let (augment, mut noise) = still();
        let weights = networks.weights(false).unwrap();
        let kind = networks.generator.kind();
        let (batch, latents) = (self.batch(kind), self.latents.to_kind(kind));
        let mut view = View::new(&augment, &mut noise);
        one_stage::forward(networks, &batch, &latents, &weights, strategy, &mut view).unwrap()
    }

    /// `[∇L_D, ∇L_G]` in one stage at fake scores moved to around `score`, if given.
    fn one_stage(&self, networks: &Networks, strategy: Strategy, score: Option<f64>) -> [Vec<Tensor>; 2] {
        let kind = networks.generator.kind();
        let mut pass = self.forward(networks, strategy);
        move_to(&mut pass, score);
        let found = one_stage::backward(networks, &self.losses(kind), &self.batch(kind), &pass, strategy).unwrap();
        [found.discriminator, found.generator]
    }

    /// The same by plain autograd in float64.
    fn exact(&self, score: Option<f64>) -> [Vec<Tensor>; 2] {
        let mut pass = self.forward(&self.wide, Strategy::TwoSeed);
        move_to(&mut pass, score);
        one_stage::separate(&self.wide, &self.losses(Kind::Double), &self.batch(Kind::Double), &pass).unwrap()
    }

    /// The same by the two steps of two stages, at the same weights.
    fn two_stage(&self) -> [Vec<Tensor>; 2] {
        let (augment, mut noise) = still();
        let mut view = View::new(&augment, &mut noise);
        let (networks, batch, losses) = (&self.narrow, self.batch(Kind::Float), self.losses(Kind::Float));
        let fakes = two_stage::fakes(networks, &batch, &self.latents).unwrap();
        let of_d = two_stage::discriminator(networks, &losses, &batch, &fakes, &mut view).unwrap();
        [of_d.gradients, two_stage::generator(networks, &losses, &batch, &fakes, &mut view).unwrap().gradients]
    }
}

/// No transforms.
fn still() -> (Augment, Generator) {
    let augment = Augment::new(&tandem_plugin_api::gan::Augmentation::default(), Kind::Float, Device::Cpu);
    (augment.unwrap(), Generator::new(Device::Cpu, 0).unwrap())
}

fn move_to(pass: &mut Forward, score: Option<f64>) {
    let Some(score) = score else { return };
    let own = pass.fake_scores.detach();
    pass.fake_scores = &pass.fake_scores - &own + score + own.sign() * 0.1;
}

fn errors(found: &[Vec<Tensor>; 2], wanted: &[Vec<Tensor>; 2]) -> [f64; 2] {
    [0, 1].map(|i| relative_error(&found[i], &wanted[i]).unwrap())
}

fn norm(tensors: &[Tensor]) -> f64 {
    tensors.iter().map(|t| t.square().sum(Kind::Double).double_value(&[])).sum::<f64>().sqrt()
}

fn difference(a: &[Tensor], b: &[Tensor]) -> Vec<Tensor> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

type Middle = fn(&Symbol) -> Symbol;
const DISCRIMINATORS: [(&str, Middle); 2] =
    [("plain", |x| x.clone()), ("group norm", |x| x.group_norm("norm", 4, Norm::default()))];

fn with(middle: Middle) -> Result<Network, Error> {
    discriminator(false, middle)
}

/// Mean errors over a few draws: a single one is luck.
fn compare(kind: Kind) {
    for (name, middle) in DISCRIMINATORS {
        for loss in LOSSES {
            for strategy in Strategy::ALL {
                let mut sums = [[0.0; 2]; 2];
                let definition = gan(loss, with(middle));
                if obstacle(&definition, strategy).is_some() {
                    continue;
                }
                for seed in 0..6 {
                    let step = Step::new(definition.clone(), seed, Kind::Float, Some(kind));
                    let exact = step.exact(None);
                    let one = errors(&step.one_stage(&step.narrow, strategy, None), &exact);
                    let two = errors(&step.two_stage(), &exact);
                    for i in [0, 1] {
                        sums[i][0] += one[i];
                        sums[i][1] += two[i];
                    }
                }
                for (network, [one, two]) in ["D", "G"].iter().zip(sums) {
                    // For `--no-capture`: the figures behind the bound.
                    eprintln!("{kind:?} {name} {} {strategy} {network}: {:.2}", loss.0, one / two);
                    assert!(
                        two > 0.0 && one <= 2.0 * two,
                        "{kind:?} {name} {} {strategy} {network}: {one} {two}",
                        loss.0
                    );
                }
            }
        }
    }
}

#[test]
fn bfloat16_loses_no_more_than_twice_what_two_stages_lose() {
    compare(Kind::BFloat16);
}

#[test]
fn float16_loses_no_more_than_twice_what_two_stages_lose() {
    compare(Kind::Half);
}

#[test]
fn float32_bears_scores_of_a_hundred() {
    for (name, middle) in DISCRIMINATORS {
        for loss in LOSSES {
            let step = Step::new(gan(loss, with(middle)), 1, Kind::Float, None);
            for strategy in [Strategy::Pivoted, Strategy::TwoSeed] {
                for score in [-100.0, 100.0] {
                    let (found, exact) = (step.one_stage(&step.narrow, strategy, Some(score)), step.exact(Some(score)));
                    for i in [0, 1] {
                        // A saturated loss has slopes of e^-100, for which float32 has no number but 0.
                        let size = norm(&exact[i]);
                        let off = norm(&difference(&found[i], &exact[i]));
                        assert!(off <= 1e-4 * size + 1e-35, "{name} {} {strategy} at {score}: {off} {size}", loss.0);
                    }
                }
            }
        }
    }
}
