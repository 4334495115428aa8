//! A second plugin, to be loaded beside the first.

use tandem_plugin_api::{Error, Gan, Options, export_gan};
use tandem_test_plugins::small_gan;

fn declare(options: &Options) -> Result<Gan, Error> {
    small_gan(options.images(), 3)
}

export_gan!("another", "Another small GAN for tests", declare);
