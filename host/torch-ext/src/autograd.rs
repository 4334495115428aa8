//! Vector-Jacobian products with chosen seeds. Accumulating into `.grad` is `tch`'s own `backward`.

use std::borrow::Borrow;

use tch::Tensor;

use crate::TorchError;
use crate::ffi::{self, Out, TensorRef, refs};

/// `sum_k grad_outputs[k]^T d outputs[k] / d inputs[j]` for each input `j`, in the inputs' shapes.
///
/// Only what `inputs` need is computed: asking for the image alone leaves out every weight gradient.
/// Nothing is accumulated into `.grad`. An input that the outputs do not depend on gets zeros. A seed
/// may be `None` only for an output with one element, where it means 1; otherwise it has the
/// output's shape. Inputs must require a gradient.
///
/// `retain_graph` keeps the graph for another call, `create_graph` makes the result differentiable
/// (and keeps the graph too).
pub fn grad(
    outputs: &[impl Borrow<Tensor>],
    grad_outputs: &[Option<&Tensor>],
    inputs: &[impl Borrow<Tensor>],
    retain_graph: bool,
    create_graph: bool,
) -> Result<Vec<Tensor>, TorchError> {
    let seeds: Vec<TensorRef<'_>> = grad_outputs.iter().map(|&seed| seed.into()).collect();
    let (outputs, inputs) = (refs(outputs), refs(inputs));
    let (status, grads) =
        ffi::grad((&outputs).into(), (&seeds).into(), (&inputs).into(), retain_graph || create_graph, create_graph);
    status.check("grad")?;
    Ok(grads.into_iter().map(Out::take).collect())
}
