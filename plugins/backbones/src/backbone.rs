//! The option `network`: one of the pairs of networks of this crate.

use tandem_plugin_api::{Error, Network, Options};

use crate::{Dcgan, SnDcgan, SnResNet};

/// The two networks that a user chose for a GAN whose D has spectral norm.
#[derive(Debug, Clone, Copy)]
pub enum Backbone {
    /// `dcgan`, with spectral norm in D.
    Dcgan(Dcgan),
    /// `sn-dcgan`.
    SnDcgan(SnDcgan),
    /// `resnet`.
    ResNet(SnResNet),
}

impl Backbone {
    /// Declares the options `network` and `conditional`, and those of the chosen network.
    pub fn spectral(options: &Options) -> Result<Self, Error> {
        let help = "dcgan; sn-dcgan and resnet of Miyato et al. (2018)";
        let network = options.choice("network", help, &["dcgan", "sn-dcgan", "resnet"], "dcgan")?;
        let help = "conditional batch norm in G, the labels' projection in D (Miyato & Koyama 2018); for `resnet`";
        let conditional = options.flag("conditional", help, false)?;
        match (network.as_str(), conditional) {
            ("resnet", true) => Ok(Self::ResNet(SnResNet::from_options(options)?.conditional()?)),
            ("resnet", false) => Ok(Self::ResNet(SnResNet::from_options(options)?)),
            (other, true) => Err(Error::new(format!(
                "`conditional = true` needs `network = \"resnet\"`, found {other:?}; the plugin `cgan` has a conditional \
                 DCGAN"
            ))),
            ("sn-dcgan", false) => Ok(Self::SnDcgan(SnDcgan::from_options(options)?)),
            _ => Ok(Self::Dcgan(Dcgan::with_norms(options, &["spectral"])?)),
        }
    }

    /// `latent [N, z]`, and `labels [N]` if conditional, to images `[N, C, H, W]` in `[-1, 1]`.
    pub fn generator(&self) -> Result<Network, Error> {
        match self {
            Self::Dcgan(n) => n.generator(),
            Self::SnDcgan(n) => n.generator(),
            Self::ResNet(n) => n.generator(),
        }
    }

    /// `image [N, C, H, W]`, and `labels [N]` if conditional, to one raw score a sample.
    pub fn discriminator(&self) -> Result<Network, Error> {
        match self {
            Self::Dcgan(n) => n.discriminator(),
            Self::SnDcgan(n) => n.discriminator(),
            Self::ResNet(n) => n.discriminator(),
        }
    }
}
