//! The words of every refusal.

use super::*;

/// What is said about these settings, added to a plugin that is named.
fn refusal(sets: &[&str]) -> String {
    let with_plugin: Vec<&str> = ["plugin=dcgan"].iter().chain(sets).copied().collect();
    match said(&with_plugin).and_then(|sources| sources.resolve(&wgan())) {
        Ok(resolved) => panic!("accepted: {:?}", resolved.config),
        Err(error) => error.to_string(),
    }
}

/// What is said about a config file of this text.
fn file_refusal(text: &str) -> String {
    let folder = Folder::new(&[("run.toml", text)]);
    let result = folder.load("run.toml", &[], &[]).and_then(|s| s.resolve(&PluginDefaults::default()));
    folder.tidy(&result.unwrap_err().to_string())
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(file_refusal("plugin = \"dcgan\"\n\n[generator]\nleraning_rate = 1e-3\n"), @"key `generator.leraning_rate` is unknown (DIR/run.toml:4); did you mean `generator.learning_rate`?");
    insta::assert_snapshot!(file_refusal("plugin = \"dcgan\"\nlearning_rate = 1e-3\n"), @"key `learning_rate` is unknown (DIR/run.toml:2); did you mean `generator.learning_rate`?");
    insta::assert_snapshot!(file_refusal("plugin = \"dcgan\"\ngenerator.lr = 1e-3\n"), @"key `generator.lr` is unknown (DIR/run.toml:2); did you mean `generator.learning_rate`?");
    insta::assert_snapshot!(refusal(&["genrator.betas=1"]), @"key `genrator.betas` is unknown (--set genrator.betas=1); did you mean `generator.betas`?");
    insta::assert_snapshot!(refusal(&["discriminator.betsa=1"]), @"key `discriminator.betsa` is unknown (--set discriminator.betsa=1); did you mean `discriminator.betas`?");
    insta::assert_snapshot!(refusal(&["data.wholly_else=1"]), @"key `data.wholly_else` is unknown (--set data.wholly_else=1); [data] has `kind`, `image_size`, `path`, `split`, `images`, `labels`, `transposed`, `attribute`, `use_labels`, `crop`, `channels`, `flip`, `max_bad`, `use_cache`, `may_change`, `cache`");
    insta::assert_snapshot!(refusal(&["loss=saturating"]), @"key `loss` is unknown (--set loss=saturating); a plugin's own settings go under [options]");
    insta::assert_snapshot!(refusal(&["batch-size=3"]), @"key `batch-size` is unknown (--set batch-size=3); did you mean `batch_size`?");
    insta::assert_snapshot!(refusal(&["generator=3"]), @"key `generator` is unknown (--set generator=3); it is a table and cannot be 3; write `[generator]`");
    insta::assert_snapshot!(refusal(&["seed.x=3"]), @"key `seed.x` is unknown (--set seed.x=3); `seed` is one value, not a table");
    insta::assert_snapshot!(refusal(&["options=3"]), @"key `options` is unknown (--set options=3); it is a table and cannot be 3; write `[options]`");
    insta::assert_snapshot!(refusal(&["extends=a.toml"]), @"key `extends` is unknown (--set extends=a.toml); only a config file can extend another");
}

