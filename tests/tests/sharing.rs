//! Plugins between teams: looked at without being run, pinned, signed, packed, installed; and new ones made.
#![expect(clippy::unwrap_used, reason = "a panic is the report")]

use std::{fs, path::Path, process::Command};

use predicates::{prelude::*, str::contains};
use tandem_tests::{
    binary,
    place::{KEY, OTHER_KEY, Place, TARGET, built, flipped, replaced},
    root,
};

#[test]
fn a_file_is_shown_without_being_run() {
    let place = Place::new();
    // Whoever asks this one gets a panic.
    let file = built("examples/libbroken_start.so");
    let file = file.to_str().unwrap();
    place.tandem(&["plugin", "inspect", file]).assert().success().stdout(contains("Nothing of it was run"));
    place.tandem(&["plugin", "inspect", file, "--run"]).assert().code(2).stderr(contains("its entry panicked"));
    let ours = built("libtandem_lsgan.so");
    place
        .tandem(&["plugin", "inspect", ours.to_str().unwrap()])
        .assert()
        .success()
        .stdout(contains("licence: Apache-2.0 OR MIT").and(contains("rustc: 1.")).and(contains("target: ")));
    place.tandem(&["plugin", "inspect", "lsgan"]).assert().success().stdout(contains("L_D = "));
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_plugin_of_an_older_api_declares_and_trains() {
    let place = Place::new();
    let file = place.kept();
    place.tandem(&["plugin", "verify", &file]).assert().success().stdout(contains("lsgan 0.1.0, api 1.0.0, opset 1"));
    let train = place.config(&file, "steps = 2\nsample_every = 0");
    let train: Vec<&str> = train.iter().map(String::as_str).collect();
    place.tandem(&train).assert().success();
    place.tandem(&["plugin", "check", &file, "--set", "width=8"]).assert().success().stdout(contains("lsgan: exact"));
}

#[test]
fn a_pinned_plugin_is_the_pinned_one_or_none() {
    let place = Place::new();
    let file = place.write("gan.so", fs::read(built("libtandem_lsgan.so")).unwrap());
    let name = file.to_str().unwrap();
    let locked = "[trust]\npolicy = \"locked\"";
    place.dry_run(name, locked).code(2).stderr(
        contains("trust.policy = \"locked\": plugin `lsgan`")
            .and(contains("there is none beside the config or above it")),
    );
    place.config(name, "");
    place.tandem(&["plugin", "lock", "run.toml"]).assert().success().stdout(contains("lsgan 0.1.0 pinned, sha256"));
    place.dry_run(name, locked).success();
    place.dry_run(name, "").success();
    // One bit, in no part that anything would notice.
    let length = fs::metadata(&file).unwrap().len() as usize;
    flipped(&file, length - 1);
    let changed =
        || contains("is not the one that `").and(contains("tandem.lock` pins")).and(contains("nothing of it was run"));
    place.dry_run(name, locked).code(2).stderr(changed());
    place.dry_run(name, "").code(2).stderr(changed());
    place.tandem(&["plugin", "lock", "run.toml"]).assert().success().stdout(contains("pinned in place of lsgan 0.1.0"));
    place.write("tandem.lock", "format = 2\n");
    place.dry_run(name, "").code(2).stderr(contains("its format is 2, this tandem knows 1"));
}

/// The file does not say by what it is found in the lock: the config and the host do.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_file_that_calls_itself_something_else_is_still_not_the_pinned_one() {
    let place = Place::new();
    let good = fs::read(built("libtandem_lsgan.so")).unwrap();
    let file = place.write("plugins/gan.so", &good);
    let name = file.to_str().unwrap();
    place.config("plugins/gan.so", "");
    place.tandem(&["plugin", "lock", "run.toml"]).assert().success();
    let lock = fs::read_to_string(place.path("tandem.lock")).unwrap();
    assert!(lock.contains("asked = \"plugins/gan.so\"\nname = \"lsgan\""), "{lock}");
    place.dry_run("plugins/gan.so", "").success();
    let renamed = replaced(&good, "\"name\":\"lsgan\"", "\"name\":\"lsgam\"");
    let other = TARGET.replace("gnu", "xxx");
    let targeted = replaced(&good, &format!("\"target\":\"{TARGET}\""), &format!("\"target\":\"{other}\""));
    for policy in ["", "[trust]\npolicy = \"locked\""] {
        fs::write(&file, &renamed).unwrap();
        place.dry_run(name, policy).code(2).stderr(
            contains("pinned for `plugin = \"plugins/gan.so\"` is lsgan 0.1.0")
                .and(contains("found lsgam 0.1.0"))
                .and(contains("nothing of it was run")),
        );
        fs::write(&file, &targeted).unwrap();
        place.dry_run(name, policy).code(2).stderr(contains(format!("is built for {other}, this tandem for {TARGET}")));
    }
    // Another plugin that the config does not ask for by that spelling is not pinned, and `any` takes it.
    let stranger = place.write("stranger.so", &renamed);
    place.dry_run(stranger.to_str().unwrap(), "").success();
    place
        .dry_run(stranger.to_str().unwrap(), "[trust]\npolicy = \"locked\"")
        .code(2)
        .stderr(contains("is not pinned for"));
    // A lock file that was made before it kept what was asked pins the name.
    let old: Vec<&str> = lock.lines().filter(|line| !line.starts_with("asked")).collect();
    place.write("tandem.lock", old.join("\n"));
    fs::write(&file, &good).unwrap();
    place.dry_run(name, "[trust]\npolicy = \"locked\"").success();
    flipped(&file, good.len() - 1);
    place.dry_run(name, "").code(2).stderr(contains("is not the one that"));
    place.tandem(&["plugin", "lock", "run.toml"]).assert().success().stdout(contains("pinned in place of lsgan 0.1.0"));
    assert_eq!(fs::read_to_string(place.path("tandem.lock")).unwrap().matches("[[plugin]]").count(), 1);
    // A lock file that no config is under would protect nothing.
    place.tandem(&["plugin", "lock", "run.toml", "--lockfile", "other.lock"]).assert().code(2);
}

