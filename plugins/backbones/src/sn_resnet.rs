//! The ResNets of Miyato et al. (ICLR 2018, arXiv 1802.05957) with spectral norm in every layer of D: 32 pixels as table 4
//! (CIFAR-10), 48 as table 5 (STL-10), 64 as `resnet_64` of the authors' `pfnet-research/sngan_projection`.
//!
//! The conditional form is that of Miyato & Koyama (ICLR 2018, arXiv 1802.05637): conditional batch norm in G's blocks,
//! the label's projection in D. First values are the authors' Glorot ones, with gain √2 in residual branches.

use std::f64::consts::SQRT_2;

use tandem_plugin_api::{Builder, Conv, Error, Init, Linear, Network, Norm, Options, Tensor, kernel, options::Images};

use crate::sn_images;

/// Glorot & Bengio's uniform distribution.
const fn glorot(gain: f64) -> Init {
    Init::XavierUniform { gain }
}

/// The two ResNets of an SNGAN for the images of a data set.
#[derive(Debug, Clone, Copy)]
pub struct SnResNet {
    images: Images,
    width: i64,
    latent_size: i64,
    /// Classes that both networks know a sample's of; 0 if they do not ask.
    classes: i64,
}

/// The residual blocks of both networks.
struct Blocks {
    /// Pixels and channels of G's first map.
    first: (i64, i64),
    /// Channels of G's blocks, each of which doubles the pixels.
    up: Vec<i64>,
    /// Channels of D's blocks, and whether each halves the pixels.
    down: Vec<(i64, bool)>,
}

impl SnResNet {
    /// Declares the options `width` and `latent_size`, and checks that the images are of a size that the networks are
    /// made for: 32x32, 48x48 or 64x64 pixels, 1 or 3 channels.
    pub fn from_options(options: &Options) -> Result<Self, Error> {
        let images = sn_images(options, "SNGAN's ResNet")?;
        let paper = if images.size == 32 { 128 } else { 64 };
        let width = options.integer("width", "channels of D's first block; the others follow", 1..=1024, paper)?;
        let latent_size = options.integer("latent_size", "size of the latent vector", 1..=4096, 128)?;
        Ok(Self { images, width, latent_size, classes: 0 })
    }

    /// The same networks, told each sample's class.
    pub fn conditional(self) -> Result<Self, Error> {
        Ok(Self { classes: crate::classes(self.images)?, ..self })
    }

    /// `latent [N, z]`, and `labels [N]` if conditional, to images `[N, C, H, W]` in `[-1, 1]`.
    pub fn generator(&self) -> Result<Network, Error> {
        let graph = Builder::new();
        let Blocks { first: (pixels, channels), up, .. } = self.blocks();
        let dense = Linear::default().weight_init(glorot(1.0)).bias_init(Init::ZEROS);
        let x = graph.input("latent", &[self.latent_size]).linear("project", channels * pixels * pixels, dense);
        let mut x = x.reshape(&[channels, pixels, pixels]);
        for (i, channels) in up.into_iter().enumerate() {
            x = self.up_block(&graph, &x, &format!("block{}", i + 1), channels);
        }
        // The last norm knows no classes, in the authors' code as in table 4.
        let x = x.batch_norm("norm", Norm::default()).relu();
        graph.finish(&x.conv2d("to_image", self.images.channels, conv3(1.0)).tanh())
    }

    /// `image [N, C, H, W]`, and `labels [N]` if conditional, to raw scores `[N, 1]`: blocks, the sum over all pixels, and
    /// a dense layer, to which the projection adds the class's part.
    pub fn discriminator(&self) -> Result<Network, Error> {
        let graph = Builder::new();
        let mut x = graph.input("image", &[self.images.channels, self.images.size, self.images.size]);
        for (i, (channels, halves)) in self.blocks().down.into_iter().enumerate() {
            x = down_block(&x, i + 1, channels, halves);
        }
        let features = x.relu().sum_over(&[2, 3], false);
        // The authors' network for 32 pixels has no bias here, the others have.
        let dense = Linear::default().bias(self.images.size != 32).spectral_norm(true);
        let dense = dense.weight_init(glorot(1.0)).bias_init(Init::ZEROS);
        let mut score = features.linear("score", 1, dense);
        if self.classes > 0 {
            score = score + features.projection("embed", &graph.labels(), self.classes, glorot(1.0), true);
        }
        graph.finish(&score)
    }

    fn blocks(&self) -> Blocks {
        let w = self.width;
        match self.images.size {
            32 => Blocks {
                first: (4, 2 * w),
                up: vec![2 * w; 3],
                down: vec![(w, true), (w, true), (w, false), (w, false)],
            },
            48 => Blocks {
                first: (6, 8 * w),
                up: vec![4 * w, 2 * w, w],
                down: vec![(w, true), (2 * w, true), (4 * w, true), (8 * w, true), (16 * w, false)],
            },
            _ => Blocks {
                first: (4, 16 * w),
                up: vec![8 * w, 4 * w, 2 * w, w],
                down: vec![(w, true), (2 * w, true), (4 * w, true), (8 * w, true), (16 * w, true)],
            },
        }
    }

