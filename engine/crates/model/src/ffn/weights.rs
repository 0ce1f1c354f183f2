//! FFN weights in memory, from a GGUF file.

use gguf::TensorInfo;
use neuron::Format;

use super::transpose::transposed_format;
use crate::{ModelConfig, ModelError, Tensor, TensorSource};

/// The FFN of one layer. Rows of all experts follow each other: expert `e` has rows `e * n..(e + 1) * n`, where `n` is the
/// number of its outputs.
pub(crate) struct LayerFfn {
    /// Neurons of all experts by hidden.
    pub(crate) gate: Tensor,
    /// Neurons of all experts by hidden.
    pub(crate) up: Tensor,
    /// Hidden, for every expert, by neurons.
    pub(crate) down: Tensor,
}

/// Names and shapes of one layer's FFN tensors.
pub(crate) struct FfnFiles<'a> {
    source: &'a dyn TensorSource,
    config: &'a ModelConfig,
    layer: usize,
}

impl<'a> FfnFiles<'a> {
    pub(crate) fn new(source: &'a dyn TensorSource, config: &'a ModelConfig, layer: usize) -> Self {
        Self { source, config, layer }
    }

    fn name(&self, part: &str) -> String {
        let plural = if self.config.router.is_some() { "_exps" } else { "" };
        format!("blk.{}.ffn_{part}{plural}.weight", self.layer)
    }

    fn inputs_first(&self) -> [u64; 3] {
        let config = self.config;
        [config.hidden as u64, config.neurons as u64, config.experts as u64]
    }

    /// What the file says of a matrix.
    fn info(&self, part: &str) -> Option<&TensorInfo> {
        self.source.gguf().tensor(&self.name(part))
    }

    /// Memory of the layer with down in rows, and of the down that these are made from (bytes).
    pub(crate) fn bytes_in_rows(&self) -> Result<(u64, u64), ModelError> {
        let bytes = |part| self.info(part).map_or(0, |matrix| matrix.bytes);
        let source = self.info("down").filter(|_| self.info("down_t").is_none());
        let transposed = match source.map(|down| Format::from_gguf_id(down.kind as u32)) {
            Some(Some(format)) => {
                let weights = source.map_or(0, |down| down.columns() * down.rows());
                let rows = weights / self.config.hidden.max(1) as u64;
                rows.saturating_mul(transposed_format(format).row_bytes(self.config.hidden)? as u64)
            }
            // A format that there are no kernels for is refused by who loads it.
            Some(None) => bytes("down"),
            None => bytes("down_t"),
        };
        Ok((bytes("gate") + bytes("up") + transposed, source.map_or(0, |down| down.bytes)))
    }

    pub(crate) fn gate(&self) -> Result<Tensor, ModelError> {
        Tensor::load(self.source, &self.name("gate"), &self.inputs_first())
    }

    pub(crate) fn up(&self) -> Result<Tensor, ModelError> {
        Tensor::load(self.source, &self.name("up"), &self.inputs_first())
    }

    pub(crate) fn down(&self) -> Result<Tensor, ModelError> {
        let [hidden, neurons, experts] = self.inputs_first();
        Tensor::load(self.source, &self.name("down"), &[neurons, hidden, experts])
    }

    /// Down with a row for each neuron, in a file that carries it.
    pub(crate) fn down_rows(&self) -> Result<Option<Tensor>, ModelError> {
        Tensor::find(self.source, &self.name("down_t"), &self.inputs_first())
    }
}

impl LayerFfn {
    /// Loads the three matrices of a layer.
    pub(crate) fn load(source: &dyn TensorSource, config: &ModelConfig, layer: usize) -> Result<Self, ModelError> {
        let files = FfnFiles::new(source, config, layer);
        Ok(Self {
            gate: files.gate()?,
            up: files.up()?,
            down: files.down()?,
        })
    }

    /// Memory of the three (bytes).
    pub(crate) fn bytes(&self) -> u64 {
        self.gate.bytes() + self.up.bytes() + self.down.bytes()
    }
}
