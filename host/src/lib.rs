//! Tandem's host: loads GAN definitions from plugins and trains them in one stage or two.

pub mod check;
pub mod cli;
pub mod compare;
pub mod config;
pub mod data;
pub mod exhausted;
pub mod export;
mod folders;
pub mod image;
pub mod metrics;
pub mod network;
pub mod plugin;
mod protobuf;
pub mod report;
pub mod run;
pub mod session;
pub mod share;
pub mod tensorboard;
pub mod text;
pub mod train;
