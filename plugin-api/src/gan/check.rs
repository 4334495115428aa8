//! Everything that can be known of a GAN without computing: inputs and outputs that fit, losses that are numbers.
//!
//! Whether a declared symmetry is true needs numbers, so the host checks that.

use super::{DiscriminatorLoss, Gan, WeightDecay};
use crate::{
    Error, Network,
    network::{describe, is_legal_name},
    opset::{Op, Parameter, Role},
    options::Images,
    shape::{Element, Shape, TensorType},
};

/// Numbers that a network may own, learned and not: 8 GiB in float64, in which first values are drawn.
const MAX_NUMBERS: i64 = 1 << 30;
/// States of a loss.
const MAX_STATES: usize = 64;

/// What losses are written over; no state may take these names.
const SCORES: [&str; 3] = ["real", "fake", "labels"];

impl Gan {
    /// That the networks fit a data set: its images, and its labels if they use any.
    pub fn fits(&self, images: Images) -> Result<(), Error> {
        let Images { channels, size, classes } = images;
        let (made, wanted) = (&self.generator.output_type().shape, Shape::batched(&[channels, size, size]));
        if *made != wanted {
            return Err(Error::new(format!("the generator makes {made}, the data are {wanted}")));
        }
        for (place, network) in self.graphs() {
            if classes == 0 && network.input("labels").is_some() {
                return Err(Error::new("uses labels, and the data have none").within(place));
            }
            for node in network.nodes() {
                if let Op::OneHot { num_classes: n } | Op::Embedding { num_embeddings: n, .. } = node.op
                    && n < classes
                {
                    let name = node.op.name();
                    return Err(
                        Error::new(format!("{name} has room for {n} classes, the data have {classes}")).within(place)
                    );
                }
            }
        }
        Ok(())
    }

    /// That each operation of a new definition has a result that depends on its input. Stored ones may have such, from before it
    /// was asked: they can be sampled and exported as they were trained.
    pub fn check_meaning(&self) -> Result<(), Error> {
        self.graphs().into_iter().try_for_each(|(place, network)| {
            network.check_meaning().map_err(|e| e.within(format_args!("graph `{place}`")))
        })
    }

    /// All graphs by their names in the definition.
    pub(super) fn graphs(&self) -> Vec<(String, &Network)> {
        let mut all =
            vec![("generator".to_owned(), &self.generator), ("discriminator".to_owned(), &self.discriminator)];
        all.extend(self.losses());
        all
    }

    /// The losses and the states' updates by their names in the definition.
    pub(super) fn losses(&self) -> Vec<(String, &Network)> {
        let mut all = match &self.loss_discriminator {
            DiscriminatorLoss::Split { real, fake } => {
                vec![("loss_discriminator.real".to_owned(), real), ("loss_discriminator.fake".to_owned(), fake)]
            }
            DiscriminatorLoss::Whole(loss) => vec![("loss_discriminator".to_owned(), loss)],
        };
        all.push(("loss_generator".to_owned(), &self.loss_generator));
        all.extend(self.states.iter().map(|s| (format!("state.{}", s.name), &s.update)));
        all
    }

    pub(super) fn check(self) -> Result<Self, Error> {
        self.check_networks()?;
        self.check_states()?;
        self.check_losses()?;
        self.check_numbers()?;
        Ok(self)
    }

