//! A process that a test started, and that ends with the test, however that ends.

use std::{
    fs,
    ops::{Deref, DerefMut},
    process::{Child, Command},
    thread::sleep,
    time::Duration,
};

/// A process that is killed when this goes.
pub struct Running(Child);

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Waits until the process has made a file; panics where it ends before.
    pub fn wait_for(&mut self, path: &str) {
        while fs::metadata(path).is_err() {
            assert!(matches!(self.0.try_wait(), Ok(None)), "the process ended before it wrote {path}");
            sleep(Duration::from_millis(2));
        }
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended has nobody to be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
