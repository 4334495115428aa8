//! Each operation's rule: the result's type from the inputs' types, or a sentence that says which rule is broken.
//!
//! Sizes are checked as they arise, so a hostile definition cannot overflow anything further on.

mod window;

pub(super) use window::image;
use window::{pixel_shuffle, rescale, window};

use super::Op;
use crate::shape::{Dim, Element, MAX_ELEMENTS, Shape, TensorType};

/// More dimensions than any network needs; libtorch's own limit is 64.
const MAX_RANK: usize = 16;

type Typed = Result<TensorType, String>;

/// The result's type. `inputs` has the arity that the table asks for.
pub fn infer(op: &Op, inputs: &[TensorType]) -> Typed {
    if !matches!(op, Op::Embedding { .. } | Op::OneHot { .. } | Op::Detach {})
        && let Some(i) = inputs.iter().position(|t| t.element == Element::Label)
    {
        return Err(format!("input {i} holds labels; only embedding and one_hot take labels"));
    }
    let result = match op {
        Op::Input { .. } | Op::Constant { .. } | Op::Parameter { .. } => source(op),
        Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::MaxPool2d { .. } | Op::AvgPool2d { .. } => {
            window(op, &inputs[0])
        }
        Op::Linear { out_features, .. } => linear(&inputs[0].shape, *out_features),
        Op::Embedding { num_embeddings, embedding_dim, .. } => labelled(&inputs[0], *num_embeddings, *embedding_dim),
        Op::OneHot { num_classes } => labelled(&inputs[0], *num_classes, *num_classes),
        Op::BatchNorm { .. } | Op::GroupNorm { .. } | Op::InstanceNorm { .. } | Op::LayerNorm { .. } => {
            norm(op, &inputs[0])
        }
        Op::Dropout { p } if !(0.0..1.0).contains(p) => Err(format!("p must be in [0, 1), found {p}")),
        Op::Clamp { min, max } if min > max => Err(format!("min {min} is above max {max}")),
        Op::Softmax { dim } => axis(&inputs[0].shape, *dim).map(|_| inputs[0].clone()),
        Op::Add {} | Op::Sub {} | Op::Mul {} | Op::Div {} | Op::Minimum {} | Op::Maximum {} => {
            broadcast(&inputs[0], &inputs[1])
        }
        Op::Matmul {} => matmul(&inputs[0].shape, &inputs[1].shape),
        Op::Concat { dim } => concat(inputs, *dim),
        Op::Reshape { shape } => reshape(&inputs[0].shape, shape),
        Op::Flatten { start_dim } => flatten(&inputs[0].shape, *start_dim),
        Op::Permute { dims } => permute(&inputs[0].shape, dims),
        Op::Slice { dim, start, end, step } => slice(&inputs[0].shape, *dim, *start, *end, *step),
        Op::Mean { dims, keepdim }
        | Op::Sum { dims, keepdim }
        | Op::Logsumexp { dims, keepdim }
        | Op::Var { dims, keepdim, .. } => reduce(&inputs[0].shape, dims, *keepdim),
        Op::Upsample { scale_factor, .. } => rescale(&inputs[0].shape, *scale_factor),
        Op::PixelShuffle { upscale_factor } => pixel_shuffle(&inputs[0].shape, *upscale_factor),
        // What is left works element by element.
        _ => Ok(inputs[0].clone()),
    }?;
    bounded(result)
}

