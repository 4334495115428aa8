//! stub

pub mod plugin;
