//! A small discriminator: one pivoted backward pass against the two that it stands for.

use tandem_torch_ext::{Conv, Pivot, grad, pivoted_conv, pivoted_group_norm, pivoted_linear};
use tch::{Device, Kind, Tensor};

use crate::util::{assert_close, randn};

const BATCH: i64 = 6;

/// Kernel, its bias, group norm's weight and bias, linear weight and bias.
fn params() -> Vec<Tensor> {
    let sizes: [&[i64]; 6] = [&[8, 3, 4, 4], &[8], &[8], &[8], &[1, 128], &[1]];
    (10..).zip(sizes).map(|(seed, size)| randn(size, seed).set_requires_grad(true)).collect()
}

fn plain(x: &Tensor, p: &[Tensor]) -> Tensor {
    x.conv2d(&p[0], Some(&p[1]), [2, 2], [1, 1], [1, 1], 1)
        .group_norm(4, Some(&p[2]), Some(&p[3]), 1e-5, false)
        .leaky_relu()
        .flatten(1, -1)
        .linear(&p[4], Some(&p[5]))
}

fn pivoted(x: &Tensor, p: &[Tensor], pivot: &Pivot) -> Tensor {
    let conv = Conv {
        stride: &[2, 2],
        padding: &[1, 1],
        output_padding: &[0, 0],
        dilation: &[1, 1],
        groups: 1,
        transposed: false,
    };
    let y = pivoted_conv(x, &p[0], Some(&p[1]), &conv, pivot).unwrap();
    let y = pivoted_group_norm(&y, 4, Some(&p[2]), Some(&p[3]), 1e-5, pivot).unwrap();
    pivoted_linear(&y.leaky_relu().flatten(1, -1), &p[4], Some(&p[5]), pivot).unwrap()
}

/// Hinge: `L_D = mean relu(1 + s)` has no gradient where `s <= -1`, and `L_G = -mean s` has one everywhere, so the
/// ratio of the two is infinite there.
#[test]
fn hinge_with_saturated_fakes() {
    let params = params();
    let x = randn(&[BATCH, 3, 8, 8], 1).set_requires_grad(true);
    let score = plain(&x, &params);
    let bar = score.median(); // half of the fakes are saturated
    let seed_d = score.gt_tensor(&bar).to_kind(Kind::Double) / BATCH as f64;
    let seed_g = score.full_like(-1.0 / BATCH as f64);
    assert!(seed_d.min().double_value(&[]) == 0.0 && seed_d.max().double_value(&[]) > 0.0);
    let expected_d = grad(&[&score], &[Some(&seed_d)], &params, true, false).unwrap();
    let expected_g = grad(&[&score], &[Some(&seed_g)], &[&x], false, false).unwrap();

    let pivot = Pivot::new(BATCH, Kind::Double, Device::Cpu).unwrap();
    let score = pivoted(&x, &params, &pivot);
    // Here |seed_g| >= |seed_d| everywhere, so it is the pivot: b = 1 and a = seed_d / seed_g.
    pivot.fill(&(&seed_d / &seed_g).view([BATCH])).unwrap();
    let all: Vec<&Tensor> = std::iter::once(&x).chain(&params).collect();
    let found = grad(&[&score], &[Some(&seed_g)], &all, false, false).unwrap();

    assert_close(&found[0], &expected_g[0], "image");
    for (index, expected) in expected_d.iter().enumerate() {
        assert_close(&found[index + 1], expected, &format!("parameter {index}"));
    }
}
