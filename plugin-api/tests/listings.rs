//! Listings of docs/plugins.md that stand in no plugin. A black-box test looks for them here, line by line.

use tandem_plugin_api::prelude::*;

#[test]
fn a_discriminator_of_ones_own() {
    let graph = Builder::new();
    let image = graph.input("image", &[3, 64, 64]);
    let x = image.conv2d("conv1", 64, kernel(4).stride(2).padding(1)).leaky_relu(0.2);
    let x = x.conv2d("conv2", 128, kernel(4).stride(2).padding(1).bias(false));
    let x = x.group_norm("conv2_norm", 32, Norm::default()).leaky_relu(0.2);
    let discriminator = graph.finish(&x.flatten().linear("score", 1, Linear::default()));
    assert_eq!(discriminator.unwrap().output_type().shape.to_string(), "[N, 1]");
}
