//! Seeded random numbers: xoshiro256++ 1.0 by Blackman and Vigna (public domain; "Scrambled linear pseudorandom number generators",
//! ACM TOMS 2021), its state filled by splitmix64 as its authors advise.

/// What the state of SplitMix64 grows by from one number to the next.
pub const SPLIT_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): its number for a state.
pub const fn split_mix(state: u64) -> u64 {
    let mut bits = state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A stream of numbers that a seed decides, the same on every machine.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The stream of `seed`; any seed is good.
    pub fn new(seed: u64) -> Self {
        let mut filler = seed;
        let state = std::array::from_fn(|_| {
            filler = filler.wrapping_add(SPLIT_STEP);
            split_mix(filler)
        });
        Self { state }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number from 0 up to, not including, 1: the upper 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_published_code() {
        // From the reference C code with its state set to 1, 2, 3, 4.
        let mut random = Random { state: [1, 2, 3, 4] };
        let wanted = [
            41943041,
            58720359,
            3588806011781223,
            3591011842654386,
            9228616714210784205,
            9973669472204895162,
        ];
        assert_eq!(std::array::from_fn(|_| random.bits()), wanted);
    }

    #[test]
    fn the_seed_fills_the_state_by_splitmix64() {
        // The first outputs of splitmix64 from 1234567, as its reference code gives them.
        let wanted = [
            6457827717110365317,
            3203168211198807973,
            9817491932198370423,
            4593380528125082431,
        ];
        assert_eq!(Random::new(1234567).state, wanted);
    }

    #[test]
    fn unit_numbers_fill_the_interval_evenly() {
        let mut random = Random::new(7);
        let mut counts = [0u32; 10];
        for _ in 0..100_000 {
            counts[(random.unit() * 10.0) as usize] += 1;
        }
        // Ten cells of mean 10,000 and deviation 95: six deviations.
        assert!(counts.iter().all(|&count| (9_430..10_570).contains(&count)), "{counts:?}");
    }
}
