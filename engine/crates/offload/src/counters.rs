//! What a run counted.

use std::ops::AddAssign;

/// Counts of one layer and token, or sums of such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerCounters {
    /// Neurons that a predictor chose; 0 where every gate is computed.
    pub predicted: u64,
    /// Units of gate rows looked for (clusters, or single neurons under a predictor), and those not in memory.
    pub gate_look_ups: u64,
    /// See `gate_look_ups`.
    pub gate_misses: u64,
    /// Of these, how many were on their way before attention, because the router had decided or there is nothing to decide.
    pub gates_announced: u64,
    /// Units of up and down looked for, and those not in memory.
    pub look_ups: u64,
    /// See `look_ups`.
    pub misses: u64,
    /// Of the units missed, those in clusters whose gates were missed too: in bundles they come with these.
    pub beside: u64,
    /// Neurons whose down row was added.
    pub fired: u64,
    /// Bytes that requests brought.
    pub bytes: u64,
}

impl AddAssign for LayerCounters {
    fn add_assign(&mut self, other: Self) {
        self.predicted += other.predicted;
        self.gate_look_ups += other.gate_look_ups;
        self.gate_misses += other.gate_misses;
        self.gates_announced += other.gates_announced;
        self.look_ups += other.look_ups;
        self.misses += other.misses;
        self.beside += other.beside;
        self.fired += other.fired;
        self.bytes += other.bytes;
    }
}
