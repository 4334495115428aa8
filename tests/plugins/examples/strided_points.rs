//! Layers that libtorch alone does not survive on the CPU, in sizes at which it does not: ResNet shortcuts by 1x1
//! convolutions of stride 2 with few channels at 128 px, and a group norm of what needs no gradient.

use tandem_plugin_api::{Builder, Network, Norm, Tensor, prelude::*};

export_gan!("strided-points", "Strided shortcuts of few channels, for tests", declare);

fn declare(_: &Options) -> Result<Gan, Error> {
    Gan::builder(generator(), discriminator())
        .loss_discriminator(|s| ((&s.real - 1.0).square().mean(), s.fake.square().mean()))
        .loss_generator(|s| (&s.fake - 1.0).square().mean())
        .build()
}

fn generator() -> Result<Network, Error> {
    let g = Builder::new();
    let x = g.input("latent", &[8]).linear("start", 8 * 8 * 8, Linear::default()).reshape(&[8, 8, 8]);
    g.finish(&x.upsample_nearest(4).conv2d("image", 1, kernel(3).padding(1)).tanh())
}

fn discriminator() -> Result<Network, Error> {
    let d = Builder::new();
    let x = d.input("image", &[1, 32, 32]).upsample_nearest(4).conv2d("first", 8, kernel(1)).leaky_relu(0.2);
    let still = x.detach().group_norm("still", 4, Norm::default());
    let x = half("one", &(x + still * 0.1));
    let x = half("two", &x).mean_over(&[2, 3], false);
    d.finish(&x.linear("score", 1, Linear::default()))
}

fn half(name: &str, x: &Tensor) -> Tensor {
    let long = x.conv2d(&format!("{name}.conv"), 8, kernel(3).padding(1)).leaky_relu(0.2).avg_pool2d(2, 2, 0);
    long + x.conv2d(&format!("{name}.shortcut"), 8, kernel(1).stride(2).bias(false))
}
