//! DCGAN (Radford, Metz & Chintala, ICLR 2016, arXiv 1511.06434) at 32 and 64 pixels, grey or colour.
//!
//! Labels are used by the conditional form alone. Kernel sizes, widths and first values are those of the authors' later
//! PyTorch example and of Shen et al. (CVPR 2021), whose discriminators have `GroupNorm(32)` where a loss is asymmetric.

use tandem_plugin_api::{Builder, Conv, Error, Init, Network, Norm, Options, Tensor, kernel, options::Images};

/// Pixels at which the convolutions meet the latent and the score.
const SMALLEST: i64 = 4;
/// The group count of Shen et al.'s discriminators, whose groups hold 8 channels and more.
const MAX_GROUPS: i64 = 32;
/// With fewer, a narrow network's group norm comes near an instance norm, which hides from D how much ink there is: at
/// width 32, groups of two made G draw blobs where groups of eight made it draw digits.
const MIN_CHANNELS_IN_GROUP: i64 = 8;
const WEIGHTS: Init = Init::normal(0.0, 0.02);

/// What stands between the discriminator's convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Normalisation {
    Group,
    Batch,
    None,
    Spectral,
}

/// The two networks of a DCGAN for the images of a data set.
#[derive(Debug, Clone, Copy)]
pub struct Dcgan {
    images: Images,
    width: i64,
    latent_size: i64,
    norm: Normalisation,
    /// Classes that both networks know a sample's of; 0 if they do not ask.
    classes: i64,
}

impl Dcgan {
    /// Declares the options `width`, `latent_size` and `norm`, and checks that the images are of a size that the
    /// networks are made for: 32x32 or 64x64 pixels, 1 or 3 channels.
    pub fn from_options(options: &Options) -> Result<Self, Error> {
        Self::with_norms(options, &["group", "batch", "none", "spectral"])
    }

    /// As [`Dcgan::from_options`], where `norm` may be one of `norms`, of which the first is the default. There is no
    /// such option where there is one norm.
    pub fn with_norms(options: &Options, norms: &[&str]) -> Result<Self, Error> {
        let width = options.integer("width", "channels of the layers next to the image", 1..=1024, 64)?;
        let latent_size = options.integer("latent_size", "size of the latent vector", 1..=4096, 100)?;
        let norm = normalisation(options, norms)?;
        let images = options.images();
        if !matches!((images.size, images.channels), (32 | 64, 1 | 3)) {
            return Err(Error::new(format!(
                "the DCGAN backbone is made for images of 32x32 or 64x64 pixels with 1 or 3 channels, the data have \
                 {0}x{0} pixels with {1}; set `image_size` under [data] to 32 or 64",
                images.size, images.channels
            )));
        }
        Ok(Self { images, width, latent_size, norm, classes: 0 })
    }

    /// The same networks, told each sample's class (Mirza & Osindero 2014, arXiv 1411.1784): G takes it as a one-hot
    /// vector beside the latent, D as one-hot maps beside the image's channels.
    pub fn conditional(self) -> Result<Self, Error> {
        Ok(Self { classes: crate::classes(self.images)?, ..self })
    }

    /// `latent [N, z]`, and `labels [N]` if conditional, to images `[N, C, H, W]` in `[-1, 1]`: transposed convolutions
    /// with batch norm and ReLU, which halve the channels as they double the pixels.
    pub fn generator(&self) -> Result<Network, Error> {
        let doublings = self.doublings();
        let graph = Builder::new();
        let mut latent = graph.input("latent", &[self.latent_size]);
        if self.classes > 0 {
            latent = latent.concat(&[&graph.labels().one_hot(self.classes)], 1);
        }
        let latent = latent.reshape(&[self.latent_size + self.classes, 1, 1]);
        let widest = self.width << (doublings - 1);
        let mut x = batch_norm_relu(&latent.conv_transpose2d("project", widest, first(false)), "project");
        for i in 1..doublings {
            let name = format!("up{i}");
            x = batch_norm_relu(&x.conv_transpose2d(&name, widest >> i, halfway(false)), &name);
        }
        graph.finish(&x.conv_transpose2d("to_image", self.images.channels, halfway(true)).tanh())
    }

