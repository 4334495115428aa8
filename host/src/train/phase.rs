//! Marks for the phases of a step: spans that cost nothing until somebody listens (`tandem bench` does).

/// Opens a span of [`TARGET`]; the phase lasts as long as what this gives.
macro_rules! phase {
    ($name:literal) => {
        tracing::trace_span!(target: "tandem::phase", $name).entered()
    };
}

pub(crate) use phase;

/// The target of all phases' spans.
pub const TARGET: &str = "tandem::phase";

/// The phases in a step's order. None lies within another.
pub const PHASES: [&str; 6] =
    ["data", "generator_forward", "discriminator_forward", "backward", "penalties", "optimizer"];
