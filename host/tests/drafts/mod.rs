//! Random networks over a small image: each operation of the opset with any of its attributes, in any order, under any name.

use tandem_plugin_api::{
    Init, Network,
    opset::{Interpolation, Op, infer, meaningful},
    shape::{Dim, TensorType},
    value::{Graph, Node},
};

/// Numbers that a seed decides: xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of the first `n` whole numbers.
    pub(crate) fn below(&mut self, n: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as i64 % n.max(1)
    }

    fn from(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(high - low + 1)
    }

    fn pair(&mut self, low: i64, high: i64) -> [i64; 2] {
        [self.from(low, high), self.from(low, high)]
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as i64) as usize]
    }
}

/// A graph in the making.
pub(crate) struct Draft {
    random: Random,
    nodes: Vec<Node>,
    types: Vec<TensorType>,
    names: Vec<String>,
}

/// Elements of a sample that a value may have.
const MOST: i64 = 2048;

impl Draft {
    /// An image and labels; layers take their names from the end of `names`.
    pub(crate) fn new(seed: u64, names: Vec<String>) -> Self {
        let mut draft = Self { random: Random::new(seed), nodes: Vec::new(), types: Vec::new(), names };
        let channels = draft.random.of(&[1, 2, 4, 6]);
        let shape = vec![channels, draft.random.from(3, 6), draft.random.from(3, 6)];
        draft.push(Op::Input { name: "image".into(), batched: true, shape, labels: false }, &[]);
        draft.push(Op::Input { name: "labels".into(), batched: true, shape: vec![], labels: true }, &[]);
        draft
    }

    #[expect(clippy::needless_pass_by_value, reason = "operations are made where they are added")]
    fn push(&mut self, op: Op, inputs: &[usize]) -> Option<usize> {
        let types: Vec<TensorType> = inputs.iter().map(|&i| self.types[i].clone()).collect();
        let made = infer(&op, &types).ok()?;
        meaningful(&op, &types).ok()?;
        if made.shape.elements_per_sample() > MOST {
            return None;
        }
        let inputs = inputs.iter().map(|&i| i as u32).collect();
        self.nodes.push(Node { op: op.name().to_owned(), inputs, attributes: op.encode() });
        self.types.push(made);
        Some(self.types.len() - 1)
    }

    fn name(&mut self) -> String {
        self.names.pop().unwrap_or_else(|| format!("layer.{}", self.nodes.len()))
    }

    fn rank(&self, x: usize) -> i64 {
        self.types[x].shape.rank() as i64
    }

    /// The sizes from dimension `from` on; a batch counts as 1.
    fn sizes(&self, x: usize, from: usize) -> Vec<i64> {
        let size = |d: &Dim| if let Dim::Size(n) = d { *n } else { 1 };
        self.types[x].shape.0.iter().skip(from).map(size).collect()
    }

    /// A dimension, counted from either end.
    fn dim(&mut self, x: usize) -> i64 {
        let rank = self.rank(x);
        self.random.from(-rank, rank - 1)
    }

    fn number(&mut self, value: f64) -> Option<usize> {
        self.push(Op::Constant { shape: vec![], values: vec![value] }, &[])
    }

    /// `|x| + least`, for what takes no others.
    fn above(&mut self, x: usize, least: f64) -> Option<usize> {
        let size = self.push(Op::Abs {}, &[x])?;
        let least = self.number(least)?;
        self.push(Op::Add {}, &[size, least])
    }

    /// The network after `steps` operations, with one sample's numbers in the last dimensions and times `scale`.
    pub(crate) fn finished(mut self, steps: usize, scale: f64) -> Option<Network> {
        let mut x = 0;
        for _ in 0..steps {
            x = (0..20).find_map(|_| self.step(x))?;
        }
        if !self.types[x].shape.is_batched() {
            let count = self.types[x].shape.sample()?.iter().product();
            let mean = self.push(Op::Mean { dims: vec![1, 2, 3], keepdim: false }, &[0])?;
            let mean = self.push(Op::Reshape { shape: vec![1] }, &[mean])?;
            let flat = self.push(Op::Reshape { shape: vec![count] }, &[x])?;
            x = self.push(Op::Add {}, &[mean, flat])?;
        }
        self.types[x].shape.sample()?;
        let learned = Op::Parameter { name: self.name(), shape: vec![1], init: Init::ONES };
        let learned = self.push(learned, &[])?;
        let scaled = self.push(Op::Mul {}, &[x, learned])?;
        let scale = self.number(scale)?;
        let output = self.push(Op::Mul {}, &[scaled, scale])?;
        Network::decode(&Graph { nodes: self.nodes, outputs: vec![output as u32] }).ok()
    }

    fn step(&mut self, x: usize) -> Option<usize> {
        match self.random.below(10) {
            0 | 1 => self.convolution(x),
            2 => self.norm(x),
            3 => self.weights(x),
            4 | 5 => self.shape(x),
            6 => self.reduction(x),
            7 => self.pair(x),
            8 => self.picture(x),
            _ => self.each(x),
        }
    }

