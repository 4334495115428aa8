//! Networks that several GAN plugins share. Today there is one, [`Dcgan`].
//!
//! A plugin takes both networks from here and adds what makes it the GAN it is: its losses and its defaults.

mod dcgan;
pub mod testing;

pub use dcgan::Dcgan;
