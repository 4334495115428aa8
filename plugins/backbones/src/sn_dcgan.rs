//! SN-DCGAN: the "standard CNN" of Miyato et al. (ICLR 2018, arXiv 1802.05957), table 3, with spectral norm in every layer
//! of D.
//!
//! The table has 32 pixels (CIFAR-10) and 48 (STL-10), which differ in G's first map alone: an eighth of the image. So has
//! 64 here. The channels are multiples of `width`, 64 in the paper. What the table leaves unsaid is as in the authors'
//! colleagues' `pfnet-research/chainer-gan-lib`: batch norm and ReLU after G's dense layer, weights from `N(0, 0.02²)`.

use tandem_plugin_api::{Builder, Conv, Error, Init, Linear, Network, Norm, Options, Tensor, kernel, options::Images};

use crate::sn_images;

const WEIGHTS: Init = Init::normal(0.0, 0.02);
/// "The slopes of all lReLU functions in the networks are set to 0.1" (table 3).
const SLOPE: f64 = 0.1;
/// How often the pixels double between G's first map and the image.
const DOUBLINGS: i64 = 3;

/// The two networks of an SN-DCGAN for the images of a data set.
#[derive(Debug, Clone, Copy)]
pub struct SnDcgan {
    images: Images,
    width: i64,
    latent_size: i64,
}

impl SnDcgan {
    /// Declares the options `width` and `latent_size`, and checks that the images are of a size that the networks are
    /// made for: 32x32, 48x48 or 64x64 pixels, 1 or 3 channels.
    pub fn from_options(options: &Options) -> Result<Self, Error> {
        let width = options.integer("width", "channels of the layers next to the image", 1..=1024, 64)?;
        let latent_size = options.integer("latent_size", "size of the latent vector", 1..=4096, 128)?;
        Ok(Self { images: sn_images(options, "SN-DCGAN")?, width, latent_size })
    }

    /// `latent [N, z]` to images `[N, C, H, W]` in `[-1, 1]`: three transposed convolutions with batch norm and ReLU,
    /// which halve the channels as they double the pixels, and a convolution.
    pub fn generator(&self) -> Result<Network, Error> {
        let graph = Builder::new();
        let (widest, smallest) = (self.width << DOUBLINGS, self.images.size >> DOUBLINGS);
        let dense = Linear::default().bias(false).weight_init(WEIGHTS);
        let x = graph.input("latent", &[self.latent_size]).linear("project", widest * smallest * smallest, dense);
        let mut x = batch_norm_relu(&x, "project").reshape(&[widest, smallest, smallest]);
        for i in 1..=DOUBLINGS {
            let name = format!("up{i}");
            x = batch_norm_relu(&x.conv_transpose2d(&name, widest >> i, halfway().bias(false)), &name);
        }
        graph.finish(&x.conv2d("to_image", self.images.channels, same()).tanh())
    }

    /// `image [N, C, H, W]` to raw scores `[N, 1]`: convolutions that keep the pixels and convolutions that halve them in
    /// turn, with leaky ReLU, and a dense layer; all under spectral norm.
    pub fn discriminator(&self) -> Result<Network, Error> {
        let graph = Builder::new();
        let mut x = graph.input("image", &[self.images.channels, self.images.size, self.images.size]);
        for i in 0..=DOUBLINGS {
            let channels = self.width << i;
            x = spectral_leaky_relu(&x, &format!("conv{}", 2 * i + 1), channels, same());
            if i < DOUBLINGS {
                x = spectral_leaky_relu(&x, &format!("conv{}", 2 * i + 2), channels, halfway());
            }
        }
        let dense = Linear::default().spectral_norm(true).weight_init(WEIGHTS).bias_init(Init::ZEROS);
        graph.finish(&x.flatten().linear("score", 1, dense))
    }
}

/// The layer before has no bias: the norm would take it away again.
fn batch_norm_relu(x: &Tensor, layer: &str) -> Tensor {
    x.batch_norm(&format!("{layer}_norm"), Norm::default()).relu()
}

fn spectral_leaky_relu(x: &Tensor, name: &str, channels: i64, conv: Conv) -> Tensor {
    x.conv2d(name, channels, conv.spectral_norm(true)).leaky_relu(SLOPE)
}

/// The convolution that keeps the pixels.
fn same() -> Conv {
    kernel(3).padding(1).weight_init(WEIGHTS).bias_init(Init::ZEROS)
}

/// The convolution that halves (transposed: doubles) the pixels.
fn halfway() -> Conv {
    kernel(4).stride(2).padding(1).weight_init(WEIGHTS).bias_init(Init::ZEROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::table;

    fn backbone(size: i64) -> SnDcgan {
        SnDcgan::from_options(&Options::new(Images { channels: 3, size, classes: 0 }, Vec::new())).unwrap()
    }

    #[test]
    fn networks_are_those_of_table_3() {
        for size in [32, 48, 64] {
            insta::assert_snapshot!(format!("sn_dcgan_generator_{size}"), table(backbone(size).generator()));
            insta::assert_snapshot!(format!("sn_dcgan_discriminator_{size}"), table(backbone(size).discriminator()));
        }
    }

    #[test]
    fn every_layer_of_d_has_spectral_norm_and_none_couples_the_batch() {
        let d = backbone(32).discriminator().unwrap();
        assert!(d.parameters().iter().all(|p| !p.name.ends_with(".weight")));
        assert_eq!(d.batch_coupling(), None);
    }
}