    fn check_networks(&self) -> Result<(), Error> {
        let missing = |name| Error::new(format!("its output does not depend on `{name}`"));
        let latent = self.generator.input("latent").ok_or_else(|| missing("latent").within("generator"))?;
        if !latent.shape.is_batched() || !matches!(latent.shape.sample().as_deref(), Some([_])) {
            return Err(Error::new(format!("`latent` must be [N, z], found {}", latent.shape)).within("generator"));
        }
        let image = self.discriminator.input("image").ok_or_else(|| missing("image").within("discriminator"))?;
        if !image.shape.is_batched() || image.shape.rank() != 4 {
            let message = format!("`image` must be [N, C, H, W], found {}", image.shape);
            return Err(Error::new(message).within("discriminator"));
        }
        let made = &self.generator.output_type().shape;
        if made != &image.shape {
            return Err(Error::new(format!(
                "the generator makes {made}, the discriminator takes {}; they must be equal",
                image.shape
            )));
        }
        let scores = &self.discriminator.output_type().shape;
        if !scores.is_batched() || scores.sample().is_none() {
            return Err(Error::new(format!("the output must keep the batch first and whole, found {scores}"))
                .within("discriminator"));
        }
        for (place, network, input) in
            [("generator", &self.generator, "latent"), ("discriminator", &self.discriminator, "image")]
        {
            check_inputs(network, &[input], &[]).and_then(|()| check_size(network)).map_err(|e| e.within(place))?;
        }
        Ok(())
    }

    fn check_states(&self) -> Result<(), Error> {
        if self.states.len() > MAX_STATES {
            return Err(Error::new(format!("at most {MAX_STATES} states, found {}", self.states.len())));
        }
        for (i, s) in self.states.iter().enumerate() {
            let taken = SCORES.contains(&s.name.as_str()) || self.states[..i].iter().any(|t| t.name == s.name);
            if !s.initial.is_finite() || taken || !is_legal_name(&s.name) {
                return Err(Error::new(format!(
                    "state {:?} must start finite and have a name of its own, of letters, digits, `_`, `-` or `.`",
                    s.name
                )));
            }
        }
        Ok(())
    }

    fn check_losses(&self) -> Result<(), Error> {
        let states: Vec<&str> = self.states.iter().map(|s| s.name.as_str()).collect();
        for (place, loss) in self.losses() {
            // A split loss's terms each know one kind of score; that is what makes it split.
            let scores: &[&str] = match place.as_str() {
                "loss_discriminator.real" => &["real"],
                "loss_discriminator.fake" => &["fake"],
                _ => &["real", "fake"],
            };
            self.check_loss(loss, scores, &states).map_err(|e| e.within(place))?;
        }
        if self.loss_generator.input("fake").is_none() {
            return Err(Error::new("loss_generator: does not depend on the fake scores, so G would never learn"));
        }
        Ok(())
    }

    fn check_loss(&self, loss: &Network, scores: &[&str], states: &[&str]) -> Result<(), Error> {
        let shape = &loss.output_type().shape;
        if *shape != Shape::scalar() {
            return Err(Error::new(format!("must be one number, found {shape}; reduce it with mean() or sum()")));
        }
        if let Some(p) = loss.parameters().first() {
            return Err(Error::new(format!("a loss owns no parameters, found `{}`", p.name)));
        }
        let score = self.score_shape();
        for name in scores {
            if let Some(t) = loss.input(name).filter(|t| t.shape != score) {
                return Err(Error::new(format!(
                    "`{name}` must be {score} as the discriminator's output, found {}",
                    t.shape
                )));
            }
        }
        check_inputs(loss, scores, states)
    }

    fn check_numbers(&self) -> Result<(), Error> {
        if let Some(c) = self.weight_clip.filter(|c| !(c.is_finite() && *c > 0.0)) {
            return Err(Error::new(format!("weight_clip must be above 0, found {c}")));
        }
        for p in &self.penalties {
            if !(p.weight.is_finite() && p.weight >= 0.0 && p.target.is_finite() && p.target >= 0.0) {
                return Err(Error::new(format!(
                    "a gradient penalty's weight and target must be 0 or more, found {} and {}",
                    p.weight, p.target
                )));
            }
        }
        if let Some(p) = self.penalties.iter().find(|p| !(1..=1_000_000).contains(&p.interval)) {
            return Err(Error::new(format!(
                "a gradient penalty's interval must be from 1 to 1000000 steps of D, found {}",
                p.interval
            )));
        }
        self.check_penalised_scores()?;
        self.check_weight_decays()?;
        self.augmentation.check(self.channels())?;
        self.one_stage.check().map_err(|e| e.within("defaults for one stage"))?;
        self.two_stage.check().map_err(|e| e.within("defaults for two stages"))
    }
}

