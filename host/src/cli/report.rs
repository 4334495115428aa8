//! `tandem report`.

use super::{arguments::Report, print, sample::write};
use crate::{report, run::RunDir, text::Show as _};

pub(super) fn run(arguments: &Report) -> anyhow::Result<()> {
    let html = report::html(&RunDir::open(&arguments.run)?)?;
    let out = arguments.out.clone().unwrap_or_else(|| arguments.run.join("report.html"));
    write(&out, html.as_bytes())?;
    print(&format!("{}\n", out.shown()))?;
    Ok(())
}
