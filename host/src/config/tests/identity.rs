//! A configuration survives being written and read; its hash and its differences see what matters and nothing else.

use proptest::{prelude::*, strategy::Strategy};

use super::*;

#[test]
fn the_hash_is_the_same_for_ever() {
    let config = resolved(&["plugin=dcgan", "options.loss=saturating", "options.width=64"]);
    assert_eq!(config.hash().unwrap(), "f0cbaa4cbae16fd52f20de2e2f059b891905b75b75b868a772c3f1c9a70eaeac");
}

#[test]
fn the_hash_sees_what_shapes_the_weights_and_nothing_else() {
    let plain = resolved(&["plugin=dcgan"]).hash().unwrap();
    for key in keys::all() {
        let Some(sets) = another_value(key.name) else { continue };
        let sets: Vec<&str> = ["plugin=dcgan"].iter().chain(sets).copied().collect();
        assert_eq!(resolved(&sets).hash().unwrap() != plain, key.identity, "{}", key.name);
    }
    assert_ne!(resolved(&["plugin=dcgan", "options.x=1"]).hash().unwrap(), plain);
}

#[test]
fn what_is_published_has_the_same_hash_and_no_folders() {
    let config = resolved(&[
        "plugin=/srv/secret/libx.so",
        "data={kind=\"folder\", path=\"/srv/secret/faces/\", cache=\"/srv/secret/cache\"}",
        "evaluate.extractor=/srv/secret/net.pt",
        "options.width=64",
    ]);
    let published = config.without_folders().unwrap();
    let text = published.to_toml().unwrap();
    assert!(!text.contains("secret") && text.contains("path = \"faces\"") && text.contains("width = 64"), "{text}");
    assert_eq!(published.hash().unwrap(), config.hash().unwrap());
    assert_eq!(published.without_folders().unwrap(), published);
    let named = resolved(&["plugin=dcgan", "evaluate.extractor=inception-2015-12-05"]);
    assert_eq!(named.without_folders().unwrap(), named);
}

/// Settings that give this key another value than its default, or `None` where the key needs others beside it.
fn another_value(key: &str) -> Option<&'static [&'static str]> {
    Some(match key {
        "plugin" => &["plugin=lsgan"],
        "stages" => &["stages=two"],
        "strategy" => &["strategy=pivoted"],
        "reuse_fakes" => return None,
        "seed" => &["seed=1"],
        "steps" => &["steps=1"],
        "batch_size" => &["batch_size=1"],
        "n_critic" => &["n_critic=2"],
        "n_generator" => &["n_generator=2"],
        "ema_decay" => &["ema_decay=0"],
        "precision" => &["precision=bfloat16"],
        "deterministic" => &["deterministic=true"],
        "cuda_graph" => &["cuda_graph=true"],
        "schedule.kind" | "schedule.factor" => &["schedule={kind=\"cosine\", factor=0.1}"],
        "schedule.start" | "schedule.end" => &["schedule={kind=\"linear\", start=5, end=9}"],
        "schedule.milestones" | "schedule.gamma" => &["schedule={kind=\"multi-step\", milestones=[5], gamma=0.5}"],
        _ if key.starts_with("critic_boost.") => &["critic_boost={n_critic=100, first=25, every=500}"],
        "augment.transforms" => &["augment.transforms=[\"cutout\"]"],
        "augment.target" => &["augment.transforms=[\"cutout\"]", "augment.target=0.6"],
        "device" => &["device=cpu"],
        "threads" => &["threads=1"],
        "log_every" => &["log_every=1"],
        "checkpoint_every" => &["checkpoint_every=1"],
        "keep_checkpoints" => &["keep_checkpoints=1"],
        "sample_every" => &["sample_every=1"],
        "sample_count" => &["sample_count=1"],
        "tensorboard" => &["tensorboard=true"],
        "evaluate.every" => &["evaluate.every=10"],
        "evaluate.samples" => &["evaluate.samples=100"],
        "evaluate.extractor" => &["evaluate.extractor=/x.pt"],
        "evaluate.metrics" => &["evaluate.metrics=[\"kid\"]"],
        "evaluate.keep_best" | "evaluate.patience" => &["evaluate={every=10, keep_best=\"fid\", patience=3}"],
        "trust.policy" => &["trust.policy=locked"],
        "trust.keys" => &["trust.keys=[\"RW\"]"],
        "trust.lock_file" => &["trust.lock_file=/x"],
        "data.image_size" => &["data.image_size=64"],
        "data.kind" | "data.path" => &["data.kind=mnist", "data.path=/x"],
        "data.split" => &["data.kind=mnist", "data.path=/x", "data.split=test"],
        "data.images" | "data.labels" => &["data.kind=mnist", "data.images=/x", "data.labels=/y"],
        "data.transposed" => &["data.kind=mnist", "data.path=/x", "data.transposed=true"],
        "data.attribute" => &["data.kind=celeba", "data.path=/x", "data.attribute=Male"],
        "data.crop" => &["data.kind=folder", "data.path=/x", "data.crop=resize-center"],
        "data.use_labels" => &["data.use_labels=false"],
        "data.channels" => &["data.channels=rgb"],
        "data.flip" => &["data.flip=true"],
        "data.max_bad" => &["data.max_bad=3"],
        "data.may_change" => &["data.may_change=true"],
        "data.use_cache" => &["data.use_cache=false"],
        "data.cache" => &["data.cache=/x"],
        "generator.learning_rate" => &["generator.learning_rate=1"],
        "generator.betas" => &["generator.betas=[0, 0.9]"],
        "discriminator.eps" => &["discriminator.eps=1e-9"],
        "discriminator.weight_decay" => &["discriminator.weight_decay=1"],
        "discriminator.optimizer" => &["discriminator.optimizer=sgd", "discriminator.learning_rate=2e-4"],
        _ if key.starts_with("generator.") || key.starts_with("discriminator.") => return None,
        _ => panic!("the test does not know `{key}`"),
    })
}

