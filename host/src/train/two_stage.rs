//! The honest baseline: D's step, then G's through the updated D, without a wasted pass.
//!
//! In D's step G builds no graph (unless its fakes are used again); in G's step D's weight gradients are not computed.

use tch::Tensor;

use super::{
    Batch, Losses, Networks, Scores, TrainError, View, backward::backward, error::In, losses::gradients, phase,
};
use crate::network::Pass;

/// D's gradients with what the reports want.
#[derive(Debug)]
pub struct DiscriminatorStep {
    /// `∇L_D`, in the order of D's learned tensors.
    pub gradients: Vec<Tensor>,
    /// `L_D`, on the device.
    pub loss: Tensor,
    /// `D(x)`, detached.
    pub real_scores: Tensor,
    /// `D(x̂)`, detached.
    pub fake_scores: Tensor,
}

/// G's gradients.
#[derive(Debug)]
pub struct GeneratorStep {
    /// `∇L_G`, in the order of G's learned tensors.
    pub gradients: Vec<Tensor>,
    /// `L_G`, on the device.
    pub loss: Tensor,
}

/// `G(z)` with its graph, for G's step.
pub fn fakes(networks: &Networks, batch: &Batch, latents: &Tensor) -> Result<Tensor, TrainError> {
    let _phase = phase!("generator_forward");
    let weights = networks.generator.weights(true).within("generator")?;
    networks.generate(latents, batch.labels.as_ref(), &Pass::training(&weights))
}

/// `G(z)` without a graph, for D's step.
pub fn detached_fakes(networks: &Networks, batch: &Batch, latents: &Tensor) -> Result<Tensor, TrainError> {
    let _guard = tch::no_grad_guard();
    fakes(networks, batch, latents)
}

/// `∇L_D` on real samples and given fakes.
pub fn discriminator(
    networks: &Networks,
    losses: &Losses,
    batch: &Batch,
    fakes: &Tensor,
    view: &mut View<'_>,
) -> Result<DiscriminatorStep, TrainError> {
    let forward = phase!("discriminator_forward");
    let labels = batch.labels.as_ref();
    let weights = networks.discriminator.weights(true).within("discriminator")?;
    let pass = Pass::training(&weights);
    let real = networks.score(&view.of(&batch.images)?, labels, &pass)?;
    let fake = networks.score(&view.of(&fakes.f_detach()?)?, labels, &pass)?;
    drop(forward);
    let _phase = phase!("backward");
    let loss = losses.discriminator(&Scores { real: &real, fake: &fake, labels })?;
    let at_scores = gradients(&loss, &[&real, &fake], false)?;
    let seeds: Vec<&Tensor> = at_scores.iter().collect();
    let gradients = backward(networks.autocast(), &[&real, &fake], &seeds, networks.discriminator.learned(), false)?;
    Ok(DiscriminatorStep {
        gradients,
        loss: loss.f_detach()?,
        real_scores: real.f_detach()?,
        fake_scores: fake.f_detach()?,
    })
}

/// `∇L_G` through D as it now is. Only G's gradients are asked for, so D's are never computed.
pub fn generator(
    networks: &Networks,
    losses: &Losses,
    batch: &Batch,
    fakes: &Tensor,
    view: &mut View<'_>,
) -> Result<GeneratorStep, TrainError> {
    let forward = phase!("discriminator_forward");
    let labels = batch.labels.as_ref();
    // σ of the updated weights, but no second power iteration in one step.
    let weights = networks.discriminator.weights(false).within("discriminator")?;
    let pass = Pass::training(&weights);
    let fake = networks.score(&view.of(fakes)?, labels, &pass)?;
    let real = if losses.generator_reads_real() {
        let _guard = tch::no_grad_guard();
        networks.score(&view.of(&batch.images)?, labels, &pass)?
    } else {
        fake.f_detach()?
    };
    drop(forward);
    let _phase = phase!("backward");
    let loss = losses.generator(&Scores { real: &real, fake: &fake, labels })?;
    let at_scores = gradients(&loss, &[&fake], false)?;
    let seeds: Vec<&Tensor> = at_scores.iter().collect();
    let gradients = backward(networks.autocast(), &[&fake], &seeds, networks.generator.learned(), false)?;
    Ok(GeneratorStep { gradients, loss: loss.f_detach()? })
}