    /// `image [N, C, H, W]`, and `labels [N]` if conditional, to raw scores `[N, 1, 1, 1]`: the generator's mirror, with
    /// leaky ReLU. The first and the last layer are not normalised, but a spectral norm holds for every layer (Miyato et
    /// al. 2018).
    pub fn discriminator(&self) -> Result<Network, Error> {
        let spectral = self.norm == Normalisation::Spectral;
        let normalised = matches!(self.norm, Normalisation::Group | Normalisation::Batch);
        let graph = Builder::new();
        let mut x = graph.input("image", &[self.images.channels, self.images.size, self.images.size]);
        if self.classes > 0 {
            let maps = graph.labels().one_hot(self.classes).reshape(&[self.classes, 1, 1]);
            x = x.concat(&[&maps.upsample_nearest(self.images.size)], 1);
        }
        for i in 0..self.doublings() {
            let name = format!("conv{}", i + 1);
            let bias = i == 0 || !normalised;
            x = x.conv2d(&name, self.width << i, halfway(bias).spectral_norm(spectral));
            if i > 0 {
                x = self.normalise(&x, &name, self.width << i);
            }
            x = x.leaky_relu(0.2);
        }
        graph.finish(&x.conv2d("score", 1, first(true).spectral_norm(spectral)))
    }

    /// How often the pixels double between the smallest map and the image.
    fn doublings(&self) -> i64 {
        i64::from((self.images.size / SMALLEST).ilog2())
    }

    fn normalise(&self, x: &Tensor, layer: &str, channels: i64) -> Tensor {
        let name = format!("{layer}_norm");
        match self.norm {
            Normalisation::Group => x.group_norm(&name, groups(channels), affine()),
            Normalisation::Batch => x.batch_norm(&name, affine()),
            Normalisation::None | Normalisation::Spectral => x.clone(),
        }
    }
}

/// The option `norm`, where there is a choice.
fn normalisation(options: &Options, norms: &[&str]) -> Result<Normalisation, Error> {
    let help = "normalisation in D; batch norm couples the samples of a batch";
    let chosen = match norms {
        [] => return Err(Error::new("the DCGAN backbone needs a norm to choose from, the plugin allows none")),
        [only] => (*only).to_owned(),
        [default, ..] => options.choice("norm", help, norms, default)?,
    };
    match chosen.as_str() {
        "group" => Ok(Normalisation::Group),
        "batch" => Ok(Normalisation::Batch),
        "none" => Ok(Normalisation::None),
        "spectral" => Ok(Normalisation::Spectral),
        other => Err(Error::new(format!(
            "the DCGAN backbone has the norms group, batch, none and spectral, the plugin allows {other:?}"
        ))),
    }
}

fn batch_norm_relu(x: &Tensor, layer: &str) -> Tensor {
    x.batch_norm(&format!("{layer}_norm"), affine()).relu()
}

/// The convolution between a vector and a 4x4 map. A bias before a norm would be taken away again, so it is left out.
fn first(bias: bool) -> Conv {
    kernel(SMALLEST).bias(bias).weight_init(WEIGHTS).bias_init(Init::ZEROS)
}

/// The convolution that halves (transposed: doubles) the pixels.
fn halfway(bias: bool) -> Conv {
    first(bias).stride(2).padding(1)
}

fn affine() -> Norm {
    Norm::default().weight_init(Init::normal(1.0, 0.02))
}

