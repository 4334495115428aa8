//! Layers' names as Python attributes: `block1.conv1` may stay as it is, `0.conv-a` or `forward` may not.

use std::collections::{BTreeMap, BTreeSet};

use tandem_plugin_api::{Network, network, opset::Op};

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// What a layer is called in the program, by its name in the definition.
#[derive(Debug)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Attributes of attributes, as PyTorch's modules nest: the dots stay. `taken` is what a module has of its own.
    pub(super) fn nested(network: &Network, taken: &[&str]) -> Self {
        let paths = layers(network).map(|name| {
            let parts: Vec<String> = name.split('.').map(|part| legal(part, taken)).collect();
            (name.to_owned(), parts.join("."))
        });
        let mut paths: BTreeMap<String, String> = paths.collect();
        // A layer cannot hold another one, nor two share a name: what would goes by a flat name.
        let all: Vec<String> = paths.values().cloned().collect();
        let mut used: BTreeSet<String> = all.iter().cloned().collect();
        for path in paths.values_mut() {
            let clash = all.iter().filter(|other| *other == path).count() > 1
                || all.iter().any(|other| path.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('.')));
            if clash {
                *path = unused(&path.replace('.', "_"), &mut used);
            }
        }
        Self(paths)
    }

    /// One name each, without dots.
    pub(super) fn flat(network: &Network, taken: &[&str]) -> Self {
        let mut used = BTreeSet::new();
        let named = |name: &str, used: &mut BTreeSet<String>| unused(&legal(&name.replace('.', "_"), taken), used);
        Self(layers(network).map(|name| (name.to_owned(), named(name, &mut used))).collect())
    }

    /// What stands right in the module: layers' names up to their first dot.
    pub(super) fn tops(&self) -> BTreeSet<String> {
        self.0.values().map(|path| path.split('.').next().unwrap_or_default().to_owned()).collect()
    }

    /// A layer's.
    pub(super) fn get(&self, layer: &str) -> &str {
        self.0.get(layer).map_or("", String::as_str)
    }
}

fn layers(network: &Network) -> impl Iterator<Item = &str> {
    network.nodes().iter().filter(|n| !matches!(n.op, Op::Input { .. })).filter_map(|n| network::name(&n.op))
}

/// `name`, with as many `_` at its end as nothing else has.
pub(super) fn unused(name: &str, used: &mut BTreeSet<String>) -> String {
    let mut name = name.to_owned();
    while !used.insert(name.clone()) {
        name.push('_');
    }
    name
}

/// A name that Python can spell and that is not taken.
pub(super) fn legal(name: &str, taken: &[&str]) -> String {
    let mut name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, "layer");
    }
    while KEYWORDS.contains(&name.as_str()) || taken.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

#[cfg(test)]
mod tests {
    use tandem_plugin_api::{Builder, Linear};

    use super::*;

    #[test]
    fn names_are_pythons_unique_and_as_near_as_they_can_be() {
        let b = Builder::new();
        let names = ["up1.conv", "up1.conv-a", "up1.conv.a", "0", "train", "lambda", "up1_conv_a"];
        let x = names.iter().fold(b.input("latent", &[2]), |x, name| x.linear(name, 2, Linear::default()));
        let network = b.finish(&x).unwrap();
        let nested = Names::nested(&network, &["train"]);
        let found: Vec<&str> = names.iter().map(|n| nested.get(n)).collect();
        assert_eq!(found, ["up1.conv", "up1.conv_a", "up1_conv_a_", "layer0", "train_", "lambda_", "up1_conv_a"]);
        let flat = Names::flat(&network, &["train"]);
        let found: BTreeSet<&str> = names.iter().map(|n| flat.get(n)).collect();
        assert_eq!(found.len(), names.len(), "{found:?}");
        assert!(found.iter().all(|n| !n.contains(['.', '-'])), "{found:?}");
    }
}