    /// `[N, C, H, W]` to `[N, channels, 2H, 2W]`.
    fn up_block(&self, graph: &Builder, x: &Tensor, name: &str, channels: i64) -> Tensor {
        let norm = |x: &Tensor, i: i64| {
            let norm = format!("{name}.norm{i}");
            if self.classes > 0 {
                x.conditional_batch_norm(&norm, &graph.labels(), self.classes, Norm::default())
            } else {
                x.batch_norm(&norm, Norm::default())
            }
        };
        // A bias before a norm would be taken away again, so the first convolution has none.
        let h = norm(x, 1).relu().upsample_nearest(2);
        let h = h.conv2d(&format!("{name}.conv1"), channels, conv3(SQRT_2).bias(false));
        let h = norm(&h, 2).relu().conv2d(&format!("{name}.conv2"), channels, conv3(SQRT_2));
        // The authors enlarge first; on single pixels it is the same, at a quarter of the cost.
        h + x.conv2d(&format!("{name}.shortcut"), channels, conv1()).upsample_nearest(2)
    }
}

/// `[N, C, H, W]` to `[N, channels, H/2, W/2]`, or of the same pixels. The first of D's blocks takes an image, which has no
/// ReLU before it, and is as wide inside as outside; the others are as wide inside as what they take.
fn down_block(x: &Tensor, i: usize, channels: i64, halves: bool) -> Tensor {
    let name = |part: &str| format!("block{i}.{part}");
    let before = x.shape().sample().and_then(|s| s.first().copied()).unwrap_or(channels);
    let (inside, activated) = if i == 1 { (channels, x.clone()) } else { (before, x.relu()) };
    let spectral = |conv: Conv| conv.spectral_norm(true);
    let h = activated.conv2d(&name("conv1"), inside, spectral(conv3(SQRT_2))).relu();
    let h = h.conv2d(&name("conv2"), channels, spectral(conv3(SQRT_2)));
    if !halves && before == channels {
        return h + x;
    }
    let pooled = |x: &Tensor| if halves { x.avg_pool2d(2, 2, 0) } else { x.clone() };
    // The authors pool after the shortcut but for the first block; a mean of single pixels is the same before, and cheaper.
    pooled(&h) + pooled(x).conv2d(&name("shortcut"), channels, spectral(conv1()))
}

/// The convolution of a residual branch, which keeps the pixels.
fn conv3(gain: f64) -> Conv {
    kernel(3).padding(1).weight_init(glorot(gain)).bias_init(Init::ZEROS)
}

/// The convolution of a shortcut.
fn conv1() -> Conv {
    kernel(1).weight_init(glorot(1.0)).bias_init(Init::ZEROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::table;

    fn backbone(size: i64) -> SnResNet {
        SnResNet::from_options(&Options::new(Images { channels: 3, size, classes: 10 }, Vec::new())).unwrap()
    }

    #[test]
    fn networks_are_the_papers() {
        for size in [32, 48, 64] {
            insta::assert_snapshot!(format!("sn_resnet_generator_{size}"), table(backbone(size).generator()));
            insta::assert_snapshot!(format!("sn_resnet_discriminator_{size}"), table(backbone(size).discriminator()));
        }
    }

    #[test]
    fn the_conditional_form_is_the_projection_papers() {
        let resnet = backbone(32).conditional().unwrap();
        insta::assert_snapshot!("sn_resnet_conditional_generator", table(resnet.generator()));
        insta::assert_snapshot!("sn_resnet_conditional_discriminator", table(resnet.discriminator()));
    }

    #[test]
    fn parameters_are_named_as_in_pytorch_and_start_as_the_authors() {
        let resnet = backbone(32).conditional().unwrap();
        let of = |network: Result<Network, Error>| {
            let all = network.unwrap().parameters();
            all.iter().map(|p| format!("{} {:?} {}", p.name, p.shape, p.init)).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!("sn_resnet_parameters_generator", of(resnet.generator()));
        insta::assert_snapshot!("sn_resnet_parameters_discriminator", of(resnet.discriminator()));
    }

    #[test]
    fn every_layer_of_d_has_spectral_norm_and_none_couples_the_batch() {
        for size in [32, 48, 64] {
            let d = backbone(size).conditional().unwrap().discriminator().unwrap();
            assert!(d.parameters().iter().all(|p| !p.name.ends_with(".weight")));
            assert_eq!(d.batch_coupling(), None);
        }
    }
}
