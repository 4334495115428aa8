//! [`Gan`] to [`Definition`] and back: the one place that knows the names of graphs and metadata.
//!
//! Decoding accepts what any plugin may send and lets nothing through that [`Gan`] does not promise.

use std::collections::BTreeMap;

use super::{
    Augmentation, Defaults, DiscriminatorLoss, Gan, GradientPenalty, Latent, Optimizer, PenaltyAt, State, Symmetry,
    Transform, WeightDecay,
};
use crate::{
    Error, Network,
    network::is_legal_name,
    opset::{Field, OPSET},
    options::{OptionInfo, OptionKind},
    value::{Definition, Graph, Named, Value},
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

fn encode_defaults(metadata: &mut Writer, mode: &str, defaults: &Defaults) {
    metadata.put(&format!("defaults.{mode}.n_critic"), defaults.n_critic.encode());
    for (who, optimizer) in [("generator", &defaults.generator), ("discriminator", &defaults.discriminator)] {
        let key = |name: &str| format!("defaults.{mode}.{who}.{name}");
        let (name, learning_rate) = match optimizer {
            Optimizer::Adam { learning_rate, betas } => {
                metadata.put(&key("betas"), Value::Floats(betas.to_vec()));
                ("adam", learning_rate)
            }
            Optimizer::RmsProp { learning_rate } => ("rmsprop", learning_rate),
            Optimizer::Sgd { learning_rate, momentum } => {
                metadata.put(&key("momentum"), momentum.encode());
                ("sgd", learning_rate)
            }
        };
        metadata.text(&key("optimizer"), name);
        metadata.put(&key("learning_rate"), learning_rate.encode());
    }
}

fn decode_defaults(metadata: &mut Reader, mode: &str) -> Result<Defaults, Error> {
    let n_critic = metadata.need(&format!("defaults.{mode}.n_critic"))?;
    let mut optimizer = |who: &str| -> Result<Optimizer, Error> {
        let key = |name: &str| format!("defaults.{mode}.{who}.{name}");
        let learning_rate = metadata.need(&key("learning_rate"))?;
        match metadata.one_of(&key("optimizer"), &[("adam", 0), ("rmsprop", 1), ("sgd", 2)])? {
            0 => {
                let betas: Vec<f64> = metadata.need(&key("betas"))?;
                let betas = betas
                    .try_into()
                    .map_err(|b| Error::new(format!("`{}` must be two numbers, found {b:?}", key("betas"))))?;
                Ok(Optimizer::Adam { learning_rate, betas })
            }
            1 => Ok(Optimizer::RmsProp { learning_rate }),
            _ => Ok(Optimizer::Sgd { learning_rate, momentum: metadata.need(&key("momentum"))? }),
        }
    };
    Ok(Defaults { generator: optimizer("generator")?, discriminator: optimizer("discriminator")?, n_critic })
}

fn encode_option(metadata: &mut Writer, option: &OptionInfo) {
    let key = |field: &str| format!("option.{}.{field}", option.name);
    let kind = match &option.kind {
        OptionKind::Choice(choices) => {
            metadata.put(&key("choices"), Value::Texts(choices.clone()));
            "choice"
        }
        OptionKind::Integer(low, high) => {
            metadata.put(&key("range"), Value::Ints(vec![*low, *high]));
            "integer"
        }
        OptionKind::Number(low, high) => {
            metadata.put(&key("range"), Value::Floats(vec![*low, *high]));
            "number"
        }
        OptionKind::Flag => "flag",
    };
    metadata.text(&key("kind"), kind);
    metadata.text(&key("help"), &option.help);
    metadata.put(&key("default"), option.default.clone());
    metadata.put(&key("value"), option.value.clone());
}

fn decode_option(metadata: &mut Reader, name: String) -> Result<OptionInfo, Error> {
    let key = |field: &str| format!("option.{name}.{field}");
    let range = |value: Value| Error::new(format!("`{}` must be two ends, found {value}", key("range")));
    let kind = match metadata.one_of(&key("kind"), &[("choice", 0), ("integer", 1), ("number", 2), ("flag", 3)])? {
        0 => OptionKind::Choice(metadata.texts(&key("choices"))?),
        1 => match metadata.value(&key("range"))? {
            Value::Ints(ends) if ends.len() == 2 => OptionKind::Integer(ends[0], ends[1]),
            other => return Err(range(other)),
        },
        2 => match metadata.value(&key("range"))? {
            Value::Floats(ends) if ends.len() == 2 => OptionKind::Number(ends[0], ends[1]),
            other => return Err(range(other)),
        },
        _ => OptionKind::Flag,
    };
    let help: String = metadata.need(&key("help"))?;
    let (default, value) = (metadata.value(&key("default"))?, metadata.value(&key("value"))?);
    // They are shown on terminals and kept as JSON, which has no infinity.
    let finite = |value: &Value| !matches!(value, Value::Float(x) if !x.is_finite());
    let ends = !matches!(kind, OptionKind::Number(low, high) if !(low.is_finite() && high.is_finite()));
    if !is_legal_name(&name) || help.chars().any(char::is_control) || !(ends && finite(&default) && finite(&value)) {
        return Err(Error::new(format!(
            "option {name:?} must have a name of letters, digits, `_`, `-` or `.`, one line of help, and finite numbers"
        )));
    }
    Ok(OptionInfo { name, help, kind, default, value })
}

#[derive(Default)]
struct Writer(Vec<Named<Value>>);

impl Writer {
    fn put(&mut self, name: &str, value: Value) {
        self.0.push(Named::new(name, value));
    }

    fn text(&mut self, name: &str, text: &str) {
        self.put(name, Value::Text(text.into()));
    }
}

/// The metadata while it is read; what is left at the end is a key of a newer opset or a mistake.
struct Reader<'a>(BTreeMap<&'a str, &'a Value>);

impl<'a> Reader<'a> {
    fn new(all: &'a [Named<Value>]) -> Result<Self, Error> {
        let mut map = BTreeMap::new();
        match all.iter().find(|n| map.insert(n.name.as_str(), &n.value).is_some()) {
            Some(twice) => Err(Error::new(format!("metadata `{}` is given twice", twice.name))),
            None => Ok(Self(map)),
        }
    }

    fn value(&mut self, key: &str) -> Result<Value, Error> {
        self.0.remove(key).cloned().ok_or_else(|| Error::new(format!("metadata `{key}` is missing")))
    }

    fn need<T: Field>(&mut self, key: &str) -> Result<T, Error> {
        let value = self.value(key)?;
        T::decode(&value).ok_or_else(|| Error::new(format!("metadata `{key}` must be {}, found {value}", T::KIND)))
    }

    fn optional<T: Field>(&mut self, key: &str) -> Result<Option<T>, Error> {
        if self.0.contains_key(key) { self.need(key).map(Some) } else { Ok(None) }
    }

    fn optional_texts(&mut self, key: &str) -> Result<Vec<String>, Error> {
        if self.0.contains_key(key) { self.texts(key) } else { Ok(Vec::new()) }
    }

    fn texts(&mut self, key: &str) -> Result<Vec<String>, Error> {
        match self.value(key)? {
            Value::Texts(texts) => Ok(texts),
            other => Err(Error::new(format!("metadata `{key}` must be a list of texts, found {other}"))),
        }
    }

    fn one_of<T: Copy>(&mut self, key: &str, known: &[(&str, T)]) -> Result<T, Error> {
        let text: String = self.need(key)?;
        known.iter().find(|(name, _)| *name == text).map(|(_, t)| *t).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(n, _)| *n).collect();
            Error::new(format!("metadata `{key}` must be one of {}, found {text:?}", names.join(", ")))
        })
    }

    fn finish(self) -> Result<(), Error> {
        match self.0.first_key_value() {
            Some((key, _)) => Err(Error::new(format!("metadata `{key}` is unknown in opset {OPSET}"))),
            None => Ok(()),
        }
    }
}

struct Graphs<'a>(BTreeMap<&'a str, &'a Graph>);

impl<'a> Graphs<'a> {
    fn new(all: &'a [Named<Graph>]) -> Result<Self, Error> {
        let mut map = BTreeMap::new();
        match all.iter().find(|n| map.insert(n.name.as_str(), &n.value).is_some()) {
            Some(twice) => Err(Error::new(format!("graph `{}` is given twice", twice.name))),
            None => Ok(Self(map)),
        }
    }

    fn take(&mut self, name: &str) -> Result<Option<Network>, Error> {
        self.0
            .remove(name)
            .map(|g| Network::decode(g).map_err(|e| e.within(format_args!("graph `{name}`"))))
            .transpose()
    }

    fn need(&mut self, name: &str) -> Result<Network, Error> {
        self.take(name)?.ok_or_else(|| Error::new(format!("graph `{name}` is missing")))
    }

    fn finish(self) -> Result<(), Error> {
        match self.0.first_key_value() {
            Some((name, _)) => Err(Error::new(format!("graph `{name}` is unknown in opset {OPSET}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Linear, gan::Stages};

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
            .defaults(Stages::Two, Defaults::rmsprop(5e-5).n_critic(5))
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
