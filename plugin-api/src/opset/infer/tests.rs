//! Each rule on shapes whose result PyTorch gives too, and on shapes that break it.

use super::*;

fn float(sizes: &[i64]) -> TensorType {
    TensorType::float(Shape::batched(sizes))
}

fn shape_of(op: &Op, inputs: &[TensorType]) -> String {
    infer(op, inputs).map_or_else(|e| e, |t| t.shape.to_string())
}

#[test]
fn convolutions_have_pytorchs_sizes() {
    let conv = |k, s, p| {
        let text = format!("kernel {k} stride {s} padding {p}");
        let op = Op::Conv2d {
            name: text,
            out_channels: 8,
            kernel_size: [k, k],
            stride: [s, s],
            padding: [p, p],
            dilation: [1, 1],
            groups: 1,
            bias: true,
            spectral_norm: false,
            weight_init: crate::Init::FanIn,
            bias_init: crate::Init::FanIn,
        };
        shape_of(&op, &[float(&[3, 32, 32])])
    };
    assert_eq!(conv(4, 2, 1), "[N, 8, 16, 16]");
    assert_eq!(conv(3, 1, 1), "[N, 8, 32, 32]");
    assert_eq!(conv(40, 1, 1), "a window of 40 does not fit into 32 pixels with padding 1");
    assert_eq!(conv(0, 1, 1), "kernel_size must be between 1 and 1048576, found 0");
}

#[test]
fn reductions_drop_or_keep_dimensions_and_tell_when_they_couple_the_batch() {
    let x = [float(&[3, 4, 5])];
    let mean = |dims: &[i64], keepdim| Op::Mean { dims: dims.to_vec(), keepdim };
    assert_eq!(shape_of(&mean(&[], false), &x), "[]");
    assert_eq!(shape_of(&mean(&[2, 3], true), &x), "[N, 3, 1, 1]");
    assert_eq!(shape_of(&mean(&[-1, 3], false), &x), "dims [-1, 3] name a dimension of [N, 3, 4, 5] twice");
    assert!(couples_batch(&mean(&[], false), &x));
    assert!(couples_batch(&mean(&[-4], false), &x));
    assert!(!couples_batch(&mean(&[1, 2, 3], false), &x));
}

#[test]
fn the_batch_cannot_be_cut_joined_or_hidden() {
    let x = [float(&[6])];
    assert_eq!(
        shape_of(&Op::Slice { dim: 0, start: 0, end: 1, step: 1 }, &x),
        "dimension 0 of [N, 6] is the batch, which must stay whole"
    );
    assert_eq!(shape_of(&Op::Reshape { shape: vec![2, 3] }, &x), "[N, 2, 3]");
    assert_eq!(shape_of(&Op::Reshape { shape: vec![5] }, &x), "[N, 6] has 6 elements a sample, [N, 5] has 5");
    assert!(couples_batch(&Op::Permute { dims: vec![1, 0] }, &x));
}

#[test]
fn absurd_sizes_are_refused_before_anything_overflows() {
    let shape = vec![i64::MAX, i64::MAX];
    let op = Op::Parameter { name: "p".into(), shape, init: crate::Init::ZEROS };
    assert!(shape_of(&op, &[]).contains("more than 2147483648 elements"));
    let op = Op::Reshape { shape: vec![-1] };
    assert!(shape_of(&op, &[float(&[4])]).contains("at least 1"));
}

fn labels() -> TensorType {
    TensorType { shape: Shape::batched(&[]), element: Element::Label }
}

#[test]
fn labels_go_into_embeddings_and_one_hot_vectors_alone() {
    let one_hot = Op::OneHot { num_classes: 10 };
    let embedding = Op::Embedding {
        name: "class".into(),
        num_embeddings: 10,
        embedding_dim: 64,
        spectral_norm: false,
        weight_init: crate::Init::normal(0.0, 1.0),
    };
    assert_eq!(shape_of(&one_hot, &[labels()]), "[N, 10]");
    assert_eq!(shape_of(&embedding, &[labels()]), "[N, 64]");
    assert_eq!(shape_of(&one_hot, &[float(&[])]), "needs labels, found real numbers [N]");
    assert_eq!(shape_of(&Op::Relu {}, &[labels()]), "input 0 holds labels; only embedding and one_hot take labels");
    assert_eq!(
        shape_of(&Op::Add {}, &[float(&[]), labels()]),
        "input 1 holds labels; only embedding and one_hot take labels"
    );
}

