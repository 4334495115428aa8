//! [`Gan`] to [`Definition`] and back: the one place that knows the names of graphs and metadata.
//!
//! Decoding accepts what any plugin may send and lets nothing through that [`Gan`] does not promise.

mod defaults;
mod metadata;
mod options;

use defaults::{decode_defaults, encode_defaults};
use metadata::{Graphs, Reader, Writer};
use options::{decode_option, encode_option};

use super::{
    Augmentation, DiscriminatorLoss, Gan, GradientPenalty, Latent, PenaltyAt, State, Symmetry, Transform, WeightDecay,
};
use crate::{
    Error,
    opset::{Field, OPSET},
    value::{Definition, Named, Value},
};

impl Gan {
    /// As data: what crosses the plugin boundary and what a run keeps.
    pub fn encode(&self) -> Definition {
        let mut graphs = vec![
            Named::new("generator", self.generator.encode()),
            Named::new("discriminator", self.discriminator.encode()),
        ];
        match &self.loss_discriminator {
            DiscriminatorLoss::Split { real, fake } => {
                graphs.push(Named::new("loss_discriminator.real", real.encode()));
                graphs.push(Named::new("loss_discriminator.fake", fake.encode()));
            }
            DiscriminatorLoss::Whole(loss) => graphs.push(Named::new("loss_discriminator", loss.encode())),
        }
        graphs.push(Named::new("loss_generator", self.loss_generator.encode()));
        let mut metadata = Writer::default();
        metadata.text("symmetry", if self.symmetry == Symmetry::Symmetric { "symmetric" } else { "asymmetric" });
        metadata.text("latent", if self.latent == Latent::Normal { "normal" } else { "uniform" });
        if let Some(limit) = self.weight_clip {
            metadata.put("weight_clip", limit.encode());
        }
        metadata.put("penalties", (self.penalties.len() as i64).encode());
        for (i, p) in self.penalties.iter().enumerate() {
            metadata.text(&format!("penalty.{i}.at"), name_of(PENALTIES, p.at));
            metadata.put(&format!("penalty.{i}.target"), p.target.encode());
            metadata.put(&format!("penalty.{i}.weight"), p.weight.encode());
            if p.interval != 1 {
                metadata.put(&format!("penalty.{i}.interval"), p.interval.encode());
            }
        }
        if !self.weight_decays.is_empty() {
            metadata.put("weight_decays", Value::Texts(self.weight_decays.iter().map(|w| w.tensor.clone()).collect()));
        }
        for w in &self.weight_decays {
            metadata.put(&format!("weight_decay.{}", w.tensor), w.weight.encode());
        }
        if !self.augmentation.transforms.is_empty() {
            let names = self.augmentation.transforms.iter().map(|t| t.name().to_owned());
            metadata.put("augment", Value::Texts(names.collect()));
        }
        if let Some(target) = self.augmentation.target {
            metadata.put("augment.target", target.encode());
        }
        metadata.put("states", Value::Texts(self.states.iter().map(|s| s.name.clone()).collect()));
        for s in &self.states {
            graphs.push(Named::new(format!("state.{}", s.name), s.update.encode()));
            metadata.put(&format!("state.{}.initial", s.name), s.initial.encode());
        }
        for (mode, defaults) in [("one", &self.one_stage), ("two", &self.two_stage)] {
            encode_defaults(&mut metadata, mode, defaults);
        }
        metadata.put("options", Value::Texts(self.options.iter().map(|o| o.name.clone()).collect()));
        for option in &self.options {
            encode_option(&mut metadata, option);
        }
        Definition { opset: OPSET, graphs, metadata: metadata.0 }
    }

    /// From data. Every message names the graph, node or key that is wrong and the rule that it breaks.
    pub fn decode(definition: &Definition) -> Result<Self, Error> {
        if definition.opset > OPSET {
            return Err(Error::new(format!(
                "it is written in opset {}, this host knows opset {OPSET}; update tandem, or build the plugin with an older tandem-plugin-api",
                definition.opset
            )));
        }
        let mut graphs = Graphs::new(&definition.graphs)?;
        let mut metadata = Reader::new(&definition.metadata)?;
        let generator = graphs.need("generator")?;
        let discriminator = graphs.need("discriminator")?;
        let loss_discriminator = match graphs.take("loss_discriminator")? {
            Some(whole) => DiscriminatorLoss::Whole(whole),
            None => DiscriminatorLoss::Split {
                real: graphs.need("loss_discriminator.real")?,
                fake: graphs.need("loss_discriminator.fake")?,
            },
        };
        let loss_generator = graphs.need("loss_generator")?;
        let symmetry =
            metadata.one_of("symmetry", &[("symmetric", Symmetry::Symmetric), ("asymmetric", Symmetry::Asymmetric)])?;
        let latent = metadata.one_of("latent", &[("normal", Latent::Normal), ("uniform", Latent::Uniform)])?;
        let weight_clip = metadata.optional("weight_clip")?;
        let penalties = decode_penalties(&mut metadata)?;
        let weight_decays = metadata
            .optional_texts("weight_decays")?
            .into_iter()
            .map(|tensor| Ok(WeightDecay { weight: metadata.need(&format!("weight_decay.{tensor}"))?, tensor }));
        let weight_decays = weight_decays.collect::<Result<_, Error>>()?;
        let augmentation = decode_augmentation(&mut metadata)?;
        let states = metadata.texts("states")?.into_iter().map(|name| {
            let update = graphs.need(&format!("state.{name}"))?;
            Ok(State { initial: metadata.need(&format!("state.{name}.initial"))?, name, update })
        });
        let states = states.collect::<Result<_, Error>>()?;
        let one_stage = decode_defaults(&mut metadata, "one")?;
        let two_stage = decode_defaults(&mut metadata, "two")?;
        let options = metadata
            .texts("options")?
            .into_iter()
            .map(|name| decode_option(&mut metadata, name))
            .collect::<Result<_, _>>()?;
        graphs.finish()?;
        metadata.finish()?;
        Self {
            generator,
            discriminator,
            loss_discriminator,
            loss_generator,
            symmetry,
            latent,
            penalties,
            weight_decays,
            augmentation,
            weight_clip,
            states,
            one_stage,
            two_stage,
            options,
        }
        .check()
    }
}

