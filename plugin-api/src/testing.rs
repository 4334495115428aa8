//! What a plugin's own tests need: the declaration as the host gets it, through the whole boundary.

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
