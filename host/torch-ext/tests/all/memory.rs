//! What the process keeps of its memory, and gives back.

use std::fs;

use tandem_torch_ext::{keep_freed_memory, return_freed_memory};
use tch::{Device, Kind, Tensor};

/// Resident memory, in MiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
fn freed_memory_stays_until_it_is_returned() {
    keep_freed_memory().unwrap();
    let before = resident();
    // 256 MiB.
    drop(Tensor::ones([64 << 20], (Kind::Float, Device::Cpu)));
    let kept = resident();
    return_freed_memory();
    let returned = resident();
    assert!(kept > before + 200, "{before} MiB, then {kept}");
    assert!(returned < before + 100, "{before} MiB, then {kept}, then {returned}");
}
