//! What a plugin's own tests need: the declaration as the host gets it, through the whole boundary, and what the host
//! says of it. Nothing here needs a compiled plugin or the host's source; [`assert_exact`] needs an installed `tandem`.

use crate::{
    Error, Gan,
    export::{answer, request},
    options::{Images, Options},
    value::{Named, Value},
};

/// Declares a GAN the way the host does: request, declaration, the frozen types, and the checks on the way back.
///
/// Needs no compiled plugin. `options` are what a user would give under `[options]`; `images` are the data's facts.
pub fn declare(
    declare: fn(&Options) -> Result<Gan, Error>,
    images: Images,
    options: &[(&str, Value)],
) -> Result<Gan, Error> {
    let options: Vec<Named<Value>> = options.iter().map(|(name, value)| Named::new(*name, value.clone())).collect();
    match answer(request(images, &options), declare).into_result() {
        Ok(definition) => Gan::decode(&definition.into()),
        Err(message) => Err(Error::new(message.into_string())),
    }
}

/// Panics unless the GAN is declared for each kind of images, and fits them: G draws images of their channels and size, D
/// takes these, and a conditional GAN has no more classes than there are.
#[track_caller]
pub fn assert_shapes(of: fn(&Options) -> Result<Gan, Error>, images: &[Images], options: &[(&str, Value)]) {
    for &images in images {
        if let Err(error) = declare(of, images, options).and_then(|gan| gan.fits(images)) {
            panic!("for {images:?} and {options:?}: {error}");
        }
    }
}

/// Panics unless `tandem plugin check` proves the GAN: in float64, every strategy of one stage that it could train by gives
/// the gradients of separate passes to 1e-10, and its losses' derivatives are those of differences.
///
/// Runs the program that the environment variable `TANDEM_BIN` names, or else `tandem` of the path. Keep the networks small
/// (`width = 8`): the proof takes dozens of passes.
#[cfg(feature = "testing")]
#[track_caller]
pub fn assert_exact(of: fn(&Options) -> Result<Gan, Error>, images: Images, options: &[(&str, Value)]) {
    let gan = declare(of, images, options).unwrap_or_else(|e| panic!("for {images:?} and {options:?}: {e}"));
    let tandem = std::env::var_os("TANDEM_BIN").unwrap_or_else(|| "tandem".into());
    match check(&tandem, &gan) {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            panic!("{} cannot be run: {error}; set TANDEM_BIN to the `tandem` to prove with", tandem.display())
        }
    }
}

#[cfg(feature = "testing")]
fn check(tandem: &std::ffi::OsStr, gan: &Gan) -> std::io::Result<std::process::Output> {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    let definition = serde_json::to_vec(&gan.encode())?;
    let mut command = Command::new(tandem);
    command.args(["plugin", "check", "--definition", "/dev/stdin"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // One that ends before it has read all says why by itself.
        let _ = input.write_all(&definition);
    }
    child.wait_with_output()
}
