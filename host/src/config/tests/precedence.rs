//! Nearer wins, tables merge, and a choice that gives other keys their meaning takes the old ones with it.

use super::*;

#[test]
fn every_source_beats_the_ones_before_it_and_says_so() {
    let folder = Folder::new(&[
        ("base.toml", "steps = 100\nbatch_size = 8\nlog_every = 7\n\n[options]\nwidth = 16\n"),
        (
            "deep/mid.toml",
            "extends = \"../base.toml\"\nbatch_size = 16\nlog_every = 8\n[generator]\nlearning_rate = 1e-4\n",
        ),
        (
            "deep/wgan-two.toml",
            "extends = \"mid.toml\"\nplugin = \"wgan\"\nstages = \"two\"\nlog_every = 9\nseed = 1\ndata.image_size = 64\n",
        ),
    ]);
    let env = [("TANDEM_SEED", "2"), ("TANDEM_GENERATOR__WEIGHT_DECAY", "0.5"), ("TANDEM_LOG", "debug"), ("HOME", "/")];
    let sources = folder.load("deep/wgan-two.toml", &env, &["seed=3", "device=cuda:1", "seed=4"]).unwrap();
    let resolved = sources.resolve(&wgan()).unwrap();
    insta::assert_snapshot!(folder.tidy(&resolved.explain().unwrap()), @r#"
    batch_size = 16                      # DIR/deep/mid.toml:2
    checkpoint_every = 500               # built-in default
    data.image_size = 64                 # DIR/deep/wgan-two.toml:6
    data.kind = "digits"                 # built-in default
    device = "cuda:1"                    # --set device=cuda:1
    discriminator.alpha = 0.99           # wgan's defaults for two stages
    discriminator.eps = 1e-8             # wgan's defaults for two stages
    discriminator.learning_rate = 5e-5   # wgan's defaults for two stages
    discriminator.optimizer = "rmsprop"  # wgan's defaults for two stages
    discriminator.weight_decay = 0.0     # wgan's defaults for two stages
    ema_decay = 0.999                    # built-in default
    generator.alpha = 0.99               # wgan's defaults for two stages
    generator.eps = 1e-8                 # wgan's defaults for two stages
    generator.learning_rate = 0.0001     # DIR/deep/mid.toml:5
    generator.optimizer = "rmsprop"      # wgan's defaults for two stages
    generator.weight_decay = 0.5         # environment variable TANDEM_GENERATOR__WEIGHT_DECAY
    keep_checkpoints = 3                 # built-in default
    log_every = 9                        # DIR/deep/wgan-two.toml:4
    n_critic = 5                         # wgan's defaults for two stages
    n_generator = 1                      # built-in default
    options.norm = "none"                # wgan's defaults for two stages
    options.width = 16                   # DIR/deep/../base.toml:6
    plugin = "wgan"                      # DIR/deep/wgan-two.toml:2
    reuse_fakes = false                  # built-in default
    sample_count = 64                    # built-in default
    sample_every = 250                   # built-in default
    seed = 4                             # --set seed=4
    stages = "two"                       # DIR/deep/wgan-two.toml:3
    steps = 100                          # DIR/deep/../base.toml:1
    strategy = "auto"                    # built-in default
    "#);
}

#[test]
fn the_resolved_file_says_everything() {
    let sources = said(&["plugin=wgan", "stages=two", "options.norm=group"]).unwrap();
    let config = sources.resolve(&wgan()).unwrap().config;
    insta::assert_snapshot!(config.to_toml().unwrap(), @r#"
    plugin = "wgan"
    stages = "two"
    strategy = "auto"
    reuse_fakes = false
    seed = 0
    steps = 3000
    batch_size = 64
    n_critic = 5
    n_generator = 1
    ema_decay = 0.999
    device = "auto"
    log_every = 50
    checkpoint_every = 500
    keep_checkpoints = 3
    sample_every = 250
    sample_count = 64

    [options]
    norm = "group"
    width = 64

    [generator]
    optimizer = "rmsprop"
    learning_rate = 0.00005
    alpha = 0.99
    eps = 0.00000001
    weight_decay = 0.0

    [discriminator]
    optimizer = "rmsprop"
    learning_rate = 0.00005
    alpha = 0.99
    eps = 0.00000001
    weight_decay = 0.0

    [data]
    kind = "digits"
    image_size = 32
    "#);
}

#[test]
fn what_the_plugin_needs_is_known_before_its_defaults() {
    let sources = said(&["plugin=dcgan", "options.loss=saturating", "options.width=32", "data.image_size=64"]).unwrap();
    let choice = sources.plugin_choice().unwrap();
    assert_eq!(choice.plugin, "dcgan");
    assert_eq!(choice.stages, Stages::One);
    assert_eq!(choice.options["loss"].as_str(), Some("saturating"));
    assert_eq!(choice.options["width"].as_integer(), Some(32));
    assert_eq!((choice.data.kind, choice.data.image_size), (DataKind::Digits, 64));
    assert_eq!(sources.origin("options.loss").unwrap().to_string(), "--set options.loss=saturating");
    assert_eq!(sources.origin("options.norm"), None);
}

#[test]
fn another_optimizer_takes_nothing_from_the_one_it_replaces() {
    let sources = said(&["plugin=wgan", "generator.optimizer=adam", "generator.learning_rate=1e-3"]).unwrap();
    let config = sources.resolve(&wgan()).unwrap().config;
    assert_eq!(config.generator, Optimizer::adam(1e-3, [0.5, 0.999]));
    assert_eq!(config.discriminator, Optimizer::rmsprop(5e-5));
}

#[test]
fn saying_the_same_optimizer_again_keeps_its_settings() {
    let defaults = PluginDefaults { generator: Some(Optimizer::adam(1e-4, [0.0, 0.9])), ..PluginDefaults::default() };
    let sources = said(&["plugin=sngan", "generator.optimizer=adam", "generator.eps=1e-6"]).unwrap();
    let Optimizer::Adam { learning_rate, betas, eps, .. } = sources.resolve(&defaults).unwrap().config.generator else {
        panic!("not Adam")
    };
    assert_eq!((learning_rate, betas, eps), (1e-4, [0.0, 0.9], 1e-6));
}

#[test]
fn another_data_kind_takes_the_files_with_it_but_not_the_size() {
    let folder = Folder::new(&[(
        "a.toml",
        "plugin = \"dcgan\"\n[data]\nkind = \"mnist\"\npath = \"mnist\"\nsplit = \"test\"\nimage_size = 64\n",
    )]);
    let read = |sets: &[&str]| {
        folder.load("a.toml", &[], sets).unwrap().resolve(&PluginDefaults::default()).unwrap().config.data
    };
    let data = read(&[]);
    assert_eq!((data.path, data.split), (Some(folder.path("mnist")), Some(Split::Test)));
    let data = read(&["data.kind=digits"]);
    assert_eq!((data.path, data.split, data.image_size), (None, None, 64));
}

#[test]
fn paths_are_relative_to_the_file_that_says_them_or_to_the_current_directory() {
    let folder = Folder::new(&[
        ("a.toml", "extends = \"deep/b.toml\"\nplugin = \"./libmine.so\"\n"),
        ("deep/b.toml", "plugin = \"dcgan\"\n[data]\nkind = \"mnist\"\nimages = \"x.gz\"\n"),
    ]);
    let config = folder.load("a.toml", &[], &[]).unwrap().resolve(&PluginDefaults::default()).unwrap().config;
    assert_eq!(Path::new(&config.plugin), folder.path("libmine.so"));
    assert_eq!(config.data.images, Some(folder.path("deep/x.gz")));
    let here = std::env::current_dir().unwrap();
    let sets = ["plugin=dcgan", "data.kind=mnist", "data.path=digits"];
    assert_eq!(resolved(&sets).data.path, Some(here.join("digits")));
}

#[test]
fn values_of_set_and_environment_are_toml_and_bare_words_are_texts() {
    let sets = [
        "plugin = dcgan",
        "generator.betas=[0.0, 0.9]",
        "options.a=1",
        "options.b=1.5",
        "options.c=true",
        "options.d=\"1\"",
        "options.e=2024-01-01",
        "options.f=group norm = x",
        "options.g=['x', 'y']",
        "discriminator={optimizer=\"sgd\", learning_rate=1}",
    ];
    let config = resolved(&sets);
    let expected = toml::toml! {
        a = 1
        b = 1.5
        c = true
        d = "1"
        e = "2024-01-01"
        f = "group norm = x"
        g = ["x", "y"]
    };
    assert_eq!(config.options, expected);
    assert_eq!(config.generator, Optimizer::adam(2e-4, [0.0, 0.9]));
    assert_eq!(config.discriminator, Optimizer::sgd(1.0, 0.0));
    let env = variables(&[("TANDEM_PLUGIN", "lsgan"), ("TANDEM_OPTIONS__NORM", "batch"), ("TANDEM_STEPS", "12")]);
    let config = Sources::load(None, env, &[]).unwrap().resolve(&PluginDefaults::default()).unwrap().config;
    assert_eq!((config.plugin.as_str(), config.options["norm"].as_str(), config.steps), ("lsgan", Some("batch"), 12));
}

#[test]
fn variables_of_others_are_passed_over() {
    let foreign = [
        ("TANDEM_HOME", "/x"),
        ("TANDEM_DATA", "/x"),
        ("TANDEM_SEED__X", "1"),
        ("TANDEM_OPTIONS", "[1]"),
        ("TANDEM_", ""),
    ];
    let env = variables(&[&foreign[..], &[("TANDEM_PLUGIN", "lsgan")]].concat());
    let config = Sources::load(None, env.clone(), &[]).unwrap().resolve(&PluginDefaults::default()).unwrap().config;
    assert_eq!(config.plugin, "lsgan");
    assert_eq!(as_arguments(env).unwrap(), ["plugin=lsgan"]);
}

#[test]
fn variables_mean_the_same_as_arguments() {
    let env = variables(&[
        ("TANDEM_PLUGIN", "x"),
        ("TANDEM_STAGES", "\"two\""),
        ("TANDEM_GENERATOR__LEARNING_RATE", "0.1"),
        ("TANDEM_GENERATOR__OPTIMIZER", "sgd"),
        ("TANDEM_SCHEDULE__END", "70"),
        ("TANDEM_SCHEDULE__KIND", "cosine"),
        ("TANDEM_DATA__PATH", "some pictures"),
        ("TANDEM_DATA__KIND", "folder"),
        ("TANDEM_EVALUATE__METRICS", "[\"kid\", \"fid\"]"),
        ("TANDEM_OPTIONS__A", "'7'"),
        ("TANDEM_OPTIONS__B", " 7.0 "),
        ("TANDEM_OPTIONS__C", "\"it's\" so"),
        ("TANDEM_OPTIONS__D", "true"),
        ("TANDEM_OPTIONS__E", "' a'"),
    ]);
    let arguments = as_arguments(env.clone()).unwrap();
    assert!(arguments.contains(&"generator.optimizer=sgd".to_owned()), "{arguments:?}");
    let resolved = |sources: Sources| sources.resolve(&PluginDefaults::default()).unwrap().config;
    let by_variables = resolved(Sources::load(None, env, &[]).unwrap());
    assert_eq!(resolved(Sources::load(None, [], &arguments).unwrap()), by_variables);
    assert_eq!(by_variables.options["e"].as_str(), Some(" a"));
}

#[test]
fn devices() {
    for (text, device) in
        [("auto", Device::Auto), ("cpu", Device::Cpu), ("cuda", Device::Cuda(0)), ("cuda:3", Device::Cuda(3))]
    {
        assert_eq!(text.parse(), Ok(device));
        assert_eq!(device.to_string().parse(), Ok(device));
    }
    for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "CPU"] {
        assert!(text.parse::<Device>().is_err(), "{text}");
    }
}

#[test]
fn a_nearer_schedule_voids_a_farther_one_and_ends_with_the_run_it_is_resolved_for() {
    let cosine = Schedule::Cosine(Span { start: 10, end: None, factor: 0.5 });
    let defaults = PluginDefaults { schedule: cosine, ..PluginDefaults::default() };
    let under = |sets: &[&str]| said(sets).unwrap().resolve(&defaults).unwrap().config.schedule;
    assert_eq!(under(&["plugin=x", "steps=500"]), Schedule::Cosine(Span { start: 10, end: Some(500), factor: 0.5 }));
    assert_eq!(
        under(&["plugin=x", "steps=500", "schedule.kind=linear"]),
        Schedule::Linear(Span { start: 0, end: Some(500), factor: 0.0 })
    );
    assert_eq!(under(&["plugin=x", "schedule.kind=constant"]), Schedule::Constant);
    assert_eq!(
        under(&["plugin=x", "schedule={kind=\"multi-step\", milestones=[5, 9]}"]),
        Schedule::MultiStep { milestones: vec![5, 9], gamma: 0.1 }
    );
}