#[test]
fn matrix_products_broadcast_their_leading_dimensions() {
    let product = |a: &TensorType, b: &TensorType| shape_of(&Op::Matmul {}, &[a.clone(), b.clone()]);
    assert_eq!(product(&float(&[4, 5]), &float(&[5, 6])), "[N, 4, 6]");
    assert_eq!(product(&float(&[2, 4, 5]), &TensorType::float(Shape::fixed(&[5, 6]))), "[N, 2, 4, 6]");
    assert_eq!(product(&float(&[5]), &TensorType::float(Shape::fixed(&[5, 6]))), "[N, 6]");
    assert_eq!(
        product(&float(&[4, 5]), &float(&[6, 5])),
        "needs […, m, k] and […, k, n], found [N, 4, 5] and [N, 6, 5]"
    );
    // Over the batch no product is taken, and a vector is no matrix.
    assert!(product(&TensorType::float(Shape::fixed(&[3, 4])), &float(&[4])).starts_with("needs"));
    assert!(product(&TensorType::float(Shape::fixed(&[5])), &float(&[5, 6])).starts_with("needs"));
}

#[test]
fn concatenation_wants_equal_sizes_elsewhere() {
    let join = |dim, sizes: &[&[i64]]| {
        let inputs: Vec<TensorType> = sizes.iter().map(|s| float(s)).collect();
        shape_of(&Op::Concat { dim }, &inputs)
    };
    assert_eq!(join(1, &[&[3, 8, 8], &[5, 8, 8], &[1, 8, 8]]), "[N, 9, 8, 8]");
    assert_eq!(join(-1, &[&[3], &[4]]), "[N, 7]");
    assert_eq!(join(1, &[&[3, 8, 8], &[5, 8, 4]]), "[N, 3, 8, 8] and [N, 5, 8, 4] differ in more than dimension 1");
    assert_eq!(join(1, &[&[3], &[3, 1]]), "[N, 3] and [N, 3, 1] differ in more than dimension 1");
    assert_eq!(join(0, &[&[3], &[3]]), "dimension 0 of [N, 3] is the batch, which must stay whole");
    assert_eq!(join(2, &[&[3], &[3]]), "dimension 2 is not in [N, 3]");
}

#[test]
fn slices_count_as_pythons_do() {
    let cut = |start, end, step| shape_of(&Op::Slice { dim: 1, start, end, step }, &[float(&[10, 2])]);
    assert_eq!(cut(0, 10, 1), "[N, 10, 2]");
    assert_eq!(cut(1, 10, 3), "[N, 3, 2]");
    assert_eq!(cut(0, 10, i64::MAX), "[N, 1, 2]");
    for (start, end, step) in [(5, 5, 1), (0, 11, 1), (-1, 3, 1), (0, 3, 0), (0, 3, -1), (0, i64::MIN, 1)] {
        let message = cut(start, end, step);
        assert!(message.ends_with("is not a range of the 10 entries in dimension 1 of [N, 10, 2]"), "{message}");
    }
}

#[test]
fn pictures_grow_by_whole_factors() {
    let shuffle = |upscale_factor| shape_of(&Op::PixelShuffle { upscale_factor }, &[float(&[12, 4, 4])]);
    assert_eq!(shuffle(2), "[N, 3, 8, 8]");
    assert_eq!(shuffle(3), "the 12 channels of [N, 12, 4, 4] must be a multiple of upscale_factor² = 9");
    assert_eq!(shuffle(0), "upscale_factor must be between 1 and 1048576, found 0");
    let grow = |scale_factor| {
        shape_of(&Op::Upsample { scale_factor, mode: crate::opset::Interpolation::Nearest }, &[float(&[3, 4, 5])])
    };
    assert_eq!(grow(2), "[N, 3, 8, 10]");
    assert!(grow(1 << 20).contains("more than 2147483648 elements"));
    assert_eq!(shape_of(&Op::PixelShuffle { upscale_factor: 2 }, &[float(&[4])]), "needs [N, C, H, W], found [N, 4]");
}

#[test]
fn transposed_convolutions_have_pytorchs_sizes() {
    let up = |k, s, p, extra, dilation| {
        let op = Op::ConvTranspose2d {
            name: "up".into(),
            out_channels: 8,
            kernel_size: [k, k],
            stride: [s, s],
            padding: [p, p],
            output_padding: [extra, extra],
            dilation: [dilation, dilation],
            groups: 1,
            bias: true,
            spectral_norm: false,
            weight_init: crate::Init::FanIn,
            bias_init: crate::Init::FanIn,
        };
        shape_of(&op, &[float(&[16, 4, 4])])
    };
    assert_eq!(up(4, 2, 1, 0, 1), "[N, 8, 8, 8]");
    assert_eq!(up(4, 1, 0, 0, 1), "[N, 8, 7, 7]");
    assert_eq!(up(3, 2, 1, 1, 1), "[N, 8, 8, 8]");
    assert_eq!(up(3, 1, 1, 0, 2), "[N, 8, 6, 6]");
    assert_eq!(up(3, 2, 1, 2, 1), "output_padding [2, 2] must be below stride [2, 2] or dilation [1, 1]");
    assert_eq!(up(1, 1, 4, 0, 1), "the result would be [N, 8, -4, -4]: every size must be at least 1");
}

