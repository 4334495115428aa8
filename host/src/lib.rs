//! Tandem's host: loads GAN definitions from plugins and trains them in one stage or two.

pub mod check;
pub mod image;
pub mod network;
pub mod train;
