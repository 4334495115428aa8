//! A TorchScript extractor is a program: in its own process it measures as in the host's, and harms nothing whatever it tries. The
//! policy and the lock hold for it as for plugins.
#![expect(clippy::unwrap_used, reason = "a panic is the report")]

use std::{fs, path::Path, process::Command};

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;
use tandem_tests::{Playground, root, tandem};

fn extractor(name: &str) -> String {
    root().join(format!("tests/extractors/{name}.pt")).to_str().unwrap().to_owned()
}

/// Pictures to measure, and others of the same size to measure them against.
fn pictures(here: &Playground) -> [String; 2] {
    ["these", "those"].map(|name| {
        let folder = here.path(name);
        fs::create_dir(&folder).unwrap();
        for i in 0..12_u32 {
            let pixel = |x: u32, y: u32| image::Rgb([(x * 7 + i * 31) as u8, (y * i) as u8, (x ^ y ^ i) as u8]);
            image::RgbImage::from_fn(32, 32, pixel).save(format!("{folder}/{i}.png")).unwrap();
        }
        folder
    })
}

fn eval(here: &Playground, extractor: &str) -> assert_cmd::Command {
    let [these, those] = ["these", "those"].map(|name| here.path(name));
    if !Path::new(&these).exists() {
        pictures(here);
    }
    let mut command = tandem(&["eval", &these, "--against", &those, "--extractor", extractor, "--metrics", "fid"]);
    command.env("XDG_CACHE_HOME", here.path("cache"));
    command
}

/// What is said of an extractor that does this, in one line.
fn refused(name: &str) -> String {
    let here = Playground::default();
    let output = eval(&here, &extractor(name)).assert().failure();
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(errors[0].starts_with("error: extractor ") && errors[0].contains(&format!("{name}.pt: ")), "{said}");
    assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
    errors[0].to_owned()
}

fn sum(path: &str) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[test]
fn it_writes_no_file() {
    let trace = Path::new("/tmp/tandem-extractor-was-here");
    let _ = fs::remove_file(trace);
    let said = refused("writes-by-map");
    assert!(said.contains("tandem-extractor-was-here") && said.contains("(1)"), "{said}");
    assert!(!trace.exists());
    // `torch.save` of TorchScript does not say that it could not.
    let here = Playground::default();
    eval(&here, &extractor("writes-by-save")).assert().success();
    assert!(!trace.exists());
    // It is the confinement that keeps it from it: whoever vouches for it has it write.
    let file = extractor("writes-by-map");
    eval(&here, &file).env("TANDEM_EXTRACTOR_IN_PROCESS", sum(&file)).assert().success();
    assert!(trace.exists());
    fs::remove_file(trace).unwrap();
}

#[test]
fn it_reads_no_file_of_its_user() {
    let doctor = tandem(&["doctor"]).output().unwrap();
    if !String::from_utf8_lossy(&doctor.stdout).contains("confined by landlock") {
        return; // Such a kernel has no means to refuse it, and docs/plugin-abi.md says so.
    }
    fs::write("/tmp/tandem-extractor-reads-here", "key").unwrap();
    let said = refused("reads");
    assert!(said.contains("tandem-extractor-reads-here") && said.contains("Permission denied"), "{said}");
}

#[test]
fn a_crash_is_an_error() {
    let said = refused("crashes");
    assert!(said.contains("its process ended by signal 11 (bad memory access"), "{said}");
}

#[test]
fn an_endless_loop_is_ended() {
    let said = refused("loops");
    assert!(said.contains("took more than 30 seconds to be loaded, and was ended"), "{said}");
}

#[test]
fn memory_without_end_ends() {
    let said = refused("hoards");
    assert!(said.contains("can't allocate memory") || said.contains("its process ended by signal"), "{said}");
}

#[test]
fn its_words_are_shown_and_not_obeyed() {
    let said = refused("speaks");
    assert!(
        said.contains("failed on uint8 [2, 3, 32, 32]: ") && said.contains("\\u{1b}[31mred \\u{202e} text"),
        "{said}"
    );
}

