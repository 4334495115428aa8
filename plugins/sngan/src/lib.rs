//! SNGAN (Miyato et al., ICLR 2018, arXiv 1802.05957): spectral normalisation of every layer of D, with the hinge loss of
//! the authors' ResNets or the non-saturating one of their SN-DCGAN; and the projection discriminator (Miyato & Koyama,
//! ICLR 2018, arXiv 1802.05637), its conditional form.

use tandem_backbones::Backbone;
use tandem_plugin_api::prelude::*;

tandem_plugin_api::export_gan!("sngan", "SNGAN (Miyato et al. 2018), hinge or non-saturating loss", declare);

fn declare(options: &Options) -> Result<Gan, Error> {
    let networks = Backbone::spectral(options)?;
    let help = "hinge, as the authors' ResNets; non-saturating, as their SN-DCGAN";
    let loss = options.choice("loss", help, &["hinge", "non-saturating"], "hinge")?;
    let (one, two) = defaults(&networks);
    let gan = Gan::builder(networks.generator(), networks.discriminator())
        .symmetry(Symmetry::Asymmetric)
        .defaults(Stages::One, one)
        .defaults(Stages::Two, two);
    let gan = if loss == "hinge" {
        gan.loss_discriminator(|s| ((1.0 - &s.real).relu().mean(), (1.0 + &s.fake).relu().mean()))
            .loss_generator(|s| -s.fake.mean())
    } else {
        gan.loss_discriminator(|s| ((-&s.real).softplus().mean(), s.fake.softplus().mean()))
            .loss_generator(|s| (-&s.fake).softplus().mean())
    };
    gan.build()
}

/// One stage and two. There is no published run in one stage: the convolutional D learns slower there, as Shen et al.'s
/// (2021) of asymmetric losses, and the ResNet's, which is the authors' to train five times as often, no slower than G.
fn defaults(networks: &Backbone) -> (Defaults, Defaults) {
    if matches!(networks, Backbone::ResNet(_)) {
        let adam = Optimizer::Adam { learning_rate: 2e-4, betas: [0.0, 0.9] };
        (Defaults::new(adam, adam), Defaults::new(adam, adam).n_critic(5))
    } else {
        (Defaults::adam(2e-4, 5e-5), Defaults::adam(2e-4, 2e-4))
    }
}

#[cfg(test)]
mod tests {
    use tandem_backbones::testing;
    use tandem_plugin_api::Images;

    use super::*;

    #[test]
    fn builds_for_all_images_and_norms_with_the_papers_losses() {
        insta::assert_snapshot!(testing::summary(
            declare,
            &[
                &[("loss", "hinge")],
                &[("loss", "non-saturating")],
                &[("network", "sn-dcgan")],
                &[("network", "resnet")]
            ]
        ));
    }

    #[test]
    fn labels_go_into_the_resnet_alone_and_into_both_of_its_networks() {
        let images = Images { channels: 1, size: 32, classes: 10 };
        let of = |images, network: &str| {
            let options = [("network", network.into()), ("conditional", true.into()), ("width", 8.into())];
            tandem_plugin_api::testing::declare(declare, images, &options)
        };
        let gan = of(images, "resnet").unwrap();
        assert!([&gan.generator, &gan.discriminator].iter().all(|n| n.input("labels").is_some()));
        assert_eq!(
            of(images, "sn-dcgan").unwrap_err().to_string(),
            "`conditional = true` needs `network = \"resnet\"`, found \"sn-dcgan\"; the plugin `cgan` has a conditional DCGAN"
        );
        let message = of(Images { classes: 0, ..images }, "resnet").unwrap_err().to_string();
        assert!(message.contains("the data have no labels"), "{message}");
    }
}
