//! `tandem compare`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{
    Code, DONE, FAILED, INTERRUPTED,
    arguments::{Common, Compare},
    interrupt::{say_farewell, set_farewell},
    print,
    shell::Line,
    terminal::say,
};
use crate::{
    compare::{self, Event, Job, Outcome, Plan, Settings},
    text::{Show as _, indented},
    work::{self, Held},
};

/// At the first asking every run saves and leaves, at the second they leave at once; the comparison follows them.
const HELD: Held = Held { words: "stopping; every run saves first; Ctrl-C again to leave without saving", patience: 3 };

pub(super) fn run(arguments: &Compare, common: &Common) -> anyhow::Result<Code> {
    let plan = Plan::read(&arguments.plan)?;
    let out = arguments.out.clone().unwrap_or_else(|| default_out(&arguments.plan));
    let jobs = compare::jobs(&plan, &out)?;
    if arguments.dry_run {
        print(&list(&jobs)?)?;
        return Ok(DONE);
    }
    let settings = Settings {
        program: std::env::current_exe().context("cannot tell where this program lies")?,
        plugin_path: common.plugin_path.clone(),
        workers: arguments.workers.into(),
        retry: arguments.retry,
    };
    let again = again(arguments, common);
    set_farewell(format!("interrupted; go on with: {again}"));
    let _folder = compare::hold(&out)?;
    let _runs = work::hold(HELD);
    // Before anything is trained: a place that cannot be written to is said at once.
    compare::write(&plan, &jobs, &out)?;
    let open = compare::train(&jobs, &settings, |event| {
        tell(event, &jobs);
        if let Event::Ended(..) = event {
            compare::write(&plan, &jobs, &out)?;
        }
        Ok(())
    })?;
    let (text, files) = compare::write(&plan, &jobs, &out)?;
    if open > 0 && work::asked() > 0 {
        say_farewell();
        return Ok(INTERRUPTED);
    }
    let files = files.iter().fold(String::new(), |list, path| list + &format!("{}\n", path.shown()));
    // The tables are in their files, whoever reads them here.
    if let Err(error) = print(&format!("{text}\n{files}")) {
        say(format_args!("{error:#}"));
    }
    if open > 0 {
        say(format_args!("{open} of {} runs have not ended; go on with: {again}", jobs.len()));
        return Ok(FAILED);
    }
    Ok(DONE)
}

/// The command that goes on.
fn again(arguments: &Compare, common: &Common) -> Line {
    let Compare { plan, out, workers, retry, dry_run: _ } = arguments;
    let line = common.of(Line::tandem(&["compare"])).file(plan).with_all("--out", out);
    let line = if *workers == 1 { line } else { line.with("--workers", workers.to_string()) };
    if *retry { line.flag("--retry") } else { line }
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
        Event::Ended(job, Outcome::Failed { why, .. }) => {
            say(format_args!("{}: failed: {}", job.directory.shown(), indented(why)));
        }
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
            Some(Outcome::Failed { why, .. }) => format!("failed: {}", why.lines().next().unwrap_or("").shown()),
            None if job.directory.join("config.toml").exists() => "begun".into(),
            None => "to do".into(),
        };
        text += &format!("{}  {} steps  {state}\n", job.directory.shown(), job.steps);
    }
    Ok(text)
}
