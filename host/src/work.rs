//! Long work: how far it is, for whoever waits for it, and whether somebody asked for its end.
//!
//! A signal asks a process to stop, and none of its calls in particular; so what was asked is the process's, as its log
//! is, and needs no place in every signature. Counting and asking cost an atomic each; showing it is the command line's matter.

use std::{
    error::Error,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Somebody asked for the end of the work, which is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Interrupted {
    /// Whether an error comes of one.
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::caused)
    }
}

/// How often somebody asked for the end.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// What is going on, outermost first.
static GOING_ON: Mutex<Vec<Arc<State>>> = Mutex::new(Vec::new());
/// What would be lost or half-written by leaving at once.
static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole at any moment, whoever panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for the end; how often that was done before.
pub fn stop() -> u32 {
    ASKED.fetch_add(1, Ordering::Relaxed)
}

/// How often somebody asked for the end.
pub fn asked() -> u32 {
    ASKED.load(Ordering::Relaxed)
}

/// Goes on, unless somebody asked for the end.
///
/// # Errors
/// Somebody did.
pub fn go_on() -> Result<(), Interrupted> {
    if asked() == 0 { Ok(()) } else { Err(Interrupted) }
}

/// What is known of a piece of work.
#[derive(Debug)]
pub struct State {
    /// What is done, for example `decoding photos`.
    pub what: String,
    /// What is counted, for example `images`.
    pub unit: &'static str,
    /// How many there are; 0 where nobody can tell.
    pub of: u64,
    /// When it began.
    pub since: Instant,
    /// How many were done then.
    from: AtomicU64,
    done: AtomicU64,
    note: Mutex<String>,
}

impl State {
    /// How many are done.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// How many were done when it began.
    pub fn from(&self) -> u64 {
        self.from.load(Ordering::Relaxed)
    }

    /// What there is to say besides.
    pub fn note(&self) -> String {
        locked(&self.note).clone()
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

/// The innermost of what has been going on for at least so long.
pub fn current(least: Duration) -> Option<Arc<State>> {
    locked(&GOING_ON).iter().rfind(|state| state.elapsed() >= least).cloned()
}

/// A piece of long work; it is over when this is dropped.
#[derive(Debug)]
pub struct Work(Arc<State>);

impl Work {
    /// Work of which nobody can tell how long it takes.
    pub fn begin(what: impl Into<String>) -> Self {
        Self::of(what, 0, "")
    }

    /// Work that is counted.
    pub fn of(what: impl Into<String>, count: u64, unit: &'static str) -> Self {
        let (from, done, note) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        let state = Arc::new(State { what: what.into(), unit, of: count, since: Instant::now(), from, done, note });
        locked(&GOING_ON).push(Arc::clone(&state));
        Self(state)
    }

    /// Begins where so many were done before.
    pub fn from(self, done: u64) -> Self {
        self.0.from.store(done, Ordering::Relaxed);
        self.0.done.store(done, Ordering::Relaxed);
        self
    }

    /// What is known of it.
    pub fn state(&self) -> &State {
        &self.0
    }

    /// So many are done.
    ///
    /// # Errors
    /// Somebody asked for the end.
    pub fn at(&self, done: u64) -> Result<(), Interrupted> {
        self.0.done.store(done, Ordering::Relaxed);
        go_on()
    }

    /// So many more are done.
    ///
    /// # Errors
    /// Somebody asked for the end.
    pub fn more(&self, count: u64) -> Result<(), Interrupted> {
        self.0.done.fetch_add(count, Ordering::Relaxed);
        go_on()
    }

    /// Something to say besides, until the next.
    pub fn note(&self, text: impl Into<String>) {
        *locked(&self.0.note) = text.into();
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        locked(&GOING_ON).retain(|state| !Arc::ptr_eq(state, &self.0));
    }
}

/// Why the process is not to be left at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What whoever asks for the end is told.
    pub words: &'static str,
    /// From how many askings on it is left all the same.
    pub patience: u32,
}

impl Held {
    /// While a file is written; it takes a moment.
    pub const WRITES: Self =
        Self { words: "stopping when a file is written; Ctrl-C again to leave at once", patience: 2 };
}

/// While this lives, leaving at once would lose something or leave something half-written: whoever was asked for the end waits.
#[derive(Debug)]
#[must_use = "it holds for as long as it lives"]
pub struct Hold(Held);

/// Holds the process.
pub fn hold(why: Held) -> Hold {
    locked(&HELD).push(why);
    Hold(why)
}

/// What the process is held for, if it is: the outermost.
pub fn held() -> Option<Held> {
    locked(&HELD).first().copied()
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = locked(&HELD);
        if let Some(at) = held.iter().rposition(|why| *why == self.0) {
            held.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_work_is_what_is_going_on_and_ends_with_its_hand() {
        // Other tests of this process may work, too; these are known by their names.
        let names = || {
            locked(&GOING_ON)
                .iter()
                .map(|s| s.what.clone())
                .filter(|n| n.starts_with("test of work"))
                .collect::<Vec<_>>()
        };
        let outer = Work::of("test of work: outer", 7, "things");
        let inner = Work::begin("test of work: inner");
        assert_eq!(names(), ["test of work: outer", "test of work: inner"]);
        assert!(current(Duration::from_hours(1)).is_none(), "nothing has been going on for so long");
        outer.more(2).unwrap();
        outer.more(3).unwrap();
        outer.note("half");
        assert_eq!((outer.0.done(), outer.0.of, outer.0.note().as_str()), (5, 7, "half"));
        drop(inner);
        assert_eq!(names(), ["test of work: outer"]);
        drop(outer);
        assert!(names().is_empty());
    }

    #[test]
    fn an_interruption_is_known_however_deep_it_lies() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Outer(#[source] Interrupted);
        assert!(Interrupted::caused(&Outer(Interrupted)));
        assert!(!Interrupted::caused(&std::io::Error::other("no")));
        let error = anyhow::Error::new(Outer(Interrupted)).context("while reading");
        assert!(Interrupted::caused(error.as_ref()));
    }
}
