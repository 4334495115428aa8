//! Work on a CUDA device, recorded once and done again as a whole: one launch for thousands.
//!
//! Needs the CUDA add-on, which is built where CUDA's headers are found and opened by [`open_cuda`](crate::open_cuda).
//! What is recorded reads and writes the same memory in every replay: tensors that it reads must be changed in place.

use tch::Device;

use crate::ffi::{self, GraphPtr};
use crate::generator::index_of;
use crate::{Generator, TorchError};

/// The add-on as it was built; empty where CUDA's headers were missing.
const ADD_ON: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/cuda_add_on.so"));

/// Whether this build carries the add-on.
pub const fn cuda_graphs_are_built() -> bool {
    !ADD_ON.is_empty()
}

/// Opens the add-on, where there is one. Call it after libtorch's CUDA half is open.
pub(crate) fn open_add_on() -> Result<(), TorchError> {
    if cuda_graphs_are_built() { ffi::tandem_ext_open_cuda_add_on(ADD_ON.into()).check("open_cuda") } else { Ok(()) }
}

/// Whether [`CudaGraph::new`] can work here: the add-on is built and open.
pub fn cuda_graphs_are_open() -> bool {
    ffi::tandem_ext_has_cuda_add_on()
}

/// The most bytes that tensors on a CUDA device ever took; nothing for the CPU and without the add-on.
pub fn cuda_peak_bytes(device: Device) -> Result<Option<u64>, TorchError> {
    if !matches!(device, Device::Cuda(_)) || !cuda_graphs_are_open() {
        return Ok(None);
    }
    let mut bytes = 0;
    ffi::tandem_ext_cuda_peak_bytes(index_of(device)?, &mut bytes).check("cuda_peak_bytes")?;
    Ok(Some(bytes))
}

/// A recording, with the device memory that it uses.
#[derive(Debug)]
pub struct CudaGraph(GraphPtr);

impl CudaGraph {
    /// An empty one.
    pub fn new(device: Device) -> Result<Self, TorchError> {
        let mut graph = GraphPtr::empty();
        ffi::tandem_ext_graph_new(index_of(device)?, &mut graph).check("CudaGraph::new")?;
        Ok(Self(graph))
    }

    /// Has recorded draws of `generator` differ from replay to replay, as they would without a graph; for before
    /// [`Self::record`]. libtorch's own generator needs no call.
    pub fn register(&mut self, generator: &Generator) -> Result<(), TorchError> {
        ffi::tandem_ext_graph_register(&self.0, generator.pointer()).check("CudaGraph::register")
    }

    /// Records what `work` does on the device instead of doing it; once. With `like`, both share their memory: what
    /// one returned must have been read before the other is replayed.
    ///
    /// `work` must not wait for the device or copy between it and the host. Tensors that it returns live in the
    /// graph's memory, and each replay writes them anew.
    pub fn record<T, E: From<TorchError>>(
        &mut self,
        like: Option<&Self>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        ffi::tandem_ext_graph_begin(&self.0, like.map(|graph| &graph.0)).check("CudaGraph::record")?;
        let done = work();
        let ended = ffi::tandem_ext_graph_end(&self.0).check("CudaGraph::record");
        // What failed inside is the cause of a recording that cannot be ended.
        let done = done?;
        ended?;
        Ok(done)
    }

    /// Does what was recorded, behind all work queued so far; does not wait.
    pub fn replay(&self) -> Result<(), TorchError> {
        ffi::tandem_ext_graph_replay(&self.0).check("CudaGraph::replay")
    }
}
