//! Trains GANs that come in as plugins, in one stage or two.

pub mod config;
pub mod run;
