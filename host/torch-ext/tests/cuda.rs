//! `open_cuda` on a machine with or without CUDA. A process of its own: libtorch asks about CUDA once.

use std::fs;
use std::path::PathBuf;

use tandem_torch_ext::{TorchError, open_cuda, use_deterministic};
use tch::Tensor;

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

    if let Some(dir) = std::env::var_os("TANDEM_TEST_CUDA_LIB").map(PathBuf::from) {
        open_cuda(&dir).unwrap();
        if tch::Cuda::is_available() {
            let x = Tensor::ones([2, 2], (tch::Kind::Float, tch::Device::Cuda(0)));
            assert_eq!(x.matmul(&x).sum(None).double_value(&[]), 8.0);
        }
    }

    use_deterministic(true).unwrap();
    let x = Tensor::arange(4, (tch::Kind::Double, tch::Device::Cpu));
    assert_eq!(x.dot(&x).double_value(&[]), 14.0);
    use_deterministic(false).unwrap();
}
