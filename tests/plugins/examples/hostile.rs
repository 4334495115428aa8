//! A plugin that does what a declaration should not. What the system refuses it is its answer.
#![expect(clippy::exit, clippy::print_stdout, unsafe_code, reason = "these are its deeds")]

use std::hint::black_box;

use tandem_plugin_api::{Error, Gan, Options, export_gan};
use tandem_test_plugins::small_gan;

const DEEDS: [&str; 15] = [
    "none", "abort", "exit", "loop", "overflow", "allocate", "print", "write", "connect", "spawn", "thread", "signal",
    "leak", "read", "look",
];

fn declare(options: &Options) -> Result<Gan, Error> {
    let refused = |error: std::io::Error| Err(Error::new(format!("refused: {}", error.kind())));
    let result = match options.choice("deed", "what it does", &DEEDS, "none")?.as_str() {
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "loop" => loop {
            black_box(0);
        },
        "overflow" => return Err(Error::new(format!("{}", deep(1)))),
        "allocate" => return Err(Error::new(format!("{}", black_box(vec![1_u8; 10 << 30]).len()))),
        "print" => {
            println!("{{\"definition\": 1}}");
            Ok(())
        }
        "write" => std::fs::write(std::env::temp_dir().join("tandem-hostile-was-here"), "here"),
        "connect" => std::net::TcpStream::connect("127.0.0.1:9").map(drop),
        "spawn" => std::process::Command::new("/bin/true").spawn().map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        "signal" => signal_parent(),
        "leak" => {
            write_to_all();
            Ok(())
        }
        "read" => std::fs::read("/etc/passwd").map(drop),
        "look" => std::fs::read("/proc/1/environ").and_then(|_| std::fs::read("/proc/self/maps")).map(drop),
        _ => Ok(()),
    };
    result.or_else(refused)?;
    small_gan(options.images(), 8)
}

/// Has the system send a signal that kills to the process group of whoever asks, as soon as something is written to stderr.
fn signal_parent() -> std::io::Result<()> {
    // SAFETY: it takes and returns numbers.
    let done = unsafe { libc::fcntl(2, libc::F_SETOWN, libc::getpid()) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Writes to whatever the process was started with beyond its three pipes and what it opened itself.
fn write_to_all() {
    // SAFETY: it installs no code. A file among them, such as the library itself, would else end the process before the next one's turn.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    for descriptor in 3..64 {
        // SAFETY: the bytes are there, as many as it says.
        unsafe { libc::write(descriptor, b"leaked".as_ptr().cast(), 6) };
    }
}

#[expect(unconditional_recursion, reason = "it is the deed")]
fn deep(depth: u64) -> u64 {
    let room = black_box([depth; 512]);
    room[7] + deep(depth + 1)
}

export_gan!("hostile", "For tests: crashes, loops and reaches out", declare);
