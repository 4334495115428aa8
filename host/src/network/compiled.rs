//! A network ready to run: parameters made, names resolved once, every step's tensors found by index.

use std::collections::BTreeMap;

use tandem_plugin_api::{
    Network,
    network::describe,
    opset::{self, Op, Role},
    shape::TensorType,
};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use super::{
    NetworkError,
    initialise::{initial, laid_out},
};

/// A named tensor of a network.
#[derive(Debug)]
pub struct Variable {
    /// The name in a PyTorch state_dict.
    pub name: String,
    /// The values.
    pub tensor: Tensor,
}

/// Where a step finds one of its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Index into the learned tensors.
    Learned(usize),
    /// Index into the buffers.
    Buffer(usize),
}

/// One operation with everything found beforehand.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) inputs: Vec<usize>,
    /// The operation's own tensors, in the order of `opset::parameters`.
    pub(super) slots: Vec<Slot>,
    /// Values that no later step reads.
    pub(super) last_use: Vec<usize>,
    /// Whether the activation may overwrite its input.
    pub(super) in_place: bool,
    pub(super) place: String,
    pub(super) output: TensorType,
}

/// A network's parameters, buffers and steps, on one device in one precision.
#[derive(Debug)]
pub struct Compiled {
    pub(super) steps: Vec<Step>,
    pub(super) output: usize,
    pub(super) constants: BTreeMap<usize, Tensor>,
    learned: Vec<Tensor>,
    learned_names: Vec<String>,
    buffers: Vec<Variable>,
    kind: Kind,
    autocast: Option<Kind>,
    device: Device,
}

impl Compiled {
    /// Makes the parameters with `generator` and resolves every name; the definition has been checked already.
    ///
    /// # Errors
    /// Only libtorch's own, such as memory that runs out.
    pub fn new(network: &Network, kind: Kind, generator: &mut Generator) -> Result<Self, NetworkError> {
        let device = generator.device();
        let mut compiled = Self {
            steps: Vec::new(),
            output: network.output(),
            constants: BTreeMap::new(),
            learned: Vec::new(),
            learned_names: Vec::new(),
            buffers: Vec::new(),
            kind,
            autocast: None,
            device,
        };
        for (index, node) in network.nodes().iter().enumerate() {
            let parameters = opset::parameters(&node.op, &network.input_types(node));
            let slots = parameters.iter().map(|p| compiled.add(p, generator)).collect::<Result<_, _>>()?;
            if let Op::Constant { shape, values } = &node.op {
                let tensor =
                    Tensor::f_from_slice(values)?.f_reshape(&shape[..])?.f_to_device(device)?.f_to_kind(kind)?;
                compiled.constants.insert(index, tensor);
            }
            compiled.steps.push(Step {
                op: node.op.clone(),
                inputs: node.inputs.clone(),
                slots,
                last_use: Vec::new(),
                in_place: false,
                place: describe(&node.op),
                output: node.output.clone(),
            });
        }
        compiled.plan();
        compiled.normalise_spectral_vectors()?;
        Ok(compiled)
    }

    fn add(&mut self, parameter: &opset::Parameter, generator: &mut Generator) -> Result<Slot, NetworkError> {
        let tensor = initial(parameter, generator)?;
        match parameter.role {
            Role::Learned => {
                self.learned.push(laid_out(tensor.f_to_kind(self.kind)?)?.f_set_requires_grad(true)?);
                self.learned_names.push(parameter.name.clone());
                Ok(Slot::Learned(self.learned.len() - 1))
            }
            Role::Buffer | Role::Counter => {
                let kind = if parameter.role == Role::Counter { Kind::Int64 } else { self.kind };
                self.buffers.push(Variable { name: parameter.name.clone(), tensor: tensor.f_to_kind(kind)? });
                Ok(Slot::Buffer(self.buffers.len() - 1))
            }
        }
    }

    /// Finds each value's last reader, and the activations that may overwrite their input.
    fn plan(&mut self) {
        let mut last = BTreeMap::new();
        let mut readers = vec![0_usize; self.steps.len()];
        for (i, step) in self.steps.iter().enumerate() {
            for &input in &step.inputs {
                last.insert(input, i);
                readers[input] += 1;
            }
        }
        for i in 0..self.steps.len() {
            // A layer whose backward reads its input, not its output, does not mind losing the output.
            let input = self.steps[i].inputs.first().copied();
            let spare = input.is_some_and(|k| {
                let forgets = matches!(
                    self.steps[k].op,
                    Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::BatchNorm { .. } | Op::GroupNorm { .. }
                );
                forgets && readers[k] == 1 && k != self.output
            });
            self.steps[i].in_place = spare && overwrites(&self.steps[i].op);
        }
        for (value, reader) in last {
            if value != self.output {
                self.steps[reader].last_use.push(value);
            }
        }
    }

    /// The learned tensors, in the order of the layers.
    pub fn learned(&self) -> &[Tensor] {
        &self.learned
    }

    /// Their names.
    pub fn learned_names(&self) -> &[String] {
        &self.learned_names
    }

    /// The buffers: running statistics, batch counters, power iterations.
    pub fn buffers(&self) -> &[Variable] {
        &self.buffers
    }

    /// Every tensor by its state_dict name.
    pub fn state(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let learned = self.learned_names.iter().map(String::as_str).zip(&self.learned);
        learned.chain(self.buffers.iter().map(|v| (v.name.as_str(), &v.tensor)))
    }

    /// The precision.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Has convolutions and matrix products computed in a narrower precision; everything else stays as it is.
    pub const fn set_autocast(&mut self, kind: Option<Kind>) {
        self.autocast = kind;
    }

    /// The narrower precision, if there is one.
    pub const fn autocast(&self) -> Option<Kind> {
        self.autocast
    }

    /// Where it runs.
    pub const fn device(&self) -> Device {
        self.device
    }

    /// Overwrites every tensor with the one of that name; all must be there, in the right shapes, and no others.
    pub fn load(&mut self, source: &BTreeMap<String, Tensor>) -> Result<(), NetworkError> {
        let known: Vec<&str> = self.state().map(|(name, _)| name).collect();
        if let Some(stray) = source.keys().find(|k| !known.contains(&k.as_str())) {
            return Err(NetworkError::Load(format!("the network has no tensor `{stray}`")));
        }
        let _guard = tch::no_grad_guard();
        for (name, tensor) in self.state() {
            let from = source.get(name).ok_or_else(|| NetworkError::Load(format!("tensor `{name}` is missing")))?;
            if from.size() != tensor.size() {
                let (want, have) = (tensor.size(), from.size());
                return Err(NetworkError::Load(format!("tensor `{name}` must be {want:?}, found {have:?}")));
            }
            tensor.shallow_clone().f_copy_(from)?;
        }
        Ok(())
    }

    pub(super) fn slot(&self, slot: Slot) -> &Tensor {
        match slot {
            Slot::Learned(i) => &self.learned[i],
            Slot::Buffer(i) => &self.buffers[i].tensor,
        }
    }
}

/// Activations whose backward can read the sign of the input from the output.
fn overwrites(op: &Op) -> bool {
    match op {
        Op::Relu {} => true,
        Op::LeakyRelu { negative_slope } => *negative_slope >= 0.0,
        _ => false,
    }
}
