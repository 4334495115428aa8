//! `tandem compare`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Context as _;

use super::{FAILED, INTERRUPTED, arguments::Compare, print, terminal::say};
use crate::{
    compare::{self, Event, Job, Outcome, Plan, Settings},
    text::Show as _,
};

/// How often Ctrl-C was pressed: once, and every run saves and leaves; twice, and they leave at once.
static STOP: AtomicU32 = AtomicU32::new(0);

pub(super) fn run(arguments: &Compare, plugin_path: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let plan = Plan::read(&arguments.plan)?;
    let out = arguments.out.clone().unwrap_or_else(|| default_out(&arguments.plan));
    let jobs = compare::jobs(&plan, &out)?;
    if arguments.dry_run {
        print(&list(&jobs)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = Settings {
        program: std::env::current_exe().context("cannot tell where this program lies")?,
        plugin_path: plugin_path.to_vec(),
        workers: arguments.workers.into(),
        retry: arguments.retry,
    };
    ctrlc::set_handler(|| {
        if STOP.fetch_add(1, Ordering::Relaxed) == 0 {
            say("stopping; every run saves first; Ctrl-C again to leave without saving");
        }
    })
    .context("cannot watch for Ctrl-C")?;
    let _hold = compare::hold(&out)?;
    // Before anything is trained: a place that cannot be written to is said at once.
    compare::write(&plan, &jobs, &out)?;
    let open = compare::train(&jobs, &settings, &STOP, |event| {
        tell(event, &jobs);
        if let Event::Ended(..) = event {
            compare::write(&plan, &jobs, &out)?;
        }
        Ok(())
    })?;
    let (text, files) = compare::write(&plan, &jobs, &out)?;
    if open > 0 && STOP.load(Ordering::Relaxed) > 0 {
        say("interrupted; the same command goes on");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let files = files.iter().fold(String::new(), |list, path| list + &format!("{}\n", path.shown()));
    print(&format!("{text}\n{files}"))?;
    if open > 0 {
        say(format_args!("{open} of {} runs have not ended; the same command goes on", jobs.len()));
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

/// `runs/demo-table` for `configs/plans/demo-table.toml`.
fn default_out(plan: &Path) -> PathBuf {
    Path::new("runs").join(plan.file_stem().unwrap_or_else(|| "comparison".as_ref()))
}

fn tell(event: &Event<'_>, jobs: &[Job]) {
    match event {
        Event::Begins(job) => {
            say(format_args!(
                "{}: {} steps, {} of {} runs",
                job.directory.shown(),
                job.steps,
                place(job, jobs),
                jobs.len()
            ));
        }
        Event::Waits(job, holder) => {
            let who = holder.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
            say(format_args!("{}: waits for {who}, which trains there", job.directory.shown()));
        }
        Event::Stopped(job) => say(format_args!("{}: somebody stopped it; the others go on", job.directory.shown())),
        Event::Ended(job, Outcome::Done(_)) => say(format_args!("{}: done", job.directory.shown())),
        Event::Ended(job, Outcome::Failed { why, .. }) => say(format_args!("{}: failed: {why}", job.directory.shown())),
    }
}

fn place(job: &Job, jobs: &[Job]) -> usize {
    jobs.iter().position(|j| j == job).map_or(0, |at| at + 1)
}

fn list(jobs: &[Job]) -> anyhow::Result<String> {
    let mut text = String::new();
    for job in jobs {
        let state = match Outcome::of(job)? {
            Some(Outcome::Done(_)) => "done".into(),
            Some(Outcome::Failed { why, .. }) => format!("failed: {}", why.lines().next().unwrap_or("")),
            None if job.directory.join("config.toml").exists() => "begun".into(),
            None => "to do".into(),
        };
        text += &format!("{}  {} steps  {state}\n", job.directory.shown(), job.steps);
    }
    Ok(text)
}
