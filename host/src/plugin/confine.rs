//! What a process that runs a plugin's code may still do: compute, allocate up to a limit, and read files.
//!
//! No file can be opened for writing, no socket made, no process or thread started, and no other process signalled or
//! looked into: system calls that are not on the list fail with "operation not permitted". Where the kernel has no
//! seccomp the limits on memory, time and written files are all there is. It cannot be undone in the process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Address space, in bytes: libtorch's own libraries take a quarter of it.
pub(super) const MEMORY: u64 = 4 << 30;
/// Processor time, in seconds.
pub(super) const SECONDS: u64 = 10;

/// Confines this process for ever.
///
/// # Errors
/// A limit that the system refuses. A kernel without seccomp is none.
pub(super) fn confine() -> Result<(), String> {
    let limits = [
        (Resource::RLIMIT_AS, MEMORY),
        (Resource::RLIMIT_CPU, SECONDS),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ];
    for (resource, limit) in limits {
        // A limit that was set before may be lower, and is nothing to raise.
        let limit = getrlimit(resource).map_or(limit, |(_, hard)| limit.min(hard));
        setrlimit(resource, limit, limit).map_err(|e| format!("setrlimit {resource:?} to {limit}: {e}"))?;
    }
    let filter = filter().map_err(|e| format!("seccomp: {e}"))?;
    // A kernel without it says so here; the limits hold all the same.
    let _ = seccompiler::apply_filter(&filter);
    Ok(())
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    // Opening for reading only: no write access, nothing created, nothing cut.
    let write = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;
    let reading = |flags: u8| {
        let nothing = SeccompCondition::new(flags, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(write), 0)?;
        SeccompRule::new(vec![nothing])
    };
    rules.insert(libc::SYS_openat, vec![reading(2)?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![reading(1)?]);
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// What loading a library and computing needs.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
