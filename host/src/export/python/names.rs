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
    ///
    /// A layer cannot hold another one, nor two share a name: names that need no change come first, and what would clash
    /// with one that is given already goes by a flat name.
    pub(super) fn nested(network: &Network, taken: &[&str]) -> Self {
        let path = |name: &str| name.split('.').map(|part| legal(part, taken)).collect::<Vec<_>>().join(".");
        let (kept, changed): (Vec<&str>, Vec<&str>) = layers(network).partition(|name| path(name) == *name);
        let mut given = Given::new(taken);
        let mut names = BTreeMap::new();
        let mut clashing = Vec::new();
        for name in kept.into_iter().chain(changed) {
            let path = path(name);
            if given.take(&path) {
                names.insert(name.to_owned(), path);
            } else {
                clashing.push((name, path));
            }
        }
        // Last: a flat name is not to take one that is another layer's own.
        for (name, path) in clashing {
            names.insert(name.to_owned(), given.fresh(&path.replace('.', "_")));
        }
        Self(names)
    }

    /// One name each, without dots.
    pub(super) fn flat(network: &Network, taken: &[&str]) -> Self {
        let mut given = Given::new(taken);
        let named = layers(network).map(|name| (name.to_owned(), given.fresh(&legal(&name.replace('.', "_"), taken))));
        Self(named.collect())
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

/// The names that layers have been given so far.
#[derive(Debug)]
struct Given<'a> {
    taken: &'a [&'a str],
    layers: BTreeSet<String>,
    /// What only holds layers: every start of a layer's name that ends before a dot.
    holders: BTreeSet<String>,
    /// The number that the next of a name gets.
    counts: BTreeMap<String, usize>,
}

impl<'a> Given<'a> {
    const fn new(taken: &'a [&'a str]) -> Self {
        Self { taken, layers: BTreeSet::new(), holders: BTreeSet::new(), counts: BTreeMap::new() }
    }

    /// Gives a name, if it is no other's, holds no other and stands in no other.
    fn take(&mut self, path: &str) -> bool {
        let holders = || path.match_indices('.').map(|(dot, _)| &path[..dot]);
        if self.layers.contains(path) || self.holders.contains(path) || holders().any(|h| self.layers.contains(h)) {
            return false;
        }
        self.holders.extend(holders().map(str::to_owned));
        self.layers.insert(path.to_owned())
    }

    /// Gives `name`, or the first of `name_2`, `name_3` and so on that nothing has.
    fn fresh(&mut self, name: &str) -> String {
        let mut next = name.to_owned();
        while self.taken.contains(&next.as_str()) || KEYWORDS.contains(&next.as_str()) || !self.take(&next) {
            let count = self.counts.entry(name.to_owned()).or_insert(1);
            *count += 1;
            next = format!("{name}_{count}");
        }
        next
    }
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
    use proptest::prelude::*;
    use tandem_plugin_api::{Builder, Linear};

    use super::*;

    fn network(names: &[String]) -> Network {
        let b = Builder::new();
        let x = names.iter().fold(b.input("latent", &[2]), |x, name| x.linear(name, 2, Linear::default()));
        b.finish(&x).unwrap()
    }

    #[test]
    fn names_are_pythons_unique_and_as_near_as_they_can_be() {
        let names = ["up1.conv", "up1.conv-a", "up1.conv.a", "0", "train", "lambda", "up1_conv_a"].map(str::to_owned);
        let network = network(&names);
        let nested = Names::nested(&network, &["train"]);
        let found: Vec<&str> = names.iter().map(|n| nested.get(n)).collect();
        assert_eq!(found, ["up1.conv", "up1.conv_a", "up1_conv_a_2", "layer0", "train_", "lambda_", "up1_conv_a"]);
        let flat = Names::flat(&network, &["train"]);
        let found: BTreeSet<&str> = names.iter().map(|n| flat.get(n)).collect();
        assert_eq!(found.len(), names.len(), "{found:?}");
        assert!(found.iter().all(|n| !n.contains(['.', '-'])), "{found:?}");
    }

    #[test]
    fn a_flat_name_is_neither_a_modules_own_nor_one_that_holds_layers() {
        let names = ["zero", "zero.grad", "a", "a.b", "a_b.c"].map(str::to_owned);
        let network = network(&names);
        let taken = ["zero_grad"];
        let nested = Names::nested(&network, &taken);
        let found: Vec<&str> = names.iter().map(|n| nested.get(n)).collect();
        assert_eq!(found, ["zero", "zero_grad_2", "a", "a_b_2", "a_b.c"]);
        let names = ["zero.grad", "a.b", "a_b"].map(str::to_owned);
        let network = self::network(&names);
        let flat = Names::flat(&network, &taken);
        let found: Vec<&str> = names.iter().map(|n| flat.get(n)).collect();
        assert_eq!(found, ["zero_grad_", "a_b", "a_b_2"]);
    }

    proptest! {
        #[test]
        fn any_names_become_attributes_that_can_stand_side_by_side(
            names in prop::collection::btree_set("([ab0_]|to|if)([._-]([ab0_]|to|if)){0,3}", 1..12)
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let network = network(&names);
            let taken = ["to", "a_to", "b_to"];
            for found in [Names::nested(&network, &taken), Names::flat(&network, &taken)] {
                let paths: BTreeSet<&str> = names.iter().map(|n| found.get(n)).collect();
                prop_assert_eq!(paths.len(), names.len());
                for path in &paths {
                    for part in path.split('.') {
                        prop_assert!(part.starts_with(|c: char| c.is_ascii_alphabetic()), "{path}");
                        prop_assert!(part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{path}");
                        prop_assert!(!taken.contains(&part) && !KEYWORDS.contains(&part), "{path}");
                    }
                    let inside = |other: &&str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
                    prop_assert!(!paths.iter().any(inside), "{path} holds a layer");
                }
            }
        }
    }
}
