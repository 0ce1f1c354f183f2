//! Which weight it is, when numbers come out that are none.
//!
//! Weights are looked at as they are loaded, so that a file with NaN in it is refused before a token. What is read from flash while
//! computing was looked at when it was packed; a file from before packing looked is found out by what comes of it, here.

use std::path::Path;

use model::{ModelError, check_packed};

use crate::{GenerateError, ModelFile};

/// Does the work; where it fails because numbers are not finite, the error names the weight, if it is one.
pub(crate) fn naming_weights<A>(path: &Path, work: impl FnOnce() -> Result<A, GenerateError>) -> Result<A, GenerateError> {
    work().map_err(|error| match error {
        GenerateError::Model(ModelError::NotFinite { .. }) => match ModelFile::open(path) {
            Ok(ModelFile::Packed(source)) => check_packed(&source).err().map_or(error, GenerateError::from),
            _ => error,
        },
        other => other,
    })
}
