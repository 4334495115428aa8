//! How far long work is, for whoever waits for it: on a terminal its last line, elsewhere a line now and then where nothing
//! else is said. What is going on is [`work`]'s to know; this only looks, a few times a second.

use std::{
    io::IsTerminal as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::terminal::{last_said, say, show_status};
use crate::{
    text::Show as _,
    work::{self, State},
};

/// How often a terminal's line is drawn again.
const GLANCE: Duration = Duration::from_millis(200);
/// Shorter work than this goes by within what it is part of.
const SHORT: Duration = Duration::from_millis(500);
/// How long it may be silent before the first line.
const FIRST: Duration = Duration::from_millis(1700);
/// How long after it, and when it takes long altogether.
const SILENCE: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(1)];
/// From where on it takes long.
const LONG: Duration = Duration::from_mins(5);
/// Cells of a bar.
const CELLS: u64 = 24;

/// Whether nothing more is to be shown.
static OVER: AtomicBool = AtomicBool::new(false);

/// Begins to look.
pub(super) fn watch() {
    let dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal == "dumb");
    let look = if std::io::stderr().is_terminal() && !dumb { on_a_terminal } else { in_lines };
    // Without it, work is silent and no worse.
    let _ = thread::Builder::new().name("status".into()).spawn(look);
}

/// Takes the last status away; none comes after it.
pub(super) fn end() {
    OVER.store(true, Ordering::Relaxed);
    show_status("");
}

fn on_a_terminal() {
    while !OVER.load(Ordering::Relaxed) {
        thread::sleep(GLANCE);
        let status = work::current(SHORT).map_or_else(String::new, |state| drawn(&state, width()));
        show_status(&status);
        if OVER.load(Ordering::Relaxed) {
            // Between the two, the last one may have been taken away.
            show_status("");
        }
    }
}

fn in_lines() {
    let start = Instant::now();
    // What a line was last about.
    let mut told = String::new();
    while !OVER.load(Ordering::Relaxed) {
        thread::sleep(GLANCE);
        let Some(state) = work::current(SHORT) else { continue };
        let silent = last_said().unwrap_or(start).elapsed();
        let enough = match (told == state.what, state.elapsed() < LONG) {
            (false, _) => FIRST,
            (true, true) => SILENCE[0],
            (true, false) => SILENCE[1],
        };
        if silent >= enough {
            say(line(&state));
            told.clone_from(&state.what);
        }
    }
}

/// `decoding photos: 36 of 150 images, 4 s so far`.
fn line(state: &State) -> String {
    let (what, seconds) = (state.what.shown(), state.elapsed().as_secs());
    match (state.of, state.unit) {
        (0, _) => format!("{what}: {seconds} s so far"),
        (of, unit) => format!("{what}: {} of {of} {unit}, {seconds} s so far", state.done()),
    }
}

/// The same for a terminal, with a bar, and cut to its width.
fn drawn(state: &State, width: usize) -> String {
    let (what, took, note) = (state.what.shown(), state.elapsed().as_secs_f64(), state.note());
    let text = if state.of == 0 {
        format!("{what}, {took:.0} s  {note}")
    } else {
        let (done, of) = (state.done().min(state.of), state.of);
        let cells = (done as f64 / of as f64 * CELLS as f64) as usize;
        let bar = "█".repeat(cells) + &"░".repeat(CELLS as usize - cells);
        let rate = done.saturating_sub(state.from()) as f64 / took.max(1e-3);
        let left = if rate > 0.0 { duration((of - done) as f64 / rate) } else { "?".into() };
        format!("{bar} {done}/{of} {}, {rate:.1}/s, {left} left  {what}  {note}", state.unit)
    };
    cut(text.trim_end(), width)
}

fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (hours, minutes) => format!("{hours}h {minutes}m"),
    }
}

/// The beginning that fits into so many columns. What is wider than a letter is taken for two.
fn cut(text: &str, width: usize) -> String {
    let narrow = |c: char| c.is_ascii() || ('\u{a0}'..'\u{1100}').contains(&c) || "█░…∇".contains(c);
    let mut left = width;
    let fits = |c: &char| {
        let cells = if narrow(*c) { 1 } else { 2 };
        let fits = left >= cells;
        left -= cells.min(left);
        fits
    };
    text.shown().to_string().chars().take_while(fits).collect()
}

fn width() -> usize {
    let found = terminal_size::terminal_size_of(std::io::stderr());
    // The last column stays free: some terminals begin a new line after it.
    found.map_or(80, |(width, _)| usize::from(width.0)).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Work;

    #[test]
    fn a_status_says_how_far_it_is_on_one_line_that_fits() {
        let work = Work::of("test of status \u{1b}[2J", 150, "images");
        work.more(36).unwrap();
        work.note("D 0.1\nG 0.2");
        let state = work.state();
        assert_eq!(line(state), "test of status \\u{1b}[2J: 36 of 150 images, 0 s so far");
        let text = drawn(state, 300);
        assert!(text.starts_with(&format!("{}{} 36/150 images, ", "█".repeat(5), "░".repeat(19))), "{text}");
        assert!(text.ends_with("D 0.1\\u{a}G 0.2"), "{text}");
        assert_eq!(drawn(state, 30).chars().count(), 30);
        assert_eq!(cut("日本語", 5), "日本");
        assert_eq!(line(Work::begin("test of status").state()), "test of status: 0 s so far");
    }

    #[test]
    fn times_are_short() {
        assert_eq!([0.4, 59.0, 61.0, 7321.0].map(duration), ["0s", "59s", "1m 1s", "2h 2m"]);
    }
}
