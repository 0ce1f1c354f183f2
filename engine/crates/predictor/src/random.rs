//! Seeded draws.

use text::Random;

/// The draws of one expert of one layer, so that neither depends on what was drawn for another.
#[derive(Clone, Debug)]
pub(crate) struct Stream(Random);

impl Stream {
    pub(crate) fn new(seed: u64, layer: usize, expert: usize) -> Self {
        let mut state = seed;
        for word in [layer as u64, expert as u64] {
            state = Random::new(state).bits() ^ word;
        }
        Self(Random::new(state))
    }

    /// A standard normal number (Box and Muller).
    pub(crate) fn normal(&mut self) -> f32 {
        let (first, second) = (self.0.unit(), self.0.unit());
        ((-2.0 * (1.0 - first).ln()).sqrt() * (std::f64::consts::TAU * second).cos()) as f32
    }

    /// Brings `items` into a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = (u128::from(self.0.bits()) * (last as u128 + 1)) >> 64;
            items.swap(last, other as usize);
        }
    }
}
