//! `device = "auto" | "cpu" | "cuda:N"`: libtorch's CUDA half is opened at run time, by name, or not at all.

use std::{fs, path::PathBuf};

use tandem_torch_ext::{cuda_graphs_are_open, keep_freed_memory, open_cuda, use_deterministic};

use super::SessionError;
use crate::config::{Config, Device, Precision};

/// The device that `asked` means on this machine. Must come before any other use of libtorch.
///
/// CUDA's libraries are looked for in `TANDEM_LIBTORCH`, else beside the libtorch that this process runs with.
pub fn resolve(asked: Device) -> Result<tch::Device, SessionError> {
    if let Err(why) = keep_freed_memory() {
        tracing::warn!("steps will be slower: {why}");
    }
    match asked {
        Device::Cpu => Ok(tch::Device::Cpu),
        // Opening 1 GB of libraries only to learn that there is no driver would cost every CPU run a second.
        Device::Auto if !driver_present() => Ok(tch::Device::Cpu),
        Device::Auto => match cuda(0) {
            Ok(device) => Ok(device),
            Err(why) => {
                tracing::info!("training on the CPU: {why}");
                Ok(tch::Device::Cpu)
            }
        },
        Device::Cuda(n) => cuda(n).map_err(|why| SessionError::Device { asked: asked.to_string(), why }),
    }
}

/// Sets up this process for a run: threads, deterministic algorithms; and refuses a precision or CUDA graphs that `device`
/// or this build has not.
pub fn set_up(config: &Config, device: tch::Device) -> Result<(), SessionError> {
    if let Some(threads) = config.threads {
        tch::set_num_threads(threads as i32);
    }
    if config.deterministic {
        use_deterministic(true)?;
    }
    if config.cuda_graph && matches!(device, tch::Device::Cuda(_)) && !cuda_graphs_are_open() {
        return Err(SessionError::NoGraphs);
    }
    match missing(config.precision, device) {
        None => Ok(()),
        Some(why) => Err(SessionError::Precision {
            asked: config.precision.name(),
            why: format!("{why}, and would take longer than float32; use precision = \"float32\""),
        }),
    }
}

/// Why `device` does not compute in a precision, or `None` where it does.
fn missing(precision: Precision, device: tch::Device) -> Option<&'static str> {
    match (precision, device) {
        (Precision::BFloat16, tch::Device::Cpu) if !cpu::bfloat16() => {
            Some("this CPU has no arithmetic in it (x86's avx512_bf16, Arm's bf16)")
        }
        (Precision::Float16, tch::Device::Cpu) if !cpu::float16() => {
            Some("this CPU has no arithmetic in it (x86's avx512_fp16, Arm's fp16)")
        }
        _ => None,
    }
}

#[cfg(target_arch = "x86_64")]
mod cpu {
    pub(super) fn bfloat16() -> bool {
        is_x86_feature_detected!("avx512bf16")
    }

    pub(super) fn float16() -> bool {
        is_x86_feature_detected!("avx512fp16")
    }
}

#[cfg(target_arch = "aarch64")]
mod cpu {
    pub(super) fn bfloat16() -> bool {
        std::arch::is_aarch64_feature_detected!("bf16")
    }

    pub(super) fn float16() -> bool {
        std::arch::is_aarch64_feature_detected!("fp16")
    }
}

fn driver_present() -> bool {
    ["/dev/nvidiactl", "/proc/driver/nvidia/version"].iter().any(|p| PathBuf::from(p).exists())
}

fn cuda(index: usize) -> Result<tch::Device, String> {
    let directory = std::env::var_os("TANDEM_LIBTORCH").map(PathBuf::from).or_else(loaded_from);
    let directory =
        directory.ok_or("cannot tell where libtorch was loaded from; set TANDEM_LIBTORCH to torch's lib folder")?;
    let advice = "use device = \"cpu\", or point TANDEM_LIBTORCH at the lib folder of a torch 2.11 with CUDA";
    open_cuda(&directory).map_err(|e| format!("{e}; {advice}"))?;
    let count = tch::Cuda::device_count();
    if count <= 0 || !tch::Cuda::is_available() {
        return Err(format!("libtorch finds no CUDA device (is there an NVIDIA driver?); {advice}"));
    }
    if index as i64 >= count {
        return Err(format!("there are {count} CUDA devices, counted from 0; {advice}"));
    }
    Ok(tch::Device::Cuda(index))
}

/// The folder of the `libtorch_cpu.so` in this process.
pub fn loaded_from() -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|l| l.ends_with("/libtorch_cpu.so"))?;
    PathBuf::from(&line[line.find('/')?..]).parent().map(PathBuf::from)
}
