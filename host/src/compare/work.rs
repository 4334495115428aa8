//! Training the runs of a plan: as many processes at once as there are workers, each run from where it is.

use std::{
    collections::VecDeque,
    fs::{self, File},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use nix::{sys::signal, unistd::Pid};

use super::{CompareError, Job, Outcome};
use crate::{config, run::RunDir};

/// How the runs are trained.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The `tandem` that trains.
    pub program: PathBuf,
    /// Further places of plugins.
    pub plugin_path: Vec<PathBuf>,
    /// Runs at once.
    pub workers: usize,
    /// Try failed runs again.
    pub retry: bool,
}

/// What somebody watching is told.
#[derive(Debug)]
pub enum Event<'a> {
    /// A run begins, or goes on.
    Begins(&'a Job),
    /// A run waits for a process that trains in its directory.
    Waits(&'a Job, Option<u32>),
    /// A run ended.
    Ended(&'a Job, &'a Outcome),
}

/// How often a process is looked after.
const GLANCE: Duration = Duration::from_millis(50);
/// `tandem train`'s exit code for wrong settings.
const USAGE: i32 = 2;
/// Its exit code when it was told to stop and saved.
const INTERRUPTED: i32 = 130;

enum Message<'a> {
    Says(Event<'a>),
    Ended(&'a Job, Outcome),
    Fatal(CompareError),
}

/// Trains what is not done; `watch` is called in this thread, and may end all by its error. Returns false when `stop` was set before
/// all was done: every run has saved then.
pub fn train(
    jobs: &[Job],
    settings: &Settings,
    stop: &AtomicBool,
    mut watch: impl FnMut(&Event<'_>) -> Result<(), CompareError>,
) -> Result<bool, CompareError> {
    let mut queue = VecDeque::new();
    for job in jobs {
        match Outcome::of(job)? {
            Some(Outcome::Done { .. }) => {}
            Some(Outcome::Failed { .. }) if !settings.retry => {}
            _ => queue.push_back(job),
        }
    }
    let (queue, quit) = (Mutex::new(queue), AtomicBool::new(false));
    let stopped = || stop.load(Ordering::Relaxed) || quit.load(Ordering::Relaxed);
    let (sender, receiver) = mpsc::channel();
    let mut first = None;
    thread::scope(|scope| {
        for _ in 0..settings.workers.max(1) {
            let (sender, queue, stopped) = (sender.clone(), &queue, &stopped);
            scope.spawn(move || {
                while !stopped() {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(job) = next else { return };
                    let message = match work(job, settings, &stopped, &|e| drop(sender.send(Message::Says(e)))) {
                        Ok(Some(outcome)) => Message::Ended(job, outcome),
                        Ok(None) => return,
                        Err(error) => Message::Fatal(error),
                    };
                    if sender.send(message).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for message in receiver {
            let told = match message {
                Message::Says(event) => watch(&event),
                Message::Ended(job, outcome) => watch(&Event::Ended(job, &outcome)),
                Message::Fatal(error) => Err(error),
            };
            if let Err(error) = told {
                // The others save and leave; the first error is the one that is told.
                quit.store(true, Ordering::Relaxed);
                first.get_or_insert(error);
            }
        }
    });
    match first {
        Some(error) => Err(error),
        None => Ok(!stop.load(Ordering::Relaxed)),
    }
}

/// Trains one run to its end; `None` when it was told to stop.
fn work<'a>(
    job: &'a Job,
    settings: &Settings,
    stopped: &impl Fn() -> bool,
    say: &impl Fn(Event<'a>),
) -> Result<Option<Outcome>, CompareError> {
    let resume = job.directory.join("config.toml").exists();
    if resume && !free(job, stopped, say)? {
        return Ok(None);
    }
    Outcome::clear(job)?;
    let parent = job.directory.parent().unwrap_or(&job.directory);
    fs::create_dir_all(parent).map_err(CompareError::io("create", parent))?;
    say(Event::Begins(job));
    let mut child = spawn(job, settings, resume)?;
    let status = wait(&mut child, stopped).map_err(CompareError::io("wait for", &settings.program))?;
    let outcome = match status.code() {
        Some(0) => Outcome::Done { sets: job.sets.clone() },
        Some(INTERRUPTED) => return Ok(None),
        Some(USAGE) => return Err(CompareError::Refused { run: job.directory.clone(), message: said(job, status) }),
        _ => Outcome::Failed { why: said(job, status) },
    };
    outcome.record(job)?;
    Ok(Some(outcome))
}

/// Waits while another process trains in the run's directory, as a worker does whose comparison was killed. False when told to stop.
fn free<'a>(job: &'a Job, stopped: &impl Fn() -> bool, say: &impl Fn(Event<'a>)) -> Result<bool, CompareError> {
    let run = RunDir::open(&job.directory)?;
    let mut told = false;
    while let Some(holder) = run.in_use()? {
        if stopped() {
            return Ok(false);
        }
        if !std::mem::replace(&mut told, true) {
            say(Event::Waits(job, holder));
        }
        thread::sleep(GLANCE * 10);
    }
    Ok(true)
}

fn spawn(job: &Job, settings: &Settings, resume: bool) -> Result<Child, CompareError> {
    let log = job.beside(".log");
    let log = File::create(&log).map_err(CompareError::io("create", &log))?;
    let other = log.try_clone().map_err(CompareError::io("use", job.beside(".log")))?;
    let mut command = Command::new(&settings.program);
    for place in &settings.plugin_path {
        command.arg("--plugin-path").arg(place);
    }
    command.arg("train").arg(&job.config).arg("--out").arg(&job.directory);
    if resume {
        command.arg("--resume");
    }
    for set in &job.sets {
        command.args(["--set", set]);
    }
    if !job.threads_set {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        command.args(["--set", &format!("threads={}", (cores / settings.workers.max(1)).max(1))]);
    }
    // The plan says it all: what stands in this process's environment for its own runs is not meant for these.
    for (name, _) in config::environment().iter().filter(|(name, _)| !config::is_reserved(name)) {
        command.env_remove(name);
    }
    // A group of its own: Ctrl-C reaches the comparison, which tells each run once.
    command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(other);
    command.spawn().map_err(CompareError::io("start", &settings.program))
}

/// Waits for a run; tells it to save and leave when told to stop.
fn wait(child: &mut Child, stopped: &impl Fn() -> bool) -> std::io::Result<ExitStatus> {
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stopped() && !std::mem::replace(&mut told, true) {
            signal::kill(Pid::from_raw(child.id() as i32), signal::Signal::SIGINT)?;
        }
        thread::sleep(GLANCE);
    }
}

/// The error at the end of a run's log, or how its process ended.
fn said(job: &Job, status: ExitStatus) -> String {
    let log = fs::read_to_string(job.beside(".log")).unwrap_or_default();
    let error = log.rfind("error: ").map(|at| log[at + "error: ".len()..].trim().to_owned());
    match (error, status.signal()) {
        (_, Some(signal)) => format!("its process was ended by signal {signal}"),
        (Some(error), None) => error,
        (None, None) => format!("exit code {}", status.code().unwrap_or(-1)),
    }
}
