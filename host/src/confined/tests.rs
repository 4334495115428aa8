//! What is taken from a process, tried in one: this test binary, run again for one test in which a thread confines itself.

use std::{
    fs::File,
    io::{ErrorKind, Result},
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixStream,
    process::Command,
    thread,
};

use super::rules::{Bounds, confine_thread};

const INSIDE: &str = "TANDEM_TESTS_CONFINED";

fn inside() -> Option<bool> {
    std::env::var(INSIDE).ok().map(|threads| threads == "threads")
}

/// Runs a test of this module again, inside, and shows what it said.
fn again(test: &str, threads: &str) {
    let name = format!("confined::tests::{test}");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(INSIDE, threads)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn refused<T>(what: &str, tried: Result<T>) {
    match tried {
        Ok(_) => panic!("{what} was not refused"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}: {error}"),
    }
}

#[test]
fn threads_are_had_where_they_are_allowed_and_processes_nowhere() {
    let Some(threads) = inside() else {
        for threads in ["threads", "none"] {
            again("threads_are_had_where_they_are_allowed_and_processes_nowhere", threads);
        }
        return;
    };
    let here = tempfile::tempdir().unwrap();
    let kept = here.path().join("kept");
    std::fs::write(&kept, "kept").unwrap();
    let bounds = Bounds { memory: 1 << 30, seconds: None, threads, readable: &["/proc/cpuinfo"] };
    confine_thread(&bounds).unwrap();
    let thread = || thread::Builder::new().stack_size(1 << 20).spawn(|| 7);
    if threads {
        assert_eq!(thread().unwrap().join().unwrap(), 7);
        // A thread's threads are under it, too.
        let made = thread::spawn(|| UnixStream::pair().map(drop)).join().unwrap();
        refused("a socket of a thread", made);
    } else {
        refused("a thread", thread());
    }
    refused("a process", Command::new("/bin/true").spawn());
    refused("a stream", UnixStream::pair());
    refused("a listener", TcpListener::bind("127.0.0.1:0"));
    refused("a datagram", UdpSocket::bind("127.0.0.1:0"));
    refused("a new file", File::create(here.path().join("new")));
    refused("a file to write", File::options().write(true).open(&kept));
    refused("a removal", std::fs::remove_file(&kept));
    refused("a link", std::os::unix::fs::symlink("/etc/passwd", here.path().join("link")));
    if super::layers().contains(&"landlock") {
        refused("a file to read", File::open(&kept));
    }
    File::open("/proc/cpuinfo").unwrap();
    // Address space, of which no page is touched.
    let mut room: Vec<u8> = Vec::new();
    assert!(room.try_reserve_exact(2 << 30).is_err());
}