/// What a new definition may not hold, though a stored one may, which has its steps behind it: an operation whose result no
/// input changes, or is no number.
pub fn meaningful(op: &Op, inputs: &[TensorType]) -> Result<(), String> {
    let count = |dims: &[Dim]| dims.iter().map(|d| if let Dim::Size(n) = d { Some(*n) } else { None }).product();
    let constant = |what: String| Err(format!("{what}: its result would be constant"));
    match op {
        Op::GroupNorm { num_groups, .. } => {
            let shape = &inputs[0].shape;
            match count(&shape.0[1..]) {
                Some(values) if values == *num_groups => {
                    constant(format!("needs more than one value in each of its {num_groups} groups, found {shape}"))
                }
                _ => Ok(()),
            }
        }
        Op::LayerNorm { normalized_shape, .. } if normalized_shape.iter().all(|&n| n == 1) => {
            constant(format!("needs more than one value to normalise, found {normalized_shape:?}"))
        }
        Op::Var { dims, unbiased: true, .. } => {
            let shape = &inputs[0].shape;
            let over = |i: &usize| dims.is_empty() || dims.iter().any(|&d| axis(shape, d) == Ok(*i));
            let reduced: Vec<Dim> = (0..shape.rank()).filter(over).map(|i| shape.0[i]).collect();
            if count(&reduced) == Some(1) {
                return Err(format!(
                    "is unbiased and needs more than one value, found {shape}: its result would be no number"
                ));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether the operation mixes samples of a batch, so that one sample's output depends on the others.
pub fn couples_batch(op: &Op, inputs: &[TensorType]) -> bool {
    let touches_batch = |dims: &[i64]| {
        let shape = &inputs[0].shape;
        shape.is_batched() && (dims.is_empty() || dims.iter().any(|&d| axis(shape, d) == Ok(0)))
    };
    match op {
        Op::BatchNorm { .. } => true,
        // [N, 1] and [1, N] together make every pair of samples: the batch is no longer the first dimension alone.
        _ if infer(op, inputs).is_ok_and(|t| t.shape.sample().is_none()) => true,
        Op::Mean { dims, .. } | Op::Sum { dims, .. } | Op::Var { dims, .. } | Op::Logsumexp { dims, .. } => {
            touches_batch(dims)
        }
        Op::Softmax { dim } => touches_batch(&[*dim]),
        Op::Permute { dims } => inputs[0].shape.is_batched() && dims.first() != Some(&0),
        Op::Flatten { start_dim } => touches_batch(&[*start_dim]),
        _ => false,
    }
}

fn bounded(t: TensorType) -> Typed {
    if t.shape.rank() > MAX_RANK {
        return Err(format!("the result would have {} dimensions, more than {MAX_RANK}", t.shape.rank()));
    }
    let mut elements: i64 = 1;
    for d in &t.shape.0 {
        let Dim::Size(n) = *d else { continue };
        if n < 1 {
            return Err(format!("the result would be {}: every size must be at least 1", t.shape));
        }
        elements = elements
            .checked_mul(n)
            .filter(|&e| e <= MAX_ELEMENTS)
            .ok_or_else(|| format!("the result would be {}: more than {MAX_ELEMENTS} elements a sample", t.shape))?;
    }
    Ok(t)
}

fn source(op: &Op) -> Typed {
    match op {
        Op::Input { batched, shape, labels, .. } => {
            let shape = if *batched { Shape::batched(shape) } else { Shape::fixed(shape) };
            Ok(TensorType { shape, element: if *labels { Element::Label } else { Element::Float } })
        }
        Op::Constant { shape, values } => {
            let t = bounded(TensorType::float(Shape::fixed(shape)))?;
            let want = t.shape.elements_per_sample();
            if want == values.len() as i64 {
                Ok(t)
            } else {
                Err(format!("shape {} holds {want} values, found {}", t.shape, values.len()))
            }
        }
        Op::Parameter { shape, .. } => Ok(TensorType::float(Shape::fixed(shape))),
        _ => Err("not a source".into()),
    }
}

fn positive(what: &str, values: &[i64]) -> Result<(), String> {
    // The upper bound keeps products of two attributes far from overflow.
    match values.iter().find(|v| !(1..=1 << 20).contains(*v)) {
        Some(v) => Err(format!("{what} must be between 1 and {}, found {v}", 1 << 20)),
        None => Ok(()),
    }
}

fn not_negative(what: &str, values: &[i64]) -> Result<(), String> {
    match values.iter().find(|v| !(0..=1 << 20).contains(*v)) {
        Some(v) => Err(format!("{what} must be between 0 and {}, found {v}", 1 << 20)),
        None => Ok(()),
    }
}

/// That a weight of these sizes is not absurdly large; [`super::parameters`] multiplies them without a check.
fn weight(sizes: &[i64]) -> Result<(), String> {
    match sizes.iter().try_fold(1_i64, |product, &n| product.checked_mul(n).filter(|&p| p <= MAX_ELEMENTS)) {
        Some(_) => Ok(()),
        None => Err(format!("the weight {sizes:?} would have more than {MAX_ELEMENTS} elements")),
    }
}

fn linear(shape: &Shape, out_features: i64) -> Typed {
    positive("out_features", &[out_features])?;
    match shape.0.split_last() {
        Some((Dim::Size(features), rest)) => {
            weight(&[out_features, *features])?;
            let mut dims = rest.to_vec();
            dims.push(Dim::Size(out_features));
            Ok(TensorType::float(Shape(dims)))
        }
        _ => Err(format!("needs a last dimension of features, found {shape}")),
    }
}

fn labelled(input: &TensorType, classes: i64, width: i64) -> Typed {
    positive("the number of classes", &[classes])?;
    positive("the width", &[width])?;
    weight(&[classes, width])?;
    if input.element != Element::Label {
        return Err(format!("needs labels, found real numbers {}", input.shape));
    }
    let mut dims = input.shape.0.clone();
    dims.push(Dim::Size(width));
    Ok(TensorType::float(Shape(dims)))
}

fn norm(op: &Op, input: &TensorType) -> Typed {
    let shape = &input.shape;
    let channels = match (shape.0.first(), shape.0.get(1)) {
        (Some(Dim::Batch), Some(Dim::Size(c))) => *c,
        _ if matches!(op, Op::LayerNorm { .. }) => 0,
        _ => return Err(format!("needs [N, C, …], found {shape}")),
    };
    let eps = match op {
        Op::BatchNorm { eps, momentum, .. } => {
            if !(0.0..=1.0).contains(momentum) {
                return Err(format!("momentum must be in [0, 1], found {momentum}"));
            }
            *eps
        }
        Op::InstanceNorm { eps, .. } => {
            let (_, h, w) = image(shape)?;
            if (h, w) == (1, 1) {
                return Err(format!("needs more than one pixel, found {shape}: its result would be constant"));
            }
            *eps
        }
        Op::GroupNorm { num_groups, eps, .. } => {
            positive("num_groups", &[*num_groups])?;
            if channels % num_groups != 0 {
                return Err(format!("num_groups = {num_groups} must divide the {channels} channels of {shape}"));
            }
            *eps
        }
        Op::LayerNorm { normalized_shape, eps, .. } => {
            let tail = shape.rank().checked_sub(normalized_shape.len()).map(|k| &shape.0[k..]);
            let want: Vec<Dim> = normalized_shape.iter().map(|&n| Dim::Size(n)).collect();
            if want.is_empty() || tail != Some(&want[..]) {
                return Err(format!("normalized_shape {normalized_shape:?} must be the last dimensions of {shape}"));
            }
            *eps
        }
        _ => return Err("no norm".into()),
    };
    if eps <= 0.0 {
        return Err(format!("eps must be above 0, found {eps}"));
    }
    Ok(input.clone())
}

fn broadcast(a: &TensorType, b: &TensorType) -> Typed {
    a.shape.broadcast(&b.shape).map(TensorType::float).ok_or_else(|| {
        format!(
            "{} and {} do not broadcast: sizes must be equal or 1, counted from the last dimension",
            a.shape, b.shape
        )
    })
}

fn matmul(a: &Shape, b: &Shape) -> Typed {
    let wrong = || format!("needs […, m, k] and […, k, n], found {a} and {b}");
    let (Some(la), Some(lb)) = (a.rank().checked_sub(2), b.rank().checked_sub(2)) else { return Err(wrong()) };
    if a.0[la + 1] != b.0[lb] || a.0[la + 1] == Dim::Batch || b.0[lb + 1] == Dim::Batch {
        return Err(wrong());
    }
    let lead = Shape(a.0[..la].to_vec()).broadcast(&Shape(b.0[..lb].to_vec())).ok_or_else(wrong)?;
    let mut dims = lead.0;
    dims.extend([a.0[la], b.0[lb + 1]]);
    Ok(TensorType::float(Shape(dims)))
}

/// A dimension counted from either end, as an index.
pub(super) fn axis(shape: &Shape, dim: i64) -> Result<usize, String> {
    let rank = shape.rank() as i64;
    if !(-rank..rank).contains(&dim) {
        return Err(format!("dimension {dim} is not in {shape}"));
    }
    Ok(dim.rem_euclid(rank) as usize)
}

/// As [`axis`], for operations that may not cut or grow the batch.
fn inner_axis(shape: &Shape, dim: i64) -> Result<usize, String> {
    let i = axis(shape, dim)?;
    if shape.0[i] == Dim::Batch {
        Err(format!("dimension {dim} of {shape} is the batch, which must stay whole"))
    } else {
        Ok(i)
    }
}

fn concat(inputs: &[TensorType], dim: i64) -> Typed {
    let first = &inputs[0].shape;
    let i = inner_axis(first, dim)?;
    let mut total = 0;
    for t in inputs {
        let same = t.shape.rank() == first.rank() && (0..first.rank()).all(|k| k == i || t.shape.0[k] == first.0[k]);
        match t.shape.0.get(i) {
            Some(Dim::Size(n)) if same => total += n,
            _ => return Err(format!("{first} and {} differ in more than dimension {dim}", t.shape)),
        }
    }
    let mut dims = first.0.clone();
    dims[i] = Dim::Size(total);
    Ok(TensorType::float(Shape(dims)))
}

fn reshape(shape: &Shape, to: &[i64]) -> Typed {
    let from = shape.sample().ok_or_else(|| format!("the batch must come first, found {shape}"))?;
    let result = bounded(TensorType::float(if shape.is_batched() { Shape::batched(to) } else { Shape::fixed(to) }))?;
    let (have, want) = (from.iter().product::<i64>(), result.shape.elements_per_sample());
    if have == want {
        Ok(result)
    } else {
        Err(format!("{shape} has {have} elements a sample, {} has {want}", result.shape))
    }
}

fn flatten(shape: &Shape, start_dim: i64) -> Typed {
    let i = inner_axis(shape, start_dim)?;
    if shape.0[1..].contains(&Dim::Batch) {
        return Err(format!("the batch must come first, found {shape}"));
    }
    let joined =
        shape.0[i..].iter().map(|d| if let Dim::Size(n) = d { Some(*n) } else { None }).product::<Option<i64>>();
    let joined = joined.ok_or_else(|| format!("the batch must come first, found {shape}"))?;
    let mut dims = shape.0[..i].to_vec();
    dims.push(Dim::Size(joined));
    Ok(TensorType::float(Shape(dims)))
}

fn permute(shape: &Shape, dims: &[i64]) -> Typed {
    let mut sorted = dims.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..shape.rank() as i64) {
        return Err(format!("dims {dims:?} must name each dimension of {shape} once"));
    }
    Ok(TensorType::float(Shape(dims.iter().map(|&d| shape.0[d as usize]).collect())))
}

fn slice(shape: &Shape, dim: i64, start: i64, end: i64, step: i64) -> Typed {
    let i = inner_axis(shape, dim)?;
    let Dim::Size(n) = shape.0[i] else { return Err("the batch cannot be sliced".into()) };
    if !(0 <= start && start < end && end <= n && step >= 1) {
        return Err(format!("[{start}:{end}:{step}] is not a range of the {n} entries in dimension {dim} of {shape}"));
    }
    let mut dims = shape.0.clone();
    dims[i] = Dim::Size((end - start - 1) / step + 1);
    Ok(TensorType::float(Shape(dims)))
}

fn reduce(shape: &Shape, dims: &[i64], keepdim: bool) -> Typed {
    let mut gone = dims.iter().map(|&d| axis(shape, d)).collect::<Result<Vec<_>, _>>()?;
    gone.sort_unstable();
    if gone.windows(2).any(|p| p[0] == p[1]) {
        return Err(format!("dims {dims:?} name a dimension of {shape} twice"));
    }
    let all = dims.is_empty();
    let kept = shape.0.iter().enumerate().filter_map(|(i, &d)| {
        let reduced = all || gone.contains(&i);
        if reduced { keepdim.then_some(Dim::Size(1)) } else { Some(d) }
    });
    Ok(TensorType::float(Shape(kept.collect())))
}

#[cfg(test)]
mod tests;
