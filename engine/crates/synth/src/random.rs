//! Random rows: each from its own stream, so that a file's bytes depend on no order of work.

use text::{SPLIT_STEP, split_mix};

/// The parts of a file that draw numbers; a stream is named by seed, part, layer and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Part {
    Embedding = 1,
    Head,
    Query,
    Key,
    Value,
    Output,
    Router,
    Gate,
    Up,
    Down,
    Order,
    Routes,
    Tokens,
    GateBasis,
}

/// A stream of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream of one row.
    pub(crate) fn new(seed: u64, part: Part, layer: usize, row: usize) -> Self {
        let mut state = split_mix(seed.wrapping_add(SPLIT_STEP));
        for word in [part as u64, layer as u64, row as u64] {
            state = split_mix(state.wrapping_add(SPLIT_STEP) ^ word.wrapping_mul(SPLIT_STEP));
        }
        Self(state)
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(SPLIT_STEP);
        split_mix(self.0)
    }

    /// A number from 0 up to, not including, `end`, which is not 0.
    pub(crate) fn up_to(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// A standard normal number (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        let (first, second) = (unit(self.bits()), unit(self.bits()));
        (-2.0 * (1.0 - first).ln()).sqrt() * (std::f64::consts::TAU * second).cos()
    }

    /// Fills `out` with numbers of mean 0 and standard deviation `deviation`. Each is the sum of two bytes: a triangle, whose
    /// sums over hundreds of weights are normal, and which a 4-bit block holds better than a bell with its tails.
    pub(crate) fn fill(&mut self, deviation: f64, out: &mut [f32]) {
        /// The deviation of a sum of two bytes: each has variance (256^2 - 1) / 12.
        const DEVIATION: f64 = 104.511_562_047_7;
        let scale = (deviation / DEVIATION) as f32;
        for four in out.chunks_mut(4) {
            let bits = self.bits();
            for (place, out) in four.iter_mut().enumerate() {
                let two = (bits >> (16 * place)) as u16;
                *out = f32::from((two & 255) as i16 + (two >> 8) as i16 - 255) * scale;
            }
        }
    }

    /// A random order of `0..length`.
    pub(crate) fn order(&mut self, length: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..length as u32).collect();
        for last in (1..length).rev() {
            order.swap(last, self.up_to(last as u64 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, Stream};

    #[test]
    fn rows_have_the_deviation_asked_for_and_differ_from_each_other() {
        let mut row = vec![0.0f32; 40_001];
        Stream::new(7, Part::Gate, 3, 5).fill(0.25, &mut row);
        let mean = row.iter().map(|&value| f64::from(value)).sum::<f64>() / row.len() as f64;
        let square = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / row.len() as f64;
        assert!(mean.abs() < 0.005, "{mean}");
        assert!((square.sqrt() - 0.25).abs() < 0.003, "{square}");
        let first = |part, layer, row| Stream::new(7, part, layer, row).bits();
        let all = [
            first(Part::Gate, 3, 5),
            first(Part::Gate, 5, 3),
            first(Part::Up, 3, 5),
            first(Part::Gate, 3, 6),
        ];
        assert!(all.iter().enumerate().all(|(i, one)| !all[..i].contains(one)));
    }

    #[test]
    fn an_order_holds_every_number_once() {
        let mut order = Stream::new(1, Part::Order, 0, 0).order(1000);
        assert_ne!(order[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &number)| i == number as usize));
    }
}
