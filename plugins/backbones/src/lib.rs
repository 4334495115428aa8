//! Networks that several GAN plugins share: [`Dcgan`], [`SnDcgan`] and [`SnResNet`], and [`Backbone`] to choose one.
//!
//! A plugin takes both networks from here and adds what makes it the GAN it is: its losses and its defaults.

mod backbone;
mod dcgan;
mod sn_dcgan;
mod sn_resnet;
pub mod testing;

pub use backbone::Backbone;
pub use dcgan::Dcgan;
pub use sn_dcgan::SnDcgan;
pub use sn_resnet::SnResNet;
use tandem_plugin_api::{Error, Options, options::Images};

/// The number of classes of labelled data.
fn classes(images: Images) -> Result<i64, Error> {
    match images.classes {
        0 => Err(Error::new(
            "a conditional GAN needs a class for each image, the data have no labels; put every image into a folder of its class, or \
             name where the labels are under [data] (`labels` of IDX files, `attribute` of CelebA), or take a plugin that \
             needs none, such as `dcgan`",
        )),
        classes => Ok(classes),
    }
}

/// The images, if Miyato et al.'s networks are made for them.
fn sn_images(options: &Options, networks: &str) -> Result<Images, Error> {
    let images = options.images();
    if matches!((images.size, images.channels), (32 | 48 | 64, 1 | 3)) {
        return Ok(images);
    }
    Err(Error::new(format!(
        "the {networks} backbone is made for images of 32x32, 48x48 or 64x64 pixels with 1 or 3 channels, the data have \
         {0}x{0} pixels with {1}; set `image_size` under [data] to 32 or 64",
        images.size, images.channels
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_images_are_refused_with_what_is_supported() {
        let of = |size, channels| Options::new(Images { channels, size, classes: 0 }, Vec::new());
        assert_eq!(
            sn_images(&of(28, 1), "SN-DCGAN").unwrap_err().to_string(),
            "the SN-DCGAN backbone is made for images of 32x32, 48x48 or 64x64 pixels with 1 or 3 channels, the data have \
             28x28 pixels with 1; set `image_size` under [data] to 32 or 64"
        );
        assert!(sn_images(&of(64, 4), "SN-DCGAN").is_err());
        assert!(sn_images(&of(48, 3), "SN-DCGAN").is_ok());
    }
}
