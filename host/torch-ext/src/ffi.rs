//! The boundary to the C++ in `cpp/`: declarations, argument types, and all `unsafe` of the crate.
//!
//! The argument types can only be made from live Rust borrows, so that the declared functions are
//! safe to call. What a function means is said where it is used, not here.
#![allow(unsafe_code, reason = "this module is the boundary to C++")]

use std::borrow::Borrow;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr;

use tch::Tensor;

use crate::TorchError;

/// A borrowed `at::Tensor*`, null for an absent one.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct TensorRef<'a>(*const c_void, PhantomData<&'a Tensor>);

impl<'a> From<&'a Tensor> for TensorRef<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self(tensor.as_ptr().cast(), PhantomData)
    }
}

impl<'a> From<Option<&'a Tensor>> for TensorRef<'a> {
    fn from(tensor: Option<&'a Tensor>) -> Self {
        tensor.map_or(Self(ptr::null(), PhantomData), Self::from)
    }
}

/// The pointers of `tensors`, to be lent to C++ as a [`Slice`].
pub(crate) fn refs<T: Borrow<Tensor>>(tensors: &[T]) -> Vec<TensorRef<'_>> {
    tensors.iter().map(|tensor| TensorRef::from(tensor.borrow())).collect()
}

/// A borrowed array; `struct Slice<T>` in `ext.h`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Slice<'a, T> {
    data: *const T,
    len: usize,
    life: PhantomData<&'a [T]>,
}

impl<'a, T> From<&'a [T]> for Slice<'a, T> {
    fn from(slice: &'a [T]) -> Self {
        Self { data: slice.as_ptr(), len: slice.len(), life: PhantomData }
    }
}

impl<'a, T> From<&'a Vec<T>> for Slice<'a, T> {
    fn from(vec: &'a Vec<T>) -> Self {
        Self::from(vec.as_slice())
    }
}

/// Room for one tensor that C++ hands over; empty until it does.
#[repr(transparent)]
pub(crate) struct Out(*mut c_void);

impl Out {
    pub(crate) const fn empty() -> Self {
        Self(ptr::null_mut())
    }

    /// The tensor that was handed over.
    pub(crate) fn take(self) -> Tensor {
        if self.0.is_null() {
            return Tensor::new();
        }
        // SAFETY: C++ filled this slot with `new at::Tensor`, which is what a `tch::Tensor` owns and
        // deletes; `self` is consumed, so it is taken once.
        unsafe { Tensor::from_ptr(self.0.cast()) }
    }
}

/// Bytes that C++ hands over; `struct Buffer` in `ext.h`.
#[repr(C)]
pub(crate) struct Buffer {
    data: *mut c_char,
    len: usize,
}

impl Buffer {
    pub(crate) const fn empty() -> Self {
        Self { data: ptr::null_mut(), len: 0 }
    }

    /// A copy of the bytes that were handed over.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        if self.data.is_null() {
            return Vec::new();
        }
        // SAFETY: C++ filled `data` with a `malloc`ed buffer of `len` bytes, which lives until drop.
        unsafe { std::slice::from_raw_parts(self.data.cast::<u8>(), self.len) }.to_vec()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: null or from `malloc`, and freed once, here.
        unsafe { tandem_ext_free(self.data.cast()) }
    }
}

/// The outcome of a C++ call: null, or the message of the exception that it ended with.
#[repr(transparent)]
#[must_use]
pub(crate) struct Status(*mut c_char);

impl Status {
    /// Turns an exception into an error that names `op`.
    pub(crate) fn check(self, op: &'static str) -> Result<(), TorchError> {
        if self.0.is_null() {
            return Ok(());
        }
        // SAFETY: not null, so C++ made it with `strdup`: a valid C string that is ours to free.
        let message = unsafe { CStr::from_ptr(self.0) }.to_string_lossy().trim().to_owned();
        // SAFETY: from `strdup`, and `self` is consumed, so freed once.
        unsafe { tandem_ext_free(self.0.cast()) };
        Err(TorchError::Op { op, message })
    }
}

/// An owned `at::Generator*`.
#[repr(transparent)]
pub(crate) struct GeneratorPtr(*mut c_void);

impl GeneratorPtr {
    pub(crate) const fn empty() -> Self {
        Self(ptr::null_mut())
    }
}

// SAFETY: an `at::Generator` is an atomically counted pointer to an object that belongs to no thread.
unsafe impl Send for GeneratorPtr {}

impl Drop for GeneratorPtr {
    fn drop(&mut self) {
        // SAFETY: null or from `new at::Generator`, and deleted once, here.
        unsafe { tandem_ext_generator_free(self.0) }
    }
}

/// A recording of the CUDA add-on.
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct GraphPtr(*mut c_void);

impl GraphPtr {
    pub(crate) const fn empty() -> Self {
        Self(ptr::null_mut())
    }
}

