//! The words of every refusal.

use super::*;
use crate::{Builder, Linear, Scores, Tensor, gan::GanBuilder};

const IMAGES: Images = Images { channels: 1, size: 4, classes: 10 };

fn generator(make: impl Fn(&Tensor, &Tensor) -> Tensor) -> Result<Network, Error> {
    let g = Builder::new();
    g.finish(&make(&g.input("latent", &[16]), &g.labels()))
}

fn discriminator(judge: impl Fn(&Tensor, &Tensor) -> Tensor) -> Result<Network, Error> {
    let d = Builder::new();
    d.finish(&judge(&d.input("image", &[1, 4, 4]), &d.labels()))
}

fn image(latent: &Tensor) -> Tensor {
    latent.linear("paint", 16, Linear::default()).reshape(&[1, 4, 4])
}

fn score(image: &Tensor) -> Tensor {
    image.flatten().linear("score", 1, Linear::default())
}

fn least_squares(gan: GanBuilder) -> GanBuilder {
    gan.loss_discriminator(|s| ((&s.real - 1.0).square().mean(), s.fake.square().mean()))
        .loss_generator(|s| (&s.fake - 1.0).square().mean())
}

fn refused(g: impl Fn(&Tensor, &Tensor) -> Tensor, d: impl Fn(&Tensor, &Tensor) -> Tensor) -> String {
    let gan = least_squares(Gan::builder(generator(g), discriminator(d))).build();
    gan.and_then(|g| g.fits(IMAGES)).unwrap_err().to_string()
}

#[test]
fn networks_must_fit_each_other_and_the_data() {
    assert_eq!(
        refused(|_, y| image(&y.one_hot(16)), |x, _| score(x)),
        "generator: its output does not depend on `latent`"
    );
    assert_eq!(
        refused(|z, _| z.reshape(&[4, 2, 2]), |x, _| score(x)),
        "the generator makes [N, 4, 2, 2], the discriminator takes [N, 1, 4, 4]; they must be equal"
    );
    // All pairs of samples: not one score a sample, though it has one element a sample.
    assert_eq!(
        refused(
            |z, _| image(z),
            |x, _| {
                let s = score(x);
                &s - s.permute(&[1, 0])
            }
        ),
        "discriminator: the output must keep the batch first and whole, found [N, N]"
    );
    let fits = least_squares(Gan::builder(generator(|z, _| image(z)), discriminator(|x, _| score(x)))).build().unwrap();
    assert_eq!(fits.fits(IMAGES), Ok(()));
    assert_eq!(
        fits.fits(Images { size: 8, ..IMAGES }).unwrap_err().to_string(),
        "the generator makes [N, 1, 4, 4], the data are [N, 1, 8, 8]"
    );
}

#[test]
fn labels_need_labelled_data_with_as_many_classes() {
    let conditional = |classes| {
        let d = discriminator(|x, y| score(x) * y.one_hot(classes).sum_over(&[1], true));
        least_squares(Gan::builder(generator(|z, _| image(z)), d)).build().unwrap()
    };
    assert_eq!(conditional(10).fits(IMAGES), Ok(()));
    assert_eq!(
        conditional(10).fits(Images { classes: 0, ..IMAGES }).unwrap_err().to_string(),
        "discriminator: uses labels, and the data have none"
    );
    assert_eq!(
        conditional(9).fits(IMAGES).unwrap_err().to_string(),
        "discriminator: one_hot has room for 9 classes, the data have 10"
    );
}

#[test]
fn losses_are_one_number_over_scores_states_and_labels() {
    let refused = |change: &dyn Fn(GanBuilder) -> GanBuilder| {
        let gan = least_squares(Gan::builder(generator(|z, _| image(z)), discriminator(|x, _| score(x))));
        change(gan).build().unwrap_err().to_string()
    };
    let g = |loss: fn(&Scores) -> Tensor| refused(&move |gan| gan.loss_generator(loss));
    assert_eq!(g(|s| -&s.fake), "loss_generator: must be one number, found [N]; reduce it with mean() or sum()");
    assert_eq!(g(|s| s.real.mean()), "loss_generator: does not depend on the fake scores, so G would never learn");
    assert_eq!(g(|s| s.fake.mean() * s.state("rho")), "loss_generator: input `rho` is not one of: real, fake, labels");
    assert_eq!(
        refused(&|gan| gan.loss_discriminator(|s| (s.fake.mean(), s.fake.mean()))),
        "loss_discriminator.real: input `fake` is not one of: real, labels"
    );
    assert_eq!(
        refused(&|gan| gan.state("fake", 0.0, |s| s.real.mean())),
        "state \"fake\" must start finite and have a name of its own, of letters, digits, `_`, `-` or `.`"
    );
    assert_eq!(refused(&|gan| gan.weight_clip(0.0)), "weight_clip must be above 0, found 0");
    assert_eq!(
        refused(&|gan| gan.gradient_penalty(crate::PenaltyAt::Real, 0.0, f64::NAN)),
        "a gradient penalty's weight and target must be 0 or more, found NaN and 0"
    );
    assert_eq!(
        refused(&|gan| gan.lazy_gradient_penalty(crate::PenaltyAt::Real, 0.0, 1.0, 0)),
        "a gradient penalty's interval must be from 1 to 1000000 steps of D, found 0"
    );
    assert_eq!(
        refused(&|gan| gan.weight_decay("score.weigth", 0.1)),
        "weight_decay: the discriminator learns no tensor `score.weigth`; it learns: score.weight, score.bias"
    );
    assert_eq!(
        refused(&|gan| gan.augment(&[crate::gan::Transform::Cutout, crate::gan::Transform::Saturation])),
        "augmentation `saturation` needs images with 3 channels, found 1; leave it out"
    );
    assert_eq!(
        refused(&|gan| gan.augment_adaptively(&[crate::gan::Transform::Cutout], 1.0)),
        "an adaptive augmentation's target must be between -1 and 1, found 1"
    );
    assert_eq!(
        refused(&|gan| gan.weight_decay("score.bias", -0.1)),
        "weight_decay of `score.bias` must be 0 or more, found -0.1"
    );
}

#[test]
fn a_penalised_discriminator_gives_one_score_for_each_sample_alone() {
    let refused = |d| {
        let gan = least_squares(Gan::builder(generator(|z, _| image(z)), d));
        gan.gradient_penalty(crate::PenaltyAt::Real, 0.0, 1.0).build().unwrap_err().to_string()
    };
    assert_eq!(
        refused(discriminator(|x, _| score(&x.batch_norm("norm", crate::Norm::default())))),
        "a gradient penalty needs a discriminator with one score for each sample alone; layer `norm` \
         (batch_norm) mixes the samples of a batch"
    );
    assert_eq!(
        refused(discriminator(|x, _| x.conv2d("score", 1, crate::kernel(1)))),
        "a gradient penalty needs a discriminator with one score for each sample alone; it gives [N, 1, 4, 4]"
    );
}
