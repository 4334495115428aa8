//! What a run does with the terminal, pipes and signals around it: nothing that is said can end it, whoever asks for its end is
//! heard at once, and the command that it offers goes on.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use tandem_tests::{Playground, Running, binary, root, tandem};

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A run that takes long enough to be asked for its end.
fn long(here: &Playground, out: &str) -> Command {
    let mut command = Command::new(binary());
    command.args(["train", &here.path("config.toml"), "--out", &here.path(out), "--set", "steps=100000"]);
    command.env("OMP_NUM_THREADS", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_stderr_that_is_gone_ends_nothing() {
    let here = Playground::default();
    let status = |out: &str, stderr: Stdio| {
        let mut command = Command::new(binary());
        command.args(["train", &here.path("config.toml"), "--out", &here.path(out)]).env("TANDEM_LOG", "info");
        let mut child = command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        drop(child.stderr.take());
        child.wait().unwrap().code()
    };
    assert_eq!(status("full", full().into()), Some(0));
    assert_eq!(status("closed", Stdio::piped()), Some(0));
    for run in ["full", "closed"] {
        assert_eq!(here.read(&format!("{run}/latest")), b"step-6\n", "{run}");
    }
}

#[test]
fn ctrl_c_where_stderr_is_gone_saves_and_leaves_with_130() {
    let here = Playground::default();
    for (out, stderr) in [("closed", Stdio::piped()), ("full", full().into())] {
        let mut child = Running::start(long(&here, out).stderr(stderr));
        drop(child.stderr.take());
        child.wait_for(&here.path(&format!("{out}/checkpoints/step-3")));
        send(&child, Signal::SIGINT);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{out}");
        here.train(out, &["--resume", "--set", "steps=1"]).assert().code(2).stderr(contains("is at step"));
    }
}

#[test]
fn a_terminal_that_is_closed_ends_a_run_in_order_unless_it_was_told_to_stay() {
    let here = Playground::default();
    // Whoever runs the tests may ignore it.
    let run = long(&here, "hup");
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP").arg(run.get_program()).args(run.get_args());
    let mut child = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    child.wait_for(&here.path("hup/checkpoints/step-3"));
    send(&child, Signal::SIGHUP);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(binary());
    command.args(["train", &here.path("config.toml"), "--out", &here.path("nohup"), "--set", "steps=100000"]);
    let mut child = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    child.wait_for(&here.path("nohup/latest"));
    send(&child, Signal::SIGHUP);
    let next = fs::read_to_string(here.path("nohup/latest")).unwrap();
    while fs::read_to_string(here.path("nohup/latest")).unwrap() == next {
        assert!(matches!(child.try_wait(), Ok(None)), "it stopped at {next}");
        sleep(Duration::from_millis(2));
    }
    send(&child, Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_result_that_cannot_be_written_is_an_error_but_no_reader_is_none() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let run = here.path("run");
    let png = here.path("one.png");
    let commands: [&[&str]; 5] = [
        &["plugin", "list"],
        &["plugin", "list", "--json"],
        &["completions", "bash"],
        &["--help"],
        &["sample", &run, "--num", "1", "--out", &png],
    ];
    let ended = |arguments: &[&str], stdout: Stdio| {
        let mut command = Command::new(binary());
        command.args(arguments).stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in commands {
        let (code, said) = ended(arguments, full().into());
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert!(said.contains("error: cannot write the result to standard output: No space left"), "{said}");
        let (code, said) = ended(arguments, Stdio::piped());
        assert_eq!((code, said.as_str()), (Some(0), ""), "{arguments:?}");
    }
    // What a run says at its end is no result: that lies in its directory.
    let config = here.path("config.toml");
    let (code, said) = ended(&["train", &config, "--out", &here.path("other")], full().into());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(here.read("other/latest"), b"step-6\n");
}

/// A folder of photographs that take long to be decoded.
fn photographs(here: &Playground) -> String {
    let folder = here.path("photos");
    fs::create_dir(&folder).unwrap();
    let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let pixels = (0..3 * 2000 * 2000).map(noise).collect();
    let first = format!("{folder}/000.png");
    image::RgbImage::from_raw(2000, 2000, pixels).unwrap().save(&first).unwrap();
    for i in 1..400 {
        fs::hard_link(&first, format!("{folder}/{i:03}.png")).unwrap();
    }
    folder
}

#[test]
fn decoding_says_how_far_it_is_and_ends_when_it_is_asked_to() {
    let here = Playground::default();
    let photos = photographs(&here);
    let data = ["--set", "data.kind=folder", "--set", &format!("data.path={photos}"), "--set", "data.image_size=32"];
    let (config, run, cache) = (here.path("config.toml"), here.path("run"), here.path("cache"));
    let here_cached = ["--set", &format!("data.cache={cache}")];
    let commands: [(Vec<&str>, Signal); 3] = [
        ([&["train", &config, "--out", &run], &data[..]].concat(), Signal::SIGTERM),
        ([&["data", "prepare", &config], &data[..], &here_cached].concat(), Signal::SIGINT),
        (vec!["data", "inspect", &photos, "--all"], Signal::SIGTERM),
    ];
    for (arguments, signal) in commands {
        let mut command = Command::new(binary());
        command.args(&arguments).env("XDG_CACHE_HOME", here.path("xdg")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut lines = String::new();
        while !lines.contains(" of 400 images, ") {
            assert!(said.read_line(&mut lines).unwrap() > 0, "{arguments:?}: {lines}");
        }
        send(&child, signal);
        let asked = Instant::now();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{arguments:?}: {rest}");
        // One second is promised; the machine may be busy.
        assert!(asked.elapsed() < Duration::from_secs(3), "{arguments:?}: {:?}", asked.elapsed());
        assert!(rest.contains("interrupted"), "{arguments:?}: {rest}");
    }
    assert!(!Path::new(&run).exists());
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0, "nothing is left half-written");
}

/// The last command that a log offers.
fn offered(log: &str) -> String {
    log.lines().filter_map(|line| line.split_once("go on with: ")).next_back().unwrap().1.to_owned()
}

#[test]
fn the_command_that_is_offered_goes_on() {
    let here = Playground::default();
    let folder = here.path("it's $HOME \"run\"");
    fs::create_dir(&folder).unwrap();
    fs::copy(here.path("config.toml"), format!("{folder}/-a b.toml")).unwrap();
    // As a shell finds it.
    fs::create_dir(here.path("bin")).unwrap();
    std::os::unix::fs::symlink(binary(), here.path("bin/tandem")).unwrap();
    let path = format!("{}:{}", here.path("bin"), std::env::var("PATH").unwrap());
    let interrupted = |mut command: Command| {
        command.current_dir(&folder).env("PATH", &path).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut log, mut said) = (String::new(), BufReader::new(child.stderr.take().unwrap()));
        while !log.contains("step ") || log.lines().count() < 4 {
            assert!(said.read_line(&mut log).unwrap() > 0, "{log}");
        }
        send(&child, Signal::SIGINT);
        said.read_to_string(&mut log).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{log}");
        log
    };
    let mut first = Command::new(binary());
    first.args(["train", "--out=-r", "./-a b.toml", "--set", "steps=100000", "--set", "evaluate.metrics=[\"kid\"]"]);
    first.args(["--set", "options.latent_size = 6", "--log-format", "json"]);
    first.arg("--plugin-path").arg(binary().parent().unwrap());
    // Each is a setting, and one is about what another chooses.
    first.env("TANDEM_GENERATOR__OPTIMIZER", "sgd").env("TANDEM_GENERATOR__LEARNING_RATE", "1e-3");
    first.env("TANDEM_BATCH_SIZE", "2").env("TANDEM_SEED", "7").env("TANDEM_EVALUATE__KEEP_BEST", "kid");
    let log = interrupted(first);
    let command = offered(&log);
    assert!(command.starts_with("tandem train "), "{command}");
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("exec {command}")]);
    let log = interrupted(shell);
    assert!(log.contains("going on at step "), "{log}");
    assert_eq!(offered(&log), command, "it stays the same");
}

#[test]
fn a_resume_to_fewer_steps_ends_there_and_the_run_stays_as_long_as_it_was() {
    let here = Playground::default();
    let steps = |run: &str| {
        let config = String::from_utf8(here.read(&format!("{run}/config.toml"))).unwrap();
        config.lines().find(|line| line.starts_with("steps = ")).unwrap().to_owned()
    };
    let mut child = Running::start(&mut long(&here, "run"));
    child.wait_for(&here.path("run/checkpoints/step-3"));
    send(&child, Signal::SIGINT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let latest = String::from_utf8(here.read("run/latest")).unwrap();
    let step: u64 = latest.trim().strip_prefix("step-").unwrap().parse().unwrap();
    here.train("run", &["--resume", "--set", &format!("steps={}", step + 2)])
        .assert()
        .success()
        .stdout(contains(format!("trained to step {}", step + 2)));
    assert_eq!(steps("run"), "steps = 100000");
}

#[test]
fn a_job_that_is_started_again_and_again_begins_once() {
    let here = Playground::default();
    let again = |out: &str, steps: &str| here.train(out, &["--resume-or-start", "--set", steps]).assert().success();
    again("run", "steps=3").stderr(contains("going on").not());
    again("run", "steps=6").stderr(contains("going on at step 3"));
    again("run", "steps=6").stderr(contains("going on at step 6"));
    // What a crash leaves of a run that never began.
    fs::create_dir(here.path("begun")).unwrap();
    for name in ["lock", "definition.json", "config.toml.tmp"] {
        fs::write(here.path(&format!("begun/{name}")), "").unwrap();
    }
    again("begun", "steps=3").stderr(contains("going on").not());
    // And of one that has no checkpoint yet.
    fs::remove_dir_all(here.path("begun/checkpoints")).unwrap();
    fs::remove_file(here.path("begun/latest")).unwrap();
    again("begun", "steps=3").stderr(contains("going on").not());
    // What is no run is nobody's to write to.
    fs::create_dir(here.path("other")).unwrap();
    fs::write(here.path("other/thesis.tex"), "").unwrap();
    here.train("other", &["--resume-or-start"]).assert().code(1).stderr(contains("found `thesis.tex`"));
    here.train("run", &["--resume-or-start", "--resume"]).assert().code(2).stderr(contains("cannot be used with"));
}

#[test]
fn a_variable_of_another_program_is_passed_over_with_a_word() {
    let here = Playground::default();
    let foreign = [("TANDEM_STEP", "5"), ("TANDEM_DATA", "/data"), ("TANDEM_HOME", "x"), ("TANDEM_TRAIN__SEED", "1")];
    let said = here.train("run", &["--set", "steps=2"]).envs(foreign).assert().success();
    let said = String::from_utf8(said.get_output().stderr.clone()).unwrap();
    for (variable, _) in foreign {
        assert_eq!(said.matches(&format!("environment variable {variable} ")).count(), 1, "{said}");
    }
    assert!(said.contains("did you mean TANDEM_STEPS?") && said.contains("did you mean TANDEM_SEED?"), "{said}");
    // One of Tandem's is not passed over.
    here.train("other", &[])
        .env("TANDEM_STEPS", "many")
        .assert()
        .code(2)
        .stderr(contains("environment variable TANDEM_STEPS"));
}

#[test]
fn an_option_that_is_no_number_is_the_users_mistake() {
    for value in ["nan", "inf", "-inf", "[1.0, nan]"] {
        let set = format!("width={value}");
        tandem(&["plugin", "check", "dcgan", "--set", &set])
            .assert()
            .code(2)
            .stderr(contains("key `options.width` must be").and(contains(format!("--set width={value}"))));
    }
    tandem(&["plugin", "check", "dcgan", "--set", "width"]).assert().code(2).stderr(contains("OPTION=VALUE"));
}

#[test]
fn a_name_makes_no_line_of_its_own_and_does_not_speak_to_the_terminal() {
    let here = Playground::default();
    let folder = here.path("images");
    fs::create_dir(&folder).unwrap();
    fs::copy(root().join("docs/digits/dcgan.png"), format!("{folder}/whole.png")).unwrap();
    let name = "a\u{1b}[2Jb\nerror: forged\u{202e}\u{2028}.png";
    fs::write(format!("{folder}/{name}"), "no image").unwrap();
    let inspected = tandem(&["data", "inspect", &folder, "--all"]).output().unwrap();
    let data = ["--set", "data.kind=folder", "--set", &format!("data.path={folder}"), "--set", "batch_size=1"];
    let grey = [&data[..], &["--set", "steps=1", "--set", "data.channels=grey"]].concat();
    let trained = here.train("run", &grey).output().unwrap();
    let all_bad = [&data[..], &["--set", "data.max_bad=0"]].concat();
    let refused = here.train("refused", &all_bad).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    for output in [&inspected, &trained, &refused] {
        let said = [&output.stdout[..], &output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("a\\u{1b}[2Jb\\u{a}error: forged\\u{202e}\\u{2028}.png"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}', '\u{2028}']), "{said:?}");
        assert!(!said.lines().any(|line| line.trim_start().starts_with("error: forged")), "{said}");
    }
    let json = tandem(&["data", "inspect", &folder, "--all", "--json"]).output().unwrap().stdout;
    let text = String::from_utf8(json).unwrap();
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{2028}']), "{text:?}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(value["bad"][0]["name"].as_str().unwrap().contains("\\u{202e}\\u{2028}"), "{text}");
}