impl Gan {
    /// `∇ₓ D(x)` is one sample's only if no other sample and no other score is in it.
    fn check_penalised_scores(&self) -> Result<(), Error> {
        if self.penalties.is_empty() {
            return Ok(());
        }
        let wrong = |what: String| {
            Err(Error::new(format!(
                "a gradient penalty needs a discriminator with one score for each sample alone; {what}"
            )))
        };
        if let Some(op) = self.discriminator.batch_coupling() {
            return wrong(format!("{} mixes the samples of a batch", describe(op)));
        }
        if self.score_shape() != Shape::batched(&[]) {
            return wrong(format!("it gives {}", self.score_shape()));
        }
        Ok(())
    }

    fn channels(&self) -> i64 {
        let image = self.discriminator.input("image").and_then(|t| t.shape.sample());
        image.and_then(|dims| dims.first().copied()).unwrap_or(0)
    }

    fn check_weight_decays(&self) -> Result<(), Error> {
        for (i, decay) in self.weight_decays.iter().enumerate() {
            let WeightDecay { tensor, weight } = decay;
            if !(weight.is_finite() && *weight >= 0.0) {
                return Err(Error::new(format!("weight_decay of `{tensor}` must be 0 or more, found {weight}")));
            }
            if self.weight_decays[..i].iter().any(|w| w.tensor == *tensor) {
                return Err(Error::new(format!("weight_decay of `{tensor}` is declared twice")));
            }
            let learned = self.discriminator.parameters().into_iter().filter(|p| p.role == Role::Learned);
            let names: Vec<String> = learned.map(|p| p.name).collect();
            if !names.iter().any(|name| decay.is_of(name)) {
                let names = names.join(", ");
                return Err(Error::new(format!(
                    "weight_decay: the discriminator learns no tensor `{tensor}`; it learns: {names}"
                )));
            }
        }
        Ok(())
    }
}

/// That a network has something to learn, and not more than a machine can hold.
fn check_size(network: &Network) -> Result<(), Error> {
    if network.learned_count() == 0 {
        return Err(Error::new("has no layer with weights, so there is nothing to train"));
    }
    let parameters = network.parameters();
    let count = |p: &Parameter| p.shape.iter().product::<i64>();
    // Each is at most 2^31, and a graph holds at most 100,000 operations: no sum overflows.
    let all: i64 = parameters.iter().map(count).sum();
    match parameters.iter().max_by_key(|p| count(p)) {
        Some(largest) if all > MAX_NUMBERS => Err(Error::new(format!(
            "owns {all} numbers, at most {MAX_NUMBERS} are allowed; the largest tensor is `{}` with {}",
            largest.name,
            count(largest)
        ))),
        _ => Ok(()),
    }
}

/// That a graph has no inputs but `tensors` (of real numbers), `states` (one number each) and the labels `[N]`.
fn check_inputs(network: &Network, tensors: &[&str], states: &[&str]) -> Result<(), Error> {
    let number = TensorType::float(Shape::scalar());
    let labels = TensorType { shape: Shape::batched(&[]), element: Element::Label };
    for (name, found) in network.inputs() {
        let fits = match name {
            "labels" => *found == labels,
            _ if tensors.contains(&name) => found.element == Element::Float,
            _ if states.contains(&name) => *found == number,
            _ => {
                let known: Vec<&str> = tensors.iter().chain(states).chain(&["labels"]).copied().collect();
                return Err(Error::new(format!("input `{name}` is not one of: {}", known.join(", "))));
            }
        };
        if !fits {
            return Err(Error::new(match name {
                "labels" => "`labels` must be class labels [N]; take them from Builder::labels".into(),
                _ if tensors.contains(&name) => format!("`{name}` must hold real numbers, found labels"),
                _ => {
                    format!("the state `{name}` must be one number, found {}; take it from Scores::state", found.shape)
                }
            }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
