//! What running a declared graph costs over calling libtorch by hand: `cargo bench -p tandem --bench interpreter`.
//!
//! One chain of additions on a single number, where libtorch itself has next to nothing to do, run as a compiled network
//! and as a loop of the same calls, turn by turn. The difference per operation is the interpreter's.

#![expect(clippy::print_stdout, reason = "this is the result")]

use std::{hint::black_box, time::Instant};

use tandem::network::{Compiled, Pass};
use tandem_plugin_api::{Builder, Network};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

const OPERATIONS: usize = 200;
const PASSES: usize = 200;
const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiled = Compiled::new(&chain()?, Kind::Float, &mut Generator::new(Device::Cpu, 0)?)?;
    let input = Tensor::f_ones([1, 1], (Kind::Float, Device::Cpu))?;
    let weights = compiled.weights(false)?;
    let _guard = tch::no_grad_guard();

    let interpreted = || -> Result<Tensor, Box<dyn std::error::Error>> {
        Ok(compiled.forward(&[("x", &input)], &Pass::evaluation(&weights))?)
    };
    let by_hand = || -> Result<Tensor, Box<dyn std::error::Error>> {
        (0..OPERATIONS).try_fold(input.shallow_clone(), |x, _| Ok(x.f_add(&input)?))
    };
    assert_eq!(interpreted()?.double_value(&[0, 0]), by_hand()?.double_value(&[0, 0]));

    let mut over = Vec::new();
    per_operation(&interpreted)?;
    for _ in 0..ROUNDS {
        over.push(per_operation(&interpreted)? - per_operation(&by_hand)?);
    }
    over.sort_by(f64::total_cmp);
    let (least, median, most) = (over[0], over[ROUNDS / 2], over[ROUNDS - 1]);
    println!("the interpreter adds {median:.0} ns an operation ({least:.0} .. {most:.0}), {ROUNDS} rounds");
    Ok(())
}

fn chain() -> Result<Network, tandem_plugin_api::Error> {
    let builder = Builder::new();
    let x = builder.input("x", &[1]);
    builder.finish(&(0..OPERATIONS).fold(x.clone(), |sum, _| sum + &x))
}

/// Nanoseconds an operation.
fn per_operation(
    run: &impl Fn() -> Result<Tensor, Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let start = Instant::now();
    for _ in 0..PASSES {
        let _ = black_box(run()?);
    }
    Ok(start.elapsed().as_secs_f64() * 1e9 / (PASSES * OPERATIONS) as f64)
}
