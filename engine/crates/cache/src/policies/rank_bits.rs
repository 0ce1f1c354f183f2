/// A set of numbers below a bound, as bits with a summary bit for each word, and so on up to one word: the largest member
/// below any number is found by looking at two words a level.
pub(super) struct RankBits {
    /// Lowest level first; the last has one word.
    levels: Vec<Vec<u64>>,
}

impl RankBits {
    pub(super) fn new(bound: usize) -> Self {
        let mut levels = Vec::new();
        // Room for the bound itself, so that it can be asked for.
        let mut words = bound / 64 + 1;
        loop {
            levels.push(vec![0; words]);
            if words == 1 {
                return RankBits { levels };
            }
            words = words.div_ceil(64);
        }
    }

    pub(super) fn insert(&mut self, mut number: usize) {
        for level in &mut self.levels {
            level[number / 64] |= 1 << (number % 64);
            number /= 64;
        }
    }

    pub(super) fn remove(&mut self, mut number: usize) {
        for level in &mut self.levels {
            level[number / 64] &= !(1 << (number % 64));
            if level[number / 64] != 0 {
                return;
            }
            number /= 64;
        }
    }

    /// The largest member less than `bound`, which is at most the bound of the set.
    pub(super) fn largest_below(&self, bound: usize) -> Option<usize> {
        let mut bound = bound;
        for (height, level) in self.levels.iter().enumerate() {
            // The word that `bound` falls in, cut off at the bound; whole words before it are the next level's business.
            let word = level.get(bound / 64).map_or(0, |word| word & ((1 << (bound % 64)) - 1));
            if word != 0 {
                let mut number = (bound / 64) * 64 + 63 - word.leading_zeros() as usize;
                for lower in self.levels[..height].iter().rev() {
                    number = number * 64 + 63 - lower[number].leading_zeros() as usize;
                }
                return Some(number);
            }
            bound /= 64;
        }
        None
    }

    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().map(|level| level.len() * size_of::<u64>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::RankBits;
    use std::collections::BTreeSet;

    #[test]
    fn finds_what_an_ordered_set_finds() {
        for bound in [1, 2, 63, 64, 65, 4096, 4097, 300_000] {
            let mut bits = RankBits::new(bound);
            let mut set = BTreeSet::new();
            let mut state = bound as u64;
            for _ in 0..3000 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let number = (state >> 33) as usize % bound;
                if state & 1 == 0 && set.remove(&number) {
                    bits.remove(number);
                } else {
                    bits.insert(number);
                    set.insert(number);
                }
                let below = (state >> 20) as usize % (bound + 1);
                assert_eq!(
                    bits.largest_below(below),
                    set.range(..below).next_back().copied(),
                    "bound {bound}, below {below}"
                );
            }
        }
    }
}