/// The figures of a run by two extractors, to the bit; and the logits' too.
#[test]
fn figures_are_those_of_the_same_extractor_in_the_host() {
    let here = Playground::default();
    for (name, metrics) in [("convolves", "fid,kid,is"), ("return-features", "fid,is"), ("means", "fid,precision")] {
        let file = extractor(name);
        let figures = |vouched: &str, cache: &str| {
            let mut command = eval(&here, &file);
            command.args(["--metrics", metrics, "--json", "--batch", "5"]).env("TANDEM_EXTRACTOR_IN_PROCESS", vouched);
            command.env("XDG_CACHE_HOME", here.path(cache)).env("OMP_NUM_THREADS", "2");
            let told = command.assert().success().get_output().stdout.clone();
            serde_json::from_slice::<Value>(&told).unwrap()["figures"].clone()
        };
        let [apart, inside] =
            [("", "apart"), (&*sum(&file), "inside")].map(|(sum, cache)| figures(sum, &format!("{name}-{cache}")));
        assert_eq!(apart, inside, "{name}");
        assert!(apart[0]["value"].as_f64().unwrap().is_finite());
    }
}

/// The processes that a process started.
fn children(of: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

#[test]
fn it_ends_with_its_host_and_not_by_its_terminal() {
    let here = Playground::default();
    pictures(&here);
    let [these, those] = ["these", "those"].map(|name| here.path(name));
    let mut host = Command::new(tandem_tests::binary());
    host.args(["eval", &these, "--against", &those, "--extractor", &extractor("loops"), "--metrics", "fid"]);
    let mut host = host.stderr(std::process::Stdio::null()).spawn().unwrap();
    let moment = || std::thread::sleep(std::time::Duration::from_millis(20));
    let alive = |id: u32| fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let child = loop {
        match children(host.id()).first() {
            Some(&child)
                if fs::read_to_string(format!("/proc/{child}/status")).is_ok_and(|s| s.contains("Seccomp:\t2")) =>
            {
                break child;
            }
            _ => moment(),
        }
        assert!(host.try_wait().unwrap().is_none(), "it ended before its extractor began");
    };
    // As a service manager tells all of a service's processes.
    let id = nix::unistd::Pid::from_raw(child as i32);
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    moment();
    assert!(alive(child));
    let group = |id: u32| nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(id as i32))).unwrap();
    assert_ne!(group(child), group(host.id()), "Ctrl-C would reach both");
    host.kill().unwrap();
    host.wait().unwrap();
    for _ in 0..200 {
        if !alive(child) {
            return;
        }
        moment();
    }
    panic!("process {child} goes on without its host");
}

/// A run's config that evaluates by a file beside it.
fn evaluating(more: &str) -> Playground {
    let here = Playground::new(&format!(
        "[evaluate]\nevery = 2\nsamples = 8\nmetrics = [\"fid\"]\nextractor = \"x.pt\"\n{more}"
    ));
    fs::copy(extractor("means"), here.path("x.pt")).unwrap();
    here
}

fn train(here: &Playground, out: &str, more: &[&str]) -> assert_cmd::Command {
    let mut command = here.train(out, more);
    command.env("XDG_CACHE_HOME", here.path("cache"));
    command
}

