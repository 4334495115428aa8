//! Networks of every operation in the opset, with layers whose names Python cannot spell: what exports must get right.

use tandem_plugin_api::{Builder, ConvTranspose, Network, Norm, Tensor, opset::Op, prelude::*, value::Value};

export_gan!("every-operation", "Every operation of the opset, for tests", declare);

fn declare(_: &Options) -> Result<Gan, Error> {
    Gan::builder(generator(), discriminator())
        .loss_discriminator(|s| ((&s.real - 1.0).square().mean(), s.fake.square().mean()))
        .loss_generator(|s| (&s.fake - 1.0).square().mean())
        .symmetry(Symmetry::Asymmetric)
        .build()
}

fn generator() -> Result<Network, Error> {
    let g = Builder::new();
    let x = vector(&g.input("latent", &[24]), &g.labels());
    let x = sequence(&g, &x.reshape(&[12, 4]));
    oblong(&g.finish(&image(&g, &x.reshape(&[3, 4, 4])))?)
}

/// `[N, 24]` and labels to `[N, 48]`.
fn vector(z: &Tensor, labels: &Tensor) -> Tensor {
    let class = labels.embedding("class", 10, 8, Init::normal(0.0, 1.0), true);
    let x = z.concat(&[&labels.one_hot(10), &class], -1);
    let x = x.linear("project", 48, Linear::default().spectral_norm(true));
    let x = x.batch_norm("norm", Norm::default().affine(false).eps(1e-3));
    let gate = x.linear("lambda", 48, Linear::default().bias(false)).sigmoid();
    let soft = x.softplus() - x.detach().abs().sqrt() * 0.1;
    &x * &gate + (x.square() + 1.0).log() - soft.clamp(-2.0, 2.0).exp() * 0.1
}

/// `[N, 12, 4]` to itself.
fn sequence(g: &Builder, x: &Tensor) -> Tensor {
    let x = x.batch_norm("rows.norm", Norm::default()) + x.group_norm("rows.groups", 3, Norm::default().affine(false));
    let mixed = x.matmul(&g.parameter("rows.table", &[4, 4], Init::normal(0.0, 0.5)));
    let attention = mixed.matmul(&x.permute(&[0, 2, 1])).softmax(-1);
    let x = attention.matmul(&x).linear("0", 4, Linear::default());
    let top = x.logsumexp(&[2], true);
    let spread = x.var_over(&[-1], true, true);
    let places: Vec<f64> = (0..12).map(|i| 0.5 + 0.1 * f64::from(i)).collect();
    let placed = (&x - &top.minimum(&g.constant(&[], &[2.0]))) / (&spread + 1.0) * g.constant(&[12, 1], &places);
    1.0 - placed + x.pow(2.0).mean_over(&[1], true) + -x.logsumexp(&[1, 2], false).reshape(&[1, 1])
}

/// `[N, 3, 4, 4]` to `[N, 1, 32, 32]`.
fn image(g: &Builder, x: &Tensor) -> Tensor {
    let doubled = kernel(4).stride(2).padding(1).spectral_norm(true);
    let x = x.conv_transpose2d("up1", 8, doubled).instance_norm("up1.norm", Norm::default().affine(true));
    let grouped = ConvTranspose::from(kernel(3).stride(2).padding(1).groups(2)).output_padding(1);
    let x = x.leaky_relu(0.2).conv_transpose2d("up2.conv-a", 8, grouped).group_norm("train", 4, Norm::default()).gelu();
    let h = x.conv2d("odd", 8, kernel(3).padding(1).bias(false)).layer_norm("forward", &[8, 16, 16], Norm::default());
    let h = h.elu(0.7);
    let wide = kernel(3).padding(2).dilation(2).groups(4).spectral_norm(true);
    let s = x.conv2d("params", 8, wide).instance_norm("GroupedConvTranspose", Norm::default().affine(false)).silu();
    let pooled = x.max_pool2d(3, 1, 1) - x.avg_pool2d(3, 1, 1);
    let gains: Vec<f64> = (0..8).map(|i| 1.0 - 0.1 * f64::from(i)).collect();
    let x = (&h + &s) * g.constant(&[8, 1, 1], &gains) + pooled * x.mean_over(&[2, 3], true);
    let x = x.concat(&[&h, &(x.sum_over(&[1], true) * 0.1)], 1);
    let rows = x.mean_over(&[2], false).reshape(&[17, 1, 16]);
    let x = (x + rows).slice(1, 0, 8).pixel_shuffle(2);
    let x = x + h.slice(1, 2, 4).upsample_bilinear(2) + s.slice(1, 5, 7).upsample_nearest(2) * -0.5;
    let image = x.dropout(0.3).relu().conv2d("to.image", 1, kernel(3).padding(1)).tanh();
    image.maximum(&g.constant(&[], &[-0.99]))
}

fn discriminator() -> Result<Network, Error> {
    let d = Builder::new();
    let x = d.input("image", &[1, 32, 32]).conv2d("conv", 8, kernel(4).stride(2).padding(1)).leaky_relu(0.2);
    let x = x.max_pool2d(2, 2, 0).batch_norm("norm", Norm::default().momentum(0.2)).avg_pool2d(3, 2, 1);
    let features = x.flatten().linear("features", 16, Linear::default().spectral_norm(true));
    let spread = (features.var_over(&[0], true, true) + features.var_over(&[0], false, true) + 1e-3).sqrt().mean();
    let projected = features.projection("embed", &d.labels(), 10, Init::FanIn, true);
    d.finish(&(features.linear("score", 1, Linear::default()) + projected + spread))
}

/// The network with what the builder has no words for: an oblong kernel and a slice in steps.
fn oblong(network: &Network) -> Result<Network, Error> {
    let mut graph = network.encode();
    for (node, typed) in graph.nodes.iter_mut().zip(network.nodes()) {
        let change: &[(&str, Value)] = match &typed.op {
            Op::Conv2d { name, .. } if name == "odd" => {
                &[("kernel_size", Value::Ints(vec![3, 5])), ("padding", Value::Ints(vec![1, 2]))]
            }
            Op::Slice { start: 0, end: 8, .. } => &[("end", Value::Int(16)), ("step", Value::Int(2))],
            _ => continue,
        };
        for (name, value) in change {
            if let Some(attribute) = node.attributes.iter_mut().find(|a| a.name == *name) {
                attribute.value = value.clone();
            }
        }
    }
    Network::decode(&graph)
}