#[test]
fn a_path_counts_by_its_last_component() {
    let at = |path: &str| resolved(&["plugin=dcgan", "data.kind=mnist", &format!("data.path={path}")]);
    let (here, moved, other) = (at("/a/mnist"), at("/b/c/mnist/"), at("/a/fashion"));
    assert_eq!(here.hash().unwrap(), moved.hash().unwrap());
    assert_eq!(here.diff_for_resume(&moved).unwrap(), []);
    assert_ne!(here.hash().unwrap(), other.hash().unwrap());
    assert_eq!(here.diff_for_resume(&other).unwrap().len(), 1);
}

#[test]
fn differences_name_the_key_and_both_values() {
    let then = resolved(&["plugin=dcgan", "options.width=64", "generator.learning_rate=1"]);
    let now = resolved(&["plugin=dcgan", "options.norm=group", "steps=9", "threads=2"]);
    let text =
        |differences: Vec<Difference>| differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text(then.diff(&now).unwrap()), @r#"
    generator.learning_rate: 1.0 then, 0.0002 now
    options.norm: not set then, "group" now
    options.width: 64 then, not set now
    steps: 3000 then, 9 now
    threads: not set then, 2 now
    "#);
    insta::assert_snapshot!(text(then.diff_for_resume(&now).unwrap()), @r#"
    generator.learning_rate: 1.0 then, 0.0002 now
    options.norm: not set then, "group" now
    options.width: 64 then, not set now
    "#);
    assert_eq!(then.diff(&then).unwrap(), []);
}

fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![Just(2e-4), Just(1.0), 1e-300..1e300]
}

fn fraction() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..1.0]
}

fn optimizer() -> impl Strategy<Value = Optimizer> {
    prop_oneof![
        (rate(), fraction(), fraction(), rate(), fraction()).prop_map(|(learning_rate, a, b, eps, weight_decay)| {
            Optimizer::Adam { learning_rate, betas: [a, b], eps, weight_decay }
        }),
        (rate(), fraction(), rate(), rate()).prop_map(|(learning_rate, alpha, eps, weight_decay)| {
            Optimizer::RmsProp { learning_rate, alpha, eps, weight_decay }
        }),
        (rate(), 1e-9..1.0, any::<bool>(), rate()).prop_map(|(learning_rate, momentum, nesterov, weight_decay)| {
            Optimizer::Sgd { learning_rate, momentum, nesterov, weight_decay }
        }),
    ]
}

