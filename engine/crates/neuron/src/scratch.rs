//! Working memory of the kernels, kept by the caller so that nothing is allocated per call.

use crate::aligned::Aligned;

/// One thread's working memory. Grows to what the largest call needs and stays there.
pub struct Scratch {
    /// A repacked panel of weights.
    pub(crate) panel: Aligned<u8>,
    /// The scales of the panel.
    pub(crate) panel_scales: Aligned<f32>,
    /// Partial sums, scores, gate values: whatever the running operation needs.
    pub(crate) floats: Aligned<f32>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            panel: Aligned::new(),
            panel_scales: Aligned::new(),
            floats: Aligned::new(),
        }
    }
}
