//! Training the runs of a plan: as many processes at once as there are workers, each run from where it is.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use super::{CompareError, Job, Outcome, Told};
use crate::{
    config,
    files::{self, MOST_TEXT},
    run::{Hold, RunDir, begin_file},
    work::{self, Work},
};

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
    /// Somebody stopped this run alone, which has not ended.
    Stopped(&'a Job),
    /// A run ended.
    Ended(&'a Job, &'a Outcome),
}

/// How often a process is looked after.
const GLANCE: Duration = Duration::from_millis(50);
/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes at the end of its metrics that hold a line.
const LINES: u64 = 16 << 10;
/// `tandem train`'s exit code for wrong settings.
const USAGE: i32 = 2;
/// Its exit code when it was told to stop and saved.
const INTERRUPTED: i32 = 130;
/// What ends a process that is starting and listens to no signal yet, where somebody wants it gone: it did not fail.
const ENDS: [i32; 3] = [Signal::SIGINT as i32, Signal::SIGTERM as i32, Signal::SIGHUP as i32];
/// Ends the name of the file with what a run said.
const LOG: &str = ".log";

enum Message<'a> {
    Says(Event<'a>),
    Ended(&'a Job, Outcome),
    Fatal(CompareError),
}

/// Holds a comparison's folder: two in one would train and write the same.
pub fn hold(out: &Path) -> Result<Hold, CompareError> {
    fs::create_dir_all(out).map_err(CompareError::io("create", out))?;
    Ok(Hold::take(out)?)
}

/// Trains what is not done; `watch` is called in this thread, and may end all by its error. Where somebody asks for the end, every
/// run saves and leaves; at the second asking it leaves at once. Returns how many runs have not ended.
pub fn train(
    jobs: &[Job],
    settings: &Settings,
    mut watch: impl FnMut(&Event<'_>) -> Result<(), CompareError>,
) -> Result<usize, CompareError> {
    let mut queue = VecDeque::new();
    let mut done = 0;
    for job in jobs {
        match Outcome::of(job)? {
            Some(Outcome::Done(_)) => done += job.steps,
            Some(Outcome::Failed { .. }) if !settings.retry => {}
            _ => queue.push_back(job),
        }
    }
    let progress = Work::of("comparing", jobs.iter().map(|job| job.steps).sum(), "steps").from(done);
    let (queue, quit) = (Mutex::new(queue), AtomicBool::new(false));
    let asked = || work::asked().max(u32::from(quit.load(Ordering::Relaxed)));
    let (sender, receiver) = mpsc::channel();
    let mut first = None;
    thread::scope(|scope| {
        for at in 0..settings.workers.max(1) {
            let (sender, queue, quit, asked, progress) = (sender.clone(), &queue, &quit, &asked, &progress);
            let worker = move || {
                while asked() == 0 {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(job) = next else { return };
                    let message = match one(job, settings, (asked, progress), &|e| drop(sender.send(Message::Says(e))))
                    {
                        Ok(Some(outcome)) => Message::Ended(job, outcome),
                        Ok(None) if asked() > 0 => return,
                        Ok(None) => Message::Says(Event::Stopped(job)),
                        Err(error) => {
                            // Here already: else the next run would be begun before the error is told.
                            quit.store(true, Ordering::Relaxed);
                            Message::Fatal(error)
                        }
                    };
                    if sender.send(message).is_err() {
                        return;
                    }
                }
            };
            // Fewer than wanted are enough; none is an error, such as memory that is gone.
            if let Err(source) = thread::Builder::new().spawn_scoped(scope, worker) {
                if at == 0 {
                    first = Some(CompareError::NoThread { source });
                }
                break;
            }
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
    if let Some(error) = first {
        return Err(error);
    }
    let mut open = 0;
    for job in jobs {
        open += usize::from(Outcome::of(job)?.is_none());
    }
    Ok(open)
}

/// Trains one run to its end; `None` when somebody stopped it first, here or it alone.
fn one<'a>(
    job: &'a Job,
    settings: &Settings,
    (asked, progress): (&impl Fn() -> u32, &Work),
    say: &impl Fn(Event<'a>),
) -> Result<Option<Outcome>, CompareError> {
    let begun = job.directory.join("config.toml").exists();
    if begun && !free(job, asked, say)? {
        return Ok(None);
    }
    let resume = begun && !begins_anew(job)?;
    if begun && !resume {
        discard(job)?;
    }
    let before = Outcome::clear(job)?;
    let parent = job.directory.parent().unwrap_or(&job.directory);
    fs::create_dir_all(parent).map_err(CompareError::io("create", parent))?;
    say(Event::Begins(job));
    let mut child = spawn(job, settings, resume)?;
    let mut reached = Reached::of(job, progress);
    let ended = wait(&mut child, asked, &mut reached);
    let (status, told) = ended.map_err(CompareError::io("wait for", &settings.program))?;
    let outcome = match status.code() {
        Some(0) => Outcome::Done(Told::now(job)),
        Some(INTERRUPTED) => return Ok(None),
        None if told || status.signal().is_some_and(|signal| ENDS.contains(&signal)) => return Ok(None),
        Some(USAGE) => {
            // Nothing was trained: what the record says is still so.
            if let Some(before) = before.filter(|_| resume) {
                before.record(job)?;
            }
            return Err(CompareError::Refused { run: job.directory.clone(), message: said(job, status) });
        }
        _ => Outcome::Failed { why: said(job, status), told: Told::now(job) },
    };
    outcome.record(job)?;
    reached.add(job.steps);
    Ok(Some(outcome))
}

/// Whether a run that was begun here is of no use, so that its directory goes and it begins from nothing: it failed under settings that
/// lead elsewhere, or it has no checkpoint to go on from. Only for what a comparison began, which its record or log tells.
fn begins_anew(job: &Job) -> Result<bool, CompareError> {
    if Outcome::failed_otherwise(job)? {
        return Ok(true);
    }
    let run = RunDir::open(&job.directory)?;
    Ok(job.beside(LOG).exists() && run.latest()?.is_none() && run.checkpoints()?.is_empty())
}

/// Removes a run's directory. It is out of the way at once: one that is removed in part is neither a run nor empty.
fn discard(job: &Job) -> Result<(), CompareError> {
    let aside = job.beside(".old");
    let remove = || fs::remove_dir_all(&aside).map_err(CompareError::io("remove", &aside));
    if aside.exists() {
        remove()?;
    }
    fs::rename(&job.directory, &aside).map_err(CompareError::io("move aside", &job.directory))?;
    remove()
}

/// Waits while another process trains in the run's directory, as a worker does whose comparison was killed. False when told to stop.
fn free<'a>(job: &'a Job, asked: &impl Fn() -> u32, say: &impl Fn(Event<'a>)) -> Result<bool, CompareError> {
    let run = RunDir::open(&job.directory)?;
    let mut told = false;
    while let Some(holder) = run.in_use()? {
        if asked() > 0 {
            return Ok(false);
        }
        if !std::mem::replace(&mut told, true) {
            say(Event::Waits(job, holder));
        }
        thread::sleep(GLANCE * 10);
    }
    Ok(true)
}

/// How the names of variables begin that say what may be run.
const TRUST: &str = "TANDEM_TRUST__";

fn spawn(job: &Job, settings: &Settings, resume: bool) -> Result<Child, CompareError> {
    let log = job.beside(LOG);
    let log = begin_file(&log).map_err(CompareError::io("create", &log))?;
    let other = log.try_clone().map_err(CompareError::io("use", job.beside(LOG)))?;
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
    // Last, so that it is the nearest: a plan, which may be anybody's, loosens nothing that the user's environment asks of what is run.
    for (name, value) in config::environment() {
        if let Some(key) = name.strip_prefix(TRUST) {
            command.args(["--set", &format!("trust.{}={value}", key.to_lowercase())]);
        }
    }
    // The plan says the rest: what stands in this process's environment for its own runs is not meant for these.
    for (name, _) in config::environment().iter().filter(|(name, _)| !config::is_reserved(name)) {
        command.env_remove(name);
    }
    // A group of its own: Ctrl-C reaches the comparison, which tells each run once.
    command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(other);
    command.spawn().map_err(CompareError::io("start", &settings.program))
}

/// Waits for a run, and tells it to save and leave as often as that was asked for; says whether it was told.
fn wait(child: &mut Child, asked: &impl Fn() -> u32, reached: &mut Reached<'_>) -> std::io::Result<(ExitStatus, bool)> {
    let mut told = 0;
    loop {
        reached.look();
        if let Some(status) = child.try_wait()? {
            return Ok((status, told > 0));
        }
        if told < asked() {
            told += 1;
            signal::kill(Pid::from_raw(child.id() as i32), Signal::SIGINT)?;
        }
        thread::sleep(GLANCE);
    }
}

/// How far a run is, added to how far all are.
struct Reached<'a> {
    job: &'a Job,
    progress: &'a Work,
    step: u64,
    looked: Instant,
}

impl<'a> Reached<'a> {
    fn of(job: &'a Job, progress: &'a Work) -> Self {
        Self { job, progress, step: 0, looked: Instant::now() }
    }

    /// Now and then, by the last line of its metrics; a line that is not whole tells nothing.
    fn look(&mut self) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let step = last_line(&self.job.directory.join("metrics.jsonl")).ok().flatten().unwrap_or(self.step);
        self.add(step);
    }

    fn add(&mut self, step: u64) {
        // Who asks for the end is heard elsewhere.
        let _ = self.progress.more(step.saturating_sub(self.step));
        self.step = self.step.max(step);
    }
}

/// The step in the last whole line of a run's metrics.
fn last_line(metrics: &Path) -> std::io::Result<Option<u64>> {
    let mut file = File::open(metrics)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LINES)))?;
    let mut end = Vec::new();
    file.take(LINES).read_to_end(&mut end)?;
    let lines = end.split(|&byte| byte == b'\n').rev();
    let step = |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).ok()?.get("step")?.as_u64();
    Ok(lines.skip(1).find_map(step))
}

/// The error at the end of a run's log, or how its process ended.
fn said(job: &Job, status: ExitStatus) -> String {
    let log = files::read_text(&job.beside(LOG), MOST_TEXT).unwrap_or_default();
    let error = log.rfind("error: ").map(|at| log[at + "error: ".len()..].trim().to_owned());
    match (error, status.signal()) {
        (_, Some(signal)) => format!("its process was ended by signal {signal}"),
        (Some(error), None) => error,
        (None, None) => format!("exit code {}", status.code().unwrap_or(-1)),
    }
}