const PENALTIES: &[(&str, PenaltyAt)] = &[
    ("interpolated", PenaltyAt::Interpolated),
    ("real", PenaltyAt::Real),
    ("fake", PenaltyAt::Fake),
    ("perturbed", PenaltyAt::Perturbed),
];

/// The name of a value in a table that has them all.
fn name_of<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, t)| *t == value).map_or("", |(name, _)| name)
}

fn decode_penalties(metadata: &mut Reader) -> Result<Vec<GradientPenalty>, Error> {
    let count: i64 = metadata.need("penalties")?;
    if !(0..=16).contains(&count) {
        return Err(Error::new(format!("`penalties` must be from 0 to 16, found {count}")));
    }
    let penalty = |i| {
        Ok(GradientPenalty {
            at: metadata.one_of(&format!("penalty.{i}.at"), PENALTIES)?,
            target: metadata.need(&format!("penalty.{i}.target"))?,
            weight: metadata.need(&format!("penalty.{i}.weight"))?,
            interval: metadata.optional(&format!("penalty.{i}.interval"))?.unwrap_or(1),
        })
    };
    (0..count).map(penalty).collect()
}

fn decode_augmentation(metadata: &mut Reader) -> Result<Augmentation, Error> {
    let transforms = metadata.optional_texts("augment")?.into_iter().map(|name| {
        Transform::ALL.iter().find(|(known, _)| *known == name).map(|(_, t)| *t).ok_or_else(|| {
            let known = Transform::ALL.map(|(n, _)| n).join(", ");
            Error::new(format!("metadata `augment` must list some of {known}, found {name:?}"))
        })
    });
    Ok(Augmentation { transforms: transforms.collect::<Result<_, _>>()?, target: metadata.optional("augment.target")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Builder, Linear,
        gan::{Defaults, Schedule, Span, Stages},
    };

    fn small() -> Gan {
        let g = Builder::new();
        let generator =
            g.finish(&g.input("latent", &[4]).linear("fc", 48, Linear::default()).tanh().reshape(&[3, 4, 4]));
        let d = Builder::new();
        let discriminator = d.finish(&d.input("image", &[3, 4, 4]).flatten().linear("score", 1, Linear::default()));
        Gan::builder(generator, discriminator)
            .loss_discriminator_whole(|s| (&s.fake - &s.real).mean() + s.state("lambda") * s.fake.square().mean())
            .loss_generator(|s| -s.fake.mean())
            .state("lambda", 0.5, |s| s.state("lambda") + s.real.square().mean() * 1e-3)
            .gradient_penalty(PenaltyAt::Interpolated, 1.0, 10.0)
            .lazy_gradient_penalty(PenaltyAt::Perturbed, 0.0, 5.0, 16)
            .weight_decay("score.weight", 1e-3)
            .augment_adaptively(&[Transform::Contrast, Transform::Cutout], 0.5)
            .weight_clip(0.01)
            .defaults(
                Stages::Two,
                Defaults::rmsprop(5e-5)
                    .n_critic(5)
                    .n_generator(2)
                    .critic_boost(100, 25, 500)
                    .schedule(Schedule::Cosine(Span { start: 5, end: None, factor: 0.1 })),
            )
            .defaults(
                Stages::One,
                Defaults::default().schedule(Schedule::MultiStep { milestones: vec![2, 4], gamma: 0.5 }),
            )
            .build()
            .unwrap()
    }

    #[test]
    fn a_gan_survives_the_way_to_data_and_back() {
        let gan = small();
        assert_eq!(Gan::decode(&gan.encode()).unwrap(), gan);
    }

    #[test]
    fn a_newer_opset_is_refused_before_anything_else_is_read() {
        let definition = Definition { opset: OPSET + 1, graphs: Vec::new(), metadata: Vec::new() };
        let message = Gan::decode(&definition).unwrap_err().to_string();
        assert!(message.starts_with("it is written in opset 2, this host knows opset 1; update tandem"), "{message}");
    }

    #[test]
    fn what_is_missing_unknown_or_doubled_is_named() {
        let refused = |change: &dyn Fn(&mut Definition)| {
            let mut definition = small().encode();
            change(&mut definition);
            Gan::decode(&definition).unwrap_err().to_string()
        };
        assert_eq!(refused(&|d| drop(d.graphs.remove(0))), "graph `generator` is missing");
        assert_eq!(
            refused(&|d| d.metadata.push(Named::new("mood", Value::Int(1)))),
            "metadata `mood` is unknown in opset 1"
        );
        assert_eq!(refused(&|d| d.metadata.push(d.metadata[0].clone())), "metadata `symmetry` is given twice");
        assert_eq!(
            refused(&|d| d.graphs[1].value.nodes[2].inputs = vec![7]),
            "graph `discriminator`: node 2: layer `score` (linear): input 7 is not an earlier node; this is node 2"
        );
    }
}
