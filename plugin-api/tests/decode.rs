//! Whatever a plugin sends: decoding answers with a checked network or a sentence, and never panics or overflows (the
//! workspace turns overflow checks on for this crate). What it accepts can be used and comes back the same.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use tandem_plugin_api::{
    Builder, Defaults, Gan, Linear, Network, Norm, PenaltyAt, Stages, formula, kernel,
    opset::{Arity, FieldInfo, TABLE},
    options::Images,
    value::{Definition, Graph, Named, Node, Value},
};

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0..9_i64,
        2 => -3..70_i64,
        1 => prop_oneof![Just(1 << 20), Just((1 << 20) + 1), Just(1 << 31), Just(i64::MAX), Just(i64::MIN)],
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..2.0, 1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(1e300)]]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]",
        2 => prop_oneof![Just("fan_in()"), Just("normal(0, 0.02)"), Just("nearest"), Just("labels")].prop_map(Into::into),
        1 => ".{0,6}",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        integer().prop_map(Value::Int),
        number().prop_map(Value::Float),
        text().prop_map(Value::Text),
        prop::collection::vec(integer(), 0..5).prop_map(Value::Ints),
        prop::collection::vec(number(), 0..5).prop_map(Value::Floats),
        prop::collection::vec(text(), 0..4).prop_map(Value::Texts),
    ]
}

/// The ends of what is allowed, all at once in one node: what makes products overflow, and chance hardly ever does.
fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![Just(1), Just(1 << 19), Just(1 << 20)]
}

/// A value of the kind that the field wants.
fn fitting(field: &FieldInfo, extremes: bool) -> BoxedStrategy<Value> {
    match field.kind {
        "an integer" if extremes => extreme().prop_map(Value::Int).boxed(),
        "two integers" if extremes => extreme().prop_map(|n| Value::Ints(vec![n, n])).boxed(),
        "a boolean" => any::<bool>().prop_map(Value::Bool).boxed(),
        "an integer" => integer().prop_map(Value::Int).boxed(),
        "a finite number" => number().prop_map(Value::Float).boxed(),
        "two integers" => [integer(), integer()].prop_map(|v| Value::Ints(v.to_vec())).boxed(),
        "a list of integers" => prop::collection::vec(integer(), 0..5).prop_map(Value::Ints).boxed(),
        "a list of finite numbers" => prop::collection::vec(number(), 0..5).prop_map(Value::Floats).boxed(),
        "\"nearest\" or \"bilinear\"" => Just(Value::Text("bilinear".into())).boxed(),
        kind if kind.starts_with("an initialiser") => Just(Value::Text("normal(0, 0.02)".into())).boxed(),
        _ => text().prop_map(Value::Text).boxed(),
    }
}

fn attributes(fields: &'static [FieldInfo], extremes: bool) -> impl Strategy<Value = Vec<Named<Value>>> {
    let each: Vec<_> = fields
        .iter()
        .map(|f| {
            let present = fitting(f, extremes).prop_map(|v| Some(Named::new(f.name, v)));
            let other = any_value().prop_map(|v| Some(Named::new(f.name, v)));
            // A field with a default is mostly left to it, so that more than one node in a thousand is accepted.
            let absent = if f.default.is_some() && !extremes { 20 } else { 1 };
            prop_oneof![12 => present, 1 => other, absent => Just(None)]
        })
        .collect();
    each.prop_map(|all| all.into_iter().flatten().collect())
}

fn node() -> impl Strategy<Value = Node> {
    let known = (0..TABLE.len(), prop::bool::weighted(0.3)).prop_flat_map(|(i, extremes)| {
        let arity = match TABLE[i].arity {
            Arity::Exactly(n) => n..=n,
            Arity::AtLeast(n) => n..=n + 2,
        };
        let several = prop::collection::vec(0..12_u32, 0..4);
        let inputs = prop_oneof![9 => prop::collection::vec(0..12_u32, arity), 1 => several];
        (inputs, attributes(TABLE[i].fields, extremes)).prop_map(move |(inputs, attributes)| Node {
            op: TABLE[i].name.into(),
            inputs,
            attributes,
        })
    });
    let stray = (text(), prop::collection::vec(any::<u32>(), 0..3), prop::collection::vec((text(), any_value()), 0..3));
    prop_oneof![
        30 => known,
        1 => stray.prop_map(|(op, inputs, attributes)| Node {
            op, inputs, attributes: attributes.into_iter().map(|(n, v)| Named::new(n, v)).collect(),
        }),
    ]
}

