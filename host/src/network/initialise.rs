//! First values of parameters, drawn from the run's own generator so that a seed means the same network everywhere.

use tandem_plugin_api::{Init, opset::Parameter};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use super::NetworkError;

/// A tensor of `parameter`'s shape with its first values, in float64 on the generator's device.
///
/// Drawn in float64 and rounded by the caller: float32 and float64 networks of one seed then start alike.
pub(super) fn initial(parameter: &Parameter, generator: &mut Generator) -> Result<Tensor, NetworkError> {
    let tensor = Tensor::f_zeros(&parameter.shape[..], (Kind::Double, generator.device()))?;
    let fan_in = parameter.fan_in.max(1) as f64;
    let fan_out = parameter.fan_out.max(1) as f64;
    match parameter.init {
        Init::Constant(value) => {
            let _ = tensor.shallow_clone().f_fill_(value)?;
        }
        Init::Normal { mean, std } => generator.normal_(&tensor, mean, std)?,
        Init::Uniform { low, high } => generator.uniform_(&tensor, low, high)?,
        Init::FanIn => generator.uniform_(&tensor, -fan_in.sqrt().recip(), fan_in.sqrt().recip())?,
        Init::XavierUniform { gain } => {
            let bound = gain * (6.0 / (fan_in + fan_out)).sqrt();
            generator.uniform_(&tensor, -bound, bound)?;
        }
        Init::KaimingNormal { gain } => generator.normal_(&tensor, 0.0, gain / fan_in.sqrt())?,
        Init::Orthogonal { gain } => return orthogonal(&tensor, gain, generator),
    }
    Ok(tensor)
}

/// `tensor` laid out as its device's convolutions want it: a 4-dimensional weight channels-last on the CPU, where
/// oneDNN then neither reorders it nor the activations, which follow the weights.
pub(super) fn laid_out(tensor: Tensor) -> Result<Tensor, NetworkError> {
    if tensor.dim() != 4 || tensor.device() != Device::Cpu {
        return Ok(tensor);
    }
    Ok(tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?)
}

/// The Q of a normal matrix's QR decomposition, with signs that make it uniform (`torch.nn.init.orthogonal_`).
fn orthogonal(tensor: &Tensor, gain: f64, generator: &mut Generator) -> Result<Tensor, NetworkError> {
    let shape = tensor.size();
    let rows = shape.first().copied().unwrap_or(1);
    let columns = shape.iter().skip(1).product::<i64>();
    let tall = Tensor::f_zeros([rows.max(columns), rows.min(columns)], (Kind::Double, generator.device()))?;
    generator.normal_(&tall, 0.0, 1.0)?;
    let (q, r) = Tensor::f_linalg_qr(&tall, "reduced")?;
    let q = q.f_mul(&r.f_diagonal(0, 0, 1)?.f_sign()?)?;
    let q = if rows < columns { q.f_transpose(0, 1)? } else { q };
    Ok(q.f_mul_scalar(gain)?.f_reshape(&shape[..])?)
}
