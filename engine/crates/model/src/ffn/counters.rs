//! How sparse the FFNs turned out to be.

/// Neurons looked at and neurons that fired, by layer, since the last `clear`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FfnCounters {
    /// Neurons whose gate was computed: tokens times experts used times neurons of an expert.
    pub seen: Vec<u64>,
    /// Neurons with an activation that is not zero.
    pub fired: Vec<u64>,
}

impl FfnCounters {
    /// Zeros for so many layers.
    pub fn new(layers: usize) -> Self {
        Self {
            seen: vec![0; layers],
            fired: vec![0; layers],
        }
    }

    /// Adds what one pass over one layer did. A layer that is not there is not counted.
    pub fn add(&mut self, layer: usize, seen: u64, fired: u64) {
        if let (Some(all), Some(some)) = (self.seen.get_mut(layer), self.fired.get_mut(layer)) {
            *all += seen;
            *some += fired;
        }
    }

    /// Back to zero.
    pub fn clear(&mut self) {
        self.seen.fill(0);
        self.fired.fill(0);
    }

    /// The share of neurons that fired, over all layers; `None` before anything was seen.
    pub fn share_fired(&self) -> Option<f64> {
        let seen: u64 = self.seen.iter().sum();
        let fired: u64 = self.fired.iter().sum();
        (seen > 0).then(|| fired as f64 / seen as f64)
    }
}
