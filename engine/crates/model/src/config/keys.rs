//! Metadata by key, checked.

use gguf::Metadata;

use crate::ModelError;

/// Sizes beyond this are refused: no model is near it, and products of a few of them stay inside 64 bits.
pub(super) const LARGEST: u32 = 1 << 24;

/// Metadata keys of one architecture.
pub(super) struct Keys<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) prefix: &'a str,
}

impl Keys<'_> {
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    pub(super) fn wrong(&self, key: &str, found: impl ToString, wanted: impl Into<String>) -> ModelError {
        ModelError::config(self.name(key), found, wanted)
    }

    /// A size of at least 1, if the key is there.
    pub(super) fn find_size(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.metadata.find::<u32>(&self.name(key))? {
            None => Ok(None),
            Some(size @ 1..=LARGEST) => Ok(Some(size as usize)),
            Some(size) => Err(self.wrong(key, size, format!("from 1 to {LARGEST}"))),
        }
    }

    pub(super) fn size(&self, key: &str) -> Result<usize, ModelError> {
        match self.find_size(key)? {
            Some(size) => Ok(size),
            // Asks again, for the error that names the absent key.
            None => Ok(self.metadata.u32(&self.name(key))? as usize),
        }
    }

    pub(super) fn size_or(&self, key: &str, absent: usize) -> Result<usize, ModelError> {
        Ok(self.find_size(key)?.unwrap_or(absent))
    }

    /// A positive number, if the key is there.
    pub(super) fn positive(&self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.metadata.find::<f32>(&self.name(key))? {
            Some(found) if !(found.is_finite() && found > 0.0) => Err(self.wrong(key, found, "a number above 0")),
            found => Ok(found.map(f64::from)),
        }
    }
}