// SAFETY: the object behind it belongs to no thread; it is used through one reference at a time.
unsafe impl Send for GraphPtr {}

impl Drop for GraphPtr {
    fn drop(&mut self) {
        // SAFETY: null or from `graph_new`, and freed once, here.
        unsafe { tandem_ext_graph_free(self.0) }
    }
}

/// Shape arguments of a convolution; `struct ConvShape` in `conv.h`.
#[repr(C)]
pub(crate) struct ConvShape<'a> {
    pub(crate) stride: Slice<'a, i64>,
    pub(crate) padding: Slice<'a, i64>,
    pub(crate) output_padding: Slice<'a, i64>,
    pub(crate) dilation: Slice<'a, i64>,
    pub(crate) groups: i64,
    pub(crate) transposed: bool,
}

/// Tensor pointers as C++ receives them.
pub(crate) type Tensors<'a> = Slice<'a, TensorRef<'a>>;

// SAFETY: these match the definitions in `cpp/*.cpp`. The `safe` ones read their pointer arguments only
// during the call; each such argument is a type above that can only be made from a live borrow (or is a
// `&mut` slot that they write once), they catch every C++ exception, and libtorch checks shapes and types.
unsafe extern "C" {
    fn tandem_ext_free(buffer: *mut c_void);
    fn tandem_ext_generator_free(generator: *mut c_void);

    // grad.cpp; `grads` points to one slot for each input
    pub(crate) fn tandem_ext_grad(
        outputs: Tensors<'_>,
        seeds: Tensors<'_>,
        inputs: Tensors<'_>,
        retain_graph: bool,
        create_graph: bool,
        grads: *mut Out,
    ) -> Status;

    // activation.cpp
    pub(crate) safe fn tandem_ext_leaky_relu(input: TensorRef<'_>, slope: f64, in_place: bool, out: &mut Out)
    -> Status;
    pub(crate) safe fn tandem_ext_elu(input: TensorRef<'_>, alpha: f64, out: &mut Out) -> Status;
    pub(crate) safe fn tandem_ext_softplus(input: TensorRef<'_>, threshold: f64, out: &mut Out) -> Status;

    // group_norm.cpp
    pub(crate) safe fn tandem_ext_group_norm(
        input: TensorRef<'_>,
        groups: i64,
        weight: TensorRef<'_>,
        bias: TensorRef<'_>,
        eps: f64,
        out: &mut Out,
    ) -> Status;

    // pivot.cpp
    pub(crate) safe fn tandem_ext_conv(
        input: TensorRef<'_>,
        weight: TensorRef<'_>,
        bias: TensorRef<'_>,
        shape: &ConvShape<'_>,
        out: &mut Out,
    ) -> Status;
    pub(crate) safe fn tandem_ext_pivoted_conv(
        input: TensorRef<'_>,
        weight: TensorRef<'_>,
        bias: TensorRef<'_>,
        shape: &ConvShape<'_>,
        pivot: TensorRef<'_>,
        out: &mut Out,
    ) -> Status;
    pub(crate) safe fn tandem_ext_pivoted_linear(
        input: TensorRef<'_>,
        weight: TensorRef<'_>,
        bias: TensorRef<'_>,
        pivot: TensorRef<'_>,
        out: &mut Out,
    ) -> Status;
    pub(crate) safe fn tandem_ext_pivoted_embedding(
        indices: TensorRef<'_>,
        weight: TensorRef<'_>,
        pivot: TensorRef<'_>,
        out: &mut Out,
    ) -> Status;

    // pivot_norm.cpp
    pub(crate) safe fn tandem_ext_pivoted_group_norm(
        input: TensorRef<'_>,
        groups: i64,
        weight: TensorRef<'_>,
        bias: TensorRef<'_>,
        eps: f64,
        pivot: TensorRef<'_>,
        out: &mut Out,
    ) -> Status;
    pub(crate) safe fn tandem_ext_pivoted_layer_norm(
        input: TensorRef<'_>,
        normalized_shape: Slice<'_, i64>,
        weight: TensorRef<'_>,
        bias: TensorRef<'_>,
        eps: f64,
        pivot: TensorRef<'_>,
        out: &mut Out,
    ) -> Status;
    pub(crate) safe fn tandem_ext_pivoted_instance_norm(
        input: TensorRef<'_>,
        weight: TensorRef<'_>,
        bias: TensorRef<'_>,
        eps: f64,
        pivot: TensorRef<'_>,
        out: &mut Out,
    ) -> Status;
    pub(crate) safe fn tandem_ext_pivot_fill(pivot: TensorRef<'_>, factors: TensorRef<'_>) -> Status;

    // optim.cpp
    pub(crate) safe fn tandem_ext_fused_adam(
        params: Tensors<'_>,
        grads: Tensors<'_>,
        exp_avgs: Tensors<'_>,
        exp_avg_sqs: Tensors<'_>,
        steps: Tensors<'_>,
        options: &crate::Adam,
    ) -> Status;
    pub(crate) safe fn tandem_ext_rmsprop(
        params: Tensors<'_>,
        grads: Tensors<'_>,
        square_avgs: Tensors<'_>,
        options: &crate::RmsProp,
    ) -> Status;
    pub(crate) safe fn tandem_ext_sgd(
        params: Tensors<'_>,
        grads: Tensors<'_>,
        momentum_buffers: Tensors<'_>,
        first_step: bool,
        options: &crate::Sgd,
    ) -> Status;
    pub(crate) safe fn tandem_ext_ema_update(targets: Tensors<'_>, sources: Tensors<'_>, decay: f64) -> Status;
    pub(crate) safe fn tandem_ext_clamp_all(tensors: Tensors<'_>, lo: f64, hi: f64) -> Status;
    pub(crate) safe fn tandem_ext_all_finite(tensors: Tensors<'_>, out: &mut Out) -> Status;

    // context.cpp; `device` is the index of a CUDA device, or -1 for the CPU
    pub(crate) safe fn tandem_ext_generator_new(device: i64, seed: u64, out: &mut GeneratorPtr) -> Status;
    pub(crate) safe fn tandem_ext_generator_default(device: i64, out: &mut GeneratorPtr) -> Status;
    pub(crate) safe fn tandem_ext_generator_seed(generator: &GeneratorPtr, seed: u64) -> Status;
    pub(crate) safe fn tandem_ext_generator_state(generator: &GeneratorPtr, state: &mut Buffer) -> Status;
    pub(crate) safe fn tandem_ext_generator_set_state(generator: &GeneratorPtr, state: Slice<'_, u8>) -> Status;
    pub(crate) safe fn tandem_ext_generator_normal(
        generator: &GeneratorPtr,
        tensor: TensorRef<'_>,
        mean: f64,
        std: f64,
    ) -> Status;
    pub(crate) safe fn tandem_ext_generator_uniform(
        generator: &GeneratorPtr,
        tensor: TensorRef<'_>,
        low: f64,
        high: f64,
    ) -> Status;
    pub(crate) safe fn tandem_ext_generator_randint(
        generator: &GeneratorPtr,
        tensor: TensorRef<'_>,
        low: i64,
        high: i64,
    ) -> Status;
    pub(crate) safe fn tandem_ext_use_deterministic(on: bool) -> Status;
    pub(crate) safe fn tandem_ext_keep_freed_memory() -> Status;
    pub(crate) safe fn tandem_ext_tell_bad_alloc(text: Slice<'_, u8>) -> Status;
    pub(crate) safe fn tandem_ext_return_freed_memory();
    pub(crate) safe fn tandem_ext_library_path(path: &mut Buffer) -> Status;
    pub(crate) safe fn tandem_ext_open_library(path: Slice<'_, u8>) -> Status;
    pub(crate) safe fn tandem_ext_has_cuda_hooks(answer: &mut bool) -> Status;

    // cuda_graph.cpp
    fn tandem_ext_graph_free(graph: *mut c_void);
    pub(crate) safe fn tandem_ext_open_cuda_add_on(bytes: Slice<'_, u8>) -> Status;
    pub(crate) safe fn tandem_ext_has_cuda_add_on() -> bool;
    pub(crate) safe fn tandem_ext_graph_new(device: i64, graph: &mut GraphPtr) -> Status;
    pub(crate) safe fn tandem_ext_graph_register(graph: &GraphPtr, generator: &GeneratorPtr) -> Status;
    pub(crate) safe fn tandem_ext_graph_begin(graph: &GraphPtr, like: Option<&GraphPtr>) -> Status;
    pub(crate) safe fn tandem_ext_graph_end(graph: &GraphPtr) -> Status;
    pub(crate) safe fn tandem_ext_graph_replay(graph: &GraphPtr) -> Status;
    pub(crate) safe fn tandem_ext_cuda_peak_bytes(device: i64, bytes: &mut u64) -> Status;

    // op_trace.cpp
    pub(crate) safe fn tandem_ext_trace_start() -> Status;
    pub(crate) safe fn tandem_ext_trace_stop(names: &mut Buffer) -> Status;
}

/// [`tandem_ext_grad`] with as many slots as it fills.
pub(crate) fn grad(
    outputs: Tensors<'_>,
    seeds: Tensors<'_>,
    inputs: Tensors<'_>,
    retain_graph: bool,
    create_graph: bool,
) -> (Status, Vec<Out>) {
    let mut grads: Vec<Out> = std::iter::repeat_with(Out::empty).take(inputs.len).collect();
    // SAFETY: the slices are live borrows, and `grads` has the one slot for each input that is written.
    let status = unsafe { tandem_ext_grad(outputs, seeds, inputs, retain_graph, create_graph, grads.as_mut_ptr()) };
    (status, grads)
}
