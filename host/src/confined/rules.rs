//! What a process that runs foreign code may still do: compute, allocate up to a limit, and read the system's libraries.
//!
//! Three layers, each of which holds without the others. Limits on memory, time and written files are always there. Landlock leaves
//! of the file system what a library may need to be loaded, takes TCP away, and signals to others. Seccomp refuses
//! every system call that is not on a list: no file can be opened for writing, no socket made, no process
//! started, no other process signalled or looked into; threads only where [`Bounds`] says so. What was open before is closed.
//! It cannot be undone in the process.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::RawFd,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, Scope, path_beneath_rules,
};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What a confined process may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Address space beyond what the program itself takes, in bytes.
    pub(crate) memory: u64,
    /// Processor time, in seconds; `None` where who started it watches the clock.
    pub(crate) seconds: Option<u64>,
    /// Whether it may start threads of its own; never processes.
    pub(crate) threads: bool,
    /// What it may read besides libraries.
    pub(crate) readable: &'static [&'static str],
}

/// The newest Landlock whose every restriction is asked for; an older kernel gives those that it has.
const LANDLOCK: ABI = ABI::V6;
/// Where systems keep libraries, and the loader's index of them.
const LIBRARIES: [&str; 8] =
    ["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"];

/// Closes every descriptor but the three that each process has: what this process was started with may be a socket or a file of
/// somebody's.
///
/// # Errors
/// A system without `/proc`, in which they cannot be listed.
pub(super) fn close_inherited() -> Result<(), String> {
    let list = || -> std::io::Result<Vec<RawFd>> {
        let names = fs::read_dir("/proc/self/fd")?.map(|entry| Ok(entry?.file_name()));
        Ok(names.collect::<std::io::Result<Vec<_>>>()?.iter().filter_map(|n| n.to_str()?.parse().ok()).collect())
    };
    for descriptor in list().map_err(|e| format!("/proc/self/fd: {e}"))? {
        if descriptor > libc::STDERR_FILENO {
            // The one that listed them is closed already.
            let _ = nix::unistd::close(descriptor);
        }
    }
    Ok(())
}

/// Confines this process for ever. It must have one thread: those that it starts are confined with it, others would not be.
///
/// # Errors
/// A limit that the system refuses, or a layer that it has and will not set up. A kernel without a layer is none: see [`layers`].
pub(crate) fn confine(bounds: &Bounds) -> Result<(), String> {
    let threads = fs::read_dir("/proc/self/task").map_err(|e| format!("/proc/self/task: {e}"))?.count();
    if threads != 1 {
        return Err(format!("it has {threads} threads, of which one would be confined"));
    }
    confine_thread(bounds)
}

/// [`confine`] of a thread alone, and of those that it starts; the limits are the whole process's.
pub(super) fn confine_thread(bounds: &Bounds) -> Result<(), String> {
    let mut limits = vec![
        (Resource::RLIMIT_AS, mapped()?.saturating_add(bounds.memory)),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
    ];
    limits.extend(bounds.seconds.map(|seconds| (Resource::RLIMIT_CPU, seconds)));
    for (resource, limit) in limits {
        // A limit that was set before may be lower, and is nothing to raise.
        let limit = getrlimit(resource).map_or(limit, |(_, hard)| limit.min(hard));
        setrlimit(resource, limit, limit).map_err(|e| format!("setrlimit {resource:?} to {limit}: {e}"))?;
    }
    let libraries = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let libraries = std::env::split_paths(&libraries).filter(|folder| folder.is_absolute());
    let fixed = LIBRARIES.iter().chain(bounds.readable).map(PathBuf::from);
    read_only(libraries.chain(fixed)).map_err(|e| format!("landlock: {e}"))?;
    // Filters add up, and the first one can no longer be joined by another once the list is there.
    let filters = [bounds.threads.then(no_clone3).transpose(), list(bounds.threads).map(Some)];
    for filter in filters {
        let Some(filter) = filter.map_err(|e| format!("seccomp: {e}"))? else { continue };
        match seccompiler::apply_filter(&filter) {
            Err(error) if has_seccomp() => return Err(format!("seccomp: {error}")),
            _ => {}
        }
    }
    Ok(())
}

/// Bytes of address space that this process takes.
fn mapped() -> Result<rlim_t, String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|e| format!("/proc/self/status: {e}"))?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.and_then(|number| number.trim().parse::<rlim_t>().ok());
    kilobytes.map(|kilobytes| kilobytes << 10).ok_or_else(|| "/proc/self/status has no VmSize".to_owned())
}

/// Which layers this kernel has, in words.
pub(crate) fn layers() -> Vec<&'static str> {
    let access = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let landlock = access.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_ok();
    let there = [(landlock, "landlock"), (has_seccomp(), "seccomp"), (true, "limits")];
    there.into_iter().filter_map(|(there, name)| there.then_some(name)).collect()
}

fn has_seccomp() -> bool {
    Path::new("/proc/sys/kernel/seccomp").exists()
}

/// Files outside these folders cannot be opened any more, and none can be changed.
fn read_only(folders: impl Iterator<Item = PathBuf>) -> Result<(), RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rules(path_beneath_rules(folders, AccessFs::from_read(LANDLOCK)))?
        .restrict_self()
        .map(drop)
}

fn list(threads: bool) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    // Opening for reading only: no write access, nothing created, nothing cut.
    let write = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;
    let reading = |flags: u8| masked(flags, write, 0);
    rules.insert(libc::SYS_openat, vec![reading(2)?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![reading(1)?]);
    // Of `fcntl` nothing that has signals sent to others (F_SETOWN), nor locks.
    let command = |command: i32| {
        SeccompRule::new(vec![SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, command as u64)?])
    };
    let harmless = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC];
    rules.insert(libc::SYS_fcntl, harmless.map(command).into_iter().collect::<Result<_, _>>()?);
    if threads {
        rules.extend(OF_THREADS.iter().map(|&call| (call, Vec::new())));
        rules.insert(libc::SYS_clone, vec![masked(0, (THREAD | NO_THREAD) as u64, THREAD as u64)?]);
    }
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// An argument that has under this mask this value.
fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompRule, BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)?;
    SeccompRule::new(vec![condition])
}

/// What a thread of this process shares with it, and a process would not.
const THREAD: i32 = libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_VM;
/// What no thread asks for: a namespace of its own, a tracer.
const NO_THREAD: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_PTRACE
    | libc::CLONE_VFORK
    | libc::CLONE_PARENT;

/// `clone3` has its flags in memory, where a filter does not see whether a thread or a process is asked for. It is answered as a
/// kernel without it would, and the C library then takes `clone`.
fn no_clone3() -> Result<BpfProgram, BackendError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, missing, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// What threads need besides; `clone3` is refused by [`no_clone3`], whose answer counts.
const OF_THREADS: &[i64] = &[libc::SYS_clone3, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_getcpu];

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
