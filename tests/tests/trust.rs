//! Who sets the policy supplies the keys: what came with a config does not vouch for it.

use std::fs;

use predicates::{prelude::*, str::contains};
use tandem_tests::place::{KEY, OTHER_KEY, Place, built, flipped};

/// What becomes of a config with this table `[trust]`, under these variables and arguments.
fn trained(
    place: &Place,
    plugin: &str,
    trust: &str,
    variables: &[(&str, &str)],
    more: &[&str],
) -> assert_cmd::assert::Assert {
    let table = if trust.is_empty() { String::new() } else { format!("[trust]\n{trust}") };
    let arguments = place.config(plugin, &table);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--dry-run"]).chain(more.to_vec()).collect();
    place.tandem(&arguments).envs(variables.to_vec()).assert()
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn keys_of_a_config_do_not_meet_a_policy_of_the_users() {
    let place = Place::new();
    let file = place.kept();
    let (keys, policy) = (format!("[\"{KEY}\"]"), ("TANDEM_TRUST__POLICY", "signed"));
    let of_config = format!("policy = \"any\"\nkeys = {keys}");
    let set = format!("trust.keys={keys}");
    let refused = || {
        contains("needs a key in trust.keys")
            .and(contains("run.toml:5 came with the config that is judged"))
            .and(contains("TANDEM_TRUST__KEYS"))
    };
    trained(&place, &file, &of_config, &[], &[]).success();
    trained(&place, &file, &of_config, &[policy], &[]).code(2).stderr(refused());
    trained(&place, &file, &of_config, &[], &["--set", "trust.policy=signed"]).code(2).stderr(refused());
    trained(&place, &file, &of_config, &[policy, ("TANDEM_TRUST__KEYS", &keys)], &[]).success();
    trained(&place, &file, &of_config, &[policy], &["--set", &set]).success();
    let others = format!("[\"{OTHER_KEY}\"]");
    trained(&place, &file, &of_config, &[policy, ("TANDEM_TRUST__KEYS", &others)], &[])
        .code(2)
        .stderr(contains("is signed by a key that is not trusted"));
    // A config's own policy may be met by either's keys.
    let signed = format!("policy = \"signed\"\nkeys = {keys}");
    trained(&place, &file, &signed, &[], &[]).success();
    trained(&place, &file, "policy = \"signed\"", &[("TANDEM_TRUST__KEYS", &keys)], &[]).success();
    // What a config extends is its word, too, and weakens nothing.
    place.write("base.toml", format!("[trust]\n{of_config}\n"));
    let arguments = place.config(&file, "");
    let own = fs::read_to_string(place.path("run.toml")).unwrap();
    place.write("run.toml", format!("extends = \"base.toml\"\n{own}"));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--dry-run"]).collect();
    place
        .tandem(&arguments)
        .env(policy.0, policy.1)
        .assert()
        .code(2)
        .stderr(contains("base.toml:3 came with the config"));
}

#[test]
fn a_lock_beside_a_config_does_not_meet_a_policy_of_the_users() {
    let place = Place::new();
    let file = place.write("gan.so", fs::read(built("libtandem_lsgan.so")).unwrap());
    let (name, policy) = (file.to_str().unwrap(), ("TANDEM_TRUST__POLICY", "locked"));
    place.config(name, "");
    place.tandem(&["plugin", "lock", "run.toml"]).assert().success();
    trained(&place, name, "policy = \"locked\"", &[], &[]).success();
    let beside =
        || contains("tandem.lock` pins it, but lies with the config").and(contains("set TANDEM_TRUST__LOCK_FILE"));
    trained(&place, name, "", &[policy], &[]).code(2).stderr(beside());
    trained(&place, name, "policy = \"locked\"", &[], &["--set", "trust.policy=locked"]).code(2).stderr(beside());
    // It may be taken for one's own.
    trained(&place, name, "", &[policy, ("TANDEM_TRUST__LOCK_FILE", "tandem.lock")], &[]).success();
    trained(&place, name, "", &[policy], &["--set", "trust.lock_file=tandem.lock"]).success();
    // Or one has another.
    let own = place.text("own/my.lock");
    let mine = [policy, ("TANDEM_TRUST__LOCK_FILE", own.as_str())];
    trained(&place, name, "", &mine, &[])
        .code(2)
        .stderr(contains("there is no lock file `").and(contains("own/my.lock`; make it with `tandem plugin lock")));
    let before = fs::read(place.path("tandem.lock")).unwrap();
    let lock = || place.tandem(&["plugin", "lock", "run.toml"]).envs(mine).assert().success();
    lock().stdout(contains("own/my.lock: lsgan 0.1.0 pinned, "));
    assert_eq!(fs::read(place.path("tandem.lock")).unwrap(), before);
    trained(&place, name, "", &mine, &[]).success();
    fs::remove_file(place.path("tandem.lock")).unwrap();
    // A lock that leads nowhere pins nothing, and is no reason to go on.
    std::os::unix::fs::symlink("nowhere", place.path("tandem.lock")).unwrap();
    trained(&place, name, "", &mine, &[]).code(2).stderr(contains("tandem.lock`; make it with"));
    fs::remove_file(place.path("tandem.lock")).unwrap();
    trained(&place, name, "", &mine, &[]).success();
    flipped(&file, fs::metadata(&file).unwrap().len() as usize - 1);
    // A pin refuses under every policy.
    for variables in [&mine[..], &mine[1..]] {
        trained(&place, name, "", variables, &[]).code(2).stderr(contains("own/my.lock` pins: "));
    }
}

#[test]
fn a_config_names_no_lock_of_the_users() {
    let place = Place::new();
    let file = built("libtandem_lsgan.so");
    trained(&place, file.to_str().unwrap(), "lock_file = \"x.lock\"", &[], &[])
        .code(2)
        .stderr(contains("key `trust.lock_file` (").and(contains("is for whoever runs tandem to set")));
    place.tandem(&["plugin", "lock", "run.toml"]).assert().code(2).stderr(contains("key `trust.lock_file` ("));
    assert!(!place.path("x.lock").exists());
}

#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn a_policy_of_the_environment_holds_where_no_config_is() {
    let place = Place::new();
    let file = place.kept();
    let ours = built("libtandem_lsgan.so");
    let keys = format!("[\"{KEY}\"]");
    let asked = |plugin: &str, arguments: &[&str]| {
        let mut command = place.tandem(&[&["plugin"], arguments, &[plugin]].concat());
        command.env("TANDEM_TRUST__POLICY", "signed").env("TANDEM_TRUST__KEYS", &keys).assert()
    };
    for arguments in [&["inspect", "--run"][..], &["check", "--set", "width=8"]] {
        asked(&file, arguments).success();
        asked(ours.to_str().unwrap(), arguments).code(2).stderr(contains("is not signed: there is no `"));
    }
    asked("lsgan", &["inspect"]).code(2).stderr(contains("nothing of it was run"));
    // What runs nothing needs no leave.
    asked(ours.to_str().unwrap(), &["inspect"]).success();
}
