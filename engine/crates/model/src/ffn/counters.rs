//! How sparse the FFNs turned out to be, and how well that was predicted.

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

/// What predicting came to, by layer, since the FFN was made. Neurons of tokens that were computed exactly are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PredictedCounters {
    /// Neurons that were scored.
    pub scored: Vec<u64>,
    /// Of these, predicted to be active, and computed.
    pub predicted: Vec<u64>,
    /// Of the predicted, those that fired.
    pub fired: Vec<u64>,
    /// Neurons that would have fired and were not computed. Zeros unless an audit was asked for.
    pub missed: Vec<u64>,
}

impl PredictedCounters {
    /// Zeros for so many layers.
    pub fn new(layers: usize) -> Self {
        let zeros = || vec![0; layers];
        Self {
            scored: zeros(),
            predicted: zeros(),
            fired: zeros(),
            missed: zeros(),
        }
    }

    /// Share of the neurons that would have fired that were computed; `None` when there were none. Without an audit it is
    /// 1 and says nothing.
    pub fn recall(&self) -> Option<f64> {
        let (fired, missed): (u64, u64) = (self.fired.iter().sum(), self.missed.iter().sum());
        (fired + missed > 0).then(|| fired as f64 / (fired + missed) as f64)
    }

    /// Share of the neurons scored that were computed; `None` when none was scored.
    pub fn share_predicted(&self) -> Option<f64> {
        let (predicted, scored): (u64, u64) = (self.predicted.iter().sum(), self.scored.iter().sum());
        (scored > 0).then(|| predicted as f64 / scored as f64)
    }
}
