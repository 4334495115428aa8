//! What a run is trained with: the line of `sessions.jsonl` that each process writes when it begins.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tch::Device;

/// A process that trains.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    /// Steps that were done when it began.
    step: u64,
    /// When it began, in seconds since 1970.
    started: u64,
    /// Tandem's version.
    tandem: &'static str,
    /// The machine's name.
    host: String,
    /// The CPU as the system calls it.
    cpu: String,
    /// Threads that the machine runs at once.
    cores: usize,
    /// Threads that libtorch uses on the CPU.
    threads: i32,
    /// `cpu` or `cuda:N`.
    device: String,
    /// The GPU as its driver calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<String>,
}

impl Machine {
    pub(super) fn here(device: Device, step: u64) -> Self {
        Self {
            step,
            started: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            tandem: env!("CARGO_PKG_VERSION"),
            host: fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
            cpu: cpu().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            threads: tch::get_num_threads(),
            device: match device {
                Device::Cuda(n) => format!("cuda:{n}"),
                _ => "cpu".into(),
            },
            gpu: if let Device::Cuda(n) = device { gpu(n) } else { None },
        }
    }
}

fn cpu() -> Option<String> {
    field(&fs::read_to_string("/proc/cpuinfo").ok()?, "model name")
}

/// The driver lists its GPUs by bus address, in which order CUDA counts them only if told to; with one there is no doubt.
fn gpu(index: usize) -> Option<String> {
    let mut folders: Vec<_> =
        fs::read_dir("/proc/driver/nvidia/gpus").ok()?.filter_map(|e| Some(e.ok()?.path())).collect();
    folders.sort();
    let folder = if folders.len() == 1 { folders.first() } else { folders.get(index) }?;
    field(&fs::read_to_string(folder.join("information")).ok()?, "Model")
}

/// The value of the first `name: value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_what_stands_behind_its_colon() {
        let text = "Model: \t\t NVIDIA H100\nIRQ: 5\n";
        assert_eq!(field(text, "Model").as_deref(), Some("NVIDIA H100"));
        assert_eq!(field(text, "Video BIOS"), None);
    }
}
