//! Which libtorch operations a piece of code runs: how tests prove what a backward pass leaves out.

use crate::TorchError;
use crate::ffi::{self, Buffer};

/// Runs `f` and lists the operations that libtorch dispatched on this thread meanwhile, in order, nested ones
/// too: `aten::mm`, `aten::convolution_backward[0,1,1]` (an output mask follows in brackets where there is one).
///
/// On the CPU a backward pass runs on the calling thread and is seen; on CUDA it is not. Calls do not nest.
pub fn trace_ops<R>(f: impl FnOnce() -> R) -> Result<(R, Vec<String>), TorchError> {
    ffi::tandem_ext_trace_start().check("trace_ops")?;
    let result = f();
    let mut names = Buffer::empty();
    ffi::tandem_ext_trace_stop(&mut names).check("trace_ops")?;
    let names = String::from_utf8_lossy(&names.to_bytes()).lines().map(str::to_owned).collect();
    Ok((result, names))
}
