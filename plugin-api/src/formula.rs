//! Losses as a person writes them: `mean(softplus(-real)) + mean(softplus(fake))`.

use crate::{Network, opset::Op};

/// Operations in a formula beyond which nobody reads it.
const MAX_OPERATIONS: u64 = 60;

/// How tightly an expression binds, so that only needed brackets are written.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binding {
    Sum,
    Product,
    Unary,
    Power,
    Atom,
}

/// The graph's output as a formula over its inputs' names.
///
/// Shared subexpressions are written out each time. What gets too long to read that way is only counted, which also
/// bounds the work: a few dozen nodes of `x + x` would make a text of gigabytes.
pub fn formula(network: &Network) -> String {
    let mut written: Vec<u64> = Vec::with_capacity(network.nodes().len());
    for node in network.nodes() {
        written.push(node.inputs.iter().fold(1, |sum, &i| sum.saturating_add(written[i])));
    }
    if written.get(network.output()).is_none_or(|&n| n > MAX_OPERATIONS) {
        return format!("an expression of {} operations", network.nodes().len());
    }
    write(network, network.output()).0
}

fn write(network: &Network, index: usize) -> (String, Binding) {
    let node = &network.nodes()[index];
    let arg = |i: usize, least: Binding| {
        let (text, binding) = write(network, node.inputs[i]);
        if binding < least { format!("({text})") } else { text }
    };
    let call = |name: &str, extra: String| {
        let inputs: Vec<String> = node.inputs.iter().map(|&i| write(network, i).0).collect();
        (format!("{name}({}{extra})", inputs.join(", ")), Binding::Atom)
    };
    let over = |dims: &[i64]| if dims.is_empty() { String::new() } else { format!(", dims = {dims:?}") };
    match &node.op {
        Op::Input { name, .. } => (name.clone(), Binding::Atom),
        Op::Constant { values, .. } if values.len() == 1 => {
            (values[0].to_string(), if values[0] < 0.0 { Binding::Unary } else { Binding::Atom })
        }
        Op::Add {} => (format!("{} + {}", arg(0, Binding::Sum), arg(1, Binding::Sum)), Binding::Sum),
        Op::Sub {} => (format!("{} - {}", arg(0, Binding::Sum), arg(1, Binding::Product)), Binding::Sum),
        Op::Mul {} => (format!("{} · {}", arg(0, Binding::Product), arg(1, Binding::Product)), Binding::Product),
        Op::Div {} => (format!("{} / {}", arg(0, Binding::Product), arg(1, Binding::Unary)), Binding::Product),
        Op::Neg {} => (format!("-{}", arg(0, Binding::Power)), Binding::Unary),
        Op::Square {} => (format!("{}²", arg(0, Binding::Atom)), Binding::Power),
        Op::Pow { exponent } => (format!("{}^{exponent}", arg(0, Binding::Atom)), Binding::Power),
        Op::LeakyRelu { negative_slope } => call("leaky_relu", format!(", {negative_slope}")),
        Op::Clamp { min, max } => call("clamp", format!(", {min}, {max}")),
        Op::Mean { dims, .. } => call("mean", over(dims)),
        Op::Sum { dims, .. } => call("sum", over(dims)),
        Op::Var { dims, .. } => call("var", over(dims)),
        Op::Logsumexp { dims, .. } => call("logsumexp", over(dims)),
        other => call(other.name(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Tensor};

    fn shown(loss: impl Fn(&Tensor, &Tensor) -> Tensor) -> String {
        let b = Builder::new();
        let output = loss(&b.input("real", &[]), &b.input("fake", &[]));
        formula(&b.finish(&output).unwrap())
    }

    #[test]
    fn writes_brackets_only_where_they_are_needed() {
        assert_eq!(
            shown(|r, f| (-r).softplus().mean() + f.softplus().mean()),
            "mean(softplus(-real)) + mean(softplus(fake))"
        );
        assert_eq!(shown(|_, f| (f - 1.0).square().mean() * 0.5), "mean((fake - 1)²) · 0.5");
        assert_eq!(shown(|r, f| r - (f - 1.0)), "real - (fake - 1)");
        assert_eq!(shown(|r, f| -(r + f) / (f * 2.0)), "-(real + fake) / (fake · 2)");
    }

    #[test]
    fn a_formula_that_would_double_with_every_node_is_counted_instead() {
        let doubled = shown(|r, _| (0..50).fold(r.clone(), |x, _| &x + &x).mean());
        assert_eq!(doubled, "an expression of 52 operations");
    }
}