#[test]
fn an_unknown_key_is_found_even_where_a_nearer_file_covers_it() {
    let folder = Folder::new(&[("base.toml", "seed = \"x\"\n"), ("run.toml", "extends = \"base.toml\"\nseed = 1\n")]);
    insta::assert_snapshot!(folder.tidy(&folder.load("run.toml", &[], &[]).unwrap_err().to_string()), @r#"key `seed` must be an integer of at least 0, found the text "x" (DIR/base.toml:1)"#);
}

#[test]
fn wrong_values() {
    insta::assert_snapshot!(file_refusal("plugin = \"dcgan\"\nbatch_size = 64.0\n"), @"key `batch_size` must be an integer from 1 to 65536, found 64.0 (DIR/run.toml:2)");
    insta::assert_snapshot!(file_refusal("plugin = 3\n"), @"key `plugin` must be a text, found 3 (DIR/run.toml:1)");
    insta::assert_snapshot!(refusal(&["steps=many"]), @r#"key `steps` must be an integer of at least 1, found the text "many" (--set steps=many)"#);
    insta::assert_snapshot!(refusal(&["batch_size=0"]), @"key `batch_size` must be an integer from 1 to 65536, found 0 (--set batch_size=0)");
    insta::assert_snapshot!(refusal(&["reuse_fakes=yes"]), @r#"key `reuse_fakes` must be `true` or `false`, found the text "yes" (--set reuse_fakes=yes)"#);
    insta::assert_snapshot!(refusal(&["strategy=pivot"]), @r#"key `strategy` must be one of `auto`, `scaled`, `pivoted`, `two-seed`, found the text "pivot" (--set strategy=pivot); did you mean `pivoted`?"#);
    insta::assert_snapshot!(refusal(&["stages=2"]), @"key `stages` must be one of `one`, `two`, found 2 (--set stages=2)");
    insta::assert_snapshot!(refusal(&["device=gpu"]), @r#"key `device` must be `auto`, `cpu`, `cuda` or `cuda:N`, found the text "gpu" (--set device=gpu); did you mean `cuda`?"#);
    insta::assert_snapshot!(refusal(&["ema_decay=1"]), @"key `ema_decay` must be a number from 0 to below 1, found 1 (--set ema_decay=1)");
    insta::assert_snapshot!(refusal(&["generator.learning_rate=nan"]), @"key `generator.learning_rate` must be a number above 0, found NaN (--set generator.learning_rate=nan)");
    insta::assert_snapshot!(refusal(&["generator.learning_rate=inf"]), @"key `generator.learning_rate` must be a number above 0, found inf (--set generator.learning_rate=inf)");
    insta::assert_snapshot!(refusal(&["generator.learning_rate=-1e-3"]), @"key `generator.learning_rate` must be a number above 0, found -0.001 (--set generator.learning_rate=-1e-3)");
    insta::assert_snapshot!(refusal(&["generator.betas=[0.5]"]), @"key `generator.betas` must be a list of two numbers, each from 0 to below 1, found the list [0.5] (--set generator.betas=[0.5])");
    insta::assert_snapshot!(refusal(&["generator.betas=[0.5, 1.0]"]), @"key `generator.betas` must be a list of two numbers, each from 0 to below 1, found the list [0.5, 1.0] (--set generator.betas=[0.5, 1.0])");
    insta::assert_snapshot!(refusal(&["options.deep.width=1"]), @"key `options.deep.width` must be a text, an integer, a finite number, a truth value or a list of one of them, found an entry of a table (--set options.deep.width=1)");
    insta::assert_snapshot!(refusal(&["options.width=[1, 2.0]"]), @"key `options.width` must be a text, an integer, a finite number, a truth value or a list of one of them, found the list [1, 2.0] (--set options.width=[1, 2.0])");
    insta::assert_snapshot!(file_refusal("plugin = \"dcgan\"\noptions.day = 2024-01-01\n"), @"key `options.day` must be a text, an integer, a finite number, a truth value or a list of one of them, found the date 2024-01-01 (DIR/run.toml:2)");
    insta::assert_snapshot!(refusal(&["precision=bf16"]), @r#"key `precision` must be one of `float32`, `bfloat16`, `float16`, found the text "bf16" (--set precision=bf16)"#);
    insta::assert_snapshot!(refusal(&["augment.transforms=[\"cutuot\"]"]), @r#"key `augment.transforms` must be a list of some of `brightness`, `saturation`, `contrast`, `translation`, `cutout`, found the list ["cutuot"] (--set augment.transforms=["cutuot"]); did you mean `cutout`?"#);
    insta::assert_snapshot!(refusal(&["schedule={kind=\"multi-step\", milestones=[5, 3]}"]), @r#"key `schedule.milestones` must be a list of ascending integers above 0, found the list [5, 3] (--set schedule={kind="multi-step", milestones=[5, 3]})"#);
    let env = variables(&[("TANDEM_SEED", "")]);
    insta::assert_snapshot!(Sources::load(None, env, &[]).unwrap_err(), @r#"key `seed` must be an integer of at least 0, found the text "" (environment variable TANDEM_SEED)"#);
}

#[test]
fn a_plugin_default_out_of_range_is_the_plugins_fault_and_named_so() {
    let defaults = PluginDefaults { n_critic: Some(0), ..wgan() };
    insta::assert_snapshot!(said(&["plugin=wgan"]).unwrap().resolve(&defaults).unwrap_err(), @"key `n_critic` must be an integer from 1 to 1000, found 0 (wgan's defaults for two stages)");
}

#[test]
fn keys_that_do_not_go_together() {
    insta::assert_snapshot!(refusal(&["reuse_fakes=true"]), @r#"key `reuse_fakes` (--set reuse_fakes=true) is for two stages: one stage draws fakes once and has none to reuse; `stages = "one"` (built-in default)"#);
    insta::assert_snapshot!(refusal(&["stages=two", "strategy=scaled"]), @r#"key `strategy` (--set strategy=scaled) is for one stage: two stages need no strategy; `stages = "two"` (--set stages=two)"#);
    insta::assert_snapshot!(refusal(&["generator.optimizer=adam"]), @r#"key `generator.learning_rate` is set nowhere; `generator.optimizer = "adam"` (--set generator.optimizer=adam) replaces another optimizer, whose rate does not fit; set a rate with it"#);
    insta::assert_snapshot!(refusal(&["generator.betas=[0.5, 0.9]"]), @r#"key `generator.betas` (--set generator.betas=[0.5, 0.9]) is for adam; `generator.optimizer = "rmsprop"` (wgan's defaults for two stages)"#);
    insta::assert_snapshot!(refusal(&["generator={optimizer=\"sgd\", learning_rate=0.1, nesterov=true}"]), @r#"key `generator.nesterov` (--set generator={optimizer="sgd", learning_rate=0.1, nesterov=true}) needs a momentum above 0; `generator.momentum` is not set"#);
    insta::assert_snapshot!(refusal(&["schedule={kind=\"linear\", gamma=0.5}"]), @r#"key `schedule.gamma` (--set schedule={kind="linear", gamma=0.5}) is for multi-step; `schedule.kind = "linear"` (--set schedule={kind="linear", gamma=0.5})"#);
    insta::assert_snapshot!(refusal(&["schedule.kind=multi-step"]), @r#"key `schedule.milestones` is set nowhere; `schedule.kind = "multi-step"` (--set schedule.kind=multi-step) needs it"#);
    insta::assert_snapshot!(refusal(&["schedule={kind=\"cosine\", start=3000}"]), @r#"key `schedule.start` (--set schedule={kind="cosine", start=3000}) must come before the end; `steps = 3000` (built-in default)"#);
    insta::assert_snapshot!(refusal(&["critic_boost.first=3"]), @r#"key `critic_boost.first` (--set critic_boost.first=3) needs `critic_boost.n_critic`, which is not set"#);
    insta::assert_snapshot!(refusal(&["augment.target=0.6"]), @r#"key `augment.target` (--set augment.target=0.6) adapts how often images are transformed; `augment.transforms` is not set"#);
    insta::assert_snapshot!(refusal(&["data.split=test"]), @r#"key `data.split` (--set data.split=test) is for `mnist`, `cifar10`, `cifar100`, `celeba`; `data.kind = "digits"` (built-in default)"#);
    insta::assert_snapshot!(refusal(&["data.kind=folder"]), @r#"key `data.path` is set nowhere; `data.kind = "folder"` (--set data.kind=folder) needs it"#);
    insta::assert_snapshot!(refusal(&["data.kind=folder", "data.path=/a", "data.split=test"]), @r#"key `data.split` (--set data.split=test) is for `mnist`, `cifar10`, `cifar100`, `celeba`; `data.kind = "folder"` (--set data.kind=folder)"#);
    insta::assert_snapshot!(refusal(&["data.kind=mnist"]), @r#"key `data.path` is set nowhere; `data.kind = "mnist"` (--set data.kind=mnist) needs it, or `data.images`"#);
    insta::assert_snapshot!(refusal(&["data.kind=mnist", "data.path=/a", "data.images=/b"]), @r#"key `data.images` (--set data.images=/b) and `data.path = "/a"` (--set data.path=/a) both say where the images are"#);
    insta::assert_snapshot!(refusal(&["data.kind=mnist", "data.path=/a", "data.labels=/b"]), @"key `data.labels` (--set data.labels=/b) goes with `data.images`, not with `data.path`");
    insta::assert_snapshot!(refusal(&["data.kind=mnist", "data.images=/a", "data.split=test"]), @"key `data.split` (--set data.split=test) chooses in the folder `data.path`, which is not set");
    insta::assert_snapshot!(refusal(&["evaluate={every=10, samples=5, metrics=[\"fid\", \"is\"]}"]), @r#"key `evaluate.samples` (--set evaluate={every=10, samples=5, metrics=["fid", "is"]}) is 5; `is` needs at least 10; `evaluate.metrics = ["fid", "is"]` (--set evaluate={every=10, samples=5, metrics=["fid", "is"]})"#);
    insta::assert_snapshot!(refusal(&["evaluate={every=10, samples=3, metrics=[\"precision\"]}"]), @r#"key `evaluate.samples` (--set evaluate={every=10, samples=3, metrics=["precision"]}) is 3; `precision` needs at least 4; `evaluate.metrics = ["precision"]` (--set evaluate={every=10, samples=3, metrics=["precision"]})"#);
}

#[test]
fn no_plugin() {
    insta::assert_snapshot!(said(&[]).unwrap().plugin_choice().unwrap_err(), @r#"key `plugin` is set nowhere; name the plugin to train, for example `plugin = "dcgan"`"#);
}

#[test]
fn arguments_that_are_not_settings() {
    insta::assert_snapshot!(refusal(&["seed"]), @"`--set seed` is not understood: write it as `key=value`, for example `--set generator.learning_rate=1e-4`");
    insta::assert_snapshot!(refusal(&["=3"]), @r#"`--set =3` is not understood: "" is not a dotted key"#);
    insta::assert_snapshot!(refusal(&["generator..lr=3"]), @r#"`--set generator..lr=3` is not understood: "generator..lr" is not a dotted key"#);
    insta::assert_snapshot!(refusal(&["generator.betas=[0.5, 0.9"]), @"`--set generator.betas=[0.5, 0.9` is not understood: the value is not TOML: unclosed array, expected `]`");
}

#[test]
fn files_that_cannot_be_read() {
    insta::assert_snapshot!(file_refusal("plugin = \"dcgan\"\nseed = = 1\n"), @"DIR/run.toml is not valid TOML: line 2, column 8: extra `=`, expected nothing");
    insta::assert_snapshot!(file_refusal("seed = 1\nseed = 2\n"), @"DIR/run.toml is not valid TOML: line 2, column 1: duplicate key");
    insta::assert_snapshot!(file_refusal("extends = \"gone.toml\"\n"), @"cannot read the config file DIR/gone.toml, which `extends` names in DIR/run.toml:1: No such file or directory (os error 2)");
    insta::assert_snapshot!(file_refusal("extends = [\"a.toml\"]\n"), @r#"key `extends` must be the path of a config file, found the list ["a.toml"] (DIR/run.toml:1)"#);
    let gone = Sources::load(Some(Path::new("no/such.toml")), [], &[]).unwrap_err();
    insta::assert_snapshot!(gone, @"cannot read the config file no/such.toml: No such file or directory (os error 2)");
    let folder = Folder::new(&[]);
    std::fs::write(folder.path("x.toml"), b"plugin = \"\xff\"").unwrap();
    insta::assert_snapshot!(folder.tidy(&folder.load("x.toml", &[], &[]).unwrap_err().to_string()), @"cannot read the config file DIR/x.toml: not UTF-8 text: byte 10 begins no character");
}

#[test]
fn files_that_extend_each_other_in_a_circle() {
    let folder = Folder::new(&[
        ("start.toml", "extends = \"a.toml\""),
        ("a.toml", "extends = \"deep/b.toml\""),
        ("deep/b.toml", "extends = \"../a.toml\""),
        ("self.toml", "extends = \"./self.toml\""),
    ]);
    let refusal = |name| folder.tidy(&folder.load(name, &[], &[]).unwrap_err().to_string());
    insta::assert_snapshot!(refusal("start.toml"), @"these config files extend each other in a circle: DIR/a.toml -> DIR/deep/b.toml -> DIR/deep/../a.toml");
    insta::assert_snapshot!(refusal("self.toml"), @"these config files extend each other in a circle: DIR/self.toml -> DIR/./self.toml");
}
