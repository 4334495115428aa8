//! Generators: a saved state gives the same draws, and a private stream is nobody else's.

use tandem_torch_ext::{Generator, generator_state, set_generator_state};
use tch::{Device, Kind, Tensor};

/// Odd sizes leave a half-used pair of normal draws behind, which the state must hold too.
fn draw(generator: &mut Generator) -> Vec<Tensor> {
    let uniform = Tensor::empty([7], (Kind::Double, Device::Cpu));
    generator.uniform_(&uniform, -1.0, 1.0).unwrap();
    let whole = Tensor::empty([9], (Kind::Int64, Device::Cpu));
    generator.randint_(&whole, 0, 10).unwrap();
    vec![
        generator.randn(&[3], Kind::Float).unwrap(),
        generator.randn(&[64, 5], Kind::Float).unwrap(),
        generator.randn(&[1], Kind::Double).unwrap(),
        uniform,
        whole,
    ]
}

#[test]
fn a_state_gives_the_same_draws() {
    let mut first = Generator::new(Device::Cpu, 7).unwrap();
    draw(&mut first);
    let state = first.state().unwrap();
    let expected = draw(&mut first);
    let mut second = Generator::new(Device::Cpu, 8).unwrap();
    assert_ne!(draw(&mut second), expected);
    second.set_state(&state).unwrap();
    assert_eq!(draw(&mut second), expected);
}

#[test]
fn a_seed_starts_the_stream_again() {
    let mut generator = Generator::new(Device::Cpu, 7).unwrap();
    let expected = draw(&mut generator);
    generator.seed(7).unwrap();
    assert_eq!(draw(&mut generator), expected);
}

/// One test for all that touches the default generator, which the process shares.
#[test]
fn the_default_generator_is_saved_and_leaves_private_ones_alone() {
    let mut private = Generator::new(Device::Cpu, 7).unwrap();
    let expected = private.randn(&[16], Kind::Float).unwrap();
    private.seed(7).unwrap();

    let state = generator_state(Device::Cpu).unwrap();
    let common = Tensor::rand([40], (Kind::Float, Device::Cpu));
    assert_eq!(private.randn(&[16], Kind::Float).unwrap(), expected);
    set_generator_state(Device::Cpu, &state).unwrap();
    assert_eq!(Tensor::rand([40], (Kind::Float, Device::Cpu)), common);
}

#[test]
fn ranges_are_kept() {
    let mut generator = Generator::new(Device::Cpu, 1).unwrap();
    let whole = Tensor::empty([1000], (Kind::Int64, Device::Cpu));
    generator.randint_(&whole, 3, 6).unwrap();
    assert_eq!((whole.min().int64_value(&[]), whole.max().int64_value(&[])), (3, 5));
}

#[test]
fn errors_are_readable() {
    let mut generator = Generator::new(Device::Cpu, 1).unwrap();
    let error = generator.set_state(&[1, 2, 3]).unwrap_err().to_string();
    assert!(error.contains("state"), "{error}");
    let error = Generator::new(Device::Cuda(0), 1).unwrap_err().to_string();
    assert!(error.starts_with("Generator::new failed: "), "{error}");
    assert!(Generator::new(Device::Mps, 1).is_err());
}
