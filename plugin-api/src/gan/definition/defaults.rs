//! What a definition says of its hyper-parameters.

use super::metadata::{Reader, Writer};
use crate::{
    Error,
    gan::{CriticBoost, Defaults, Optimizer, Schedule, Span},
    opset::Field as _,
    value::Value,
};

pub(super) fn encode_defaults(metadata: &mut Writer, mode: &str, defaults: &Defaults) {
    let key = |name: &str| format!("defaults.{mode}.{name}");
    metadata.put(&key("n_critic"), defaults.n_critic.encode());
    if defaults.n_generator != 1 {
        metadata.put(&key("n_generator"), defaults.n_generator.encode());
    }
    if let Some(CriticBoost { n_critic, first, every }) = defaults.critic_boost {
        metadata.put(&key("critic_boost"), Value::Ints(vec![n_critic, first, every]));
    }
    encode_schedule(metadata, mode, &defaults.schedule);
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

fn encode_schedule(metadata: &mut Writer, mode: &str, schedule: &Schedule) {
    let key = |name: &str| format!("defaults.{mode}.schedule{name}");
    let (name, span) = match schedule {
        Schedule::Constant => return,
        Schedule::MultiStep { milestones, gamma } => {
            metadata.put(&key(".milestones"), Value::Ints(milestones.clone()));
            metadata.put(&key(".gamma"), gamma.encode());
            ("multi-step", None)
        }
        Schedule::Linear(span) => ("linear", Some(span)),
        Schedule::Cosine(span) => ("cosine", Some(span)),
    };
    metadata.text(&key(""), name);
    if let Some(Span { start, end, factor }) = span {
        metadata.put(&key(".start"), start.encode());
        metadata.put(&key(".factor"), factor.encode());
        if let Some(end) = end {
            metadata.put(&key(".end"), end.encode());
        }
    }
}

fn decode_schedule(metadata: &mut Reader, mode: &str) -> Result<Schedule, Error> {
    let key = |name: &str| format!("defaults.{mode}.schedule{name}");
    if !metadata.has(&key("")) {
        return Ok(Schedule::Constant);
    }
    let kind = metadata.one_of(&key(""), &[("multi-step", 0), ("linear", 1), ("cosine", 2)])?;
    if kind == 0 {
        let (milestones, gamma) = (metadata.need(&key(".milestones"))?, metadata.need(&key(".gamma"))?);
        return Ok(Schedule::MultiStep { milestones, gamma });
    }
    let span = Span {
        start: metadata.need(&key(".start"))?,
        end: metadata.optional(&key(".end"))?,
        factor: metadata.need(&key(".factor"))?,
    };
    Ok(if kind == 1 { Schedule::Linear(span) } else { Schedule::Cosine(span) })
}

pub(super) fn decode_defaults(metadata: &mut Reader, mode: &str) -> Result<Defaults, Error> {
    let key = |name: &str| format!("defaults.{mode}.{name}");
    let n_critic = metadata.need(&key("n_critic"))?;
    let n_generator = metadata.optional(&key("n_generator"))?.unwrap_or(1);
    let boost: Option<Vec<i64>> = metadata.optional(&key("critic_boost"))?;
    let critic_boost = boost.map(|numbers| match numbers[..] {
        [n_critic, first, every] => Ok(CriticBoost { n_critic, first, every }),
        _ => Err(Error::new(format!("`{}` must be three integers, found {numbers:?}", key("critic_boost")))),
    });
    let (critic_boost, schedule) = (critic_boost.transpose()?, decode_schedule(metadata, mode)?);
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
    let (generator, discriminator) = (optimizer("generator")?, optimizer("discriminator")?);
    Ok(Defaults { generator, discriminator, n_critic, n_generator, critic_boost, schedule })
}