#[test]
fn a_run_that_evaluates_by_a_file_trains_and_resumes_alike() {
    let here = evaluating("");
    train(&here, "whole", &[]).assert().success();
    train(&here, "parts", &["--set", "steps=3"]).assert().success();
    train(&here, "parts", &["--resume"]).assert().success();
    let lines = |run: &str| {
        let text = String::from_utf8(here.read(&format!("{run}/evaluations.jsonl"))).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["figures"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(lines("whole").len(), 3);
    assert_eq!(lines("whole"), lines("parts"));
}

/// Has the config itself ask for a policy.
fn write_policy(here: &Playground, policy: &str) {
    let text = String::from_utf8(here.read("config.toml")).unwrap();
    let text = text.split("[trust]").next().unwrap();
    fs::write(here.path("config.toml"), format!("{text}[trust]\npolicy = \"{policy}\"\n")).unwrap();
}

#[test]
fn the_lock_pins_the_extractor_that_a_config_names() {
    let here = evaluating("");
    let config = here.path("config.toml");
    let lock = || tandem(&["plugin", "lock", &config]).assert().success();
    // A policy of the config's own: the lock beside it counts.
    let says = |policy: &str| write_policy(&here, policy);
    says("locked");
    train(&here, "run", &[]).assert().code(2).stderr(contains("is not pinned"));
    // Nothing is left behind where it is refused.
    assert!(!Path::new(&here.path("run")).exists());
    lock().stdout(contains("x.pt pinned, sha256 ").and(contains("dcgan 0.1.0 pinned")));
    let text = String::from_utf8(here.read("tandem.lock")).unwrap();
    assert!(text.contains("[[extractor]]\nasked = \"./x.pt\"\nsha256 = \"") && text.contains("format = 1"), "{text}");
    lock().stdout(contains("x.pt pinned already"));
    train(&here, "run", &[]).assert().success();
    // The plugin alone is not enough.
    let plugin = text.split("[[extractor]]").next().unwrap();
    fs::write(here.path("tandem.lock"), plugin).unwrap();
    let alone = train(&here, "alone", &[]).assert().code(2);
    alone.stderr(contains("trust.policy = \"locked\": extractor `").and(contains("x.pt` is not pinned in `")));
    // Another file in its place is refused under any policy, when resuming too, and nothing of it is run.
    fs::write(here.path("tandem.lock"), &text).unwrap();
    fs::copy(extractor("crashes"), here.path("x.pt")).unwrap();
    for (policy, words) in
        [("any", "is not the one that `"), ("locked", "is not the one that `"), ("signed", "trust.keys")]
    {
        says(policy);
        let other = train(&here, "other", &[]).assert().code(2);
        other.stderr(contains(words).and(contains("ended by signal").not()));
    }
    says("locked");
    train(&here, "run", &["--resume", "--set", "steps=8"]).assert().code(2).stderr(contains("pinned is sha256 "));
    lock().stdout(contains("x.pt pinned in place of sha256 "));
    // The environment's policy is not loosened by a config.
    fs::copy(extractor("means"), here.path("x.pt")).unwrap();
    fs::remove_file(here.path("tandem.lock")).unwrap();
    let mut command = train(&here, "other", &[]);
    command.env("TANDEM_TRUST__POLICY", "locked").assert().code(2).stderr(contains("is not pinned"));
}

#[test]
fn eval_asks_the_same_of_an_extractor() {
    let here = Playground::default();
    let means = extractor("means");
    let asked = |policy: &str, more: &[&str]| {
        let mut command = eval(&here, &means);
        command.args(more).env("TANDEM_TRUST__POLICY", policy).assert()
    };
    asked("any", &[]).success();
    asked("locked", &[]).code(2).stderr(contains("is not pinned by a lock of yours").and(contains("--sha256")));
    // Its sum from the user's own hand is a pin.
    asked("locked", &["--sha256", &sum(&means)]).success();
    asked("signed", &["--sha256", &sum(&means)]).code(2).stderr(contains("needs a key in trust.keys"));
    // What ships is known.
    eval(&here, "mnist-classifier-v1").env("TANDEM_TRUST__POLICY", "locked").assert().success();
    // A run's own config and lock hold for it.
    let run = evaluating("[trust]\npolicy = \"locked\"\n");
    tandem(&["plugin", "lock", &run.path("config.toml")]).assert().success();
    train(&run, "run", &[]).assert().success();
    let of_run = |extractor: &str| {
        let mut command =
            tandem(&["eval", &run.path("run"), "--samples", "8", "--metrics", "fid", "--extractor", extractor]);
        command.env("XDG_CACHE_HOME", run.path("cache"));
        command.assert()
    };
    of_run(&run.path("x.pt")).success();
    of_run(&means).code(2).stderr(contains("is not pinned in `"));
    fs::copy(extractor("crashes"), run.path("x.pt")).unwrap();
    of_run(&run.path("x.pt")).code(2).stderr(contains("is not the one that `"));
}

#[test]
fn a_signature_beside_it_is_asked_for_under_signed() {
    // Signed the kept extractor; its secret key is gone.
    let key = "RWSVvo1ayY/KeWvYUYvG2+dC0UrawnXEBhCwWB07WU4aFYkIsIZHNzLK";
    let here = Playground::default();
    let file = here.path("x.pt");
    let signed = || {
        let mut command = eval(&here, &file);
        command.env("TANDEM_TRUST__POLICY", "signed").env("TANDEM_TRUST__KEYS", format!("[{key:?}]")).assert()
    };
    fs::copy(extractor("means"), &file).unwrap();
    signed().code(2).stderr(contains("x.pt` is not signed: there is no `").and(contains("x.pt.minisig`")));
    fs::write(here.path("x.pt.minisig"), "no signature").unwrap();
    signed().code(2).stderr(contains("x.pt` has a malformed signature"));
    fs::copy(root().join("tests/extractors/means.pt.minisig"), here.path("x.pt.minisig")).unwrap();
    signed().success();
    // Another file under a right signature, of a right key.
    fs::copy(extractor("crashes"), &file).unwrap();
    signed().code(2).stderr(contains("x.pt` is not what was signed with").and(contains("nothing of it was run")));
}
