//! What the process keeps of its memory, and gives back.

use std::{env, fs, process::Command};

use tandem_torch_ext::{keep_freed_memory, return_freed_memory};
use tch::{Device, Kind, Tensor};

/// Resident memory, in MiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// A thread's memory is kept in other ways than the main thread's, on which a run trains: here it is made the same.
const ONE_ARENA: &str = "MALLOC_ARENA_MAX";

#[test]
fn freed_memory_stays_until_it_is_returned() {
    if env::var_os(ONE_ARENA).is_none() {
        let this = ["--exact", "memory::freed_memory_stays_until_it_is_returned", "--nocapture"];
        let status = Command::new(env::current_exe().unwrap()).args(this).env(ONE_ARENA, "1").status().unwrap();
        assert!(status.success());
        return;
    }
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
