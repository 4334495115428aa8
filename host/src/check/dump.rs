//! One step's numbers, all of them, so that anyone can recompute it elsewhere (`tandem plugin check --dump`).

use tandem_plugin_api::Gan;
use tch::Tensor;

use super::{Draw, Subject, gradients::applies};
use crate::{
    network::Compiled,
    train::{Strategy, TrainError, View, obstacle, one_stage},
};

/// The tensors of one step in float64, by name (docs/check-dump.md):
///
/// `generator.*` and `discriminator.*` (weights under their state_dict names), `latents`, `real`, `labels` of a
/// conditional definition, `state.*`, `scores.real`, `scores.fake`, `seeds.g_r`, `seeds.g_f`, `seeds.h`, and `gradients.<strategy>.<network>.<parameter>` for every
/// strategy that the definition and the scores allow and for `separate`, plain autograd of each loss alone.
pub fn dump(gan: &Gan, draw: &Draw) -> Result<Vec<(String, Tensor)>, TrainError> {
    let subject = Subject::new(gan, draw)?;
    let networks = &subject.networks;
    let mut tensors = vec![
        ("latents".to_owned(), subject.latents.shallow_clone()),
        ("real".to_owned(), subject.batch.images.shallow_clone()),
    ];
    if let Some(labels) = subject.batch.labels.as_ref().filter(|_| gan.classes().is_some()) {
        tensors.push(("labels".to_owned(), labels.shallow_clone()));
    }
    tensors.extend(subject.losses.states().map(|(name, value)| (format!("state.{name}"), value.shallow_clone())));
    for (network, compiled) in [("generator", &networks.generator), ("discriminator", &networks.discriminator)] {
        // A copy: the forward passes below move running statistics.
        for (name, tensor) in compiled.state() {
            tensors.push((format!("{network}.{name}"), tensor.f_detach_copy()?));
        }
    }
    for strategy in Strategy::ALL.into_iter().filter(|&s| obstacle(gan, s).is_none()) {
        tch::manual_seed(draw.seed as i64);
        let weights = networks.weights(false)?;
        let mut noise = Subject::noise(draw)?;
        let mut view = View::new(&subject.augment, &mut noise);
        let pass = one_stage::forward(networks, &subject.batch, &subject.latents, &weights, strategy, &mut view)?;
        if strategy == Strategy::TwoSeed {
            let [of_d, of_g] = one_stage::separate(networks, &subject.losses, &subject.batch, &pass)?;
            push(&mut tensors, "separate", "discriminator", &networks.discriminator, of_d);
            push(&mut tensors, "separate", "generator", &networks.generator, of_g);
        }
        let found = one_stage::backward(networks, &subject.losses, &subject.batch, &pass, strategy)?;
        if !applies(gan, strategy, &found.seeds)? {
            continue;
        }
        push(&mut tensors, strategy.name(), "discriminator", &networks.discriminator, found.discriminator);
        push(&mut tensors, strategy.name(), "generator", &networks.generator, found.generator);
        if strategy == Strategy::TwoSeed {
            let named = [
                ("scores.real", found.real_scores),
                ("scores.fake", found.fake_scores),
                ("seeds.g_r", found.seeds.g_r),
                ("seeds.g_f", found.seeds.g_f),
                ("seeds.h", found.seeds.h),
            ];
            tensors.extend(named.map(|(name, tensor)| (name.to_owned(), tensor)));
        }
    }
    Ok(tensors)
}

fn push(to: &mut Vec<(String, Tensor)>, strategy: &str, network: &str, compiled: &Compiled, gradients: Vec<Tensor>) {
    for (name, gradient) in compiled.learned_names().iter().zip(gradients) {
        to.push((format!("gradients.{strategy}.{network}.{name}"), gradient));
    }
}
