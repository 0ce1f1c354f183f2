//! Attention to recent positions: what turns token embeddings, which change with every token, into a part of the residual
//! stream that changes slowly.
//!
//! Queries and keys read only the constant part of the stream, so they are the same for every token, and the score of a
//! position depends on its distance alone: the sum of the cosines of the rotary pairs in use, turned by that distance. Over
//! frequencies in a geometric row this falls like the logarithm of the distance (beyond one turn of the fastest), so the
//! softmax falls like a power of it: flat over the last few positions, then away to nothing.

use crate::SynthError;

/// The power by which attention falls with distance.
const FALL: f64 = 3.0;

/// Windows whose mean changes less than this from one position to the next are not used: they take long to fill.
const GREATEST_CORRELATION: f64 = 0.98;

/// Positions back that are looked at: what is further has no weight.
const REACH: usize = 2048;

/// Which rotary pairs make the window, and what it then is.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The first pair in use; all slower ones are too.
    pub(crate) first_pair: usize,
    /// The score of the position itself, above those far away.
    pub(crate) strength: f64,
    /// Attention by distance; sums to 1.
    weights: Vec<f64>,
    /// The sum of the squares of the weights: the variance of a mean of independent numbers of variance 1.
    pub(crate) square: f64,
    /// Correlation of the mean at one position with that at the next.
    pub(crate) correlation: f64,
}

impl Window {
    /// The shortest window whose mean correlates from one position to the next by at least `wanted`, or else the longest
    /// there is; for heads of `pairs` rotary pairs with this base. A short window is soon full: the first tokens of a text,
    /// where the mean is over fewer and so varies more, are few.
    pub(crate) fn new(pairs: usize, base: f64, wanted: f64) -> Result<Self, SynthError> {
        let all = (0..pairs.saturating_sub(1)).map(|first| Self::from_pair(first, pairs, base));
        let mut best: Option<Self> = None;
        for window in all.filter(|window| window.correlation <= GREATEST_CORRELATION) {
            if window.correlation >= wanted {
                return Ok(window);
            }
            if best.as_ref().is_none_or(|best| window.correlation > best.correlation) {
                best = Some(window);
            }
        }
        best.ok_or_else(|| SynthError::spec("the numbers of a head", 2 * pairs, "at least 4"))
    }

    fn from_pair(first_pair: usize, pairs: usize, base: f64) -> Self {
        let frequency = |pair: usize| base.powf(-(pair as f64) / pairs as f64);
        let used = (pairs - first_pair) as f64;
        let strength = FALL * used * base.ln() / pairs as f64;
        let score = |distance: usize| {
            let sum: f64 = (first_pair..pairs)
                .map(|pair| (frequency(pair) * distance as f64).cos())
                .sum();
            strength * (sum / used - 1.0)
        };
        let mut weights: Vec<f64> = (0..REACH).map(|distance| score(distance).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let square: f64 = weights.iter().map(|weight| weight * weight).sum();
        let shifted: f64 = weights.windows(2).map(|pair| pair[0] * pair[1]).sum();
        Self {
            first_pair,
            strength,
            weights,
            square,
            correlation: shifted / square,
        }
    }

    /// Covariance of a number of variance 1, `distance` positions back, with the mean scaled to variance 1.
    pub(crate) fn share_of(&self, distance: usize) -> f64 {
        self.weights[distance] / self.square.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn every_usual_head_has_windows_as_slow_as_wanted_and_short() {
        for pairs in [16, 32, 64] {
            for wanted in [0.5, 0.8, 0.95] {
                let window = Window::new(pairs, 10_000.0, wanted).unwrap();
                assert!(
                    (wanted..0.98).contains(&window.correlation),
                    "{pairs}: {}",
                    window.correlation
                );
                let far: f64 = window.weights[64..].iter().sum();
                assert!(far < 0.05, "{pairs}: {far} beyond 64 positions");
            }
        }
    }
}