    fn convolution(&mut self, x: usize) -> Option<usize> {
        let channels = self.sizes(x, 1).first().copied()?;
        let r = &mut self.random;
        let groups = r.of(&[1, 1, channels, 2]);
        let out_channels = groups * r.from(1, 2);
        let (kernel_size, stride, dilation) = (r.pair(1, 4), r.pair(1, 3), r.pair(1, 3));
        let (padding, output_padding) = (r.pair(0, 4), r.pair(0, 3));
        let (bias, spectral_norm, transposed) = (r.coin(), r.below(4) == 0, r.coin());
        let (weight_init, bias_init) = (Init::FanIn, Init::normal(0.0, 0.5));
        let name = self.name();
        if transposed {
            let op = Op::ConvTranspose2d {
                name,
                out_channels,
                kernel_size,
                stride,
                padding,
                output_padding,
                dilation,
                groups,
                bias,
                spectral_norm,
                weight_init,
                bias_init,
            };
            return self.push(op, &[x]);
        }
        let op = Op::Conv2d {
            name,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            spectral_norm,
            weight_init,
            bias_init,
        };
        self.push(op, &[x])
    }

    fn norm(&mut self, x: usize) -> Option<usize> {
        let channels = self.sizes(x, 1).first().copied().unwrap_or(1);
        let (weight_init, bias_init) = (Init::Uniform { low: 0.5, high: 1.5 }, Init::normal(0.0, 0.5));
        let (eps, affine) = (self.random.of(&[1e-5, 1e-3, 0.5]), self.random.coin());
        let name = self.name();
        let op = match self.random.below(4) {
            0 => Op::BatchNorm { name, eps, momentum: self.random.of(&[0.1, 0.3]), affine, weight_init, bias_init },
            1 => {
                let num_groups = self.random.of(&[1, 2, 3, channels]);
                Op::GroupNorm { name, num_groups, eps, affine, weight_init, bias_init }
            }
            2 => Op::InstanceNorm { name, eps, affine, weight_init, bias_init },
            _ => {
                let rank = self.rank(x);
                let from = self.random.below(rank + 1) as usize;
                let normalized_shape = self.sizes(x, from);
                Op::LayerNorm { name, normalized_shape, eps, affine, weight_init, bias_init }
            }
        };
        self.push(op, &[x])
    }

    fn weights(&mut self, x: usize) -> Option<usize> {
        let (spectral_norm, bias, width) = (self.random.coin(), self.random.coin(), self.random.from(1, 8));
        let name = self.name();
        let init = Init::FanIn;
        match self.random.below(4) {
            0 => {
                let classes = self.random.of(&[10, 12]);
                let weight_init = Init::normal(0.0, 1.0);
                self.push(
                    Op::Embedding { name, num_embeddings: classes, embedding_dim: width, spectral_norm, weight_init },
                    &[1],
                )
            }
            1 => self.push(Op::OneHot { num_classes: 10 }, &[1]),
            2 => {
                let last = self.sizes(x, 0).last().copied()?;
                let table = self.push(Op::Parameter { name, shape: vec![last, width], init }, &[])?;
                self.push(Op::Matmul {}, &[x, table])
            }
            _ => {
                let op =
                    Op::Linear { name, out_features: width, bias, spectral_norm, weight_init: init, bias_init: init };
                self.push(op, &[x])
            }
        }
    }

    fn shape(&mut self, x: usize) -> Option<usize> {
        match self.random.below(5) {
            0 => {
                let all: i64 = self.types[x].shape.sample()?.iter().product();
                let part = (1..=all).filter(|n| all % n == 0).collect::<Vec<_>>();
                let first = self.random.of(&part);
                let shape = self.random.of(&[[first, all / first, 1], [all, 1, 1], [1, first, all / first]]).to_vec();
                self.push(Op::Reshape { shape }, &[x])
            }
            1 => {
                let start_dim = self.dim(x);
                self.push(Op::Flatten { start_dim }, &[x])
            }
            2 => {
                let mut dims: Vec<i64> = (0..self.rank(x)).collect();
                let first = i64::from(self.random.below(8) != 0);
                for i in (first + 1..dims.len() as i64).rev() {
                    let other = self.random.from(first, i);
                    dims.swap(i as usize, other as usize);
                }
                self.push(Op::Permute { dims }, &[x])
            }
            3 => {
                let dim = self.dim(x);
                self.push(Op::Concat { dim }, &[x, x])
            }
            _ if self.rank(x) == 0 => None,
            _ => {
                let dim = self.dim(x);
                let size = self.sizes(x, 0)[dim.rem_euclid(self.rank(x)) as usize];
                let start = self.random.below(size);
                let end = self.random.from(start + 1, size);
                let step = self.random.of(&[1, 2, 3, 1000]);
                self.push(Op::Slice { dim, start, end, step }, &[x])
            }
        }
    }