#[test]
fn a_config_behind_a_link_is_under_the_lock_of_its_real_place() {
    let place = Place::new();
    let file = place.write("real/gan.so", fs::read(built("libtandem_lsgan.so")).unwrap());
    place.config(file.to_str().unwrap(), "");
    fs::rename(place.path("run.toml"), place.path("real/run.toml")).unwrap();
    place.tandem(&["plugin", "lock", "real/run.toml"]).assert().success();
    std::os::unix::fs::symlink("real/run.toml", place.path("run.toml")).unwrap();
    let train = ["train", "run.toml", "--out", "run", "--dry-run"];
    place.tandem(&train).assert().success();
    flipped(&file, fs::metadata(&file).unwrap().len() as usize - 1);
    place.tandem(&train).assert().code(2).stderr(contains("real/tandem.lock` pins"));
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_wrong_signature_fails_whatever_key_is_named() {
    let place = Place::new();
    let file = place.kept();
    let verify = |more: &[&str]| place.tandem(&[&["plugin", "verify", "./lsgan.so"][..], more].concat()).assert();
    verify(&[]).success().stdout(contains("signed, not checked: name the signer with --key"));
    verify(&["--key", OTHER_KEY]).code(1).stdout(contains("wrong: the file is signed by a key that is not trusted"));
    fs::write(place.path("lsgan.so.minisig"), "garbage").unwrap();
    for keys in [&[][..], &["--key", KEY]] {
        verify(keys).code(1).stdout(contains("wrong: the file has a malformed signature"));
    }
    place.tandem(&["plugin", "install", &file]).assert().code(2).stderr(contains("has a malformed signature"));
    fs::remove_file(place.path("lsgan.so.minisig")).unwrap();
    verify(&[]).success().stdout(contains("none; the file is not signed"));
    verify(&["--key", KEY]).code(1);
    verify(&["--key", "nonsense"]).code(2).stderr(contains("--key: \"nonsense\" is no minisign public key"));
    // A folder here is not what a bare name means, as anywhere else.
    fs::create_dir(place.path("lsgan")).unwrap();
    place.tandem(&["plugin", "verify", "lsgan"]).assert().success().stdout(contains("lsgan 0.1.0, api 1.1"));
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn installing_again_keeps_the_signature_and_a_name_that_is_taken_is_said() {
    let place = Place::new();
    let file = place.kept();
    let installed = |name: &str| place.path("home/tandem/plugins").join(name);
    // A plugin of this name comes with this tandem.
    place
        .tandem(&["plugin", "install", &file])
        .assert()
        .success()
        .stdout(contains("lsgan 0.1.0: installed, ").and(contains("the name lsgan stands for `")));
    fs::remove_file(place.path("lsgan.so.minisig")).unwrap();
    place.tandem(&["plugin", "install", &file]).assert().success().stdout(contains("lsgan 0.1.0: already installed, "));
    place
        .tandem(&["plugin", "verify", installed("lsgan.so").to_str().unwrap(), "--key", KEY])
        .assert()
        .success()
        .stdout(contains("signature: good"));
    // Another file takes the signature of the one that it replaces away.
    flipped(Path::new(&file), fs::metadata(&file).unwrap().len() as usize - 1);
    place.tandem(&["plugin", "install", &file, "--replace"]).assert().success().stdout(contains("in place of 0.1.0"));
    assert!(!installed("lsgan.so.minisig").exists());
}

#[test]
fn a_folder_is_installed_whole_or_not_at_all() {
    let place = Place::new();
    let plugin = fs::read(built("examples/libwell_behaved.so")).unwrap();
    place.write("all/a.so", &plugin);
    place.write("all/b.so", &plugin[..3000]);
    let none = || fs::read_dir(place.path("home/tandem/plugins")).map_or(0, Iterator::count) == 0;
    place.tandem(&["plugin", "install", "all"]).assert().code(2).stderr(contains("b.so` is cut short"));
    assert!(none());
    place.write("all/b.so", &plugin);
    place.tandem(&["plugin", "install", "all"]).assert().code(2).stderr(contains("are both plugin `well-behaved`"));
    assert!(none());
    place.write("all/b.so", fs::read(built("libtandem_lsgan.so")).unwrap());
    place
        .tandem(&["plugin", "install", "all"])
        .assert()
        .success()
        .stdout(contains("well-behaved").and(contains("lsgan")).and(contains("stands for").not()));
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_signed_plugin_is_as_it_was_signed() {
    let place = Place::new();
    let file = place.kept();
    let trusting = |keys: &[&str]| format!("[trust]\npolicy = \"signed\"\nkeys = {keys:?}");
    place.dry_run(&file, &trusting(&[OTHER_KEY, KEY])).success();
    place.dry_run(&file, &trusting(&[])).code(2).stderr(contains("needs a key in trust.keys"));
    place.dry_run(&file, &trusting(&["RWx"])).code(2).stderr(contains("\"RWx\" is no minisign public key"));
    place.dry_run(&file, &trusting(&[OTHER_KEY])).code(2).stderr(contains("is signed by a key that is not trusted"));
    place
        .tandem(&["plugin", "verify", &file, "--key", KEY])
        .assert()
        .success()
        .stdout(contains("signature: good, by RW"));
    place.tandem(&["plugin", "verify", &file, "--key", OTHER_KEY]).assert().code(1);
    let length = fs::metadata(&file).unwrap().len() as usize;
    flipped(Path::new(&file), length - 1);
    let forged = contains("is not what was signed with").and(contains("nothing of it was run"));
    place.dry_run(&file, &trusting(&[KEY])).code(2).stderr(forged);
    fs::remove_file(place.path("lsgan.so.minisig")).unwrap();
    place.dry_run(&file, &trusting(&[KEY])).code(2).stderr(contains("is not signed: there is no `"));
}

/// The library as one for another machine: the ELF header's and the manifest's word for it.
fn for_mips(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes[18..20].copy_from_slice(&8_u16.to_le_bytes());
    let target = |target: &str| format!("\"target\":\"{target}\"");
    replaced(&bytes, &target(TARGET), &target(&TARGET.replace("x86_64", "mips64")))
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_packed_plugin_is_installed_listed_and_removed() {
    let place = Place::new();
    let library = place.write("gan.so", fs::read(built("examples/libwell_behaved.so")).unwrap());
    let foreign = place.write("mips.so", for_mips(&library));
    let pack = ["plugin", "pack", "gan.so", "mips.so", "--from", "crate"];
    place.write("crate/README.md", "# Well-behaved\n");
    place.tandem(&pack).assert().code(2).stderr(
        contains("has no licence file")
            .and(contains("save the text of Apache-2.0 OR MIT, which the plugin says, as `crate/LICENSE`")),
    );
    place.write("crate/LICENSE", "MIT\n");
    let archive = place.text("well-behaved-1.1.0.tar.gz");
    place.tandem(&pack).assert().success().stdout("./well-behaved-1.1.0.tar.gz\n");
    let first = fs::read(&archive).unwrap();
    place.tandem(&pack).assert().success();
    assert_eq!(fs::read(&archive).unwrap(), first, "the same input is the same archive");
    place
        .tandem(&["plugin", "pack", "gan.so", "gan.so", "--from", "crate"])
        .assert()
        .code(2)
        .stderr(contains("two libraries are for"));
    // Anybody can look inside and check the sums.
    assert!(Command::new("tar").args(["xzf", &archive, "-C"]).arg(place.path("")).status().unwrap().success());
    let unpacked = place.path("well-behaved-1.1.0");
    assert!(
        Command::new("sha256sum")
            .args(["--check", "--quiet", "SHA256SUMS"])
            .current_dir(&unpacked)
            .status()
            .unwrap()
            .success()
    );
    assert!(unpacked.join(TARGET).join("well-behaved.so").exists());

    place.tandem(&["plugin", "verify", &archive]).assert().success().stdout(contains(TARGET).and(contains("mips64")));
    // An archive is known by what is in it, and looking into it runs nothing: who asks a library for mips64 gets no answer.
    fs::copy(&archive, place.path("renamed")).unwrap();
    for name in ["well-behaved-1.1.0.tar.gz", "./renamed"] {
        place.tandem(&["plugin", "inspect", name]).assert().success().stdout(
            contains("well-behaved 1.1.0: A small GAN for tests")
                .and(contains(format!("library for {TARGET}\n  sha256: ")))
                .and(contains("library for mips64"))
                .and(contains("Nothing of it was run")),
        );
        place.tandem(&["plugin", "inspect", name, "--json"]).assert().success().stdout(contains("\"libraries\": ["));
        place.tandem(&["plugin", "inspect", name, "--run"]).assert().code(2).stderr(contains("nothing in it is run"));
        place.tandem(&["plugin", "verify", name]).assert().success();
        place.tandem(&["plugin", "check", name]).assert().code(2).stderr(contains("is packed, not a shared library"));
    }
    place
        .tandem(&["plugin", "install", "./renamed"])
        .assert()
        .success()
        .stdout(contains("well-behaved 1.1.0: installed, "));
    place.tandem(&["plugin", "list"]).assert().success().stdout(contains("well-behaved"));
    // Whose it is nobody knows, so its name alone runs nothing of it.
    place.tandem(&["plugin", "inspect", "well-behaved"]).assert().success().stdout(contains("Nothing of it was run"));
    place.tandem(&["plugin", "inspect", "well-behaved", "--run"]).assert().success().stdout(contains("L_D = "));
    place.tandem(&["plugin", "install", "gan.so"]).assert().success();
    flipped(&library, fs::metadata(&library).unwrap().len() as usize - 1);
    place
        .tandem(&["plugin", "install", "gan.so"])
        .assert()
        .code(2)
        .stderr(contains("with other bytes").and(contains("--replace")));
    place
        .tandem(&["plugin", "install", "gan.so", "--replace"])
        .assert()
        .success()
        .stdout(contains("in place of 1.1.0"));
    place
        .tandem(&["plugin", "install", foreign.to_str().unwrap()])
        .assert()
        .code(2)
        .stderr(contains("is built for ELF machine 8"));
    place.tandem(&["plugin", "install", "crate"]).assert().code(2).stderr(contains("holds no plugin"));
    place.tandem(&["plugin", "remove", "well-behaved"]).assert().success();
    place.tandem(&["plugin", "remove", "well-behaved"]).assert().code(2).stderr(contains("there is none"));
    place.tandem(&["plugin", "remove", "../../gan"]).assert().code(2);
    assert!(library.exists());

    for at in [20, first.len() / 2, first.len() - 6] {
        fs::write(&archive, &first).unwrap();
        flipped(Path::new(&archive), at);
        place.tandem(&["plugin", "install", &archive]).assert().code(2).stderr(contains("well-behaved-1.1.0.tar.gz` "));
    }
    assert_eq!(fs::read_dir(place.path("home/tandem/plugins")).unwrap().count(), 0);
}

/// The three commands that `plugin new` names, and the crate's own tests.
#[test]
fn a_new_plugin_builds_proves_and_trains() {
    let place = Place::new();
    place.tandem(&["plugin", "new", "Mine"]).assert().code(2).stderr(contains("must be of small letters"));
    place.tandem(&["plugin", "new", "my-gan"]).assert().success().stdout(contains("cargo build --release"));
    place.tandem(&["plugin", "new", "my-gan"]).assert().code(2).stderr(contains("exists"));
    let folder = place.path("my-gan");
    // The versions of this repository are those that are there without a network.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let run = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).current_dir(&folder).env("TANDEM_BIN", binary()).env("OMP_NUM_THREADS", "1");
        cargo.env("CARGO_TARGET_DIR", binary().with_file_name("new-plugin"));
        cargo.output().unwrap()
    };
    let cargo = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    cargo(&["test", "--release", "--offline", "--quiet"]);
    cargo(&["build", "--release", "--offline", "--quiet"]);
    let library = binary().with_file_name("new-plugin").join("release/libmy_gan.so");
    let library = library.to_str().unwrap();
    place
        .tandem(&["plugin", "check", library, "--set", "width=4"])
        .assert()
        .success()
        .stdout(contains("my-gan: exact"));
    // Whose code it is chooses a licence; until then the way to one is said.
    place.tandem(&["plugin", "pack", library, "--from", "my-gan"]).assert().code(2).stderr(
        contains("save its text as `my-gan/LICENSE`").and(contains("license = \"MIT\"")).and(contains("build again")),
    );
    place.write("my-gan/LICENSE", "MIT\n");
    place.tandem(&["plugin", "pack", library, "--from", "my-gan"]).assert().success();
    let set = format!("plugin={library}");
    let more = ["--set", &set, "--set", "steps=2", "--set", "batch_size=4", "--set", "options.width=4"];
    place.tandem(&[&["train", "my-gan/my-gan.toml"][..], &more].concat()).assert().success();
    // A name that nobody could ask for does not compile.
    let source = folder.join("src/lib.rs");
    let code = fs::read_to_string(&source).unwrap();
    for name in ["-help", "my-gan.so", "..."] {
        fs::write(&source, code.replacen("\"my-gan\"", &format!("{name:?}"), 1)).unwrap();
        let output = run(&["build", "--release", "--offline", "--quiet"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("a plugin's name must be"), "{name}: {said}");
    }
}
