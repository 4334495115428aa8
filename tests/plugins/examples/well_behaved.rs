//! A plugin as authors write them, with switches for the two ways in which a declaration may fail.

use tandem_plugin_api::{Error, Gan, Options, export_gan};
use tandem_test_plugins::small_gan;

fn declare(options: &Options) -> Result<Gan, Error> {
    let width = options.integer("width", "units of the hidden layer", 1..=64, 8)?;
    assert!(!options.flag("panics", "panic instead of an answer", false)?, "no layer is {width} wide");
    if options.flag("refuses", "an error instead of an answer", false)? {
        return Err(Error::new("there is no such GAN"));
    }
    small_gan(options.images(), width)
}

export_gan!("well-behaved", "A small GAN for tests", declare);