fn option_value() -> impl Strategy<Value = toml::Value> {
    let number = || any::<f64>().prop_filter("finite", |x| x.is_finite());
    prop_oneof![
        any::<String>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<bool>().prop_map(Into::into),
        number().prop_map(Into::into),
        prop::collection::vec(any::<i64>(), 1..4).prop_map(Into::into),
        prop::collection::vec(number(), 1..4).prop_map(Into::into),
        prop::collection::vec(any::<String>(), 1..4).prop_map(Into::into),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    let file = || "/[^\0\n/.]{1,12}".prop_map(PathBuf::from);
    let split = prop::option::of(prop_oneof![Just(Split::Train), Just(Split::Test)]);
    let none = |kind, image_size| Data::new(kind, image_size);
    prop_oneof![
        (8_usize..1024).prop_map(move |size| none(DataKind::Digits, size)),
        (8_usize..1024, file()).prop_map(move |(size, path)| Data { path: Some(path), ..none(DataKind::Folder, size) }),
        (8_usize..1024, file(), split).prop_map(move |(size, path, split)| Data {
            path: Some(path),
            split,
            ..none(DataKind::Mnist, size)
        }),
        (8_usize..1024, file(), prop::option::of(file())).prop_map(move |(size, images, labels)| Data {
            images: Some(images),
            labels,
            ..none(DataKind::Mnist, size)
        }),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let span =
        || (0_i64..99, 100_i64..999, 0.0..1.0).prop_map(|(start, end, factor)| Span { start, end: Some(end), factor });
    prop_oneof![
        Just(Schedule::Constant),
        (1_i64..9, 10_i64..99, 0.0..1.0)
            .prop_map(|(a, b, gamma)| Schedule::MultiStep { milestones: vec![a, b], gamma }),
        span().prop_map(Schedule::Linear),
        span().prop_map(Schedule::Cosine),
    ]
}

fn augment() -> impl Strategy<Value = Augment> {
    let names = prop::sample::subsequence(crate::config::keys::TRANSFORMS.to_vec(), 1..=3);
    let names = names.prop_map(|names| Some(names.into_iter().map(str::to_owned).collect()));
    prop_oneof![
        Just(Augment::default()),
        (names, prop::option::of(-0.99..0.99)).prop_map(|(transforms, target)| Augment { transforms, target })
    ]
}

prop_compose! {
    fn config()(
        plugin in prop_oneof!["[a-z][a-z0-9_-]{0,9}", "/[a-z]{1,9}\\.so"],
        (stages, strategy, reuse_fakes) in prop_oneof![
            (
                Just(Stages::One),
                prop_oneof![Just(super::Strategy::Auto), Just(super::Strategy::TwoSeed), Just(super::Strategy::Pivoted)],
                Just(false),
            ),
            (Just(Stages::Two), Just(super::Strategy::Auto), any::<bool>()),
        ],
        (seed, steps, batch_size) in (0..=i64::MAX as u64, 1..=i64::MAX as u64, 1_usize..=65_536),
        (n_critic, n_generator, ema_decay) in (1_u32..=1000, 1_u32..=1000, fraction()),
        precision in prop_oneof![Just(Precision::Float32), Just(Precision::BFloat16), Just(Precision::Float16)],
        (deterministic, cuda_graph) in any::<(bool, bool)>(),
        augment in augment(),
        schedule in schedule(),
        critic_boost in prop::option::of(
            (1_i64..10_000, 0_i64..99, 0_i64..999).prop_map(|(n_critic, first, every)| CriticBoost { n_critic, first, every })
        ),
        device in prop_oneof![Just(Device::Auto), Just(Device::Cpu), (0_usize..99).prop_map(Device::Cuda)],
        threads in prop::option::of(1_usize..=1024),
        (log_every, checkpoint_every, keep_checkpoints, sample_every, sample_count, tensorboard) in
            (1_u64..1_000_000, 1_u64..1_000_000, 0_usize..100, 0_u64..1_000_000, 1_usize..=1024, any::<bool>()),
        options in prop::collection::btree_map("[A-Za-z0-9_-]{1,8}", option_value(), 0..5),
        generator in optimizer(),
        discriminator in optimizer(),
        data in data(),
    ) -> Config {
        Config {
            trust: crate::config::Trust { policy: crate::config::Policy::Locked, keys: vec!["RW".into()], lock_file: None },
            evaluate: Evaluate::default(),
            plugin, stages, strategy, reuse_fakes, seed, steps, batch_size, n_critic, n_generator, ema_decay, precision,
            deterministic, cuda_graph, device, threads, log_every, checkpoint_every, keep_checkpoints, sample_every, sample_count, tensorboard,
            options: options.into_iter().collect(), generator, discriminator, data, schedule, critic_boost, augment,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_config_that_is_written_reads_back_the_same(config in config()) {
        let folder = Folder::new(&[("config.toml", &config.to_toml().unwrap())]);
        let back = Config::read(&folder.path("config.toml")).unwrap();
        prop_assert_eq!(&back, &config);
        prop_assert_eq!(back.hash().unwrap(), config.hash().unwrap());
        prop_assert_eq!(config.diff(&back).unwrap(), vec![]);
    }
}