    fn reduction(&mut self, x: usize) -> Option<usize> {
        let rank = self.rank(x);
        let kept = self.random.from(0, 2);
        let mut dims: Vec<i64> = (0..rank).filter(|_| self.random.below(3) < kept).collect();
        if self.random.coin() {
            for d in &mut dims {
                *d -= rank;
            }
        }
        let keepdim = self.random.coin();
        let op = match self.random.below(5) {
            0 => Op::Mean { dims, keepdim },
            1 => Op::Sum { dims, keepdim },
            2 => Op::Logsumexp { dims, keepdim },
            3 => Op::Softmax { dim: self.dim(x) },
            _ => Op::Var { dims, unbiased: self.random.coin(), keepdim },
        };
        self.push(op, &[x])
    }

    /// Two values that meet: another one of before, a constant or a parameter.
    fn pair(&mut self, x: usize) -> Option<usize> {
        let rank = self.rank(x);
        let from = self.random.below(rank + 1) as usize;
        let last = self.sizes(x, from);
        let other = match self.random.below(4) {
            0 => self.random.below(self.types.len() as i64) as usize,
            1 => {
                let value = self.random.of(&[-1.5, -1.0, 0.0, 0.25, 2.0]);
                let shape = self.random.of(&[&[][..], &[1], &[1, 1, 1]]).to_vec();
                self.push(Op::Constant { shape, values: vec![value] }, &[])?
            }
            2 => {
                let values = (0..last.iter().product()).map(|i: i64| 0.5 + 0.25 * (i % 7) as f64).collect();
                self.push(Op::Constant { shape: last, values }, &[])?
            }
            _ => {
                let op = Op::Parameter { name: self.name(), shape: last, init: Init::normal(0.0, 1.0) };
                self.push(op, &[])?
            }
        };
        let [a, b] = if self.random.coin() { [x, other] } else { [other, x] };
        match self.random.below(6) {
            0 => self.push(Op::Add {}, &[a, b]),
            1 => self.push(Op::Sub {}, &[a, b]),
            2 => self.push(Op::Mul {}, &[a, b]),
            3 => self.push(Op::Minimum {}, &[a, b]),
            4 => self.push(Op::Maximum {}, &[a, b]),
            _ => {
                let b = self.above(b, 0.5)?;
                self.push(Op::Div {}, &[a, b])
            }
        }
    }

    fn picture(&mut self, x: usize) -> Option<usize> {
        let r = &mut self.random;
        let (kernel_size, stride, padding) = (r.pair(1, 4), r.pair(1, 3), r.pair(0, 2));
        let op = match r.below(4) {
            0 => Op::MaxPool2d { kernel_size, stride, padding },
            1 => Op::AvgPool2d { kernel_size, stride, padding },
            2 => {
                let mode = r.of(&[Interpolation::Nearest, Interpolation::Bilinear]);
                Op::Upsample { scale_factor: r.from(1, 3), mode }
            }
            _ => Op::PixelShuffle { upscale_factor: r.from(1, 2) },
        };
        self.push(op, &[x])
    }

    fn each(&mut self, x: usize) -> Option<usize> {
        let r = &mut self.random;
        let (slope, kind) = (r.of(&[-0.5, 0.0, 0.2, 1.5]), r.below(18));
        match kind {
            0 => self.push(Op::Relu {}, &[x]),
            1 => self.push(Op::LeakyRelu { negative_slope: slope }, &[x]),
            2 => self.push(Op::Elu { alpha: slope }, &[x]),
            3 => self.push(Op::Gelu {}, &[x]),
            4 => self.push(Op::Silu {}, &[x]),
            5 => self.push(Op::Sigmoid {}, &[x]),
            6 => self.push(Op::Tanh {}, &[x]),
            7 => {
                // What is small keeps its digits.
                let x = self.push(Op::Softplus {}, &[x])?;
                let x = self.above(x, 1e-12)?;
                self.push(Op::Log {}, &[x])
            }
            8 => self.push(Op::Neg {}, &[x]),
            9 => self.push(Op::Abs {}, &[x]),
            10 => self.push(Op::Square {}, &[x]),
            11 => {
                let x = self.above(x, 0.1)?;
                self.push(Op::Sqrt {}, &[x])
            }
            12 => {
                let x = self.push(Op::Clamp { min: slope - 1.0, max: slope }, &[x])?;
                self.push(Op::Exp {}, &[x])
            }
            13 => self.push(Op::Detach {}, &[x]),
            14 => self.push(Op::Dropout { p: 0.5 }, &[x]),
            15 => {
                let exponent = self.random.of(&[2.0, 3.0]);
                self.push(Op::Pow { exponent }, &[x])
            }
            16 => {
                let x = self.above(x, 0.3)?;
                let exponent = self.random.of(&[-1.5, -1.0, 0.0, 0.5, 1.0]);
                self.push(Op::Pow { exponent }, &[x])
            }
            _ => self.push(Op::Softplus {}, &[x]),
        }
    }
}