/// 32 groups, or as many of at least 8 channels as divide those of a narrow network.
fn groups(channels: i64) -> i64 {
    let most = (channels / MIN_CHANNELS_IN_GROUP).min(MAX_GROUPS);
    (1..=most).rev().find(|g| channels % g == 0).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use tandem_plugin_api::value::Named;

    use super::*;
    use crate::testing::table;

    fn options(size: i64, channels: i64, given: &[(&str, tandem_plugin_api::value::Value)]) -> Options {
        let given = given.iter().map(|(n, v)| Named::new(*n, v.clone())).collect();
        Options::new(Images { channels, size, classes: 10 }, given)
    }

    fn backbone(size: i64, channels: i64, width: i64, norm: &str) -> Dcgan {
        Dcgan::from_options(&options(size, channels, &[("width", width.into()), ("norm", norm.into())])).unwrap()
    }

    #[test]
    fn networks_are_the_papers() {
        insta::assert_snapshot!("generator_64", table(backbone(64, 3, 64, "group").generator()));
        insta::assert_snapshot!("discriminator_64", table(backbone(64, 3, 64, "group").discriminator()));
        insta::assert_snapshot!("generator_32", table(backbone(32, 1, 64, "group").generator()));
        insta::assert_snapshot!("discriminator_32", table(backbone(32, 1, 64, "batch").discriminator()));
    }

    #[test]
    fn parameters_are_named_and_start_as_in_pytorchs_example() {
        let names = |norm| -> Vec<String> {
            let all = backbone(32, 1, 8, norm).discriminator().unwrap().parameters();
            all.into_iter().map(|p| format!("{} {}", p.name, p.init)).collect()
        };
        insta::assert_snapshot!("parameters_group", names("group").join("\n"));
        insta::assert_snapshot!("parameters_spectral", names("spectral").join("\n"));
        insta::assert_snapshot!("parameters_none", names("none").join("\n"));
    }

    #[test]
    fn batch_norm_alone_couples_the_samples_that_d_sees() {
        for (norm, couples) in [("group", false), ("none", false), ("spectral", false), ("batch", true)] {
            assert_eq!(backbone(32, 1, 8, norm).discriminator().unwrap().batch_coupling().is_some(), couples, "{norm}");
        }
    }

    #[test]
    fn groups_divide_the_channels_and_are_at_most_32_of_at_least_8() {
        let of: Vec<i64> = [1024, 256, 128, 48, 24, 7, 44].into_iter().map(groups).collect();
        assert_eq!(of, [32, 32, 16, 6, 3, 1, 4]);
    }

    /// Counted by PyTorch's FlopCounterMode on the same networks: batch 128, width 128, 64 pixels, 3 channels, for the
    /// convolutions alone. Ours adds one operation for each element of the other layers, far below 1 %.
    #[test]
    fn costs_what_pytorch_counts() {
        let dcgan = backbone(64, 3, 128, "group");
        for (network, gflop) in [(dcgan.generator(), 105.1), (dcgan.discriminator(), 104.7)] {
            let ours = network.unwrap().forward_flops() * 128.0 / 1e9;
            assert!((ours / gflop - 1.0).abs() < 0.005, "{ours} against {gflop}");
        }
    }

    #[test]
    fn the_conditional_form_has_the_class_beside_the_latent_and_beside_the_image() {
        let dcgan = backbone(32, 1, 8, "group").conditional().unwrap();
        insta::assert_snapshot!("conditional_generator", table(dcgan.generator()));
        insta::assert_snapshot!("conditional_discriminator", table(dcgan.discriminator()));
    }

    #[test]
    fn data_without_classes_have_no_conditional_form() {
        let unlabelled = Options::new(Images { channels: 1, size: 32, classes: 0 }, Vec::new());
        let message = Dcgan::from_options(&unlabelled).unwrap().conditional().unwrap_err().to_string();
        assert_eq!(
            message,
            "a conditional GAN needs a class for each image, the data have no labels; put every image into a folder of its class, or \
             name where the labels are under [data] (`labels` of IDX files, `attribute` of CelebA), or take a plugin that \
             needs none, such as `dcgan`"
        );
    }

    #[test]
    fn a_plugin_says_which_norms_there_are() {
        let of = |norms: &[&str], given: &[(&str, tandem_plugin_api::value::Value)]| {
            Dcgan::with_norms(&options(32, 1, given), norms).map(|d| d.norm).map_err(|e| e.to_string())
        };
        assert_eq!(of(&["none", "group"], &[]), Ok(Normalisation::None));
        assert_eq!(of(&["spectral"], &[]), Ok(Normalisation::Spectral));
        assert_eq!(
            of(&["none", "group"], &[("norm", "batch".into())]),
            Err(r#"option `norm` must be one of "none", "group", found "batch""#.into())
        );
        assert_eq!(
            of(&["layer"], &[]),
            Err("the DCGAN backbone has the norms group, batch, none and spectral, the plugin allows \"layer\"".into())
        );
    }

    #[test]
    fn other_images_are_refused_with_what_is_supported() {
        let message = Dcgan::from_options(&options(28, 1, &[])).unwrap_err().to_string();
        assert_eq!(
            message,
            "the DCGAN backbone is made for images of 32x32 or 64x64 pixels with 1 or 3 channels, the data have 28x28 \
             pixels with 1; set `image_size` under [data] to 32 or 64"
        );
        assert!(Dcgan::from_options(&options(64, 4, &[])).is_err());
    }
}
