//! PyTorch `state_dict`s from elsewhere, as a network of ours takes them: read from safetensors, under our names and in our
//! types, or refused with every tensor that is wrong.

mod file;
mod names;
mod values;

use std::{collections::BTreeMap, path::Path};

use tandem_plugin_api::{
    Network,
    opset::{Parameter, Role},
};
use tch::{Device, Kind, Tensor};

use super::{
    SessionError,
    arrays::{to_array, to_tensor},
};
use crate::{
    export::{ExportError, Target, Weights},
    run::{ArrayType, NamedArray, read_arrays},
    text::Show as _,
};

/// A network's tensors from a file, in float32 whichever real type they had, or all that is wrong with them. Needs neither a
/// plugin nor an accelerator, and no more memory than a few times the file's size.
pub fn state_dict(file: &Path, target: Target, network: &Network) -> Result<Vec<NamedArray>, SessionError> {
    file::check(file)?;
    let (arrays, _) = read_arrays(file)?;
    let parameters = network.parameters();
    let mut wrong = Vec::new();
    let arrays = names::translated(arrays, &parameters);
    // What is not the network's, or of another shape, is told as the file has it.
    let shapes: BTreeMap<&str, &[i64]> = parameters.iter().map(|p| (p.name.as_str(), &p.shape[..])).collect();
    let fits = |array: &NamedArray| {
        let shape = shapes.get(array.name.as_str());
        shape.is_some_and(|shape| array.shape.iter().map(|&n| n as i64).eq(shape.iter().copied()))
    };
    let arrays = arrays.into_iter().map(|array| if fits(&array) { widened(array, &mut wrong) } else { Ok(array) });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let arrays = with_counters(arrays, &parameters)?;
    let origin = file.shown().to_string();
    let weights = Weights::check(network, target, &arrays, &origin)?;
    // Numbers that are none say it all; of others there is more to ask.
    if wrong.is_empty() {
        wrong = values::impossible(&arrays, &parameters);
    }
    if wrong.is_empty() {
        wrong = values::without_norm(&weights, network);
    }
    if !wrong.is_empty() {
        return Err(ExportError::Values { origin, network: target.name(), wrong }.into());
    }
    Ok(arrays)
}

/// Other real types as float32; what holds no real numbers stays and is named as what it is. Numbers that are none go into
/// `wrong`: those of the file apart from those that float32 cannot hold.
fn widened(array: NamedArray, wrong: &mut Vec<String>) -> Result<NamedArray, SessionError> {
    use ArrayType::{BF16, F16, F32, F64};
    if !matches!(array.dtype, BF16 | F16 | F32 | F64) {
        return Ok(array);
    }
    let tensor = to_tensor(&array)?;
    let bad = not_finite(&tensor)?;
    if bad > 0 {
        wrong.push(format!(
            "{} holds NaN or infinities ({bad} of {} numbers): its training diverged; take weights from before that",
            array.name.shown(),
            tensor.numel()
        ));
    }
    if array.dtype == F32 {
        return Ok(array);
    }
    let tensor = tensor.f_to_kind(Kind::Float)?;
    let beyond = not_finite(&tensor)? - bad;
    if beyond > 0 {
        wrong.push(format!(
            "{} holds {beyond} of {} numbers that float32 cannot: they are beyond 3.4e38",
            array.name.shown(),
            tensor.numel()
        ));
    }
    to_array(array.name, &tensor)
}

fn not_finite(tensor: &Tensor) -> Result<i64, SessionError> {
    Ok(tensor.f_isfinite()?.f_logical_not()?.f_sum(Kind::Int64)?.f_int64_value(&[])?)
}

/// The counters of batch norms as int64, from whichever whole numbers, and at 0 where there are none: older versions of PyTorch
/// wrote none, and with a momentum that is a number, as it always is here, nothing depends on them.
fn with_counters(mut arrays: Vec<NamedArray>, parameters: &[Parameter]) -> Result<Vec<NamedArray>, SessionError> {
    if !arrays.iter().any(|array| parameters.iter().any(|p| p.name == array.name)) {
        // Another network's, or under other names: nothing is to be added to what will be said of it.
        return Ok(arrays);
    }
    for counter in parameters.iter().filter(|p| p.role == Role::Counter) {
        match arrays.iter_mut().find(|array| array.name == counter.name) {
            Some(found) => widen_integers(found),
            None => {
                arrays
                    .push(to_array(counter.name.as_str(), &Tensor::f_zeros([0_i64; 0], (Kind::Int64, Device::Cpu))?)?);
            }
        }
    }
    Ok(arrays)
}

/// Shorter whole numbers as int64.
fn widen_integers(array: &mut NamedArray) {
    use ArrayType::{I8, I16, I32, I64, U8};
    let (size, signed) = match array.dtype {
        dtype @ (I8 | I16 | I32) => (dtype.size(), true),
        U8 => (1, false),
        _ => return,
    };
    let wide = array.data.chunks_exact(size).flat_map(|number| {
        let negative = signed && number.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..size].copy_from_slice(number);
        wide
    });
    array.data = wide.collect();
    array.dtype = I64;
}