fn input(name: &str, shape: &[i64], labels: bool) -> Node {
    let attributes = vec![
        Named::new("name", Value::Text(name.into())),
        Named::new("shape", Value::Ints(shape.to_vec())),
        Named::new("labels", Value::Bool(labels)),
    ];
    Node { op: "input".into(), inputs: Vec::new(), attributes }
}

/// Everything that the host asks of a network before it runs it.
fn use_it(network: &Network) {
    let learned = network.learned_count();
    assert!(learned >= 0 && network.forward_flops().is_finite());
    for p in network.parameters() {
        assert!(p.shape.iter().all(|&n| n >= 1) && p.fan_in >= 1, "{p:?}");
    }
    assert!(!formula(network).is_empty());
    let _ = network.batch_coupling();
}

/// Gives the newest node attributes that fit its input's shape, which chance hardly ever does.
fn mend(graph: &mut Graph) {
    let Some(mut newest) = graph.nodes.pop() else { return };
    // The output of the last node so far, which must not hold labels, stands for all shapes.
    let last = graph.nodes.len() - 1;
    let before = Graph { nodes: graph.nodes.clone(), outputs: vec![last as u32] };
    if let Some(sizes) = Network::decode(&before).ok().and_then(|n| n.output_type().shape.sample()) {
        let rank = sizes.len() as i64;
        let fitting = match newest.op.as_str() {
            "reshape" => vec![("shape", Value::Ints(sizes.into_iter().rev().collect()))],
            "permute" => vec![("dims", Value::Ints((0..=rank).rev().collect()))],
            "layer_norm" => vec![("normalized_shape", Value::Ints(sizes[sizes.len().saturating_sub(1)..].to_vec()))],
            "slice" => ["start", "end", "dim"].into_iter().zip([0, 1, rank].map(Value::Int)).collect(),
            _ => Vec::new(),
        };
        if !fitting.is_empty() {
            newest.inputs = vec![last as u32];
            newest.attributes.retain(|a| a.name == "name");
            newest.attributes.extend(fitting.into_iter().map(|(name, value)| Named::new(name, value)));
        }
    }
    graph.nodes.push(newest);
}

/// The graph grown node by node, leaving out what is refused: most of what is left is deep and valid.
fn grown(nodes: Vec<Node>) -> Network {
    let mut graph = Graph { nodes: vec![input("image", &[16, 8, 8], false)], outputs: vec![0] };
    let labels = input("y", &[], true);
    for (i, mut node) in std::iter::once(labels).chain(nodes).enumerate() {
        // Inputs among the newest nodes; names of their own.
        let here = graph.nodes.len() as u32;
        node.inputs.iter_mut().for_each(|k| *k = here.saturating_sub(1 + *k % here));
        if let Some(name) = node.attributes.iter_mut().find(|a| a.name == "name" && node.op != "input") {
            name.value = Value::Text(format!("layer{i}"));
        }
        graph.nodes.push(node);
        if Network::decode(&graph).is_err() {
            mend(&mut graph);
        }
        if Network::decode(&graph).is_err() {
            graph.nodes.pop();
        }
    }
    graph.outputs = vec![graph.nodes.len() as u32 - 1];
    // The newest node may hold labels, which no network returns.
    Network::decode(&graph).unwrap_or_else(|_| Network::decode(&Graph { outputs: vec![0], ..graph }).unwrap())
}

