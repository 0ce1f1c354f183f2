//! What reader and writer agree on.

use crate::TraceError;

/// The first bytes of a file.
pub const MAGIC: &[u8; 8] = b"NLABTRCE";
/// The version written, and the only one read.
pub const VERSION: u32 = 1;
/// Longest name (bytes).
pub(crate) const MOST_NAME: usize = 4096;
/// Most tokens of a chunk.
pub(crate) const MOST_TOGETHER: usize = 4096;
/// Most bytes of a chunk: what a reader has to hold.
pub(crate) const MOST_BODY: usize = 1 << 30;

/// The model whose neurons a trace is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceShape {
    /// `general.name`, or what stands for it.
    pub name: String,
    /// Layers.
    pub layers: u32,
    /// Experts of a layer; 1 in a dense model.
    pub experts: u32,
    /// Experts that a token uses.
    pub experts_used: u32,
    /// Neurons of an expert.
    pub neurons: u32,
    /// Whether neurons are recorded. Of a model that is not sparse only the experts are.
    pub neurons_recorded: bool,
}

impl TraceShape {
    /// Refuses shapes that no model has: reader and writer size their tables by them.
    pub(crate) fn check(&self) -> Result<(), TraceError> {
        let sizes = [
            ("layers", self.layers, 1, 4096),
            ("experts", self.experts, 1, 4096),
            ("experts used", self.experts_used, 1, self.experts),
            ("neurons", self.neurons, 1, 1 << 24),
            ("bytes of the name", self.name.len() as u32, 0, MOST_NAME as u32),
        ];
        for (what, found, low, high) in sizes {
            if found < low || found > high {
                return Err(TraceError::malformed(format!(
                    "{what}: {found}; should be from {low} to {high}"
                )));
            }
        }
        Ok(())
    }

    /// Bytes of a set of neurons as bits.
    pub(crate) fn bitmap_bytes(&self) -> usize {
        (self.neurons as usize).div_ceil(8)
    }
}