#[test]
fn weights_are_bounded_though_the_tensors_are_small() {
    let op = Op::Linear {
        name: "fc".into(),
        out_features: 1 << 20,
        bias: false,
        spectral_norm: true,
        weight_init: crate::Init::FanIn,
        bias_init: crate::Init::FanIn,
    };
    assert_eq!(
        shape_of(&op, &[float(&[1 << 20])]),
        "the weight [1048576, 1048576] would have more than 2147483648 elements"
    );
}

#[test]
fn a_batch_that_meets_itself_across_dimensions_couples() {
    let column = float(&[1]);
    let row = TensorType::float(Shape(vec![Dim::Size(1), Dim::Batch]));
    assert_eq!(shape_of(&Op::Sub {}, &[column.clone(), row.clone()]), "[N, N]");
    assert!(couples_batch(&Op::Sub {}, &[column.clone(), row]));
    // [N] against [N, 1] broadcasts to all pairs in PyTorch too.
    assert!(couples_batch(&Op::Sub {}, &[float(&[]), column.clone()]));
    assert!(!couples_batch(&Op::Sub {}, &[column.clone(), column]));
}

#[test]
fn norms_say_what_they_need() {
    let group = |num_groups| Op::GroupNorm {
        name: "norm".into(),
        num_groups,
        eps: 1e-5,
        affine: true,
        weight_init: crate::Init::ONES,
        bias_init: crate::Init::ZEROS,
    };
    let instance = Op::InstanceNorm {
        name: "norm".into(),
        eps: 1e-5,
        affine: false,
        weight_init: crate::Init::ONES,
        bias_init: crate::Init::ZEROS,
    };
    assert_eq!(shape_of(&group(4), &[float(&[8, 4, 4])]), "[N, 8, 4, 4]");
    assert_eq!(shape_of(&group(3), &[float(&[8, 4, 4])]), "num_groups = 3 must divide the 8 channels of [N, 8, 4, 4]");
    assert_eq!(shape_of(&group(1), &[TensorType::float(Shape::fixed(&[8]))]), "needs [N, C, …], found [8]");
    assert_eq!(
        shape_of(&instance, &[float(&[8, 1, 1])]),
        "needs more than one pixel, found [N, 8, 1, 1]: its result would be constant"
    );
}

#[test]
fn what_no_input_changes_is_not_for_new_definitions() {
    let said = |op: &Op, inputs: &[TensorType]| {
        assert!(infer(op, inputs).is_ok(), "stored definitions may hold it");
        meaningful(op, inputs).err().unwrap_or_default()
    };
    let group = |num_groups, sizes: &[i64]| {
        let init = crate::Init::ONES;
        let op =
            Op::GroupNorm { name: "g".into(), num_groups, eps: 1e-5, affine: true, weight_init: init, bias_init: init };
        said(&op, &[float(sizes)])
    };
    let refused = "needs more than one value in each of its 8 groups, found [N, 8, 1, 1]: its result would be constant";
    assert_eq!(group(8, &[8, 1, 1]), refused);
    assert!(group(8, &[8]).starts_with("needs more than one value in each of its 8 groups, found [N, 8]"));
    assert_eq!([group(4, &[8, 1, 1]), group(8, &[8, 1, 2]), group(4, &[8])], ["", "", ""]);
    let layer = |sizes: &[i64]| {
        let init = crate::Init::ONES;
        let normalized_shape = sizes.to_vec();
        let op = Op::LayerNorm {
            name: "l".into(),
            normalized_shape,
            eps: 1e-5,
            affine: true,
            weight_init: init,
            bias_init: init,
        };
        said(&op, &[float(&[3, 1, 1])])
    };
    assert_eq!(layer(&[1, 1]), "needs more than one value to normalise, found [1, 1]: its result would be constant");
    assert_eq!(layer(&[3, 1, 1]), "");
    let var =
        |dims: &[i64], unbiased| said(&Op::Var { dims: dims.to_vec(), unbiased, keepdim: true }, &[float(&[3, 1])]);
    assert_eq!(
        var(&[-1], true),
        "is unbiased and needs more than one value, found [N, 3, 1]: its result would be no number"
    );
    assert_eq!([var(&[-1], false), var(&[1, 2], true), var(&[0, 2], true), var(&[], true)], [""; 4]);
}
