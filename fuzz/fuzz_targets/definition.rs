//! A definition from anywhere: refused with a sentence, or what it says is the same after a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_plugin_api::{Gan, value::Definition};

fuzz_target!(|bytes: &[u8]| {
    let Ok(definition) = serde_json::from_slice::<Definition>(bytes) else { return };
    if let Ok(gan) = Gan::decode(&definition) {
        assert_eq!(Gan::decode(&gan.encode()).as_ref(), Ok(&gan));
        // What the host does with every definition before it trains one.
        let _ = (gan.formulas(), gan.generator.forward_flops(), gan.discriminator.forward_flops());
    }
});
