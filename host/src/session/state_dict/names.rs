//! Names that wrappers of PyTorch give to a network's tensors, brought back where their meaning is certain.

use std::collections::BTreeSet;

use tandem_plugin_api::opset::Parameter;

use crate::run::NamedArray;

/// What `torch.compile` puts before the names of a module that it wraps, also within others.
const COMPILED: &str = "_orig_mod";
/// How many names may stand before a tensor's own; a bound for files that hold no state_dict.
const MOST_PARTS: usize = 16;
/// How `torch.nn.utils.parametrizations.spectral_norm` calls what `torch.nn.utils.spectral_norm` calls otherwise. Both keep the
/// same three tensors, in the same shapes, for the same computation.
const PARAMETRIZED: [(&str, &str); 3] = [
    (".parametrizations.weight.original", ".weight_orig"),
    (".parametrizations.weight.0._u", ".weight_u"),
    (".parametrizations.weight.0._v", ".weight_v"),
];

/// The arrays under the network's names: without what `torch.compile` adds, without a start that all share and that hides the
/// network's names (`module.` of `DataParallel`), and spectral norms as the network stores them. What stays unknown keeps
/// its name, and so does everything if two arrays would become one.
pub(super) fn translated(mut arrays: Vec<NamedArray>, parameters: &[Parameter]) -> Vec<NamedArray> {
    let wanted: BTreeSet<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let given: Vec<String> = arrays.iter().map(|array| array.name.clone()).collect();
    let plain: Vec<String> =
        given.iter().map(|name| if wanted.contains(name.as_str()) { name.clone() } else { uncompiled(name) }).collect();
    let known = |name: &str| wanted.contains(name) || wanted.contains(of_today(name).as_str());
    let hidden = prefix(&plain, known).unwrap_or_default();
    let renamed = |name: &String| {
        let bare = name.strip_prefix(&hidden).unwrap_or(name);
        let spectral = of_today(bare);
        if wanted.contains(spectral.as_str()) { spectral } else { bare.to_owned() }
    };
    let names: Vec<String> = plain.iter().map(renamed).collect();
    if names.iter().collect::<BTreeSet<_>>().len() == names.len() {
        arrays.iter_mut().zip(names).for_each(|(array, name)| array.name = name);
    }
    arrays
}

fn uncompiled(name: &str) -> String {
    name.split('.').filter(|part| *part != COMPILED).collect::<Vec<_>>().join(".")
}

/// A tensor's name as `torch.nn.utils.spectral_norm` has it.
fn of_today(name: &str) -> String {
    let found = PARAMETRIZED.iter().find_map(|(end, old)| Some(name.strip_suffix(end)?.to_owned() + old));
    found.unwrap_or_else(|| name.to_owned())
}

/// What stands before every name, if none is known with it and some are without.
fn prefix(names: &[String], known: impl Fn(&str) -> bool) -> Option<String> {
    let first = names.first()?;
    if names.iter().any(|name| known(name)) {
        return None;
    }
    let ends = first.match_indices('.').take(MOST_PARTS).map(|(dot, _)| &first[..=dot]);
    let mut shared = ends.take_while(|start| names.iter().all(|name| name.starts_with(start)));
    shared.find(|start| names.iter().any(|name| known(&name[start.len()..]))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use tandem_plugin_api::{Builder, Linear, kernel};

    use super::*;
    use crate::run::ArrayType;

    fn wanted() -> Vec<Parameter> {
        let b = Builder::new();
        let x = b.input("image", &[1, 4, 4]).conv2d("block.conv", 2, kernel(3).spectral_norm(true)).flatten();
        b.finish(&x.linear("score", 1, Linear::default().bias(false))).unwrap().parameters()
    }

    fn became(names: &[&str]) -> Vec<String> {
        let array =
            |name: &&str| NamedArray { name: (*name).into(), dtype: ArrayType::F32, shape: vec![0], data: vec![] };
        translated(names.iter().map(array).collect(), &wanted()).into_iter().map(|array| array.name).collect()
    }

    const OURS: [&str; 5] =
        ["block.conv.weight_orig", "block.conv.bias", "block.conv.weight_u", "block.conv.weight_v", "score.weight"];
    const TODAYS: [&str; 5] = [
        "block.conv.parametrizations.weight.original",
        "block.conv.bias",
        "block.conv.parametrizations.weight.0._u",
        "block.conv.parametrizations.weight.0._v",
        "score.weight",
    ];

    #[test]
    fn what_wrappers_add_is_taken_off() {
        for names in [OURS, TODAYS] {
            for start in ["", "module.", "_orig_mod.", "module._orig_mod.", "model.generator."] {
                let given = names.map(|name| format!("{start}{name}"));
                assert_eq!(became(&given.each_ref().map(String::as_str)), OURS, "{start}");
            }
        }
        assert_eq!(became(&["block._orig_mod.conv.bias", "score.weight"]), ["block.conv.bias", "score.weight"]);
    }

    #[test]
    fn what_is_not_certain_stays() {
        // A start of some alone, a spectral norm where the network has none, and two arrays that would be one.
        for names in [
            &["module.score.weight", "block.conv.bias"][..],
            &["score.parametrizations.weight.original", "block.conv.bias"],
            &["block.conv.bias", "block._orig_mod.conv.bias"],
            &["other.weight"],
            &[],
        ] {
            assert_eq!(became(names), names);
        }
    }
}
