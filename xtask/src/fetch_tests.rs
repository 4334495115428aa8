//! `fetch.py` against a server on this machine that breaks off, cannot go on in the middle, or sends rubbish.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::shell;

const FILE: &str = "tandem_test-1.0-py3-none-any.whl";

/// Writes a wheel of 3 MB to the path it is given, and prints its SHA-256.
const MAKE_WHEEL: &str = "
import hashlib, random, sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('torch/lib/it', random.Random(1).randbytes(3_000_000))
print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())
";

/// How the server deals with the wheel.
#[derive(Clone, Copy, PartialEq)]
enum Server {
    /// The first reply stops half-way; a range is answered with that range.
    BreaksOff,
    /// The same, and a range is answered with the whole file.
    KnowsNoRange,
    /// One byte is another.
    Garbles,
}

/// A cache folder, a wheel and its server.
struct Fetch {
    folder: PathBuf,
    wheel: Vec<u8>,
    sha256: String,
    index: String,
    /// For each request for the wheel, where it wanted to start.
    starts: Arc<Mutex<Vec<usize>>>,
}

impl Fetch {
    fn new(name: &str, server: Server) -> Self {
        let folder = std::env::temp_dir().join(format!("tandem-xtask-fetch-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(FILE);
        let made = Command::new("python3").args(["-c", MAKE_WHEEL]).arg(&path).output().unwrap();
        let sha256 = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let wheel = fs::read(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let index = format!("http://{}/simple", listener.local_addr().unwrap());
        let starts = Arc::new(Mutex::new(Vec::new()));
        let (bytes, log) = (wheel.clone(), Arc::clone(&starts));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, server, &bytes, &log);
            }
        });
        Self { folder, wheel, sha256, index, starts }
    }

    fn run(&self) -> Output {
        Command::new("python3")
            .arg(shell::root().join("xtask/fetch.py"))
            .arg(self.folder.join("cache"))
            .args(["it", "1000"])
            .arg(format!("tandem-test,1.0,{FILE},{},{}", self.wheel.len(), self.sha256))
            .envs([("PIP_INDEX_URL", self.index.as_str()), ("PIP_FIND_LINKS", ""), ("PIP_EXTRA_INDEX_URL", "")])
            .envs([("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")])
            .output()
            .unwrap()
    }

    fn expect_whole(&self) {
        let output = self.run();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let unpacked = self.folder.join("cache/it/torch/lib/it");
        assert_eq!(fs::metadata(unpacked).unwrap().len(), 3_000_000);
        assert_eq!(fs::read_dir(self.folder.join("cache/wheels")).unwrap().count(), 0, "wheels are not kept");
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// One request: the index's page, or the wheel as the server deals with it.
fn answer(mut stream: TcpStream, server: Server, wheel: &[u8], starts: &Mutex<Vec<usize>>) -> std::io::Result<()> {
    let (mut request, mut start) = (String::new(), 0);
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap_or(0);
        }
        if request.is_empty() {
            request = line;
        }
    }
    if !request.contains(FILE) {
        let page = format!("<!DOCTYPE html><html><body><a href=\"/{FILE}\">{FILE}</a></body></html>");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n";
        return write!(stream, "{head}Content-Length: {}\r\n\r\n{page}", page.len());
    }
    let first = starts.lock().is_ok_and(|mut starts| {
        starts.push(start);
        starts.len() == 1
    });
    let mut wheel = wheel.to_vec();
    if server == Server::Garbles {
        wheel[1_000_000] ^= 1;
    }
    let from = if server == Server::KnowsNoRange { 0 } else { start };
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let body = &wheel[from..];
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len())?;
    let stops = first && server != Server::Garbles;
    stream.write_all(if stops { &body[..body.len() / 2] } else { body })
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_stopped() {
    let fetch = Fetch::new("breaks-off", Server::BreaksOff);
    fetch.expect_whole();
    let starts = fetch.starts.lock().unwrap();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[0], 0);
    assert!(starts[1] > 1_000_000, "it went on at {}", starts[1]);
}

#[test]
fn a_server_that_cannot_go_on_in_the_middle_is_asked_for_all() {
    let fetch = Fetch::new("no-range", Server::KnowsNoRange);
    fetch.expect_whole();
    assert_eq!(fetch.starts.lock().unwrap().len(), 2);
}

#[test]
fn rubbish_is_named_deleted_and_not_unpacked() {
    let fetch = Fetch::new("garbles", Server::Garbles);
    let output = fetch.run();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    let file = fetch.folder.join("cache/wheels").join(FILE);
    assert!(
        message.contains(&format!("{}.part is damaged: expected SHA-256 {}", file.display(), fetch.sha256)),
        "{message}"
    );
    assert!(message.contains("deleted, run `cargo xtask setup` again"), "{message}");
    assert_eq!(fs::read_dir(fetch.folder.join("cache/wheels")).unwrap().count(), 0);
    assert!(!fetch.folder.join("cache/it").exists());
}

#[test]
fn a_full_disk_is_said_before_anything_is_fetched() {
    let fetch = Fetch::new("disk", Server::BreaksOff);
    let output = Command::new("python3")
        .arg(shell::root().join("xtask/fetch.py"))
        .arg(fetch.folder.join("cache"))
        .args(["it", "9000000000000000", "a,1,a.whl,1,0"])
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("GB free, and 9000000.0 GB are needed; free some, or set XDG_CACHE_HOME"), "{message}");
}