fn small_gan() -> Definition {
    let g = Builder::new();
    let x = g.input("latent", &[4]).linear("fc", 12, Linear::default()).reshape(&[3, 2, 2]);
    let generator = g.finish(&x.conv_transpose2d("up", 3, kernel(4).stride(2).padding(1)).tanh());
    let d = Builder::new();
    let x = d.input("image", &[3, 4, 4]).conv2d("conv", 4, kernel(4)).group_norm("norm", 2, Norm::default());
    let discriminator = d.finish(&(x.flatten() * d.labels().one_hot(4)).sum_over(&[1], false));
    Gan::builder(generator, discriminator)
        .loss_discriminator_whole(|s| (&s.fake - &s.real).softplus().mean() + s.state("lambda"))
        .loss_generator(|s| (&s.real - &s.fake).softplus().mean())
        .state("lambda", 0.5, |s| s.state("lambda") + s.real.square().mean() * 1e-3)
        .gradient_penalty(PenaltyAt::Interpolated, 1.0, 10.0)
        .weight_clip(0.01)
        .defaults(Stages::Two, Defaults::rmsprop(5e-5).n_critic(5))
        .build()
        .unwrap()
        .encode()
}

/// One change of a definition: where (taken modulo what is there) and to what.
fn change(definition: &mut Definition, (place, at, value, node): (u8, usize, Value, Node)) {
    let Definition { graphs, metadata, opset } = definition;
    let (g, m) = (at % graphs.len().max(1), at % metadata.len().max(1));
    match place {
        0 if !metadata.is_empty() => metadata[m].value = value,
        1 if !metadata.is_empty() => drop(metadata.remove(m)),
        2 if !metadata.is_empty() => metadata.push(metadata[m].clone()),
        3 if !graphs.is_empty() => drop(graphs.remove(g)),
        4 if !graphs.is_empty() => graphs[g].value.nodes.push(node),
        5 if !graphs.is_empty() => {
            let nodes = &mut graphs[g].value.nodes;
            let n = at / 7 % nodes.len().max(1);
            let Some(attributes) = nodes.get_mut(n).map(|n| &mut n.attributes) else { return };
            let a = at / 77 % attributes.len().max(1);
            if let Some(attribute) = attributes.get_mut(a) {
                attribute.value = value;
            }
        }
        6 if !graphs.is_empty() => graphs[g].value.outputs = node.inputs,
        7 if graphs.len() > 1 => graphs.swap(g, 0),
        8 if graphs.len() > 1 => {
            let other = graphs[(g + 1) % graphs.len()].value.clone();
            graphs[g].value = other;
        }
        _ => *opset = u32::try_from(at % 3).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_is_answered(nodes in prop::collection::vec(node(), 0..6), outputs in prop::collection::vec(0..8_u32, 0..3)) {
        if let Ok(network) = Network::decode(&Graph { nodes, outputs }) {
            use_it(&network);
        }
    }

    #[test]
    fn what_is_accepted_can_be_used_and_comes_back(nodes in prop::collection::vec(node(), 1..40)) {
        let network = grown(nodes);
        use_it(&network);
        prop_assert_eq!(Network::decode(&network.encode()).unwrap(), network);
    }

    #[test]
    fn any_change_of_a_definition_is_answered(
        changes in prop::collection::vec((0..12_u8, any::<usize>(), any_value(), node()), 1..4)
    ) {
        let mut definition = small_gan();
        for c in changes {
            change(&mut definition, c);
        }
        if let Ok(gan) = Gan::decode(&definition) {
            use_it(&gan.generator);
            use_it(&gan.discriminator);
            prop_assert!(!gan.formulas().is_empty() && gan.latent_size() > 0);
            let _ = gan.fits(Images { channels: 3, size: 4, classes: 4 });
            prop_assert_eq!(Gan::decode(&gan.encode()).unwrap(), gan);
        }
    }
}

/// The generators above would prove little if hardly anything they make were accepted.
#[test]
fn the_generators_reach_most_operations() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let nodes = prop::collection::vec(node(), 40);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let network = grown(nodes.new_tree(&mut runner).unwrap().current());
        seen.extend(network.nodes().iter().map(|n| n.op.name()));
    }
    let missing: Vec<&str> = TABLE.iter().map(|o| o.name).filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "never accepted: {missing:?}");
}
