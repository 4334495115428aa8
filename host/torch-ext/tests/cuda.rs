//! `open_cuda` on a machine with or without CUDA. A process of its own: libtorch asks about CUDA once.

#![expect(clippy::unwrap_used, reason = "a panic is the report")]

use std::fs;
use std::path::PathBuf;

use tandem_torch_ext::{
    CudaGraph, Generator, TorchError, cuda_graphs_are_built, cuda_graphs_are_open, cuda_peak_bytes, open_cuda,
    use_deterministic,
};
use tch::{Device, Kind, Tensor};

/// One test, since the order of its steps matters.
#[test]
fn opening() {
    let empty = std::env::temp_dir().join(format!("tandem-no-cuda-{}", std::process::id()));
    fs::create_dir_all(&empty).unwrap();
    let error = open_cuda(&empty).unwrap_err();
    assert!(matches!(error, TorchError::NoCudaLibrary(_)), "{error}");
    assert!(error.to_string().contains("libc10_cuda.so does not exist"), "{error}");

    // Files of the right names, but not beside the libtorch that runs.
    for name in ["libc10_cuda.so", "libtorch_cuda.so"] {
        fs::write(empty.join(name), "").unwrap();
    }
    let error = open_cuda(&empty).unwrap_err();
    assert!(matches!(error, TorchError::OtherLibtorch { .. }), "{error}");
    fs::remove_dir_all(&empty).unwrap();

    assert!(!cuda_graphs_are_open());
    let error = CudaGraph::new(Device::Cuda(0)).unwrap_err().to_string();
    assert!(error.contains("the CUDA add-on is not open"), "{error}");
    assert_eq!(cuda_peak_bytes(Device::Cpu).unwrap(), None);

    if let Some(dir) = std::env::var_os("TANDEM_TEST_CUDA_LIB").map(PathBuf::from) {
        open_cuda(&dir).unwrap();
        // All that it takes from libtorch's CUDA half is there, with a driver or without.
        assert_eq!(cuda_graphs_are_open(), cuda_graphs_are_built());
        if tch::Cuda::is_available() {
            graph();
            let x = Tensor::ones([2, 2], (tch::Kind::Float, tch::Device::Cuda(0)));
            assert_eq!(x.matmul(&x).sum(None).double_value(&[]), 8.0);
        }
    }

    use_deterministic(true).unwrap();
    let x = Tensor::arange(4, (tch::Kind::Double, tch::Device::Cpu));
    assert_eq!(x.dot(&x).double_value(&[]), 14.0);
    use_deterministic(false).unwrap();
}

/// On a device: a recording does nothing at first; each replay sees what its inputs are by then, and draws anew.
fn graph() {
    let device = Device::Cuda(0);
    let mut noise = Generator::new(device, 1).unwrap();
    let x = Tensor::ones([4], (Kind::Float, device));
    let mut sum = Tensor::zeros([4], (Kind::Float, device));
    let mut graph = CudaGraph::new(device).unwrap();
    graph.register(&noise).unwrap();
    let drawn = graph
        .record(None, || {
            let _ = sum.f_add_(&x).unwrap();
            noise.randn(&[4], Kind::Float)
        })
        .unwrap();
    assert_eq!(sum.sum(Kind::Double).double_value(&[]), 0.0);
    graph.replay().unwrap();
    let first = drawn.detach_copy();
    let _ = x.shallow_clone().fill_(2.0);
    graph.replay().unwrap();
    assert_eq!(sum.sum(Kind::Double).double_value(&[]), 12.0);
    assert_ne!(drawn, first);
    assert!(cuda_peak_bytes(device).unwrap().unwrap() > 0);
}
