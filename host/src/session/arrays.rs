//! Tensors to the run directory's arrays and back.

use tch::{Device, Kind, Tensor};

use super::SessionError;
use crate::{
    run::{ArrayType, NamedArray},
    text::Show as _,
};

/// The kinds that a checkpoint can hold.
const KINDS: &[(Kind, ArrayType)] = &[
    (Kind::Float, ArrayType::F32),
    (Kind::Double, ArrayType::F64),
    (Kind::Half, ArrayType::F16),
    (Kind::BFloat16, ArrayType::BF16),
    (Kind::Int64, ArrayType::I64),
    (Kind::Uint8, ArrayType::U8),
];

/// A tensor's values in host memory.
pub fn to_array(name: impl Into<String>, tensor: &Tensor) -> Result<NamedArray, SessionError> {
    let name = name.into();
    let kind = tensor.f_kind()?;
    let Some((_, dtype)) = KINDS.iter().find(|(k, _)| *k == kind) else {
        return Err(SessionError::Stored(format!(
            "tensor `{}` is of kind {kind:?}, which no file here holds",
            name.shown()
        )));
    };
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut data = vec![0; tensor.numel() * dtype.size()];
    tensor.f_copy_data_u8(&mut data, tensor.numel())?;
    let shape = tensor.size().into_iter().map(|n| n as usize).collect();
    Ok(NamedArray { name, dtype: *dtype, shape, data })
}

/// An array's values as a tensor on the CPU.
pub(super) fn to_tensor(array: &NamedArray) -> Result<Tensor, SessionError> {
    let Some((kind, _)) = KINDS.iter().find(|(_, d)| *d == array.dtype) else {
        return Err(SessionError::Stored(format!(
            "array `{}` is of a type that no tensor here has",
            array.name.shown()
        )));
    };
    let shape: Vec<i64> = array.shape.iter().map(|&n| n as i64).collect();
    Ok(Tensor::f_from_data_size(&array.data, &shape, *kind)?)
}

/// Bytes as an array.
pub(super) fn bytes(name: &str, data: Vec<u8>) -> NamedArray {
    NamedArray { name: name.into(), dtype: ArrayType::U8, shape: vec![data.len()], data }
}
